from __future__ import annotations

import ast
import json
import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from frugalctl.levers.compress import lossless, structural
from frugalctl.levers.compress.comments_lexer import LANGUAGES
from frugalctl.levers.compress.pieces import Kind, Part, Piece, Segment, Span
from frugalctl.levers.compress.protect import find_protected, verify_protected
from frugalctl.levers.compress.segments import cut_pieces, parse_segments
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.levers.compress.structural_records import RECORDS, read_table


def shorten(
    text: str, kind: Kind, language: str = "", *, protect: bool = False, **switches: bool
) -> list[Piece]:
    segments = (Segment(0, len(text), kind, language=language),)
    protected = find_protected(text, (), segments) if protect else ()
    part = Part(text, segments=segments, protected=protected)
    settings = CompressSettings(**switches)
    pieces = lossless.apply(part, [Piece(0, len(text), text)], settings)
    pieces = structural.apply(part, pieces, settings)
    verify_protected(part, pieces)
    return pieces


def shorten_text(text: str, kind: Kind, language: str = "", **switches: bool) -> str:
    return "".join(piece.text for piece in shorten(text, kind, language, **switches))


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(), st.sampled_from(["", "1", "null", " a", "a\t", "NaN", "-1e5"]),
    st.sampled_from(['"', "{x}", "\x85", "\ud800"]),
)  # fmt: skip
KEYS = st.text() | st.sampled_from(["id", "name", "1", "", "a\tb", '"q', " k"])
RECORDS_OF = st.lists(
    st.dictionaries(
        KEYS, SCALARS | st.lists(SCALARS) | st.dictionaries(st.text(), SCALARS), min_size=1
    ),
    min_size=3,
    max_size=12,
)


@given(RECORDS_OF, st.sampled_from([None, 2]), st.booleans())
def test_records_read_back_equal(records, indent, ascii_only):
    text = json.dumps(records, indent=indent, ensure_ascii=ascii_only)
    assert_reads_back(text, records)


@given(st.lists(st.tuples(*[SCALARS] * 4), min_size=6, max_size=20), st.booleans())
def test_regular_records_become_a_table(rows, lines):
    records = [dict(zip(("id", "name", "1", ""), row, strict=True)) for row in rows]
    text = "\n".join(map(json.dumps, records)) if lines else json.dumps(records, indent=1)
    pieces = shorten(text, "json")
    assert sum(piece.reason == RECORDS and piece.text != "" for piece in pieces) == len(rows) + 1
    assert_reads_back(text, records)


def assert_reads_back(text: str, records: list[dict[str, object]]) -> None:
    short = shorten_text(text, "json")
    if short.startswith("["):
        assert json.loads(short) == records
    else:
        # repr tells 1 from 1.0 and True.
        assert repr([sorted(r.items()) for r in read_table(short)]) == repr(
            [sorted(r.items()) for r in records]
        )


def test_records_inside_an_object_stand_in_their_place():
    items = [{"id": at, "name": f"n {at}", "price": 1.50} for at in range(4)]
    text = json.dumps({"total": 4, "page": {"items": items}, "next": None}, indent=2)
    assert shorten_text(text, "json") == (
        '{"total":4,"page":{"items":\nid\tname\tprice\n0\tn 0\t1.5\n1\tn 1\t1.5\n2\tn 2\t1.5\n'
        '3\tn 3\t1.5\n},"next":null}'
    )
    assert json.loads(shorten_text(text, "json", records=False)) == json.loads(text)


def test_numbers_stay_as_they_are_written():
    text = json.dumps([{"identifier": 0, "number": 0}] * 3).replace("0}", "1.50E+400}")
    assert shorten_text(text, "json") == "identifier\tnumber" + "\n0\t1.50E+400" * 3


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1, "a": 2}, {"a": 3}, {"a": 4}]',
        '[{"a": 1}, {"a": 2}]',
        '[{"a": 1}, {"b": 2}, {"c": 3}, {"d": 4}]',
        '[{"a": 1}, 2, {"a": 3}, {"a": 3}]',
        "[{}, {}, {}]",
        "[]",
        "{}",
        '[{"a": 1}, {"a": 2}, {"a": 3',
    ],
)
def test_what_is_no_table_stays_json(text):
    assert shorten_text(text, "json") == shorten_text(text, "json", records=False)


