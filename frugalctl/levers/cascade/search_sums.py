"""Sums over the rows below two or three thresholds, for all thresholds at once, exactly.

Quality, cost and latency are held as whole multiples of a power of two, so that sums are exact
in any order and two policies that do the same with every row tie exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.table import Floats, Integers, OutcomeTable

ROUTED_DEPTH = 3
"""Policies that try more models than this only ask."""

CHUNK_ROWS = 1 << 17
"""Rows that are sorted at a time: their weights stay near the processor."""

Small = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Scaled:
    """n rows and m models (sorted by name) as whole numbers.

    A step of a policy is a number: below m it asks that model, from m on it routes to the model
    that is m less.

    Attributes:
        models: m names.
        depth: the most models that a policy tries.
        edges: for each step its k thresholds, rising, all of them scores that occur.
        bins: uint16[steps, n], how many of the step's edges a score reaches; 0 for NaN.
        weights: int64[n, w]: m of quality, m of cost, m of latency (0 where unknown), a one, and
            unless `timed` m flags of unknown latency.
        shifts: quality, cost and latency are weights / 2^shift.
        timed: whether every latency is known.
        score_usd: what scoring an answer costs, scaled as the costs.
        score_ms: the time to score an answer, scaled as the latencies.
        route_ms: the time to score a question, likewise.
        limit_ms: scaled likewise; a row that takes longer is late. None without a limit.
    """

    models: tuple[str, ...]
    depth: int
    edges: tuple[Floats, ...]
    bins: Small
    weights: Integers
    shifts: tuple[int, int, int]
    timed: bool
    score_usd: int
    score_ms: int
    route_ms: int
    limit_ms: int | None

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def steps(self) -> range:
        """The numbers of all steps but a last one."""
        return range(len(self.edges))

    @property
    def kinds(self) -> dict[str, slice]:
        """The columns of `weights` by what they hold."""
        m = len(self.models)
        names = ("quality", "cost", "latency")
        found = {name: slice(at * m, (at + 1) * m) for at, name in enumerate(names)}
        return found | {"unknown": slice(3 * m + 1, 4 * m + 1)}

    @property
    def one(self) -> int:
        """The column of `weights` that counts rows."""
        return 3 * len(self.models)

    def routes(self, step: int) -> bool:
        """Whether a step routes."""
        return step >= len(self.models)

    def model_of(self, step: int) -> int:
        """The model that a step asks or routes to."""
        return step % len(self.models)

    def orders(self) -> list[tuple[int, ...]]:
        """Every order of steps up to the depth, the model that answers last at its end.

        Fewer models come first, then by the steps' numbers. There are no routes beyond
        `ROUTED_DEPTH`.
        """
        models = range(len(self.models))
        found: list[tuple[int, ...]] = [(model,) for model in models]
        for calls in range(2, self.depth + 1):
            steps = self.steps if calls <= ROUTED_DEPTH else models
            found += [
                (*first, last)
                for first in permutations(steps, calls - 1)
                for last in models
                if self.makes_sense((*first, last))
            ]
        return found

    def makes_sense(self, order: tuple[int, ...]) -> bool:
        """Whether no model is asked twice, or routed to after it was asked, or for nothing."""
        *first, last = order
        asked = [step for step in first if not self.routes(step)]
        if last in asked or (first and self.model_of(first[-1]) == last):
            return False
        routed = {self.model_of(step) for step in first if self.routes(step)}
        return routed.isdisjoint(asked)

    def shape(self, order: tuple[int, ...]) -> tuple[int, ...]:
        """How many thresholds each step but the last can have."""
        return tuple(len(self.edges[step]) for step in order[:-1])


def scale(
    table: OutcomeTable, judges: Judges, depth: int, bins: int, limit_ms: float | None
) -> Scaled:
    """Bin the scores and scale the figures of complete rows."""
    by_name = sorted(range(len(table.models)), key=lambda model: table.models[model])
    judged = [judges.scores] if judges.routes is None else [judges.scores, judges.routes]
    found = [bin_scores(scores[:, model], bins) for scores in judged for model in by_name]
    routed = judges.routes is not None
    depth = min(depth, len(table.models) + routed)
    quality, quality_shift = _whole(table.quality[:, by_name], depth)
    cost, cost_shift = _whole(table.cost_usd[:, by_name], depth, extra=judges.score_usd)
    latency_ms = table.latency_ms[:, by_name]
    unknown = np.isnan(latency_ms)
    timed = not unknown.any()
    extra_ms = judges.score_ms + judges.route_ms
    latency, latency_shift = _whole(np.where(unknown, 0.0, latency_ms), depth, extra=extra_ms)
    columns = [quality, cost, latency, np.ones((len(table), 1), dtype=np.int64)]
    return Scaled(
        models=tuple(table.models[model] for model in by_name),
        depth=depth,
        edges=tuple(edges for edges, _ in found),
        bins=np.stack([bins for _, bins in found]),
        weights=np.concatenate(columns if timed else [*columns, unknown], axis=1, dtype=np.int64),
        shifts=(quality_shift, cost_shift, latency_shift),
        timed=timed,
        score_usd=round(math.ldexp(judges.score_usd, cost_shift)),
        score_ms=round(math.ldexp(judges.score_ms, latency_shift)),
        route_ms=round(math.ldexp(judges.route_ms, latency_shift)),
        limit_ms=None if limit_ms is None else _scaled_limit(limit_ms, latency_shift),
    )


def _scaled_limit(limit_ms: float, shift: int) -> int:
    return 1 << 62 if math.isinf(limit_ms) else min(round(math.ldexp(limit_ms, shift)), 1 << 62)


def bin_scores(scores: Floats, bins: int) -> tuple[Floats, Small]:
    """At most `bins` thresholds at equal ranks of a model's scores, and where each score falls.

    Returns:
        float64[k] of rising thresholds that occur among the scores, and uint16[n]: how many of
        them a score reaches, 0 for NaN.
    """
    known = np.sort(scores[~np.isnan(scores)])
    edges = np.unique(known)
    if len(edges) > bins:
        edges = np.unique(known[np.arange(bins) * len(known) // bins])
    found = np.searchsorted(edges, scores, side="right")
    found[np.isnan(scores)] = 0
    return edges, found.astype(np.uint16)


def _whole(values: Floats, depth: int, extra: float = 0.0) -> tuple[Integers, int]:
    """Values as multiples of 2^-shift, the finest of which no sum over calls and rows overflows."""
    most = (float(np.abs(values).max(initial=0.0)) + extra) * len(values) * depth
    shift = 62 - math.frexp(most)[1] if most else 0
    return np.rint(np.ldexp(values, shift)).astype(np.int64), shift


def below(data: Scaled, steps: tuple[int, ...], extra: Integers | None = None) -> Integers:
    """Sums over the rows below a threshold of each of two or three steps.

    Args:
        data: the rows.
        steps: the two or three.
        extra: int64[n, e], more weights.

    Returns:
        int64[w + late + e, k1 + 1, k2 + 1, ...]: at (i, j, ...) the sum of each weight over the
        rows that reach neither edge i of the first step nor edge j of the second and so on; the
        last index of an axis leaves no row out. The columns of `late` are there with a limit.
    """
    shape = tuple(len(data.edges[step]) + 1 for step in steps)
    width = data.weights.shape[1] + (0 if extra is None else extra.shape[1])
    width += 0 if data.limit_ms is None else late_width(data, steps)
    total = np.zeros((math.prod(shape), width), dtype=np.int64)
    for start in range(0, len(data), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        parts = [data.weights[rows]]
        if data.limit_ms is not None:
            parts.append(late(data, steps, rows))
        if extra is not None:
            parts.append(extra[rows])
        weights = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        cell = np.ravel_multi_index(tuple(data.bins[step, rows] for step in steps), shape)
        _add_by_cell(total, cell.astype(np.min_scalar_type(len(total))), weights)
    found = np.ascontiguousarray(total.T).reshape(-1, *shape)
    for axis in range(1, found.ndim):
        np.cumsum(found, axis=axis, out=found)
    return found


def _add_by_cell(total: Integers, cell: NDArray[Any], weights: Integers) -> None:
    """Add each row's weights to its cell (sorting by cell keeps whole numbers whole)."""
    order = np.argsort(cell, kind="stable")
    cell = cell[order]
    first = np.flatnonzero(np.concatenate(([True], cell[1:] != cell[:-1])))
    total[cell[first]] += np.add.reduceat(weights[order], first, axis=0)


