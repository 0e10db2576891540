"""The guard `numbers`: other numbers, or the same number of another unit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import cast

from frugalctl.levers.semantic_cache.guards.words import Words, load_list

_CLOCK = re.compile(
    r"(?<![\d.:])(?P<half>오전|오후)?\s?(?P<hour>\d{1,2})"
    r"(?:(?::(?P<minute>[0-5]\d))?\s?(?P<suffix>[ap])\.?m\b\.?"
    r"|:(?P<minute2>[0-5]\d)(?![\d:])|(?<=\d)시(?:\s?(?P<minute3>\d{1,2})분)?)"
)
_TOKEN = re.compile(
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?(?!\d)|\d+(?:\.\d+)*|[^\W\d_]+|[$€£¥₩₹%°]|(?<!\S)[-−](?=\d)"
)
_MAYBE_ONE = frozenset("one a an single first once 1st 하나 한 첫".split())
_SIGNS = frozenset("$€£¥₩₹")
_ORDINALS = frozenset({"st", "nd", "rd", "th"})
_SUFFIXES = {"k": 1000}
_ANY = re.compile(r"\d|[$€£¥₩₹%]")
Quantities = dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of a text.

    Attributes:
        units: the units that each value has, none where none is said; times of day are values.
        has_one: whether a word says "one" or "a", which may stand for the number.
    """

    units: Quantities
    has_one: bool


@dataclass(frozen=True, slots=True)
class _Lists:
    cardinals: dict[str, int]
    multipliers: dict[str, int]
    units: dict[str, str]
    native: dict[str, int]
    counters: tuple[str, ...]
    spelled: frozenset[str]


@cache
def _load() -> _Lists:
    english, korean = load_list("en"), load_list("ko")
    units = {
        spelling: unit
        for table in (english, korean)
        for unit, spellings in table["units"].items()
        for spelling in spellings
    }
    multipliers = english["multipliers"] | korean["multipliers"]
    counters = tuple(sorted(korean["counters"]["words"], key=len, reverse=True))
    spelled = frozenset((*english["numbers"], *multipliers))
    return _Lists(english["numbers"], multipliers, units, korean["numbers"], counters, spelled)


def read_numbers(text: Words) -> Numbers:
    """The numbers of a text."""
    lists = _load()
    has_one = not _MAYBE_ONE.isdisjoint(text.words)
    if not text.korean and lists.spelled.isdisjoint(text.words) and not _ANY.search(text.lower):
        return Numbers({}, has_one)
    found: dict[str, set[str]] = {}
    rest = _take_clock_times(text.lower, found)
    tokens = cast("list[str]", _TOKEN.findall(rest))
    at = 0
    while at < len(tokens):
        value, after = _read_value(tokens, at, lists)
        if value is None:
            at += 1
            continue
        unit = _read_unit(tokens, at, after, lists)
        found.setdefault(value, set()).update([unit] if unit else [])
        at = after
    has_one = has_one or (text.korean and "한" in rest)
    return Numbers({value: frozenset(units) for value, units in found.items()}, has_one)


def compare_numbers(a: Numbers, b: Numbers) -> str | None:
    """Why the numbers of two texts cannot mean the same, if they cannot."""
    if not a.units and not b.units:
        return None
    only_a, only_b = _miss(a, b), _miss(b, a)
    if only_a or only_b:
        first, second = sorted((_show(only_a), _show(only_b)))
        return f"{first} against {second}"
    for value, units in a.units.items():
        others = b.units.get(value, units)
        if units and others and units.isdisjoint(others):
            first, second = sorted((min(units), min(others)))
            return f"{value} {first} against {value} {second}"
    return None


def _miss(a: Numbers, b: Numbers) -> list[str]:
    return sorted(
        value for value in a.units if value not in b.units and not (value == "1" and b.has_one)
    )


def _show(values: list[str]) -> str:
    return ", ".join(values) or "no number"


