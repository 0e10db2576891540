import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scorer_pairs import embed, make_groups, make_pairs

from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.features import N_WORDS, hash_word, mix_hashes, parse_pairs
from frugalctl.levers.semantic_cache.scorer_mining import mine_pairs
from frugalctl.levers.semantic_cache.scorer_training import train_scorer
from frugalctl.levers.semantic_cache.scorer_words import (
    N_EVIDENCE,
    collect_evidence,
    fit_words,
    weigh_evidence,
)


def train(a, b, same, groups):
    return train_scorer(
        a, b, same, embed(a), embed(b), groups=groups, seed=0, embedder_fingerprint="x"
    )


def test_too_few_pairs_of_a_label_are_refused():
    a, b, _, groups = make_pairs(300, 0)
    with pytest.raises(InputError, match="49 pairs of the same answer and 251 of another"):
        train(a, b, np.arange(300) < 49, groups)


def test_too_few_groups_are_refused():
    a, b, same, _ = make_pairs(300, 0)
    with pytest.raises(InputError, match="2 groups of pairs are too few"):
        train(a, b, same, [i % 2 for i in range(300)])


def test_labels_without_meaning_are_not_trusted():
    """Out of fold, random labels teach nothing: the scores stay near their mean."""
    a, b, _, groups = make_pairs(600, 0)
    same = np.random.default_rng(1).random(600) < 0.5
    new_a, new_b, _, _ = make_pairs(300, 5)
    scores = train(a, b, same, groups).score(new_a, new_b, embed(new_a), embed(new_b))
    assert scores.std() < 0.15


WORDS = st.lists(st.sampled_from("a b c d e f g h i j k l m n o p".split()), max_size=12)


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=4), st.integers(0, 99))
def test_weighed_evidence_equals_its_definition(pairs, seed):
    a, b = ([" ".join(pair[side]) for pair in pairs] for side in (0, 1))
    weights = np.random.default_rng(seed).normal(size=N_EVIDENCE).astype(np.float32)
    parsed = parse_pairs(a, b)
    sums = weigh_evidence(collect_evidence(parsed), len(a), weights)
    for total, (left, right) in zip(sums, parsed, strict=True):
        one, other = set(left.words), set(right.words)
        expected = sum(weights[word] for word in one & other)
        expected += sum(weights[N_WORDS + word] for word in one ^ other)
        one, other = set(left.bigrams), set(right.bigrams)
        expected += sum(weights[2 * N_WORDS + word] / 2 for word in one & other)
        expected += sum(weights[3 * N_WORDS + word] / 2 for word in one - other)
        expected += sum(weights[3 * N_WORDS + word] / 2 for word in other - one)
        expected += _sum_replaced(left, right, weights)
        assert total == pytest.approx(expected, abs=1e-5)


def _sum_replaced(left, right, weights):
    one, other = set(left.words), set(right.words)
    replaced = [(x, y) for x in one - other for y in other - one]
    if not 0 < len(replaced) <= 64:
        return 0
    total = sum(weights[4 * N_WORDS + mix_hashes(min(x), max(x))] for x in replaced)
    return total / len(replaced) ** 0.5


def test_words_that_matter_get_weight():
    a, b, same, _ = make_pairs(400, 0)
    pairs = parse_pairs(a, b)
    weights = fit_words(collect_evidence(pairs), same.astype(float), np.arange(400))
    asked, wording = hash_word("invoice"), hash_word("please")
    assert weights[N_WORDS + asked] < -abs(weights[N_WORDS + wording])


def test_nothing_to_weigh():
    weights = np.zeros(N_EVIDENCE, np.float32)
    assert weigh_evidence(collect_evidence([]), 0, weights).shape == (0,)
    assert weigh_evidence(collect_evidence(parse_pairs([""], [""])), 1, weights).tolist() == [0]


GROUPS = st.lists(st.sampled_from(["x", "y", "z", 4, None]), max_size=14)


@given(GROUPS, st.integers(1, 3), st.integers(0, 9))
def test_mined_pairs_are_the_nearest_of_all_groups(groups, k, seed):
    n = len(groups)
    rng = np.random.default_rng(seed)
    texts = [f"text {i}" for i in rng.integers(0, 10, n)]
    vectors = embed(texts)
    left, right, same = mine_pairs(texts, groups, vectors, k)
    distinct = sorted({texts.index(text) for text in texts})
    expected = {}
    for i in distinct:
        others = sorted(set(distinct) - {i}, key=lambda j: (-float(vectors[i] @ vectors[j]), j))
        for j in others[:k]:
            expected[min(i, j), max(i, j)] = groups[i] is not None and groups[i] == groups[j]
    mined = {(int(i), int(j)): bool(s) for i, j, s in zip(left, right, same, strict=True)}
    assert mined == expected
    assert list(zip(left, right, strict=True)) == sorted(expected)


def test_many_texts_of_one_vector():
    texts = [f"text {i}" for i in range(30)]
    vectors = np.tile(embed(["one"]), (30, 1))
    left, right, same = mine_pairs(texts, [None] * 30, vectors, 2)
    assert not same.any()
    assert {int(i) for i in (*left, *right)} == set(range(30))
    assert (left != right).all()


def test_a_scorer_learned_from_mined_pairs():
    texts, groups = make_groups(0)
    held = {group for group in groups if group % 3 == 0}
    vectors = embed([" ".join(text.split()[-3:]) for text in texts])
    left, right, same = mine_pairs(texts, groups, vectors, 8)
    inside = np.array(
        [groups[i] not in held and groups[j] not in held for i, j in zip(left, right, strict=True)]
    )
    a, b = ([texts[i] for i in side[inside]] for side in (left, right))
    scorer = train(a, b, same[inside], [groups[i] for i in left[inside]])
    outside = ~inside
    a, b = ([texts[i] for i in side[outside]] for side in (left, right))
    scores = scorer.score(a, b, vectors[left[outside]], vectors[right[outside]])
    assert scores[same[outside]].mean() > 0.8 > 0.3 > scores[~same[outside]].mean()


def make_vectors(cosines):
    """Pairs of unit vectors with these cosines."""
    first = np.zeros((len(cosines), 4), np.float32)
    first[:, 0] = 1
    second = np.zeros_like(first)
    second[:, 0], second[:, 1] = cosines, np.sqrt(1 - cosines**2)
    return first, second


def test_a_higher_cosine_never_scores_lower():
    a, b, _, groups = make_pairs(400, 0)
    rng = np.random.default_rng(0)
    cosines = rng.uniform(-1, 1, 400)
    same = cosines + rng.normal(0, 0.5, 400) > 0.3
    scorer = train_scorer(
        a, b, same, *make_vectors(cosines), groups=groups, seed=0, embedder_fingerprint="x"
    )
    steps = make_vectors(np.linspace(-1, 1, 41))
    rises = [
        np.diff(scorer.score([x] * 41, [y] * 41, *steps)) for x, y in zip(a[:40], b, strict=False)
    ]
    assert np.min(rises) >= 0
    assert np.min(np.sum(rises, axis=1)) > 0.3
