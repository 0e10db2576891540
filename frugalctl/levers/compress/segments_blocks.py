"""First pass over a text: line by line into blocks of code, JSON, tables, logs, HTML and prose."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from frugalctl.levers.compress.pieces import Kind
from frugalctl.levers.compress.segments_json import decode_at, is_data
from frugalctl.levers.compress.segments_lines import (
    fits_code,
    fits_log,
    is_code,
    is_log,
    read_close,
    read_label,
)
from frugalctl.levers.compress.segments_words import BULLET, DOCUMENT, TAG_LINE

# A line is judged by its first characters, so that one of a megabyte costs no more.
_HEAD_CHARS = 500
_MIN_LOG_LINES = 3
_MIN_TABLE_LINES = 3
_MIN_CODE_LINES = 3
_MIN_INLINE_JSON = 40

_FENCE = re.compile(r"(?P<indent>[ \t>]{0,12})(?P<mark>`{3,}|~{3,})[ \t]*(?P<info>[^`\r\n]{0,80})")
_HTML = re.compile(
    r"[ \t]{0,8}(?:<!doctype html|</?(?:html|head|body|div|table|thead|tbody|tr|td|th|ul|ol|li|p|br"
    r"|h[1-6]|section|main|header|footer|nav|aside|form|script|style|meta|link|title|span|a|img"
    r"|button|label|figure|blockquote|dl|dt|dd|hr|pre)\b)",
    re.IGNORECASE,
)
_HTML_PAGE = re.compile(r"\s*(?:<!doctype html|<html)", re.IGNORECASE)
_HTML_END = re.compile(r"</html>", re.IGNORECASE)
_TABLE_RULE = re.compile(r"[ \t]{0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-*:?[ \t]*){0,100}\r?$")
_INLINE_JSON = re.compile(r"[:=][ \t]{0,4}(?=[\[{][ \t]{0,4}(?:[\[{\"]|\r?$))")


@dataclass(frozen=True, slots=True)
class Block:
    """A run of whole lines, with the blank lines after it.

    Attributes:
        start: offset of its first character.
        end: offset after its last.
        kind: what it is, as far as its own lines tell.
        label: what its first line opens: "document", "heading", "shot", "ask", "reply", "rule",
            "open", "close", or "".
        title: of that label: a document's title, a heading's text, a tag's name.
        language: of code.
        level: of a heading.
        locked: the marker of a fence.
        closes: the tag that ends with it.
    """

    start: int
    end: int
    kind: Kind = "prose"
    label: str = ""
    title: str = ""
    language: str = ""
    level: int = 0
    locked: bool = False
    closes: str = ""


class _Scanner:
    """Cuts the lines of a zone into blocks; every line is looked at a bounded number of times."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text = text
        self.end = end
        self.at = start
        self.json_from = start
        self.line = (start, start)

    def line_end(self, at: int) -> int:
        if not self.line[0] <= at < self.line[1]:
            found = self.text.find("\n", at, self.end)
            self.line = (at, self.end if found < 0 else found + 1)
        return self.line[1]

    def head(self, at: int) -> str:
        """The first characters of a line, without its end."""
        end = self.text.find("\n", at, min(at + _HEAD_CHARS, self.end))
        return self.text[at : min(at + _HEAD_CHARS, self.end) if end < 0 else end]

    def skip_blank(self, at: int) -> int:
        """Past the blank lines from here."""
        while at < self.end:
            end = self.line_end(at)
            if not self.text[at : min(end, at + _HEAD_CHARS)].isspace():
                return at
            at = end
        return at

    def scan(self) -> Iterator[Block]:
        while self.at < self.end:
            yield from self._scan_block()

    def _scan_block(self) -> Iterator[Block]:
        start = self.at
        self.at = self.skip_blank(start)
        if self.at == self.end:
            yield Block(start, self.end)
            return
        head = self.head(self.at)
        sign = head.lstrip(" \t>\ufeff")[:1]
        special = _SPECIALS.get(sign) if sign in _SPECIALS else _SPECIALS[""]
        blocks = special(self, start, head) if special else None
        yield from blocks or [self.take_paragraph(start)]

    def take_paragraph(self, start: int) -> Block:
        """Lines up to a blank one, or to one that opens something else.

        A tag that is closed on its line ends there, and so does a line that leads in what follows.
        """
        first, at = self.head(self.at), self.line_end(self.at)
        label, title, level = read_label(first)
        closes = ""
        if label == "open":
            at, closes = self._find_close(first, at)
        elif label not in ("heading", "rule", "close"):
            closes = read_close(self.text, self.at, at)
            leads = not label and first.rstrip().endswith((":", "："))
            while not closes and at < self.end:
                head = self.head(at)
                if not head.strip() or self._opens(head, at):
                    break
                if leads and not BULLET.match(head):
                    break
                leads = False
                following = self.line_end(at)
                closes = read_close(self.text, at, following)
                at = following
        self.at = self.skip_blank(at)
        return Block(start, self.at, label=label, title=title, level=level, closes=closes)

    def _find_close(self, first: str, line_end: int) -> tuple[int, str]:
        """Where a tag that opens a line is closed on it, and its name; the line's end and ""."""
        found = TAG_LINE.match(first)
        close = f"</{found['name']}>" if found else ""
        at = self.text.find(close, self.at, line_end) if close else -1
        return (line_end, "") if at < 0 else (at + len(close), close[2:-1].lower())

    def _opens(self, head: str, at: int) -> bool:
        """Whether a line within a paragraph begins another block."""
        sign = head.lstrip(" \t>")[:1]
        if sign in "`~":
            return bool(_FENCE.match(head))
        if sign in "{[":
            return at >= self.json_from or bool(DOCUMENT.match(head))
        if sign == "|" or (at >= self.json_from and _INLINE_JSON.search(head)):
            return True
        return bool(read_label(head)[0]) or bool(sign == "<" and _HTML.match(head))

    def finish(self, start: int, end: int, kind: Kind, language: str = "") -> list[Block]:
        """A block, and the blank lines after it."""
        self.at = self.skip_blank(end)
        return [Block(start, self.at, kind, language=language)]


