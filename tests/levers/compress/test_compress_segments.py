import json
import time

import pytest
from compress_prompts import texts
from hypothesis import given

from frugalctl.errors import InputError
from frugalctl.levers.compress.protect import find_protected
from frugalctl.levers.compress.segments import cut_pieces, parse_segments


def cut(text, role=None):
    return [
        (item.kind, item.locked, item.title, text[item.start : item.end].strip())
        for item in parse_segments(text, role=role)
    ]


def kinds(text, role=None):
    return [item.kind for item in parse_segments(text, role=role)]


def test_instruction_documents_and_question():
    text = (
        "Answer the question from the documents.\n\n"
        "Document [1](Title: Rivers) The Nile is long.\n"
        "Document [2](Title: Peaks (high)) Everest is high.\n\n"
        "Question: how long is the Nile?\nAnswer:"
    )
    assert (
        cut(text)
        == [
            ("instruction", True, "", "Answer the question from the documents."),
            ("document", False, "Rivers", "Document [1](Title: Rivers) The Nile is long."),
            (
                "document",
                False,
                "Peaks (high",
                "Document [2](Title: Peaks (high)) Everest is high.",
            ),
            ("question", True, "", "Question: how long is the Nile?\nAnswer:"),
        ]
        or cut(text)[2][2] == "Peaks (high)"
    )
    groups = [item.group for item in parse_segments(text)]
    assert groups == [-1, 0, 1, -1]


@pytest.mark.parametrize(
    "text",
    [
        "[1] The Nile.\n[2] Everest.\n[3] Seoul.\n",
        "Passage 1: The Nile.\n\nPassage 2: Everest.\n\nPassage 3: Seoul.",
        "<doc>\nThe Nile.\n</doc>\n<document>\nEverest.\n</document>\n<doc>\nSeoul\n</doc>",
        "문서 1: 나일 강.\n문서 2: 에베레스트.\n문서 3: 서울.",
        "Source: a.txt\nThe Nile.\n\nSource: b.txt\nEverest.\n\nSource: c.txt\nSeoul.",
        "# Rivers\nThe Nile.\n\n# Peaks\nEverest.\n\n# Towns\nSeoul.\n",
    ],
)
def test_ways_to_write_documents(text):
    segments = parse_segments(text)
    assert [item.kind for item in segments] == ["document"] * 3
    assert len({item.group for item in segments}) == 3


def test_rules_between_documents():
    text = "One text.\n---\nThe Nile.\n\n---\nEverest.\n"
    assert kinds(text) == ["prose", "document", "document"]


def test_title_of_a_tag_and_of_a_line():
    assert parse_segments('<document title="A b">\nx\n</document>')[0].title == "A b"
    assert parse_segments("Title: Foo\nSome text.\n")[0].title == "Foo"
    assert parse_segments("# Rivers\nThe Nile.\n")[0].title == "Rivers"


def test_exemplars_stay_apart_and_the_last_is_the_question():
    text = "Classify.\n\nInput: a\nOutput: x\n\nInput: b\nOutput: y\n\nInput: c\nOutput:"
    assert [(kind, locked) for kind, locked, _, _ in cut(text)] == [
        ("instruction", True),
        ("exemplar", False),
        ("exemplar", False),
        ("question", True),
    ]


def test_numbered_examples_and_a_tail():
    text = "Example 1\nReview: a\nLabel: x\n\nExample 2\nReview: b\nLabel: y\n\nNow classify: c"
    assert kinds(text) == ["exemplar", "exemplar", "question"]


def test_examples_under_a_heading_hold_code():
    text = "## Example\nQ: add\n```python\na + b\n```\n\n## Rules\nNever lie."
    assert cut(text)[-1][:2] == ("instruction", True)
    assert "prose" not in kinds(text)


def test_fences_are_locked_and_their_content_is_not():
    text = "See:\n```Python\nx = 1\n```\nDone."
    assert cut(text) == [
        ("prose", False, "", "See:"),
        ("code", True, "", "```Python"),
        ("code", False, "", "x = 1"),
        ("code", True, "", "```"),
        ("prose", False, "", "Done."),
    ]
    assert parse_segments(text)[2].language == "python"


def test_nested_and_open_fences():
    nested = "````\n```\na\n```\n````\nafter"
    assert [part for *_, part in cut(nested)] == ["````", "```\na\n```", "````", "after"]
    assert kinds("a b\n```\nnever closed\n\nmore") == ["prose", "code", "code"]


def test_data_by_their_kinds():
    text = (
        'Some data\n\n{"a": {"b": [1, 2]}}\n\n'
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "x,y,z\n1,2,3\n4,5,6\n\n"
        "2026-11-02 09:15:04 INFO a\n2026-11-02 09:15:05 INFO b\nTraceback (most recent)\n"
        "2026-11-02 09:15:06 INFO c\n\n"
        "import os\n\ndef f(x):\n    return x\n\n"
        "<div>\n<p>hi</p>\n\n<p>ho</p>\n</div>\n"
    )
    assert kinds(text) == ["prose", "json", "table", "table", "log", "code", "html"]


