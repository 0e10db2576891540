"""White space, table padding and written-out escapes in running text and code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from itertools import pairwise

from frugalctl.levers.compress.lossless_json import is_json
from frugalctl.levers.compress.pieces import Part, Piece, Segment
from frugalctl.levers.compress.runs import ESCAPE, PADDING, WHITESPACE, Run

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^`\n]*)")
_TRAILING = re.compile(r"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_BLANK = re.compile(r"(?<![ \t\r\n])[ \t]*+(\r?\n)(?:[ \t]*+\r?\n){2,}|[ \t]++(?=\r?\n|\Z)")
_INNER = re.compile(r"(?<=[^ \t])  ++(?=[^ \t\r\n])")
_MARKER = re.compile(r"[ \t>]*(?:[-*+#]+|\d+[.)])?")
_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4}){2,}")
_DELIMITER = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*\r?\n?")
_PADDED = re.compile(r"(?<![ \t])[ \t]++(?=\|)|(?<!\\\|)(?<=\|)[ \t]++")
_DASHES = re.compile(r"-{4,}")

# Spaces at the end of a line belong to the text where one of these may span lines.
_LONG_STRINGS = re.compile(r"\"\"\"|'''|`|<<|R\"|\[\[|[|>][+-]?\d?[ \t]*$", re.MULTILINE)
_VERBATIM = frozenset({"diff", "patch", "whitespace", "text", "markdown", "md", "console"})


def find_whitespace_runs(part: Part) -> Iterator[Run]:
    """Trailing spaces, more than one blank line, and runs of blanks between words.

    Indentation stays, and so do blanks that align the columns of neighbouring lines. Inside code
    only trailing spaces go, and none where a string may span lines.
    """
    for start, end, fenced, segment in _blocks(part):
        if fenced or segment.kind == "code":
            pieces = _trim_code(part.text, start, end, segment.language)
        elif segment.kind in ("html", "json", "tool_call"):
            continue
        else:
            pieces = _trim_text(part.text, start, end)
        for piece in pieces:
            yield (piece,)


def find_padding_runs(part: Part) -> Iterator[Run]:
    """The padding of Markdown tables: no blanks around a cell, three dashes a column."""
    if "|" not in part.text:
        return
    for start, end, fenced, segment in _blocks(part):
        if fenced or segment.kind in ("code", "html", "json", "tool_call"):
            continue
        lines = [match.span() for match in _LINE.finditer(part.text, start, end)]
        for row in _table_lines(part.text, lines):
            for piece in _unpad(part.text, *row):
                yield (piece,)


def find_escape_runs(part: Part) -> Iterator[Run]:
    r"""Two or more \uXXXX in a row that spell printable text, outside code and JSON."""
    if "\\u" not in part.text:
        return
    for start, end, fenced, segment in _blocks(part):
        if fenced or segment.kind in ("code", "html") or is_json(segment):
            continue
        for match in _ESCAPES.finditer(part.text, start, end):
            if match.start() > start and part.text[match.start() - 1] == "\\":
                continue
            text = _spell(match.group())
            if text is not None:
                yield (Piece(match.start(), match.end(), text, ESCAPE),)


def _blocks(part: Part) -> Iterator[tuple[int, int, bool, Segment]]:
    """Unlocked segments cut at their code fences: bounds, whether inside a fence, the segment."""
    fences = "```" in part.text or "~~~" in part.text
    for segment in part.segments:
        if segment.locked:
            continue
        if segment.kind == "code" or not fences:
            yield segment.start, segment.end, False, segment
            continue
        at, fence = segment.start, ""
        for line in _LINE.finditer(part.text, segment.start, segment.end):
            mark = _FENCE.match(part.text, line.start(), line.end())
            if mark is None or (fence and not _closes(mark, fence)):
                continue
            if line.start() > at:
                yield at, line.start(), bool(fence), segment
            at, fence = line.end(), "" if fence else mark[1]
        if at < segment.end:
            yield at, segment.end, bool(fence), segment


def _closes(mark: re.Match[str], fence: str) -> bool:
    return mark[1].startswith(fence) and not mark[2].strip()


def _trim_code(text: str, start: int, end: int, language: str) -> Iterator[Piece]:
    if language in _VERBATIM or _LONG_STRINGS.search(text, start, end):
        return
    matches = list(_TRAILING.finditer(text, start, end))
    if not matches:
        return
    lines = text[start:end].splitlines()
    # A quote without its partner may open a string that goes on in the next line.
    if any(line.count('"') % 2 or line.count("'") % 2 for line in lines):
        return
    for match in matches:
        if match.start() > start and text[match.start() - 1] != "\\":
            yield Piece(*match.span(), "", WHITESPACE)


def _trim_text(text: str, start: int, end: int) -> Iterator[Piece]:
    pieces = list(_trim_inner(text, start, end))
    for match in _BLANK.finditer(text, start, end):
        became = match[1] * 2 if match[1] else ""
        pieces.append(Piece(*match.span(), became, WHITESPACE))
    pieces.sort(key=lambda piece: piece.start)
    yield from pieces


def _trim_inner(text: str, start: int, end: int) -> Iterator[Piece]:
    """Runs of blanks between words, but for those that end in a column of the lines around."""
    if text.find("  ", start, end) < 0:
        return
    above: frozenset[int] = frozenset()
    runs: list[tuple[int, int]] = []
    columns: frozenset[int] = frozenset()
    line_start = start
    for line in _LINE.finditer(text, start, end):
        next_runs = _inner_runs(text, *line.span())
        next_columns = frozenset(after - line.start() for _, after in next_runs)
        yield from _squeeze(runs, line_start, above | next_columns)
        above, runs, columns, line_start = columns, next_runs, next_columns, line.start()
    yield from _squeeze(runs, line_start, above)


def _inner_runs(text: str, start: int, end: int) -> list[tuple[int, int]]:
    if text.find("|", start, end) >= 0 or text.find("`", start, end) >= 0:
        return []
    marker = _MARKER.match(text, start, end)
    return [run.span() for run in _INNER.finditer(text, marker.end() + 1 if marker else start, end)]


def _squeeze(runs: list[tuple[int, int]], line_start: int, aligned: Set[int]) -> Iterator[Piece]:
    for start, end in runs:
        if end - line_start not in aligned:
            yield Piece(start + 1, end, "", WHITESPACE)


def _table_lines(text: str, lines: list[tuple[int, int]]) -> Iterator[tuple[int, int, bool]]:
    """The rows of Markdown tables, and whether a row is the one of dashes."""
    inside = False
    for (start, end), (below, after) in pairwise([*lines, (0, 0)]):
        if text.find("|", start, end) < 0:
            inside = False
            continue
        dashes = _is_delimiter(text, start, end)
        begins = not inside and not dashes and _is_delimiter(text, below, after)
        if inside or begins:
            inside = True
            yield start, end, dashes


def _is_delimiter(text: str, start: int, end: int) -> bool:
    return text.find("|", start, end) >= 0 and bool(_DELIMITER.fullmatch(text, start, end))


def _unpad(text: str, start: int, end: int, dashes: bool) -> list[Piece]:
    pieces = [
        Piece(*match.span(), "", PADDING)
        for match in _PADDED.finditer(text, start, end)
        if match.start() > start
    ]
    if dashes:
        pieces += [
            Piece(match.start() + 3, match.end(), "", PADDING)
            for match in _DASHES.finditer(text, start, end)
        ]
        pieces.sort(key=lambda piece: piece.start)
    return pieces


def _spell(escapes: str) -> str | None:
    units = [int(unit, 16) for unit in escapes.split("\\u")[1:]]
    try:
        text = b"".join(unit.to_bytes(2, "big") for unit in units).decode("utf-16-be")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and not text.isascii() else None