def scan_blocks(text: str, start: int, end: int) -> list[Block]:
    """The blocks of the characters from `start` to `end`, without a gap; time is linear."""
    return list(_Scanner(text, start, end).scan())


def _scan_fence(scanner: _Scanner, start: int, head: str) -> list[Block] | None:
    found = _FENCE.match(head)
    if not found:
        return None
    opened = scanner.line_end(scanner.at)
    mark, at = found["mark"], opened
    close = re.compile(rf"[ \t>]{{0,12}}{re.escape(mark[0])}{{{len(mark)},}}[ \t]*\r?$")
    while at < scanner.end and not close.match(scanner.head(at)):
        at = scanner.line_end(at)
    words = found["info"].strip().split()
    language = words[0].lower().strip("{}.") if words else ""
    kind, language = _name_fenced(scanner, opened, at, language)
    after = scanner.skip_blank(scanner.line_end(at)) if at < scanner.end else scanner.end
    scanner.at = after
    blocks = [
        Block(start, opened, "code", language=language, locked=True),
        Block(opened, at, kind, language=language),
        Block(at, after, "code", language=language, locked=True),
    ]
    return [block for block in blocks if block.end > block.start]


def _name_fenced(scanner: _Scanner, start: int, end: int, language: str) -> tuple[Kind, str]:
    """The kind of what stands in a fence."""
    if language in ("json", "jsonl", "ndjson", "json5", "jsonc"):
        return "json", language
    if language in ("csv", "tsv"):
        return "table", language
    if language == "log":
        return "log", language
    if language in ("", "text", "txt", "console"):
        head = scanner.text[start : min(end, start + 1)]
        if head in ("{", "[") and _decodes(scanner, start, end):
            return "json", ""
        if _count_log_lines(scanner, start, end) >= _MIN_LOG_LINES:
            return "log", ""
    return "code", language


