"""Exact nearest neighbours by a tiled matrix product.

Next to the product everything else has to be cheap. Only the maximum of each block of rows is
looked at for every query; a block is opened when its maximum may still belong to the k best,
which after the first tiles few do. What is left is scored again in double precision, so the
answer depends neither on the tiles, nor on the other queries, nor on the number of threads.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32] | NDArray[np.int8]
Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Candidates = tuple[Rows, Rows, Floats]

BLOCK_ROWS = 64
_TILE_SCORES = 1 << 21
_TILE_ROWS = (1024, 65536)
_INT8_TILE_ROWS = 8192
_QUERIES = 512
_MOST_CANDIDATES = 1 << 20
_EXACT_ROWS = 1 << 15
_NOTHING: Candidates = (
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.int64),
    np.empty(0, dtype=np.float32),
)
_HALF_ULP = 2.0**-24


def find_nearest(
    queries: Floats,
    vectors: Vectors,
    k: int,
    *,
    norms: Floats | None = None,
    alive: Mask | None = None,
    tile_rows: int | None = None,
) -> tuple[Rows, Floats]:
    """The k rows whose dot product with each query is largest; of equal ones the lower row.

    Args:
        queries: float32[q, d], of length 1 or 0.
        vectors: float32[n, d] of length at most 1, or int8[n, d].
        k: how many, at least 1.
        norms: float32[n], what the products of each row are divided by (the lengths of int8
            rows); None for 1.
        alive: bool[n], which rows may be found; None for all.
        tile_rows: rows in a tile; by default what fits the processor's cache.

    Returns:
        int64[q, k] rows and float32[q, k] products, best first; -1 and -inf where there are not
        so many rows.
    """
    found = np.full((len(queries), k), -1, dtype=np.int64)
    cosines = np.full((len(queries), k), -np.inf, dtype=np.float32)
    with _one_thread() if len(queries) == 1 else nullcontext():
        for start in range(0, len(queries), _QUERIES):
            part = slice(start, start + _QUERIES)
            batch = np.ascontiguousarray(queries[part], dtype=np.float32)
            search = _Search(batch, vectors, k, norms, alive)
            search.run(tile_rows or _choose_tile(len(batch), vectors.dtype))
            search.write(found[part], cosines[part])
    return found, cosines


def rank_candidates(
    queries: Floats,
    vectors: Vectors,
    candidates: Rows,
    k: int,
    *,
    norms: Floats | None = None,
    alive: Mask | None = None,
) -> tuple[Rows, Floats]:
    """As `find_nearest`, but of given rows only.

    Args:
        queries: float32[q, d].
        vectors: float32[n, d] or int8[n, d].
        candidates: int64[q, c], rows, each once a query.
        k: how many.
        norms: float32[n].
        alive: bool[n].
    """
    found = np.full((len(queries), k), -1, dtype=np.int64)
    cosines = np.full((len(queries), k), -np.inf, dtype=np.float32)
    search = _Search(queries, vectors, k, norms, alive)
    search.offer(candidates)
    search.write(found, cosines)
    return found, cosines


def _choose_tile(queries: int, dtype: np.dtype[Any]) -> int:
    low, high = _TILE_ROWS
    rows = min(max(_TILE_SCORES // queries, low), high)
    return min(rows, _INT8_TILE_ROWS) if dtype == np.int8 else rows


def _one_thread() -> AbstractContextManager[Any]:
    """BLAS on one thread: waking a second one costs more than a single query."""
    return _controller().limit(limits=1, user_api="blas")


@cache
def _controller() -> Any:
    import threadpoolctl  # pyright: ignore[reportMissingTypeStubs]

    return threadpoolctl.ThreadpoolController()


class _Search:
    """The k best rows so far of a batch of queries."""

    __slots__ = ("_alive", "_best", "_found", "_k", "_margin", "_norms", "_queries", "_vectors")

    def __init__(
        self, queries: Floats, vectors: Vectors, k: int, norms: Floats | None, alive: Mask | None
    ) -> None:
        self._queries = queries
        self._vectors = vectors
        self._k = k
        self._norms = norms
        self._alive = alive
        # float32 sums of d products err by at most d half units each way
        lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries))
        self._margin = (4 * (queries.shape[1] + 2) * _HALF_ULP * lengths).astype(np.float32)
        self._best = np.full((len(queries), k), -np.inf, dtype=np.float32)
        self._found: list[Candidates] = []

    def run(self, tile_rows: int) -> None:
        """Look at all rows, tile by tile."""
        rows, count = len(self._vectors), len(self._queries)
        tile_rows = -(-max(min(tile_rows, rows), 1) // BLOCK_ROWS) * BLOCK_ROWS
        scores = np.empty((tile_rows, count), dtype=np.float32)
        wide = None
        if self._vectors.dtype != np.float32:
            wide = np.empty((tile_rows, self._vectors.shape[1]), dtype=np.float32)
        for start in range(0, rows, tile_rows):
            part = slice(start, min(start + tile_rows, rows))
            if self._alive is None or self._alive[part].any():
                self._score(part, scores, wide)
                self._collect(start, scores)
                if sum(len(queries) for queries, _, _ in self._found) > _MOST_CANDIDATES:
                    self._found = [self._select()]

    def offer(self, candidates: Rows) -> None:
        """Take int64[q, c] rows for what may be among the k best."""
        queries = np.repeat(np.arange(len(candidates)), candidates.shape[1])
        rows = candidates.reshape(-1)
        if self._alive is not None:
            queries, rows = queries[self._alive[rows]], rows[self._alive[rows]]
        self._found.append((queries, rows, np.full(len(rows), np.inf, dtype=np.float32)))

    def write(self, found: Rows, cosines: Floats) -> None:
        """Write the k best into int64[q, k] and float32[q, k]."""
        queries, rows, scores = self._select()
        ranks = _rank_in_group(queries)
        found[queries, ranks] = rows
        cosines[queries, ranks] = scores

    def _score(self, part: slice, scores: Floats, wide: Floats | None) -> None:
        """Fill `scores`, float32[tile, q], with -inf where there is no row or no living one."""
        tile: Any = self._vectors[part]
        size = len(tile)
        if wide is not None:
            wide[:size] = tile
            tile = wide[:size]
        np.matmul(tile, self._queries.T, out=scores[:size])
        if self._norms is not None:
            scores[:size] /= self._norms[part, None]
        if self._alive is not None:
            scores[:size][~self._alive[part]] = -np.inf
        scores[size:] = -np.inf

    def _collect(self, start: int, scores: Floats) -> None:
        """Add the rows of this tile that may be among the k best."""
        count = len(self._queries)
        blocks = scores.reshape(-1, BLOCK_ROWS, count)
        # numpy reduces the middle axis by whole rows of queries, which one query does not have
        maxima = (blocks[:, :, 0].max(1)[None] if count == 1 else blocks.max(1).T).copy()
        # k blocks have such a maximum, so the k best rows have at least the least of these
        seen = np.concatenate((self._best, maxima), axis=1)
        seen.partition(seen.shape[1] - self._k, axis=1)
        self._best = seen[:, -self._k :]
        floor = self._best.min(axis=1) - self._margin
        queries, opened = np.nonzero((maxima >= floor[:, None]) & (maxima > -np.inf))
        inside = blocks[opened, :, queries]
        pairs, offsets = np.nonzero((inside >= floor[queries, None]) & (inside > -np.inf))
        rows = start + opened[pairs] * BLOCK_ROWS + offsets
        self._found.append((queries[pairs], rows, inside[pairs, offsets]))

    def _select(self) -> Candidates:
        """The k best of what was collected, by query, then from the best on."""
        queries, rows, scores = (
            np.concatenate(parts) for parts in zip(_NOTHING, *self._found, strict=True)
        )
        near = scores >= self._best.min(axis=1)[queries] - self._margin[queries]
        queries, rows = queries[near], rows[near]
        exact = self._score_exactly(queries, rows)
        order = np.lexsort((rows, -exact, queries))
        order = order[_rank_in_group(queries[order]) < self._k]
        return queries[order], rows[order], exact[order]

    def _score_exactly(self, queries: Rows, rows: Rows) -> Floats:
        """float32[m], the products in double precision, rounded."""
        exact = np.empty(len(rows), dtype=np.float32)
        for start in range(0, len(rows), _EXACT_ROWS):
            part = slice(start, start + _EXACT_ROWS)
            left = self._vectors[rows[part]].astype(np.float64)
            right = self._queries[queries[part]].astype(np.float64)
            products = np.einsum("ij,ij->i", left, right)
            if self._norms is not None:
                products /= self._norms[rows[part]]
            exact[part] = products
        return exact


def _rank_in_group(groups: Rows) -> Rows:
    """int64[m], each position's number within its group; groups stand in order."""
    positions = np.arange(len(groups), dtype=np.int64)
    if not len(groups):
        return positions
    starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
    return positions - np.repeat(starts, np.diff(np.append(starts, len(groups))))
