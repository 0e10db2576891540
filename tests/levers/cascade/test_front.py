import math
from dataclasses import replace

import numpy as np
import pytest
from cascade_tables import all_policies, judged_tables, make_table, rows_of, tables
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.levers.cascade import CascadePolicy
from frugalctl.levers.cascade.front import (
    choose_by_budget,
    choose_by_willingness,
    choose_cheapest_within,
    evaluate,
    hull,
    merge_fronts,
    mix_by_budget,
)
from frugalctl.levers.cascade.search import search_front

NAN = math.nan
points = st.lists(
    st.tuples(st.integers(0, 12).map(float), st.integers(0, 12).map(float)), min_size=1, max_size=12
)


@given(judged_tables(), st.data())
def test_evaluate_equals_a_loop_over_rows(case, data):
    table, judges = case
    steps, thresholds = data.draw(st.sampled_from(list(all_policies(table, judges, 3))))
    asks, routes = (any(kind == what for _, kind in steps[:-1]) for what in ("ask", "route"))
    policy = CascadePolicy(
        tuple(table.models[model] for model, _ in steps),
        thresholds,
        router="r.npz" if routes else None,
        steps=tuple(kind for _, kind in steps[:-1]),
        score_ms=judges.score_ms if asks else 0.0,
        score_usd=judges.score_usd if asks else 0.0,
        route_ms=judges.route_ms if routes else 0.0,
    )
    found = evaluate(table, policy, judges)
    expected = rows_of(table, judges, steps, thresholds)
    columns = np.stack([found.cost_usd, found.quality, found.latency_ms], axis=1)
    np.testing.assert_array_equal(columns, np.array(expected))
    assert found.covered.all()


def test_a_missing_outcome_is_unknown_not_free():
    present = np.array([[True, False], [True, True], [True, False]])
    table = make_table(
        [[1, NAN], [0, 1], [0, NAN]],
        [[1, NAN], [1, 4], [1, NAN]],
        [[10, NAN], [10, 20], [10, NAN]],
        [[0.9, NAN], [0.1, NAN], [0.1, NAN]],
        present=present,
    )
    found = evaluate(table, CascadePolicy(("b", "d"), (0.5,)))
    assert found.covered.tolist() == [True, True, False]
    assert found.calls.tolist() == [1, 2, 2]
    np.testing.assert_array_equal(found.cost_usd, [1, 5, NAN])
    np.testing.assert_array_equal(found.quality, [1, 1, NAN])
    np.testing.assert_array_equal(found.latency_ms, [10, 30, NAN])


def test_a_model_that_the_table_lacks_is_named():
    with pytest.raises(UsageError, match="no outcome of model 'x'"):
        evaluate(make_table([[1.0]], [[1.0]]), CascadePolicy(("x",), ()))


@given(tables(timed=True), st.integers(0, 16), st.integers(0, 8), st.integers(1, 30))
def test_choices_equal_brute_force_on_the_front(table, budget, quality, wtp):
    front = search_front(table)
    at = range(len(front))
    cost, reached = front.cost_usd, front.quality

    allowed = [i for i in at if cost[i] <= budget / 8]
    if allowed:
        found = choose_by_budget(front, budget / 8)
        assert found in allowed
        assert reached[found] == max(reached[i] for i in allowed)
    else:
        with pytest.raises(UsageError, match="no policy costs at most"):
            choose_by_budget(front, budget / 8)

    enough = [i for i in at if reached[i] >= quality / 8]
    if enough:
        found = choose_cheapest_within(front, quality / 8)
        assert found in enough
        assert cost[found] == min(cost[i] for i in enough)
    else:
        with pytest.raises(UsageError, match="no policy reaches a quality"):
            choose_cheapest_within(front, quality / 8)

    found = choose_by_willingness(front, wtp / 8)
    value = reached - cost / (wtp / 8)
    assert value[found] == value.max()


@given(judged_tables(most_rows=5), st.booleans())
def test_merged_fronts_equal_one_search_over_all(case, halved):
    table, judges = case
    asked = search_front(table, replace(judges, routes=None, router=None))
    both = search_front(table, judges)
    merged = merge_fronts([both, asked] if halved else [asked, both])
    for name in ("cost_usd", "quality", "latency_ms"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(both, name))
    assert merged.searched == asked.searched + both.searched


def test_a_budget_met_exactly_does_not_fail_by_rounding():
    table = make_table([[0.1, 0.3]] * 3, [[0.1, 0.3]] * 3)
    front = search_front(table)
    assert choose_by_budget(front, 0.1) == 0
    assert front.quality[choose_cheapest_within(front, 0.1 + 0.2)] == pytest.approx(0.3)


def test_a_willingness_to_pay_nothing_is_refused():
    front = search_front(make_table([[1.0]], [[1.0]]))
    for nothing in (0.0, -1.0, NAN):
        with pytest.raises(UsageError, match="willingness to pay"):
            choose_by_willingness(front, nothing)


def best_mix(cloud, budget):
    """The most quality of any mix of two points at a mean cost of at most the budget."""
    found = [quality for cost, quality in cloud if cost <= budget]
    for cost, quality in cloud:
        for dearer, better in cloud:
            if cost <= budget < dearer:
                found.append(quality + (better - quality) * (budget - cost) / (dearer - cost))
    return max(found, default=None)


@given(points, st.integers(0, 24))
def test_mix_equals_the_best_of_all_pairs(cloud, half):
    cost, quality = (np.array(column) for column in zip(*cloud, strict=True))
    expected = best_mix(cloud, half / 2)
    if expected is None:
        with pytest.raises(UsageError, match="no policy costs at most"):
            mix_by_budget(cost, quality, half / 2)
        return
    mix = mix_by_budget(cost, quality, half / 2)
    shares = ((mix.low, 1 - mix.share), (mix.high, mix.share))
    assert sum(quality[at] * share for at, share in shares) == pytest.approx(expected)
    assert sum(cost[at] * share for at, share in shares) <= half / 2 + 1e-12


@given(points)
def test_hull_is_the_least_set_of_corners(cloud):
    cost, quality = (np.array(column) for column in zip(*cloud, strict=True))
    corners = hull(cost, quality).tolist()
    expected = []
    for at, (one_cost, one_quality) in enumerate(cloud):
        others = [point for point in cloud if point != (one_cost, one_quality)]
        reached = best_mix(others, one_cost)
        if (reached is None or reached < one_quality) and cloud.index(cloud[at]) == at:
            expected.append(at)
    assert corners == sorted(expected, key=lambda at: cost[at])
