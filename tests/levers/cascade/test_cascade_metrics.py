import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.cascade.metrics import (
    average_quality,
    average_recovered_gap,
    benefit_lift,
    call_share_for,
    recovered_gap,
    saving_at_parity,
)

tenths = st.integers(0, 10).map(lambda one: one / 10)
points = st.lists(st.tuples(tenths, tenths), min_size=1, max_size=8)


def plain_curve(pairs, x):
    """The best of each share, joined by lines, with the two models alone at the ends."""
    best = {}
    for share, gap in [(0.0, 0.0), *pairs, (1.0, 1.0)]:
        best[share] = max(best.get(share, -math.inf), gap)
    known = sorted(best.items())
    for (a, low), (b, high) in zip(known, known[1:], strict=False):
        if a <= x <= b:
            return low + (high - low) * (x - a) / (b - a)
    raise AssertionError(x)


@given(points, st.sampled_from((0.2, 0.5)), st.sampled_from((0.7, 0.9)))
def test_apgr_equals_a_fine_sum(pairs, weak, strong):
    share, quality = (np.array(column) for column in zip(*pairs, strict=True))
    gaps = [(x, (y - weak) / (strong - weak)) for x, y in pairs]
    steps = 2000
    middle = [(at + 0.5) / steps for at in range(steps)]
    expected = sum(plain_curve(gaps, x) for x in middle) / steps
    assert average_recovered_gap(share, quality, weak, strong) == pytest.approx(expected, abs=1e-3)


@given(points, st.sampled_from((0.5, 0.8)))
def test_cpt_is_the_first_share_that_recovers_the_gap(pairs, gap):
    share, quality = (np.array(column) for column in zip(*pairs, strict=True))
    found = call_share_for(share, quality, 0.0, 1.0, gap)
    assert plain_curve(pairs, found) >= gap - 1e-9
    for x in np.linspace(0, max(found - 1e-6, 0), 50).tolist():
        assert plain_curve(pairs, x) < gap + 1e-6 or x >= found - 1e-5


def test_random_routing_recovers_half():
    share = np.linspace(0, 1, 11)
    assert average_recovered_gap(share, share, 0.0, 1.0) == pytest.approx(0.5)
    assert call_share_for(share, share, 0.0, 1.0, 0.8) == pytest.approx(0.8)
    assert recovered_gap(np.array([0.6]), 0.5, 0.7).tolist() == pytest.approx([0.5])


def test_models_without_a_gap_have_no_measure():
    share = np.array([0.5])
    assert math.isnan(average_recovered_gap(share, share, 0.5, 0.5))
    assert math.isnan(call_share_for(share, share, 0.5, 0.5, 0.5))


def plain_height(pairs, x):
    """The most quality of a random mix of two points, or fewer, that costs at most x."""
    heights = [y for cost, y in pairs if cost <= x]
    for a, low in pairs:
        for b, high in pairs:
            if a < x < b:
                heights.append(low + (high - low) * (x - a) / (b - a))
    return max(heights, default=0.0)


@given(points, st.sampled_from((0.0, 0.2)), st.sampled_from((0.8, 1.0)))
def test_aiq_equals_a_fine_sum_over_all_mixes(pairs, low, high):
    cost, quality = (np.array(column) for column in zip(*pairs, strict=True))
    steps = 1000
    middle = [low + (high - low) * (at + 0.5) / steps for at in range(steps)]
    expected = sum(plain_height(pairs, x) for x in middle) / steps
    assert average_quality(cost, quality, low, high) == pytest.approx(expected, abs=2e-3)


def test_aiq_without_a_range_is_unknown():
    assert math.isnan(average_quality(np.array([1.0]), np.array([0.5]), 1.0, 1.0))


def test_ibc_lift_is_zero_on_the_line_between_both_models():
    weak, strong = (1.0, 0.5), (3.0, 0.9)
    assert benefit_lift(2.0, 0.7, weak, strong) == pytest.approx(0.0)
    assert benefit_lift(2.0, 0.9, weak, strong) == pytest.approx(1.0)
    assert math.isnan(benefit_lift(1.0, 0.9, weak, strong))
    assert math.isnan(benefit_lift(2.0, 0.9, weak, (3.0, 0.5)))


@given(points, tenths)
def test_saving_at_parity_is_the_cheapest_as_good(pairs, best):
    cost, quality = (np.array(column) for column in zip(*pairs, strict=True))
    enough = [x for x, y in pairs if y >= best]
    found = saving_at_parity(cost, quality, 2.0, best)
    if enough:
        assert found == pytest.approx(1 - min(enough) / 2)
    else:
        assert math.isnan(found)
