"""Write a planned index: its rows gathered from where they lie, in bounded memory."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from frugalctl.levers.semantic_cache.index.ann import write_graphs
from frugalctl.levers.semantic_cache.index.entries import (
    ENTRY_SCHEMA,
    INPUT_SCHEMA,
    from_times_us,
    hash_keys,
)
from frugalctl.levers.semantic_cache.index.manifest import (
    ENTRIES,
    GRAPH,
    MANIFEST,
    VECTORS,
    FileSum,
    IndexSettings,
    Manifest,
    encode_manifest,
)
from frugalctl.levers.semantic_cache.index.plan import Plan
from frugalctl.levers.semantic_cache.index.reading import hash_file
from frugalctl.levers.semantic_cache.index.vectors import Vectors, make_header, view_bytes

GROUP_ROWS = 8192
_WINDOW_ROWS = 4 * GROUP_ROWS
_DICTIONARIES = ["scope", "tenant", "model", "system", "tools", "sampling", "history", "task"]


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that lie in memory, or in files.

    Attributes:
        ends: int64[p], where each piece of the table ends.
        read: the piece of that number, with the columns of `INPUT_SCHEMA`.
        vectors: float32[n, d] or int8[n, d], as they are stored.
        norms: float32[n].
        mapped: the map that the vectors lie in, whose pages may be given back; None for none.
    """

    ends: NDArray[np.int64]
    read: Callable[[int], pa.Table]
    vectors: Vectors
    norms: NDArray[np.float32]
    mapped: Any = None


def write_index(
    folder: Path,
    sources: Sequence[Source],
    plan: Plan,
    settings: IndexSettings,
    *,
    graph: bool,
) -> Manifest:
    """Write the files of an index into an empty folder.

    Args:
        folder: where.
        sources: the rows that the plan numbers, one source after the other.
        plan: which of them, in which order.
        settings: what they were made with.
        graph: whether to write graphs of large scopes too.

    Raises:
        MissingExtraError: graphs are asked for, and usearch is not installed.
    """
    ends = np.cumsum([len(source.vectors) for source in sources], dtype=np.int64)
    with (
        (folder / VECTORS).open("wb") as file,
        pq.ParquetWriter(
            folder / ENTRIES,
            ENTRY_SCHEMA,
            compression="zstd",
            use_dictionary=_DICTIONARIES,
            store_schema=False,
        ) as writer,
    ):
        file.write(make_header(len(plan.order), settings.dimension, settings.dtype))
        for start in range(0, len(plan.order), _WINDOW_ROWS):
            window = slice(start, start + _WINDOW_ROWS)
            table, vectors = _gather(sources, ends, plan, window)
            writer.write_table(table, row_group_size=GROUP_ROWS)
            file.write(view_bytes(vectors))
            _give_back(sources)
    names = [ENTRIES, VECTORS]
    if graph:
        stored: Any = np.load(folder / VECTORS, mmap_mode="r", allow_pickle=False)
        with (folder / GRAPH).open("wb") as file:
            write_graphs(file, stored, plan.scopes)
        names.append(GRAPH)
    return write_manifest(folder, plan, settings, names)


def write_manifest(
    folder: Path, plan: Plan, settings: IndexSettings, names: Sequence[str]
) -> Manifest:
    """Write what the files of that name hold."""
    own: dict[str, Any] = {
        name: getattr(settings, name) for name in IndexSettings.__struct_fields__
    }
    manifest = Manifest(
        **own,
        entries=len(plan.order),
        scopes=len(plan.scopes),
        next_id=plan.next_id,
        newest_us=plan.newest_us,
        files={name: _sum_file(folder / name) for name in names},  # pyright: ignore
    )
    data = encode_manifest(manifest)
    (folder / MANIFEST).write_bytes(data)
    return msgspec.json.decode(data, type=Manifest)


def _gather(
    sources: Sequence[Source], ends: NDArray[np.int64], plan: Plan, window: slice
) -> tuple[pa.Table, Vectors]:
    """The rows of a window of the plan, in its order."""
    rows = plan.order[window]
    origins = np.searchsorted(ends, rows, side="right")
    tables: list[pa.Table] = []
    places: list[NDArray[np.int64]] = []
    norms = np.empty(len(rows), dtype=np.float32)
    vectors: Any = np.empty((len(rows), sources[0].vectors.shape[1]), sources[0].vectors.dtype)
    for number, source in enumerate(sources):
        here = np.flatnonzero(origins == number)
        local = rows[here] - (ends[number] - len(source.vectors))
        vectors[here] = source.vectors[local]
        norms[here] = source.norms[local]
        pieces = find_pieces(source.ends, local)
        for piece in np.unique(pieces):
            inside = pieces == piece
            first = source.ends[piece - 1] if piece else 0
            tables.append(source.read(int(piece)).take(local[inside] - first))
            places.append(here[inside])
    joined = pa.concat_tables(tables) if len(tables) > 1 else tables[0]
    back = np.argsort(np.concatenate(places))
    table = joined.take(back) if len(tables) > 1 or (back[1:] < back[:-1]).any() else joined
    return _complete(table, plan, window, norms), vectors


def find_pieces(ends: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[m], the piece that each row lies in."""
    return np.searchsorted(ends, rows, side="right").astype(np.int64)


def _complete(table: pa.Table, plan: Plan, window: slice, norms: NDArray[np.float32]) -> pa.Table:
    columns: dict[str, Any] = {name: table.column(name) for name in INPUT_SCHEMA.names}
    columns["entry_id"] = plan.entry_id[window]
    columns["hits"] = plan.hits[window]
    columns["last_used"] = from_times_us(plan.last_used_us[window])
    columns["key_hash"] = hash_keys(table.column("key").to_pylist())
    columns["norm"] = norms
    return pa.table([columns[name] for name in ENTRY_SCHEMA.names], schema=ENTRY_SCHEMA)


def _give_back(sources: Sequence[Source]) -> None:
    """Let the system take back the pages that were read: they need not lie in memory."""
    for source in sources:
        if source.mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            source.mapped.madvise(mmap.MADV_DONTNEED)


def _sum_file(path: Path) -> FileSum:
    handle = os.open(path, os.O_RDONLY)
    try:
        return FileSum(os.fstat(handle).st_size, hash_file(handle))
    finally:
        os.close(handle)
