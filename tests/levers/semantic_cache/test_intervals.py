"""Exact bounds against sums of binomial chances, one by one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.semantic_cache.intervals import (
    bound_share,
    count_needed,
    count_needed_for_future,
    exact_interval,
    holds_in_future,
    measure_design_effect,
)


def at_most(successes, n, share):
    """The chance of so few successes, term by term."""
    return math.fsum(
        math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(successes + 1)
    )


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_bound_is_where_so_few_becomes_unlikely(counts):
    successes, n = counts
    upper = bound_share(successes, n, 0.95)
    if successes == n:
        assert upper == 1
    else:
        assert at_most(successes, n, upper) == pytest.approx(0.05)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_both_ends_leave_half_of_the_error(counts):
    successes, n = counts
    low, high = (float(end[0]) for end in exact_interval(np.array([successes]), np.array([n])))
    if successes < n:
        assert at_most(successes, n, high) == pytest.approx(0.025)
    else:
        assert high == 1
    if successes > 0:
        assert 1 - at_most(successes - 1, n, low) == pytest.approx(0.025)
    else:
        assert low == 0


def test_nothing_seen_has_no_interval():
    low, high = exact_interval(np.array([0]), np.array([0]))
    assert np.isnan([low, high]).all()


@given(st.integers(1, 40), st.floats(0.02, 0.5), st.integers(0, 10))
def test_the_future_is_an_urn(n, bound, successes):
    successes = min(successes, n)
    too_many = next(k for k in range(n + 2) if k > bound * n + 1e-9)
    if too_many > n:
        assert holds_in_future(successes, n, bound, 0.95)
        return
    together = successes + too_many
    ways = sum(
        math.comb(together, k) * math.comb(2 * n - together, n - k)
        for k in range(successes + 1)
        if n - k <= 2 * n - together
    )
    chance = ways / math.comb(2 * n, n)
    if abs(chance - 0.05) > 1e-9:
        assert holds_in_future(successes, n, bound, 0.95) == (chance <= 0.05)


@pytest.mark.parametrize(("bound", "needed"), [(0.02, 149), (0.05, 59), (0.01, 299)])
def test_how_many_are_needed_at_least(bound, needed):
    assert count_needed(bound, 0.95) == needed
    assert bound_share(0, needed, 0.95) <= bound < bound_share(0, needed - 1, 0.95)
    lasting = count_needed_for_future(bound, 0.95)
    assert lasting >= needed
    assert holds_in_future(0, lasting, bound, 0.95)


def test_clones_count_once():
    wrong = np.array([1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0] * 40)
    alone = measure_design_effect(wrong, np.arange(len(wrong)))
    clones = measure_design_effect(np.repeat(wrong, 3), np.repeat(np.arange(len(wrong)), 3))
    assert alone == pytest.approx(1, abs=0.02)
    assert clones == pytest.approx(3 * alone, rel=0.01)


def test_where_nothing_is_wrong_clusters_count_as_whole():
    clusters = np.repeat(np.arange(50), 4)
    assert measure_design_effect(np.zeros(200), clusters) == 4
    assert measure_design_effect(np.zeros(200), np.arange(200)) == 1
