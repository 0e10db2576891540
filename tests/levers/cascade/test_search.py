import math

import numpy as np
import pytest
from cascade_tables import (
    all_policies,
    draw_table,
    judge,
    judged_tables,
    make_table,
    rows_of,
    tables,
)
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import InputError, UsageError
from frugalctl.levers.cascade.front import evaluate, latency_p95_ms
from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.search import prepare, search_front
from frugalctl.levers.cascade.search_blocks import Numbers, policy_blocks
from frugalctl.levers.cascade.search_deep import deep_blocks
from frugalctl.levers.cascade.search_pareto import build_screen, pareto
from frugalctl.levers.cascade.search_sums import bin_scores

NAN = math.nan
LIMITS = st.one_of(st.none(), st.sampled_from((0.125, 0.5, 1.0, 1.75, 2.5)))


def sums_of(table, judges, steps, thresholds, limit_ms):
    """Mean cost, quality and latency, and the late rows, of one policy."""
    rows = rows_of(table, judges, steps, thresholds)
    cost, quality, latency = (sum(row[at] for row in rows) / len(rows) for at in range(3))
    late = 0 if limit_ms is None else sum(not row[2] <= limit_ms for row in rows)
    return cost, quality, latency, late


def enumerate_sums(table, judges, depth, limit_ms):
    """Every policy that the search looks at, with its sums, in the order of its numbers."""
    data, _ = prepare(table, judges, depth, 64, limit_ms)
    numbers = Numbers.of(data)
    blocks = list(policy_blocks(data, numbers))
    if data.depth > 3:
        blocks += deep_blocks(data, numbers, lambda bound: np.ones(bound.cost.shape, dtype=bool))
    found = {}
    for block in blocks:
        sums = (block.cost, block.loss, block.latency, block.unknown, block.late)
        for row, start in enumerate(block.starts.tolist()):
            for cell, entry in enumerate(zip(*(array[row].ravel() for array in sums), strict=True)):
                assert start + cell not in found
                found[start + cell] = entry
    assert sorted(found) == list(range(numbers.total))
    for number, (cost, loss, latency, unknown, late) in sorted(found.items()):
        [(order, thresholds)] = numbers.decode(data, [number])
        models = tuple(data.models[data.model_of(step)] for step in order)
        kinds = tuple("route" if data.routes(step) else "ask" for step in order)
        quality_shift, cost_shift, latency_shift = data.shifts
        means = (
            math.ldexp(cost, -cost_shift) / len(data),
            math.ldexp(-loss, -quality_shift) / len(data),
            NAN if unknown else math.ldexp(latency, -latency_shift) / len(data),
        )
        yield models, kinds, thresholds, (*known(means), late if limit_ms is not None else 0)


def known(numbers):
    return tuple(None if math.isnan(number) else number for number in numbers)


def name_steps(table, steps):
    return tuple(table.models[model] for model, _ in steps), tuple(kind for _, kind in steps)


def plain_front(table, judges, depth, limit_ms):
    """Every policy against every other."""
    found = []
    timed = not np.isnan(table.latency_ms).any()
    for steps, thresholds in all_policies(table, judges, depth):
        *means, late = sums_of(table, judges, steps, thresholds, limit_ms)
        if limit_ms is None or 20 * late <= len(table) - 1:
            found.append((name_steps(table, steps), thresholds, known(means)))

    def small(means):
        return (means[0], -means[1], means[2] if timed else 0.0)

    kept, seen = [], set()
    for names, thresholds, means in found:
        point = small(means)
        others = (small(other) for _, _, other in found)
        beaten = any(
            all(a <= b for a, b in zip(other, point, strict=True)) and other != point
            for other in others
        )
        if not beaten and point not in seen:
            seen.add(point)
            kept.append((point, names, thresholds, means))
    return [entry[1:] for entry in sorted(kept, key=lambda entry: entry[0])]


def members(front):
    return [
        ((policy.models, (*policy.kinds, "ask")), policy.thresholds, known(means))
        for at, policy in enumerate(front.policies)
        for means in [(front.cost_usd[at], front.quality[at], front.latency_ms[at])]
    ]


