"""Where a text may be cut: ends of sentences, turns, rows, statements, list items.

Only offsets are returned, of the first character of each unit; the white space before it
belongs to none. Every rule reads a text once from left to right, whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from frugalctl.levers.compress.pieces import Kind
from frugalctl.levers.compress.statements import cut_statements

LONGEST_UNIT = 1200
_WRAPPED_LINE = 50
_FEWEST_TURNS = 3
_SHARE_OF_TURNS = 0.6

_ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof sr jr st vs etc eg ie cf al fig figs eq no nos vol vols pp ch sec ed eds"
    " inc ltd co corp dept univ gen col lt sgt capt gov sen rep rev hon jan feb mar apr jun jul"
    " aug sep sept oct nov dec approx ca est ave blvd rd mt ft".split()
)
_CLOSERS = "\"'”’»)\\]」』】》〉*_"
_SENTENCE_END = re.compile(
    rf"(?<![.!?…])(?P<mark>[.!?…]++)[{_CLOSERS}]*+\s++"
    rf"|(?<![。！？｡．])[。！？｡．]++[{_CLOSERS}]*+\s*+"
    r"|(?<![^\S\n])(?P<line>[^\S\n]*+\n\s*+)"
)
_WORD_BEFORE = re.compile(r"[\w.]{1,12}\Z")
_LIST_ITEM = re.compile(r"(?:[-*+•·–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)]|#{1,6}|>|\||[가-하][.)])\s")
_TURN = re.compile(
    r"^[ \t]*+(?:\[[^\]\n]{1,40}\][ \t]*+)?[^\s:：\n][^:：\n]{0,40}(?::(?=\s)|：)", re.M
)
_LINE = re.compile(r"\n\s*+")
_BLANK_LINE = re.compile(r"\n[^\S\n]*+\n\s*+")
_CLAUSE_END = re.compile(r"[;,:、，；：]\s|\n|[、，；：]")
_JOINED_AFTER = re.compile(r"[\u0300-\u036f\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\u20e3]")


def find_starts(text: str, kind: Kind, language: str = "") -> list[int]:
    """Offsets where the units of a text begin.

    Args:
        text: of one segment.
        kind: of the segment; JSON, HTML, exemplars and tool calls are one unit.
        language: of code.

    Returns:
        Increasing offsets, the first that of the first character that is not white space; empty
        for a text of white space.
    """
    first = len(text) - len(text.lstrip())
    if first == len(text):
        return []
    cut = _CUTTERS.get(kind)
    found: Iterable[int] = cut(text) if cut else ()
    if kind == "code":
        found = (one.start for one in cut_statements(text, language))
    starts = sorted({first, *(at for at in found if first < at < len(text))})
    return list(_shorten(text, starts)) if kind in ("prose", "document") else starts


def is_dialogue(text: str) -> bool:
    """Whether most of its lines begin with who speaks, as in "Anna: hello"."""
    turns = len(_TURN.findall(text))
    return turns >= _FEWEST_TURNS and turns >= _SHARE_OF_TURNS * _count_lines(text)


def _cut_prose(text: str) -> Iterable[int]:
    return _cut_turns(text) if is_dialogue(text) else _cut_sentences(text)


def _cut_sentences(text: str) -> Iterator[int]:
    line_start = 0
    for match in _SENTENCE_END.finditer(text):
        end = match.end()
        if "\n" in match[0]:
            wrapped = match["line"] is not None and _is_wrapped(text, line_start, match)
            line_start = end
            if not wrapped:
                yield end
        elif match["mark"] is None or _ends_sentence(text, match):
            yield end


def _is_wrapped(text: str, line_start: int, match: re.Match[str]) -> bool:
    """Whether a line was broken only because it was full."""
    if match.end() >= len(text) or match.start() - line_start < _WRAPPED_LINE:
        return False
    return match[0].count("\n") == 1 and not _LIST_ITEM.match(text, match.end())


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    after = text[match.end() : match.end() + 1]
    if after.islower():
        return False
    if match["mark"] != ".":
        return True
    before = _WORD_BEFORE.search(text, max(0, match.start() - 12), match.start())
    word = before[0].lower().replace(".", "") if before else ""
    if word in _ABBREVIATIONS:
        return word == "etc" or (word == "no" and not after.isdigit())
    return not (len(word) == 1 and word.isascii() and word.isalpha() and word != "i")


def _cut_turns(text: str) -> Iterator[int]:
    for match in _TURN.finditer(text):
        yield match.end() - len(match[0].lstrip())


def _cut_lines(text: str) -> Iterator[int]:
    yield from (match.end() for match in _LINE.finditer(text))


def _cut_log(text: str) -> Iterator[int]:
    """Lines; one that is indented belongs to the entry before it."""
    for match in _LINE.finditer(text):
        if not match[0][-1:].isspace() or match[0][-1:] == "\n":
            yield match.end()


def _shorten(text: str, starts: Sequence[int]) -> Iterator[int]:
    """Further starts in units that are too long to be kept or dropped as one."""
    for at, following in zip(starts, [*starts[1:], len(text)], strict=True):
        yield at
        while following - at > LONGEST_UNIT:
            at = _find_break(text, at)
            if at < following:
                yield at


def _find_break(text: str, start: int) -> int:
    """The last end of a clause, or else of a word, in the unit's longest beginning."""
    end, least = start + LONGEST_UNIT, start + LONGEST_UNIT // 2
    clauses = [match.end() for match in _CLAUSE_END.finditer(text, least, end)]
    at = clauses[-1] if clauses else text.rfind(" ", least, end) + 1 or end
    while at < len(text) and (text[at].isspace() or _JOINED_AFTER.match(text, at)):
        at += 1
    return at


def _count_lines(text: str) -> int:
    return len(_BLANK_LINE.sub("\n", text.strip()).split("\n"))


_CUTTERS: dict[Kind, Callable[[str], Iterable[int]]] = {
    "prose": _cut_prose,
    "document": _cut_prose,
    "table": _cut_lines,
    "log": _cut_log,
}
