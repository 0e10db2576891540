"""The guard `order`: the same words with their roles exchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from frugalctl.levers.semantic_cache.guards.particles import split_particle
from frugalctl.levers.semantic_cache.guards.words import Words, load_common, load_list

_MOST_OTHER_WORDS = 2
_ADDED = frozenset("is are was were be been do did ha have had a an the can will would".split())
# Of these, one alone says little: "to" begins infinitives, and Korean leaves particles out.
_WEAK = frozenset({"to", "onto", "over", "under", "subject", "object", "recipient", "goal"})
_DIRECTIONS = ("to", "into", "onto", "from", "than")
_KOREAN_ROLES = ("subject", "object", "recipient", "source", "goal", "standard")


@dataclass(frozen=True, slots=True)
class Roles:
    """Who stands where in a text.

    Attributes:
        words: its stems, in order, without particles.
        content: those that are no function words, in order.
        roles: the first word that each preposition or case particle marks.
        korean: whether it has Hangul.
    """

    words: tuple[str, ...]
    content: tuple[str, ...]
    roles: dict[str, str]
    korean: bool


@cache
def _load() -> tuple[frozenset[str], frozenset[str]]:
    order = load_list("en")["order"]
    return frozenset(order["prepositions"]), frozenset(order["symmetric"])


def read_roles(text: Words) -> Roles:
    """The roles that prepositions and case particles give to the words of a text."""
    common = load_common()
    words, roles = _read_particles(text) if text.korean else (text.stems, _read_prepositions(text))
    return Roles(words, tuple([word for word in words if word not in common]), roles, text.korean)


def _read_particles(text: Words) -> tuple[tuple[str, ...], dict[str, str]]:
    """Korean words without their particles, and the first word of each role."""
    roles: dict[str, str] = {}
    bases: list[str] = []
    for word in text.stems:
        base, role = split_particle(word)
        bases.append(base)
        if role in _KOREAN_ROLES:
            roles.setdefault(role, base)
    return tuple(bases), roles


def _read_prepositions(text: Words) -> dict[str, str]:
    """The first word with content behind each preposition."""
    prepositions, _ = _load()
    roles: dict[str, str] = {}
    if prepositions.isdisjoint(text.words):
        return roles
    common = load_common()
    marker = ""
    for word, base in zip(text.words, text.stems, strict=True):
        if word in prepositions:
            marker = word
        elif marker and base not in common:
            roles.setdefault(marker, base)
            marker = ""
    return roles


def compare_roles(a: Roles, b: Roles) -> str | None:
    """Whose roles two texts exchange, if they do.

    The texts have the same words with content, but for two at most. Either two of these words
    have changed places, with more than a conjunction between them; or the same preposition or
    particle marks one of two words here and the other there, and another role, or their order, is
    turned around with it. Korean words may change places freely.
    """
    if (a.words, a.roles) == (b.words, b.roles):
        return None
    ours, theirs = frozenset(a.content), frozenset(b.content)
    if len(ours) < 2 or len(ours ^ theirs) > _MOST_OTHER_WORDS:
        return None
    exchanged = None
    if not a.korean and not b.korean:
        exchanged = _find_swap(a, b) or _find_crossing(a, b)
    exchanged = exchanged or _find_turned_roles(a, b)
    if exchanged is None:
        return None
    first, second = sorted(exchanged)
    return f"{first} and {second} exchanged"


def _find_swap(a: Roles, b: Roles) -> tuple[str, str] | None:
    """The two words that have changed places in otherwise the same sequence."""
    if len(a.content) != len(b.content):
        return None
    differing = [
        at for at, pair in enumerate(zip(a.content, b.content, strict=True)) if _differ(pair)
    ]
    if len(differing) != 2:
        return None
    one, other = (a.content[at] for at in differing)
    if (other, one) != tuple(b.content[at] for at in differing):
        return None
    between = _read_between(a.words, one, other)
    _, symmetric = _load()
    if not between or not symmetric.isdisjoint(between):
        return None
    return (one, other) if between == _read_between(b.words, other, one) else None


def _find_crossing(a: Roles, b: Roles) -> tuple[str, str] | None:
    """A word from either side of a preposition with a direction that stands on the other side.

    "convert Word files to PDF" and "convert PDF to Word files": a phrase that only moved to the
    front or the end takes nothing across in exchange, and words that keep their own preposition
    may stand anywhere.
    """
    kept = {word for role, word in a.roles.items() if b.roles.get(role) == word}
    passing = load_common() | kept
    for pivot in _DIRECTIONS:
        if pivot not in a.words or pivot not in b.words:
            continue
        (a_before, a_after), (b_before, b_after) = (
            _split_at_last(side.words, pivot, passing) for side in (a, b)
        )
        forth = (a_before - a_after) & (b_after - b_before)
        back = (a_after - a_before) & (b_before - b_after)
        if forth and back:
            return min(forth), min(back)
    return None


def _split_at_last(
    words: Sequence[str], pivot: str, passing: frozenset[str]
) -> tuple[frozenset[str], frozenset[str]]:
    """The words before and behind the last place of a word, but for those that may pass it."""
    at = len(words) - 1 - words[::-1].index(pivot)
    return frozenset(words[:at]) - passing, frozenset(words[at + 1 :]) - passing


def _differ(pair: tuple[str, str]) -> bool:
    return pair[0] != pair[1]


def _read_between(words: Sequence[str], one: str, other: str) -> list[str]:
    """What stands between two words, without the verbs and articles that a wording may add."""
    first, last = sorted((words.index(one), words.index(other)))
    return [word for word in words[first + 1 : last] if word not in _ADDED]


def _find_turned_roles(a: Roles, b: Roles) -> tuple[str, str] | None:
    turned: dict[str, tuple[str, str]] = {}
    for role, ours in a.roles.items():
        theirs = b.roles.get(role, ours)
        if ours != theirs and ours in b.content and theirs in a.content:
            turned[role] = (ours, theirs)
    if not turned:
        return None
    role = min(turned)
    if len(turned) == 1 and (role in _WEAK or _keep_order(a.words, b.words, *turned[role])):
        return None
    return turned[role]


def _keep_order(a: Sequence[str], b: Sequence[str], one: str, other: str) -> bool:
    return (a.index(one) < a.index(other)) == (b.index(one) < b.index(other))
