import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalctl.report import distribution
from frugalctl.report.distribution import RELATIVE_ERROR, Distribution, Mean

numbers = st.lists(st.floats(1e-3, 1e10), min_size=1, max_size=60)


def collect(values, size):
    found = Distribution()
    for at in range(0, len(values), size):
        found.add(np.array(values[at : at + size], dtype=np.float64))
    return found


@given(numbers, st.integers(1, 20), st.floats(0, 100))
def test_exact_percentiles_are_numpys(values, size, share):
    (found,) = collect(values, size).percentiles(share)
    assert found == pytest.approx(float(np.percentile(values, share)), rel=1e-12)


@settings(deadline=None, max_examples=60)
@given(numbers, st.integers(1, 20), st.floats(0, 100))
def test_the_histogram_is_within_the_error_of_a_value_at_the_rank(values, size, share):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distribution, "EXACT_VALUES", 0)
        (found,) = collect(values, size).percentiles(share)
    rank = share / 100 * (len(values) - 1)
    ordered = sorted(values)
    near = {ordered[math.floor(rank)], ordered[math.ceil(rank)]}
    assert any(abs(found - value) <= 1.001 * RELATIVE_ERROR * value for value in near)


def test_beyond_the_range_the_nearest_end_stands(monkeypatch):
    monkeypatch.setattr(distribution, "EXACT_VALUES", 0)
    low, high = collect([0.0, 1e12], 2).percentiles(0, 100)
    assert low == pytest.approx(1e-3, rel=1e-3)
    assert high == pytest.approx(1e10, rel=1e-3)


def test_nothing_is_unknown():
    assert Distribution().percentiles(50, 95) == [None, None]
    assert Mean().value() is None


@given(st.lists(st.floats(-1e12, 1e12), min_size=1), st.integers(1, 9))
def test_a_mean_is_exact_to_rounding(values, size):
    found = Mean()
    for at in range(0, len(values), size):
        found.add(np.array(values[at : at + size]))
    scale = max(map(abs, values))
    assert found.value() == pytest.approx(statistics.fmean(values), rel=1e-12, abs=1e-14 * scale)
    assert found.count == len(values)
