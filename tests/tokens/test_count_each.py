"""Tokens of neighbouring texts from one cut of them all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.tokens import count_each, count_text, encode_text
from frugalctl.tokens.vocabulary import _load_tiktoken

TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            ["", " ", "\n\n", "the river ", "한국어 문장", "👩\u200d👩\u200d👧", "x" * 40]
        ),
        st.text(st.characters(exclude_categories=("Cs",)), max_size=12),
    ),
    max_size=8,
)


def count_slowly(texts, model):
    """A token belongs to the text in which its first byte is."""
    encoding = _load_tiktoken("o200k_base")
    owners = [at for at, text in enumerate(texts) for _ in text.encode()]
    counts, place = [0] * len(texts), 0
    for token in encode_text("".join(texts), model):
        counts[owners[place]] += 1
        place += len(encoding.decode_single_token_bytes(token))
    return counts


@given(TEXTS)
def test_equals_the_slow_way_and_adds_up(texts):
    counts = count_each(texts, "gpt-4o")
    assert counts == count_slowly(texts, "gpt-4o")
    assert sum(counts) == count_text("".join(texts), "gpt-4o")


def test_texts_longer_than_a_piece():
    texts = ["word " * 30_000, "가 " * 10, "end"]
    assert sum(count_each(texts, "gpt-4o")) == count_text("".join(texts), "gpt-4o")


@pytest.mark.parametrize("model", ["claude-2", "gpt-4"])
def test_other_vocabularies(model):
    texts = ["The Nile is long. ", "", "한국어"]
    assert count_each(texts, model)[0] == count_text(texts[0], model)
    assert count_each([], model) == []
