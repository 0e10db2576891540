"""How long an entry stays: lifetime, and who leaves when there is no room."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import ConfigError
from frugalctl.log.times import UNKNOWN_US

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

EvictionName = Literal["lru", "lfu", "fifo", "cost"]
EVICTIONS: tuple[EvictionName, ...] = ("lru", "lfu", "fifo", "cost")


@dataclass(frozen=True, slots=True)
class Retention:
    """What an index keeps.

    Attributes:
        ttl_us: microseconds after which an entry is not used any more; None for ever.
        sliding: whether each use begins the lifetime anew; else it runs from creation.
        eviction: who leaves when there is no room: the least recently used (lru), the least
            often used (lfu), the oldest (fifo), the cheapest to answer again for its size (cost).
        max_entries: room in entries; None for no bound.
        max_bytes: room in bytes, as `measure_bytes` counts them; None for no bound.

    Raises:
        ConfigError: a bound below one, or an unknown eviction.
    """

    ttl_us: int | None = None
    sliding: bool = False
    eviction: EvictionName = "lru"
    max_entries: int | None = None
    max_bytes: int | None = None

    def __post_init__(self) -> None:
        for name in ("ttl_us", "max_entries", "max_bytes"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"[semantic_cache] {name.removesuffix('_us')} is below one")
        if self.eviction not in EVICTIONS:
            raise ConfigError(
                f"[semantic_cache] unknown eviction {self.eviction!r}",
                hint=f"known: {', '.join(EVICTIONS)}",
            )


def is_expired(
    retention: Retention, created_us: Integers, last_used_us: Integers, now_us: int
) -> Mask:
    """Which entries are past their lifetime.

    An entry leaves for its age only when that is known: a log without times would otherwise
    leave an index with a lifetime empty. Whoever adds an entry can say when, and does.

    Args:
        retention: the lifetime, and where it begins.
        created_us: int64[n], UNKNOWN_US where not known.
        last_used_us: int64[n], UNKNOWN_US for never, or not known.
        now_us: the time at which they would be used.

    Returns:
        bool[n].
    """
    if retention.ttl_us is None:
        return np.zeros(len(created_us), dtype=np.bool_)
    since_us = np.maximum(created_us, last_used_us) if retention.sliding else created_us
    return (since_us != UNKNOWN_US) & (since_us <= now_us - retention.ttl_us)


def rank(
    retention: Retention,
    created_us: Integers,
    last_used_us: Integers,
    hits: Integers,
    cost_usd: Floats,
    size_bytes: Integers,
) -> tuple[Floats, Floats]:
    """How much each entry is worth keeping: the lowest leaves first.

    The rule `cost` is GreedyDual-Size with frequency (Cao and Irani 1997; Cherkasova 1998)
    without its clock: what the uses of an entry save for each byte that it takes. An entry of
    unknown cost counts as the median one; one of unknown time as the oldest.

    Args:
        retention: by which rule.
        created_us: int64[n], UNKNOWN_US where not known.
        last_used_us: int64[n], UNKNOWN_US for never, or not known.
        hits: int64[n], how often each was used.
        cost_usd: float64[n], what its answer cost; NaN where not known.
        size_bytes: int64[n], as `measure_bytes` counts.

    Returns:
        float64[n] worth, and float64[n] the last use in microseconds, which decides between
        entries of equal worth.
    """
    used_us = np.maximum(created_us, last_used_us).astype(np.float64)
    if retention.eviction == "lfu":
        return hits.astype(np.float64), used_us
    if retention.eviction == "fifo":
        return created_us.astype(np.float64), used_us
    if retention.eviction == "cost":
        known = cost_usd[~np.isnan(cost_usd)]
        middle = np.median(known) if len(known) else 1.0
        costs = np.where(np.isnan(cost_usd), middle, cost_usd)
        return costs * (1 + hits) / np.maximum(size_bytes, 1), used_us
    return used_us, used_us


def choose_victims(
    retention: Retention,
    worth: tuple[Floats, Floats],
    size_bytes: Integers,
    protected: Mask | None = None,
) -> Mask:
    """Who leaves so that the rest has room.

    Args:
        retention: the room.
        worth: of n entries, as `rank` returns it; of equal ones the first leaves first.
        size_bytes: int64[n], as `measure_bytes` counts.
        protected: bool[n], who leaves only after all others: entries that just came in, which
            have had no time to be used.

    Returns:
        bool[n], the fewest of lowest worth whose leaving makes the rest fit.
    """
    count = len(size_bytes)
    last = np.zeros(count, dtype=np.bool_) if protected is None else protected
    order = np.lexsort((worth[1], worth[0], last))
    leaving = 0
    if retention.max_entries is not None:
        leaving = max(count - retention.max_entries, 0)
    if retention.max_bytes is not None:
        freed = np.cumsum(size_bytes[order])
        excess = int(size_bytes.sum()) - retention.max_bytes
        if excess > 0:
            leaving = max(leaving, int(np.searchsorted(freed, excess)) + 1)
    victims = np.zeros(count, dtype=np.bool_)
    victims[order[:leaving]] = True
    return victims


def measure_bytes(text_bytes: Integers, response_bytes: Integers, vector_bytes: int) -> Integers:
    """The bytes that entries take: text, response and vector.

    Args:
        text_bytes: int64[n], lengths in UTF-8.
        response_bytes: int64[n], lengths in UTF-8.
        vector_bytes: of one vector: its dimension, times 4 for float32.

    Returns:
        int64[n].
    """
    return text_bytes + response_bytes + vector_bytes
