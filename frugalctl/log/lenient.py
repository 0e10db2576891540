"""A canonical line once more, with values of a neighbouring type taken for what they mean."""

from __future__ import annotations

import json
from typing import Any, cast

import msgspec
import pyarrow as pa

from frugalctl.log.schema import JSON_FIELDS, NO_JSON, REQUEST_FIELDS, Request

_KINDS = {name: kind for name, kind in REQUEST_FIELDS.items() if name not in JSON_FIELDS}
_MAX_DIGITS = 20

_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode_leniently(line: bytes) -> Request:
    """The request of a line of valid JSON that the typed decoder refused.

    Taken for what they mean: numbers and truth values written as text, whole floats for counts,
    numbers for text. Not taken: booleans for numbers or text, fractions for counts.

    Raises:
        msgspec.ValidationError: a value that does not fit its field even so.
    """
    parts = _decode_parts(line)
    record = json.loads(line, parse_int=_parse_int)
    fields = {name: _fit(record[name], kind) for name, kind in _KINDS.items() if name in record}
    request = msgspec.convert(fields, Request)
    for name in JSON_FIELDS:
        setattr(request, name, parts.get(name, NO_JSON))
    return request


def _parse_int(digits: str) -> int | str:
    """Python does not convert numbers of thousands of digits, and we need none of them."""
    return int(digits) if len(digits) <= _MAX_DIGITS else digits


def _fit(value: Any, kind: pa.DataType) -> Any:
    if isinstance(kind, pa.StructType):
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, Any]", value)
        return {
            field.name: _fit(given[field.name], field.type) for field in kind if field.name in given
        }
    if isinstance(kind, pa.ListType):
        if not isinstance(value, list):
            return value
        return [_fit(item, kind.value_type) for item in cast("list[Any]", value)]
    if isinstance(value, bool):
        return value
    fit = _FITS.get(kind)
    return fit(value) if fit else value


def _fit_text(value: Any) -> Any:
    return str(value) if isinstance(value, (int, float)) else value


def _fit_number(value: Any) -> Any:
    if not isinstance(value, str) or "_" in value:
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _fit_count(value: Any) -> Any:
    if isinstance(value, str) and value.removeprefix("-").isdecimal():
        return int(value) if len(value) <= _MAX_DIGITS else 2**64
    number = _fit_number(value)
    return int(number) if isinstance(number, float) and number.is_integer() else value


def _fit_truth(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


_FITS = {
    pa.string(): _fit_text,
    pa.float64(): _fit_number,
    pa.int64(): _fit_count,
    pa.bool_(): _fit_truth,
}
