"""The canonical log as parquet."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from frugalctl.errors import InputError
from frugalctl.log.schema import REQUEST_FIELDS, TIMESTAMP, LogBatch
from frugalctl.log.stream import Source

_BATCH_ROWS = 8192
_SUBSTANCE = frozenset({"usage", "messages", "outcomes", "prefix_blocks"})


def read_parquet(
    source: Source, without: frozenset[str], unknown_fields: dict[str, str]
) -> Iterator[LogBatch]:
    """Stream a parquet log in batches; a row's number stands for its line.

    Args:
        source: the file.
        without: fields not to read.
        unknown_fields: gets the columns that a log does not have, and the file's name.

    Raises:
        InputError: not parquet, or a column of a type that does not fit the log's schema.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(source.path) as parquet:
            names = parquet.schema_arrow.names
            if _SUBSTANCE.isdisjoint(names):
                raise InputError(
                    "not a request log: no column usage, messages, outcomes or prefix_blocks",
                    where=source.name,
                )
            for name in names:
                if name not in REQUEST_FIELDS:
                    unknown_fields.setdefault(name, source.name)
            wanted = [name for name in names if name in REQUEST_FIELDS and name not in without]
            first = 1
            for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=wanted):
                lines = range(first, first + batch.num_rows)
                yield LogBatch(_in_schema(batch, without), source.name, lines)
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = (str(error).splitlines() or ["unknown reason"])[0]
        raise InputError(f"cannot be read as a parquet log: {reason}", where=source.name) from None


def _in_schema(batch: pa.RecordBatch, without: frozenset[str]) -> pa.RecordBatch:
    names = [name for name in REQUEST_FIELDS if name not in without]
    present = set(batch.schema.names)
    arrays = [
        _cast(name, batch.column(name), REQUEST_FIELDS[name])
        if name in present
        else pa.nulls(batch.num_rows, REQUEST_FIELDS[name])
        for name in names
    ]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _cast(name: str, column: pa.Array, kind: pa.DataType) -> pa.Array:
    if not _fits(column.type, kind):
        raise pa.ArrowInvalid(f"{name} is {column.type}, not {kind}")
    # Nanoseconds are cut off, as they are in JSON; nothing else may lose anything.
    return column.cast(kind, safe=kind != TIMESTAMP)


def _fits(found: pa.DataType, kind: pa.DataType) -> bool:
    """Whether a cast keeps the meaning: truth values are no numbers, numbers are no times."""
    types = pa.types
    if types.is_null(found):
        return True
    if isinstance(found, pa.StructType) and isinstance(kind, pa.StructType):
        known = {field.name: field.type for field in kind}
        return all(_fits(field.type, known.get(field.name, field.type)) for field in found)
    if isinstance(found, (pa.ListType, pa.LargeListType)) and isinstance(kind, pa.ListType):
        return _fits(found.value_type, kind.value_type)
    if types.is_boolean(found) != types.is_boolean(kind) or types.is_nested(found):
        return found == kind
    return kind != TIMESTAMP or not (types.is_integer(found) or types.is_floating(found))
