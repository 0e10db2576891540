"""Where texts are cut: sentences, turns, rows, statements; always in linear time."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.compress.sentences import LONGEST_UNIT, find_starts, is_dialogue


def cut(text, kind="prose"):
    starts = find_starts(text, kind)
    return [text[a:b].strip() for a, b in pairwise([*starts, len(text)])]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("It cost 3.50 EUR. Mr. Smith paid.", ["It cost 3.50 EUR.", "Mr. Smith paid."]),
        ("See e.g. the map. J. R. Moss drew it.", ["See e.g. the map.", "J. R. Moss drew it."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Wait... what? Yes.", ["Wait... what?", "Yes."]),
        ("東京は大きい。「本当？」はい。", ["東京は大きい。", "「本当？」", "はい。"]),
        ("비가 온다. 우산을 챙겼나요? 네!", ["비가 온다.", "우산을 챙겼나요?", "네!"]),
        ("Title\n\nA line. More.", ["Title", "A line.", "More."]),
        ("Things:\n- one\n- two\n1. three", ["Things:", "- one", "- two", "1. three"]),
        (
            "This line is long enough to have been wrapped by an editor\nat its end. Next.",
            [
                "This line is long enough to have been wrapped by an editor\nat its end.",
                "Next.",
            ],
        ),
        ("  \n ", []),
    ],
)
def test_sentences(text, units):
    assert cut(text) == units


def test_turns():
    text = "Anna: hi there. How are you?\nBen: fine.\nAnna: good, so\nlet us start.\nBen: yes."
    assert is_dialogue(text)
    assert cut(text) == [
        "Anna: hi there. How are you?",
        "Ben: fine.",
        "Anna: good, so\nlet us start.",
        "Ben: yes.",
    ]
    assert not is_dialogue("Note: this is prose.\nIt goes on.\nAnd on.\nAnd on again.")


def test_statements_are_not_cut():
    code = (
        "import os\n\ntotal = (1 +\n2)\n\ndef f(a,\nb):\n    return a\n\n"
        'text = """\nnot code\n"""\nif total:\n    pass\nelse:\n    f()\n'
    )
    assert cut(code, "code") == [
        "import os",
        "total = (1 +\n2)",
        "def f(a,\nb):\n    return a",
        'text = """\nnot code\n"""',
        "if total:\n    pass\nelse:\n    f()",
    ]


def test_braces_close_their_statement():
    code = "int main() {\n  f('{');\n}\nvoid g()\n{\n}\nint x; // {\nint y;\n"
    assert cut(code, "code")[0] == "int main() {\n  f('{');\n}"
    assert cut(code, "code")[-2:] == ["int x; // {", "int y;"]


def test_an_entry_of_a_log_has_its_trace():
    log = "10:01 ERROR no\n  at f\n  at g\n10:02 INFO ok\n"
    assert cut(log, "log") == ["10:01 ERROR no\n  at f\n  at g", "10:02 INFO ok"]


@pytest.mark.parametrize("kind", ["json", "html", "exemplar", "tool_call"])
def test_whole_kinds(kind):
    assert find_starts(" One. Two.\nThree.", kind) == [1]


@given(st.text(st.sampled_from("ab .!?\n\t\"'(){}[]#/*\\:：。「」-|é한🙂\u200d"), max_size=300))
def test_starts_are_increasing_and_at_characters(text):
    for kind in ("prose", "document", "code", "log", "table"):
        starts = find_starts(text, kind)
        assert starts == sorted(set(starts))
        assert all(0 <= at < len(text) for at in starts)
        assert (not starts) == (not text.strip())
        if starts:
            assert not text[: starts[0]].strip()


@pytest.mark.parametrize(
    "text", ["x" * 300_000, "word " * 60_000, "문장이 길다, " * 40_000, "e\u0301" * 100_000]
)
def test_long_units_are_cut(text):
    starts = find_starts(text, "prose")
    sizes = [b - a for a, b in pairwise([*starts, len(text)])]
    assert max(sizes) <= LONGEST_UNIT + 2
    assert all(text[at] != "\u0301" for at in starts)


SIGNS = (".", "!?", " ", "\n", "\t \n", '"', '\\"', "'", "(", "a: \n", "。", "-\n", "`", "#")


@pytest.mark.parametrize("sign", SIGNS)
def test_time_is_linear(sign):
    for kind in ("prose", "code", "log", "table"):
        text = sign * (400_000 // len(sign))
        start = time.process_time()
        find_starts(text, kind)
        assert time.process_time() - start < 5
