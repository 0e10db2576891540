"""Approximate neighbours in large scopes: HNSW graphs in `graph.usearch`, from the extra `ann`.

A graph proposes; the exact products decide among what it proposed, so its cosines are those of the
exact search and only its choice of rows may miss some. Each scope of at least `ANN_MIN_ROWS` rows
has a graph of its own. The file begins with the length of a JSON list of what follows.

The graphs are followed by native code, which trusts them: a damaged file is found by its checksum,
but one made to do harm is not. They are only looked at when asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, BinaryIO

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from frugalctl.errors import InputError, MissingExtraError
from frugalctl.levers.semantic_cache.index.manifest import GRAPH, REBUILD
from frugalctl.levers.semantic_cache.index.vectors import Vectors

Rows = NDArray[np.int64]

ANN_MIN_ROWS = 20_000
"""Below, an exact search takes about a millisecond."""

FETCH_ROWS = 64
_ALIGNMENT = 64
_HEAD_BYTES = 8
_SHAPE: dict[str, Any] = {
    "metric": "cos",
    "dtype": "i8",
    "connectivity": 16,
    "expansion_add": 128,
    "expansion_search": FETCH_ROWS,
}
_Count = Annotated[int, Meta(ge=0, le=1 << 50)]


class _Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rows that a graph is of, and its bytes after the list."""

    start: _Count
    end: _Count
    offset: _Count
    size_bytes: _Count


def write_graphs(file: BinaryIO, vectors: Vectors, scopes: Iterable[slice]) -> None:
    """Write the graphs of the large ones among some scopes.

    Rows go in one by one, in order, so that the same rows make the same graph.

    Args:
        file: an empty file.
        vectors: float32[n, d] or int8[n, d].
        scopes: their rows.

    Raises:
        MissingExtraError: usearch is not installed.
    """
    kind = _load_usearch()
    places: list[_Place] = []
    bodies: list[bytes] = []
    offset = 0
    for rows in scopes:
        if rows.stop - rows.start < ANN_MIN_ROWS:
            continue
        graph = kind(ndim=vectors.shape[1], **_SHAPE)
        keys = np.arange(rows.stop - rows.start, dtype=np.uint64)
        graph.add(keys, vectors[rows].astype(np.float32), threads=1)
        body = bytes(graph.save())
        places.append(_Place(rows.start, rows.stop, offset, len(body)))
        bodies.append(body + bytes(-len(body) % _ALIGNMENT))
        offset += len(bodies[-1])
    head = msgspec.json.encode(places)
    head += b" " * (-(_HEAD_BYTES + len(head)) % _ALIGNMENT)
    file.write(len(head).to_bytes(_HEAD_BYTES, "little") + head)
    file.writelines(bodies)


class Graphs:
    """The graphs of an index, in place.

    Args:
        data: the mapped file.
        where: the index, for errors.
        dimension: components of a vector.

    Raises:
        MissingExtraError: usearch is not installed.
        InputError: it is no file of graphs.
    """

    def __init__(self, data: Any, where: str, dimension: int) -> None:
        self._kind = _load_usearch()
        self._data = data
        self._where = where
        self._dimension = dimension
        self._open: dict[tuple[int, int], Any] = {}
        self._base = _HEAD_BYTES + int.from_bytes(data[:_HEAD_BYTES], "little")
        try:
            head = bytes(data[_HEAD_BYTES : self._base])
            self._places = {
                (place.start, place.end): place
                for place in msgspec.json.decode(head, type=list[_Place])
            }
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise InputError(f"{GRAPH}: no graphs: {error}", where=where, hint=REBUILD) from None

    def propose(self, queries: NDArray[np.float32], rows: slice, count: int) -> Rows | None:
        """int64[q, c], rows counted from the scope's first that may be near; None without graph.

        Args:
            queries: float32[q, d].
            rows: of the scope.
            count: how many, c, at most.
        """
        place = self._places.get((rows.start, rows.stop))
        if place is None or count > rows.stop - rows.start:
            return None
        found = self._view(place).search(queries, count, threads=1)
        keys = np.asarray(found.keys, dtype=np.int64).reshape(len(queries), -1)
        is_whole = (np.atleast_1d(getattr(found, "counts", keys.shape[1])) == count).all()
        is_known = ((keys >= 0) & (keys < rows.stop - rows.start)).all()
        return keys if is_whole and is_known and keys.shape[1] == count else None

    def _view(self, place: _Place) -> Any:
        key = place.start, place.end
        if key not in self._open:
            start = self._base + place.offset
            body = memoryview(self._data)[start : start + place.size_bytes]
            graph = self._kind(ndim=self._dimension, **_SHAPE)
            try:
                graph.view(body)
            except (RuntimeError, ValueError) as error:
                raise InputError(
                    f"{GRAPH}: no graph: {error}", where=self._where, hint=REBUILD
                ) from None
            if len(graph) != place.end - place.start or graph.ndim != self._dimension:
                raise InputError(
                    f"{GRAPH}: not of {place.end - place.start} rows",
                    where=self._where,
                    hint=REBUILD,
                )
            self._open[key] = graph
        return self._open[key]


def _load_usearch() -> Any:
    try:
        from usearch.index import Index
    except ImportError:
        raise MissingExtraError("usearch", "ann") from None
    kind: Any = Index
    return kind
