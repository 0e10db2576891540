"""Reading single fields out of a decoded JSON record."""

from __future__ import annotations

import math
from typing import Any, cast

import msgspec

from frugalctl.log.formats.base import Record, RecordError
from frugalctl.log.schema import NO_JSON
from frugalctl.log.times import parse_timestamp_us


def value_at(record: Record, *path: str) -> Any:
    """What stands at a path of keys; None where any step is missing or not an object."""
    value: Any = record
    for key in path:
        if not isinstance(value, dict):
            return None
        value = cast(Record, value).get(key)
    return value


def text(record: Record, *path: str) -> str | None:
    """The text at a path; whole numbers, which some tools use as ids, become text.

    Raises:
        RecordError: something else stands there.
    """
    value = value_at(record, *path)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise RecordError(f"{'.'.join(path)} is not text")
    return value


def number(record: Record, *path: str) -> float | None:
    """The number at a path, also where it is written as text.

    Raises:
        RecordError: it is not a finite number.
    """
    value = value_at(record, *path)
    if value is None or value == "":
        return None
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            result = float(value)
        except (ValueError, OverflowError):
            result = math.nan
        if math.isfinite(result):
            return result
    raise RecordError(f"{'.'.join(path)} is not a finite number")


def whole(record: Record, *path: str) -> int | None:
    """The whole number at a path, also where it is written as text.

    Raises:
        RecordError: it is not a whole number of at most 64 bits.
    """
    value = value_at(record, *path)
    if value is None or value == "":
        return None
    if isinstance(value, str) and len(value) <= 20 and value.lstrip("-").isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise RecordError(f"{'.'.join(path)} is not a whole number")
    return value


def is_true(record: Record, *path: str) -> bool:
    """Whether the value at a path is true, as JSON or as text."""
    value = value_at(record, *path)
    return value is True or (isinstance(value, str) and value.lower() == "true")


def mapping(record: Record, *path: str) -> Record:
    """The object at a path; empty where there is something else or nothing."""
    value = value_at(record, *path)
    return cast(Record, value) if isinstance(value, dict) else {}


def is_mapping(record: Record, *path: str) -> bool:
    """Whether an object stands at a path."""
    return isinstance(value_at(record, *path), dict)


def items(record: Record, *path: str) -> list[Any]:
    """The list at a path; empty where there is something else or nothing."""
    value = value_at(record, *path)
    return cast("list[Any]", value) if isinstance(value, list) else []


def usage_at(record: Record, *path: str) -> Record:
    """The usage object at a path; empty where there is none.

    Raises:
        RecordError: something that is not an object stands there.
    """
    value = value_at(record, *path)
    if value is not None and not isinstance(value, dict):
        raise RecordError(f"{'.'.join(path)} is not an object")
    return cast(Record, value) if value else {}


def moment(record: Record, *path: str) -> str | float | None:
    """The time at a path: RFC 3339 text or an epoch number, as the log reader takes them.

    Raises:
        RecordError: it is neither.
    """
    value = value_at(record, *path)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise RecordError(f"{'.'.join(path)} is not a timestamp")
    _parse_us(value)
    return value


def elapsed_ms(start: str | float | None, end: str | float | None) -> float | None:
    """Milliseconds between two times, to the microsecond; None if unknown or reversed."""
    if start is None or end is None:
        return None
    elapsed_us = _parse_us(end) - _parse_us(start)
    return elapsed_us / 1_000 if elapsed_us >= 0 else None


def scaled(value: float | None, factor: float) -> float | None:
    """A number in another unit."""
    return None if value is None else value * factor


def _parse_us(value: str | float) -> int:
    try:
        return parse_timestamp_us(value)
    except (ValueError, OverflowError) as error:
        raise RecordError(str(error)) from None


def to_json(value: Any) -> str:
    """Compact JSON text.

    Raises:
        RecordError: a text in it is not valid Unicode.
    """
    try:
        return msgspec.json.encode(value).decode()
    except (UnicodeEncodeError, RecursionError):
        raise RecordError("text that is not valid Unicode, or nested too deeply") from None


def to_raw(value: Any) -> msgspec.Raw:
    """A JSON-valued field of the canonical log; nothing for null and for empty containers."""
    return msgspec.Raw(to_json(value).encode()) if value else NO_JSON


def parse_json(value: Any) -> Any:
    """A value that a tool may have written as JSON text; None where the text is not JSON."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return None