def test_a_table_keeps_protected_spans():
    records = [
        {"url": f"https://example.org/{at}", "text": f"{{name}} pays {at} kg"} for at in range(5)
    ]
    text = json.dumps(records, indent=2)
    short = "".join(piece.text for piece in shorten(text, "json", protect=True))
    assert short.startswith("url\ttext\n")
    assert read_table(short) == records


PAGE = """<!DOCTYPE html>
<html><head><title>Prices &amp; plans</title><style>p { color: red }</style>
<script>var a = "<p>no</p>";</script></head>
<body><!-- hidden --><h1>All <b>plans</b></h1>
<p>See <a href="https://example.org/a">the   list</a>,&nbsp;now. a &lt; b</p>
<ul><li>one</li><li></li><li>two<ol><li>x<li>y</ol></ul>
<table><tr><th>Plan</th><th>Note</th><th>USD</th></tr><tr><td><p>S</p></td><td></td><td>5</td></tr></table>
<pre><code>x = 1
  y &gt; 2</code></pre><p>Call <code>f(x)</code> <img src="a.png" alt="a chart"><br>End</p><h2></h2>
</body></html>
"""


def test_html_becomes_text():
    assert shorten_text(PAGE, "html") == (
        "Prices & plans\n\n# All plans\n\nSee [the list](https://example.org/a), now. a < b\n\n"
        "- one\n- two\n\n"
        "  1. x\n  2. y\n\nPlan | Note | USD\nS |  | 5\n\n```\nx = 1\n  y > 2\n```\n\n"
        "Call `f(x)` a chart\nEnd\n"
    )
    assert shorten_text(PAGE, "html", html=False) == PAGE


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('<p>See <a href="https://a.b/x">it</a>.</p>', "See [it](https://a.b/x)."),
        ('<p><a href="https://a.b">https://a.b</a> x</p>', "https://a.b x"),
        (
            '<p><a href="#top">up</a> <a href="javascript:x()">go</a> <a href="/a">a</a></p>',
            "up go a",
        ),
        ('<p><a href="https://a.b/x">it', "it"),
        ('<p><a href="https://a.b/x"></a>y</p>', "y"),
        ('<p><input type="checkbox" checked> Vegan <input type=radio>No</p>', "[x] Vegan [ ] No"),
        ("<select><option>a<option selected>b</select>", "a\n(selected) b"),
        ('<p><input value="Ann"><input type="hidden" value="x">!</p>', "Ann !"),
    ],
)
def test_links_and_forms_say_what_they_hold(page, text):
    assert shorten_text(page, "html") == text


def test_html_keeps_placeholders():
    text = '<p class="{style}">Dear {name},</p><p><a href="{link}">here</a></p>'
    short = "".join(piece.text for piece in shorten(text, "html", protect=True))
    assert short == "{style}Dear {name},\n\n{link}here"


@pytest.mark.parametrize(
    "text", ["<br><br>", "<script>x</script>", "<p></p>", "<svg><path/></svg>"]
)
def test_html_is_never_emptied(text):
    assert shorten_text(text, "html") == text


@given(
    st.lists(
        st.sampled_from(
            ["<", ">", "<p>", "</p>", "<!--", "-->", "<td>", "<table>", "<tr>", "<li>", "<ol>"]
            + [
                "<pre>",
                "</pre>",
                "<code>",
                "</code>",
                "&amp;",
                "&#x",
                "&#55296;",
                "&bogus;",
                "\r\n",
            ]
            + [
                "<script>",
                "</script>",
                "<svg>",
                "<![CDATA[",
                "<?",
                "</",
                "<a b='",
                "{x}",
                "한글",
                " ",
            ]
        )
        | st.text(max_size=5)
    ).map("".join)
)
def test_html_never_fails_and_loses_no_word(text):
    short = "".join(piece.text for piece in shorten(text, "html", protect=True))
    assert short.strip() or not text.strip()
    short.encode()


