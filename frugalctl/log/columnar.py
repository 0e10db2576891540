"""The fast reader: a block of canonical JSON lines straight into Arrow columns."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.json as pj

from frugalctl.log.schema import OUTCOME_FIELDS, REQUEST_FIELDS, USAGE_FIELDS, LogBatch
from frugalctl.log.stream import Block

_FOREIGN_USAGE = (
    "prompt_tokens",
    "promptTokenCount",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "input_tokens_details",
    "output_tokens_details",
)
"""Usage keys of other formats. A line that has one must not pass for canonical."""


class ColumnarReader:
    """Parses blocks, or says that a block must be read line by line.

    Args:
        source: the file's name, for the batches.
        without: fields to leave out. Unless the JSON-valued fields are among them, every block
            is read line by line, since Arrow has no column type for any JSON.
        model: stands in where a request names no model.
    """

    def __init__(self, source: str, without: frozenset[str], model: str | None) -> None:
        self._source = source
        self._model = model
        self._names = [name for name in REQUEST_FIELDS if name not in without]
        self._possible = {"messages", "tools"} <= without
        self._options = pj.ParseOptions(
            explicit_schema=pa.schema([(name, _parse_type(name)) for name in self._names]),
            unexpected_field_behavior="ignore",
        )

    def read(self, block: Block, by_line: bool) -> LogBatch | None:
        """The block as a batch; None where it must be read line by line.

        Args:
            block: whole lines.
            by_line: do not try; the file is known to need the line reader.
        """
        if by_line or not self._possible:
            return None
        table = self._parse(block.data)
        if table is None:
            return None
        lines = range(block.first_line, block.first_line + table.num_rows)
        return self._accept(table, lines)

    def _parse(self, data: bytes) -> pa.Table | None:
        expected = data.count(b"\n") + (not data.endswith(b"\n"))
        read_options = pj.ReadOptions(block_size=len(data) + 1, use_threads=False)
        try:
            pa.array([data], pa.binary()).cast(pa.string())  # ignored fields must be UTF-8 too
            table = pj.read_json(
                pa.BufferReader(data), read_options=read_options, parse_options=self._options
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
        return table if table.num_rows == expected else None

    def _accept(self, table: pa.Table, lines: range) -> LogBatch | None:
        """The table in the log's schema, or None where a row needs the line reader."""
        arrays = [_one_array(table.column(name)) for name in self._names]
        columns = dict(zip(self._names, arrays, strict=True))
        usage, outcomes = columns["usage"], columns["outcomes"]
        if _has_foreign_usage(usage) or _needs_counting(usage, outcomes):
            return None
        for name in ("usage", "outcomes"):
            columns[name] = columns[name].cast(REQUEST_FIELDS[name])
        if self._model is not None:
            columns["model"] = _fill_model(columns["model"], outcomes, self._model)
        requests = pa.RecordBatch.from_arrays(list(columns.values()), names=self._names)
        return LogBatch(requests, self._source, lines)


def _parse_type(name: str) -> pa.DataType:
    if name == "usage":
        return pa.struct([(key, pa.int64()) for key in (*USAGE_FIELDS, *_FOREIGN_USAGE)])
    return REQUEST_FIELDS[name]


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _has_foreign_usage(usage: pa.StructArray) -> bool:
    first = len(USAGE_FIELDS)
    return any(
        usage.field(first + at).null_count < len(usage) for at in range(len(_FOREIGN_USAGE))
    )


def _needs_counting(usage: pa.StructArray, outcomes: pa.ListArray) -> bool:
    """Whether some row, or some outcome, has no usage and may have text to count."""
    if outcomes.null_count == len(outcomes):
        return usage.null_count > 0
    if usage.null_count and (usage.is_null().to_numpy(False) & outcomes.is_null().to_numpy(False)).any():
        return True
    flat = outcomes.flatten()
    return flat.field(list(OUTCOME_FIELDS).index("usage")).null_count > 0


def _fill_model(models: pa.Array, outcomes: pa.ListArray, model: str) -> pa.Array:
    filled = models.fill_null(model)
    if outcomes.null_count == len(outcomes):
        return filled
    return pa.array(
        [
            name if has_outcomes else stand_in
            for name, stand_in, has_outcomes in zip(
                models.to_pylist(), filled.to_pylist(), outcomes.is_valid().to_pylist(), strict=True
            )
        ],
        pa.string(),
    )
