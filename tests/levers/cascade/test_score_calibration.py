import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.cascade.calibrate import (
    auroc,
    brier_score,
    calibrate_isotonic,
    calibration_error,
)

cells = st.lists(
    st.tuples(st.sampled_from((-1.0, 0.0, 0.5, 2.0)), st.sampled_from((0.0, 0.25, 1.0))),
    min_size=1,
    max_size=20,
)


@given(cells)
def test_auroc_equals_a_loop_over_pairs(rows):
    won = pairs = 0.0
    for score, right in rows:
        for other, wrong in rows:
            weight = right * (1 - wrong)
            pairs += weight
            won += weight * (1.0 if score > other else 0.5 if score == other else 0.0)
    score, right = (np.array(column) for column in zip(*rows, strict=True))
    found = auroc(score, right)
    if pairs:
        assert found == pytest.approx(won / pairs)
    else:
        assert math.isnan(found)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=30))
def test_calibration_error_equals_a_loop_over_bins(rows):
    total = 0.0
    for one in range(15):
        mine = [(c / 20, r) for c, r in rows if min(int(c / 20 * 15), 14) == one]
        if mine:
            gap = sum(c for c, _ in mine) / len(mine) - sum(r for _, r in mine) / len(mine)
            total += abs(gap) * len(mine) / len(rows)
    chance = np.array([c / 20 for c, _ in rows])
    right = np.array([float(r) for _, r in rows])
    assert calibration_error(chance, right) == pytest.approx(total)
    plain = sum((c / 20 - r) ** 2 for c, r in rows) / len(rows)
    assert brier_score(chance, right) == pytest.approx(plain)


def test_isotonic_calibration_rises_and_does_not_change_the_order():
    draw = np.random.default_rng(0)
    score = draw.normal(size=800)
    right = (draw.random(800) < 1 / (1 + np.exp(-2 * score))).astype(float)
    model = calibrate_isotonic(score, right)
    grid = np.linspace(-4, 4, 50)
    assert (np.diff(model.predict(grid)) >= 0).all()
    assert calibration_error(model.predict(score), right) < 0.05
