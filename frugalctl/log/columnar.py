"""The fast reader: a file of canonical JSON lines straight into Arrow columns, by DuckDB.

DuckDB is the fastest of the readers measured (see `benchmarks/`), and more lenient than we are:
asked for a number it takes true for 1, asked for an integer it rounds 1.5. So it is asked for
text only, which Arrow parses strictly, and whatever is not plainly a canonical line is left to
`log.lines`, which is the authority. What remains is that JSON's grammar is not enforced to the
letter: a trailing comma passes, and so does NaN in a field that is not read.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frugalctl.log.schema import (
    OUTCOME,
    OUTCOME_FIELDS,
    REQUEST_FIELDS,
    TIMESTAMP,
    USAGE,
    USAGE_FIELDS,
    LogBatch,
)
from frugalctl.log.stream import Source, open_input, read_blocks
from frugalctl.log.times import MILLISECONDS_FROM

BATCH_ROWS = 32_768
_MEMORY_LIMIT = "512MB"
_READ_AHEAD = "16MB"

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


def _new_index() -> array[int]:
    return array("q")


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
    lines: array[int] = field(default_factory=_new_index)

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
        KeyboardInterrupt: Ctrl-C while DuckDB works.
    """
    import duckdb

    names = [name for name in REQUEST_FIELDS if name not in without]
    index = _new_index()
    row = 0
    try:
        with duckdb.connect(config={"memory_limit": _MEMORY_LIMIT}) as connection:
            connection.execute("SET autoinstall_known_extensions = false")
            connection.execute(f"SET streaming_buffer_size = '{_READ_AHEAD}'")
            relation: Any = connection.sql(_query(source, compression, names))
            for batch in relation.to_arrow_reader(BATCH_ROWS):
                requests = _to_schema(batch, names, model)
                lines = RowLines(source, row, requests.num_rows, index)
                yield LogBatch(requests, source.name, lines)
                row += requests.num_rows
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise NotColumnar(str(error)) from None
    except RuntimeError as error:
        # DuckDB takes the signal of Ctrl-C for itself and says so in an error of its own.
        if "interrupted" in str(error):
            raise KeyboardInterrupt from None
        raise


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


def _duck_type(name: str) -> str:
    if name == "usage":
        return _struct_of_text((*USAGE_FIELDS, *_FOREIGN_USAGE))
    if name == "outcomes":
        usage = _struct_of_text(USAGE_FIELDS)
        fields = (f"{key} {usage if key == 'usage' else 'VARCHAR'}" for key in OUTCOME_FIELDS)
        return f"STRUCT({', '.join(fields)})[]"
    return "VARCHAR[]" if name == "prefix_blocks" else "VARCHAR"


def _struct_of_text(names: Sequence[str]) -> str:
    return f"STRUCT({', '.join(f'{name} VARCHAR' for name in names)})"


def _to_schema(batch: pa.RecordBatch, names: list[str], model: str | None) -> pa.RecordBatch:
    """The batch in the log's schema.

    Raises:
        NotColumnar: a row is foreign, has tokens to be counted, or a value of another type.
    """
    usage = batch.column("usage")
    for at in range(len(USAGE_FIELDS), len(USAGE_FIELDS) + len(_FOREIGN_USAGE)):
        if usage.field(at).null_count < len(usage):
            raise NotColumnar("usage of another format")
    columns = {name: _parse(batch.column(name), REQUEST_FIELDS[name]) for name in names}
    answered = pc.fill_null(pc.greater(columns["outcomes"].value_lengths(), 0), False)
    if model is not None:
        kept = pc.or_(columns["model"].is_valid(), answered)
        columns["model"] = pc.if_else(kept, columns["model"], pa.scalar(model))
    if usage.null_count:
        unanswered = pc.or_(columns["model"].is_valid(), pc.invert(answered))
        if pc.any(pc.and_(usage.is_null(), unanswered)).as_py():
            raise NotColumnar("usage is missing")
    return pa.RecordBatch.from_arrays([columns[name] for name in names], names=names)


def _parse(column: Any, kind: pa.DataType) -> Any:
    """A column of text as a column of that type; numbers and truth values stand in text."""
    if column.null_count == len(column):
        return pa.nulls(len(column), kind)
    if kind == USAGE:
        return _parse_struct(column, USAGE)
    if kind == REQUEST_FIELDS["outcomes"]:
        return _parse_outcomes(column)
    if kind == REQUEST_FIELDS["prefix_blocks"]:
        return _parse_blocks(column)
    return _PARSERS[kind](column)


