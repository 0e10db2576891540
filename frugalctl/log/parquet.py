"""The canonical log as parquet."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from frugalctl.errors import InputError
from frugalctl.log.schema import REQUEST_FIELDS, LogBatch
from frugalctl.log.stream import Source

_BATCH_ROWS = 8192


def read_parquet(source: Source, without: frozenset[str]) -> Iterator[LogBatch]:
    """Stream a parquet log in batches; a row's number stands for its line.

    Args:
        source: the file.
        without: fields not to read.

    Raises:
        InputError: not parquet, or a column of a type that does not fit the log's schema.
    """
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(source.path)
        present = [name for name in parquet.schema_arrow.names if name in REQUEST_FIELDS]
        names = [name for name in present if name not in without]
        first = 1
        for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=names):
            lines = range(first, first + batch.num_rows)
            yield LogBatch(_in_schema(batch, without), source.name, lines)
            first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"cannot be read as a parquet log: {reason}", where=source.name) from None


def _in_schema(batch: pa.RecordBatch, without: frozenset[str]) -> pa.RecordBatch:
    names = [name for name in REQUEST_FIELDS if name not in without]
    present = set(batch.schema.names)
    arrays = [
        batch.column(name).cast(REQUEST_FIELDS[name])
        if name in present
        else pa.nulls(batch.num_rows, REQUEST_FIELDS[name])
        for name in names
    ]
    return pa.RecordBatch.from_arrays(arrays, names=names)