def test_json_after_words_and_json_lines():
    text = 'The data: {"key": "value", "list": [1, 2, 3], "more": "text"}\n{"a": 1}\n{"a": 2}\n'
    assert [(item.kind, item.language) for item in parse_segments(text)] == [
        ("prose", ""),
        ("json", ""),
        ("json", "jsonl"),
    ]


@pytest.mark.parametrize("rows", [10, 3_000, 60_000])
def test_json_of_any_size(rows):
    data = json.dumps([{"id": at, "name": "a {b} c\\u00e9"} for at in range(rows)], indent=1)
    text = f"Rows follow.\n\n{data}\n\nWhich is the last?"
    assert kinds(text) == ["prose", "json", "question"]
    assert "json" not in kinds(text.replace("]\n\nWhich", "\n\nWhich"))


def test_a_reference_is_not_json():
    assert "json" not in kinds("As said in\n[1]\nand [2, 3].\n")
    assert "json" not in kinds('{"broken": [1, 2\n')


def test_roles():
    assert kinds("# Data\nAnything.\n```\nx\n```", role="system") == ["instruction"]
    assert kinds("Write a poem about rain.", role="assistant") == ["prose"]
    assert kinds("Is it true?", role="tool") == ["prose"]
    assert kinds("Why?", role="user") == ["question"]


def test_a_long_paragraph_is_locked_by_a_sentence_only():
    body = "Rain fell on the town again. " * 100
    text = f"Summarize this text: {body}Which town is meant?"
    first, middle, last = cut(text)
    assert first[:2] == ("instruction", True) and first[3] == "Summarize this text:"
    assert middle[:2] == ("prose", False)
    assert last == ("question", True, "", "Which town is meant?")


def test_plain_text_has_nothing_locked():
    assert cut("It rained.\n\nThe town was wet.") == [
        ("prose", False, "", "It rained.\n\nThe town was wet.")
    ]


def test_korean_orders_and_questions():
    text = "다음 글을 읽고 답하세요.\n\n서울은 한국의 수도이다.\n\n질문: 수도는 어디인가?"
    assert kinds(text) == ["instruction", "prose", "question"]


def test_forced_kinds():
    text = (
        "a\n<!-- compress: keep -->b<!-- /compress -->\n"
        "<!-- compress: code language=Python -->x<!-- /compress -->"
        '<!-- compress: document title="My T" -->y<!-- /compress -->'
    )
    segments = parse_segments(text)
    inner = [item for item in segments if text[item.start : item.end] in "bxy"]
    assert [(item.kind, item.locked) for item in inner] == [
        ("instruction", True),
        ("code", False),
        ("document", False),
    ]
    assert inner[1].language == "python" and inner[2].title == "My T" and inner[2].group == 0
    kept = "".join(piece.text for piece in cut_pieces(text, segments))
    assert kept == "a\nb\nxy"


def test_forced_kind_that_is_unknown():
    with pytest.raises(InputError, match="unknown kind") as caught:
        parse_segments("<!-- compress: poem -->a<!-- /compress -->")
    assert "document" in caught.value.hint


def test_an_open_mark_is_text():
    text = "a <!-- compress: keep --> b"
    assert kinds(text) == ["prose"]


@given(texts)
def test_segments_cover_the_text(text):
    for role in (None, "user", "system", "tool"):
        at = 0
        for item in parse_segments(text, role=role):
            assert item.start == at and item.end > at
            at = item.end
        assert at == len(text)


@pytest.mark.parametrize(
    "line",
    [
        "plain words of a text, and more of them\n",
        "[\n",
        '{"a":\n',
        '["',
        "<doc>\n",
        "</context>\n",
        "<html>\n",
        "</html><html>\n",
        "```\n",
        "|\n",
        "# a\n",
        "import x\n# a\n",
        "INFO: x\n  a\n",
        "\n",
        "Q: a\n",
        "---\n",
        "<!-- compress: keep -->",
        "a,b,c\n",
        "{x",
        "<a ",
        "www.a.",
        "a@b.",
        "1,1.1-",
        "%(a",
        "http://))",
    ],
)
def test_time_is_linear(line):
    few, many = (_parse_seconds(line * (chars // len(line))) for chars in (40_000, 160_000))
    assert many < 0.05 or many < 10 * few


def _parse_seconds(text):
    seconds: list[float] = []
    for _ in range(3):
        start = time.process_time()
        find_protected(text, (), parse_segments(text))
        seconds.append(time.process_time() - start)
    return min(seconds)
