"""The 95 % intervals of a report: of both sides, of their difference, of each lever's step."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from frugalctl.replay.ledger import Floats, LedgerBatch, Mask, Side
from frugalctl.report.bootstrap import ClusterSums, bootstrap_means
from frugalctl.report.groups import PICOS
from frugalctl.report.model import Interval

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Intervals:
    """Of the total cost and of the means of quality and latency; None where unknown."""

    cost_usd: Interval | None
    quality: Interval | None
    latency_ms: Interval | None


@dataclass(slots=True)
class Spread:
    """How cost, quality and latency of a side, or of a change, differ between sessions.

    Money is in whole pico-dollars, whose sums do not depend on the order.
    """

    cost_picos: ClusterSums = field(default_factory=ClusterSums)
    quality: ClusterSums = field(default_factory=ClusterSums)
    latency_ms: ClusterSums = field(default_factory=ClusterSums)

    def add(
        self, clusters: Numbers, covered: Mask, priced: Mask, side: Side, less: Side | None = None
    ) -> None:
        """Add a batch's side, or the difference between it and another."""
        picos, quality, latency_ms = _to_picos(side.cost_usd), side.quality, side.latency_ms
        if less is not None:
            picos = picos - _to_picos(less.cost_usd)
            quality = quality - less.quality
            latency_ms = latency_ms - less.latency_ms
        self.cost_picos.add(clusters[priced], picos[priced])
        self.quality.add(clusters[covered], quality[covered])
        self.latency_ms.add(clusters[covered], latency_ms[covered])


@dataclass(slots=True)
class StepSpread:
    """How what each lever saves differs between sessions."""

    levers: dict[str, ClusterSums] = field(default_factory=dict[str, ClusterSums])

    def add(self, clusters: Numbers, priced: Mask, batch: LedgerBatch) -> None:
        """Add a batch's steps: what a request costs before and after each lever."""
        before = _to_picos(batch.baseline.cost_usd)
        for lever, cost_usd in batch.after.items():
            now = _to_picos(cost_usd)
            sums = self.levers.setdefault(lever, ClusterSums())
            sums.add(clusters[priced], (before - now)[priced])
            before = now


def estimate_intervals(
    baseline: Spread,
    recipe: Spread | None,
    change: Spread,
    steps: StepSpread,
    priced: int,
    seed: int,
) -> tuple[Intervals, Intervals, Intervals, dict[str, Interval | None]]:
    """Bootstrap the intervals of a report.

    Args:
        baseline: the baseline's spread.
        recipe: the recipe's; None where it is the baseline.
        change: of the differences between them, request by request.
        steps: of what the levers save.
        priced: how many requests the costs are over; totals are of as many requests.
        seed: of the draws.

    Returns:
        The intervals of the baseline, of the recipe, of the change and of each lever's step.
    """
    sides = [baseline] if recipe is None else [baseline, recipe, change]
    quality = bootstrap_means([side.quality for side in sides], seed)
    others = [side.cost_picos for side in sides] + [side.latency_ms for side in sides]
    means = bootstrap_means(others + list(steps.levers.values()), seed)
    cost = [_to_total(interval, priced) for interval in means[: len(sides)]]
    latency_ms = means[len(sides) : 2 * len(sides)]
    found = [Intervals(*parts) for parts in zip(cost, quality, latency_ms, strict=True)]
    if recipe is None:
        found += [found[0], _no_change(found[0])]
    saved = [_to_total(interval, priced) for interval in means[2 * len(sides) :]]
    return found[0], found[1], found[2], dict(zip(steps.levers, saved, strict=True))


def _no_change(intervals: Intervals) -> Intervals:
    nothing = (0.0, 0.0)
    return Intervals(
        cost_usd=nothing if intervals.cost_usd else None,
        quality=nothing if intervals.quality else None,
        latency_ms=nothing if intervals.latency_ms else None,
    )


def _to_picos(cost_usd: Floats) -> Floats:
    return np.rint(cost_usd * PICOS)


def _to_total(interval: Interval | None, priced: int) -> Interval | None:
    """The interval of a sum over as many requests, in USD, of that of a mean in pico-dollars."""
    if interval is None:
        return None
    return (interval[0] * priced / PICOS, interval[1] * priced / PICOS)
