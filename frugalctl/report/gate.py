"""Gates: expressions over a report that must not come true.

Grammar: `METRIC OP VALUE`, with OP one of < <= > >= == !=. A plain number is compared with the
metric itself (`quality < 0.8`). A signed number is compared with its change against the base
report (`quality < -0.01`), a signed percentage with its change in percent (`cost_usd > +5%`).
Metrics below `delta` are changes already, and are compared as they are.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from frugalctl.errors import UsageError
from frugalctl.report.diff import format_metric
from frugalctl.report.metrics import Body, list_metrics, resolve_metric
from frugalctl.report.tables import Table, format_percent

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_EXPRESSION = re.compile(
    r"\s*(?P<metric>[^<>=!]+?)\s*(?P<operator><=|>=|==|!=|<|>)\s*"
    r"(?P<sign>[+-]?)(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)\s*(?P<percent>%?)\s*"
)


@dataclass(frozen=True, slots=True)
class Gate:
    """A parsed expression.

    Attributes:
        text: as written.
        metric: as written.
        operator: one of the six.
        value: the number, with its sign.
        relative: compared with the change against the base report.
        percent: the change is in percent.
    """

    text: str
    metric: str
    operator: str
    value: float
    relative: bool
    percent: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate found.

    Attributes:
        gate: the gate.
        metric: the metric's full path.
        base: its value in the base report, None where that was not needed.
        head: its value now.
        compared: the number that was compared: the value, the change, or the percentage.
        failed: whether the expression came true.
    """

    gate: Gate
    metric: str
    base: float | None
    head: float
    compared: float
    failed: bool


def parse_gate(text: str) -> Gate:
    """Parse an expression.

    Raises:
        UsageError: it is not of the grammar, a percentage has no sign, or is of a `delta`.
    """
    found = _EXPRESSION.fullmatch(text)
    if not found:
        raise UsageError(f"not a gate: {text!r}", hint="write 'cost_usd > +5%' or 'quality < 0.8'")
    sign, percent = found["sign"], bool(found["percent"])
    if percent and not sign:
        raise UsageError(
            f"a percentage is a change and needs a sign: {text!r}",
            hint=f"write '{found['metric']} {found['operator']} +{found['number']}%'",
        )
    metric = found["metric"].strip()
    if percent and metric.startswith("delta."):
        raise UsageError(
            f"{metric} is a change already and takes no percentage: {text!r}",
            hint="delta.cost_pct is in percent: 'delta.cost_pct > 5'",
        )
    return Gate(
        text=text,
        metric=metric,
        operator=found["operator"],
        value=float(sign + found["number"]),
        relative=bool(sign) and not metric.startswith("delta."),
        percent=percent,
    )


def judge(gate: Gate, head: Body, base: Body | None) -> Verdict:
    """Evaluate a gate.

    Args:
        gate: the gate.
        head: the report to judge.
        base: the report to compare with; needed by gates on a change.

    Raises:
        UsageError: the metric is unknown, or has no value, in either report; no base report
            where one is needed; a percentage of zero.
    """
    path = resolve_metric(gate.metric, head)
    now = _value(path, head, "the report")
    if not gate.relative:
        return Verdict(gate, path, None, now, now, _OPERATORS[gate.operator](now, gate.value))
    if base is None:
        raise UsageError(f"{gate.text!r} compares with a base report", hint="--baseline base.json")
    before = _value(path, base, "the base report")
    change = now - before
    if gate.percent:
        change = _percent(change, before, gate)
    return Verdict(gate, path, before, now, change, _OPERATORS[gate.operator](change, gate.value))


def _percent(change: float, before: float, gate: Gate) -> float:
    if before == 0:
        if change == 0:
            return 0.0
        raise UsageError(f"{gate.text!r}: the base is 0, so its change has no percentage")
    return 100 * change / abs(before)


def _value(path: str, body: Body, where: str) -> float:
    metrics = list_metrics(body)
    if path not in metrics:
        raise UsageError(f"{where} has no metric {path!r}")
    value = metrics[path]
    if value is None or math.isnan(value):
        raise UsageError(f"{path} is unknown in {where}: a gate on it cannot be judged")
    return value


def lay_out_verdicts(verdicts: list[Verdict]) -> tuple[Table, list[dict[str, object]]]:
    """The verdicts as a table, and as plain data."""
    rows = tuple(
        (
            "FAILED" if verdict.failed else "passed",
            verdict.gate.text,
            _show_values(verdict),
            _show_change(verdict),
        )
        for verdict in verdicts
    )
    records: list[dict[str, object]] = [
        {
            "gate": verdict.gate.text,
            "metric": verdict.metric,
            "base": verdict.base,
            "head": verdict.head,
            "compared": verdict.compared,
            "failed": verdict.failed,
        }
        for verdict in verdicts
    ]
    return Table("Gates", ("", "fails if", "value>", "change>"), rows), records


def _show_values(verdict: Verdict) -> str:
    head = format_metric(verdict.metric, verdict.head)
    if verdict.base is None:
        return head
    return f"{format_metric(verdict.metric, verdict.base)} -> {head}"


def _show_change(verdict: Verdict) -> str:
    if verdict.base is None:
        return ""
    if verdict.gate.percent:
        return format_percent(verdict.compared)
    return format_metric(verdict.metric, verdict.compared, sign=True)
