from __future__ import annotations

import ast
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.compress import lossless
from frugalctl.levers.compress.pieces import Kind, Part, Piece, Segment, Span
from frugalctl.levers.compress.protect import find_protected, verify_protected
from frugalctl.levers.compress.settings import CompressSettings

SETTINGS = CompressSettings()
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
LINES = st.lists(
    st.sampled_from(
        [
            "a  b",
            "  - item  two",
            "",
            "   ",
            "| a   |b |",
            "|----|---|",
            " | a\\|  b |c",
            "```",
            "x = 1  ",
            "\r",
            "\\ud55c",
        ]
        + [
            "\\u0041\\u00e9",
            "the same long line " * 14,
            "한글  text",
            "\t",
            "a | b",
            "- |  - |",
            "~~~",
            '"',
        ]
    )
)


def make_part(
    text: str, kind: Kind = "prose", language: str = "", protected: tuple[Span, ...] = ()
):
    return Part(
        text, segments=(Segment(0, len(text), kind, language=language),), protected=protected
    )


def shorten(part: Part, settings: CompressSettings = SETTINGS) -> list[Piece]:
    pieces = lossless.apply(part, [Piece(0, len(part.text), part.text)], settings)
    verify_protected(part, pieces)
    return pieces


def shorten_text(text: str, kind: Kind = "prose", language: str = "", **switches: bool) -> str:
    pieces = shorten(make_part(text, kind, language), CompressSettings(**switches))
    return "".join(piece.text for piece in pieces)


@given(JSON_VALUES, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_json_reads_back_equal(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    short = shorten_text(text, "json")
    assert json.loads(short) == value
    assert len(short) <= len(text)
    assert shorten_text(short, "json") == short


@given(JSON_VALUES)
def test_json_is_as_short_as_the_encoder_makes_it(value):
    text = json.dumps(value, indent=4, ensure_ascii=False)
    assert shorten_text(text, "json") == json.dumps(
        value, separators=(",", ":"), ensure_ascii=False
    )


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ('{ "a" : 1.50e+400, "a" : 00 }', '{ "a" : 1.50e+400, "a" : 00 }'),
        ('{ "a" : 1.50e+400, "a" : 2 }', '{"a":1.50e+400,"a":2}'),
        ("[ " + "9" * 5000 + " ]", "[" + "9" * 5000 + "]"),
        (r'[ "\u0022 \u005c \n \ud83d\ude00 \ud83d \u200b \\u0041 \u0041" ]', None),
        ('{"a": 1}\n\n{"a": 2}\n', '{"a":1}\n\n{"a":2}\n'),
        ('{"a": 1, // why\n "b": 2}', '{"a": 1, // why\n "b": 2}'),
        ('{"a": {{x}}, "b": 2}', '{"a": {{x}}, "b": 2}'),
        ("[ NaN ]", "[ NaN ]"),
        ("[" * 100_000 + "  " + "]" * 100_000, "[" * 100_000 + "  " + "]" * 100_000),
    ],
)
def test_json_keeps_what_is_written(text, short):
    if short is None:
        short = '["\\u0022 \\u005c \\n \U0001f600 \\ud83d \\u200b \\\\u0041 A"]'
    assert shorten_text(text, "json") == short


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("a\n\n\n\nb", "a\n\nb"),
        ("a\r\n \r\n\t\r\nb", "a\r\n\r\nb"),
        ("a  \n  - b\n      - c\t\n", "a\n  - b\n      - c\n"),
        ("one  two   three", "one two three"),
        ("-   item  a", "-   item a"),
        ("name    age\nAnn     31\nJo      7", "name    age\nAnn     31\nJo      7"),
        ("a\n```\nx  =  1  \n\n\n\n```\nb\n\n\n", "a\n```\nx  =  1\n\n\n\n```\nb\n\n"),
        ("a\n```\ns = '''  \n'''\n```\n", "a\n```\ns = '''  \n'''\n```\n"),
        ("", ""),
    ],
)
def test_white_space(text, short):
    assert shorten_text(text) == short


