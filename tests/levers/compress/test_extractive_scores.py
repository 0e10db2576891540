"""Scores against plain slow references, and what they have to tell apart."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.compress.caution import find_uncertain, joins_facts
from frugalctl.levers.compress.score import (
    Texts,
    find_redundancy,
    score_by_centrality,
    score_by_question,
    smooth,
    sum_by_block,
)
from frugalctl.levers.compress.score_answers import find_answerers
from frugalctl.levers.compress.score_words import (
    K1,
    B,
    score_bm25,
    split_terms,
    standardise,
)

TERMS = st.sampled_from(["oil", "engine", "map", "river", "한국"])


def slow_bm25(texts, weights):
    mean = max(sum(map(len, texts)) / len(texts), 1)
    scores = []
    for text in texts:
        score = 0.0
        for term, weight in weights.items():
            found = sum(term in other for other in texts)
            idf = math.log(1 + (len(texts) - found + 0.5) / (found + 0.5))
            often = text.count(term)
            norm = K1 * (1 - B + B * len(text) / mean)
            score += weight * idf * often * (K1 + 1) / (often + norm) if often else 0.0
        scores.append(score)
    return scores


@given(
    st.lists(st.lists(TERMS, max_size=12), min_size=1, max_size=12),
    st.dictionaries(TERMS, st.floats(0.1, 2), max_size=4),
)
def test_bm25_is_the_formula(texts, weights):
    np.testing.assert_allclose(score_bm25(texts, weights), slow_bm25(texts, weights), atol=1e-9)


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=30),
    st.integers(1, 6),
    st.integers(0, 7),
    st.integers(1, 4),
)
def test_smoothing_is_the_weighted_mean_of_neighbours(scores, size, neighbours, blocks):
    block = np.array([at // size for at in range(len(scores))], np.intp)
    texts = Texts([], [], [], block, np.zeros(len(scores), np.bool_), [])
    expected = []
    for at in range(len(scores)):
        sums = total = 0.0
        for other, score in enumerate(scores):
            weight = max(neighbours + 1 - abs(other - at), 0) if neighbours else other == at
            if block[other] == block[at]:
                sums, total = sums + weight * score, total + weight
        expected.append(sums / total)
    found = smooth(np.array(scores), texts, neighbours)
    np.testing.assert_allclose(found, expected, atol=1e-9)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 99))
def test_redundancy_is_the_largest_cosine_to_a_better_one(values, seed):
    vectors = np.random.default_rng(seed).normal(size=(len(values), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = sorted(range(len(values)), key=lambda at: (-values[at], at))
    expected = np.zeros(len(values))
    for place, at in enumerate(order):
        cosines = [float(vectors[at] @ vectors[other]) for other in order[:place]]
        expected[at] = min(max([0.0, *cosines]), 1)
    found = find_redundancy(vectors, np.array(values, np.float64))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_standardised_scores():
    found = standardise(np.array([1.0, 2.0, 3.0]))
    assert found.mean() == pytest.approx(0)
    assert found.std() == pytest.approx(1)
    assert not standardise(np.array([2.0, 2.0])).any()


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Cats' ROLES, bus glass 2x", ["cat", "role", "bus", "glass", "2x"]),
        ("도서관에서", ["도서", "서관", "관에", "에서"]),
        ("API를 東京", ["api", "를", "東京"]),
        ("Été cities this", ["été", "citi", "this"]),
        ("movie movies city cities", ["movi", "movi", "citi", "citi"]),
        ("founder founded founding founds", ["found"] * 4),
        ("national nations nation's", ["nation", "nation", "nation", "s"]),
        ("", []),
    ],
)
def test_terms(text, terms):
    assert split_terms(text) == terms


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("how many bridges are there", [True, True, False, False]),
        ("When was it opened?", [False, True, False, False]),
        ("who opened the bridge when it was new", [False, True, True, False]),
        ("다리는 언제 열렸나요?", [False, True, False, False]),
        ("the bridge", [False] * 4),
    ],
)
def test_what_a_question_asks_for(question, found):
    texts = ["Twelve of them.", "It was opened in May 1931.", "It was Ada Bell.", "It is long."]
    assert find_answerers(question, texts).tolist() == found


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.integers(0, 99))
def test_directions_of_blocks_are_those_of_their_sums(numbers, seed):
    names = sorted(set(numbers))
    block = np.array([names.index(number) for number in numbers], np.intp)
    vectors = np.random.default_rng(seed).normal(size=(len(block), 3)).astype(np.float32)
    found = sum_by_block(vectors, block, len(names))
    for number, row in enumerate(found):
        total = sum(one for one, at in zip(vectors, block, strict=True) if at == number)
        np.testing.assert_allclose(row, total / np.linalg.norm(total), atol=1e-4)


def make_texts(documents, dialogue=False):
    units = [(at, unit) for at, (_, texts) in enumerate(documents) for unit in texts]
    names = [name for name, _ in documents]
    return Texts(
        [unit for _, unit in units],
        [split_terms(unit) for _, unit in units],
        [split_terms(name) for name in names],
        np.array([at for at, _ in units], np.intp),
        np.full(len(units), dialogue),
        names,
    )


def test_an_answer_of_the_kind_asked_for_is_worth_more_but_in_dialogues():
    documents = [
        ("Old bridge", ["The bridge was opened late.", "The bridge was opened in May 1931."]),
        ("Mill", ["The mill burnt down."]),
    ]
    for question, dialogue, gain in (
        ("when was the bridge opened", False, True),
        ("was the bridge opened", False, False),
        ("when was the bridge opened", True, False),
    ):
        late, dated, _ = score_by_question(make_texts(documents, dialogue), question, None, 0)
        assert bool(dated > late) is gain


def test_a_document_in_other_words_is_not_far_below_the_rest():
    shared = [(f"Place {at}", ["The harbour is old."]) for at in range(9)]
    texts = make_texts([*shared, ("Quay", ["Ships lie here."])])
    scores = score_by_question(texts, "old harbour", None, None)
    assert 0 < scores[:9].min() - scores[9] < 2


def test_a_repeat_is_never_more_central_than_what_it_repeats():
    terms = [["engine", "oil"], ["oil", "engine"], ["river", "map"], ["map", "engine"]]
    block = np.zeros(4, np.intp)
    texts = Texts([" ".join(t) for t in terms], terms, [[]], block, np.zeros(4, np.bool_), [""])
    scores, redundancy = score_by_centrality(texts, None)
    assert redundancy[1] == pytest.approx(1)
    assert scores[1] == scores.min()


@pytest.mark.parametrize(
    ("question", "several"),
    [
        ("Who is older, Ada or Bo?", True),
        ("Are both towns in the north?", True),
        ("In what year did the director of the film about an old lighthouse keeper marry?", True),
        ("when was the bridge opened", False),
        ("다리는 언제 열렸나요?", False),
    ],
)
def test_questions_of_several_facts(question, several):
    assert joins_facts(question) is several


def test_uncertain_are_those_near_the_best():
    scores = np.array([10.0, 9.0, *[0.0] * 98])
    assert find_uncertain(scores, has_vectors=True).tolist() == [True, True, *[False] * 98]
    assert find_uncertain(np.zeros(3), has_vectors=True).all()
