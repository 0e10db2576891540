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
    """Every policy's number: by order of steps, then by thresholds.

    Attributes:
        first: order of steps -> the number of its first policy, rising.
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
        """Each policy's order of steps, and its thresholds."""
        orders, starts = list(self.first), list(self.first.values())
        found: list[tuple[tuple[int, ...], tuple[float, ...]]] = []
        for number in numbers:
            # an order without any policy starts where the next one does: the last is meant
            at = bisect_right(starts, number) - 1
            rest, thresholds = number - starts[at], list[float]()
            for step in orders[at][-2::-1]:
                rest, cell = divmod(rest, len(data.edges[step]))
                thresholds.append(float(data.edges[step][cell]))
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
    """The sums of every policy of up to three models, none left out."""
    yield _singles(data, numbers)
    if data.depth == 1:
        return
    for steps in combinations(data.steps, 2):
        if data.model_of(steps[0]) == data.model_of(steps[1]):
            continue
        sums = below(data, steps)
        for at in (0, 1):
            found = Pair.of(data, steps, sums, at)
            if not data.routes(found.second):
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
    """What models add on the rows that an ordered pair of steps passes on.

    Attributes:
        first: the step that is tried first.
        second: the other.
        late: the columns of `late`: if the first answers, if the second does and is the last,
            if it does and is scored, and that of model 0 after both.
        every: int64[w], over all rows.
        past: int64[w, k], over the rows below each threshold of the first.
        both: int64[w, k, l], over the rows below each threshold of both.
    """

    first: int
    second: int
    late: tuple[int, int, int, int]
    every: Integers
    past: Integers
    both: Integers

    @staticmethod
    def of(data: Scaled, steps: tuple[int, int], sums: Integers, at: int) -> Pair:
        """The pair as `below` sums it, called from its step `at`."""
        view = sums.transpose(0, 2, 1) if at else sums
        start, other = data.weights.shape[1], 1 - at
        late = (start + at, start + 2 + other, start + 4 + other, start + 6)
        both = view[:, :-1, :-1]
        return Pair(steps[at], steps[other], late, view[:, -1, -1], view[:, :-1, -1], both)


def _two_calls(data: Scaled, numbers: Numbers, pair: Pair) -> Block:
    """The policies (first, second), the second answering last."""
    kinds, every, past = data.kinds, pair.every, pair.past
    a, b = data.model_of(pair.first), data.model_of(pair.second)
    routed = data.routes(pair.first)
    none = np.zeros_like(past[0])

    def total(kind: str, charge: int) -> Integers:
        """What the calls add up to: a route that passes on makes none."""
        first, second = kinds[kind].start + a, kinds[kind].start + b
        if routed:
            return every[first] - past[first] + past[second]
        return every[first] + charge * len(data) + past[second]

    quality = kinds["quality"].start
    late = none
    if data.limit_ms is not None:
        own, last = pair.late[:2]
        late = every[own] - past[own] + past[last]
    routing = data.route_ms * len(data) if routed else 0
    sums = (
        total("cost", data.score_usd),
        past[quality + a] - past[quality + b] - every[quality + a],
        total("latency", data.score_ms) + routing,
        none if data.timed else total("unknown", 0),
        late,
    )
    number = numbers.first[pair.first, b]
    return Block(np.array([number]), *(array[None] for array in sums))


def _three_calls(data: Scaled, numbers: Numbers, pair: Pair) -> Block:
    """The policies (first, second, c) for every model c that makes sense."""
    kinds, every, past, both = data.kinds, pair.every, pair.past[:, :, None], pair.both
    a, b = data.model_of(pair.first), data.model_of(pair.second)
    steps = (pair.first, pair.second)
    models = range(len(data.models))
    last = np.array([c for c in models if data.makes_sense((*steps, c))], dtype=np.int64)
    none = np.zeros((len(last), *both.shape[1:]), dtype=np.int64)

    def total(kind: str, charge: int) -> Integers:
        first, second, third = (kinds[kind].start + model for model in (a, b, last))
        if data.routes(pair.first):
            found = every[first] - past[first]
        else:
            found = every[first] + charge * len(data)
        if data.routes(pair.second):
            found = found + past[second] - both[second]
        else:
            found = found + past[second] + charge * past[data.one]
        return found + both[third]

    quality = kinds["quality"].start
    late = none
    if data.limit_ms is not None:
        own, _, middle, after = pair.late
        late = every[own] - past[own] + past[middle] - both[middle] + both[after + last]
    answered = every[quality + a] - past[quality + a] + past[quality + b] - both[quality + b]
    routing = data.route_ms * len(data) if any(map(data.routes, steps)) else 0
    return Block(
        np.array([numbers.first[*steps, c] for c in last.tolist()], dtype=np.int64),
        np.broadcast_to(total("cost", data.score_usd), none.shape),
        -answered - both[quality + last],
        np.broadcast_to(total("latency", data.score_ms) + routing, none.shape),
        none if data.timed else total("unknown", 0),
        late,
    )
