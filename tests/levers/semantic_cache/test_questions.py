import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import BadLine
from frugalctl.levers.semantic_cache.conversation import (
    MEDIA,
    NO_MESSAGES,
    NO_TEXT,
    NOT_A_USERS,
    OTHER_CONTENT,
    digest_turns,
    split_messages,
)
from frugalctl.levers.semantic_cache.questions import (
    CALLS_TOOL,
    CUT_OFF,
    FILTERED,
    NO_RESPONSE,
    choose_scopes,
    find_tool_turns,
    make_tags,
    read_questions,
)
from frugalctl.levers.semantic_cache.scope import ScopeParts
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import Source
from frugalctl.log.times import UNKNOWN_US


def user(content, **more):
    return {"role": "user", "content": content, **more}


def bot(content):
    return {"role": "assistant", "content": content}


def system(content):
    return {"role": "system", "content": content}


def text(*words):
    return [{"type": "text", "text": word} for word in words]


HI = [user("hi")]


def read(tmp_path: Path, *records, **options):
    path = tmp_path / "log.jsonl"
    plain = {"usage": {"input_tokens": 1}, "response": "hello"}
    path.write_text("".join(json.dumps(plain | record) + "\n" for record in records))
    return read_questions(read_log([Source(str(path), "log.jsonl")], ReadOptions()), **options)


CONTENTS = {
    "hi": "hi",
    " hi\n": " hi\n",
    json.dumps(text("hi", "you")): "hi\nyou",
    json.dumps([{"type": "input_text", "text": "hi"}]): "hi",
    json.dumps([{"text": "hi"}, "you"]): "hi\nyou",
}


@pytest.mark.parametrize("content", CONTENTS)
def test_the_question_is_the_text_of_the_last_message(content):
    given = json.loads(content) if content.startswith("[") else content
    talk = split_messages([user("before"), bot("yes"), user(given)])
    assert (talk.text, talk.unfit) == (CONTENTS[content], "")


UNFIT = [
    ([], NO_MESSAGES),
    (None, NO_MESSAGES),
    ([user("")], NO_TEXT),
    ([user(" \n")], NO_TEXT),
    ([user(None)], NO_TEXT),
    ([user([])], NO_TEXT),
    ([user("hi"), bot("hello")], NOT_A_USERS),
    ([user("hi"), system("be kind")], NOT_A_USERS),
    ([user("hi"), {"role": "tool", "content": "sun"}], NOT_A_USERS),
    ([user([{"type": "tool_result", "content": "sun"}])], NOT_A_USERS),
    ([user([*text("and this?"), {"type": "tool_result", "content": "sun"}])], NOT_A_USERS),
    ([user([{"functionResponse": {"name": "f"}}])], NOT_A_USERS),
    ([{"content": "hi"}], NOT_A_USERS),
    ([user([*text("what is it?"), {"type": "image_url", "image_url": {}}])], MEDIA),
    ([user([{"type": "input_audio", "input_audio": {}}])], MEDIA),
    ([user([{"inlineData": {"data": "x"}}])], MEDIA),
    ([user([{"type": "document", "source": {}}])], MEDIA),
    ([user([{"type": "thinking", "thinking": "x"}])], OTHER_CONTENT),
    ([user({"a": 1})], OTHER_CONTENT),
    ([user([7])], OTHER_CONTENT),
]


@pytest.mark.parametrize(("messages", "reason"), UNFIT)
def test_what_is_no_question_is_not_cached(messages, reason):
    talk = split_messages(messages)
    assert (talk.text, talk.unfit) == ("", reason)


@pytest.mark.parametrize("messages", ["hi", 3, {"role": "user"}, [user("hi"), "hi"], [None]])
def test_messages_of_another_shape_are_refused(messages):
    with pytest.raises(ValueError, match="not a list of objects"):
        split_messages(messages)


def test_system_and_history_are_taken_apart():
    talk = split_messages(
        [system("be kind"), {"role": "developer", "content": "be brief"}, *HI, bot("yo"), *HI]
    )
    assert talk.system == ["be kind", "be brief"]
    assert talk.history == [user("hi"), bot("yo")]
    first = [system("a"), user("hi"), bot("yo"), *HI]
    later = [user("hi"), system("a"), bot("yo"), *HI]
    assert split_messages(first).system == split_messages(later).system
    assert split_messages(first).history != split_messages(later).history


def test_names_are_not_lost():
    example = {"role": "system", "name": "example_user", "content": "hi"}
    assert split_messages([example, *HI]).system == [example]
    assert split_messages([user("hi", name="kim")]).history == [{"name": "kim"}]


