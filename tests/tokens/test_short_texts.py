"""Short texts have the same tokens with and without tiktoken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.tokens.families import CL100K, O200K
from frugalctl.tokens.short import MOST_CHARS
from frugalctl.tokens.vocabulary import _load_short, _load_tiktoken, load_encoder

WORDS = st.sampled_from(
    "the| price|  |\n\n|\r\n|'s|I'LL|12345| €|—|안녕|하세요|naïve|ÀÉ|漢字|カナ|://|\t|x_y|{}|"
    " https|aaaaaaaa|?!..|\x00|<endoftext>".split("|")
)
LETTERS = st.characters(min_codepoint=0, max_codepoint=0x24F)
HANGUL = st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3)
TEXTS = st.one_of(
    st.lists(WORDS, max_size=20).map("".join),
    st.text(LETTERS, max_size=60),
    st.text(st.one_of(LETTERS, HANGUL), max_size=30),
)


@pytest.mark.parametrize("encoding", [O200K, CL100K])
@given(text=TEXTS)
def test_the_same_tokens_as_tiktoken(encoding, text):
    short = _load_short(encoding)
    short._left = MOST_CHARS
    full = _load_tiktoken(encoding)
    found = short.encode(text)
    assert found == full.encode_ordinary(text)
    assert short.decode(found) == full.decode_tokens_bytes(found)


def test_long_and_unknown_texts_are_left_to_tiktoken():
    short = _load_short(O200K)
    short._left = MOST_CHARS
    assert short.encode("\U0001f600") is None
    assert short.encode("q" * 2000) is None
    assert short.encode("word " * 1000) is not None
    assert short.encode("word " * MOST_CHARS) is None
    assert short.encode("word") is None
    text = "word " * 2000 + "\U0001f600" + "q" * 2000
    assert load_encoder(O200K)(text) == _load_tiktoken(O200K).encode_ordinary(text)
