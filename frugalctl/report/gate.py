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
    list_metrics,
    refuse_metric,
    resolve_metric,
)
from frugalctl.report.model import Interval
from frugalctl.report.noise import are_same_requests, estimate_change, is_noise

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
    r"(?P<sign>[+-]?)(?P<number>\d++(?:\.\d*+)?(?:[eE][+-]?\d++)?|\.\d++)\s*+(?P<percent>%?)\s*+"
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
    """

    text: str
    metric: str
    operator: str
    value: float
    relative: bool
    percent: bool
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate found.

    Attributes:
        gate: the gate.
        metric: the metric's full path.
        base: its value in the base report, None where that was not needed or is new.
        head: its value now.
        compared: the number that was compared: the value, the change, or the percentage; None
            where there is nothing to compare with.
        interval: the 95 % interval of a change, in the unit of `compared`; None where unknown.
        noise: whether the interval holds no change at all; None where there is no interval.
        status: "passed", "failed", "noise" (it came true within noise, which was to be ignored)
            or "new" (the base report lacks the metric, which was to be allowed).
    """

    gate: Gate
    metric: str
    base: float | None
    head: float
    compared: float | None
    interval: Interval | None
    noise: bool | None
    status: str

    @property
    def failed(self) -> bool:
        """Whether the expression came true and counts."""
        return self.status == "failed"


def parse_gate(text: str, name: str | None = None) -> Gate:
    """Parse an expression.

    Raises:
        UsageError: it is not of the grammar, a percentage has no sign, or is of a `delta`.
    """
    found = _EXPRESSION.fullmatch(text)
    if not found or math.isinf(float(found["number"])):
        raise UsageError(f"not a gate: {text!r}", hint="write 'cost_usd > +5%' or 'quality < 0.8'")
    sign, percent, metric = found["sign"], bool(found["percent"]), found["metric"].strip()
    if percent and not sign:
        raise UsageError(
            f"a percentage is a change and needs a sign: {text!r}",
            hint=f"write '{metric} {found['operator']} +{found['number']}%'",
        )
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
        name=name,
    )


def require_base(gates: Sequence[Gate]) -> None:
    """Refuse gates on a change where there is no base report.

    Raises:
        UsageError: there is one.
    """
    for gate in gates:
        if gate.relative:
            raise UsageError(
                f"{gate.text!r} compares with a base report", hint="--baseline base.json"
            )


def judge_gates(
    gates: Sequence[Gate],
    head: Body,
    base: Body | None,
    *,
    allow_new: bool = False,
    ignore_noise: bool = False,
) -> tuple[Verdict, ...]:
    """Evaluate gates.

    Args:
        gates: the gates.
        head: the report to judge.
        base: the report to compare with; needed by gates on a change.
        allow_new: a gate on a change of what the base report lacks is no error.
        ignore_noise: a change within noise does not fail.

    Raises:
        UsageError: a metric is unknown, or has no value, in either report; no base report where
            one is needed; a percentage of zero.
    """
    if base is None:
        require_base(gates)
    now, before = list_metrics(head), list_metrics(base or {})
    same = base is not None and are_same_requests(base, head)
    return tuple(
        _judge_change(gate, now, before, same, allow_new, ignore_noise)
        if gate.relative
        else _judge_value(gate, now, before, ignore_noise)
        for gate in gates
    )


def _judge_value(gate: Gate, now: Metrics, before: Metrics, ignore_noise: bool) -> Verdict:
    path = _find(gate, now, before)
    value = _read(path, now, "the report")
    interval = find_interval(path, now) if path.startswith("delta.") else None
    return _decide(gate, path, None, value, value, interval, ignore_noise)


def _judge_change(
    gate: Gate, now: Metrics, before: Metrics, same: bool, allow_new: bool, ignore_noise: bool
) -> Verdict:
    path = _find(gate, now, before)
    head = _read(path, now, "the report")
    if allow_new and before.get(path) is None:
        return Verdict(gate, path, None, head, None, None, None, "new")
    base = _read(path, before, "the base report", hint="--allow-new lets what is new pass")
    change, interval = head - base, estimate_change(path, before, now, same=same)
    if gate.percent:
        change = _percent(change, base, gate)
        scale = 100 / abs(base) if base else math.nan
        interval = (interval[0] * scale, interval[1] * scale) if interval and base else None
    return _decide(gate, path, base, head, change, interval, ignore_noise)


def _decide(
    gate: Gate,
    path: str,
    base: float | None,
    head: float,
    compared: float,
    interval: Interval | None,
    ignore_noise: bool,
) -> Verdict:
    noise = is_noise(compared, interval)
    status = "passed"
    if _OPERATORS[gate.operator](compared, gate.value):
        status = "noise" if noise and ignore_noise else "failed"
    return Verdict(gate, path, base, head, compared, interval, noise, status)


def _find(gate: Gate, now: Metrics, before: Metrics) -> str:
    path = resolve_metric(gate.metric, now)
    if path is not None:
        return path
    gone = resolve_metric(gate.metric, before)
    if gone is not None:
        raise UsageError(
            f"{gone} is in the base report, and not in this one: {gate.text!r} cannot be judged",
            hint="drop the gate if it is gone for good",
        )
    raise refuse_metric(gate.metric, now)


def _percent(change: float, before: float, gate: Gate) -> float:
    if before == 0:
        if change == 0:
            return 0.0
        raise UsageError(
            f"{gate.text!r}: the base is 0, so its change has no percentage",
            hint=f"gate on the amount: '{gate.metric} {gate.operator} +1'",
        )
    return 100 * change / abs(before)


def _read(path: str, metrics: Metrics, where: str, hint: str = "") -> float:
    if path not in metrics:
        raise UsageError(f"{where} has no metric {path!r}", hint=hint)
    value = metrics[path]
    if value is None:
        raise UsageError(f"{path} is unknown in {where}: a gate on it cannot be judged", hint=hint)
    return value
