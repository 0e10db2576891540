"""Log lines of one template: the first line in full, of the others their values."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from frugalctl.levers.compress.pieces import Part, Piece
from frugalctl.levers.compress.runs import Run, find_pinned

LOGS = "log lines of one template"
MIN_LINES = 3

_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_TIME = re.compile(
    r"\[?(?:\d{4}[-/]\d\d[-/]\d\d(?:[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?"
    r"|\d\d?/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?: [+-]\d{4})?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d(?:[.,]\d{1,9})?"
    r"|\d{10}(?:\.\d+|\d{3})?)\]?"
)
# Quoted texts, values of key=value, and words or parts of words with a digit in them.
_VALUE = re.compile(
    r'"[^"\n]*"|(?<==)[^\s,;"\[\](){}=]+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}'
    r"|\b(?=[a-fA-F]{0,40}\d)[0-9a-fA-F]{8,}\b|\d+(?:[.:]\d+)*"
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A line and the indented ones that continue it."""

    start: int
    end: int
    after: int
    time: str
    template: str
    values: tuple[str, ...]


def find_log_runs(part: Part) -> Iterator[Run]:
    """Entries that differ in their values only are folded into the first of them.

    After it comes how many more there are, the time of the last, and the values of each in the
    order of the lines; equal ones are counted. What is lost is how entries of several templates
    alternate, and the times between the first and the last. Templates of fewer than three entries
    stay as they are, and so does a fold that would not be shorter.
    """
    for segment in part.segments:
        if segment.locked or segment.kind != "log":
            continue
        groups: dict[str, list[_Entry]] = defaultdict(list)
        for entry in _find_entries(part.text, segment.start, segment.end):
            if not any(find_pinned(part, entry.start, entry.end)):
                groups[entry.template].append(entry)
        runs = [piece for group in groups.values() for piece in _fold(part.text, group)]
        runs.sort(key=lambda piece: (piece.start, piece.end))
        for piece in runs:
            yield (piece,)


def _find_entries(text: str, start: int, end: int) -> Iterator[_Entry]:
    begin = start
    for match in _LINE.finditer(text, start, end):
        if match.start() > begin and text[match.start()] not in " \t\r\n":
            yield _read_entry(text, begin, match.start())
            begin = match.start()
    last = begin + len(text[begin:end].rstrip())
    if begin < last:
        # Blank lines at the end stay, for what follows.
        yield _read_entry(text, begin, text.find("\n", last, end) + 1 or last)


def _read_entry(text: str, start: int, end: int) -> _Entry:
    body = text[start:end].rstrip()
    time = _TIME.search(body, 0, 64)
    rest = body if time is None else body[: time.start()] + body[time.end() :]
    values = tuple(_VALUE.findall(rest))
    template = ("\x00t" if time else "") + _VALUE.sub("\x00", rest)
    return _Entry(start, start + len(body), end, time[0] if time else "", template, values)


def _fold(text: str, entries: Sequence[_Entry]) -> Iterator[Piece]:
    first, *others = entries
    if len(entries) < MIN_LINES or not first.template:
        return
    summary = _summarise(first, others)
    if len(summary) >= sum(entry.end - entry.start for entry in others):
        return
    yield Piece(first.end, first.end, summary, LOGS)
    for entry in others:
        yield Piece(entry.start, entry.after, "", LOGS)


def _summarise(first: _Entry, others: Sequence[_Entry]) -> str:
    until = f" until {others[-1].time.strip('[]')}" if others[-1].time else ""
    counts = Counter(entry.values for entry in others)
    columns = [
        at
        for at in range(len(first.values))
        if any(values[at] != first.values[at] for values in counts)
    ]
    head = f"\n[{len(others)} more like this{until}"
    if not columns:
        return head + "]"
    shown = Counter[tuple[str, ...]]()
    for values, count in counts.items():
        shown[tuple(values[at] for at in columns)] += count
    model = " ".join(first.values[at] for at in columns)
    rows = "; ".join(
        " ".join(values) + (f" x{count}" if count > 1 else "") for values, count in shown.items()
    )
    return f"{head}, with in place of {model}: {rows}]"
