"""Thresholds of other caches, both ways, against what those caches compute."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.levers.semantic_cache.translate import SCALES, to_cosine, translate_threshold

cosines = st.floats(-1, 1)


@given(cosines, cosines)
def test_other_caches_hit_from_the_same_cosine_on(threshold, cosine):
    if abs(cosine - threshold) < 1e-6:
        return
    settings = translate_threshold(threshold)
    # GPTCache rates 1 - d / 2 of the distance d = 1 - cosine that faiss gives for unit vectors
    squared = math.fsum((2 - 2 * cosine,))
    rating = (4 - squared) / 4
    assert (rating >= settings["gptcache"]) == (cosine >= threshold)
    assert (1 - cosine <= settings["redisvl"]) == (cosine >= threshold)
    assert (cosine >= settings["litellm"]) == (cosine >= threshold)
    assert (cosine >= settings["promptwatch"]) == (cosine >= threshold)


@given(cosines, st.sampled_from(list(SCALES)))
def test_there_and_back(threshold, cache):
    value = translate_threshold(threshold)[cache]
    assert to_cosine(cache, value) == pytest.approx(threshold, abs=1e-12)


def test_known_settings():
    assert to_cosine("gptcache", 0.8) == pytest.approx(0.6)
    assert to_cosine("redisvl", 0.1) == pytest.approx(0.9)
    assert to_cosine("litellm", 0.8) == 0.8


def test_what_is_no_threshold():
    with pytest.raises(UsageError, match="no cosine"):
        translate_threshold(1.5)
    with pytest.raises(UsageError, match="unknown cache"):
        to_cosine("memcached", 0.5)
    with pytest.raises(UsageError, match="outside the scale"):
        to_cosine("redisvl", 3)
