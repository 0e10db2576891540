"""Pairs to train a scorer on, from groups of texts that have the same answer."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from frugalctl.levers.semantic_cache.index.search import find_nearest
from frugalctl.levers.semantic_cache.protocols import Integers, Mask, Vectors


def mine_pairs(
    texts: Sequence[str], groups: Sequence[Hashable | None], vectors: Vectors, k: int
) -> tuple[Integers, Integers, Mask]:
    """Every text with the k nearest others, of whatever group: the pairs that a cache compares.

    Pairs chosen by their label, such as the nearest of other groups beside random ones of the
    same, would teach that a lower cosine is the surer sign. Of equal texts only the first is
    looked at, as an exact key finds the others.

    Args:
        texts: n texts.
        groups: n labels; a text without one (None) has the same answer as no other.
        vectors: float32[n, d] of length 1.
        k: how many, best the number of candidates that the cache will score.

    Returns:
        Rows int64[m] and int64[m], the first below the second, each pair once and in order, and
        bool[m], whether they are of one group.
    """
    first = {text: row for row, text in reversed(list(enumerate(texts)))}
    rows: Integers = np.array(sorted(first.values()), np.int64)
    near, _ = find_nearest(vectors[rows], vectors[rows], k + 1)
    own = np.arange(len(rows))[:, None]
    near[np.cumsum((near != own) & (near >= 0), axis=1) > k] = -1
    query, rank = np.nonzero((near != own) & (near >= 0))
    found = np.sort(np.stack((rows[query], rows[near[query, rank]]), axis=1), axis=1)
    pairs = np.unique(found, axis=0)
    codes = _encode_groups(groups)
    return pairs[:, 0], pairs[:, 1], codes[pairs[:, 0]] == codes[pairs[:, 1]]


def _encode_groups(groups: Sequence[Hashable | None]) -> Integers:
    """A number for each group, and one of its own for each text without a group."""
    codes = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    numbers = [
        codes[group] if group is not None else len(codes) + row for row, group in enumerate(groups)
    ]
    return np.array(numbers, np.int64)
