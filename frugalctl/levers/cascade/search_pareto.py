"""Pareto-optimal points of three whole numbers that are all to be small."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frugalctl.levers.cascade.table import Integers, Mask

LEAF_POINTS = 48
"""So few points are compared with each other directly."""

SCREEN_EDGES = 256
"""Distinct costs, and latencies, that a screen rounds to."""
_EARLIER = np.triu(np.ones((LEAF_POINTS, LEAF_POINTS), dtype=np.bool_), k=1)


def pareto(points: Integers) -> Integers:
    """The points that no other point equals or beats in all three coordinates.

    Of equal points the one with the least fourth column stays. Source: Kung, Luccio, Preparata,
    "On finding the maxima of a set of vectors" (1975): halves by the first coordinate, then the
    better half sweeps the other.

    Args:
        points: int64[k, 4 or more]: three coordinates and a number that breaks ties.

    Returns:
        int64[p], indices in the order of the coordinates.
    """
    order = np.lexsort(points[:, 3::-1].T)
    rows = points[order, :3]
    fresh = np.ones(len(rows), dtype=np.bool_)
    fresh[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    order, rows = order[fresh], rows[fresh]
    return order[_undominated(rows[:, 1], rows[:, 2], np.arange(len(rows)))]


def _undominated(loss: Integers, latency: Integers, at: Integers) -> Integers:
    """Of distinct points `at`, sorted by cost first, those that none before them dominates."""
    if len(at) <= LEAF_POINTS:
        beaten = (loss[at][:, None] <= loss[at]) & (latency[at][:, None] <= latency[at])
        return at[~(beaten & _EARLIER[: len(at), : len(at)]).any(axis=0)]
    half = len(at) // 2
    left = _undominated(loss, latency, at[:half])
    right = _undominated(loss, latency, at[half:])
    by_loss = left[np.argsort(loss[left], kind="stable")]
    least = np.minimum.accumulate(latency[by_loss])
    worse_than = np.searchsorted(loss[by_loss], loss[right], side="right")
    beaten = (worse_than > 0) & (least[worse_than - 1] <= latency[right])
    return np.concatenate([left, right[~beaten]])


@dataclass(frozen=True, slots=True)
class Screen:
    """Drops most points that a front dominates, and none that it does not.

    Attributes:
        costs: int64[x], rising.
        latencies: int64[y], rising.
        least_loss: int64[x, y], over the front's points that cost less than `costs[x]` and take
            at most `latencies[y]`.
    """

    costs: Integers
    latencies: Integers
    least_loss: Integers

    def keeps(self, cost: Integers, loss: Integers, latency: Integers) -> Mask:
        """Whether each point may belong to the front; the arrays have one shape."""
        if not len(self.costs):
            return np.ones(cost.shape, dtype=np.bool_)
        x = np.searchsorted(self.costs, cost, side="right") - 1
        y = np.searchsorted(self.latencies, latency, side="right") - 1
        # a point below the first edges meets index -1, the last: it is kept by hand
        return (self.least_loss[x, y] > loss) | (x < 0) | (y < 0)


def build_screen(points: Integers) -> Screen:
    """The screen of a front int64[p, 3 or more] of cost, loss and latency."""
    cost, loss, latency = points[:, 0], points[:, 1], points[:, 2]
    costs, latencies = _edges(cost), _edges(latency)
    least = np.full((len(costs) + 1, len(latencies) + 1), np.iinfo(np.int64).max)
    x = np.searchsorted(costs, cost, side="right")
    y = np.searchsorted(latencies, latency, side="left")
    np.minimum.at(least, (x, y), loss)
    np.minimum.accumulate(least, axis=0, out=least)
    np.minimum.accumulate(least, axis=1, out=least)
    return Screen(costs, latencies, np.ascontiguousarray(least[:-1, :-1]))


def _edges(values: Integers) -> Integers:
    distinct = np.unique(values)
    if len(distinct) <= SCREEN_EDGES:
        return distinct
    return distinct[np.arange(SCREEN_EDGES) * len(distinct) // SCREEN_EDGES]
