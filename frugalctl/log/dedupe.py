"""A set of 64-bit hashes that grows by 8 bytes a member."""

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
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        repeated = np.zeros(len(hashes), dtype=np.bool_)
        repeated[order[1:]] = ordered[1:] == ordered[:-1]
        for run in self._runs:
            at = np.minimum(np.searchsorted(run, ordered), len(run) - 1)
            repeated[order] |= run[at] == ordered
        fresh = np.sort(hashes[~repeated])
        if len(fresh):
            self._runs.append(fresh)
        self._merge()
        return repeated

    def _merge(self) -> None:
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            last = self._runs.pop()
            merged = np.concatenate((self._runs[-1], last))
            merged.sort(kind="stable")
            self._runs[-1] = merged


def hash_strings(values: list[str]) -> Hashes:
    """Python's own string hashes: good within one process, and not stored anywhere."""
    return np.fromiter(map(hash, values), dtype=np.int64, count=len(values))
