"""An open index: its entries by key, by nearness, and by row."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.index.ann import FETCH_ROWS, Graphs
from frugalctl.levers.semantic_cache.index.entries import (
    ENTRY_SCHEMA,
    SCOPE_PARTS,
    from_times_us,
    hash_keys,
    to_numpy,
    to_scopes,
    to_times_us,
)
from frugalctl.levers.semantic_cache.index.manifest import (
    ENTRIES,
    GRAPH,
    REBUILD,
    VECTORS,
    Manifest,
)
from frugalctl.levers.semantic_cache.index.reading import Files, open_files
from frugalctl.levers.semantic_cache.index.search import find_nearest, rank_candidates
from frugalctl.levers.semantic_cache.index.usage import fold_usage, read_usage
from frugalctl.levers.semantic_cache.index.vectors import Vectors, view_vectors
from frugalctl.levers.semantic_cache.retention import Retention, is_expired

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_KEPT_COLUMNS = 64
_MOST_WIDE_BYTES = 1 << 28


def open_index(path: str | Path, *, graph: bool = False) -> Index:
    """Open an index to look entries up; it stays as it is, whatever writers do.

    Args:
        path: its folder.
        graph: whether to search large scopes by their graphs, if the index has some; only for an
            index whose maker is trusted.

    Raises:
        InputError: there is none, or a file in it is missing or damaged.
        MissingExtraError: it has graphs, and usearch is not installed.
    """
    files = open_files(Path(path), graph=graph)
    return Index(str(path), files)


class Index:
    """An open index. Rows are numbered from 0, by (scope, entry_id).

    Attributes:
        path: its folder, as the user named it.
        manifest: what it says of itself.
        mapped_vectors: the map of the file that they lie in.
        vectors: float32[n, d] or int8[n, d], in that map.
    """

    def __init__(self, path: str, files: Files) -> None:
        self.path = path
        self.manifest: Manifest = files.manifest
        self.mapped_vectors: Any = files.maps[VECTORS]
        self.vectors: Vectors = view_vectors(files.maps[VECTORS], files.manifest, path)
        self._recorded = read_usage(files.usage, path)
        self._columns: OrderedDict[tuple[int, str], Any] = OrderedDict()
        self._searches = 0
        self._graphs: Graphs | None = None
        if GRAPH in files.maps:
            self._graphs = Graphs(files.maps[GRAPH], path, files.manifest.dimension)
        try:
            source = pa.BufferReader(pa.py_buffer(files.maps[ENTRIES]))
            self._table: Any = pq.ParquetFile(source)
            self._group_ends = self._check_table()
            self._scope_names, self._scope_ends = self._find_scopes()
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise InputError(
                f"{ENTRIES}: no table of entries: {error}", where=path, hint=REBUILD
            ) from None

    def __len__(self) -> int:
        return self.manifest.entries

    @cached_property
    def scopes(self) -> pa.Table:
        """The distinct scopes: `scope`, its parts, and its rows from `start` until `end`."""
        starts = np.append(0, self._scope_ends[:-1])[: len(self._scope_ends)]
        parts = self.read_table(["scope", *SCOPE_PARTS]).take(starts)
        return parts.append_column("start", pa.array(starts, pa.int64())).append_column(
            "end", pa.array(self._scope_ends, pa.int64())
        )

    def find_scope(self, scope: str) -> slice | None:
        """The rows of a scope; None if there are none."""
        name = scope.encode()
        at = int(np.searchsorted(self._scope_names, name))
        if at == len(self._scope_names) or self._scope_names[at] != name:
            return None
        return slice(int(self._scope_ends[at - 1]) if at else 0, int(self._scope_ends[at]))

    def find_keys(self, scope: str, keys: Sequence[str]) -> Integers:
        """int64[k], the rows of that scope with these exact keys; -1 where there is none."""
        found = np.full(len(keys), -1, dtype=np.int64)
        rows = self.find_scope(scope)
        if rows is None or not len(keys):
            return found
        hashes = self._key_hashes[rows]
        wanted = hash_keys(list(keys))
        if len(keys) == 1:
            places = np.flatnonzero(hashes == wanted[0])
            numbers = np.zeros_like(places)
        else:
            order = np.argsort(hashes, kind="stable")
            low = np.searchsorted(hashes, wanted, "left", sorter=order)
            counts = np.searchsorted(hashes, wanted, "right", sorter=order) - low
            numbers = np.repeat(np.arange(len(keys)), counts)
            places = order[low[numbers] + _count_up(counts)]
        for number, place in zip(numbers.tolist(), places.tolist(), strict=True):
            row = rows.start + place
            if self._get("key", row) == keys[number]:
                found[number] = row
        return found

    def search(
        self,
        vectors: NDArray[np.float32],
        rows: slice,
        k: int,
        alive: Mask | None = None,
    ) -> tuple[Integers, NDArray[np.float32]]:
        """The k nearest of some rows to each vector: exactly, unless opened with graphs.

        Args:
            vectors: float32[q, d], of length 1.
            rows: a scope's, as `find_scope` returns them.
            k: how many.
            alive: bool[n], which rows may be found, of all; None for all.

        Returns:
            int64[q, k] rows and float32[q, k] cosines, best first, of equal ones the lower row;
            -1 and -inf where there are not so many.
        """
        self._searches += 1
        stored = self._choose_vectors()[rows]
        norms = None if self.manifest.dtype == "float32" else self._norms[rows]
        living = None if alive is None else alive[rows]
        near = self._propose(vectors, rows, k)
        if near is not None:
            found, cosines = rank_candidates(vectors, stored, near, k, norms=norms, alive=living)
            if (found >= 0).all():
                return found + rows.start, cosines
        found, cosines = find_nearest(vectors, stored, k, norms=norms, alive=living)
        found[found >= 0] += rows.start
        return found, cosines

    def _propose(self, vectors: NDArray[np.float32], rows: slice, k: int) -> Integers | None:
        if self._graphs is None:
            return None
        return self._graphs.propose(vectors, rows, max(FETCH_ROWS, 2 * k))

    def entry(self, row: int) -> dict[str, Any]:
        """All that is known of an entry, by the names of `ENTRY_SCHEMA`."""
        entry = {name: self._get(name, row) for name in ENTRY_SCHEMA.names}
        entry["hits"] = int(self.hits[row])
        if len(self._recorded[0]):
            entry["last_used"] = from_times_us(self.last_used_us[row : row + 1])[0].as_py()
        return entry

    def texts(self, rows: Integers) -> list[str]:
        """What was asked in these rows."""
        return [self._get("text", int(row)) for row in rows]

    def responses(self, rows: Integers) -> list[str]:
        """The answers in these rows."""
        return [self._get("response", int(row)) for row in rows]

    def alive(self, retention: Retention, now_us: int) -> Mask | None:
        """bool[n], which entries are within their lifetime at that time; None if all are."""
        if retention.ttl_us is None:
            return None
        return ~is_expired(retention, self.created_us, self.last_used_us, now_us)

    def read_table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Some columns of all entries, or all, with the recorded hits.

        Raises:
            InputError: `entries.parquet` cannot be read.
        """
        table = self._read(
            lambda: self._table.read(columns=None if columns is None else [*columns])
        )
        if not len(self._recorded[0]):
            return table
        for name, column in (
            ("hits", pa.array(self.hits)),
            ("last_used", from_times_us(self.last_used_us)),
        ):
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, column)
        return table

    def read_piece(self, number: int) -> pa.Table:
        """A group of rows as it is stored, without the recorded hits."""
        return self._read(lambda: self._table.read_row_group(number))

    @property
    def piece_ends(self) -> Integers:
        """int64[p], where each group of rows ends."""
        return self._group_ends

    @cached_property
    def entry_ids(self) -> Integers:
        """int64[n], the id of each row."""
        return to_numpy(self._read_column("entry_id"))

    @cached_property
    def created_us(self) -> Integers:
        """int64[n], when each was made; UNKNOWN_US where not known."""
        return to_times_us(self._read_column("created"))

    @property
    def last_used_us(self) -> Integers:
        """int64[n], when each was used last, recorded hits included; UNKNOWN_US for never."""
        return self._usage[1]

    @property
    def hits(self) -> Integers:
        """int64[n], how often each was used, recorded hits included."""
        return self._usage[0]

    @cached_property
    def _usage(self) -> tuple[Integers, Integers]:
        hits = to_numpy(self._read_column("hits"))
        last_used_us = to_times_us(self._read_column("last_used"))
        return fold_usage(self._recorded, self.entry_ids, hits, last_used_us)

    @cached_property
    def _key_hashes(self) -> NDArray[np.uint64]:
        return to_numpy(self._read_column("key_hash"))

    @cached_property
    def _norms(self) -> NDArray[np.float32]:
        return to_numpy(self._read_column("norm"))

    @property
    def norms(self) -> NDArray[np.float32]:
        """float32[n], what the products of each row are divided by."""
        return self._norms

    @cached_property
    def _wide(self) -> NDArray[np.float32]:
        return self.vectors.astype(np.float32)

    def _choose_vectors(self) -> Vectors:
        """The stored vectors, or from the second search on a float32 copy if it is small."""
        if (
            self.vectors.dtype == np.float32
            or self._searches < 2
            or self.vectors.size * 4 > _MOST_WIDE_BYTES
        ):
            return self.vectors
        return self._wide

    def _get(self, name: str, row: int) -> Any:
        group = int(np.searchsorted(self._group_ends, row, side="right"))
        column = self._columns.get((group, name))
        if column is None:
            column = self._read(
                lambda: self._table.read_row_group(group, columns=[name]).column(0).combine_chunks()
            )
            self._columns[group, name] = column
            if len(self._columns) > _KEPT_COLUMNS:
                self._columns.popitem(last=False)
        first = int(self._group_ends[group - 1]) if group else 0
        return column[row - first].as_py()

    def _read_column(self, name: str) -> Any:
        return self._read(lambda: self._table.read(columns=[name]).column(0))

    def _read(self, read: Any) -> Any:
        try:
            return read()
        except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
            raise InputError(
                f"{ENTRIES}: cannot be read: {error}", where=self.path, hint=REBUILD
            ) from None

    def _check_table(self) -> Integers:
        metadata = self._table.metadata
        if not self._table.schema_arrow.remove_metadata().equals(ENTRY_SCHEMA):
            raise ValueError("it has other columns")
        if metadata.num_rows != self.manifest.entries:
            raise ValueError(f"{metadata.num_rows} rows, not {self.manifest.entries}")
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        return np.cumsum(np.array(sizes, dtype=np.int64))

    def _find_scopes(self) -> tuple[NDArray[np.bytes_], Integers]:
        names = to_scopes(self._table.read(columns=["scope"]).column(0))
        ends = np.append(np.flatnonzero(names[1:] != names[:-1]) + 1, len(names))
        ends = ends[: len(names)].astype(np.int64)
        distinct = names[ends - 1]
        if not (distinct[1:] > distinct[:-1]).all() or len(distinct) != self.manifest.scopes:
            raise ValueError("it is not sorted by scope")
        return distinct, ends


def _count_up(counts: Integers) -> Integers:
    """0, 1, .. below each count, one after the other."""
    ends: Integers = np.cumsum(counts)
    return np.arange(len(np.repeat(counts, counts)), dtype=np.int64) - np.repeat(
        ends - counts, counts
    )
