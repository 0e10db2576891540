import time
import unicodedata

import numpy as np
import pytest
from guard_pairs import DIFFERENT, SAME
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.levers.semantic_cache.guards import check_guards, find_refusal, find_refusals
from frugalctl.levers.semantic_cache.settings import GUARD_NAMES

ADVERSARIAL = [(guard, *pair) for guard, pairs in DIFFERENT.items() for pair in pairs]
WORDS = [text for pairs in DIFFERENT.values() for pair in pairs for text in pair]
TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(WORDS),
    st.lists(st.sampled_from(sorted({w for t in WORDS for w in t.split()})), max_size=9).map(
        " ".join
    ),
)


@pytest.mark.parametrize(("guard", "query", "entry"), ADVERSARIAL)
def test_a_pair_that_only_looks_alike_is_refused_by_its_guard(guard, query, entry):
    found = find_refusal(query, entry, [guard])
    assert found is not None
    assert found[0] == guard
    assert found[1]


@pytest.mark.parametrize(("query", "entry"), SAME)
def test_a_paraphrase_passes_all_guards(query, entry):
    assert find_refusal(query, entry) is None


def test_there_are_enough_pairs_to_speak_of():
    assert len(ADVERSARIAL) >= 50
    assert len(SAME) >= 100
    assert set(DIFFERENT) == set(GUARD_NAMES)


@given(TEXTS)
def test_a_text_is_never_refused_its_own_answer(text):
    assert find_refusal(text, text) is None
    assert find_refusal(text, f"{text} ") is None
    assert find_refusal(text, unicodedata.normalize("NFD", unicodedata.normalize("NFC", text))) in (
        None,
        find_refusal(text, unicodedata.normalize("NFC", text)),
    )


@given(TEXTS, TEXTS)
def test_it_does_not_matter_which_text_is_the_query(one, other):
    for guard in GUARD_NAMES:
        assert find_refusal(one, other, [guard]) == find_refusal(other, one, [guard])


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6))
def test_many_pairs_are_judged_as_one_by_one(pairs):
    a, b = [one for one, _ in pairs], [other for _, other in pairs]
    refused = check_guards(a, b)
    assert refused.shape == (len(pairs), len(GUARD_NAMES))
    assert refused.dtype == np.bool_
    assert find_refusals(a, b) == [find_refusal(*pair) for pair in pairs]
    for row, pair in zip(refused, pairs, strict=True):
        one_by_one = [find_refusal(*pair, [guard]) is not None for guard in GUARD_NAMES]
        assert row.tolist() == one_by_one


def test_only_the_guards_asked_for_refuse():
    pair = ("Is C# fun in 3 days?", "Is C++ fun in 5 days?")
    assert find_refusal(*pair, ["symbols"])[0] == "symbols"
    assert find_refusal(*pair, ["symbols", "numbers"])[0] == "symbols"
    assert find_refusal(*pair, ["numbers", "symbols"])[0] == "numbers"
    assert find_refusal(*pair, []) is None
    assert check_guards([pair[0]], [pair[1]], []).shape == (1, 0)


def test_an_unknown_guard_is_named():
    for call in (
        lambda: find_refusal("a", "a", ["number"]),
        lambda: check_guards([], [], ["number"]),
    ):
        with pytest.raises(UsageError, match="unknown guard 'number'"):
            call()


def test_the_reason_says_what_differs():
    assert find_refusal("in 3 days", "in five days") == ("numbers", "3 against 5")
    assert find_refusal("Is 10 km far?", "Is 10 miles far?") == (
        "numbers",
        "10 kilometre against 10 mile",
    )
    assert find_refusal("enable it", "disable it") == ("negation", "disable against enable")
    assert find_refusal("how tall is messi", "how tall is ronaldo") == (
        "names",
        "messi against ronaldo",
    )


def test_a_long_text_costs_time_in_proportion():
    short = "How do I move 3 files from Paris to London, and not from London? " * 40
    seconds = []
    for text in (short, short * 20):
        started = time.perf_counter()
        find_refusal(text, text + " no")
        seconds.append(time.perf_counter() - started)
    assert seconds[1] < 100 * seconds[0] + 0.5


@pytest.mark.parametrize("text", ["", " ", "?", "🙂", "\x00", "\ud800", "1" * 5000, "- - -", "٣ ३"])
def test_odd_texts_are_read(text):
    assert find_refusal(text, text + "!") is None or text.strip() == ""
    assert isinstance(find_refusal(text, "How do I buy 3 of C++?"), tuple | None)
