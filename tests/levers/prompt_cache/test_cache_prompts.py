import json

import numpy as np
import pytest
from cache_helpers import make_prompts, read_requests
from hypothesis import given, settings
from hypothesis import strategies as st
from test_cache_engines import conversations

import frugalctl.levers.prompt_cache.prompts as prompts_module
from frugalctl.errors import BadLine, InputError
from frugalctl.levers.prompt_cache.prompts import (
    add_answers,
    assign_models,
    chain_blocks,
    chain_messages,
    select,
)
from frugalctl.levers.prompt_cache.texts import ROLES, TextBuilder, serialise
from frugalctl.log.times import UNKNOWN_US
from frugalctl.tokens import count_text

SYSTEM = {"role": "system", "content": "You are terse."}
HELLO = {"role": "user", "content": "Hello, 안녕하세요"}
TOOLS = [{"type": "function", "function": {"name": "look"}}]


def tokens_of(requests, row):
    return [token for message in requests[row][2] for token in message.tokens]


@settings(max_examples=200, deadline=None)
@given(conversations(), st.integers(1, 5), st.sampled_from([1, 3, 1 << 18]))
def test_keys_are_equal_exactly_where_prefixes_are(requests, unit, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts_module, "_CHUNK_POSITIONS", chunk)
        chain = chain_blocks(make_prompts(requests), unit)
    seen = {}
    for row, (keys, ends) in enumerate(chain.rows()):
        tokens = tokens_of(requests, row)
        assert ends == list(range(unit, len(tokens) + 1, unit))
        for key, end in zip(keys, ends, strict=True):
            prefix = (requests[row][1], tuple(tokens[:end]))
            assert seen.setdefault(key, prefix) == prefix
    assert len(set(seen.values())) == len(seen)


@settings(max_examples=100, deadline=None)
@given(conversations())
def test_message_ends_have_the_keys_of_their_positions(requests):
    prompts = make_prompts(requests)
    every = dict(enumerate(chain_blocks(prompts, 1).rows()))
    for row, (keys, ends) in enumerate(chain_messages(prompts).rows()):
        lengths = [len(message.tokens) for message in requests[row][2]]
        assert ends == np.cumsum(lengths).tolist()
        assert keys == [every[row][0][end - 1] for end in ends]


@settings(max_examples=100, deadline=None)
@given(conversations(), st.data())
def test_selected_prompts_keep_their_keys(requests, data):
    prompts = make_prompts(requests)
    rows = data.draw(st.lists(st.integers(0, len(requests) - 1), max_size=12))
    whole = list(chain_messages(prompts).rows())
    chosen = select(prompts, np.array(rows, dtype=np.int64))
    assert list(chain_messages(chosen).rows()) == [whole[row] for row in rows]
    assert chosen.counted_tokens.tolist() == prompts.counted_tokens[rows].tolist()


@settings(max_examples=50, deadline=None)
@given(conversations())
def test_answers_are_appended(requests):
    grown = add_answers(make_prompts(requests)).counted_tokens.tolist()
    assert grown == [
        len(tokens_of(requests, row)) + (len(answer.tokens) if answer else 0)
        for row, (*_, answer) in enumerate(requests)
    ]


def test_a_message_is_its_role_and_its_sorted_fields():
    assert serialise({"content": "안녕", "role": "user", "a": 1}) == (
        '<|im_start|>user\n{"a": 1, "content": "안녕"}<|im_end|>\n'
    )


def test_prompts_of_text():
    prompts = read_requests(
        {"model": "gpt-4o", "messages": [SYSTEM, HELLO], "tools": TOOLS, "response": "Hi"},
        {"model": "gpt-4o", "messages": [SYSTEM], "usage": {"input_tokens": 70}},
    )
    sizes = [count_text(serialise(message), "gpt-4o") for message in (SYSTEM, HELLO)]
    tools = count_text(serialise({"role": "tools", "tools": TOOLS}), "gpt-4o")
    assert prompts.counted_tokens.tolist() == [tools + sum(sizes), sizes[0]]
    assert prompts.input_tokens.tolist() == [tools + sum(sizes), 70]
    roles = prompts.texts.roles[prompts.segments]
    assert [ROLES[role] for role in roles] == ["tools", "system", "user", "system"]
    assert prompts.segments[1] == prompts.segments[3]
    assert prompts.answers[0] >= 0 and prompts.answers[1] == -1
    assert prompts.time_us.tolist() == [UNKNOWN_US] * 2


