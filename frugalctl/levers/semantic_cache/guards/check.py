"""Run the guards on pairs of texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import UsageError
from frugalctl.levers.semantic_cache.guards.language import compare_languages, read_language
from frugalctl.levers.semantic_cache.guards.names import compare_names, read_names
from frugalctl.levers.semantic_cache.guards.negation import compare_polarity, read_polarity
from frugalctl.levers.semantic_cache.guards.numbers import compare_numbers, read_numbers
from frugalctl.levers.semantic_cache.guards.order import compare_roles, read_roles
from frugalctl.levers.semantic_cache.guards.symbols import compare_symbols, read_symbols
from frugalctl.levers.semantic_cache.guards.words import Words, read_words
from frugalctl.levers.semantic_cache.settings import GUARD_NAMES

_LONGEST_CACHED_CHARS = 2_000
_CACHED_TEXTS = 20_000


@dataclass(frozen=True, slots=True)
class _Guard:
    """What a guard reads of one text, and how it compares two readings."""

    read: Callable[[Words], Any]
    compare: Callable[[Any, Any], str | None]


_GUARDS = {
    "numbers": _Guard(read_numbers, compare_numbers),
    "negation": _Guard(read_polarity, compare_polarity),
    "names": _Guard(read_names, compare_names),
    "symbols": _Guard(read_symbols, compare_symbols),
    "order": _Guard(read_roles, compare_roles),
    "language": _Guard(read_language, compare_languages),
}


def find_refusal(
    query: str, entry: str, guards: Sequence[str] = GUARD_NAMES
) -> tuple[str, str] | None:
    """The first guard that refuses to answer a query with another text's answer, and why.

    Args:
        query: the text asked, not reduced.
        entry: the text whose answer would be used.
        guards: the names of the guards, in the order in which they are asked.

    Returns:
        The guard and its reason; None if all let the pair pass. Which of the two texts is the
        query does not matter, and a text is never refused its own answer.

    Raises:
        UsageError: a guard of no such name.
    """
    chosen = _find_guards(guards)
    if query == entry:
        return None
    ours, theirs = _read(query), _read(entry)
    for name, guard in chosen.items():
        reason = guard.compare(ours.get(name), theirs.get(name))
        if reason is not None:
            return name, reason
    return None


def find_refusals(
    a: Sequence[str], b: Sequence[str], guards: Sequence[str] = GUARD_NAMES
) -> list[tuple[str, str] | None]:
    """`find_refusal` of n pairs.

    Raises:
        UsageError: a guard of no such name.
    """
    return [find_refusal(one, other, guards) for one, other in zip(a, b, strict=True)]


def check_guards(
    a: Sequence[str], b: Sequence[str], guards: Sequence[str] = GUARD_NAMES
) -> NDArray[np.bool_]:
    """Which guards would refuse each of n pairs, asked one without the others.

    Returns:
        bool[n, g], in the order of `guards`.

    Raises:
        UsageError: a guard of no such name.
    """
    compare = [(name, guard.compare) for name, guard in _find_guards(guards).items()]
    refused = np.zeros((len(a), len(guards)), np.bool_)
    for row, (one, other) in enumerate(zip(a, b, strict=True)):
        if one != other:
            ours, theirs = _read(one), _read(other)
            refused[row] = [
                compare_both(ours.get(name), theirs.get(name)) is not None
                for name, compare_both in compare
            ]
    return refused


class _Readings:
    """What the guards read of a text, each when it is first asked for."""

    __slots__ = ("_found", "_text")

    def __init__(self, text: str) -> None:
        self._text = read_words(text)
        self._found: dict[str, Any] = {}

    def get(self, name: str) -> Any:
        if name not in self._found:
            self._found[name] = _GUARDS[name].read(self._text)
        return self._found[name]


def _find_guards(names: Sequence[str]) -> dict[str, _Guard]:
    for name in names:
        if name not in _GUARDS:
            raise UsageError(f"unknown guard {name!r}", hint=f"known: {', '.join(_GUARDS)}")
    return {name: _GUARDS[name] for name in names}


def _read(text: str) -> _Readings:
    return _Readings(text) if len(text) > _LONGEST_CACHED_CHARS else _read_cached(text)


_read_cached = lru_cache(maxsize=_CACHED_TEXTS)(_Readings)
