import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from frugalctl.errors import ConfigError
from frugalctl.levers.normalize import (
    STEPS,
    NormalizeSettings,
    make_normalizer,
    measure_meetings,
    parse_normalize_table,
)
from frugalctl.levers.normalize.steps import load_words, make_dropper, make_replacer, split_words

WORD_STEPS = [step for step in STEPS if step != "korean"]
PHRASES = [
    phrase
    for words in load_words()
    for phrase in (
        *words.modifiers,
        *words.stop_words,
        *itertools.chain.from_iterable(words.synonyms),
    )
]
TEXTS = st.lists(
    st.one_of(st.sampled_from(PHRASES), st.sampled_from("a b c++ c# 3 not rome 파스타 ?".split())),
    max_size=8,
).map(" ".join)
STEP_SETS = st.sets(st.sampled_from(WORD_STEPS)).map(tuple)


def reduce_one(text, *steps, **words):
    return make_normalizer(NormalizeSettings(steps, **words)).reduce([text])[0]


def slow_drop(words, phrases):
    """Drop at each word the longest phrase that begins there."""
    out = []
    while words:
        fitting = [phrase for phrase in phrases if phrase and words[: len(phrase)] == phrase]
        if fitting:
            words = words[max(map(len, fitting)) :]
        else:
            out.append(words[0])
            words = words[1:]
    return tuple(out)


@given(st.lists(st.sampled_from("abc"), max_size=9), st.lists(st.text("abc ", max_size=5)))
def test_dropping_phrases_equals_the_slow_way(words, phrases):
    expected = slow_drop(tuple(words), [tuple(phrase.split()) for phrase in phrases])
    assert make_dropper(phrases)(tuple(words)) == expected


@given(TEXTS, STEP_SETS)
def test_reducing_twice_changes_nothing(text, steps):
    once = reduce_one(text, *steps)
    assert reduce_one(once, *steps) == once


@given(TEXTS, STEP_SETS)
def test_a_text_is_never_reduced_to_nothing(text, steps):
    assert bool(reduce_one(text, *steps)) == bool(text)


@given(TEXTS)
def test_without_steps_a_reduction_is_the_safe_key(text):
    normalizer = make_normalizer()
    assert normalizer.reduce([text]) == normalizer.make_keys([text])


@given(TEXTS, STEP_SETS)
def test_no_step_changes_the_safe_key(text, steps):
    assert make_normalizer(NormalizeSettings(steps)).make_keys([text]) == (
        make_normalizer().make_keys([text])
    )


@given(st.permutations("how reset password 3 not".split()))
def test_word_order_makes_orders_equal(words):
    assert reduce_one(" ".join(words), "word-order") == "3 how not password reset"


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [
        ("Could you please tell me what is a monad?", "what is a monad", ["modifiers"]),
        ("How do I fix my sink", "How can I repair my sink?", ["synonyms"]),
        ("What's a monad", "what is a monad", ["synonyms"]),
        ("the price of gold", "price gold", ["stop-words"]),
        ("맛있는 파스타 레시피 알려줘", "파스타 레시피 좀 알려주세요", ["synonyms", "modifiers"]),
        ('Please, reset "it"', "reset it", ["modifiers"]),
    ],
)
def test_steps_bring_wordings_together(one, other, steps):
    assert reduce_one(one, *steps) == reduce_one(other, *steps)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is C?", "What is C++?"),
        ("What is C#?", "What is C++?"),
        ("is it safe", "is it not safe"),
        ("how to log in", "why log in"),
        ("give me 3 apples", "give me 4 apples"),
        ("paris to rome", "paris from rome"),
        ("what is .net", "what is net"),
    ],
)
def test_steps_keep_what_changes_the_question(one, other):
    assert reduce_one(one, *WORD_STEPS) != reduce_one(other, *WORD_STEPS)


def test_the_steps_come_in_one_order():
    there = make_normalizer(NormalizeSettings(("word-order", "synonyms")))
    back = make_normalizer(NormalizeSettings(("synonyms", "word-order")))
    assert there.name == back.name
    assert there.reduce(["how do i zip"]) == back.reduce(["how do i zip"]) == ["how to zip"]