def _decodes(scanner: _Scanner, start: int, end: int) -> bool:
    try:
        json.loads(scanner.text[start:end], parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
    return True


def _scan_json(scanner: _Scanner, start: int, head: str) -> list[Block] | None:
    """A JSON value, or several on lines of their own (JSON Lines)."""
    end = _json_end(scanner, scanner.at + len(head) - len(head.lstrip()))
    if end is None:
        return None
    values = 1
    while end < scanner.end and scanner.text[end] in "{[":
        following = _json_end(scanner, end)
        if following is None:
            break
        end, values = following, values + 1
    return scanner.finish(start, end, "json", "jsonl" if values > 1 else "")


def _scan_inline_json(scanner: _Scanner, start: int, at: int, head: str) -> list[Block] | None:
    """A few words that end in a colon, and JSON that ends its line."""
    end = _json_end(scanner, at)
    if end is None or end - at < _MIN_INLINE_JSON:
        return None
    label, title, level = read_label(head)
    words = Block(start, at, label=label, title=title, level=level)
    return [words, *scanner.finish(at, end, "json")]


def _json_end(scanner: _Scanner, at: int) -> int | None:
    """The end of the line that a JSON array or object from here ends on.

    What was read in vain is not read again, so that time stays linear.
    """
    if at < scanner.json_from:
        return None
    try:
        value, end = decode_at(scanner.text, at, scanner.end)
    except json.JSONDecodeError as error:
        scanner.json_from = at + max(error.pos, 1)
        return None
    except (ValueError, RecursionError):
        blank = scanner.text.find("\n\n", at, scanner.end)
        scanner.json_from = scanner.end if blank < 0 else blank
        return None
    line_end = scanner.line_end(end)
    if scanner.text[end : min(line_end, end + 80)].strip(" \t\r\n,;"):
        scanner.json_from = max(end, at + 1)
        return None
    # White space in a string is the string's own, however short the array.
    has_string = scanner.text.find('"', at, end) >= 0
    return line_end if has_string or is_data(value) else None


def _scan_html(scanner: _Scanner, start: int, head: str) -> list[Block] | None:
    if not _HTML.match(head):
        return None
    if _HTML_PAGE.match(head):
        close = _HTML_END.search(scanner.text, scanner.at, scanner.end)
        end = scanner.line_end(close.end()) if close else scanner.end
        return scanner.finish(start, end, "html")
    at = scanner.line_end(scanner.at)
    while at < scanner.end:
        line = scanner.head(at)
        if not line.strip():
            following = scanner.skip_blank(at)
            if following == scanner.end or not _HTML.match(scanner.head(following)):
                break
            at = following
        elif read_label(line)[0]:
            break
        at = scanner.line_end(at)
    return scanner.finish(start, at, "html")


def _scan_table(scanner: _Scanner, start: int, head: str) -> list[Block] | None:
    """A Markdown table: a row of bars, a row of dashes, more rows."""
    second = scanner.line_end(scanner.at)
    if "|" not in head or second >= scanner.end:
        return None
    rule = scanner.head(second)
    if "|" not in rule or not _TABLE_RULE.match(rule):
        return None
    at = second
    while at < scanner.end and "|" in scanner.head(at):
        at = scanner.line_end(at)
    return scanner.finish(start, at, "table", "markdown")


def _scan_plain(scanner: _Scanner, start: int, head: str) -> list[Block] | None:
    """Log lines, separated values, code without a fence, or JSON after a few words."""
    if is_log(head) and (found := _scan_run(scanner, start, "log")):
        return found
    if inline := _INLINE_JSON.search(head):
        return _scan_inline_json(scanner, start, scanner.at + inline.end(), head)
    if "\t" in head or head.count(",") > 1:
        found = _scan_values(scanner, start, head)
        if found:
            return found
    if "|" in head and (found := _scan_table(scanner, start, head)):
        return found
    if read_label(head)[0]:
        return None
    if is_code(head) and (found := _scan_run(scanner, start, "code")):
        return found
    return None


def _scan_values(scanner: _Scanner, start: int, head: str) -> list[Block] | None:
    """Lines with the same number of tabs, or of commas without a space after them."""
    if "\t" in head.strip():
        separator, language = "\t", "tsv"
    elif head.count(",") > 1 and ", " not in head:
        separator, language = ",", "csv"
    else:
        return None
    wanted, at, lines = head.count(separator), scanner.at, 0
    while at < scanner.end:
        line = scanner.head(at)
        if not line.strip() or (line.count(separator) != wanted and '"' not in line):
            break
        at, lines = scanner.line_end(at), lines + 1
    if lines < _MIN_TABLE_LINES:
        return None
    return scanner.finish(start, at, "table", language)


def _scan_run(scanner: _Scanner, start: int, kind: Kind) -> list[Block] | None:
    """A run of log lines or of lines of code, with what belongs to them."""
    fits = fits_log if kind == "log" else fits_code
    at, hits, blank = scanner.at, 0, False
    end = at
    while at < scanner.end:
        line = scanner.head(at)
        if not line.strip():
            at, blank = scanner.skip_blank(at), True
            continue
        verdict = fits(line, blank)
        if verdict is None:
            break
        hits, blank = hits + verdict, False
        at = end = scanner.line_end(at)
    enough = _MIN_LOG_LINES if kind == "log" else _MIN_CODE_LINES
    if hits >= enough:
        return scanner.finish(start, end, kind)
    return None


def _count_log_lines(scanner: _Scanner, start: int, end: int) -> int:
    hits, at = 0, start
    for _ in range(20):
        if at >= end:
            break
        hits += is_log(scanner.head(at))
        at = scanner.line_end(at)
    return hits


_SPECIALS: dict[str, Callable[[_Scanner, int, str], list[Block] | None]] = {
    "`": _scan_fence,
    "~": _scan_fence,
    "{": _scan_json,
    "[": lambda scanner, start, head: (
        _scan_run(scanner, start, "log") if is_log(head) else _scan_json(scanner, start, head)
    ),
    "|": _scan_table,
    "<": _scan_html,
    "": _scan_plain,
}
