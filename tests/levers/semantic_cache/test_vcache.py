"""The policy of vCache: its fit, its chances, and the bound it keeps."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.levers.semantic_cache.vcache import (
    Boundary,
    VCachePolicy,
    explore_chance,
    fit_boundary,
)


def penalised(similarities, right, offset, slope):
    """Firth's likelihood: the logistic one and half the log determinant of the information."""
    s = [0.0, 1.0, *similarities]
    y = [0.0, 1.0, *right]
    chances = [1 / (1 + math.exp(-(offset + slope * x))) for x in s]
    spread = [p * (1 - p) for p in chances]
    total = math.fsum(
        math.log(p) if label else math.log1p(-p) for p, label in zip(chances, y, strict=True)
    )
    i00 = math.fsum(spread)
    i01 = math.fsum(w * x for w, x in zip(spread, s, strict=True))
    i11 = math.fsum(w * x * x for w, x in zip(spread, s, strict=True))
    return total + 0.5 * math.log(i00 * i11 - i01 * i01)


observations = st.lists(
    st.tuples(st.integers(40, 100).map(lambda n: n / 100), st.booleans()), max_size=12
)


@given(observations)
def test_no_other_boundary_near_is_likelier(observed):
    similarities = [s for s, _ in observed]
    right = [float(y) for _, y in observed]
    fitted = fit_boundary(np.array(similarities), np.array(right))
    if fitted.slope <= 0:
        return
    offset = -fitted.middle * fitted.slope
    best = penalised(similarities, right, offset, fitted.slope)
    for d_offset, d_slope in ((0.01, 0), (-0.01, 0), (0, 0.01), (0, -0.01)):
        assert (
            penalised(similarities, right, offset + d_offset, fitted.slope + d_slope) <= best + 1e-9
        )


@given(st.floats(0.3, 0.9), st.floats(1, 60), st.floats(0, 0.2), st.floats(0.005, 0.3))
def test_the_chance_of_a_wrong_answer_keeps_the_bound(middle, slope, error, bound):
    boundary = Boundary(middle, slope, error)
    chances = [explore_chance(boundary, s / 20, bound) for s in range(21)]
    assert chances == sorted(chances, reverse=True)
    for s, chance in zip(range(21), chances, strict=True):
        wrong = 1 - 1 / (1 + math.exp(-slope * (s / 20 - middle)))
        assert (1 - chance) * wrong <= bound + 1e-9


def test_an_entry_that_tells_nothing_is_asked_anew():
    assert explore_chance(Boundary(math.nan, -1.0, math.nan), 0.99, 0.02) == pytest.approx(0.98)


def test_what_is_tried_often_is_trusted():
    policy = VCachePolicy(0.05, seed=1)
    fresh = sum(policy.accept(entry, 0.95) for entry in range(200))
    for _ in range(60):
        policy.observe(7, 0.9, True)
        policy.observe(7, 0.5, False)
    known = sum(policy.accept(7, 0.95) for _ in range(200))
    unlike = sum(policy.accept(7, 0.4) for _ in range(200))
    assert fresh < 40
    assert known > 180
    assert unlike < 40


def test_the_bound_holds_on_a_stream():
    rng = np.random.default_rng(3)
    policy = VCachePolicy(0.05, seed=3)
    asked, wrong, hits = 4_000, 0, 0
    for _ in range(asked):
        entry, similarity = int(rng.integers(8)), float(rng.uniform(0.5, 1))
        right = rng.random() < 1 / (1 + math.exp(-40 * (similarity - 0.75)))
        if policy.accept(entry, similarity):
            hits += 1
            wrong += not right
        else:
            policy.observe(entry, similarity, right)
    assert hits > 0.3 * asked
    assert wrong / asked <= 0.05


def test_the_same_seed_decides_alike():
    def decide(seed):
        policy = VCachePolicy(0.2, seed)
        return [policy.accept(at % 3, 0.8) for at in range(50)]

    assert decide(5) == decide(5) != decide(6)


def test_a_bound_that_is_none():
    with pytest.raises(UsageError, match="not between 0 and 1"):
        VCachePolicy(1.0)
