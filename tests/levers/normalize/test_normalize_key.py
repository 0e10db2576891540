import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frugalctl.levers.normalize.key import make_key

SENTENCES = st.one_of(
    st.text(max_size=60),
    st.text(alphabet="aB ?!.\n\u00a0ßſİıͅé한ㄱ。？", max_size=20),
)


def slow_key(text):
    """The key by its definition: drop one character at a time from the end."""
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
    words = " ".join(folded.split())
    shorter = words
    while shorter and shorter[-1] in " ?!.。？！．｡؟۔":
        shorter = shorter[:-1]
    return shorter or words


@given(SENTENCES)
@example("\u0345")
@example("ǰ̣")
def test_the_key_is_what_its_definition_says(text):
    assert make_key(text) == slow_key(text)


@given(SENTENCES)
@example("ᾳ\u0345 ?")
def test_a_key_is_its_own_key(text):
    assert make_key(make_key(text)) == make_key(text)


@given(SENTENCES)
def test_composed_and_decomposed_texts_have_one_key(text):
    forms = {make_key(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert forms == {make_key(text)}


@given(
    SENTENCES.filter(lambda text: make_key(text).strip("?!.。？！．｡؟۔ ")),
    st.text("?!. ", max_size=4),
)
def test_punctuation_at_the_end_does_not_count(text, end):
    assert make_key(text + end) == make_key(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is C?", "what  is c"),
        ("Straße", "STRASSE"),
        ("안녕하세요？", "안녕하세요"),
        ("你好。", "你好"),
        ("كيف حالك؟", "كيف حالك"),
        ("\tHello\u00a0world \n", "hello world!"),
        (unicodedata.normalize("NFD", "비밀번호"), "비밀번호"),
    ],
)
def test_what_asks_the_same_has_one_key(one, other):
    assert make_key(one) == make_key(other)


def test_what_differs_keeps_its_own_key():
    texts = [
        "c", "c++", "c#", ".net", "net", "1.5", "15", "a-b", "a b", "a, b", "x²", "x2", "?", "...",
        "!", "", "node.js", "node js", "don't", "dont", "２", "2", "paris to rome", "rome to paris",
    ]  # fmt: skip
    assert len({make_key(text) for text in texts}) == len(texts)


def test_nothing_but_punctuation_keeps_it():
    assert make_key(" ?!  ") == "?!"
    assert make_key("...") == "..."
    assert make_key("   ") == ""
