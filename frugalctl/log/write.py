"""The canonical log out: JSONL (plain, .gz, .zst) or parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pyarrow as pa

from frugalctl.log.schema import JSON_FIELDS, SCHEMA, LogBatch
from frugalctl.log.times import format_timestamp

_CODECS = {".gz": "gzip", ".zst": "zstd"}


def write_log(batches: Iterable[LogBatch], path: str, name: str) -> int:
    """Write a log to a file.

    Args:
        batches: the log, with all its fields.
        path: where to write.
        name: the name whose extension decides: .parquet, else JSONL; .gz, .zst compress.

    Returns:
        The number of requests written.
    """
    if name.endswith(".parquet"):
        return _write_parquet(batches, path)
    codec = next((codec for end, codec in _CODECS.items() if name.endswith(end)), None)
    rows = 0
    with pa.output_stream(path, compression=codec) as stream:
        for batch in batches:
            stream.write(b"".join(encode_lines(batch)))
            rows += batch.requests.num_rows
    return rows


def _write_parquet(batches: Iterable[LogBatch], path: str) -> int:
    import pyarrow.parquet as pq

    rows = 0
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.requests)
            rows += batch.requests.num_rows
    return rows


def encode_lines(batch: LogBatch) -> Iterator[bytes]:
    """The requests of a batch as lines of canonical JSON, without their nulls."""
    requests = batch.requests
    at = requests.schema.get_field_index("timestamp")
    requests = requests.set_column(at, "timestamp", requests.column(at).cast(pa.int64()))
    for row in requests.to_pylist():
        yield msgspec.json.encode(_to_json(row)) + b"\n"


def _to_json(row: dict[str, Any]) -> dict[str, Any]:
    line = {name: value for name, value in row.items() if value is not None}
    if "timestamp" in line:
        line["timestamp"] = format_timestamp(line["timestamp"])
    for name in JSON_FIELDS:
        if name in line:
            line[name] = msgspec.Raw(line[name].encode())
    if "usage" in line:
        line["usage"] = _without_nulls(line["usage"])
    if "outcomes" in line:
        line["outcomes"] = [_to_json(outcome) for outcome in line["outcomes"]]
    return line


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {name: item for name, item in value.items() if item is not None}
