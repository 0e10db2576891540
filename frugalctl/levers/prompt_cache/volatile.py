"""Text that changes from request to request inside a prompt that should not: times, ids, counters.

Two versions of a text are cut into literals and values (whatever holds a digit, and the names of
months and days), which are compared in step until the literals differ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Span = tuple[int, int]
Kind = Literal["timestamp", "uuid", "id", "counter"]

_NAMES = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:tember)?|"
    "oct(?:ober)?|nov(?:ember)?|dec(?:ember)?|mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|"
    "thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?"
)
_WORD = r"(?<![A-Za-z0-9_])(?=[A-Za-z_.:+/-]*\d)[A-Za-z0-9_](?:[\w.:+/-]*[A-Za-z0-9_])?"
_VALUE = re.compile(rf"{_WORD}|\b(?:{_NAMES})\b|\b[ap]m\b", re.IGNORECASE)
_MASKED_CHARS = 1000
_NEAR_CHARS = 80
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_TIME = re.compile(
    rf"\d{{4}}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.]\d{{4}}|\b\d\d?:\d\d\b|\b1\d{{9}}(\d{{3}})?\b|"
    rf"\b(?:{_NAMES})\b",
    re.IGNORECASE,
)
_GLUE = re.compile(r"[\s,]{1,2}(?:at )?")


def find_varying(old: str, new: str) -> list[tuple[Span, Span]]:
    """The values that differ between two versions of a text, each span in the old and in the new.

    The comparison ends where the texts differ in anything but a value.
    """
    found: list[tuple[Span, Span]] = []
    same = find_divergence(old, new)
    start = max(old.rfind(" ", 0, same), old.rfind("\n", 0, same), -1) + 1
    tail = _measure_tail(old[same:], new[same:])
    values = (_VALUE.finditer(text, start, len(text) - tail) for text in (old, new))
    ends = (start, start)
    for a, b in zip(*values, strict=False):
        if old[ends[0] : a.start()] != new[ends[1] : b.start()]:
            break
        if a[0] != b[0]:
            found.append((a.span(), b.span()))
        ends = (a.end(), b.end())
    return found


def _measure_tail(old: str, new: str) -> int:
    """How many characters at the end two texts share, from the beginning of a word on."""
    shared = find_divergence(old[::-1], new[::-1])
    space = re.search(r"\s", old[len(old) - shared :])
    return shared - space.start() if space else 0


def find_divergence(old: str, new: str) -> int:
    """The first character, from 0, in which two texts differ."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def mask_values(text: str) -> str:
    """The beginning of a text with its values blotted out, the same for all its versions."""
    return _VALUE.sub("\0", text[: 4 * _MASKED_CHARS])[:_MASKED_CHARS]


def name_kind(value: str) -> Kind:
    """What a value that varies looks like."""
    if _UUID.search(value):
        return "uuid"
    if _TIME.search(value):
        return "timestamp"
    return "counter" if value.isdigit() else "id"


def widen_spans(text: str, spans: Iterable[Span]) -> list[Span]:
    """The groups of values that spans stand in: all of "Mon, 12 Oct 2026 10:05", not just "12"."""
    return sorted({_widen(text, *span) for span in spans})


def _widen(text: str, start: int, end: int) -> Span:
    """The group of values that a span stands in."""
    group = (start, start)
    for match in _VALUE.finditer(text, max(start - _NEAR_CHARS, 0), end + _NEAR_CHARS):
        if _GLUE.fullmatch(text[group[1] : match.start()]):
            group = (group[0], match.end())
        elif match.start() > start:
            break
        else:
            group = match.span()
    return group


def cut_spans(text: str, spans: Iterable[Span]) -> tuple[str, str]:
    """A text without these spans, and what stood in them."""
    kept: list[str] = []
    moved: list[str] = []
    at = 0
    for start, end in sorted(spans):
        kept.append(text[at:start])
        moved.append(text[start:end])
        at = end
    return "".join([*kept, text[at:]]), " ".join(moved)
