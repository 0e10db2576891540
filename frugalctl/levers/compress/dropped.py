"""What is said of what was dropped: all that a user would miss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from frugalctl.levers.compress.score_words import STOP_WORDS, split_terms
from frugalctl.levers.compress.units import Atom

_TOLD_KINDS = ("code", "json", "table", "log", "html")
_KEYED_KINDS = (*_TOLD_KINDS, "exemplar")
_MOST_NAMES = 3
_NAME_CHARS = 60

_Key = TypeVar("_Key", bound=Hashable)


def describe_dropped(
    atoms: Sequence[Atom], kept: Sequence[bool], question: str | None
) -> list[str]:
    """A sentence for each kind of thing that is missed.

    Args:
        atoms: of all parts, in one row.
        kept: of each.
        question: what they were chosen by.
    """
    warnings: list[str] = []
    shots = _find_alive(atoms, kept, lambda atom: atom.block if atom.kind == "exemplar" else None)
    if shots and not any(shots.values()):
        warnings.append(f"all {len(shots)} exemplars were dropped")
    data = _find_alive(
        atoms,
        kept,
        lambda atom: (atom.kind, atom.part, atom.segment) if atom.kind in _TOLD_KINDS else None,
    )
    emptied = Counter(key[0] for key, alive in data.items() if not alive)
    if emptied:
        told = ", ".join(f"{kind} ({segments})" for kind, segments in sorted(emptied.items()))
        warnings.append(f"dropped whole: {told}")
    named = list(islice(_find_named(atoms, kept, question), _MOST_NAMES)) if question else []
    if named:
        warnings.append(f"dropped whole, though the question names it: {', '.join(named)}")
    thinned = list(islice(_find_thinned(atoms, kept), _MOST_NAMES))
    if thinned:
        warnings.append(f"cut between the statements within: {', '.join(thinned)}")
    return warnings


def describe_fit(best_tokens: int | None, tokens: int, budget_tokens: int) -> list[str]:
    """Whether what matters most had no room, or much room was left for lack of small units.

    Args:
        best_tokens: of the best unit, if it was dropped.
        tokens: of what is kept.
        budget_tokens: that were allowed.
    """
    if best_tokens is not None:
        return [
            f"what seems to matter most does not fit and was dropped whole: about {best_tokens:,} "
            f"tokens; {tokens:,} of {budget_tokens:,} are used"
        ]
    if 2 * tokens < budget_tokens:
        return [f"{tokens:,} of {budget_tokens:,} tokens are used: no other unit fits whole"]
    return []


def _find_alive(
    atoms: Sequence[Atom], kept: Sequence[bool], key: Callable[[Atom], _Key | None]
) -> dict[_Key, bool]:
    """Of each group of units, whether something of it is kept."""
    alive: dict[_Key, bool] = {}
    for atom, stays in zip(atoms, kept, strict=True):
        own = key(atom) if atom.kind in _KEYED_KINDS else None
        if own is not None and atom.role in ("free", "fixed") and atom.text.strip():
            alive[own] = alive.get(own, False) or stays
    return alive


def _find_named(atoms: Sequence[Atom], kept: Sequence[bool], question: str) -> Iterator[str]:
    """Documents of which nothing is kept, and whose title or label is in the question."""
    asked = question.casefold()
    terms = set(split_terms(question))
    titles: dict[int, str] = {}
    labels: dict[int, str] = {}
    alive: set[int] = set()
    for atom, stays in zip(atoms, kept, strict=True):
        if atom.kind != "document":
            continue
        titles.setdefault(atom.block, atom.title)
        if atom.role == "frame":
            labels.setdefault(atom.block, atom.text.strip("#*:： \t\r\n"))
        elif stays and atom.role != "gap":
            alive.add(atom.block)
    for block, title in titles.items():
        if block in alive:
            continue
        titled = {term for term in split_terms(title) if term not in STOP_WORDS}
        label = labels.get(block, "")
        if (titled and titled <= terms) or (len(label) > 2 and label.casefold() in asked):
            yield repr((title or label)[:_NAME_CHARS])


def _find_thinned(atoms: Sequence[Atom], kept: Sequence[bool]) -> Iterator[str]:
    """Classes and functions of which some statements are kept and some are not."""
    states: dict[tuple[int, str], set[bool]] = {}
    for atom, stays in zip(atoms, kept, strict=True):
        if atom.role == "free" and atom.kind == "code" and atom.text[:1].isspace():
            states.setdefault((atom.block, atom.title), set()).add(stays)
    for (_, name), own in states.items():
        if len(own) > 1:
            yield name
