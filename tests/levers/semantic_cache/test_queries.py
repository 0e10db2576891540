import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import BadLine
from frugalctl.levers.semantic_cache.conversation import MEDIA, NO_TEXT, NOT_A_USERS
from frugalctl.levers.semantic_cache.queries import make_query, parse_query
from frugalctl.levers.semantic_cache.questions import read_questions
from frugalctl.levers.semantic_cache.scope import digest_json
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import Source
from frugalctl.log.times import UNKNOWN_US

HI = {"role": "user", "content": "hi"}
TALK = [{"role": "user", "content": "a?"}, {"role": "assistant", "content": "b"}]


def parse(value):
    return parse_query(json.dumps(value).encode())


@pytest.mark.parametrize("line", [b"how do I reset it?", b"  how do I reset it? \r\n"])
def test_plain_text(line):
    query = parse_query(line)
    assert (query.text, dict(query.known), query.unfit) == ("how do I reset it?", {}, "")
    assert query.time_us == UNKNOWN_US


@pytest.mark.parametrize("line", ['"Killed" in the log, why?', "[urgent] no log", "{", "[", '"'])
def test_a_question_may_begin_with_a_quotation_or_a_label(line):
    if line == "{":
        with pytest.raises(BadLine):
            parse_query(line.encode())
    else:
        assert parse_query(line.encode()).text == line


@pytest.mark.parametrize("record", [{"query": ""}, {"text": " "}, {"question": "", "tenant": "a"}])
def test_an_empty_question_is_a_question_that_cannot_be_looked_up(record):
    assert parse(record).unfit == NO_TEXT


@given(st.text().filter(str.strip))
def test_any_text_as_json(text):
    assert parse(text).text == text
    for name in ("query", "question", "text"):
        assert parse({name: text}).text == text
    assert parse_query({"messages": [{"role": "user", "content": text}]}).text == text


def test_an_object_says_its_scope():
    query = parse(
        {
            "query": "hi",
            "tenant": "acme",
            "model": None,
            "system": "be kind",
            "tools": [{"name": "f"}],
            "sampling": {"temperature": 0},
            "history": TALK,
            "timestamp": 1_760_000_000,
        }
    )
    assert query.known == {
        "tenant": "acme",
        "model": None,
        "system": digest_json(["be kind"]),
        "tools": digest_json([{"name": "f"}]),
        "sampling": digest_json({"temperature": 0}),
        "history": digest_json(TALK),
    }
    assert query.time_us == 1_760_000_000_000_000


def test_what_is_not_said_stays_unsaid():
    assert parse({"query": "hi"}).known == {}
    assert parse({"query": "hi", "history": None, "system": ""}).known == {
        "history": None,
        "system": None,
    }
    assert parse({"messages": [HI]}).known == {"system": None, "history": None}


def test_the_parameters_of_an_api_are_sampling():
    query = parse({"model": "m", "messages": [HI], "temperature": 0.5, "stream": True})
    assert query.known["sampling"] == digest_json({"temperature": 0.5})
    assert query.known["model"] == "m"


def test_a_system_prompt_beside_the_messages():
    apart = parse({"system": "be kind", "messages": [*TALK, HI]})
    inside = parse({"messages": [{"role": "system", "content": "be kind"}, *TALK, HI]})
    said = parse({"query": "hi", "system": "be kind", "history": TALK})
    assert apart == inside == said


def test_a_line_of_a_log_asks_in_its_own_scope(tmp_path):
    record = {
        "tenant": "acme",
        "model": "m",
        "messages": [{"role": "system", "content": "be kind"}, *TALK, HI],
        "tools": [{"name": "f"}],
        "sampling": {"temperature": 0.0},
        "timestamp": "2026-11-01T00:00:00Z",
        "response": "hello",
        "usage": {"input_tokens": 1},
    }
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(record) + "\n")
    found = read_questions(read_log([Source(str(path), "log")], ReadOptions()))
    query = parse(record)
    assert query.text == found.texts[0]
    assert query.time_us == found.time_us[0]
    for key, value in query.known.items():
        assert getattr(found.parts[0], key) == value
    assert len(query.known) == 6


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", NO_TEXT),
        ({"query": "  "}, NO_TEXT),
        ({"messages": TALK}, NOT_A_USERS),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, MEDIA),
    ],
)
def test_what_cannot_be_asked_says_why(value, reason):
    assert parse(value).unfit == reason
    assert make_query(" ").unfit == NO_TEXT


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not JSON"),
        (b"[1]", "a JSON array"),
        (b"{}", "no question"),
        (b'{"prompt": "hi"}', "no question"),
        (b'{"query": 3}', "query is not text"),
        (b'{"query": "hi", "tenant": 3}', "tenant is not text"),
        (b'{"query": "hi", "sampling": [1]}', "sampling is not a JSON object"),
        (b'{"query": "hi", "history": "a"}', "history is not a list"),
        (b'{"query": "hi", "history": ["a"]}', "messages is not a list of objects"),
        (b'{"messages": "hi"}', "messages is not a list of objects"),
        (b'{"query": "hi", "timestamp": "soon"}', "not a timestamp"),
        (b'{"query": "hi", "timestamp": true}', "not a time"),
        (b"\xff", "not UTF-8"),
        (b'{"query": "\xff"}', "not UTF-8"),
        (b'{"query": "hi", "tools": ' + b"[" * 9999 + b"]" * 9999 + b"}", "nested too deeply"),
    ],
)
def test_a_bad_line_is_named(line, message):
    with pytest.raises(BadLine, match=message) as caught:
        parse_query(line, "q.jsonl", 7)
    assert caught.value.where == "q.jsonl:7"
    assert len(str(caught.value)) < 200
