"""How sure a change between two reports is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from frugalctl.report.metrics import Body, Metrics, find_interval
from frugalctl.report.model import Interval

_CHANGES = {
    "recipe.cost_usd": ("baseline.cost_usd", "delta.cost_usd"),
    "recipe.quality.mean": ("baseline.quality.mean", "delta.quality"),
    "recipe.latency_ms.mean": ("baseline.latency_ms.mean", "delta.latency_ms_mean"),
}


def are_same_requests(base: Body, head: Body) -> bool:
    """Whether two reports are of one and the same input."""
    inputs = [body.get("origin", {}).get("input_xxh3") for body in (base, head)]
    return inputs[0] is not None and inputs[0] == inputs[1]


def estimate_change(path: str, base: Metrics, head: Metrics, *, same: bool) -> Interval | None:
    """The 95 % interval of a metric's change, None where a report has none of the metric.

    The distances of both intervals' ends from their estimates are squared and added (Zou and
    Donner 2008, "Construction of confidence limits about effect measures"), as if the samples
    were independent. Reports of the same requests are not: there, if both also share the
    baseline, it is `delta` that is compared, whose intervals are paired, request by request. What
    is left of the dependence makes the interval too wide, not too narrow.

    Args:
        path: of the metric.
        base: the metrics of the old report.
        head: of the new one.
        same: both are of the same requests.
    """
    baseline, delta = _CHANGES.get(path, ("", ""))
    if same and baseline and base.get(baseline) == head.get(baseline):
        path = delta
    old, new = _find_estimate(path, base), _find_estimate(path, head)
    if old is None or new is None:
        return None
    change = new.value - old.value
    return (
        change - math.sqrt(new.below * new.below + old.above * old.above),
        change + math.sqrt(new.above * new.above + old.below * old.below),
    )


@dataclass(frozen=True, slots=True)
class _Estimate:
    """A value, and how far the ends of its interval are below and above it."""

    value: float
    below: float
    above: float


def _find_estimate(path: str, metrics: Metrics) -> _Estimate | None:
    value, interval = metrics.get(path), find_interval(path, metrics)
    if value is None or interval is None:
        return None
    return _Estimate(value, max(value - interval[0], 0.0), max(interval[1] - value, 0.0))


def is_noise(change: float, interval: Interval | None) -> bool | None:
    """Whether there may be no change at all; None where that is unknown."""
    return None if interval is None else change != 0 and interval[0] <= 0 <= interval[1]
