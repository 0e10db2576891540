"""Requests, one by one, into the columns of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from frugalctl.log.schema import OUTCOME, REQUEST_FIELDS, USAGE, Outcome, Request, Usage
from frugalctl.log.times import parse_timestamp_us

_Row = Callable[[Any], tuple[Any, ...]]

_read_request: _Row = attrgetter(*REQUEST_FIELDS)
_read_outcome: _Row = attrgetter(*(field.name for field in OUTCOME))
_read_usage: _Row = attrgetter(*(field.name for field in USAGE))
_NO_USAGE = (None,) * len(USAGE)


def build_batch(requests: Sequence[Request]) -> pa.RecordBatch:
    """The requests as a record batch with the columns of `log.schema.SCHEMA`.

    Raises:
        ValueError: a timestamp that is none.
        OverflowError: an integer outside 64 bits.
    """
    rows = [_read_request(request) for request in requests]
    columns = dict(zip(REQUEST_FIELDS, _transpose(rows, len(REQUEST_FIELDS)), strict=True))
    columns["timestamp"] = [_timestamp(value) for value in columns["timestamp"]]
    for name in ("messages", "tools"):
        columns[name] = [_json_text(value) for value in columns[name]]
    try:
        arrays = [_build_column(columns[name], kind) for name, kind in REQUEST_FIELDS.items()]
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
    return pa.RecordBatch.from_arrays(arrays, names=list(REQUEST_FIELDS))


def _transpose(rows: list[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _build_column(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    if kind == USAGE:
        return _build_usage(values)
    if kind == REQUEST_FIELDS["outcomes"]:
        return _build_outcomes(values)
    return pa.array(values, kind)


def _build_usage(usages: Sequence[Usage | None]) -> pa.StructArray:
    rows = [_NO_USAGE if usage is None else _read_usage(usage) for usage in usages]
    children = [pa.array(column, pa.int64()) for column in _transpose(rows, len(USAGE))]
    mask = pa.array([usage is None for usage in usages], pa.bool_())
    return pa.StructArray.from_arrays(children, fields=list(USAGE), mask=mask)


def _build_outcomes(lists: Sequence[list[Outcome] | None]) -> pa.ListArray:
    rows = [_read_outcome(outcome) for outcomes in lists for outcome in outcomes or ()]
    columns = _transpose(rows, len(OUTCOME))
    children = [
        _build_column(column, field.type) for column, field in zip(columns, OUTCOME, strict=True)
    ]
    flat = pa.StructArray.from_arrays(children, fields=list(OUTCOME))
    lengths = [len(outcomes or ()) for outcomes in lists]
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))).astype(np.int32))
    mask = pa.array([outcomes is None for outcomes in lists], pa.bool_())
    return pa.ListArray.from_arrays(offsets, flat, mask=mask)


def _timestamp(value: str | int | float | None) -> int | None:
    return None if value is None else parse_timestamp_us(value)


def _json_text(value: msgspec.Raw) -> str | None:
    text = bytes(value)
    return None if text in (b"", b"null") else text.decode()
