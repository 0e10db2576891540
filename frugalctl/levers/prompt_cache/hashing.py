"""Hashes of token prefixes that join cheaply: H(t1..tn) = sum of mix(t_j) * BASE^j mod 2^64.

The hash of a prefix of a conversation follows from the hashes of its messages, whatever stands
before them, so that a message is walked once however often it is repeated.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Counts = NDArray[np.int64]

_BASE = np.uint64(0x9E6C63D0876A9A35)
_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def mix(values: Hashes) -> Hashes:
    """Spread 64-bit values over all bits, one to one (the finaliser of SplitMix64)."""
    mixed = values + _STEP
    for shift, factor in _MIX:
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return mixed


def powers(count: int) -> Hashes:
    """At least `count` powers of the base, from the zeroth."""
    return _powers(1 << max(count - 1, 1).bit_length())


@lru_cache(maxsize=1)
def _powers(count: int) -> Hashes:
    factors = np.full(count, _BASE)
    factors[0] = 1
    made = np.cumprod(factors)
    made.flags.writeable = False
    return made


def hash_prefixes(tokens: NDArray[np.integer]) -> Hashes:
    """The hash of every prefix of a run of tokens, uint64[n], the whole run's last."""
    return np.cumsum(mix(tokens.astype(np.uint64)) * powers(len(tokens))[: len(tokens)])


def seal(hashes: Hashes, ends: Counts, scopes: Counts) -> Hashes:
    """Keys for look-up: what differs in length or in scope never shares a key."""
    keys = ends.astype(np.uint64) * _BASE
    keys ^= mix(scopes.astype(np.uint64))
    keys += hashes
    return mix(keys)


def sum_within(terms: Hashes, starts: Counts, lengths: Counts) -> Hashes:
    """Running sums that begin anew with each run.

    Args:
        terms: the runs one after the other.
        starts: where each run begins.
        lengths: how long it is.
    """
    sums = np.cumsum(terms)
    before = np.zeros(len(starts), dtype=np.uint64)
    later = starts > 0
    before[later] = sums[starts[later] - 1]
    sums -= np.repeat(before, lengths)
    return sums