def _parse_struct(column: Any, kind: pa.StructType) -> pa.StructArray:
    children = [_parse(column.field(at), item.type) for at, item in enumerate(kind)]
    mask = column.is_null() if column.null_count else None
    return pa.StructArray.from_arrays(children, fields=list(kind), mask=mask)


def _parse_outcomes(column: Any) -> pa.ListArray:
    flat = column.flatten()
    if flat.field(list(OUTCOME_FIELDS).index("usage")).null_count:
        raise NotColumnar("usage of an outcome is missing")
    return _rebuild_list(column, _parse_struct(flat, OUTCOME))


def _parse_blocks(column: Any) -> pa.ListArray:
    flat = column.flatten()
    if flat.null_count or pc.any(pc.match_substring_regex(flat, "[xX]")).as_py():
        raise NotColumnar("a block that is not a whole number")
    return _rebuild_list(column, flat.cast(pa.int64()))


def _rebuild_list(column: Any, flat: pa.Array) -> pa.ListArray:
    lengths = column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    mask = column.is_null() if column.null_count else None
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=mask)


def _parse_text(column: Any) -> Any:
    """The text, unless it may have been an object, an array, true or false."""
    offsets = np.frombuffer(column.buffers()[1], np.int32)
    offsets = offsets[column.offset : column.offset + len(column) + 1]
    starts = offsets[:-1][offsets[1:] > offsets[:-1]]
    if len(starts):
        first = np.frombuffer(column.buffers()[2], np.uint8)[starts]
        if _OPENS[first].any() or (_MAY_BE_TRUTH[first].any() and _has_truth(column)):
            raise NotColumnar("a text field that may hold something else")
    return column


def _has_truth(column: Any) -> bool:
    lengths = pc.binary_length(column)
    short = column.filter(pc.is_in(lengths, pa.array([4, 5], pa.int32())))
    return bool(pc.any(pc.is_in(short, _TRUTH)).as_py())


def _parse_counts(column: Any) -> pa.Array:
    values = column.cast(pa.float64()).fill_null(0.0).to_numpy()
    if not ((np.abs(values) < _MAX_COUNT) & (values == np.rint(values))).all():
        raise NotColumnar("a count is not a whole number")
    mask = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    return pa.array(values.astype(np.int64), mask=mask)


def _parse_numbers(column: Any) -> pa.Array:
    return column.cast(pa.float64())


def _parse_truth(column: Any) -> pa.Array:
    if not pc.all(pc.is_in(column.drop_null(), _TRUTH)).as_py():
        raise NotColumnar("neither true nor false")
    return column.cast(pa.bool_())


def _parse_times(column: Any) -> pa.Array:
    """RFC 3339 to the microsecond or nanosecond, or epoch numbers of today's size."""
    try:
        return column.cast(TIMESTAMP)
    except pa.ArrowInvalid:
        pass
    if pc.all(pc.match_substring_regex(column, _EPOCH_NUMBER)).as_py():
        values = column.cast(pa.float64())
        scale = pc.if_else(pc.greater(values, MILLISECONDS_FROM), 1e3, 1e6)
        return (
            pc.round(pc.multiply(values, scale), round_mode="half_to_even")
            .cast(pa.int64())
            .cast(TIMESTAMP)
        )
    exact = column.cast(pa.timestamp("ns", tz="UTC"))
    return pc.floor_temporal(exact, unit="microsecond").cast(TIMESTAMP)


_MAX_COUNT = 2.0**53
_EPOCH_NUMBER = r"^[0-9]{10}(\.[0-9]+)?$|^[0-9]{13}(\.[0-9]+)?$"
_TRUTH = pa.array(["true", "false"])
_OPENS = np.isin(np.arange(256), [*b"{["])
_MAY_BE_TRUTH = np.isin(np.arange(256), [*b"tf"])
_PARSERS = {
    pa.string(): _parse_text,
    pa.float64(): _parse_numbers,
    pa.int64(): _parse_counts,
    pa.bool_(): _parse_truth,
    TIMESTAMP: _parse_times,
}
