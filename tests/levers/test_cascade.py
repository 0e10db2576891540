import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import ConfigError
from frugalctl.levers.cascade import CascadePolicy, decide

THRESHOLDS = (-1.0, -0.5, 0.0, 0.5)
scores = st.sampled_from((math.nan, -math.inf, math.inf, -0.75, *THRESHOLDS))


@st.composite
def cases(draw):
    depth = draw(st.integers(1, 4))
    cell = st.tuples(st.booleans(), scores)
    rows = draw(st.lists(st.tuples(*[cell] * depth), min_size=1, max_size=12))
    thresholds = draw(st.tuples(*[st.sampled_from(THRESHOLDS)] * (depth - 1)))
    return tuple(f"m{at}" for at in range(depth)), thresholds, rows


def follow(thresholds, row):
    """How many models are called for one request, and whether the log has them all."""
    for step, (present, score) in enumerate(row):
        if not present:
            return step + 1, False
        if step == len(thresholds) or score >= thresholds[step]:
            return step + 1, True
    raise AssertionError("the last model always answers")


@given(cases())
def test_decide_equals_a_loop_over_rows(case):
    models, thresholds, rows = case
    columns = list(zip(*rows, strict=True))
    found = decide(
        CascadePolicy(models, thresholds),
        [np.array([present for present, _ in column]) for column in columns],
        [np.array([score for _, score in column], dtype=np.float64) for column in columns],
    )
    expected = [follow(thresholds, row) for row in rows]
    assert list(zip(found.calls.tolist(), found.covered.tolist(), strict=True)) == expected


@pytest.mark.parametrize(
    ("models", "thresholds", "score", "message"),
    [
        ((), (), "confidence", "models is empty"),
        (("a", "a"), (0.5,), "confidence", "names a model twice"),
        (("a", "b"), (), "confidence", "2 models need 1 thresholds, not 0"),
        (("a",), (0.5,), "confidence", "1 models need 0 thresholds, not 1"),
        (("a", "b"), (math.nan,), "confidence", "NaN"),
        (("a", "b"), (0.5,), "quality", "unknown score 'quality'"),
    ],
)
def test_policies_that_make_no_sense_are_refused(models, thresholds, score, message):
    with pytest.raises(ConfigError, match=message):
        CascadePolicy(models, thresholds, score)
