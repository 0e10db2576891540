"""The sums of every cascade of up to three models, block by block."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, combinations

import numpy as np

from frugalctl.levers.cascade.search_sums import Scaled, below
from frugalctl.levers.cascade.table import Integers


@dataclass(frozen=True, slots=True)
class Numbers:
    """Every policy's number: by order of models, then by thresholds.

    Attributes:
        first: order of models -> the number of its first policy, rising.
        total: how many policies there are.
    """

    first: dict[tuple[int, ...], int]
    total: int

    @staticmethod
    def of(data: Scaled) -> Numbers:
        """Number the policies of a search."""
        orders = data.orders()
        ends = list(accumulate((math.prod(data.shape(order)) for order in orders), initial=0))
        return Numbers(dict(zip(orders, ends, strict=False)), ends[-1])

    def decode(
        self, data: Scaled, numbers: list[int]
    ) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
        """Each policy's order of models, and its thresholds."""
        orders, starts = list(self.first), list(self.first.values())
        found: list[tuple[tuple[int, ...], tuple[float, ...]]] = []
        for number in numbers:
            # an order without any policy starts where the next one does: the last is meant
            at = bisect_right(starts, number) - 1
            rest, thresholds = number - starts[at], list[float]()
            for model in orders[at][-2::-1]:
                rest, cell = divmod(rest, len(data.edges[model]))
                thresholds.append(float(data.edges[model][cell]))
            found.append((orders[at], tuple(reversed(thresholds))))
        return found


@dataclass(frozen=True, slots=True)
class Block:
    """The sums of some policies.

    Attributes:
        starts: int64[r], the number of the first policy of each row of the arrays; the others of
            the row follow it.
        cost: int64[r, thresholds...].
        loss: int64[r, thresholds...], the negative sum of qualities.
        latency: int64[r, thresholds...], with 0 for what is unknown.
        unknown: int64[r, thresholds...], how many calls are of unknown latency.
        late: int64[r, thresholds...], how many rows are not known to meet the limit.
    """

    starts: Integers
    cost: Integers
    loss: Integers
    latency: Integers
    unknown: Integers
    late: Integers


def policy_blocks(data: Scaled, numbers: Numbers) -> Iterator[Block]:
    """The sums of every policy of up to three calls, none left out."""
    yield _singles(data, numbers)
    if data.depth == 1:
        return
    for pair in combinations(range(len(data.models)), 2):
        sums = below(data, pair)
        for at in (0, 1):
            found = Pair.of(data, pair, sums, at)
            yield _two_calls(data, numbers, found)
            if data.depth > 2:
                yield _three_calls(data, numbers, found)


def _singles(data: Scaled, numbers: Numbers) -> Block:
    kinds, total = data.kinds, data.weights.sum(axis=0)
    latency = data.weights[:, kinds["latency"]]
    unknown = np.zeros_like(latency) if data.timed else data.weights[:, kinds["unknown"]]
    limit_ms = np.iinfo(np.int64).max if data.limit_ms is None else data.limit_ms
    return Block(
        np.arange(len(data.models)),
        total[kinds["cost"]],
        -total[kinds["quality"]],
        total[kinds["latency"]],
        unknown.sum(axis=0),
        ((latency > limit_ms) | (unknown > 0)).sum(axis=0),
    )


@dataclass(frozen=True, slots=True)
class Pair:
    """What models add on the rows that an ordered pair of models passes on.

    Attributes:
        first: the model that is called first.
        second: the other.
        first_late: the column of `late` that holds the first model's own flag.
        every: int64[w], over all rows.
        past: int64[w, k], over the rows below each threshold of the first.
        both: int64[w, k, l], over the rows below each threshold of both.
    """

    first: int
    second: int
    first_late: int
    every: Integers
    past: Integers
    both: Integers

    @staticmethod
    def of(data: Scaled, pair: tuple[int, int], sums: Integers, at: int) -> Pair:
        """The pair as `below` sums it, called from its model `at`."""
        view = sums.transpose(0, 2, 1) if at else sums
        first_late = data.weights.shape[1] + at
        both = view[:, :-1, :-1]
        return Pair(pair[at], pair[1 - at], first_late, view[:, -1, -1], view[:, :-1, -1], both)


def _two_calls(data: Scaled, numbers: Numbers, pair: Pair) -> Block:
    """The cascades (first, second)."""
    kinds, every, past = data.kinds, pair.every, pair.past
    quality, cost = kinds["quality"].start, kinds["cost"].start
    latency, unknown = kinds["latency"].start, kinds["unknown"].start
    a, b = pair.first, pair.second
    none = np.zeros_like(past[0])
    late = none
    if data.limit_ms is not None:
        own, after = pair.first_late, data.weights.shape[1] + 2
        late = every[own] + past[after] - past[own]
    sums = (
        every[cost + a] + past[cost + b],
        past[quality + a] - past[quality + b] - every[quality + a],
        every[latency + a] + past[latency + b] + data.score_ms * len(data),
        none if data.timed else every[unknown + a] + past[unknown + b],
        late,
    )
    return Block(np.array([numbers.first[a, b]]), *(array[None] for array in sums))


def _three_calls(data: Scaled, numbers: Numbers, pair: Pair) -> Block:
    """The cascades (first, second, c) for every other model c."""
    kinds, every, past, both = data.kinds, pair.every, pair.past[:, :, None], pair.both
    quality, cost = kinds["quality"].start, kinds["cost"].start
    latency, unknown = kinds["latency"].start, kinds["unknown"].start
    a, b = pair.first, pair.second
    last = np.array([c for c in range(len(data.models)) if c not in (a, b)], dtype=np.int64)
    none = np.zeros((len(last), *both.shape[1:]), dtype=np.int64)
    late = none
    if data.limit_ms is not None:
        own, scored = pair.first_late, data.weights.shape[1] + 3
        late = every[own] + past[scored] - past[own] + both[scored + 1 + last] - both[scored]
    passed = every[quality + a] + past[quality + b] - past[quality + a] - both[quality + b]
    scoring = data.score_ms * (len(data) + past[data.one])
    return Block(
        np.array([numbers.first[a, b, c] for c in last.tolist()], dtype=np.int64),
        every[cost + a] + past[cost + b] + both[cost + last],
        -passed - both[quality + last],
        every[latency + a] + past[latency + b] + scoring + both[latency + last],
        none if data.timed else every[unknown + a] + past[unknown + b] + both[unknown + last],
        late,
    )
