"""JSON read and written so that what nobody changed stays as it was."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NoReturn

from frugalctl.errors import InputError

_MOST_DIGITS = 4000
_MARK = "frugalctl-number"


@dataclass(frozen=True, slots=True)
class Number:
    """A number that Python would write in another way than it was written, such as 0.10."""

    raw: str


def decode_json(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        InputError: it is not JSON, or nested too deeply.
    """
    return _decode(text, {})


def decode_exact(text: str) -> Any:
    """The same, with what would not come back alike as `Number`, or refused.

    Raises:
        InputError: it is not JSON (NaN and Infinity are not), an object has a key twice, of which
            a reader sees one, or it is nested too deeply.
    """
    return _decode(
        text,
        {
            "object_pairs_hook": _make_object,
            "parse_float": read_float,
            "parse_int": read_int,
            "parse_constant": _refuse,
        },
    )


def encode_json(
    value: Any,
    *,
    ascii_only: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
) -> str:
    """A value as JSON, its numbers as they were written.

    What UTF-8 cannot hold is written as an escape.

    Raises:
        InputError: it is nested too deeply.
    """
    raws: list[str] = []
    mark = _MARK

    def keep(number: Any) -> str:
        if not isinstance(number, Number):
            raise TypeError(f"{type(number).__name__} is not JSON")
        raws.append(number.raw)
        return mark

    def dump(only_ascii: bool) -> str:
        raws.clear()
        return json.dumps(
            value, ensure_ascii=only_ascii, indent=indent, separators=separators, default=keep
        )

    try:
        text = dump(ascii_only)
        if not ascii_only and not _is_whole(text):
            ascii_only, text = True, dump(True)
        while raws and text.count(f'"{mark}"') > len(raws):
            mark += "-"
            text = dump(ascii_only)
    except RecursionError:
        raise InputError("is nested too deeply to be written as JSON") from None
    if not raws:
        return text
    apart = text.split(f'"{mark}"')
    return "".join(a for pair in zip(apart, [*raws, ""], strict=True) for a in pair)


def read_float(raw: str) -> float | Number:
    """A number with a point or an exponent, for a decoder's `parse_float`."""
    value = float(raw)
    return value if repr(value) == raw else Number(raw)


def read_int(raw: str) -> int | Number:
    """A whole number, for `parse_int`; Python does not read one of very many digits."""
    return int(raw) if len(raw) < _MOST_DIGITS and raw != "-0" else Number(raw)


def _decode(text: str, hooks: dict[str, Any]) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"), **hooks)
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error.msg} (column {error.colno})") from None
    except RecursionError:
        raise InputError("is not JSON that can be read: it is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"is not JSON that can be read: {error}") from None


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise InputError(
                    f"has the key {key[:60]!r} twice in one object", hint="leave one of them out"
                )
            seen.add(key)
    return made


def _refuse(constant: str) -> NoReturn:
    raise InputError(f"is not JSON: {constant} is no number of JSON's")


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
