"""Requests, one by one, into the columns of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa

from frugalctl.log.schema import OUTCOME, REQUEST_FIELDS, Outcome, Request, Usage
from frugalctl.log.times import parse_timestamp_us

_PLAIN = tuple(
    name
    for name in REQUEST_FIELDS
    if name not in {"timestamp", "messages", "tools", "usage", "outcomes"}
)


def build_batch(requests: Sequence[Request]) -> pa.RecordBatch:
    """The requests as a record batch with the columns of `log.schema.SCHEMA`.

    Raises:
        ValueError: a timestamp that is none.
        OverflowError: an integer outside 64 bits.
    """
    columns: dict[str, Any] = {
        "timestamp": [_timestamp(request.timestamp) for request in requests],
        "messages": [_json_text(request.messages) for request in requests],
        "tools": [_json_text(request.tools) for request in requests],
        "usage": [_usage(request.usage) for request in requests],
        "outcomes": [_outcomes(request.outcomes) for request in requests],
    }
    for name in _PLAIN:
        columns[name] = [getattr(request, name) for request in requests]
    arrays = [_array(columns[name], kind) for name, kind in REQUEST_FIELDS.items()]
    return pa.RecordBatch.from_arrays(arrays, names=list(REQUEST_FIELDS))


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from None


def _timestamp(value: str | int | float | None) -> int | None:
    return None if value is None else parse_timestamp_us(value)


def _json_text(value: msgspec.Raw) -> str | None:
    text = bytes(value)
    return None if text in (b"", b"null") else text.decode()


def _usage(usage: Usage | None) -> dict[str, int | None] | None:
    return None if usage is None else {name: getattr(usage, name) for name in _USAGE_NAMES}


def _outcomes(outcomes: list[Outcome] | None) -> list[dict[str, Any]] | None:
    if outcomes is None:
        return None
    return [
        {
            name: _usage(outcome.usage) if name == "usage" else getattr(outcome, name)
            for name in _OUTCOME_NAMES
        }
        for outcome in outcomes
    ]


_USAGE_NAMES = Usage.__struct_fields__
_OUTCOME_NAMES = tuple(field.name for field in OUTCOME)
