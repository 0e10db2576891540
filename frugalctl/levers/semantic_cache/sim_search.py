"""Nearest entries for a stream of questions: in batches where many ask, else one by one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from frugalctl.levers.semantic_cache.index.search import find_nearest
from frugalctl.levers.semantic_cache.protocols import Integers, Mask, Vectors

Near = list[tuple[float, int]]
"""Cosines and entries, nearest first, of equal ones the earlier."""

_FEWEST_ENTRIES, _FEWEST_QUESTIONS = 512, 8
"""Below these a batch costs more than it saves."""
_SPARE = 4
_HALF_ULP = 2.0**-24
_FIRST_ROOM = 1


@dataclass(slots=True)
class _Shelf:
    """The entries of one scope in the order in which they were added."""

    entries: Integers
    vectors: Vectors
    count: int = 0

    def add(self, entry: int, vector: Vectors) -> None:
        if self.count == len(self.entries):
            room = 2 * self.count
            self.entries = np.resize(self.entries, room)
            self.vectors = np.resize(self.vectors, (room, self.vectors.shape[1]))
        self.entries[self.count] = entry
        self.vectors[self.count] = vector
        self.count += 1

    def drop(self, gone: Mask) -> None:
        """Forget those that have left, once they are most."""
        keep = np.flatnonzero(~gone[self.entries[: self.count]])
        if 2 * len(keep) < self.count:
            self.entries[: len(keep)] = self.entries[keep]
            self.vectors[: len(keep)] = self.vectors[keep]
            self.count = len(keep)


@dataclass(slots=True)
class _Found:
    """What a batch search found for one question.

    Attributes:
        near: the nearest entries that had not left when the chunk began.
        known: how many entries its scope had then.
        complete: whether there were no others.
    """

    near: Near
    known: int
    complete: bool


@dataclass(slots=True)
class Neighbours:
    """The entries of all scopes, and who is near to whom.

    Attributes:
        vectors: float32[n, d], of all requests in the order of time.
        scopes: of all requests.
        live: bool[n], which entries can be found now; changes as the log passes.
        gone: bool[n], which ones have left for ever; likewise.
        wanted: how many neighbours a question wants.
        floor: neighbours of a lower cosine are of no use.
    """

    vectors: Vectors
    scopes: Sequence[str]
    live: Mask
    gone: Mask
    wanted: int
    floor: float
    _has_vector: Mask = field(init=False)
    _shelves: dict[str, _Shelf] = field(default_factory=dict[str, _Shelf])
    _found: dict[int, _Found] = field(default_factory=dict[int, _Found])

    def __post_init__(self) -> None:
        self._has_vector = np.any(self.vectors != 0, axis=1)

    def add(self, entry: int) -> None:
        """Remember an entry; it is found from the time on when it is live."""
        if not self._has_vector[entry]:
            return
        scope = self.scopes[entry]
        shelf = self._shelves.get(scope)
        if shelf is None:
            width = self.vectors.shape[1]
            shelf = self._shelves[scope] = _Shelf(
                np.empty(_FIRST_ROOM, dtype=np.int64),
                np.empty((_FIRST_ROOM, width), dtype=np.float32),
            )
        shelf.add(entry, self.vectors[entry])

    def prepare(self, questions: Sequence[int]) -> dict[int, Near]:
        """Search for the next questions at once, as far as that is worth it.

        Returns:
            What is likely to be near for those that were searched for.
        """
        self._found = {}
        by_scope: dict[str, list[int]] = {}
        for question in questions:
            by_scope.setdefault(self.scopes[question], []).append(question)
        for scope, asked in by_scope.items():
            shelf = self._shelves.get(scope)
            if shelf is None:
                continue
            shelf.drop(self.gone)
            if len(asked) >= _FEWEST_QUESTIONS and shelf.count >= _FEWEST_ENTRIES:
                self._search_batch(shelf, asked)
        return {question: found.near[: self.wanted] for question, found in self._found.items()}

    def _search_batch(self, shelf: _Shelf, asked: list[int]) -> None:
        count, most = shelf.count, self.wanted + _SPARE
        entries = shelf.entries[:count]
        rows, cosines = find_nearest(
            self.vectors[asked], shelf.vectors[:count], most, alive=~self.gone[entries]
        )
        for question, found, near in zip(asked, rows, cosines, strict=True):
            some = found >= 0
            listed = list(zip(near[some].tolist(), entries[found[some]].tolist(), strict=True))
            complete = len(listed) < most or listed[-1][0] < self.floor
            useful = [pair for pair in listed if pair[0] >= self.floor]
            self._found[question] = _Found(useful, count, complete)

    def find(self, question: int) -> Near:
        """The nearest entries of the question's scope that are live now."""
        shelf = self._shelves.get(self.scopes[question])
        if shelf is None or not self._has_vector[question]:
            return []
        found = self._found.get(question)
        if found is None:
            return self._search(shelf, question, 0)
        near = [pair for pair in found.near if self.live[pair[1]]]
        if len(near) < self.wanted and not found.complete:
            return self._search(shelf, question, 0)
        if shelf.count > found.known:
            near = sorted(
                near + self._search(shelf, question, found.known),
                key=lambda pair: (-pair[0], pair[1]),
            )
        return near[: self.wanted]

    def _search(self, shelf: _Shelf, question: int, start: int) -> Near:
        """The same among the entries from the shelf's `start` on, one question at a time."""
        if start >= shelf.count:
            return []
        query = self.vectors[question]
        entries, vectors = shelf.entries[start : shelf.count], shelf.vectors[start : shelf.count]
        products = vectors @ query
        margin = 4 * (len(query) + 2) * _HALF_ULP
        if not products.max() >= self.floor - margin:
            return []
        products[~self.live[entries]] = -np.inf
        cut = self.floor
        if len(products) > self.wanted:
            cut = max(cut, float(np.partition(products, -self.wanted)[-self.wanted]))
        rows = np.flatnonzero((products >= cut - margin) & (products > -np.inf))
        exact = np.einsum("ij,j->i", vectors[rows].astype(np.float64), query.astype(np.float64))
        cosines = exact.astype(np.float32)
        order = np.lexsort((entries[rows], -cosines))[: self.wanted]
        near = zip(cosines[order].tolist(), entries[rows[order]].tolist(), strict=True)
        return [pair for pair in near if pair[0] >= self.floor]
