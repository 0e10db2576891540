"""The entries of a cache while a log passes: who comes, who is found, who leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

import numpy as np

from frugalctl.levers.semantic_cache.protocols import Floats, Integers, Mask
from frugalctl.levers.semantic_cache.retention import Retention
from frugalctl.levers.semantic_cache.settings import Invalidation

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answers:
    """What each of n requests would leave in a cache, in the order of time.

    Attributes:
        scopes: who may share it.
        keys: exact keys.
        tags: what it is invalidated by.
        done_us: int64[n], when it is there.
        size_bytes: int64[n].
        cost_usd: float64[n], NaN where unknown.
    """

    scopes: list[str]
    keys: list[str]
    tags: list[tuple[str, ...]]
    done_us: Integers
    size_bytes: Integers
    cost_usd: Floats


@dataclass(slots=True)
class Departures:
    """How many entries left, and why."""

    expired: int = 0
    evicted: int = 0
    replaced: int = 0
    invalidated: int = 0
    too_large: int = 0


@dataclass(slots=True)
class CacheState:
    """The entries, each named by the number of the request that it answers.

    Attributes:
        answers: of all requests.
        retention: lifetimes and room.
        invalidations: in the order of time.
        live: bool[n], which entries can be found now.
        gone: bool[n], which ones have left for ever.
        departures: why they left.
    """

    answers: Answers
    retention: Retention
    invalidations: Sequence[Invalidation]
    live: Mask = field(init=False)
    gone: Mask = field(init=False)
    departures: Departures = field(default_factory=Departures)
    _by_key: dict[_Key, int] = field(default_factory=dict[_Key, int])
    _pending: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    _expiring: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    _ranked: list[tuple[float, float, int]] = field(default_factory=list[tuple[float, float, int]])
    _used_us: dict[int, int] = field(default_factory=dict[int, int])
    _hits: dict[int, int] = field(default_factory=dict[int, int])
    _taken_bytes: int = 0
    _middle_usd: float = 1.0
    _next_invalidation: int = 0

    def __post_init__(self) -> None:
        count = len(self.answers.keys)
        self.live = np.zeros(count, dtype=np.bool_)
        self.gone = np.zeros(count, dtype=np.bool_)
        costs = self.answers.cost_usd
        if not np.isnan(costs).all():
            self._middle_usd = float(np.nanmedian(costs))

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, scope: str, key: str) -> int:
        """The entry of that key, -1 without one."""
        return self._by_key.get((scope, key), -1)

    def add(self, entry: int) -> None:
        """Have an answer come in when it is done."""
        heappush(self._pending, (int(self.answers.done_us[entry]), entry))

    def use(self, entry: int, now_us: int) -> None:
        """Note a hit."""
        self._hits[entry] += 1
        self._used_us[entry] = now_us
        if self._is_bounded:
            heappush(self._ranked, (*self._rank(entry), entry))

    def advance(self, now_us: int) -> None:
        """Let everything happen that is due by now, in the order of time."""
        while True:
            due_us = self._pending[0][0] if self._pending else now_us + 1
            cut = self._invalidation_before(min(due_us, now_us))
            if cut is not None:
                self._expire(cut.at_us)
                self._invalidate(cut.tag)
            elif due_us <= now_us:
                self._insert(heappop(self._pending)[1])
            else:
                break
        self._expire(now_us)

    def _invalidation_before(self, now_us: int) -> Invalidation | None:
        at = self._next_invalidation
        if at >= len(self.invalidations) or self.invalidations[at].at_us > now_us:
            return None
        self._next_invalidation += 1
        return self.invalidations[at]

    def _invalidate(self, tag: str | None) -> None:
        """Entries of that tag leave, and answers on their way, which were asked for before."""
        tags = self.answers.tags
        for entry in np.flatnonzero(self.live).tolist():
            if tag is None or tag in tags[entry]:
                self._remove(entry)
                self.departures.invalidated += 1
        kept = [item for item in self._pending if tag is not None and tag not in tags[item[1]]]
        self.departures.invalidated += len(self._pending) - len(kept)
        self.gone[[entry for _, entry in set(self._pending) - set(kept)]] = True
        heapify(kept)
        self._pending = kept

    def _insert(self, entry: int) -> None:
        now_us = int(self.answers.done_us[entry])
        self._expire(now_us)
        key = self.answers.scopes[entry], self.answers.keys[entry]
        size = int(self.answers.size_bytes[entry])
        room = self.retention.max_bytes
        if room is not None and size > room:
            self.gone[entry] = True
            self.departures.too_large += 1
            return
        self._hits[entry] = 0
        older = self._by_key.get(key)
        if older is not None:
            self._hits[entry] = self._hits[older]
            self._remove(older)
            self.departures.replaced += 1
        self._make_room(size)
        self._by_key[key] = entry
        self._used_us[entry] = now_us
        self._taken_bytes += size
        self.live[entry] = True
        if self.retention.ttl_us is not None:
            heappush(self._expiring, (now_us + self.retention.ttl_us, entry))
        if self._is_bounded:
            heappush(self._ranked, (*self._rank(entry), entry))

    def _remove(self, entry: int) -> None:
        del self._by_key[self.answers.scopes[entry], self.answers.keys[entry]]
        del self._used_us[entry], self._hits[entry]
        self._taken_bytes -= int(self.answers.size_bytes[entry])
        self.live[entry] = False
        self.gone[entry] = True

    def _expire(self, now_us: int) -> None:
        ttl_us = self.retention.ttl_us or 0
        while self._expiring and self._expiring[0][0] <= now_us:
            _, entry = heappop(self._expiring)
            if not self.live[entry]:
                continue
            until_us = self._used_us[entry] + ttl_us
            if self.retention.sliding and until_us > now_us:
                heappush(self._expiring, (until_us, entry))
                continue
            self._remove(entry)
            self.departures.expired += 1

    @property
    def _is_bounded(self) -> bool:
        return self.retention.max_entries is not None or self.retention.max_bytes is not None

    def _make_room(self, size: int) -> None:
        most_entries, most_bytes = self.retention.max_entries, self.retention.max_bytes
        while (most_entries is not None and len(self) >= most_entries) or (
            most_bytes is not None and self._taken_bytes + size > most_bytes
        ):
            worth, used_us, entry = heappop(self._ranked)
            # an entry has one item for each of its uses; only the last one counts
            if self.live[entry] and (worth, used_us) == self._rank(entry):
                self._remove(entry)
                self.departures.evicted += 1

    def _rank(self, entry: int) -> tuple[float, float]:
        """How much an entry is worth keeping, as `retention.rank` has it for all at once."""
        used_us = float(self._used_us[entry])
        rule, answers = self.retention.eviction, self.answers
        if rule == "lfu":
            return float(self._hits[entry]), used_us
        if rule == "fifo":
            return float(answers.done_us[entry]), used_us
        if rule == "cost":
            cost = float(answers.cost_usd[entry])
            cost = self._middle_usd if np.isnan(cost) else cost
            size = max(int(answers.size_bytes[entry]), 1)
            return cost * (1 + self._hits[entry]) / size, used_us
        return used_us, used_us
