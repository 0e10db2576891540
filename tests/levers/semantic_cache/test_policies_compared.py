"""vCache and a threshold on one stream."""

import numpy as np
import pytest
from eval_cases import words_matching

from frugalctl.errors import UsageError
from frugalctl.levers.semantic_cache.compare import compare_policies
from frugalctl.levers.semantic_cache.labels import Groups, Pairs
from frugalctl.levers.semantic_cache.trials import try_labels


def test_vcache_keeps_its_bound_and_the_threshold_its_error():
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 12, 800)
    texts = [f"w{group} x{group} v{rng.integers(30)}" for group in groups]
    labels = Groups(texts, groups)
    matching = words_matching()
    trials = try_labels(labels, matching)
    ours, theirs = compare_policies(labels, trials, matching, 0.05, seed=1)
    assert (ours.policy, ours.threshold, ours.n) == ("vcache", None, 800)
    assert ours.wrong_of_all <= 0.05
    assert theirs.threshold is not None
    assert theirs.wrong_hits <= ours.wrong_hits
    assert theirs.hits > 0
    assert theirs.hit_rate == theirs.hits / 800
    assert compare_policies(labels, trials, matching, 0.05, seed=1) == [ours, theirs]


def test_pairs_are_no_stream():
    labels = Pairs(["a"], ["b"], np.array([True]))
    matching = words_matching()
    with pytest.raises(UsageError, match="no stream"):
        compare_policies(labels, try_labels(labels, matching), matching, 0.05, 0)
