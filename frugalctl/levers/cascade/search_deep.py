"""Cascades of four models, without those that cannot be on the front.

There are about 64 times as many as of three per order, so a lossless bound goes first. Whatever
the third threshold, a cascade (a, b, c, d) costs and takes at least what (a, b) and the calls of c
do, and its quality on the rows that reach c is at most that of the better of c's and d's answer,
row by row. Where a policy of the front beats these bounds, no third threshold is looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from frugalctl.levers.cascade.search_blocks import Block, Numbers
from frugalctl.levers.cascade.search_sums import Scaled, below
from frugalctl.levers.cascade.table import Integers, Mask


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What policies (a, b, c, d) reach at best, for every d and every threshold of a and b.

    Attributes:
        last: int64[d], the models d.
        best: what they have at least, of cost, loss, latency, unknown and late [d, k, l].
        loss: int64[k, l], the negative qualities if c answers all that reaches it.
    """

    last: Integers
    best: Block
    loss: Integers


def deep_blocks(data: Scaled, numbers: Numbers, allows: Callable[[Block], Mask]) -> Iterator[Block]:
    """The sums of every policy of four calls that may be on the front.

    Args:
        data: the rows.
        numbers: of the policies.
        allows: whether policies with at least these figures may be on the front. It is asked
            anew for each set of three models, so it may grow stricter.
    """
    models = range(len(data.models))
    quality = data.weights[:, data.kinds["quality"]]
    pairs = list(combinations(models, 2))
    better = np.stack([np.maximum(quality[:, c], quality[:, d]) for c, d in pairs], axis=1)
    column = {pair: -len(pairs) + at for at, pair in enumerate(pairs)}
    passed = {pair: below(data, pair, better) for pair in pairs}
    for three in combinations(models, 3):
        sums: Integers | None = None
        for order in permutations(three):
            bounds = _bound(data, numbers, order, passed, column)
            kept = allows(bounds.best)
            if not kept.any():
                continue
            sums = below(data, three) if sums is None else sums
            axes = (0, *(1 + three.index(model) for model in order))
            yield _four_calls(data, order, bounds, kept, sums.transpose(axes))


def _bound(
    data: Scaled,
    numbers: Numbers,
    order: tuple[int, ...],
    passed: dict[tuple[int, ...], Integers],
    column: dict[tuple[int, ...], int],
) -> _Bounds:
    a, b, c = order
    swapped = a > b
    view = passed[b, a].transpose(0, 2, 1) if swapped else passed[a, b]
    every, past, both = view[:, -1, -1], view[:, :-1, -1:], view[:, :-1, :-1]
    cost, quality, latency, unknown = (
        data.kinds[name].start for name in ("cost", "quality", "latency", "unknown")
    )
    last = np.array([d for d in range(len(data.models)) if d not in order], dtype=np.int64)
    best = np.array([column[min(c, d), max(c, d)] for d in last.tolist()], dtype=np.int64)
    answered = every[quality + a] + past[quality + b] - past[quality + a] - both[quality + b]
    late = np.zeros_like(both[0])
    if data.limit_ms is not None:
        start = data.weights.shape[1]
        own, middle = start + int(swapped), start + 5 - int(swapped)
        after = start + 6 + len(data.models) + c
        late = every[own] + past[middle] - past[own] + both[after] - both[middle]
    scored = len(data) + past[data.one] + both[data.one]
    shape = (len(last), *both.shape[1:])
    sums = (
        np.broadcast_to(
            every[cost + a] + past[cost + b] + both[cost + c] + data.score_usd * scored, shape
        ),
        -answered - both[best],
        np.broadcast_to(
            every[latency + a] + past[latency + b] + both[latency + c] + data.score_ms * scored,
            shape,
        ),
        np.zeros(shape, dtype=np.int64)
        if data.timed
        else np.broadcast_to(every[unknown + a] + past[unknown + b] + both[unknown + c], shape),
        np.broadcast_to(late, shape),
    )
    starts = np.array([numbers.first[*order, d] for d in last.tolist()], dtype=np.int64)
    return _Bounds(last, Block(starts, *sums), -answered - both[quality + c])


def _four_calls(
    data: Scaled, order: tuple[int, ...], bounds: _Bounds, kept: Mask, sums: Integers
) -> Block:
    """The cascades (a, b, c, d) for the d and the thresholds of a and b that are kept."""
    of_last, i, j = np.nonzero(kept)
    d, c = bounds.last[of_last], order[2]
    third = len(data.edges[c])
    cost, quality, latency, unknown = (
        data.kinds[name].start for name in ("cost", "quality", "latency", "unknown")
    )
    best, at = bounds.best, (of_last, i, j)
    late = np.zeros((len(d), third), dtype=np.int64)
    if data.limit_ms is not None:
        # when all three are asked, it does not matter which of them answers: all were called
        start, scored = data.weights.shape[1] + 9, data.weights.shape[1] + 6
        added = sums[start + d, i, j, :third] - sums[scored, i, j, :third]
        late = best.late[at][:, None] + added
    gained = sums[quality + d, i, j, :third] - sums[quality + c, i, j, :third]
    return Block(
        best.starts[of_last] + (i * len(data.edges[order[1]]) + j) * third,
        best.cost[at][:, None] + sums[cost + d, i, j, :third],
        bounds.loss[i, j][:, None] - gained,
        best.latency[at][:, None] + sums[latency + d, i, j, :third],
        np.zeros_like(late)
        if data.timed
        else best.unknown[at][:, None] + sums[unknown + d, i, j, :third],
        late,
    )
