"""Lifetimes and eviction against plain loops over entries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.semantic_cache.retention import (
    EVICTIONS,
    Retention,
    choose_victims,
    is_expired,
    measure_bytes,
    rank,
)
from frugalctl.log.times import UNKNOWN_US

TIMES = st.one_of(st.just(UNKNOWN_US), st.integers(0, 30))
ENTRIES = st.lists(
    st.tuples(
        TIMES,
        TIMES,
        st.integers(0, 3),
        st.sampled_from([float("nan"), 0.0, 0.5, 1.0, 4.0]),
        st.integers(1, 50),
        st.booleans(),
    ),
    max_size=12,
)


def columns(entries):
    kinds = (np.int64, np.int64, np.int64, np.float64, np.int64, np.bool_)
    return [np.array([entry[at] for entry in entries], dtype=kind) for at, kind in enumerate(kinds)]


@given(entries=ENTRIES, ttl_us=st.one_of(st.none(), st.integers(1, 20)), sliding=st.booleans())
def test_an_entry_dies_when_its_lifetime_has_passed(entries, ttl_us, sliding):
    created_us, used_us, *_ = columns(entries)
    retention = Retention(ttl_us=ttl_us, sliding=sliding)
    for now_us in (0, 15, 31):
        dead = is_expired(retention, created_us, used_us, now_us).tolist()
        for (made, used, *_), is_dead in zip(entries, dead, strict=True):
            begins = max(made, used) if sliding else made
            past = ttl_us is not None and begins != UNKNOWN_US and now_us >= begins + ttl_us
            assert is_dead == past


def slow_worth(entry, entries, eviction):
    made, used, hits, cost, size, _ = entry
    used = max(made, used)
    if eviction == "cost":
        known = sorted(other[3] for other in entries if other[3] == other[3])
        middle = (known[(len(known) - 1) // 2] + known[len(known) // 2]) / 2 if known else 1.0
        worth = (middle if cost != cost else cost) * (1 + hits) / size
    else:
        worth = {"lru": used, "lfu": hits, "fifo": made}[eviction]
    return worth, used


@given(
    entries=ENTRIES,
    eviction=st.sampled_from(EVICTIONS),
    max_entries=st.one_of(st.none(), st.integers(1, 12)),
    max_bytes=st.one_of(st.none(), st.integers(1, 200)),
)
def test_the_least_worthy_leave_until_the_rest_fits(entries, eviction, max_entries, max_bytes):
    retention = Retention(eviction=eviction, max_entries=max_entries, max_bytes=max_bytes)
    created_us, used_us, hits, cost_usd, size_bytes, protected = columns(entries)
    worth = rank(retention, created_us, used_us, hits, cost_usd, size_bytes)
    victims = choose_victims(retention, worth, size_bytes, protected)

    order = sorted(
        range(len(entries)),
        key=lambda at: (entries[at][5], *slow_worth(entries[at], entries, eviction), at),
    )
    gone = set()
    while (max_entries is not None and len(entries) - len(gone) > max_entries) or (
        max_bytes is not None
        and sum(entries[at][4] for at in range(len(entries)) if at not in gone) > max_bytes
    ):
        gone.add(order[len(gone)])
    assert set(np.flatnonzero(victims).tolist()) == gone


def test_the_cost_rule_keeps_what_saves_most_for_its_size():
    retention = Retention(eviction="cost", max_entries=1)
    times = np.array([3, 2, 1])
    worth = rank(
        retention,
        times,
        times,
        np.array([0, 0, 9]),
        np.array([0.002, 0.004, 0.001]),
        np.array([100, 400, 100]),
    )
    assert choose_victims(retention, worth, np.array([100, 400, 100])).tolist() == [
        True,
        True,
        False,
    ]


def test_bytes_are_those_of_text_response_and_vector():
    sizes = measure_bytes(np.array([3, 0]), np.array([10, 1]), 256 * 4)
    assert sizes.tolist() == [1037, 1025]


@pytest.mark.parametrize("protected", [None, np.array([True, False])])
def test_newcomers_leave_last(protected):
    retention = Retention(eviction="lfu", max_entries=1)
    worth = (np.array([0.0, 5.0]), np.array([2.0, 1.0]))
    victims = choose_victims(retention, worth, np.array([1, 1]), protected)
    assert victims.tolist() == ([True, False] if protected is None else [False, True])
