import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multinomial

from frugalctl.levers.cascade.loss_test import (
    betting_p_value,
    exact_p_value,
    lost_p_value,
    needed_rows,
    score_statistic,
)


def plain_statistic(lost, gained, rows, bound):
    """Tango's statistic, its nuisance parameter by trying many."""
    alike = rows - lost - gained
    best, most = 0.0, -math.inf
    for x in np.linspace(1e-9, (1 - bound) / 2 - 1e-9, 20_001).tolist():
        rest = 1 - 2 * x - bound
        likely = gained * math.log(x)
        likely += lost * math.log(x + bound) if lost else 0.0
        likely += alike * math.log(max(rest, 1e-300)) if alike else 0.0
        if likely > most:
            best, most = x, likely
    variance = rows * (2 * best + bound - bound**2)
    return (lost - gained - rows * bound) / math.sqrt(variance)


@given(st.integers(1, 30), st.data(), st.sampled_from((0.02, 0.1, 0.3)))
def test_the_statistic_equals_a_search_for_the_likeliest_nuisance(rows, data, bound):
    lost = data.draw(st.integers(0, rows))
    gained = data.draw(st.integers(0, rows - lost))
    found = float(score_statistic(np.array(lost), np.array(gained), rows, bound))
    assert found == pytest.approx(plain_statistic(lost, gained, rows, bound), rel=2e-3, abs=2e-3)


@given(st.integers(2, 9), st.data(), st.sampled_from((0.05, 0.2)))
def test_the_exact_p_value_equals_a_sum_over_all_outcomes(rows, data, bound):
    lost = data.draw(st.integers(0, rows))
    gained = data.draw(st.integers(0, rows - lost))

    def statistic(b, c):
        return float(score_statistic(np.array(b), np.array(c), rows, bound))

    seen = statistic(lost, gained)
    if seen > 0:
        assert exact_p_value(lost, gained, rows, bound) == 1.0
        return
    largest = 0.0
    for gain in np.linspace(0, (1 - bound) / 2, 200).tolist():
        chances = (gain + bound, gain, max(1 - 2 * gain - bound, 0.0))
        largest = max(
            largest,
            sum(
                multinomial.pmf((b, c, rows - b - c), rows, chances)
                for b, c in product(range(rows + 1), repeat=2)
                if b + c <= rows and statistic(b, c) <= seen + 1e-12
            ),
        )
    assert exact_p_value(lost, gained, rows, bound) == pytest.approx(min(largest, 1.0), rel=1e-6)


@pytest.mark.parametrize(("rows", "bound", "level"), [(40, 0.05, 0.1), (60, 0.02, 0.05)])
def test_the_exact_test_errs_no_more_often_than_its_level(rows, bound, level):
    """At the boundary of the hypothesis, for nuisance parameters that no grid point hits."""
    outcomes = [(b, c) for b in range(rows + 1) for c in range(rows + 1 - b)]
    rejected = [one for one in outcomes if exact_p_value(*one, rows, bound) <= level]
    assert rejected
    for gain in (0.0013, 0.0177, 0.0631, 0.1402, 0.333):
        chances = (gain + bound, gain, 1 - 2 * gain - bound)
        error = sum(multinomial.pmf((b, c, rows - b - c), rows, chances) for b, c in rejected)
        assert error <= level + 2e-3


def test_betting_errs_no_more_often_than_its_level():
    draw = np.random.default_rng(0)
    rejected = 0
    for _ in range(2000):
        loss = draw.choice([1.0, -1.0, 0.0, 0.25], size=120, p=[0.06, 0.03, 0.85, 0.06])
        rejected += betting_p_value(loss - 0.045, 1 - 0.045) <= 0.1
    assert rejected / 2000 <= 0.1 + 3 * math.sqrt(0.09 / 2000)