def test_columns_of_a_log(tmp_path: Path):
    found = read(
        tmp_path,
        {
            "id": "r1",
            "timestamp": "1970-01-01T00:00:01Z",
            "latency_ms": 250.5,
            "tenant": "acme",
            "model": "m",
            "task": "faq",
            "messages": [system("be kind"), *HI],
            "tools": [{"name": "f"}],
            "sampling": {"temperature": 0},
            "quality": 0.5,
            "cost_usd": 0.25,
            "reference": "hey",
        },
        {"messages": HI},
        {"messages": HI, "timestamp": 2, "response": None},
        {"messages": HI, "timestamp": 3, "response": " "},
    )
    assert found.ids == ["r1", None, None, None]
    assert found.texts == ["hi", "hi", "", ""]
    assert found.time_us.tolist() == [1_000_000, UNKNOWN_US, 2_000_000, 3_000_000]
    assert found.done_us.tolist() == [1_250_500, UNKNOWN_US, 2_000_000, 3_000_000]
    assert found.cacheable.tolist() == [True, True, False, False]
    assert found.unfit == {NO_RESPONSE: 2}
    assert (found.tenants[0], found.models[0], found.tasks[0]) == ("acme", "m", "faq")
    assert (found.quality[0], found.cost_usd[0], found.references[0]) == (0.5, 0.25, "hey")
    assert np.isnan([found.quality[1], found.cost_usd[1], found.latency_ms[1]]).all()
    assert found.lines.tolist() == [1, 2, 3, 4]
    assert found.parts[1] == ScopeParts()
    assert found.scopes[0] != found.scopes[1]
    assert found.scopes[2] == ""
    assert all(len(getattr(found.parts[0], key)) == 32 for key in ("system", "tools", "sampling"))


