"""JSON without the white space and the escapes that mean nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from frugalctl.levers.compress.pieces import Part, Piece, Segment
from frugalctl.levers.compress.runs import ESCAPE, JSON_SPACE, Run

JSON_LANGUAGES = frozenset({"json", "jsonl", "ndjson"})

_STRING = r'"(?:[^"\\]++|\\.)*+"'
_TOKENS = re.compile(rf"({_STRING})|[ \t\r\n]++", re.DOTALL)
# It matches everywhere, or the search would go on inside a string.
_GAPS = re.compile(rf"(?:[^\" \t\r\n]++|{_STRING})*+([ \t\r\n]*+)", re.DOTALL)
# Two backslashes are one that is escaped, and the `u` after them is a letter.
_ESCAPES = re.compile(r"\\u([0-9a-fA-F]{4})(?:\\u([0-9a-fA-F]{4}))?|\\.", re.DOTALL)


def is_json(segment: Segment) -> bool:
    """Whether a segment is JSON by its kind or language."""
    return segment.kind in ("json", "tool_call") or segment.language in JSON_LANGUAGES


def find_json_runs(part: Part) -> Iterator[Run]:
    """White space off and escapes decoded, in every segment that is valid JSON or JSON Lines."""
    for segment in part.segments:
        if segment.locked or not is_json(segment):
            continue
        for start, end in find_values(part.text, segment.start, segment.end):
            for piece in minify(part.text, start, end):
                yield (piece,)


def find_values(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The bounds of the JSON value, or of one value a line; nothing where it is not valid."""
    body = text[start:end]
    if _is_value(body):
        return [_strip(text, start, end)]
    bounds: list[tuple[int, int]] = []
    at = start
    for line in body.split("\n"):
        if line and not line.isspace():
            if not _is_value(line):
                return []
            bounds.append(_strip(text, at, at + len(line)))
        at += len(line) + 1
    return bounds


def is_json_document(text: str) -> bool:
    """Whether the whole of a text is an array, an object or JSON Lines."""
    start = 1 if text.startswith("\ufeff") else 0
    bounds = find_values(text, start, len(text)) if text[start:].lstrip()[:1] in ("{", "[") else []
    return bool(bounds) and all(text[first] in "{[" for first, _ in bounds)


def minify(text: str, start: int, end: int) -> Iterator[Piece]:
    """The changes that make a valid JSON value short: pieces that are apart from each other."""
    if text.find("\\u", start, end) < 0:
        for match in _GAPS.finditer(text, start, end):
            first, last = match.span(1)
            if first < last:
                yield Piece(first, last, "", JSON_SPACE)
        return
    for match in _TOKENS.finditer(text, start, end):
        if not match[1]:
            yield Piece(match.start(), match.end(), "", JSON_SPACE)
        elif "\\u" in match[1]:
            yield from _decode(match[1], match.start())


def minify_text(text: str, start: int, end: int) -> str:
    """A valid JSON value in its short form; numbers and keys as they are written."""
    if text.find("\\u", start, end) < 0:
        return _TOKENS.sub(r"\1", text[start:end])
    out: list[str] = []
    at = start
    for piece in minify(text, start, end):
        out += (text[at : piece.start], piece.text)
        at = piece.end
    out.append(text[at:end])
    return "".join(out)


def _decode(token: str, offset: int) -> Iterator[Piece]:
    at = 0
    while match := _ESCAPES.search(token, at):
        at = match.end()
        if match[1] is None:
            continue
        character, size = _join(match[1], match[2])
        at = match.start() + size
        if character.isprintable() and character not in '"\\':
            yield Piece(offset + match.start(), offset + at, character, ESCAPE)


def _join(high: str, low: str | None) -> tuple[str, int]:
    """The character of one escape or of a pair of surrogates, and how long it is written."""
    code = int(high, 16)
    if low is not None and 0xD800 <= code < 0xDC00 <= int(low, 16) < 0xE000:
        return chr(0x10000 + ((code - 0xD800) << 10) + int(low, 16) - 0xDC00), 12
    return chr(code), 6


def _is_value(text: str) -> bool:
    try:
        _DECODER.decode(text)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    """NaN and Infinity are not JSON."""
    raise ValueError(constant)


# Numbers are not converted: they may be longer than Python is willing to read.
_DECODER = json.JSONDecoder(parse_int=len, parse_float=len, parse_constant=_refuse)


def _strip(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start] in " \t\r\n":
        start += 1
    while end > start and text[end - 1] in " \t\r\n":
        end -= 1
    return start, end