def test_each_distinct_message_is_tokenised_once(monkeypatch):
    calls = []

    def encode(text, model):
        calls.append(text)
        return list(text.encode())

    monkeypatch.setattr("frugalctl.levers.prompt_cache.texts.encode_text", encode)
    spaced = '[{"content":"You are terse.",  "role":"system"}]'
    builder = TextBuilder()
    listed = [
        builder.add_messages(text, None, "m")
        for text in (json.dumps([SYSTEM, HELLO]), json.dumps([SYSTEM]), spaced)
    ]
    assert listed == [[(0, 0), (1, 0)], [(0, 0)], [(0, 0)]]
    assert len(calls) == 2


def test_cache_markers_are_no_part_of_the_prompt():
    marked = {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {}}]}
    plain = {"role": "user", "content": [{"type": "text", "text": "a"}]}
    prompts = read_requests({"messages": [marked]}, {"messages": [plain]})
    assert prompts.segments[0] == prompts.segments[1]
    assert prompts.marks.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("message", "mark"),
    [
        ({"content": "a"}, 0),
        ({"content": "a", "cache_control": {"type": "ephemeral"}}, 1),
        ({"content": [{"text": "a"}, {"text": "b", "cache_control": {"ttl": "1h"}}]}, 2),
        ({"content": [{"cache_control": {"ttl": "5m"}}], "cache_control": None}, 1),
    ],
)
def test_the_logs_own_breakpoints(message, mark):
    assert read_requests({"messages": [{"role": "user", **message}]}).marks.tolist() == [mark]


def test_tools_may_be_marked():
    tools = [{"name": "a"}, {"name": "b", "cache_control": {"type": "ephemeral"}}]
    prompts = read_requests({"messages": [SYSTEM], "tools": tools})
    assert prompts.marks.tolist() == [1, 0]


def test_the_vocabulary_is_that_of_the_model_or_the_one_that_is_asked_for():
    requests = [{"model": model, "messages": [HELLO]} for model in ("gpt-4", "gpt-4o")]
    own = read_requests(*requests).counted_tokens
    assert own[0] != own[1]
    one = read_requests(*requests, tokens_of="gpt-4o").counted_tokens
    assert one.tolist() == [own[1]] * 2


def test_tenants_and_models_are_apart():
    requests = [
        {"model": model, "tenant": tenant, "messages": [HELLO]}
        for model, tenant in (("m", "a"), ("m", "b"), ("n", "a"), ("m", "a"), ("n", "b"))
    ]
    prompts = read_requests(*requests)
    first, *others = prompts.scopes.tolist()
    assert others[2] == first and len({first, *others}) == 4
    moved = assign_models(prompts, ["n", "n", "n", "o", "n"]).scopes.tolist()
    assert moved[0] == moved[2] and moved[1] == moved[4] and len(set(moved)) == 3


@pytest.mark.parametrize(
    ("message", "shape"),
    [
        ({"role": "user", "content": "a"}, (1, 0, 0)),
        ({"role": "user", "content": [{"type": "text"}, {"type": "image"}]}, (2, 0, 0)),
        ({"role": "tool", "content": "a"}, (1, 2, 2)),
        ({"role": "assistant", "content": None, "tool_calls": [{}, {}]}, (1, 1, 1)),
        ({"role": "assistant", "content": "a", "tool_calls": [{}]}, (2, 0, 1)),
        (
            {"role": "user", "content": [{"type": "tool_result"}] * 3 + [{"type": "text"}]},
            (2, 2, 0),
        ),
        (
            {"role": "assistant", "content": [{"type": "text"}, *[{"type": "tool_use"}] * 2]},
            (2, 0, 1),
        ),
        ({"role": "user", "content": ""}, (1, 0, 0)),
    ],
)
def test_content_blocks_of_a_message(message, shape):
    texts = read_requests({"messages": [message]}).texts
    assert (texts.blocks[0], texts.first_runs[0], texts.last_runs[0]) == shape


def test_prompts_of_a_trace():
    prompts = read_requests(
        {"usage": {"input_tokens": 900}, "prefix_blocks": [1, 2], "block_tokens": 512},
        {"prefix_blocks": [1, 2, 3], "block_tokens": 16},
        {"usage": {"input_tokens": 7}},
    )
    assert prompts.input_tokens.tolist() == [900, 48, 7]
    assert prompts.covered.tolist() == [True, True, False]
    chain = chain_blocks(prompts, 128)
    assert chain.tokens.tolist() == [512, 900, 16, 32, 48]


@pytest.mark.parametrize("messages", ['{"role": "user"}', "[1]", "[[]]", "nonsense"])
def test_messages_that_are_none(messages):
    with pytest.raises(InputError):
        TextBuilder().add_messages(messages, None, "m")


def test_bad_messages_are_named_by_their_line():
    with pytest.raises(BadLine) as caught:
        read_requests({"messages": [HELLO]}, {"messages": [1]})
    assert str(caught.value) == "log:2: messages is not a JSON list of objects"
