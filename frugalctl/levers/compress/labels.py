"""Lines that name what stands below them: they say nothing without it, nor it without them."""

from __future__ import annotations

import re

from frugalctl.levers.compress.segments_words import DOCUMENT, HEADING, RULE

_MOST_CHARS = 100
_BOLD = re.compile(r"[ \t]{0,3}(?:\*\*[^*\n]{1,100}\*\*|__[^_\n]{1,100}__)[:：]?[ \t\r]*")
_SENTENCE_END = re.compile(r"[.!?。！？…;,][\"'”’)\]]*$")
_FRAME_ENDS = " \t)]>\"'*:_|"


def find_label(text: str, start: int, end: int, title: str, is_alone: bool) -> tuple[int, str]:
    """The label that a document begins with.

    Args:
        text: which the document is in.
        start: offset of its first character that is not white space.
        end: offset after its last.
        title: of the document, where that is known.
        is_alone: nothing else follows that the label could be of.

    Returns:
        Where what stands below begins, 0 where there is no label; and the title.
    """
    line_end = _find_line_end(text, start, end)
    found = text.find(title, start, line_end) if title else -1
    if found >= 0:
        at = found + len(title)
        while at < line_end and text[at] in _FRAME_ENDS:
            at += 1
        return _skip_space(text, at, end), title
    at = start
    while at < end:
        following, name = _read_line(text, at, end, is_alone)
        if following == at:
            break
        at, title = following, title or name
    return (at if at > start else 0), title


def is_bold_line(text: str) -> bool:
    """Whether it is one line in bold, as a heading."""
    return bool(_BOLD.fullmatch(text))


def find_lead(text: str, start: int, end: int) -> int:
    """Where the last line begins, if it says what follows, as "Examples:"; else `end`."""
    size = len(text[start:end].rstrip())
    at = max(text.rfind("\n", start, start + size) + 1, start)
    line = text[at : start + size].strip()
    leads = line.endswith((":", "：")) or HEADING.match(line) or is_bold_line(line)
    return at if leads and 0 < len(line) <= _MOST_CHARS else end


def _read_line(text: str, at: int, end: int, is_alone: bool) -> tuple[int, str]:
    """Where what follows a label begins that stands at an offset, and its title."""
    line_end = _find_line_end(text, at, end)
    line = text[at : min(line_end, at + 500)]
    following = _skip_space(text, line_end, end)
    if (heading := HEADING.match(line)) or RULE.match(line):
        return following, heading["title"].strip() if heading else ""
    found = DOCUMENT.match(line)
    if not found:
        return at, ""
    name = line[found.end() :].strip().strip("*").strip()
    named = found["titled"] or found["plain"]
    if not name:
        return following, named or ""
    is_title = len(name) <= _MOST_CHARS and not _SENTENCE_END.search(name)
    is_title = is_title and not (is_alone and following == end)
    if is_title and not named:
        return following, name
    return _skip_space(text, at + found.end(), end), named or ""


def _find_line_end(text: str, at: int, end: int) -> int:
    found = text.find("\n", at, end)
    return end if found < 0 else found


def _skip_space(text: str, at: int, end: int) -> int:
    while at < end and text[at].isspace():
        at += 1
    return at
