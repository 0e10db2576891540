"""Which exemplars: the greedy choices against slow plain ones, their bounds and their budgets."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import BadLine, InputError, UsageError
from frugalctl.levers.compress.exemplar_choice import (
    Space,
    choose_for_all,
    choose_for_query,
    make_space,
    measure_alikeness,
    measure_coverage,
    measure_value,
    take_queries,
)
from frugalctl.levers.compress.exemplars import (
    DEFAULT_TEMPLATE,
    check_template,
    find_contradictions,
    make_measure,
    read_pool,
    read_queries,
    write_exemplars,
)
from frugalctl.tokens import count_text

# Eighths are exact, so that ties are ties however a sum is made.
EIGHTHS = st.integers(0, 8).map(lambda one: one / 8)


@st.composite
def spaces(draw, most=7):
    exemplars, queries = draw(st.integers(1, most)), draw(st.integers(1, 6))
    table = [[draw(EIGHTHS) for _ in range(queries)] for _ in range(exemplars)]
    allowed = [[draw(st.integers(0, 9)) > 0 for _ in range(queries)] for _ in range(exemplars)]
    likeness = np.where(allowed, table, 0).astype(np.float32)
    vectors = np.array(
        [[draw(st.integers(-4, 4)) / 4 for _ in range(3)] for _ in range(exemplars)], np.float32
    )
    weights = np.array([draw(st.integers(1, 3)) for _ in range(queries)], np.float64)
    return Space(likeness, np.array(allowed), vectors, weights)


def slow_value(space, chosen):
    return sum(
        weight * max((float(space.likeness[at, query]) for at in chosen), default=0.0)
        for query, weight in enumerate(space.weights)
    )


def slow_set(space, most, tokens, budget, rated):
    chosen = []
    left = list(range(len(space.likeness)))
    while left and len(chosen) < most:
        gains = {at: slow_value(space, [*chosen, at]) - slow_value(space, chosen) for at in left}
        best = max(left, key=lambda at: (gains[at] / (tokens[at] if rated else 1), -at))
        if gains[best] <= 0:
            break
        left.remove(best)
        if sum(tokens[at] for at in [*chosen, best]) <= budget:
            chosen.append(best)
    return chosen


def slow_mmr(space, query, most, diversity):
    chosen = []
    while len(chosen) < most:
        left = [
            at for at in range(len(space.likeness)) if at not in chosen and space.allowed[at, query]
        ]
        if not left:
            break

        def score(at):
            alike = [float(space.exemplars[at] @ space.exemplars[other]) for other in chosen]
            near = diversity * max(alike) if alike else 0.0
            return (1 - diversity) * float(space.likeness[at, query]) - near

        chosen.append(max(left, key=lambda at: (score(at), -at)))
    return chosen


@given(spaces(), st.integers(1, 7))
def test_one_set_is_that_of_the_plain_greedy(space, most):
    ones = [1] * len(space.likeness)
    assert choose_for_all(space, most) == slow_set(space, most, ones, math.inf, False)


@given(spaces(), st.integers(1, 7), st.integers(1, 30), st.data())
def test_under_a_budget_the_better_of_two_greedy_ones(space, most, budget, data):
    tokens = data.draw(
        st.lists(
            st.sampled_from([1, 2, 4, 8]),
            min_size=len(space.likeness),
            max_size=len(space.likeness),
        )
    )

    def fits(chosen):
        return sum(tokens[at] for at in chosen) <= budget

    chosen = choose_for_all(space, most, tokens=tokens, fits=fits)
    assert fits(chosen)
    both = [slow_set(space, most, tokens, budget, rated) for rated in (False, True)]
    assert measure_value(space, chosen) == max(slow_value(space, one) for one in both)


@given(spaces(most=6), st.integers(1, 4))
def test_the_bound_of_the_greedy_set_holds(space, most):
    best = max(
        slow_value(space, one)
        for one in itertools.combinations(
            range(len(space.likeness)), min(most, len(space.likeness))
        )
    )
    chosen = choose_for_all(space, most)
    assert measure_value(space, chosen) >= (1 - 1 / math.e) * best - 1e-9


@given(spaces(), st.integers(1, 6))
def test_more_exemplars_keep_those_of_fewer_and_cover_no_less(space, most):
    fewer, more = choose_for_all(space, most), choose_for_all(space, most + 1)
    assert more[: len(fewer)] == fewer
    assert measure_coverage(space, [more]) >= measure_coverage(space, [fewer])


@given(spaces(), st.integers(1, 7), st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.data())
def test_the_choice_for_a_question_is_that_of_plain_mmr(space, most, diversity, data):
    query = data.draw(st.integers(0, len(space.weights) - 1))
    chosen = choose_for_query(space, query, most, diversity)
    assert chosen == slow_mmr(space, query, most, diversity)
    assert chosen == choose_for_query(space, query, len(space.likeness), diversity)[:most]


def test_an_exemplar_that_is_too_long_is_passed_over():
    space = Space(
        np.array([[1.0], [0.5], [0.25]], np.float32),
        np.ones((3, 1), np.bool_),
        np.eye(3, dtype=np.float32),
        np.ones(1),
    )
    assert choose_for_query(space, 0, 2, 0.0, fits=lambda chosen: 0 not in chosen) == [1, 2]
    for budget, wanted in ((4, []), (5, [2]), (6, [1]), (9, [0]), (14, [0, 2]), (20, [0, 1, 2])):
        chosen = choose_for_query(space, 0, 3, 0.0, tokens=[9, 6, 5], max_tokens=budget)
        assert chosen == wanted


def test_tasks_and_oneself_count_for_nothing():
    vectors = np.eye(3, dtype=np.float32)
    space = make_space(vectors, vectors, (["x", "y", None], ["x", None, "x"]), same=True)
    assert space.likeness.max() == 0
    assert space.allowed.tolist() == [[True] * 3, [False, True, False], [True] * 3]
    space = make_space(vectors, -vectors, ([None] * 3, [None] * 3))
    assert space.likeness.min() == 0
    assert choose_for_all(space, 2) == []


def test_coverage_and_alikeness_by_hand():
    vectors = np.array([[1, 0], [0.6, 0.8]], np.float32)
    space = make_space(vectors, vectors, ([None] * 2, [None] * 2), [3, 1])
    assert measure_coverage(space, [[0]]) == pytest.approx((3 * 1 + 0.6) / 4)
    assert measure_coverage(space, [[1], [1]]) == pytest.approx((3 * 0.6 + 1) / 4)
    assert measure_alikeness(space, [[0, 1]]) == pytest.approx(0.6)
    assert math.isnan(measure_alikeness(space, [[0]]))
    assert take_queries(space, [1]).weights.tolist() == [1]


LINES = [
    b'{"id": "a", "input": "2 + {output}?", "output": "four\\nor so", "task": "sums"}',
    b'{"input": "3", "output": "x"}',
]


def test_exemplars_go_whole_into_the_text_and_its_tokens():
    pool = read_pool(LINES, source="f")
    text = write_exemplars(pool, DEFAULT_TEMPLATE)
    assert text == "Input: 2 + {output}?\nOutput: four\nor so\n\nInput: 3\nOutput: x\n\n"
    assert make_measure("gpt-5.4-mini", DEFAULT_TEMPLATE)(pool) == count_text(text, "gpt-5.4-mini")
    assert write_exemplars(pool[1:], check_template("{output} <- {input}\\n")) == "x <- 3\n\n\n"
    with pytest.raises(UsageError, match="lacks {output}"):
        check_template("{input}")


def test_chats():
    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    lines = [f'{{"messages": {messages}}}'.replace("'", '"').encode()]
    (one,) = read_pool(lines, source="f")
    assert (one.input, one.output) == ("q", "a")
    assert make_measure("gpt-5.4-mini", "")([one]) == 2 * (3 + 1 + 1)
    assert write_exemplars([one], "") == "user: q\n\nassistant: a\n\n"
    with pytest.raises(BadLine, match="f:2: a pool has either"):
        read_pool([*lines, LINES[1]], source="f")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"input": "x"}', "output is missing"),
        (b'{"input": "", "output": "y"}', "input is missing, empty"),
        (b'{"input": "x", "output": "y", "task": 3}', "task is not a text"),
        (b'{"id": "a", "input": "x", "output": "y"}', "was on line 1"),
        (b'{"messages": []}', "not a list of messages"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "not the assistant's"),
        (b'{"messages": [{"role": "assistant", "content": "x"}]}', "no message of a user|messages"),
        (b"null", "not a JSON object"),
    ],
)
def test_bad_pools_name_their_line(line, says):
    with pytest.raises(BadLine, match=says) as error:
        read_pool([LINES[0], line], source="f")
    assert str(error.value).startswith("f:2: ")


def test_questions():
    lines = [b'{"question": "q", "task": "t"}', b'{"id": 5, "messages": [{"content": "m"}]}']
    found = read_queries(lines, source="f")
    assert [(one.id, one.text, one.task) for one in found] == [("1", "q", "t"), ("5", "m", None)]
    with pytest.raises(BadLine, match="f:1: needs one of"):
        read_queries([b'{"id": 1}'], source="f")
    for read in (read_pool, read_queries):
        with pytest.raises(InputError, match="f: has no"):
            read([], source="f")


def test_contradictions():
    lines = [b'{"input": "x  y", "output": "1"}', b'{"input": "x y", "output": "2"}', *LINES[1:]]
    lines.append(b'{"input": "x y", "output": "3", "task": "other"}')
    assert find_contradictions(read_pool(lines, source="f")) == [("1", "2")]
