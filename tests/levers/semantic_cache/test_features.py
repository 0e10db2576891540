import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.semantic_cache.features import (
    N_WORDS,
    TEXT_FEATURES,
    compare_texts,
    hash_word,
    learn_idf,
    measure_subsequence,
    mix_hashes,
    parse_pairs,
    parse_text,
)

IDF = learn_idf(["how do I sell my car", "how do I buy a car", "what is rain"])
TEXTS = st.text(max_size=30) | st.lists(
    st.sampled_from("how not can't 12 3.5 Paris C C++ c# the 자동차 팔까 \udc80 ́".split()),
    max_size=8,
).map(" ".join)


def compare(a, b):
    row = compare_texts(parse_pairs([a], [b]), IDF)[0]
    return dict(zip(TEXT_FEATURES, row.tolist(), strict=True))


@given(TEXTS, TEXTS)
def test_features_do_not_depend_on_the_order_and_are_finite(a, b):
    forward = compare_texts(parse_pairs([a], [b]), IDF)
    assert np.array_equal(forward, compare_texts(parse_pairs([b], [a]), IDF))
    assert np.isfinite(forward).all()


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=5))
def test_a_pair_has_the_same_features_in_any_company(pairs):
    together = compare_texts(parse_pairs(*zip(*pairs, strict=True)) if pairs else [], IDF)
    alone = [compare_texts(parse_pairs([a], [b]), IDF)[0] for a, b in pairs]
    assert np.array_equal(together, np.array(alone).reshape(together.shape))


def slow_subsequence(a, b):
    if not a or not b:
        return 0
    if a[0] == b[0]:
        return 1 + slow_subsequence(a[1:], b[1:])
    return max(slow_subsequence(a[1:], b), slow_subsequence(a, b[1:]))


@given(st.lists(st.integers(0, 3), max_size=7), st.lists(st.integers(0, 3), max_size=7))
def test_subsequence_equals_its_definition(a, b):
    assert measure_subsequence(a, b) == slow_subsequence(a, b)


@given(st.text(), st.text())
def test_hashes_are_in_range(a, b):
    assert 0 <= hash_word(a) < N_WORDS
    assert 0 <= mix_hashes(hash_word(a), hash_word(b)) < N_WORDS


def test_word_overlap_by_hand():
    row = compare("how do I sell my car", "how do I buy a car")
    shared, rare = np.log(4 / 2.5), np.log(4 / 1.5)
    assert row["word_jaccard"] == pytest.approx(4 / 8)
    assert row["idf_shared"] == pytest.approx(4 * shared, rel=1e-6)
    assert row["idf_only_least"] == row["idf_only_most"] == pytest.approx(2 * rare, rel=1e-6)
    assert row["idf_jaccard"] == pytest.approx(shared / (shared + rare), rel=1e-6)
    assert row["subsequence_words"] == 4
    assert row["common_prefix"] == 3
    assert row["common_suffix"] == 1


@pytest.mark.parametrize(
    ("a", "b", "feature", "value"),
    [
        ("flights on 12 May", "flights on 13 May", "numbers_differ", 2),
        ("flights on 12 May", "trains of 12 May", "numbers_shared", 1),
        ("I can pay", "I can't pay", "negation_differs", 1),
        ("I can pay", "I can’t pay", "negation_differs", 1),
        ("trains to Paris", "trains to Rome", "names_differ", 2),
        ("dog bites man", "man bites dog", "moved_words", 2),
        ("learn C", "learn C++", "word_jaccard", 1 / 3),
        ("learn C++?", "learn C++", "word_jaccard", 1),
        ("where is it", "when is it", "same_question_word", 0),
        ("Caf\u00e9", "cafe\u0301", "word_jaccard", 1),
        ("", "", "word_jaccard", 0),
    ],
)
def test_marks(a, b, feature, value):
    assert compare(a, b)[feature] == pytest.approx(value)


def test_a_long_text_is_compared_in_full_but_its_order_in_part():
    long = " ".join(f"w{i}" for i in range(50_000))
    row = compare(long, long + " not")
    assert row["max_words"] == 50_001
    assert row["negation_differs"] == 1
    assert row["subsequence_words"] == 256


def test_words_are_kept_as_hashes():
    assert parse_text("Sell it").words == (hash_word("sell"), hash_word("it"))
