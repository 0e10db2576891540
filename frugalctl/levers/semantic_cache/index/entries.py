"""The table of entries: its columns, and what is taken for one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from frugalctl.errors import InputError
from frugalctl.log.schema import TIMESTAMP
from frugalctl.log.times import UNKNOWN_US

_OWN_FIELDS: dict[str, pa.DataType] = {
    "text": pa.string(),
    "key": pa.string(),
    "response": pa.string(),
    "scope": pa.string(),
    "tenant": pa.string(),
    "model": pa.string(),
    "system": pa.string(),
    "tools": pa.string(),
    "sampling": pa.string(),
    "history": pa.string(),
    "tags": pa.list_(pa.field("element", pa.string())),
    "task": pa.string(),
    "source_id": pa.string(),
    "created": TIMESTAMP,
    "last_used": TIMESTAMP,
    "hits": pa.int64(),
    "cost_usd": pa.float64(),
    "latency_ms": pa.float64(),
    "quality": pa.float64(),
}
INPUT_SCHEMA = pa.schema(list(_OWN_FIELDS.items()))
"""What an entry is made of.

`text` as it was asked; `key` the exact key; `response` the answer; `scope` the digest of all that
must be equal (32 hex digits), and its parts: `tenant` and `model` as they are, `system`, `tools`,
`sampling`, `history` as digests, null for none. `created`, `last_used`: null for not known, or
never. `hits`: how often it was used. `cost_usd`, `latency_ms`: what the answer took. All but the
first four may be left out.
"""

ENTRY_SCHEMA = pa.schema(
    [
        ("entry_id", pa.int64()),
        *_OWN_FIELDS.items(),
        ("key_hash", pa.uint64()),
        ("norm", pa.float32()),
    ]
)
"""What `entries.parquet` holds, by (scope, entry_id): `key_hash` is the xxh3-64 of the key in
UTF-8, `norm` the length of the int8 row, 1 for a float32 row. `entry_id` is never given twice."""

SCOPE_PARTS = ("tenant", "model", "system", "tools", "sampling", "history")
_REQUIRED = ("text", "key", "response", "scope")
_NO_SCOPES = np.empty(0, dtype="S32")
_DIGESTS = ("scope", "system", "tools", "sampling", "history")


def check_entries(entries: pa.Table) -> pa.Table:
    """The table with the columns of `INPUT_SCHEMA`; those that are left out hold nulls.

    Raises:
        InputError: a column that is not known, of another type, or with a value that it
            cannot have.
    """
    for name in entries.column_names:
        if name not in _OWN_FIELDS:
            raise InputError(f"entries have no column {name!r}")
    columns: list[Any] = []
    for name, kind in _OWN_FIELDS.items():
        if name not in entries.column_names:
            columns.append(pa.nulls(entries.num_rows, kind))
            continue
        try:
            columns.append(entries.column(name).cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(f"column {name!r} of the entries: {error}") from None
    table = pa.table(columns, schema=INPUT_SCHEMA)
    hits = pc.fill_null(table.column("hits"), 0)
    table = table.set_column(table.column_names.index("hits"), "hits", hits)
    _check_values(table)
    return table


def _check_values(table: pa.Table) -> None:
    for name in _REQUIRED:
        if table.column(name).null_count:
            raise InputError(f"column {name!r} of the entries has nulls")
    for name in _DIGESTS:
        is_digest = pc.match_substring_regex(table.column(name), "^[0-9a-f]{32}$")
        if pc.all(is_digest).as_py() is False:
            raise InputError(f"column {name!r} of the entries is not 32 hex digits")
    if (pc.min(table.column("hits")).as_py() or 0) < 0:
        raise InputError("column 'hits' of the entries is below zero")


def hash_keys(keys: list[str]) -> NDArray[np.uint64]:
    """uint64[n], the xxh3-64 of each key in UTF-8."""
    hashes = (xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogatepass")) for key in keys)
    return np.fromiter(hashes, dtype=np.uint64, count=len(keys))


def to_scopes(column: Any) -> NDArray[np.bytes_]:
    """bytes32[n] of a column of 32 hex digits.

    Raises:
        ValueError: a value is missing or of another length.
    """
    lengths = pc.min_max(pc.binary_length(column)).as_py()
    if column.null_count or (len(column) and lengths != {"min": 32, "max": 32}):
        raise ValueError("the column 'scope' is not 32 hex digits")
    parts = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    return np.concatenate([_NO_SCOPES, *(_view_fixed(part) for part in parts if len(part))])


def _view_fixed(part: Any) -> NDArray[np.bytes_]:
    offsets = np.frombuffer(part.buffers()[1], dtype=np.int32, count=len(part) + part.offset + 1)
    start = int(offsets[part.offset])
    return np.frombuffer(part.buffers()[2], dtype="S32", count=len(part), offset=start)


def to_times_us(column: Any) -> NDArray[np.int64]:
    """int64[n] microseconds of a column of timestamps, UNKNOWN_US where null."""
    return to_numpy(pc.fill_null(column.cast(pa.int64()), UNKNOWN_US))


def to_floats(column: Any) -> NDArray[np.float64]:
    """float64[n] of a column, NaN where null."""
    return to_numpy(pc.fill_null(column, float("nan")))


def to_numpy(column: Any) -> NDArray[Any]:
    """The numpy array of a column without nulls."""
    return column.to_numpy()


def from_times_us(times_us: NDArray[np.int64]) -> Any:
    """A column of timestamps, null where UNKNOWN_US."""
    return pa.array(times_us, mask=times_us == UNKNOWN_US).cast(TIMESTAMP)
