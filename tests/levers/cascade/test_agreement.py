import numpy as np
import pytest

from frugalctl.levers.cascade.agreement import code_answers, reduce_answer


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("A", " a.\n", True),
        ("A", "B", False),
        ("Steps...\n#### 1,200", "So the total is x.\n#### 1200", True),
        ("thus \\boxed{42}", "The answer is 42.", True),
        ("The answer is 42.", "The answer is 43.", False),
        ("caf\u00e9", "cafe\u0301", True),
        ("3,5", "35", False),
        ("['D']", "D", True),
        ("yes", "no", False),
        ("-5", "5", False),
        ("???", "!!!", False),
    ],
)
def test_what_counts_as_the_same_answer(one, other, equal):
    assert (reduce_answer(one) == reduce_answer(other)) is equal


def test_codes_are_equal_where_answers_are():
    codes = code_answers([["A", None, "x", ""], ["a", "B", "y", "\n"]])
    assert codes.shape == (4, 2)
    assert codes[0, 0] == codes[0, 1] >= 0
    assert codes[1].tolist()[0] == -1
    assert codes[2, 0] != codes[2, 1]
    assert codes[3].tolist() == [-1, -1]
    assert code_answers([]).dtype == np.int64
