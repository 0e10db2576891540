"""JSON lines that hold an object each, and the texts in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, cast

from frugalctl.errors import BadLine, InputError
from frugalctl.levers.compress.json_text import decode_exact, decode_json
from frugalctl.levers.compress.prompt import decode_text

Record = dict[str, Any]


def read_records(
    lines: Iterable[bytes], *, source: str, exact: bool = False
) -> Iterator[tuple[int, Record]]:
    """The number of each line that is not blank, from 1, and its object.

    Args:
        lines: of a file.
        source: its name.
        exact: the objects are written again: numbers as `json_text.Number` where they would
            change, and no key twice.

    Raises:
        BadLine: a line is not a JSON object in UTF-8.
    """
    decode = decode_exact if exact else decode_json
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = decode(decode_text(line, source))
            if not isinstance(value, dict):
                raise InputError("is not a JSON object")
            if b"\\u" in line and not _is_whole(value):
                raise InputError("an escaped character is cut in half (unpaired surrogate)")
        except InputError as error:
            raise BadLine(error.message, source=source, line=number, hint=error.hint) from None
        yield number, cast(Record, value)


def read_unique_records(
    lines: Iterable[bytes], *, source: str
) -> Iterator[tuple[int, str, Record]]:
    """The same, exactly, with the id of each; a line without one has its number.

    Raises:
        BadLine: as `read_records`, or an id came before, or is neither a text nor a number.
    """
    seen: dict[str, int] = {}
    for number, record in read_records(lines, source=source, exact=True):
        value = record.get("id")
        if isinstance(value, bool) or not isinstance(value, (str, int, type(None))):
            raise BadLine("the id is not a text", source=source, line=number)
        name = str(number if value is None else value)
        if name in seen:
            raise BadLine(f"the id {name!r} was on line {seen[name]}", source=source, line=number)
        seen[name] = number
        yield number, name, record


def read_content(content: Any) -> str:
    """The text of a message's content: a text, or blocks that have some; "" for none."""
    if isinstance(content, str):
        return content
    blocks = cast("list[Any]", content) if isinstance(content, list) else []
    texts = [cast(Record, block).get("text") for block in blocks if isinstance(block, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def _is_whole(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False, default=repr).encode("utf-8")
    except UnicodeEncodeError:
        return False
    except RecursionError:
        raise InputError("is nested too deeply") from None
    return True
