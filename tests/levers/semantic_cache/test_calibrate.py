"""The threshold that keeps a bound: how it is searched, and that it keeps it."""

import math

import numpy as np
import pytest
from eval_cases import words_matching
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.calibrate import Risk, list_sizes, search_threshold
from frugalctl.levers.semantic_cache.intervals import (
    bound_share,
    holds_in_future,
    measure_design_effect,
)
from frugalctl.levers.semantic_cache.labels import Groups, Pairs
from frugalctl.levers.semantic_cache.tune import cluster_labels, draw_clusters, take_labels, tune

RISK = Risk(0.2, 0.9)


def draw(rng, n, clusters=None, steepness=12.0):
    """Scores and whether wrong, the more so the lower the score; whole clusters alike."""
    owner = np.arange(n) if clusters is None else rng.integers(0, clusters, n)
    noise = rng.uniform(size=owner.max() + 1)[owner]
    scores = rng.uniform(size=n)
    wrong = (noise < 1 / (1 + np.exp(steepness * (scores - 0.35)))).astype(float)
    return scores, wrong, owner


@given(st.integers(0, 10**6), st.integers(30, 400))
def test_the_search_step_by_step(seed, n):
    scores, wrong, clusters = draw(np.random.default_rng(seed), n, clusters=n // 2)
    scores = np.round(scores, 2)
    wrong[::7] = np.nan
    scores[::11] = -np.inf
    found = search_threshold(scores, wrong, clusters, RISK)
    usable = [
        row
        for row in zip(scores, wrong, clusters, strict=True)
        if not math.isnan(row[1]) and row[0] > -math.inf
    ]
    ranked = sorted((row[0] for row in usable), reverse=True)
    sizes = list_sizes(np.array(ranked), RISK)
    assert [attempt.hits for attempt in found.attempts] == sizes
    share, carried, last = 0.1 / max(len(sizes), 1), 0.0, None
    for attempt, size in zip(found.attempts, sizes, strict=True):
        hits = [row for row in usable if row[0] >= ranked[size - 1]]
        assert len(hits) == size == sum(row[0] >= attempt.threshold for row in usable)
        failures = np.array([row[1] for row in hits])
        effect = measure_design_effect(failures, np.array([row[2] for row in hits]))
        level = min(share + carried, 0.1)
        k, m = failures.sum() / effect, size / effect
        passed = bound_share(k, m, 1 - level) <= 0.2 and holds_in_future(
            math.ceil(k), math.floor(m), 0.2, 0.9
        )
        assert attempt.wrong_hits == failures.sum()
        assert attempt.passed == passed
        carried = level if passed else 0.0
        last = attempt if passed else last
    assert found.chosen == last


def test_sizes_grow_and_keep_ties_together():
    scores = np.sort(np.random.default_rng(0).integers(0, 40, 500) / 40)[::-1]
    sizes = list_sizes(scores, RISK)
    assert sizes[0] >= RISK.needed_hits
    assert sizes == sorted(set(sizes))
    for size in sizes:
        assert size == len(scores) or scores[size] < scores[size - 1]
    assert list_sizes(scores[: RISK.needed_hits - 1], RISK) == []


@pytest.mark.parametrize("clusters", [None, 300])
def test_a_fresh_sample_keeps_the_bound(clusters):
    """Of 300 fresh samples at most 10 % and three standard errors may break it."""
    broken = held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        risk = Risk(0.1, 0.9)
        found = search_threshold(*draw(rng, 1_500, clusters), risk)
        if found.threshold is None:
            continue
        held += 1
        scores, wrong, _ = draw(rng, 1_500, clusters)
        broken += wrong[scores >= found.threshold].mean() > 0.1
    assert held > 250
    assert broken / 300 <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / 300)


def paraphrases(groups, each=4):
    """Groups that share all but one word each, so that near texts are of one group."""
    texts = [
        f"{verb} w{group} w{group}x w{group}y"
        for group in range(groups)
        for verb in ("how", "why", "what", "when")[:each]
    ]
    return Groups(texts, np.repeat(np.arange(groups), each))


def test_tuning_holds_whole_groups_out():
    labels = paraphrases(120)
    tuned = tune(labels, words_matching(), Risk(0.05, 0.9), seed=3)
    assert tuned.held_out is not None
    assert tuned.calibration_rows + tuned.held_out_rows == 480
    assert tuned.held_out_rows % 4 == 0
    assert tuned.held_out_rows == pytest.approx(96, abs=4)
    assert tuned.calibrated.wrong_hits == tuned.search.chosen.wrong_hits
    assert tuned.calibrated.hits == tuned.search.chosen.hits
    again = tune(labels, words_matching(), Risk(0.05, 0.9), seed=3)
    assert again.threshold == tuned.threshold
    assert tune(labels, words_matching(), Risk(0.05), held_out_share=0.0).held_out is None


def test_thin_data_says_what_is_needed():
    labels = Pairs(["a b", "c d"], ["a c", "c e"], np.array([True, False]))
    with pytest.raises(InputError, match="at least 149 hits") as caught:
        tune(labels, words_matching(), Risk(0.02), source="pairs.jsonl")
    assert caught.value.where == "pairs.jsonl"
    assert str(Risk(0.02).needed_hits) in caught.value.hint


def test_labels_that_no_threshold_suits():
    rng = np.random.default_rng(0)
    texts = [f"w{rng.integers(50)} w{rng.integers(50)}" for _ in range(2_000)]
    labels = Pairs(texts[:1_000], texts[1_000:], rng.random(1_000) < 0.5)
    with pytest.raises(InputError, match="no threshold keeps 0.05 wrong of hits") as caught:
        tune(labels, words_matching(), Risk(0.05), held_out_share=0.0)
    assert "--scorer learned" in caught.value.hint


def test_whole_clusters_are_drawn_about_to_the_share():
    clusters = np.repeat(np.arange(200), np.arange(200) % 5 + 1)
    drawn = draw_clusters(clusters, 0.3, np.random.default_rng(1))
    assert drawn.mean() == pytest.approx(0.3, abs=0.02)
    assert all(len(set(drawn[clusters == one].tolist())) == 1 for one in range(200))


def test_labels_are_taken_and_clustered():
    groups = Groups(["a", "b", "c", "d"], np.array([1, -1, 1, -1]))
    clusters = cluster_labels(groups)
    assert clusters[0] == clusters[2]
    assert len(set(clusters.tolist())) == 3
    taken = take_labels(groups, np.array([True, False, True, False]))
    assert taken.texts == ["a", "c"]
    assert taken.groups.tolist() == [1, 1]
