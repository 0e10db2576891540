from dataclasses import replace

import numpy as np
import pytest
from cascade_tables import make_table

from frugalctl.levers.cascade import CascadePolicy
from frugalctl.levers.cascade.certificate import Part, certify, order_candidates
from frugalctl.levers.cascade.judges import judge_by_log
from frugalctl.levers.cascade.search import search_front


def generate(rows, seed, gap=0.0):
    """A cheap model that is right less often, and knows when it is."""
    draw = np.random.default_rng(seed)
    hard = draw.random(rows) < 0.3
    cheap = np.where(hard, draw.random(rows) < 0.4, draw.random(rows) < 0.97)
    dear = np.where(hard, draw.random(rows) < 0.7 + gap, draw.random(rows) < 0.97)
    confidence = np.where(hard, -1.0, 1.0) + draw.normal(0, 0.4, rows)
    return make_table(
        np.stack([cheap, dear], axis=1),
        np.tile([1.0, 10.0], (rows, 1)),
        np.full((rows, 2), 100.0),
        np.stack([confidence, confidence], axis=1),
        models=("cheap", "dear"),
    )


def certify_on(search, test, max_loss=0.05, confidence=0.9):
    candidates = search_front(search).policies
    parts = (Part(search, judge_by_log(search)), Part(test, judge_by_log(test)))
    return certify(candidates, *parts, "dear", max_loss, confidence)


def test_what_holds_is_certified_and_cheaper():
    found = certify_on(generate(400, 0), generate(900, 1))
    assert found.granted
    assert found.policy.models == ("cheap", "dear")
    assert found.p_value <= 0.1
    assert found.observed_loss < 0.05
    assert (found.rows_search, found.rows_test, found.rows_needed) == (400, 900, None)


def test_a_thin_log_keeps_the_best_model_and_says_what_it_needs():
    found = certify_on(generate(60, 0), generate(60, 1), max_loss=0.02)
    assert not found.granted
    assert found.policy == CascadePolicy(("dear",), ())
    assert found.p_value > 0.1
    # 0.98^n <= 0.1 from n = 114 on, and as many again were searched on
    assert found.rows_needed == 228
    assert "at least 228 rows are needed" in found.reason


def test_without_a_candidate_nothing_is_tested():
    table = make_table([[0, 1]] * 30, [[1, 2]] * 30, models=("cheap", "dear"))
    part = Part(table, judge_by_log(table))
    found = certify(search_front(table).policies, part, part, "dear", 0.02, 0.9)
    assert (found.granted, found.tested) == (False, 0)
    assert "no policy searched is cheaper" in found.reason


def test_certificates_are_broken_no_more_often_than_allowed():
    """The cheap model's true loss is 0.09; policies at the bound of 0.04 must seldom pass."""
    truth = generate(200_000, 99)
    broken = granted = 0
    for seed in range(60):
        found = certify_on(generate(150, 2 * seed), generate(350, 2 * seed + 1), max_loss=0.04)
        granted += found.granted
        if found.granted:
            from frugalctl.levers.cascade.front import evaluate

            lost = truth.quality[:, 1].mean() - evaluate(truth, found.policy).quality.mean()
            broken += lost > 0.04
    assert granted > 20
    assert broken / 60 <= 0.1 + 3 * np.sqrt(0.09 / 60)


def test_the_sequence_goes_from_safe_to_cheap_without_what_is_beaten():
    table = generate(500, 3)
    part = Part(table, judge_by_log(table))
    candidates = search_front(table).policies
    sequence = order_candidates(candidates, part, 500, "dear", 0.05)
    from frugalctl.levers.cascade.front import evaluate

    costs = [evaluate(table, policy).cost_usd.mean() for policy in sequence]
    assert len(costs) > 1
    assert costs == sorted(costs, reverse=True)
    assert max(costs) < 10.0


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_bound_of_zero_and_a_wide_one_work(loss):
    found = certify_on(generate(300, 5), generate(600, 6), max_loss=loss)
    assert found.granted == (loss > 0.1)
    if found.granted:
        assert found.policy.models == ("cheap",)


def test_sessions_make_a_certificate_harder():
    search, test = generate(400, 0), generate(900, 1)
    together = replace(test, clusters=np.arange(900) // 30)
    assert certify_on(search, test).p_value < certify_on(search, together).p_value
