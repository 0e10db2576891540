"""JSON within a text: where a value ends, and whether it is a contract that a model has to keep."""

from __future__ import annotations

import json
import re
from typing import Any, cast

_WINDOW = 1 << 16
_CONTRACT = re.compile(
    r'"(?:parameters|input_schema|inputSchema|function|functionDeclarations|properties|\$schema'
    r'|json_schema)"\s{0,20}:'
)
_PARAMETERS = ("parameters", "input_schema", "inputSchema", "function")


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)


def decode_at(text: str, at: int, end: int) -> tuple[Any, int]:
    """The JSON value from `at`, and its end.

    It is read from a copy of what follows, since an error of the decoder counts all the lines
    before it; a longer copy is taken where the end of a short one may have cut the value.

    Raises:
        ValueError: there is no value; a JSONDecodeError has a position from `at`.
        RecursionError: it is nested too deeply.
    """
    window = _WINDOW
    while True:
        copy = text[at : min(at + window, end)]
        try:
            value, size = _DECODER.raw_decode(copy)
        except json.JSONDecodeError as error:
            cut = error.pos > len(copy) - 16 or error.msg.startswith("Unterminated")
            if not cut or at + window >= end:
                raise
            window *= 16
        else:
            return value, at + size


def is_data(value: Any) -> bool:
    """Whether a decoded array or object is more than a reference such as `[1]`."""
    if isinstance(value, dict):
        return True
    items: list[Any] = value
    return len(items) > 2 or any(isinstance(item, (dict, list)) for item in items)


def is_contract(text: str) -> bool:
    """Whether JSON, or JSON Lines, defines tools or is a schema: an order, and not data."""
    if not _CONTRACT.search(text):
        return False
    try:
        values = [json.loads(text, parse_int=str, parse_float=str)]
    except (ValueError, RecursionError):
        values = _read_values(text)
    return any(_defines(value) for value in values)


def _read_values(text: str) -> list[Any]:
    values: list[Any] = []
    for line in text.split("\n"):
        try:
            values.append(json.loads(line, parse_int=str, parse_float=str))
        except (ValueError, RecursionError):
            continue
    return values


def _defines(value: Any) -> bool:
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return bool(items) and all(_defines(item) for item in items)
    if not isinstance(value, dict):
        return False
    fields = cast("dict[str, Any]", value)
    if "$schema" in fields or "json_schema" in fields or "functionDeclarations" in fields:
        return True
    if isinstance(fields.get("properties"), dict):
        return fields.get("type") == "object"
    if isinstance(fields.get("tools"), list):
        return _defines(fields["tools"])
    named = isinstance(fields.get("name"), str) or fields.get("type") == "function"
    return named and any(isinstance(fields.get(key), dict) for key in _PARAMETERS)
