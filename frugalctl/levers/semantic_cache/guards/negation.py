"""The guard `negation`: one text denies what the other says, or names its opposite."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from frugalctl.levers.semantic_cache.guards.words import Words, load_list, stem

_PARTED = re.compile(r"\b(turn|switch|log|sign)(?:ed|s|ing)?(?: [a-z']+){0,3}? (on|off|in|out)\b")
_UN = "un"
_LEAST_STEM = 4


@dataclass(frozen=True, slots=True)
class Polarity:
    """What a text affirms.

    Attributes:
        negated: the word that negates, "" for none.
        poles: the poles of pairs of opposites that it names, by the number of the pair.
        stems: the stems of its words.
    """

    negated: str
    poles: dict[int, frozenset[int]]
    stems: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Lists:
    negators: frozenset[str]
    idioms: re.Pattern[str]
    korean_negators: frozenset[str]
    korean_parts: re.Pattern[str]
    korean_idioms: re.Pattern[str]
    poles: dict[str, tuple[tuple[int, int], ...]]
    phrases: dict[str, tuple[tuple[str, int, int], ...]]
    marked: frozenset[str]
    korean_poles: tuple[tuple[re.Pattern[str], int, int], ...]


@cache
def _load() -> _Lists:
    english, korean = load_list("en"), load_list("ko")
    poles: dict[str, list[tuple[int, int]]] = {}
    phrases: dict[str, list[tuple[str, int, int]]] = {}
    for pair, sides in enumerate(english["negation"]["opposites"]):
        for side, members in enumerate(sides):
            for member in members:
                first, *rest = (stem(word) for word in member.split())
                if rest:
                    phrases.setdefault(first, []).append((" ".join([first, *rest]), pair, side))
                else:
                    poles.setdefault(first, []).append((pair, side))
    offset = len(english["negation"]["opposites"])
    korean_poles = tuple(
        (re.compile(rf"(?:^|\s)(?:{'|'.join(map(re.escape, members))})"), offset + pair, side)
        for pair, sides in enumerate(korean["negation"]["opposites"])
        for side, members in enumerate(sides)
    )
    return _Lists(
        frozenset(english["negation"]["words"]),
        _any_of(english["negation"]["idioms"], r"\b"),
        frozenset(korean["negation"]["words"]),
        _any_of(korean["negation"]["parts"]),
        _any_of(korean["negation"]["idioms"]),
        {word: tuple(places) for word, places in poles.items()},
        {word: tuple(places) for word, places in phrases.items()},
        frozenset((*poles, *phrases)),
        korean_poles,
    )


def _any_of(phrases: list[str], edge: str = "") -> re.Pattern[str]:
    ordered = sorted(phrases, key=len, reverse=True)
    return re.compile(f"{edge}(?:{'|'.join(map(re.escape, ordered))}){edge}")


def read_polarity(text: Words) -> Polarity:
    """What a text denies, and the opposites that it names."""
    lists = _load()
    stems = text.stems
    poles: dict[int, set[int]] = {}
    if not lists.marked.isdisjoint(stems):
        _note_poles(text, lists, poles)
    if text.korean:
        for pattern, pair, side in lists.korean_poles:
            if pattern.search(text.lower):
                poles.setdefault(pair, set()).add(side)
    return Polarity(
        _find_negator(text, lists),
        {pair: frozenset(sides) for pair, sides in poles.items()},
        frozenset(stems),
    )


def _note_poles(text: Words, lists: _Lists, poles: dict[int, set[int]]) -> None:
    for at, word in enumerate(text.stems):
        for pair, side in lists.poles.get(word, ()):
            poles.setdefault(pair, set()).add(side)
        if word in lists.phrases:
            _note_phrases(" ".join(text.stems[at : at + 3]) + " ", lists.phrases[word], poles)
    for verb, particle in _PARTED.findall(text.lower):
        _note_phrases(f"{verb} {particle} ", lists.phrases.get(verb, ()), poles)


def _note_phrases(
    text: str, phrases: tuple[tuple[str, int, int], ...], poles: dict[int, set[int]]
) -> None:
    for phrase, pair, side in phrases:
        if text.startswith(phrase + " "):
            poles.setdefault(pair, set()).add(side)


def compare_polarity(a: Polarity, b: Polarity) -> str | None:
    """Why two texts say the opposite, if they do.

    A negation together with an opposite says the same again: "not enabled" is "disabled".
    """
    negated = bool(a.negated) != bool(b.negated)
    opposite = _find_opposite(a, b) or _find_un(a.stems, b.stems)
    if negated and not opposite:
        return f"{a.negated or b.negated!r} in one of them only"
    return opposite if opposite and not negated else None


def _find_opposite(a: Polarity, b: Polarity) -> str | None:
    for pair, sides in a.poles.items():
        others = b.poles.get(pair)
        if others and sides.isdisjoint(others):
            return _name_pair(pair, min(sides), min(others))
    return None


def _name_pair(pair: int, side: int, other: int) -> str:
    english = load_list("en")["negation"]["opposites"]
    groups = english if pair < len(english) else load_list("ko")["negation"]["opposites"]
    group = groups[pair if pair < len(english) else pair - len(english)]
    first, second = sorted((group[side][0], group[other][0]))
    return f"{first} against {second}"


def _find_un(a: frozenset[str], b: frozenset[str]) -> str | None:
    """A word on one side that stands on the other with "un" before it."""
    for ours, theirs in ((a, b), (b, a)):
        for word in ours - theirs:
            bare = word.removeprefix(_UN)
            if len(bare) >= _LEAST_STEM and bare != word and bare in theirs and bare not in ours:
                return f"{bare} against {word}"
    return None


def _find_negator(text: Words, lists: _Lists) -> str:
    if "n't" in text.lower or not lists.negators.isdisjoint(text.words):
        for word in lists.idioms.sub(" ", text.lower).replace("?", " ").split():
            if word.strip(".,!") in lists.negators or word.endswith("n't"):
                return word
    return _find_korean_negator(text, lists) if text.korean else ""


def _find_korean_negator(text: Words, lists: _Lists) -> str:
    plain = " " + lists.korean_idioms.sub(" ", text.lower)
    for word in plain.split():
        if word.strip("?!.,") in lists.korean_negators:
            return word
    match = lists.korean_parts.search(plain)
    return match[0].strip() if match else ""
