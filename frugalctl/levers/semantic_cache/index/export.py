"""Hand an index to the tools that people deploy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from frugalctl.errors import UsageError
from frugalctl.files import replacing
from frugalctl.levers.semantic_cache.index.entries import ENTRY_SCHEMA, from_times_us
from frugalctl.levers.semantic_cache.index.index import Index

REDIS_NAME = "llmcache"
SCHEMA_SUFFIX = ".schema.yaml"

_OURS_ONLY = ("key_hash", "norm")
_METADATA = ("model", "task", "tags", "source_id", "cost_usd", "latency_ms", "quality", "hits")


def export_index(index: Index, target: str, kind: str) -> list[str]:
    """Write an index in another form.

    - "parquet": the entries and a column `vector`, fixed_size_list<float>[d]: LanceDB and DuckDB
      (`array_cosine_similarity(vector::FLOAT[d], ...)`) read it as it is, Faiss through numpy.
    - "jsonl": the same, one entry a line, times in RFC 3339.
    - "redis": the commands that store the entries as RedisVL's SemanticCache does, in Redis' own
      protocol (`redis-cli --pipe < target`), and beside it a RedisVL schema for
      `rvl index create -s`. RedisVL does not know scopes, so each entry carries its own as the tag
      `scope`: declare it as a filterable field, and filter by it in every look-up.

    Args:
        index: the open index.
        target: the file to write.
        kind: one of `EXPORTS`.

    Returns:
        the files written.

    Raises:
        UsageError: there is no such form.
        OutputError: it cannot be written.
    """
    if kind not in EXPORTS:
        raise UsageError(f"no export {kind!r}", hint=f"there are: {', '.join(EXPORTS)}")
    with replacing(target) as temporary:
        EXPORTS[kind](index, temporary)
    if kind != "redis":
        return [target]
    schema = str(Path(target).with_suffix(SCHEMA_SUFFIX))
    with replacing(schema) as temporary:
        temporary.write_text(make_redis_schema(index.manifest.dimension), encoding="utf-8")
    return [target, schema]


def make_redis_schema(dimension: int) -> str:
    """The RedisVL schema of what `export_index` writes, in YAML."""
    return f"""version: 0.1.0
index:
  name: {REDIS_NAME}
  prefix: {REDIS_NAME}
  storage_type: hash
fields:
  - name: prompt
    type: text
  - name: response
    type: text
  - name: inserted_at
    type: numeric
  - name: updated_at
    type: numeric
  - name: prompt_vector
    type: vector
    attrs:
      dims: {dimension}
      datatype: float32
      distance_metric: cosine
      algorithm: flat
  - name: scope
    type: tag
"""


def _write_parquet(index: Index, path: Path) -> None:
    fields = [field for field in ENTRY_SCHEMA if field.name not in _OURS_ONLY]
    kind = pa.list_(pa.float32(), index.manifest.dimension)
    schema = pa.schema([*fields, ("vector", kind)])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for table, vectors in _read_pieces(index):
            column = pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), vectors.shape[1])
            columns = [table.column(field.name) for field in fields]
            writer.write_table(pa.table([*columns, column], schema=schema))


def _write_jsonl(index: Index, path: Path) -> None:
    encoder = msgspec.json.Encoder()
    with path.open("wb") as file:
        for table, vectors in _read_pieces(index):
            rows = table.drop_columns([*_OURS_ONLY]).to_pylist()
            for row, vector in zip(rows, vectors.tolist(), strict=True):
                file.write(encoder.encode({**row, "vector": vector}) + b"\n")


def _write_redis(index: Index, path: Path) -> None:
    encoder = msgspec.json.Encoder(order="deterministic")
    with path.open("wb") as file:
        for table, vectors in _read_pieces(index):
            for row, vector in zip(table.to_pylist(), vectors, strict=True):
                file.write(_make_command(row, vector, encoder))


def _make_command(row: dict[str, Any], vector: NDArray[np.float32], encoder: Any) -> bytes:
    """HSET with the fields of RedisVL's CacheEntry, whose id is a hash of prompt and filters."""
    entry_id = hashlib.sha256(f"{row['text']}scope{row['scope']}".encode()).hexdigest()
    # RedisVL cannot do without times, in seconds: those that are not known are 0
    inserted_at = row["created"].timestamp() if row["created"] else 0.0
    fields: dict[str, str | bytes] = {
        "entry_id": entry_id,
        "prompt": row["text"],
        "response": row["response"],
        "prompt_vector": vector.astype("<f4").tobytes(),
        "inserted_at": repr(inserted_at),
        "updated_at": repr(inserted_at),
        "metadata": encoder.encode(
            {name: row[name] for name in _METADATA if row[name] is not None}
        ),
        "scope": row["scope"],
    }
    words = ["HSET", f"{REDIS_NAME}:{entry_id}", *(w for pair in fields.items() for w in pair)]
    parts = [word.encode() if isinstance(word, str) else word for word in words]
    body = b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)
    return b"*%d\r\n%b" % (len(parts), body)


def _read_pieces(index: Index) -> Iterator[tuple[pa.Table, NDArray[np.float32]]]:
    """The entries with the recorded hits, and their vectors as float32 of length 1, in pieces."""
    start = 0
    for number, end in enumerate(index.piece_ends.tolist()):
        rows = slice(start, end)
        table = index.read_piece(number)
        for name, column in (
            ("hits", pa.array(index.hits[rows])),
            ("last_used", from_times_us(index.last_used_us[rows])),
        ):
            table = table.set_column(table.column_names.index(name), name, column)
        yield table, index.vectors[rows].astype(np.float32) / index.norms[rows, None]
        start = end


EXPORTS: dict[str, Callable[[Index, Path], None]] = {
    "parquet": _write_parquet,
    "jsonl": _write_jsonl,
    "redis": _write_redis,
}
