"""Where the rows of a new index come from: memory, an open index, or a spool on disk."""

from __future__ import annotations

import mmap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.levers.semantic_cache.index.entries import INPUT_SCHEMA, check_entries
from frugalctl.levers.semantic_cache.index.index import Index
from frugalctl.levers.semantic_cache.index.manifest import IndexSettings
from frugalctl.levers.semantic_cache.index.plan import LIGHT_FIELDS, Rows, join_rows, read_rows
from frugalctl.levers.semantic_cache.index.vectors import check_vectors, get_dtype, store_vectors
from frugalctl.levers.semantic_cache.index.writing import Source

SPOOL_ENTRIES = "entries"
SPOOL_VECTORS = "vectors"


def take_in(
    entries: pa.Table, vectors: NDArray[np.float32], settings: IndexSettings
) -> tuple[pa.Table, Source]:
    """Entries that came from outside, checked.

    Raises:
        InputError: entries or vectors are not what they should be.
    """
    table = check_entries(entries)
    plain = check_vectors(vectors, table.num_rows, settings.dimension)
    stored, norms = store_vectors(plain, settings.dtype)
    ends = np.array([table.num_rows], dtype=np.int64)
    return table, Source(ends, lambda _: table, stored, norms)


def take_from(index: Index) -> Source:
    """The entries of an open index."""
    return Source(
        index.piece_ends,
        lambda piece: index.read_piece(piece).select(INPUT_SCHEMA.names),
        index.vectors,
        index.norms,
        index.mapped_vectors,
    )


def take_spool(folder: Path, norms: NDArray[np.float32], settings: IndexSettings) -> Source:
    """What was spooled, mapped.

    Args:
        folder: with `SPOOL_ENTRIES`, an Arrow file, and `SPOOL_VECTORS`, the bare rows.
        norms: float32[n].
        settings: dimension and type of the rows.
    """
    reader: Any = pa.ipc.open_file(pa.memory_map(str(folder / SPOOL_ENTRIES)))
    sizes = [reader.get_batch(number).num_rows for number in range(reader.num_record_batches)]
    with (folder / SPOOL_VECTORS).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    rows: Any = np.frombuffer(mapped, dtype=get_dtype(settings.dtype))
    return Source(
        np.cumsum(np.array(sizes, dtype=np.int64)),
        lambda number: pa.table(reader.get_batch(number)),
        rows.reshape(-1, settings.dimension),
        norms,
        mapped,
    )


def read_new_rows(table: pa.Table, settings: IndexSettings) -> Rows:
    """What decides over entries that came from outside."""
    return read_rows(table, _count_vector_bytes(settings))


def read_old_rows(index: Index) -> Rows:
    """What decides over the entries of an index, with the recorded hits."""
    columns = [*LIGHT_FIELDS, "text", "response"]
    vector_bytes = _count_vector_bytes(index.manifest)
    starts = range(len(index.piece_ends))
    pieces = [index.read_piece(number).select(columns) for number in starts]
    if not pieces:
        empty = pa.Table.from_batches([], schema=INPUT_SCHEMA)
        pieces = [empty.append_column("entry_id", pa.array([], pa.int64())).select(columns)]
    rows = join_rows([read_rows(piece, vector_bytes) for piece in pieces])
    return replace(rows, hits=index.hits, last_used_us=index.last_used_us)


def _count_vector_bytes(settings: IndexSettings) -> int:
    return settings.dimension * get_dtype(settings.dtype).itemsize