def late_width(data: Scaled, steps: tuple[int, ...]) -> int:
    """How many columns `late` has."""
    return 3 * len(steps) + 2 * len(data.models)


def late(data: Scaled, steps: tuple[int, ...], rows: slice) -> Integers:
    """Which rows are later than the limit, or of unknown latency, in policies with some steps.

    Returns:
        int64[rows, late] of 0 and 1: for each of the steps, if it answers first; if it answers
        last, not scored, after the others passed; if it answers after the others passed; then
        for each model of the table, if it answers last after all of the steps; and the same,
        if its answer is scored.
    """
    assert data.limit_ms is not None
    part = data.weights[rows]
    latency = part[:, data.kinds["latency"]]
    unknown = part[:, data.kinds["unknown"]] if not data.timed else np.zeros_like(latency)
    at = [data.model_of(step) for step in steps]
    routes = np.array([data.routes(step) for step in steps])
    routing = data.route_ms * int(routes.any())
    score_ms = np.where(routes, 0, data.score_ms)
    own, hidden = latency[:, at] + routing, unknown[:, at] > 0
    # a step that routes and passes takes nothing
    passing = np.where(routes, 0, latency[:, at] + score_ms)
    passed, lost = passing.sum(axis=1, keepdims=True), hidden & ~routes
    others, others_lost = own + passed - passing, hidden | _any_other(lost)
    further = latency + passed + routing
    further_lost = (unknown > 0) | lost.any(axis=1, keepdims=True)
    limit = data.limit_ms
    return np.concatenate(
        [
            (own + score_ms > limit) | hidden,
            (others > limit) | others_lost,
            (others + score_ms > limit) | others_lost,
            (further > limit) | further_lost,
            (further + data.score_ms > limit) | further_lost,
        ],
        axis=1,
        dtype=np.int64,
    )


def _any_other(flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """For each column, whether any other one is set."""
    return (flags.sum(axis=1, keepdims=True) - flags) > 0
