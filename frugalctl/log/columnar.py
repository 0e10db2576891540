"""The fast reader: a file of canonical JSON lines straight into Arrow columns, by DuckDB.

DuckDB is the fastest of the readers measured (see `benchmarks/`), and more lenient than we are:
it takes numbers for text and 1.5 for an integer. So counts are read as doubles and checked here,
and whatever is not plainly a canonical line is left to `log.lines`, which is the authority.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frugalctl.log.schema import (
    OUTCOME_FIELDS,
    REQUEST_FIELDS,
    TIMESTAMP,
    USAGE,
    USAGE_FIELDS,
    LogBatch,
)
from frugalctl.log.stream import Source, open_input, read_blocks

BATCH_ROWS = 32_768
_MAX_COUNT = 2.0**53
_MEMORY_LIMIT = "512MB"

_FOREIGN_USAGE = (
    "prompt_tokens",
    "promptTokenCount",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "input_tokens_details",
    "output_tokens_details",
)
"""Usage keys of other formats. A line that has one must not pass for canonical."""


class NotColumnar(Exception):
    """From here on, the file must be read line by line."""


@dataclass(slots=True)
class RowLines:
    """The line numbers of rows read without their lines: looked up only when one is asked for.

    Attributes:
        source: the file.
        first_row: index in the file of the batch's first row.
        rows: number of rows in the batch.
        lines: of the whole file, shared by its batches and filled on demand.
    """

    source: Source
    first_row: int
    rows: int
    lines: list[int] = field(default_factory=list[int])

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int, /) -> int:
        if not self.lines:
            self.lines.extend(_index_lines(self.source))
        return self.lines[self.first_row + row]


def _index_lines(source: Source) -> Iterator[int]:
    """The numbers of the lines that are not blank."""
    stream, _ = open_input(source)
    try:
        for block in read_blocks(stream, source.name):
            for at, line in enumerate(block.data.split(b"\n")):
                if line and not line.isspace():
                    yield block.first_line + at
    finally:
        stream.close()


def read_columnar(
    source: Source, compression: str, without: frozenset[str], model: str | None
) -> Iterator[LogBatch]:
    """Stream the canonical lines of a file.

    Args:
        source: a file on disk.
        compression: "none", "gzip" or "zstd".
        without: fields to leave out; the JSON-valued fields must be among them.
        model: stands in where a request names no model.

    Raises:
        NotColumnar: at the first batch that is not plainly canonical; the batches before it
            stand.
    """
    import duckdb

    names = [name for name in REQUEST_FIELDS if name not in without]
    index: list[int] = []
    row = 0
    try:
        with duckdb.connect(config={"memory_limit": _MEMORY_LIMIT}) as connection:
            connection.execute("SET autoinstall_known_extensions = false")
            relation: Any = connection.sql(_query(source, compression, names))
            for batch in relation.to_arrow_reader(BATCH_ROWS):
                requests = _to_schema(batch, names, model)
                lines = RowLines(source, row, requests.num_rows, index)
                yield LogBatch(requests, source.name, lines)
                row += requests.num_rows
    except (duckdb.Error, pa.ArrowException) as error:
        raise NotColumnar(str(error)) from None


def _query(source: Source, compression: str, names: list[str]) -> str:
    columns = ", ".join(f"{name}: '{_duck_type(name)}'" for name in names)
    return (
        f"SELECT * FROM read_json({_quote_path(source.path)}, format = 'newline_delimited', "
        f"columns = {{{columns}}}, compression = '{compression}')"
    )


def _quote_path(path: str) -> str:
    """An absolute path in which nothing is a glob or ends the string."""
    escaped = "".join(f"[{char}]" if char in "*?[" else char for char in str(Path(path).resolve()))
    return "'" + escaped.replace("'", "''") + "'"


_PLAIN_TYPES = {pa.string(): "VARCHAR", pa.float64(): "DOUBLE", pa.bool_(): "BOOLEAN"}


def _duck_type(name: str) -> str:
    if name == "usage":
        return _usage_type(_FOREIGN_USAGE)
    if name == "outcomes":
        fields = [
            f"{key} {_usage_type(()) if key == 'usage' else _PLAIN_TYPES[kind]}"
            for key, kind in OUTCOME_FIELDS.items()
        ]
        return f"STRUCT({', '.join(fields)})[]"
    if name == "prefix_blocks":
        return "DOUBLE[]"
    return _PLAIN_TYPES.get(REQUEST_FIELDS[name], "DOUBLE" if name == "block_tokens" else "VARCHAR")


def _usage_type(foreign: tuple[str, ...]) -> str:
    fields = [f"{name} DOUBLE" for name in USAGE_FIELDS] + [f'"{name}" VARCHAR' for name in foreign]
    return f"STRUCT({', '.join(fields)})"


def _to_schema(batch: pa.RecordBatch, names: list[str], model: str | None) -> pa.RecordBatch:
    """The batch in the log's schema.

    Raises:
        NotColumnar: a row is foreign, has tokens to be counted, or a number that is none.
    """
    columns = {name: batch.column(name) for name in names}
    usage, outcomes = columns["usage"], columns["outcomes"]
    first_foreign = len(USAGE_FIELDS)
    for at in range(first_foreign, first_foreign + len(_FOREIGN_USAGE)):
        if usage.field(at).null_count < len(usage):
            raise NotColumnar("usage of another format")
    _refuse_uncounted(usage, outcomes)
    columns["usage"] = _count_struct(usage)
    columns["timestamp"] = _timestamps(columns["timestamp"])
    if outcomes.null_count < len(outcomes):
        columns["outcomes"] = _outcomes(outcomes)
    for name in ("block_tokens",):
        if name in columns:
            columns[name] = _counts(columns[name])
    if model is not None:
        answered = pc.or_(columns["model"].is_valid(), outcomes.is_valid())
        columns["model"] = pc.if_else(answered, columns["model"], pa.scalar(model))
    arrays = [columns[name].cast(REQUEST_FIELDS[name]) for name in names]
    return pa.RecordBatch.from_arrays(arrays, names=names)


def _refuse_uncounted(usage: Any, outcomes: Any) -> None:
    """Leave rows whose tokens must be counted from text to the line reader."""
    if usage.null_count and pc.any(pc.and_(usage.is_null(), outcomes.is_null())).as_py():
        raise NotColumnar("usage is missing")
    if outcomes.null_count == len(outcomes):
        return
    at = list(OUTCOME_FIELDS).index("usage")
    if outcomes.flatten().field(at).null_count:
        raise NotColumnar("usage of an outcome is missing")


def _count_struct(usage: Any) -> pa.StructArray:
    children = [_counts(usage.field(at)) for at in range(len(USAGE_FIELDS))]
    mask = usage.is_null() if usage.null_count else None
    return pa.StructArray.from_arrays(children, fields=list(USAGE), mask=mask)


def _counts(column: Any) -> pa.Array:
    """Doubles that must be whole numbers, as integers."""
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.int64())
    values = cast("np.ndarray[Any, np.dtype[np.float64]]", column.fill_null(0.0).to_numpy())
    whole = np.isfinite(values) & (np.abs(values) <= _MAX_COUNT) & (values == np.rint(values))
    if not whole.all():
        raise NotColumnar("a count is not a whole number")
    mask = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    return pa.array(values.astype(np.int64), mask=mask)


def _timestamps(column: Any) -> pa.Array:
    """Text as timestamps; epoch numbers too, where all are."""
    if column.null_count == len(column):
        return pa.nulls(len(column), TIMESTAMP)
    try:
        return column.cast(TIMESTAMP)
    except pa.ArrowInvalid:
        raise NotColumnar("a timestamp that is not RFC 3339") from None


def _outcomes(outcomes: Any) -> pa.ListArray:
    flat = outcomes.flatten()
    arrays = [
        _count_struct(flat.field(at)) if name == "usage" else flat.field(at).cast(kind)
        for at, (name, kind) in enumerate(OUTCOME_FIELDS.items())
    ]
    struct = pa.StructArray.from_arrays(arrays, fields=list(REQUEST_FIELDS["outcomes"].value_type))
    lengths = outcomes.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    mask = outcomes.is_null() if outcomes.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets), struct, mask=mask)
