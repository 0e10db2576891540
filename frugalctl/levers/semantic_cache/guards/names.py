"""The guard `names`: another person, place, product or thing in the same question."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from os.path import commonprefix

from frugalctl.levers.semantic_cache.guards.particles import strip_particle
from frugalctl.levers.semantic_cache.guards.words import Words, load_common, load_list, stem

_LEAST_PREFIX = 4
_LONGEST_ENDING = 3
_LEAST_MISSPELLED = 6
_MOST_CAPITALS = 0.6
_LONGEST_SLOT_WORDS = 3
_LONGEST_KOREAN_SLOT = 2
_SENTENCE_ENDS = tuple("줘요오까지니야해죠라나")
_LEAST_LIKENESS = 0.8
_ARTICLES = frozenset({"a", "an", "the", "please"})


@dataclass(frozen=True, slots=True)
class Names:
    """What a text is about.

    Attributes:
        names: the stems of the words written like names.
        content: the stems of all words with content.
        words: all stems but articles, in order.
        initials: the initials of its words with content, to know an acronym by.
        korean: whether it has Hangul.
    """

    names: frozenset[str]
    content: frozenset[str]
    words: tuple[str, ...]
    initials: str
    korean: bool


@cache
def _load_same() -> dict[str, frozenset[int]]:
    """The groups of words of one meaning that each word or phrase is in."""
    groups: dict[str, set[int]] = {}
    lists = [load_list(language) for language in ("en", "ko")]
    listed = [words for one in lists for words in one["same"]["words"]]
    listed += [pole for one in lists for poles in one["negation"]["opposites"] for pole in poles]
    for number, phrases in enumerate(listed):
        for phrase in phrases:
            key = " ".join(stem(word) for word in phrase.split())
            groups.setdefault(key, set()).add(number)
    return {phrase: frozenset(numbers) for phrase, numbers in groups.items()}


@cache
def _load_empty() -> frozenset[str]:
    """Words that are no names and no parts of names."""
    return load_common() | frozenset(load_list("ko")["common"]["words"])


@cache
def _load_numerals() -> frozenset[str]:
    english, korean = load_list("en"), load_list("ko")
    words = [*english["numbers"], *english["multipliers"], *korean["numbers"], "first", "second"]
    return frozenset(stem(word) for word in words)


def read_names(text: Words) -> Names:
    """The names of a text, and its words with content."""
    stems = text.stems
    if text.korean:
        stems = tuple([strip_particle(word) for word in stems])
    common = load_common()
    content = frozenset(stems) - common
    return Names(
        _find_shaped(text, stems) & content,
        content,
        tuple([word for word in stems if word not in _ARTICLES]),
        "".join([word[0] for word in stems if word not in common]),
        text.korean,
    )


def _find_shaped(text: Words, stems: tuple[str, ...]) -> frozenset[str]:
    """The words that are written like names: not in lower case, and not the first."""
    if text.text[1:] == text.lower[1:]:
        return frozenset()
    shaped = [
        stems[at]
        for at, word in enumerate(text.cased)
        if at and not word.islower() and word[0].isascii() and not word.isdigit()
    ]
    if len(stems) > _LONGEST_SLOT_WORDS and _is_title(text):
        shaped = [name for name in shaped if any(map(str.isdigit, name))]
    return frozenset(shaped)


def _is_title(text: Words) -> bool:
    """Whether capitals say nothing, for most words have one."""
    capitals = sum([word[0].isupper() for word in text.cased])
    return capitals > _MOST_CAPITALS * len(text.cased)


def compare_names(a: Names, b: Names) -> str | None:
    """Which names two texts exchange, if they do.

    Either each text has a word written like a name that the other lacks, or the texts are the
    same but for one to three words in the same place, which are neither synonyms nor misspelled.
    """
    if a.names and b.names:
        ours = [name for name in a.names - b.content if not _is_known(name, b)]
        theirs = [name for name in b.names - a.content if not _is_known(name, a)]
        if ours and theirs:
            return _show(min(ours), min(theirs))
    slot = _find_slot(a, b)
    return None if slot is None else _show(*slot)


def _show(one: str, other: str) -> str:
    first, second = sorted((one, other))
    return f"{first} against {second}"


def _is_known(name: str, other: Names) -> bool:
    """Whether the other text has the name in another form: inflected, misspelled, an acronym."""
    if len(name) >= 2 and name in other.initials:
        return True
    return any(_is_inflected(name, word) or _is_misspelled(name, word) for word in other.content)


def _is_inflected(one: str, other: str) -> bool:
    """Mexico, Mexican: the same beginning, and short endings."""
    if one[:_LEAST_PREFIX] != other[:_LEAST_PREFIX] or len(one) < _LEAST_PREFIX:
        return False
    shared = len(commonprefix((one, other)))
    return max(len(one), len(other)) - shared <= _LONGEST_ENDING


def _is_misspelled(one: str, other: str) -> bool:
    """Whether one letter is missing, wrong or changed with the next, in a long word."""
    if abs(len(one) - len(other)) > 1 or min(len(one), len(other)) < _LEAST_MISSPELLED:
        return False
    head = len(commonprefix((one, other)))
    tail = len(commonprefix((one[head:][::-1], other[head:][::-1])))
    left, right = one[head : len(one) - tail], other[head : len(other) - tail]
    return max(len(left), len(right)) <= 1 or (len(left) == 2 and left == right[::-1])


def _find_slot(one: Names, other: Names) -> tuple[str, str] | None:
    """The words in which two otherwise equal texts differ.

    A Korean text ends in its predicate, whose form says little: there, it is one word and not
    the last.
    """
    a, b = one.words, other.words
    korean = one.korean or other.korean
    longest = _LONGEST_KOREAN_SLOT if korean else _LONGEST_SLOT_WORDS
    shorter = min(len(a), len(b))
    if max(len(a), len(b)) - shorter >= longest:
        return None
    head = 0
    while head < shorter and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < shorter - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    ours, theirs = a[head : len(a) - tail], b[head : len(b) - tail]
    if not (0 < len(ours) <= longest and 0 < len(theirs) <= longest):
        return None
    if head + tail == 0 or (korean and (not tail or _ends_sentence(*ours, *theirs))):
        return None
    if not _load_empty().isdisjoint((*ours, *theirs)) or not set(ours).isdisjoint(theirs):
        return None
    named = not (one.names.isdisjoint(ours) or other.names.isdisjoint(theirs))
    return None if _is_same(ours, theirs, named) else (_join(ours), _join(theirs))


def _ends_sentence(*words: str) -> bool:
    return any(word.endswith(_SENTENCE_ENDS) for word in words)


def _is_same(ours: tuple[str, ...], theirs: tuple[str, ...], named: bool) -> bool:
    """Whether the words of a slot mean the same, or differ in what another guard reads."""
    if _has_number(ours) and _has_number(theirs):
        return True
    one, other = _join(ours), _join(theirs)
    if one.isascii() != other.isascii():  # perhaps a name in another script, as 파이썬 of Python
        return True
    same = _load_same()
    if not same.get(one, frozenset()).isdisjoint(same.get(other, frozenset())):
        return True
    if named:
        return _is_misspelled(one, other)
    if len(ours) + len(theirs) > 2:
        initials = ("".join(word[0] for word in words) for words in (ours, theirs))
        return not {one, other}.isdisjoint(initials) or any(
            _is_inflected(left, right) for left in ours for right in theirs
        )
    first, second = sorted((one, other))
    likeness = SequenceMatcher(None, first, second, autojunk=False).ratio()
    return one[0] == other[0] and likeness >= _LEAST_LIKENESS


def _join(words: tuple[str, ...]) -> str:
    return " ".join(words)


def _has_number(words: tuple[str, ...]) -> bool:
    return any(word in _load_numerals() or any(map(str.isdigit, word)) for word in words)