@pytest.mark.parametrize(
    "code",
    ['x = """a  \nb"""  \n', "a \\  \nb", 'echo "a  \nb"  \n', "`a  \n`  ", "key: |  \n  a  \n"],
)
def test_strings_over_lines_keep_their_spaces(code):
    assert shorten_text(code, "code", "sh") == code


def test_code_parses_to_the_same():
    code = "def f():  \n    x = 'a  '\n\n\n\n    return x  \n"
    short = shorten_text(code, "code", "python")
    assert short == "def f():\n    x = 'a  '\n\n\n\n    return x\n"
    assert ast.dump(ast.parse(short)) == ast.dump(ast.parse(code))


def test_markdown_tables_are_unpadded():
    text = "x\n| a     | b  |\n|-------|:----|\n| x \\|  y  |    |\na   | b\n\n| no    | table |\n"
    assert shorten_text(text) == ("x\n|a|b|\n|---|:---|\n|x \\|  y||\na|b\n\n| no    | table |\n")
    assert shorten_text(text, tables=False, whitespace=False) == text


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (r"\ud55c\uae00 ok", "한글 ok"),
        (r"caf\u00e9", r"caf\u00e9"),
        (r"\u0041\u0042", r"\u0041\u0042"),
        (r"\\ud55c\uae00\uae00", r"\\ud55c\uae00\uae00"),
        (r"\\\ud55c\uae00", r"\\\ud55c\uae00"),
        (r"\ud83d\ude00", "\U0001f600"),
        (r"\ud83d\ud83d", r"\ud83d\ud83d"),
        (r"\u200b\u200b", r"\u200b\u200b"),
    ],
)
def test_escapes(text, short):
    assert shorten_text(text) == short
    assert shorten_text(text, "code") == text


LONG = " ".join(f"word{at}" for at in range(60))
OTHER = " ".join(f"other{at}" for at in range(60))


def test_repeated_blocks_are_referred_to():
    text = f"{LONG}\n\n{OTHER}\n\nshort\n\nshort\n\n{LONG}\n\n{OTHER}\n\nend {LONG}\n"
    short = shorten_text(text)
    first = "word0 word1 word2 word3 word4 word5 word6 word7"
    assert short == (
        f"{LONG}\n\n{OTHER}\n\nshort\n\nshort\n\n[same 2 paragraphs as above: {first} ...]\n\n"
        f"end {LONG}\n"
    )
    assert shorten_text(text, repeats=False) == text


def test_a_reference_is_never_ambiguous():
    one, two = f"{LONG} one", f"{LONG} two"
    text = f"{one}\n\n{two}\n\n{one}\n"
    assert shorten_text(text) == text


def test_locked_and_protected_stay():
    text = "a  b\n\n\n\nc  d\n\n\n\ne  f"
    segments = (Segment(0, 8, "instruction", locked=True), Segment(8, len(text), "prose"))
    part = Part(text, segments=segments, protected=(Span(8, 12, "pattern"),))
    assert "".join(p.text for p in shorten(part)) == "a  b\n\n\n\nc  d\n\ne f"


@given(LINES, st.booleans())
def test_twice_is_once(lines, crlf):
    text = ("\r\n" if crlf else "\n").join(lines)
    segments = (Segment(0, len(text), "prose"),)
    part = Part(text, segments=segments, protected=find_protected(text, (), segments))
    pieces = shorten(part)
    assert lossless.apply(part, pieces, SETTINGS) == pieces
    short = "".join(piece.text for piece in pieces)
    again = make_part(short, protected=find_protected(short))
    assert "".join(piece.text for piece in shorten(again)) == short


@pytest.mark.parametrize(
    "text",
    [" " * 1_000_000, "a  " * 60_000, "\\ud55c" * 160_000, "| " * 500_000, "a \n" * 60_000]
    + ["`" * 1_000_000, "\n" * 1_000_000, "-" * 500_000 + "|", "-|" * 500_000, '"' * 500_000],
)
@pytest.mark.parametrize("kind", ["prose", "code", "json"])
def test_a_megabyte_takes_linear_time(text, kind):
    start = time.process_time()
    shorten_text(text, kind)
    assert time.process_time() - start < 10
