"""What a single line of a prompt looks like: a label, a log line, a line of code."""

from __future__ import annotations

import re

from frugalctl.levers.compress.segments_words import (
    ASK,
    BARE_HEADING,
    CLOSE_TAG,
    DOCUMENT,
    HEADING,
    REPLY,
    RULE,
    SHOT,
    TAG_LINE,
    name_section,
    name_tag,
)

_STAMP = (
    r"\[?(?:\d{4}[-/.]\d\d[-/.]\d\d[T ]\d\d:\d\d|\d\d:\d\d:\d\d"
    r"|\w{3} [ \d]?\d \d\d:\d\d:\d\d|\d{10,13}[ .])"
)
_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|FATAL|CRITICAL|SEVERE)"
_LOG = re.compile(rf"[ \t]{{0,4}}(?:{_STAMP}|[\[(<]?{_LEVEL}[\])>:]|{_LEVEL}[ \t]+\S|<\d{{1,3}}>)")
_ACCESS_LOG = re.compile(r"\S{1,60} \S{1,60} \S{1,60} \[\d\d/\w{3}/\d{4}:")
_LOG_GOES_ON = re.compile(
    r"[ \t]+\S|Traceback|Caused by|\w+(?:\.\w+)*(?:Error|Exception)\b"
    r"|(?:\w+\.)*[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]+)+:"
)


_CODE = re.compile(
    r"[ \t]*(?:(?:async )?def \w+\(|class \w+[:({ ]|import \w[\w., ]*;?\r?$|from [\w.]+ import "
    r"|@\w+|(?:if|for|while|with|elif|else|try|except|finally)\b[^.?!]*:\r?$|return\b.*[;)\]\w\"']\r?$"
    r"|#include\b|#define\b|using \w[\w.]*;|package \w[\w.]*;?\r?$|(?:public|private|protected) \w"
    r"|(?:const|let|var) \w+ ?[=:]|(?:export )?(?:async )?function\b|func \w|fn \w|struct \w|impl\b"
    r"|SELECT\b.*|INSERT INTO\b|CREATE TABLE\b|[\w.\[\]]+ ?(?:[-+*/|&]?=|:=) ?\S.*[;)\]}\w\"']\r?$"
    r"|[\w.]+\(.*\);?\r?$|[})\]]+[;,]?\r?$|.*[;{]\r?$|//|/\*|\#!)"
)


def read_label(head: str) -> tuple[str, str, int]:
    """What a line opens, its title, and the level of a heading."""
    sign = head.lstrip(" \t")[:1]
    if sign == "#" and (found := HEADING.match(head)) and not SHOT.match(head):
        return "heading", found["title"].strip().rstrip("#").strip(), len(found["level"])
    if sign == "<":
        return _read_tag(head)
    if sign in "-*_=" and RULE.match(head):
        return "rule", "", 0
    if (found := BARE_HEADING.match(head)) and name_section(found["title"]):
        return "heading", found["title"].strip(), 1
    if SHOT.match(head):
        return "shot", head.strip(), 0
    if found := DOCUMENT.match(head):
        title = found["titled"] or found["plain"] or ""
        return "document", title.strip(), 0
    if ASK.match(head):
        return "ask", "", 0
    if found := REPLY.match(head):
        return "reply", found["rest"].strip(), 0
    return "", "", 0


def _read_tag(head: str) -> tuple[str, str, int]:
    found = TAG_LINE.match(head)
    if not found or not name_tag(found["name"]) or found["rest"].endswith("/"):
        return "", "", 0
    if found["close"]:
        return "close", found["name"].lower(), 0
    return "open", found["name"].lower() + found["rest"], 0


def read_close(text: str, start: int, end: int) -> str:
    """The tag that a line closes at its end, "" for none."""
    line = text[max(start, end - 80) : end].rstrip()
    found = CLOSE_TAG.search(line) if line.endswith(">") else None
    return found["name"].lower() if found and name_tag(found["name"]) else ""


def is_log(head: str) -> bool:
    """Whether a line begins with a time stamp or a level, as logs have them."""
    return bool(_LOG.match(head) or _ACCESS_LOG.match(head))


def is_code(head: str) -> bool:
    """Whether a line is more likely code than prose."""
    return bool(_CODE.match(head))


def fits_log(line: str, after_blank: bool) -> int | None:
    """1 for a log line, 0 for one that goes on from it, None where the log ends."""
    if is_log(line):
        return 1
    return None if after_blank or not _LOG_GOES_ON.match(line) else 0


def fits_code(line: str, after_blank: bool) -> int | None:
    """1 for a line of code, 0 for a comment between, None where the code ends."""
    if line[0] in " \t":
        return 1
    if read_label(line)[0] in ("ask", "reply", "document", "shot", "open", "close"):
        return None
    if is_code(line):
        return 1
    return 0 if line[0] == "#" and not after_blank else None
