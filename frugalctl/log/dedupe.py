"""Repeated and distinct values of a stream, at 8 bytes a value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.int64]


class HashSet:
    """Hashes seen so far, in sorted runs that are merged as they grow (a log-structured set)."""

    def __init__(self) -> None:
        self._runs: list[Hashes] = []

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def add(self, hashes: Hashes) -> NDArray[np.bool_]:
        """Add a batch.

        Returns:
            For each hash, whether it was there before: in an earlier batch, or earlier in this.
        """
        ordered = np.sort(hashes)
        new = self._is_new(ordered)
        if new.all():
            self._keep(ordered)
            return np.zeros(len(hashes), dtype=np.bool_)
        order = np.argsort(hashes, kind="stable")
        repeated = np.empty(len(hashes), dtype=np.bool_)
        repeated[order] = ~new
        self._keep(ordered[new])
        return repeated

    def _is_new(self, ordered: Hashes) -> NDArray[np.bool_]:
        """Of sorted hashes, the first of each that was not there before."""
        new = np.ones(len(ordered), dtype=np.bool_)
        new[1:] = ordered[1:] != ordered[:-1]
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, ordered), len(run) - 1)
            new &= run[at] != ordered
        return new

    def _keep(self, fresh: Hashes) -> None:
        if len(fresh):
            self._runs.append(fresh)
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            self._runs[-1] = np.sort(np.concatenate((self._runs[-1], last)))


class HashPile:
    """Hashes put aside, to be looked through once at the end: much cheaper than a `HashSet`."""

    def __init__(self) -> None:
        self._parts: list[Hashes] = []

    def add(self, hashes: Hashes) -> None:
        """Put a batch aside."""
        self._parts.append(hashes)

    def count_distinct(self) -> int:
        """How many different hashes there are."""
        if not self._parts:
            return 0
        ordered = np.sort(np.concatenate(self._parts))
        return len(ordered) and 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))

    def find_repeated(self) -> tuple[int, int] | None:
        """The first hash that was there before: its position, and where it was first."""
        total = sum(map(len, self._parts))
        if self.count_distinct() == total:
            return None
        hashes = np.concatenate(self._parts)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        again = order[1:][ordered[1:] == ordered[:-1]]
        at = int(again.min())
        return at, int(np.flatnonzero(hashes[:at] == hashes[at])[0])


def hash_strings(values: list[str]) -> Hashes:
    """Python's own string hashes: good within one process, and not stored anywhere."""
    return np.fromiter(map(hash, values), dtype=np.int64, count=len(values))