def _take_clock_times(text: str, found: dict[str, set[str]]) -> str:
    """Note the times of day, and give the text without them."""

    def note(match: re.Match[str]) -> str:
        hour = int(match["hour"])
        minute = int(match["minute"] or match["minute2"] or match["minute3"] or 0)
        late = match["suffix"] == "p" or match["half"] == "오후"
        early = match["suffix"] == "a" or match["half"] == "오전"
        if hour > 24 or minute > 59:
            return match[0]
        hour = hour % 12 + 12 * late if late or early else hour
        found.setdefault(f"{hour:02d}:{minute:02d}", set())
        return " "

    return _CLOCK.sub(note, text) if _ANY.search(text) else text


def _read_value(tokens: list[str], at: int, lists: _Lists) -> tuple[str | None, int]:
    """The number that begins at a token, and where it ends; None if none does."""
    token = tokens[at]
    if token in "-−":
        value, after = _read_value(tokens, at + 1, lists)
        return (None if value is None else f"-{value}"), after
    if token[0].isdecimal():
        return _read_digits(tokens, at, lists)
    if token in lists.cardinals or token in lists.multipliers:
        return _read_spelled(tokens, at, lists)
    return _read_native(token, tokens[at + 1 : at + 2], lists), at + 1


def _read_digits(tokens: list[str], at: int, lists: _Lists) -> tuple[str, int]:
    whole, dot, fraction = tokens[at].replace(",", "").partition(".")
    after = at + 1
    following = tokens[after] if after < len(tokens) else ""
    if following in _ORDINALS:
        return _show_whole(whole), after + 1
    scale, length = _read_scale(following, lists)
    if scale > 1 and fraction.count(".") == 0:
        scaled = round(float(f"{whole}.{fraction or 0}") * scale)
        if length == len(following):
            return str(scaled), after + 1
        tokens[after] = following[length:]
        return str(scaled), after
    if not fraction.strip("0"):
        return _show_whole(whole), after
    return f"{_show_whole(whole)}{dot}{fraction}", after


def _read_scale(word: str, lists: _Lists) -> tuple[int, int]:
    """What "thousand", "k" or 만 (with its unit: 만원) multiplies by, and its length."""
    if word in lists.multipliers:
        return lists.multipliers[word], len(word)
    if word in _SUFFIXES:
        return _SUFFIXES[word], len(word)
    if word and word[0] in lists.multipliers and word[1:] in lists.units:
        return lists.multipliers[word[0]], 1
    return 1, 0


def _read_spelled(tokens: list[str], at: int, lists: _Lists) -> tuple[str, int]:
    total, current = 0, 0
    while at < len(tokens):
        token = tokens[at]
        if token in lists.multipliers:
            current = (current or 1) * lists.multipliers[token]
            if lists.multipliers[token] >= 1000:
                total, current = total + current, 0
        elif token in lists.cardinals and (current % 100 == 0 or 20 <= current % 100 <= 90 > 0):
            if current % 10 and lists.cardinals[token]:
                break
            current += lists.cardinals[token]
        else:
            break
        at += 1
    return str(total + current), at


def _read_native(word: str, following: list[str], lists: _Lists) -> str | None:
    """A Korean numeral that counts: 두 개, 두개."""
    if word in lists.native:
        counted = bool(following) and following[0].startswith(lists.counters)
        return str(lists.native[word]) if counted else None
    for numeral, value in lists.native.items():
        rest = word.removeprefix(numeral)
        if rest != word and rest.startswith(lists.counters) and len(rest) <= 3:
            return str(value)
    return None


def _read_unit(tokens: list[str], at: int, after: int, lists: _Lists) -> str | None:
    if at and tokens[at - 1] in _SIGNS:
        return lists.units[tokens[at - 1]]
    following = tokens[after] if after < len(tokens) else ""
    if following == "°" and after + 1 < len(tokens):
        return lists.units.get(tokens[after + 1])
    for end in range(len(following), 0, -1):
        # Korean writes particles behind the unit
        if following[:end] in lists.units and (end == len(following) or not following.isascii()):
            return lists.units[following[:end]]
    return None


def _show_whole(digits: str) -> str:
    return str(int(digits)) if len(digits) < 16 else digits.lstrip("0") or "0"
