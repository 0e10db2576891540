"""Requests, one by one, into the columns of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from frugalctl.log.schema import (
    JSON_FIELDS,
    OUTCOME,
    REQUEST_FIELDS,
    USAGE,
    USAGE_FIELDS,
    Outcome,
    Request,
    Usage,
)
from frugalctl.log.times import parse_timestamp_us

_NO_USAGE = SimpleNamespace(**dict.fromkeys(USAGE_FIELDS))


def build_batch(requests: Sequence[Request]) -> pa.RecordBatch:
    """The requests as a record batch with the columns of `log.schema.SCHEMA`.

    Raises:
        ValueError: a timestamp that is none.
        OverflowError: an integer outside 64 bits.
    """
    columns = {name: _pick(name, requests) for name in REQUEST_FIELDS}
    columns["timestamp"] = [_timestamp(value) for value in columns["timestamp"]]
    for name in JSON_FIELDS:
        columns[name] = [_json_text(value) for value in columns[name]]
    try:
        arrays = [_build_column(columns[name], kind) for name, kind in REQUEST_FIELDS.items()]
    except pa.ArrowException as error:
        raise ValueError(str(error)) from None
    return pa.RecordBatch.from_arrays(arrays, names=list(REQUEST_FIELDS))


def _pick(name: str, items: Sequence[Any]) -> list[Any]:
    # Whole columns at once: a tuple a row would keep the garbage collector busy.
    return list(map(attrgetter(name), items))


def _build_column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if kind == USAGE:
        return _build_usage(values)
    if kind == REQUEST_FIELDS["outcomes"]:
        return _build_outcomes(values)
    return pa.array(values, kind)


def _build_usage(usages: list[Usage | None]) -> pa.StructArray:
    known = [usage or _NO_USAGE for usage in usages]
    children = [pa.array(_pick(name, known), pa.int64()) for name in USAGE_FIELDS]
    mask = pa.array([usage is None for usage in usages], pa.bool_())
    return pa.StructArray.from_arrays(children, fields=list(USAGE), mask=mask)


def _build_outcomes(lists: list[list[Outcome] | None]) -> pa.ListArray:
    flat = [outcome for outcomes in lists for outcome in outcomes or ()]
    children = [_build_column(_pick(field.name, flat), field.type) for field in OUTCOME]
    struct = pa.StructArray.from_arrays(children, fields=list(OUTCOME))
    lengths = [len(outcomes or ()) for outcomes in lists]
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))).astype(np.int32))
    mask = pa.array([outcomes is None for outcomes in lists], pa.bool_())
    return pa.ListArray.from_arrays(offsets, struct, mask=mask)


def _timestamp(value: str | int | float | None) -> int | None:
    return None if value is None else parse_timestamp_us(value)


def _json_text(value: msgspec.Raw) -> str | None:
    text = bytes(value)
    return None if text in (b"", b"null") else text.decode()
