"""How much a metric changed between two reports, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from frugalctl.report.metrics import Body, Metrics, find_interval, list_metrics
from frugalctl.report.model import Interval

_PAIRED = {
    "recipe.cost_usd": ("baseline.cost_usd", "delta.cost_usd", "log.priced"),
    "recipe.quality.mean": ("baseline.quality.mean", "delta.quality", "delta.quality_n"),
    "recipe.latency_ms.mean": (
        "baseline.latency_ms.mean",
        "delta.latency_ms_mean",
        "delta.latency_ms_mean_n",
    ),
}
_TOTALS = {
    "recipe.cost_usd": "log.priced",
    "recipe.quality.mean": "recipe.quality.n",
    "recipe.latency_ms.mean": "recipe.latency_ms.n",
}
_DIGITS = 12
_ROUNDING = 1e-8


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much a metric changed.

    Attributes:
        amount: new minus old.
        base: the old value, which a percentage is of.
        interval: the 95 % interval of the amount, None where it is unknown.
        pairs: how many requests are compared one by one; None where the two values are compared,
            and the interval is that of independent samples.
    """

    amount: float
    base: float
    interval: Interval | None
    pairs: int | None = None

    @property
    def noise(self) -> bool | None:
        """Whether there may be no change at all; None where that is unknown."""
        return is_noise(self.amount, self.interval)

    @property
    def percent(self) -> float | None:
        """The amount in percent of the size of the old value; None where that is too small."""
        percent = 100 * self.amount / abs(self.base) if self.base else math.nan
        return percent if math.isfinite(percent) else None

    @property
    def percent_interval(self) -> Interval | None:
        """The interval in the same percent; None where it or they are unknown."""
        if self.interval is None or self.percent is None:
            return None
        scale = 100 / abs(self.base)
        ends = self.interval[0] * scale, self.interval[1] * scale
        return ends if all(map(math.isfinite, ends)) else None


Pairs = Mapping[str, Estimate]
"""The metrics whose change is known request by request."""


def pair_reports(base: Body, head: Body) -> dict[str, Estimate]:
    """The changes that are known request by request, though the reports hold totals alone.

    Each report has the paired change from its baseline to its recipe. Where both are of the same
    input and baseline, and all requests that count are paired, the difference of the two is the
    change from recipe to recipe. Its interval is that of independent changes; what they have in
    common makes it too wide, not too narrow. A report whose figures do not add up was changed by
    hand, and pairs nothing of these.
    """
    if not _are_same_requests(base, head):
        return {}
    old, new = list_metrics(base), list_metrics(head)
    found: dict[str, Estimate] = {}
    for path, (baseline, delta, count) in _PAIRED.items():
        value, counts = old.get(path), (old.get(count), new.get(count))
        change = _compare(delta, old, new)
        if None in (value, change, *counts) or old.get(baseline) != new.get(baseline):
            continue
        if not all(_is_whole(path, one) and _adds_up(path, one) for one in (old, new)):
            continue
        assert value is not None and change is not None
        pairs = min(int(one) for one in counts if one is not None)
        found[path] = Estimate(round(change.amount, _DIGITS), value, change.interval, pairs)
    return found


def find_altered(body: Body) -> list[str]:
    """The metrics of a report that are not its baseline plus its change."""
    known = list_metrics(body)
    return [path for path in _PAIRED if _is_whole(path, known) and not _adds_up(path, known)]


def _is_whole(path: str, known: Metrics) -> bool:
    """Whether a report's pairs are all of the requests that the figures of both sides are over.

    Costs always are over the same requests. Means are where the three counts agree.
    """
    baseline, _, count = _PAIRED[path]
    stems = [name.removesuffix("mean") for name in (baseline, path) if name.endswith("mean")]
    return all(known.get(f"{stem}n") == known.get(count) for stem in stems)


def _adds_up(path: str, known: Metrics) -> bool:
    """Whether a recipe's figure is its baseline plus the change, as far as reports round them."""
    baseline, delta, _ = _PAIRED[path]
    parts = [known.get(name) for name in (baseline, delta, path)]
    old, change, new = (math.nan if part is None else part for part in parts)
    slack = 5e-9 if path.endswith("mean") else 5e-12
    return not abs(old + change - new) > slack + _ROUNDING * abs(old)  # also where one is unknown


def _are_same_requests(base: Body, head: Body) -> bool:
    """Whether two reports are of one and the same input."""
    inputs = [body.get("origin", {}).get("input_xxh3") for body in (base, head)]
    return inputs[0] is not None and inputs[0] == inputs[1]


def estimate_change(path: str, base: Metrics, head: Metrics, pairs: Pairs) -> Estimate | None:
    """How much a metric changed, None where a report does not know it.

    Args:
        path: of the metric.
        base: the metrics of the old report.
        head: of the new one.
        pairs: the changes that are known request by request.
    """
    return pairs.get(path) or _compare(path, base, head)


def is_partial(path: str, pairs: int | None, base: Metrics, head: Metrics) -> bool:
    """Whether a change is over fewer requests than one of the two values that stand beside it."""
    totals = [metrics.get(_TOTALS.get(path, "")) for metrics in (base, head)]
    return pairs is not None and any(total is not None and pairs < total for total in totals)


def _compare(path: str, base: Metrics, head: Metrics) -> Estimate | None:
    """The change between two independent values.

    The distances of both intervals' ends from their estimates are squared and added (Zou and
    Donner 2008, "Construction of confidence limits about effect measures").
    """
    old, new = base.get(path), head.get(path)
    if old is None or new is None:
        return None
    change, interval = new - old, None
    before, after = find_interval(path, base), find_interval(path, head)
    if before is not None and after is not None:
        below = math.hypot(max(new - after[0], 0.0), max(before[1] - old, 0.0))
        above = math.hypot(max(after[1] - new, 0.0), max(old - before[0], 0.0))
        interval = (change - below, change + above)
    return Estimate(change, old, interval)


def is_noise(change: float, interval: Interval | None) -> bool | None:
    """Whether there may be no change at all; None where that is unknown."""
    return None if interval is None else change != 0 and interval[0] <= 0 <= interval[1]
