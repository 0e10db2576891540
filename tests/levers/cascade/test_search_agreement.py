import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from cascade_tables import make_table, tables
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.levers.cascade import CascadePolicy
from frugalctl.levers.cascade.front import evaluate
from frugalctl.levers.cascade.judges import Judges, score_agreement
from frugalctl.levers.cascade.search_agreement import search_agreement

NAN = math.nan
CODES = st.sampled_from((-1, 0, 1, 2))


@st.composite
def agreeing_tables(draw):
    table = draw(tables(most_models=4, timed=True))
    cells = st.lists(CODES, min_size=len(table.models), max_size=len(table.models))
    codes = np.array(draw(st.lists(cells, min_size=len(table), max_size=len(table))))
    return table, Judges(table.confidence, answers=codes, score_ms=draw(st.sampled_from((0, 0.25))))


def follow_three(table, judges, order, row):
    """Ask two; if they agree, that is the answer, else the third's."""
    a, b, c = order
    codes = judges.answers[row]
    called = (a, b) if codes[a] == codes[b] >= 0 else (a, b, c)
    scored = min(len(called), 2) * judges.score_ms
    return (
        sum(table.cost_usd[row, model] for model in called),
        table.quality[row, called[-1]],
        sum(table.latency_ms[row, model] for model in called) + scored,
    )


@given(agreeing_tables())
def test_the_front_equals_a_loop_over_rows_and_policies(case):
    table, judges = case
    found = search_agreement(table, judges)
    orders = permutations(range(len(table.models)), 3)
    rows = range(len(table))
    means = [
        tuple(
            sum(row) / len(table)
            for row in zip(*(follow_three(table, judges, order, at) for at in rows), strict=True)
        )
        for order in orders
    ]
    small = {(cost, -quality, latency) for cost, quality, latency in means}
    best = sorted(
        one
        for one in small
        if not any(
            other != one and all(a <= b for a, b in zip(other, one, strict=True)) for other in small
        )
    )
    if not best:
        assert found is None
        return
    columns = zip(found.cost_usd, -found.quality, found.latency_ms, strict=True)
    assert list(columns) == best
    for at, policy in enumerate(found.policies):
        assert evaluate(table, policy, judges).cost_usd.mean() == found.cost_usd[at]


def test_a_limit_on_latency_drops_what_is_late():
    table = make_table([[0, 0, 1]] * 3, [[1, 1, 4]] * 3, [[10, 10, 20]] * 3)
    codes = np.array([[0, 0, 1], [0, 1, 2], [-1, -1, 0]])
    judges = Judges(table.confidence, answers=codes)
    assert len(search_agreement(table, judges)) > 0
    assert search_agreement(table, judges, latency_limit_ms=20) is None
    assert search_agreement(table, judges, latency_limit_ms=40) is not None


def test_four_models_may_stop_at_half_agreement():
    table = make_table([[0, 1, 1, 0]] * 2, [[1, 2, 4, 100]] * 2, models=tuple("abcd"))
    judges = Judges(table.confidence, answers=np.array([[0, 1, 1, 2], [0, 1, 1, 2]]))
    front = search_agreement(table, judges, depth=4)
    at = int(np.argmax(front.quality))
    assert (front.cost_usd[at], front.policies[at].models[:2]) == (6.0, ("b", "c"))
    half, whole = (CascadePolicy(tuple("abcd"), (1.0, 1.0, t), "agreement") for t in (0.5, 1.0))
    assert evaluate(table, half, judges).cost_usd.tolist() == [7.0, 7.0]
    assert evaluate(table, whole, judges).cost_usd.tolist() == [107.0, 107.0]


@given(st.lists(st.tuples(CODES, CODES, CODES, CODES), min_size=1, max_size=6), st.data())
def test_agreement_equals_a_loop_over_rows(rows, data):
    asked = data.draw(st.tuples(*[st.booleans()] * 3))
    found = score_agreement([np.array(column) for column in zip(*rows, strict=True)], asked)
    for at, row in enumerate(rows):
        for step in range(3):
            earlier = [row[other] for other in range(step) if asked[other]]
            expected = NAN
            if asked[step] and earlier and row[step] >= 0:
                expected = sum(other == row[step] for other in earlier) / len(earlier)
            np.testing.assert_equal(found[step][at], expected)


def test_judges_that_lack_what_a_policy_needs_are_named():
    table = make_table([[1, 1, 1]], [[1, 1, 1]])
    agreement = CascadePolicy(("a", "b", "d"), (1.0, 1.0), "agreement")
    with pytest.raises(UsageError, match="text of the answers"):
        evaluate(table, agreement)
    routed = CascadePolicy(("a", "b"), (1.0,), router="r.npz", steps=("route",))
    with pytest.raises(UsageError, match="no router"):
        evaluate(table, routed, replace(Judges(table.confidence), score_ms=1.0))