class Words(HTMLParser):
    """The slow plain reference: all words outside of tags."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_data(self, data):
        self.found += data.split()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["p", "b", "td", "li", "h2", "div", "pre", "a", "code"]),
            st.text("abc <>&é한", min_size=1),
            st.booleans(),
        ),
        min_size=1,
    )
)
def test_html_keeps_every_word(items):
    text = "".join(
        f"<{tag}>{body.replace('&', '&amp;').replace('<', '&lt;')}"
        + (f"</{tag}>" if closed else "")
        for tag, body, closed in items
    )
    assume("".join(Words(text).found))
    short = re.sub(r"[`|#\-\s]", "", shorten_text(text, "html"))
    assert re.sub(r"\d+\.", "", short) == "".join(Words(text).found)


PYTHON = '''#!/usr/bin/env python
# Copyright 2026 Someone
# What it does.
"""Module."""

import os  # noqa: F401


def f(a):  # the function
    """Doc é
    more."""
    # inside
    x = [  # first
        "# no",
        # second
        a,
    ]
    return x  # type: ignore[return]


class A:
    """Only this."""
'''


def test_python_comments():
    short = shorten_text(PYTHON, "code", "python")
    assert ast.dump(ast.parse(short)) == ast.dump(ast.parse(PYTHON))
    gone = ("# What", "# the function", "# inside", "# first", "# second")
    assert not any(comment in short for comment in gone)
    kept = ("#!/usr", "# Copyright", "# noqa: F401", "# type: ignore[return]", '"# no"')
    assert all(comment in short for comment in kept)
    assert shorten_text(PYTHON, "code") == short
    assert shorten_text(PYTHON, "code", "python", comments=False) == PYTHON


def test_python_docstrings():
    short = shorten_text(PYTHON, "code", "python", docstrings=True, comments=False)
    assert "Module." not in short
    assert "Doc" not in short
    assert "Only this." in short
    assert "# inside" in short

    def strip(code):
        tree = ast.parse(code)
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.FunctionDef)) and ast.get_docstring(node):
                node.body = node.body[1:]
        return ast.dump(tree)

    assert strip(short) == strip(PYTHON)


@given(
    st.lists(
        st.sampled_from(
            ["x = 1", "  # c", "# c", "if x:", "    y = '#'  # c", "s = '''", "'''", "#", "# noqa"]
            + ["(", ")", "é = 2  # ü", "a = 1; b = 2 # c", "\\", "    'doc'", "def f(): # c"]
        )
    ).map("\n".join),
    st.booleans(),
)
def test_python_means_the_same(code, crlf):
    code = code.replace("\n", "\r\n") if crlf else code
    try:
        tree = ast.parse(code)
    except SyntaxError:
        assert shorten_text(code, "code", "python", whitespace=False) == code
        return
    short = shorten_text(code, "code", "python", whitespace=False)
    assert ast.dump(ast.parse(short)) == ast.dump(tree)


SAMPLES = {
    "c": (
        'int a; // gone\n#include "x//y.h"\nchar *s = "/* no */"; /* gone */\n',
        'char *s = "/* no */";',
    ),
    "go": (
        "package a\n//go:build linux\n// gone\nvar s = `// no`\n",
        "//go:build linux\nvar s = `// no`",
    ),
    "javascript": (
        "// gone\nlet s = `/* no */`; // gone\nlet r = /[/*]/; // eslint-disable-line\n",
        "eslint",
    ),
    "typescript": (
        "// @ts-ignore\nlet a: number = 1; // gone\n",
        "// @ts-ignore\nlet a: number = 1;",
    ),
    "java": (
        "/** doc */\nclass A { int a; /* gone */ }\n// gone\n",
        "/** doc */\nclass A { int a;",
    ),
    "csharp": ('class A { string s = @"// no"; } // gone\n', '@"// no"'),
    "cpp": ('auto s = R"(// no)"; // gone\nint a; // NOLINT clang-format\n', 'R"(// no)";'),
    "rust": ("/// doc\nfn f<'a>() {} // gone\n", "/// doc\nfn f<'a>() {}"),
    "bash": ('#!/bin/bash\n# gone\necho "# no" ${x#y} $# # gone\n', 'echo "# no" ${x#y} $#\n'),
    "ruby": ('# frozen_string_literal: true\nx = "#{y} # no" # gone\n', 'x = "#{y} # no"'),
    "php": ("$a = '// no'; // gone\n#[Attr]\nfunction f() {} # gone\n", "#[Attr]"),
    "sql": ("-- gone\nSELECT '-- no' FROM t; /* gone */\n", "SELECT '-- no' FROM t;"),
    "yaml": ("a: 'x # no' # gone\nb: |\n  # no\n", "a: 'x # no'\nb: |\n  # no"),
    "toml": ('a = "# no" # gone\n', 'a = "# no"'),
    "css": ('a { b: url("/* no */"); /* gone */ }\n', 'url("/* no */")'),
    "lua": ("x = '-- no' -- gone\n--[[ gone\n]]\ny = 1\n", "x = '-- no'\ny = 1"),
    "kotlin": ('val s = "// no" // gone\n', 'val s = "// no"\n'),
    "swift": ('let s = "// no" // gone\n', 'let s = "// no"\n'),
    "scala": ('val s = "// no" // gone\n', 'val s = "// no"\n'),
    "r": ("x <- '# no' # gone\n", "x <- '# no'\n"),
}


def test_there_is_a_sample_of_every_lexer():
    assert set(SAMPLES) == set(LANGUAGES.values())


@pytest.mark.parametrize("language", SAMPLES)
def test_comments_of_other_languages(language):
    code, kept = SAMPLES[language]
    short = shorten_text(code, "code", language)
    assert "gone" not in short
    assert kept in short


@pytest.mark.parametrize(
    ("code", "language", "short"),
    [
        ("int/*x*/a;", "c", "int a;"),
        ("return /* a\n b */ x;", "c", "return /* a\n b */ x;"),
        ("let a = <b>http://c</b>; // d", "js", "let a = <b>http://c</b>; // d"),
        ("// nothing else\n", "c", "// nothing else\n"),
        ("# not python = =\n", "", "# not python = =\n"),
        ("// x\nint a;", "brainfuck", "// x\nint a;"),
        ("```python\nx = 1  # a\n```\n", "python", "```python\nx = 1\n```\n"),
        (
            'package a\n// #include <a.h>\nimport "C"\n',
            "go",
            'package a\n// #include <a.h>\nimport "C"\n',
        ),
    ],
)
def test_comments_at_the_edge(code, language, short):
    assert shorten_text(code, "code", language, whitespace=False) == short


LOG = "".join(
    f"2026-01-01T00:00:{at:02d}Z INFO worker-{at % 3} did job {1000 + at} in {at} ms\n"
    for at in range(9)
)


def test_log_lines_are_folded():
    text = LOG + "2026-01-01T00:01:00Z ERROR disk full\n  at x.py:3\n" + LOG.replace("0Z", "9Z")
    short = shorten_text(text, "log")
    assert short == (
        "2026-01-01T00:00:00Z INFO worker-0 did job 1000 in 0 ms\n"
        "[17 more like this until 2026-01-01T00:00:08Z, with in place of 0 1000 0: 1 1001 1 x2; "
        "2 1002 2 x2; 0 1003 3 x2; 1 1004 4 x2; 2 1005 5 x2; 0 1006 6 x2; 1 1007 7 x2; "
        "2 1008 8 x2; 0 1000 0]\n2026-01-01T00:01:00Z ERROR disk full\n  at x.py:3\n"
    )
    assert shorten_text(text, "log", logs=False) == text


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["job {} took {}", "user={} path={}", 'GET "{}" {}', "same", "  at {} {}"]
            ),
            st.integers(0, 3) | st.sampled_from(["a1b2c3d4e5", "10.0.0.1", "x{y}"]),
            st.integers(0, 99),
        ),
        max_size=30,
    ),
    st.booleans(),
)
def test_a_log_keeps_every_value(lines, timed):
    texts = [
        f"12:00:{at:02d} " * timed + template.format(first, second)
        for at, (template, first, second) in enumerate(lines)
    ]
    text = "\n".join(texts)
    short = "".join(piece.text for piece in shorten(text, "log", protect=True))
    assert len(short) <= len(text)
    assert bool(short.strip()) == bool(text.strip())
    for template, first, second in lines:
        words = template.format(first, second).split()
        values = template.count("{}") and [str(first), str(second)]
        assert all(value in short for value in values or words)


def test_lines_with_what_may_not_go_are_not_folded():
    text = LOG + LOG.splitlines()[0]
    at = text.index("job 1004")
    segments = (Segment(0, len(text), "log"),)
    part = Part(text, segments=segments, protected=(Span(at, at + 8, "pattern"),))
    pieces = structural.apply(part, [Piece(0, len(text), text)], CompressSettings())
    verify_protected(part, pieces)
    short = "".join(piece.text for piece in pieces)
    assert short.count("1004") == 1
    assert "[8 more like this" in short


def test_locked_segments_stay():
    part = Part(LOG, segments=(Segment(0, len(LOG), "log", locked=True),))
    assert structural.apply(part, [Piece(0, len(LOG), LOG)], CompressSettings()) == [
        Piece(0, len(LOG), LOG)
    ]


FRAGMENTS = [
    "```python\n",
    "```json\n",
    "```\n",
    "~~~\n",
    "<p>",
    "</p>\n",
    "<table><tr><td>",
    "{x}",
    "{{y}}",
    "\r\n",
    "\n",
    "\n\n\n\n",
    "     ",
    "한글",
    "\\ud55c\\uae00",
    "|  a | b |\n|---|---|\n| 1  |  2 |\n",
    "Question: why?\n",
    "Document [1](Title: a) ",
    "2026-01-01 00:00:00 INFO x 1\n",
    "\ufeff",
    "\u202eabc",
    "2026-01-01 00:00:01 INFO x 2 kg\n",
    "# c\nx = 1 # d\n",
    '{"a": 1, "b": "5 kg"}',
    "<html><body>",
    '[{"a": 1}, {"a": 2}, {"a": 3}]\n',
    f"{'same long text ' * 20}\n\n",
    "<!-- x -->",
    "- item  x\n",
    "http://a.b/c?d=1 ",
    "<style>p{color:red}</style>",
    "\U0001f600",
]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join))
def test_any_prompt_keeps_what_is_protected(text):
    segments = parse_segments(text)
    part = Part(text, segments=segments, protected=find_protected(text, (), segments))
    settings = CompressSettings(docstrings=True)
    pieces = lossless.apply(part, cut_pieces(text, segments), settings)
    verify_protected(part, pieces)
    assert lossless.apply(part, pieces, settings) == pieces
    pieces = structural.apply(part, pieces, settings)
    verify_protected(part, pieces)
    assert bool("".join(piece.text for piece in pieces).strip()) == bool(text.strip())


@pytest.mark.parametrize(
    ("kind", "language"),
    [("html", ""), ("log", ""), ("json", ""), ("code", "python"), ("code", "c")],
)
@pytest.mark.parametrize(
    "text",
    ["<a " * 300_000, "<!--" * 250_000, "<p>a b" * 30_000, "&" * 100_000, "1 " * 500_000]
    + ["<a b='" * 160_000, '[{"a":1},' * 100_000, "a=" * 500_000, "a1" * 500_000, "</" * 500_000],
)
def test_a_megabyte_takes_linear_time(text, kind, language):
    start = time.process_time()
    shorten(text, kind, language)
    assert time.process_time() - start < 10