def check_sums(table, judges, depth, limit_ms):
    found = list(enumerate_sums(table, judges, depth, limit_ms))
    expected = [
        (
            *name_steps(table, steps),
            thresholds,
            known(sums_of(table, judges, steps, thresholds, limit_ms)),
        )
        for steps, thresholds in all_policies(table, judges, depth)
    ]
    assert found == expected


def check_front(table, judges, depth, limit_ms):
    expected = plain_front(table, judges, depth, limit_ms)
    if not expected:
        with pytest.raises(UsageError, match="no policy answers 95 %"):
            search_front(table, judges, depth=depth, latency_limit_ms=limit_ms)
        return
    front = search_front(table, judges, depth=depth, latency_limit_ms=limit_ms)
    assert members(front) == expected
    assert front.rows == len(table)
    assert front.searched == sum(1 for _ in all_policies(table, judges, depth))


@given(tables(), st.integers(1, 4), st.sampled_from((0.0, 0.25)), LIMITS)
def test_sums_of_every_policy_equal_a_loop_over_rows(table, depth, charge, limit_ms):
    check_sums(table, judge(table, score_ms=charge, score_usd=charge / 2), depth, limit_ms)


@given(judged_tables(), st.integers(1, 3), LIMITS)
def test_sums_with_routes_equal_a_loop_over_rows(case, depth, limit_ms):
    check_sums(*case, depth, limit_ms)


@given(tables(), st.integers(1, 4), st.sampled_from((0.0, 0.25)), LIMITS)
def test_front_equals_every_policy_against_every_other(table, depth, score_ms, limit_ms):
    check_front(table, judge(table, score_ms=score_ms), depth, limit_ms)


@given(judged_tables(), st.integers(1, 3), LIMITS)
def test_front_with_routes_equals_every_policy_against_every_other(case, depth, limit_ms):
    check_front(*case, depth, limit_ms)


# so that thousands of policies differ, which small examples seldom do
@pytest.mark.parametrize("limit_ms", [None, 0.875, 1.5, 2.25, 2.75])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sums_and_front_of_four_models(seed, limit_ms):
    table = draw_table(seed)
    judges = judge(table, score_ms=0.25, score_usd=0.125)
    check_sums(table, judges, 4, limit_ms)
    check_front(table, judges, 4, limit_ms)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from((0.0, 3.7)), st.booleans())
def test_front_predicts_what_evaluate_finds(seed, bins, charge, routed):
    draw = np.random.default_rng(seed)
    shape = (60, 3 if routed else 4)
    table = make_table(
        draw.integers(0, 4, shape) / 3,
        draw.lognormal(-8, 2, shape),
        draw.lognormal(6, 1, shape),
        np.where(draw.random(shape) < 0.1, NAN, draw.normal(size=shape)),
    )
    routes = draw.normal(size=shape) if routed else None
    judges = Judges(
        table.confidence,
        routes,
        router="r.npz",
        score_ms=charge,
        score_usd=charge / 1e4,
        route_ms=charge / 2,
    )
    front = search_front(table, judges, bins=bins)
    for at, policy in enumerate(front.policies):
        found = evaluate(table, policy, judges)
        assert found.cost_usd.mean() == pytest.approx(front.cost_usd[at], rel=1e-13)
        assert found.quality.mean() == pytest.approx(front.quality[at], rel=1e-13)
        assert found.latency_ms.mean() == pytest.approx(front.latency_ms[at], rel=1e-13)


@given(tables(timed=True), LIMITS.filter(lambda limit: limit is not None))
def test_latency_limit_holds_for_the_percentile_of_every_member(table, limit_ms):
    try:
        front = search_front(table, latency_limit_ms=limit_ms)
    except UsageError:
        return
    assert all(latency_p95_ms(table, policy) <= limit_ms for policy in front.policies)


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=200))
def test_pareto_equals_pairwise_comparison(points):
    def beats(one, other):
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    rows = np.array([(*point, number) for number, point in enumerate(points)])
    expected = sorted({p for p in points if not any(beats(other, p) for other in points)})
    found = pareto(rows)
    assert [points[at] for at in found.tolist()] == expected
    assert found.tolist() == [points.index(point) for point in expected]