def test_betting_finds_what_is_clearly_within_the_bound():
    draw = np.random.default_rng(1)
    loss = draw.choice([1.0, -1.0, 0.0], size=2000, p=[0.01, 0.02, 0.97])
    assert betting_p_value(loss - 0.03, 0.97) < 1e-3
    assert betting_p_value(np.full(50, 0.5), 0.97) == 1.0


def plain_bets(excess, most):
    """The gambler's capital, draw by draw."""
    capital, richest, total, squares = 1.0, 1.0, 0.0, 0.0
    for count, one in enumerate(excess, 1):
        mean = total / (count - 1) if count > 1 else 0.0
        variance = (0.25 + squares) / count
        edge = max(-mean, 0.0)
        bet = min(edge / (variance + edge**2), 0.5 / most)
        capital *= 1 - bet * one
        richest = max(richest, capital)
        total, squares = total + one, squares + one**2
    return min(1 / richest, 1.0)


@given(st.lists(st.sampled_from((-1.0, -0.5, 0.0, 0.5, 0.95)), min_size=1, max_size=30))
def test_betting_equals_a_loop_over_draws(excess):
    found = betting_p_value(np.array(excess), 0.95)
    assert found == pytest.approx(plain_bets(excess, 0.95), rel=1e-9)


def test_sessions_and_fractions_are_bet_on_and_single_answers_tested_exactly():
    loss = np.array([0.0] * 90 + [1.0] * 2 + [-1.0] * 3)
    alone = np.arange(len(loss))
    assert lost_p_value(loss, alone, 0.05) == exact_p_value(2, 3, 95, 0.05)
    together = alone // 2
    assert lost_p_value(loss, together, 0.05) > lost_p_value(loss, alone, 0.05)
    # sessions of one request, in halves of quality: betting, too
    assert lost_p_value(loss / 2, alone, 0.05) != lost_p_value(loss, alone, 0.05)


def test_rows_needed_grow_with_what_is_missing():
    loss = np.zeros(300)
    loss[:6] = 1.0
    alone = np.arange(300)
    assert needed_rows(0.5, loss, alone, 0.02, 0.1) is None
    assert needed_rows(0.5, np.ones(20), alone[:20], 0.02, 0.1) == 114
    near, far = needed_rows(0.5, loss, alone, 0.021, 0.1), needed_rows(0.5, loss, alone, 0.03, 0.1)
    # (1.2816 * sqrt(0.02 * 0.98) / 0.01)^2
    assert far == 322 and near > 90 * far
    assert needed_rows(0.5, loss, alone // 6, 0.03, 0.1) > 5 * far


def test_rows_needed_where_no_loss_was_seen():
    # 0.99^n <= 0.05 from n = 299 on
    assert needed_rows(0.5, np.zeros(50), np.arange(50), 0.01, 0.05) == 299
    assert needed_rows(0.5, np.zeros(400), np.arange(400), 0.01, 0.05) == 401


def test_as_many_rows_as_needed_are_certified_about_half_of_the_time():
    draw = np.random.default_rng(0)
    needed = needed_rows(0.5, np.repeat([1.0, 0.0], [5, 495]), np.arange(500), 0.02, 0.1)
    passed = [
        lost_p_value((draw.random(needed) < 0.01).astype(float), np.arange(needed), 0.02) <= 0.1
        for _ in range(200)
    ]
    assert 0.3 < np.mean(passed) < 0.9


def test_rows_needed_without_any_loss_allowed():
    gained = -np.repeat([1.0, 0.0], [10, 90])
    assert needed_rows(0.5, gained, np.arange(100), 0.0, 0.05) == 101
    assert needed_rows(0.5, np.zeros(100), np.arange(100), 0.0, 0.05) is None


def test_rows_needed_where_the_test_says_less_than_the_variance():
    loss = np.repeat([1.0, 0.0], [2, 198])
    by_variance = needed_rows(0.5, loss, np.arange(200), 0.03, 0.05)
    by_test = needed_rows(0.12, loss, np.arange(200), 0.03, 0.05)
    # 200 * (1.6449 / 1.1750)^2
    assert by_variance == 201 and by_test == 392
