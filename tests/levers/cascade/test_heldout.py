import math

import numpy as np
import pytest
from cascade_tables import make_table, tables
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.cascade.baselines import (
    best_single,
    mix,
    mix_at_quality,
    oracle,
    random_mix,
    single_models,
    zero_router,
)
from frugalctl.levers.cascade.front import Evaluation
from frugalctl.levers.cascade.heldout import bootstrap, compare, sum_clusters

NAN = math.nan


def evaluation(cost, quality, latency=None):
    cost, quality = np.array(cost, dtype=float), np.array(quality, dtype=float)
    latency = np.full(len(cost), 100.0) if latency is None else np.array(latency, dtype=float)
    return Evaluation(cost, quality, latency, np.ones(len(cost), int), ~np.isnan(cost))


def test_a_comparison_over_the_rows_of_which_both_are_known():
    policy = evaluation([1, 1, NAN, 3], [1, 0, NAN, 1], [10, 20, NAN, 30])
    reference = evaluation([4, 4, 4, 4], [1, 1, 1, 1], [50, 50, 50, 50])
    found = compare(policy, reference, np.arange(4))
    assert (found.rows, found.clusters) == (3, 3)
    assert (found.cost_usd, found.reference_cost_usd) == (5, 12)
    assert found.saving == pytest.approx(7 / 12)
    assert found.delta_quality == pytest.approx(-1 / 3)
    assert found.same == pytest.approx(2 / 3)
    assert (found.latency_ms, found.reference_latency_ms) == (20, 50)
    low, high = found.delta_quality_ci95
    assert low <= found.delta_quality <= high
    assert compare(evaluation([NAN], [NAN]), evaluation([1], [1]), np.zeros(1, int)) is None


def test_rows_of_one_session_widen_the_interval():
    draw = np.random.default_rng(0)
    lost = np.repeat(draw.integers(0, 2, 40), 10)
    policy, reference = evaluation(np.ones(400), 1 - lost), evaluation(np.ones(400), np.ones(400))
    widths = []
    for clusters in (np.arange(400), np.arange(400) // 10):
        low, high = compare(policy, reference, clusters).delta_quality_ci95
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    draw = np.random.default_rng(2)
    covered = 0
    for seed in range(200):
        values = draw.exponential(size=80)
        sums = sum_clusters([values, np.ones(80)], np.arange(80))
        [(low, high)] = bootstrap(sums, [lambda one: one[0] / one[1]], seed)
        covered += low <= 1.0 <= high
    assert 0.87 <= covered / 200 <= 0.99


def test_more_clusters_than_are_drawn_are_added_up(monkeypatch):
    monkeypatch.setattr("frugalctl.levers.cascade.heldout.MAX_CLUSTERS", 7)
    sums = sum_clusters([np.arange(100.0)], np.arange(100))
    assert sums.shape == (1, 7)
    assert sums.sum() == 4950


@given(tables(timed=True))
def test_baselines_equal_loops_over_rows(table):
    rows, names = range(len(table)), table.models
    singles = single_models(table)
    for at, one in enumerate(singles):
        assert one.models == (names[at],)
        assert one.cost_usd == pytest.approx(sum(table.cost_usd[:, at]) / len(table))
    best = max(one.quality for one in singles)
    assert next(one for one in singles if one.models == (best_single(table),)).quality == best
    chosen = [
        min((-table.quality[row, at], table.cost_usd[row, at]) for at in range(len(names)))
        for row in rows
    ]
    found = oracle(table)
    assert found.quality == pytest.approx(-sum(one[0] for one in chosen) / len(table))
    assert found.cost_usd == pytest.approx(sum(one[1] for one in chosen) / len(table))
    corners = zero_router(table)
    assert [one.quality for one in corners] == sorted(one.quality for one in corners)
    for one in singles:
        mixed = mix_at_quality(corners, one.quality)
        assert mixed is not None and mixed.cost_usd <= one.cost_usd + 1e-9
    assert random_mix(table).quality <= best + 1e-12


def test_a_mix_is_between_its_models():
    table = make_table([[0, 1]] * 2, [[1, 5]] * 2, [[10, 50]] * 2)
    low, high = single_models(table)
    between = mix(low, high, 0.25)
    assert (between.cost_usd, between.quality, between.latency_ms) == (2.0, 0.25, 20.0)
    assert mix_at_quality([low, high], 2.0) is None
    assert mix_at_quality([low, high], -1.0) == low


@given(st.integers(0, 3))
def test_equal_seeds_give_equal_intervals(seed):
    sums = np.arange(20.0).reshape(2, 10)
    assert bootstrap(sums, [lambda x: x[0]], seed) == bootstrap(sums, [lambda x: x[0]], seed)