@given(
    st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=0, max_size=60),
    st.lists(st.tuples(*[st.integers(0, 9)] * 3), min_size=1, max_size=60),
)
def test_screen_drops_only_what_the_front_strictly_dominates(front, points):
    screen = build_screen(np.array(front, dtype=np.int64).reshape(-1, 3))
    kept = screen.keeps(*np.array(points, dtype=np.int64).T)
    for point, keep in zip(points, kept.tolist(), strict=True):
        beaten = any(
            other != point and all(a <= b for a, b in zip(other, point, strict=True))
            for other in front
        )
        assert keep or beaten


def test_screen_rounds_a_large_front_without_dropping_it(monkeypatch):
    monkeypatch.setattr("frugalctl.levers.cascade.search_pareto.SCREEN_EDGES", 8)
    draw = np.random.default_rng(3)
    points = np.concatenate([draw.integers(0, 1000, (3000, 3)), np.arange(3000)[:, None]], axis=1)
    front = points[pareto(points)]
    screen = build_screen(front)
    assert screen.keeps(*front[:, :3].T).all()
    worse = front[:, :3] + 400
    assert not screen.keeps(*worse.T).any()


def test_many_merges_keep_the_same_front(monkeypatch):
    draw = np.random.default_rng(5)
    table = make_table(
        draw.integers(0, 2, (300, 5)),
        draw.random((300, 5)),
        draw.random((300, 5)),
        draw.normal(size=(300, 5)),
        models=tuple("vwxyz"),
    )
    once = search_front(table, bins=8)
    monkeypatch.setattr("frugalctl.levers.cascade.search.BUFFER_POINTS", 1)
    monkeypatch.setattr("frugalctl.levers.cascade.search_sums.CHUNK_ROWS", 7)
    often = search_front(table, bins=8)
    assert members(often) == members(once)


@given(st.lists(st.sampled_from((NAN, -1.0, 0.0, 0.5, 2.0, 2.5)), max_size=40), st.integers(1, 6))
def test_bins_count_the_edges_that_a_score_reaches(scores, bins):
    edges, found = bin_scores(np.array(scores, dtype=np.float64), bins)
    assert len(edges) <= bins
    assert set(edges.tolist()) <= {score for score in scores if not math.isnan(score)}
    assert edges.tolist() == sorted(set(edges.tolist()))
    assert found.tolist() == [sum(score >= edge for edge in edges) for score in scores]


def test_names_decide_between_models_that_answer_alike():
    same = [[1.0, 1.0, 1.0]] * 4
    front = search_front(make_table(same, same, same, same, models=("z", "y", "x")))
    assert members(front) == [((("x",), ("ask",)), (), (1.0, 1.0, 1.0))]


def test_scores_that_are_all_null_leave_single_models():
    table = make_table([[0.0, 1.0]] * 3, [[1.0, 2.0]] * 3)
    front = search_front(table)
    assert [policy.models for policy in front.policies] == [("b",), ("d",)]
    assert front.searched == 2
    assert np.isnan(front.latency_ms).all()


def test_incomplete_rows_are_counted_and_left_out():
    table = make_table([[0.0, 1.0], [1.0, NAN]], [[1.0, 2.0], [1.0, 2.0]])
    front = search_front(table)
    assert (front.rows, front.skipped) == (1, 1)
    assert front.quality.tolist() == [0.0, 1.0]


def test_scores_of_the_caller_replace_the_confidence():
    table = make_table([[0, 1], [1, 1]], [[1, 4]] * 2, confidence=[[1, 0], [0, 0]])
    scores = np.array([[0.0, 0.0], [1.0, 0.0]])
    front = search_front(table, Judges(scores))
    at = int(np.argmax(front.quality))
    assert (front.policies[at].models, front.policies[at].thresholds) == (("b", "d"), (1.0,))
    assert front.cost_usd[at] == 3.0


def test_no_complete_row_is_an_input_error():
    with pytest.raises(InputError, match="no request has the quality and the cost of every model"):
        search_front(make_table([[NAN, 1.0]], [[1.0, 1.0]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "a search depth of 0"),
        ({"depth": 5}, "a search depth of 5"),
        ({"bins": 0}, "0 thresholds"),
        ({"latency_limit_ms": 0.0}, "latency limit of 0 ms"),
        ({"latency_limit_ms": NAN}, "latency limit of nan ms"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        search_front(make_table([[1.0]], [[1.0]]), **options)