def test_the_name_changes_with_everything_that_a_key_depends_on():
    settings = [
        NormalizeSettings(),
        NormalizeSettings(("synonyms",)),
        NormalizeSettings(("synonyms",), synonyms=(("car", "auto"),)),
        NormalizeSettings(("synonyms",), synonyms=(("car", "autos"),)),
        NormalizeSettings(("modifiers",)),
        NormalizeSettings(("modifiers",), modifiers=("car",)),
        NormalizeSettings(("modifiers", "stop-words"), modifiers=("car",)),
        NormalizeSettings(("modifiers", "stop-words"), stop_words=("car",)),
    ]
    assert len({make_normalizer(one).name for one in settings}) == len(settings)


def test_the_users_own_synonyms_count():
    groups = (("mobile phone", "phone", "handset"), ("invoice", "bill"))
    reduced = [
        reduce_one(text, "synonyms", synonyms=groups)
        for text in ("my phone bill", "my mobile phone invoice", "my handset bill")
    ]
    assert reduced == ["my mobile phone invoice"] * 3


def test_synonyms_in_a_ring_end():
    step = make_replacer([("a", "b"), ("b", "c"), ("c", "a")])
    for word in "abc":
        assert step(step((word,))) == step((word,))


@given(st.lists(st.lists(st.text("abc ", min_size=1, max_size=4), min_size=1), max_size=5), TEXTS)
def test_any_synonyms_end_in_a_text(groups, text):
    assume(all(member.strip() for group in groups for member in group))
    own = tuple(map(tuple, groups))
    reduced = reduce_one(f"{text} a b c", "synonyms", synonyms=own)
    assert reduced


def test_words_lose_the_punctuation_around_them_only():
    assert split_words('Hi, "C++" (or C#)? node.js, .NET!') == (
        "hi", "c++", "or", "c#", "node.js", ".net",
    )  # fmt: skip


def test_meetings_count_what_a_cache_would_serve():
    texts = ["How do I fix it?", "how do i fix it", "How can I repair it", "please repair it", "x"]
    found = measure_meetings(
        texts, NormalizeSettings(("synonyms",)), groups=["a", "a", "b", "b", "c"]
    )
    assert [(one.step, one.texts, one.hits, one.wrong) for one in found] == [
        ("as written", 5, 0, 0),
        ("key", 5, 1, 0),
        ("synonyms", 5, 2, 1),
    ]
    assert measure_meetings(texts, NormalizeSettings())[0].wrong is None


def test_a_table_gives_settings(tmp_path):
    (tmp_path / "words.toml").write_text('invoice = ["bill", "receipt"]\n', "utf-8")
    table = {"steps": ["modifiers", "synonyms"], "synonyms": "words.toml", "modifiers": ["ahoy"]}
    assert parse_normalize_table(table, tmp_path) == NormalizeSettings(
        ("synonyms", "modifiers"), synonyms=(("invoice", "bill", "receipt"),), modifiers=("ahoy",)
    )
    inline = {"steps": ["synonyms"], "synonyms": {"invoice": ["bill"]}}
    assert parse_normalize_table(inline, None).synonyms == (("invoice", "bill"),)
    assert parse_normalize_table({}, None) == NormalizeSettings()


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        ({"step": []}, "unknown key 'step'", "did you mean 'steps'?"),
        ({"steps": ["synonym"]}, "unknown step 'synonym'", "did you mean 'synonyms'?"),
        ({"steps": "synonyms"}, "steps is not a list of texts", ""),
        ({"steps": [3]}, "steps is not a list of texts", ""),
        ({"steps": ["synonyms"], "synonyms": 3}, "neither a file nor a table", "invoice"),
        ({"steps": ["synonyms"], "synonyms": {"a": "b"}}, "synonyms 'a' is not a list", ""),
        ({"steps": ["synonyms"], "synonyms": {"a": [" "]}}, "synonyms 'a' is not a list", ""),
        ({"synonyms": {"a": ["b"]}}, "has synonyms, and no such step", '"synonyms"'),
        ({"steps": ["synonyms"], "synonyms": "nowhere.toml"}, "cannot be read", ""),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path, table, message, hint):
    with pytest.raises(ConfigError, match=message) as error:
        parse_normalize_table(table, tmp_path)
    assert hint in error.value.hint


@pytest.mark.parametrize("content", [b"\xff", b"a = [", b"a = 3", b"a = [3]"])
def test_a_broken_file_of_synonyms_is_named(tmp_path, content):
    (tmp_path / "words.toml").write_bytes(content)
    with pytest.raises(ConfigError) as error:
        parse_normalize_table({"steps": ["synonyms"], "synonyms": "words.toml"}, tmp_path)
    line = "" if content.endswith((b"3", b"3]")) else ":1"
    assert error.value.where == f"{tmp_path / 'words.toml'}{line}"