SAME = [
    ({"sampling": {"top_p": 1, "temperature": 0.0}}, {"sampling": {"temperature": 0, "top_p": 1}}),
    ({"tools": []}, {}),
    ({"sampling": {}}, {}),
    ({"messages": [system("a"), *HI]}, {"messages": [{"role": "developer", "content": "a"}, *HI]}),
    ({"messages": [user("other words")]}, {}),
    ({"session": "s1"}, {"session": "s2"}),
]
OTHERS = [
    ({"tenant": "a"}, {"tenant": "b"}),
    ({"tenant": ""}, {}),
    ({"model": "a"}, {"model": "b"}),
    ({"sampling": {"temperature": 0}}, {}),
    ({"sampling": {"temperature": 0}}, {"sampling": {"temperature": 1}}),
    ({"tools": [{"name": "f"}]}, {}),
    ({"tools": [{"name": "f"}, {"name": "g"}]}, {"tools": [{"name": "g"}, {"name": "f"}]}),
    ({"messages": [system("a"), *HI]}, {"messages": [system("a "), *HI]}),
    ({"messages": [user("x"), bot("y"), *HI]}, {"messages": [user("x"), bot("z"), *HI]}),
    ({"messages": [user("x"), bot("y"), *HI]}, {}),
    ({"messages": [system("a"), *HI]}, {"messages": [user("a"), *HI]}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_who_shares_answers(one, other, tmp_path: Path):
    found = read(tmp_path, {"messages": HI, **one}, {"messages": HI, **other})
    assert found.scopes[0] == found.scopes[1]


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_who_does_not(one, other, tmp_path: Path):
    found = read(tmp_path, {"messages": HI, **one}, {"messages": HI, **other})
    assert found.scopes[0] != found.scopes[1]
    apart = {key for key in ("tenant", "model") if key in {**one, **other}}
    if apart:
        keys = ["system", "history"]
        assert len(set(choose_scopes(found, keys))) == 1
        again = read(tmp_path, {"messages": HI, **one}, {"messages": HI, **other}, scope_keys=keys)
        assert again.scopes == choose_scopes(found, keys)


@pytest.mark.parametrize("field", ["messages", "tools"])
def test_bad_json_is_named(field, tmp_path: Path):
    good = json.dumps({"usage": {"input_tokens": 1}, "messages": HI, "response": "a"})
    value = '"hi"' if field == "messages" else "[1e999]"
    path = tmp_path / "log.jsonl"
    path.write_text(good + "\n" + good.replace('"usage"', f'"{field}": {value}, "usage"', 1) + "\n")
    if field == "messages":
        path.write_text(good + "\n" + good.replace(json.dumps(HI), value) + "\n")
    with pytest.raises(BadLine) as caught:
        read_questions(read_log([Source(str(path), "log.jsonl")], ReadOptions()))
    assert caught.value.where == "log.jsonl:2"


def test_tags():
    assert make_tags("faq", ScopeParts(tenant="a", model="m")) == ("tenant:a", "model:m", "faq")
    assert make_tags(None, ScopeParts()) == ()


FOLLOW_UPS = Path(__file__).parents[4] / "shared/data/semcache/multiturn_followups.jsonl.gz"


def test_follow_ups_share_a_scope_only_after_the_same_talk(tmp_path: Path):
    if not FOLLOW_UPS.exists():
        pytest.skip("the shared follow-up questions are not beside this checkout")
    talks = [json.loads(line) for line in gzip.open(FOLLOW_UPS, "rt")]
    records = []
    for talk in talks:
        before = [user(talk["u0"]), bot(talk["system_q0"])]
        for name in ("u1", "u1_duplicate"):
            records.append({"messages": [*before, user(talk[name])]})
    found = read(tmp_path, *records)
    assert found.cacheable.all()
    first = found.scopes[::2]
    assert first == found.scopes[1::2]
    opened = {(talk["u0"], talk["system_q0"]) for talk in talks}
    assert len(set(first)) == len(opened)


def test_an_answer_that_is_not_whole_is_not_cacheable(tmp_path):
    words = ("length", "MAX_TOKENS", "content_filter", "tool_calls", "stop", None)
    found = read(tmp_path, *({"messages": HI, "finish_reason": word} for word in words))
    assert found.cacheable.tolist() == [False] * 4 + [True] * 2
    assert found.unfit == {CUT_OFF: 2, FILTERED: 1, CALLS_TOOL: 1}


CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function"}]}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]}


@pytest.mark.parametrize("call", [CALL, USE])
def test_a_later_request_shows_that_an_answer_called_a_tool(tmp_path, call):
    result = {"role": "tool", "content": "42", "tool_call_id": "1"}
    asked = [system("S"), user("how many?")]
    rows = [
        {"messages": asked},
        {"messages": [system("S"), user(text("how many?"))]},
        {"messages": [*asked, call, result]},
        {"messages": [system("T"), user("how many?")]},
        {"messages": asked, "tenant": "other"},
    ]
    found = read(tmp_path, *rows)
    assert found.cacheable.tolist() == [False, False, False, True, True]
    assert found.unfit[CALLS_TOOL] == 2
    assert found.scopes[0] == found.texts[0] == ""


def test_turns_of_another_part_of_the_log_count_too(tmp_path):
    path = tmp_path / "log.jsonl"
    usage = {"input_tokens": 1}
    rows = [{"messages": HI, "response": "I look", "usage": usage}]
    rows.append({"messages": [*HI, CALL, user("and?")], "response": "x", "usage": usage})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (batch,) = read_log([Source(str(path), "log.jsonl")], ReadOptions(estimate=False))
    first = type(batch)(batch.requests.slice(0, 1), batch.source, [1])
    assert read_questions([first]).cacheable.tolist() == [True]
    turns = find_tool_turns([batch])
    assert read_questions([first], tool_turns=turns).cacheable.tolist() == [False]


FORKS = [user("a"), user("b"), bot("yes"), CALL, USE, {"role": "tool", "content": "42"}]
talks = st.lists(st.sampled_from(FORKS), max_size=5)


def is_followed_by_a_call(asked, other):
    """By hand: the other conversation begins with this one and goes on with a call."""
    if not asked or asked[-1]["role"] != "user" or other[: len(asked)] != asked:
        return False
    for message in other[len(asked) :]:
        if message["role"] == "user":
            return False
        if message in (CALL, USE):
            return True
    return False


@given(st.lists(talks, max_size=8))
def test_calls_are_found_as_by_comparing_all_conversations(logged):
    digests = [digest_turns(talk) for talk in logged]
    called = {digest for _, found in digests for digest in found}
    for talk, (whole, _) in zip(logged, digests, strict=True):
        assert (whole in called) == any(is_followed_by_a_call(talk, other) for other in logged)


REASONING = {"type": "reasoning", "summary": []}
ITEM = {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"}
MARK = {"cache_control": {"type": "ephemeral"}}
IMAGE = {"type": "image", "source": {"type": "url", "url": "u"}}


@pytest.mark.parametrize(
    ("asked", "later"),
    [
        (HI, [*HI, REASONING, ITEM]),
        (HI, [*HI, bot("Let me look."), CALL]),
        ([user([text("hi")[0] | MARK])], [*HI, USE]),
        ([user([text("hi")[0] | MARK])], [user(text("hi")), USE]),
        ([user([IMAGE, text("hi")[0] | MARK])], [user([IMAGE, text("hi")[0]]), USE]),
        (HI, [*HI, bot([{"functionCall": {"name": "f"}}])]),
        (HI, [*HI, {"role": "assistant", "function_call": {"name": "f"}}]),
    ],
)
def test_calls_in_the_shapes_of_apis(asked, later):
    assert digest_turns(later)[1] == [digest_turns(asked)[0]]


@pytest.mark.parametrize(
    "later",
    [
        [*HI, bot("hello")],
        [*HI, bot("hello"), user("more"), CALL],
        [*HI, {"role": "assistant", "content": "hello", "tool_calls": []}],
        [*HI, {"role": "assistant", "content": "hello", "tool_calls": None, "function_call": None}],
        [*HI, bot([{"type": "server_tool_use", "name": "web_search"}, *text("sun")])],
        [user("hi", name="kim"), CALL],
        [system("S"), *HI, CALL],
    ],
)
def test_what_shows_no_call_after_a_question(later):
    assert digest_turns(HI)[0] not in digest_turns(later)[1]


SAMPLE = Path(__file__).parents[3] / "sample_data/requests.jsonl"


def test_no_turn_of_the_sample_agent_is_cacheable():
    found = read_questions(read_log([Source(str(SAMPLE), "sample")], ReadOptions()))
    agent = np.array([task == "agent" for task in found.tasks])
    assert agent.any() and not found.cacheable[agent].any()
    assert found.unfit == {NOT_A_USERS: 40, CALLS_TOOL: 10}
