"""Gates: expressions over a report that must not come true.

Grammar: `METRIC OP VALUE`, with OP one of < <= > >= == !=. A plain number is compared with the
metric itself (`quality < 0.8`). A signed number is compared with its change against the base
report (`quality < -0.01`), a signed percentage with its change in percent (`cost_usd > +5%`).
Metrics below `delta` are changes already, and are compared as they are. Names with spaces,
operators or quotes stand in quotes: `tasks."a < b".cost_usd > +5%`.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from frugalctl.errors import UsageError
from frugalctl.report.metrics import (
    Body,
    Metrics,
    find_interval,
    is_share,
    list_metrics,
    refuse_metric,
    resolve_metric,
)
from frugalctl.report.model import Interval
from frugalctl.report.noise import Estimate, Pairs, estimate_change, is_noise, pair_reports

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_EXPRESSION = re.compile(
    r"\s*+(?P<metric>(?:[^<>=!\"]|\"(?:[^\"\\]|\\.)*+\")++)(?P<operator><=|>=|==|!=|<|>)\s*+"
    r"(?P<sign>[+-]?)(?P<number>[0-9]++(?:\.[0-9]*+)?(?:[eE][+-]?[0-9]++)?|\.[0-9]++)\s*+(?P<percent>%?)\s*+"
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
        name: what the configuration calls it.
        where: the file and the key of the configuration, "" for one of the command line.
        skipped: not to be judged, for what is judged says nothing about the metric.
    """

    text: str
    metric: str
    operator: str
    value: float
    relative: bool
    percent: bool
    name: str | None = None
    where: str = ""
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate found.

    Attributes:
        gate: the gate.
        metric: the metric's full path.
        base: its value in the base report, None where that was not needed or is new.
        head: its value now; None in a gate that is not judged.
        compared: the number that was compared: the value, the change, or the percentage; None
            where there is nothing to compare with.
        interval: the 95 % interval of a change, in the unit of `compared`; None where unknown.
        noise: whether the interval holds no change at all; None where there is no interval.
        pairs: over how many requests the change is, each compared with itself; None where the two
            values are compared.
        status: "passed", "failed", "ignored" (it came true within noise, which was to be ignored),
            "new" (the base lacks the metric, which was to be allowed) or "not judged".
    """

    gate: Gate
    metric: str
    base: float | None
    head: float | None
    compared: float | None
    interval: Interval | None
    noise: bool | None
    status: str
    pairs: int | None = None

    @property
    def failed(self) -> bool:
        """Whether the expression came true and counts."""
        return self.status == "failed"


def parse_gate(text: str, name: str | None = None, where: str = "") -> Gate:
    """Parse an expression.

    Args:
        text: the expression.
        name: what the configuration calls it, if it is from there.
        where: the file and the key of the configuration.

    Raises:
        UsageError: it is not of the grammar, a percentage has no sign, or is of a `delta`.
    """
    found = _EXPRESSION.fullmatch(text)
    if not found or math.isinf(float(found["number"])):
        hint = "write 'cost_usd > +5%' or 'quality < 0.8'"
        raise UsageError(f"not a gate: {text!r}", where=where, hint=hint)
    sign, percent, metric = found["sign"], bool(found["percent"]), found["metric"].strip()
    if percent and metric.startswith("delta."):
        raise UsageError(
            f"{metric} is a change already and takes no percentage: {text!r}",
            where=where,
            hint="delta.cost_pct is in percent: 'delta.cost_pct > 5'",
        )
    if percent and not sign:
        raise UsageError(
            f"a percentage is a change and needs a sign: {text!r}",
            where=where,
            hint=_hint_at_sign(metric, found["operator"], found["number"]),
        )
    return Gate(
        text=text,
        metric=metric,
        operator=found["operator"],
        value=float(sign + found["number"]),
        relative=bool(sign) and not metric.startswith("delta."),
        percent=percent,
        name=name,
        where=where,
    )


def _hint_at_sign(metric: str, compare: str, number: str) -> str:
    change = f"'{metric} {compare} +{number}%'"
    if not is_share(metric):
        return f"write {change}"
    share = float(f"{float(number) / 100:.12g}")
    return f"{metric} is in [0, 1]: write '{metric} {compare} {share}', or {change} for its change"


def require_base(gates: Sequence[Gate]) -> None:
    """Refuse gates on a change where there is no base report.

    Raises:
        UsageError: there is one.
    """
    for gate in gates:
        if gate.relative and not gate.skipped:
            raise UsageError(
                f"{gate.text!r} compares with a base report",
                where=gate.where,
                hint="--baseline base.json; --allow-new passes it where there is none yet",
            )


def judge_gates(
    gates: Sequence[Gate],
    head: Body,
    base: Body | None,
    *,
    pairs: Pairs | None = None,
    allow_new: bool = False,
    ignore_noise: bool = False,
    names: tuple[str, str] = ("the report", "the base report"),
) -> tuple[Verdict, ...]:
    """Evaluate gates.

    Args:
        gates: the gates.
        head: the report to judge.
        base: the report to compare with; needed by gates on a change.
        pairs: changes that are known request by request; None takes what the reports know.
        allow_new: a gate on a change of what the base report lacks is no error; nor is one where
            there is no base report.
        ignore_noise: a change within noise does not fail.
        names: what messages call the two reports, head first.

    Raises:
        UsageError: a metric is unknown, or has no value, in either report; no base report where
            one is needed; a percentage of zero.
    """
    if base is None and not allow_new:
        require_base(gates)
    if pairs is None:
        pairs = pair_reports(base or {}, head)
    judged = _Judged(
        list_metrics(head), list_metrics(base or {}), pairs, allow_new, ignore_noise, names
    )
    return tuple(_judge(gate, judged) for gate in gates)


@dataclass(frozen=True, slots=True)
class _Judged:
    """What gates are judged on, and how."""

    now: Metrics
    before: Metrics
    pairs: Pairs
    allow_new: bool
    ignore_noise: bool
    names: tuple[str, str]


def _judge(gate: Gate, judged: _Judged) -> Verdict:
    if gate.skipped:
        path = resolve_metric(gate.metric, judged.now) or gate.metric
        return Verdict(gate, path, None, None, None, None, None, "not judged")
    try:
        return _judge_change(gate, judged) if gate.relative else _judge_value(gate, judged)
    except UsageError as error:
        raise UsageError(error.message, where=gate.where, hint=error.hint) from None


def _judge_value(gate: Gate, judged: _Judged) -> Verdict:
    now = judged.now
    path = _find(gate, judged)
    value = _read(path, now, judged.names[0])
    interval = find_interval(path, now) if path.startswith("delta.") else None
    noise = is_noise(value, interval)
    status = _decide(gate, value, noise, judged)
    return Verdict(gate, path, None, value, value, interval, noise, status)


def _judge_change(gate: Gate, judged: _Judged) -> Verdict:
    path = _find(gate, judged)
    head = _read(path, judged.now, judged.names[0])
    if judged.allow_new and judged.before.get(path) is None:
        return Verdict(gate, path, None, head, None, None, None, "new")
    hint = "--allow-new lets what is new pass"
    base = _read(path, judged.before, judged.names[1], hint)
    found = estimate_change(path, judged.before, judged.now, judged.pairs)
    assert found is not None, "both values are known"
    change, interval = found.amount, found.interval
    if gate.percent:
        change = _find_percent(found, gate)
        interval = found.percent_interval
    noise = is_noise(change, interval)
    status = _decide(gate, change, noise, judged)
    return Verdict(gate, path, base, head, change, interval, noise, status, found.pairs)


def _decide(gate: Gate, compared: float, noise: bool | None, judged: _Judged) -> str:
    if not _OPERATORS[gate.operator](compared, gate.value):
        return "passed"
    return "ignored" if noise and judged.ignore_noise else "failed"


def _find(gate: Gate, judged: _Judged) -> str:
    path = resolve_metric(gate.metric, judged.now)
    if path is not None:
        return path
    gone = resolve_metric(gate.metric, judged.before)
    if gone is not None:
        raise UsageError(
            f"{gone} is in {judged.names[1]}, and not in {judged.names[0]}: "
            f"{gate.text!r} cannot be judged",
            hint="drop the gate if it is gone for good",
        )
    raise refuse_metric(gate.metric, judged.now)


def _find_percent(found: Estimate, gate: Gate) -> float:
    if found.percent is not None:
        return found.percent
    if found.amount == 0:
        return 0.0
    raise UsageError(
        f"{gate.text!r}: the base is {'too small' if found.base else '0'}, "
        "so its change has no percentage",
        hint=f"gate on the amount: '{gate.metric} {gate.operator} +1'",
    )


def _read(path: str, metrics: Metrics, where: str, hint: str = "") -> float:
    if path not in metrics:
        raise UsageError(f"{where} has no metric {path!r}", hint=hint)
    value = metrics[path]
    if value is None:
        raise UsageError(f"{path} is unknown in {where}: a gate on it cannot be judged", hint=hint)
    return value
