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

from frugalctl.levers.cascade.table import Floats, Integers, OutcomeTable

CHUNK_ROWS = 1 << 17
"""Rows that are sorted at a time: their weights stay near the processor."""

Small = NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Scaled:
    """n rows and m models (sorted by name) as whole numbers.

    Attributes:
        models: m names.
        depth: the most models that a policy calls.
        edges: for each model its k thresholds, rising, all of them scores that occur.
        bins: uint16[m, n], how many of the model's edges a score reaches; 0 for NaN.
        weights: int64[n, w]: m of quality, m of cost, m of latency (0 where unknown), a one, and
            unless `timed` m flags of unknown latency.
        shifts: quality, cost and latency are weights / 2^shift.
        timed: whether every latency is known.
        score_ms: the time to score an answer, scaled as the latencies.
        limit_ms: scaled likewise; a row that takes longer is late. None without a limit.
    """

    models: tuple[str, ...]
    depth: int
    edges: tuple[Floats, ...]
    bins: Small
    weights: Integers
    shifts: tuple[int, int, int]
    timed: bool
    score_ms: int
    limit_ms: int | None

    def __len__(self) -> int:
        return len(self.weights)

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

    def orders(self) -> list[tuple[int, ...]]:
        """Every order of models up to the depth: fewer models first, then by names."""
        numbers = range(len(self.models))
        return [
            order for calls in range(1, self.depth + 1) for order in permutations(numbers, calls)
        ]

    def shape(self, order: tuple[int, ...]) -> tuple[int, ...]:
        """How many thresholds each call but the last can have."""
        return tuple(len(self.edges[model]) for model in order[:-1])


def scale(
    table: OutcomeTable,
    scores: Floats,
    depth: int,
    bins: int,
    score_ms: float,
    limit_ms: float | None,
) -> Scaled:
    """Bin the scores and scale the figures of complete rows."""
    by_name = sorted(range(len(table.models)), key=lambda model: table.models[model])
    found = [bin_scores(scores[:, model], bins) for model in by_name]
    quality, quality_shift = _whole(table.quality[:, by_name], depth)
    cost, cost_shift = _whole(table.cost_usd[:, by_name], depth)
    latency_ms = table.latency_ms[:, by_name]
    unknown = np.isnan(latency_ms)
    timed = not unknown.any()
    latency, latency_shift = _whole(np.where(unknown, 0.0, latency_ms), depth, extra=score_ms)
    columns = [quality, cost, latency, np.ones((len(table), 1), dtype=np.int64)]
    return Scaled(
        models=tuple(table.models[model] for model in by_name),
        depth=min(depth, len(table.models)),
        edges=tuple(edges for edges, _ in found),
        bins=np.stack([bins for _, bins in found]),
        weights=np.concatenate(columns if timed else [*columns, unknown], axis=1, dtype=np.int64),
        shifts=(quality_shift, cost_shift, latency_shift),
        timed=timed,
        score_ms=round(math.ldexp(score_ms, latency_shift)),
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


def below(data: Scaled, models: tuple[int, ...], extra: Integers | None = None) -> Integers:
    """Sums over the rows below a threshold of each of two or three models.

    Args:
        data: the rows.
        models: the two or three.
        extra: int64[n, e], more weights.

    Returns:
        int64[w + late + e, k1 + 1, k2 + 1, ...]: at (i, j, ...) the sum of each weight over the
        rows that reach neither edge i of the first model nor edge j of the second and so on; the
        last index of an axis leaves no row out. The columns of `late` are there with a limit.
    """
    shape = tuple(len(data.edges[model]) + 1 for model in models)
    width = data.weights.shape[1] + (0 if extra is None else extra.shape[1])
    width += 0 if data.limit_ms is None else late_width(data, models)
    total = np.zeros((math.prod(shape), width), dtype=np.int64)
    for start in range(0, len(data), CHUNK_ROWS):
        rows = slice(start, start + CHUNK_ROWS)
        parts = [data.weights[rows]]
        if data.limit_ms is not None:
            parts.append(late(data, models, rows))
        if extra is not None:
            parts.append(extra[rows])
        weights = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        cell = np.ravel_multi_index(tuple(data.bins[model, rows] for model in models), shape)
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


def late_width(data: Scaled, models: tuple[int, ...]) -> int:
    """How many columns `late` has."""
    return len(models) + 2 + 2 * len(data.models)


def late(data: Scaled, models: tuple[int, ...], rows: slice) -> Integers:
    """Which rows are later than the limit, or of unknown latency, after calls of some models.

    Returns:
        int64[rows, late] of 0 and 1: after each of the models alone, scored; after all of them,
        the last not scored; after all of them, scored; then for each model of the table after
        all of these and that one, not scored; and the same, scored.
    """
    assert data.limit_ms is not None
    part = data.weights[rows]
    latency = part[:, data.kinds["latency"]]
    unknown = part[:, data.kinds["unknown"]] if not data.timed else np.zeros_like(latency)
    at = list(models)
    known = latency[:, at].sum(axis=1, keepdims=True) + len(at) * data.score_ms
    hidden = unknown[:, at].any(axis=1, keepdims=True)
    further = hidden | (unknown > 0)
    return np.concatenate(
        [
            (latency[:, at] + data.score_ms > data.limit_ms) | (unknown[:, at] > 0),
            (known - data.score_ms > data.limit_ms) | hidden,
            (known > data.limit_ms) | hidden,
            (known + latency > data.limit_ms) | further,
            (known + latency + data.score_ms > data.limit_ms) | further,
        ],
        axis=1,
        dtype=np.int64,
    )
