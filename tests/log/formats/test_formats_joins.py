import copy

import pytest
from formats_samples import records_of
from test_formats_read import as_tuple, read

from frugalctl.log.formats.base import RecordError

BATCH_INPUT, BATCH_OUTPUT = records_of("OpenAI batch")
[TRANSCRIPT] = records_of("Claude Code transcript")
[LITELLM] = records_of("LiteLLM payload")
[LANGFUSE] = records_of("Langfuse observation")


@pytest.mark.parametrize("records", [(BATCH_INPUT, BATCH_OUTPUT), (BATCH_OUTPUT, BATCH_INPUT)])
def test_batch_joins_in_both_orders(records):
    [(line, request)], notes, _ = read(records)
    assert line == records.index(BATCH_OUTPUT) + 1
    assert bytes(request.messages) == b'[{"role":"user","content":"2+2?"}]'
    assert notes == []


def test_batch_output_alone_is_a_request_and_input_alone_is_not():
    other = {**BATCH_INPUT, "custom_id": "unanswered"}
    [(line, request)], notes, _ = read([other, BATCH_OUTPUT])
    assert (line, bytes(request.messages)) == (2, b"")
    assert notes == ["1 batch input without an output"]


def test_a_key_that_occurs_again_joins_in_order():
    second = copy.deepcopy(BATCH_INPUT)
    second["body"]["messages"][0]["content"] = "3+3?"
    found, _, _ = read([BATCH_INPUT, second, BATCH_OUTPUT, BATCH_OUTPUT])
    assert [b"3+3" in bytes(request.messages) for _, request in found] == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        {"error": {"code": "batch_expired"}, "response": None},
        {"response": {"status_code": 429, "body": {"error": {"message": "slow down"}}}},
    ],
)
def test_failed_batch_lines_are_not_billed(change):
    found, notes, _ = read([BATCH_INPUT, {**BATCH_OUTPUT, **change}])
    assert found == []
    assert notes == ["1 failed call (not billed)"]


@pytest.mark.parametrize("kind", ["errored", "expired", "canceled"])
def test_failed_anthropic_batch_lines_are_not_billed(kind):
    output = records_of("Anthropic batch")[0]
    found, notes, _ = read([{"custom_id": "a", "result": {"type": kind}}, output])
    assert [request.id for _, request in found] == ["msg_9"]
    assert notes == ["1 failed call (not billed)"]


def test_an_error_found_while_joining_names_the_line_of_the_output():
    broken = copy.deepcopy(BATCH_OUTPUT)
    broken["response"]["body"]["usage"]["total_tokens"] = 99
    with pytest.raises(RecordError) as caught:
        read([broken, {**BATCH_INPUT, "custom_id": "x"}, BATCH_INPUT])
    assert caught.value.line == 1


def transcript(text: str, output_tokens: int, **changes):
    line = copy.deepcopy(TRANSCRIPT)
    line["message"]["content"] = [{"type": "text", "text": text}]
    line["message"]["usage"]["output_tokens"] = output_tokens
    return {**line, **changes}


def test_transcript_counts_each_message_once_by_its_last_line():
    later = "2026-03-11T02:40:29.000Z"
    found, notes, _ = read(
        [
            {"type": "summary", "summary": "s", "leafUuid": "u"},
            transcript("One. ", 1),
            {"type": "user", "sessionId": "s9", "message": {"role": "user", "content": "ok"}},
            transcript("Two.", 300, timestamp=later),
            transcript("One. ", 300, timestamp=later),
            transcript("elsewhere", 7, sessionId="s10"),
        ]
    )
    assert [line for line, _ in found] == [2, 6]
    first, other = (request for _, request in found)
    assert as_tuple(first.usage) == (21504, 20000, 0, 1500, 300, None)
    assert (first.timestamp, first.response) == (later, "One. Two.")
    assert (other.session, other.usage.output_tokens) == ("s10", 7)
    assert notes == []


def test_transcript_lines_that_are_no_call_are_left_out():
    made_up = copy.deepcopy(TRANSCRIPT)
    made_up["message"]["model"] = "<synthetic>"
    no_usage = copy.deepcopy(TRANSCRIPT)
    del no_usage["message"]["usage"]
    assert read([made_up, no_usage])[0] == []


def test_litellm_cache_hits_and_failures_are_counted_not_priced():
    failed = {**LITELLM, "status": "failure", "response_cost": 0}
    found, notes, _ = read(
        [{**LITELLM, "cache_hit": True}, {**LITELLM, "cache_hit": "True"}, failed]
    )
    assert found == []
    assert notes == [
        "2 calls served from LiteLLM's own cache (not billed)",
        "1 failed call (not billed)",
    ]


def test_litellm_with_a_raw_anthropic_usage_takes_the_inclusive_total():
    usage = {
        "input_tokens": 1000,
        "cache_read_input_tokens": 10000,
        "cache_creation_input_tokens": 0,
        "output_tokens": 5,
    }
    totals = {"prompt_tokens": 11000, "completion_tokens": 5, "total_tokens": 11005}
    alone = {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}
    for counts in (totals, alone):
        [(_, request)] = read([{**LITELLM, **counts, "response": {"usage": usage}}])[0]
        assert as_tuple(request.usage)[:2] == (11000, 10000)


def test_litellm_counts_that_contradict_each_other_are_refused():
    with pytest.raises(RecordError, match="completion_tokens is 39"):
        read([{**LITELLM, "completion_tokens": 39}])


def test_langfuse_reads_generations_only():
    span = {**LANGFUSE, "type": "SPAN"}
    failed = {**LANGFUSE, "usageDetails": {}, "level": "ERROR"}
    found, notes, _ = read([span, LANGFUSE, failed])
    assert [line for line, _ in found] == [2]
    assert notes == ["1 failed call (not billed)"]


def test_spans_of_agents_tools_and_failures_are_no_calls():
    def span(**attributes):
        return {"attributes": {"gen_ai.request.model": "gpt-4o", **attributes}}

    agent = span(**{"gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 5})
    tool = span(**{"gen_ai.operation.name": "execute_tool"})
    chain = {"attributes": {"openinference.span.kind": "CHAIN", "llm.token_count.prompt": 5}}
    failed = {**span(), "status": {"code": 2}}
    found, notes, _ = read([agent, tool, chain, failed])
    assert found == []
    assert notes == ["1 failed call (not billed)"]


def test_a_failed_exchange_is_not_billed():
    request = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
    pair = {"request": request, "response": {"error": {"message": "overloaded"}}}
    bare = {"object": "response", "id": "r", "status": "failed", "error": {"code": "x"}}
    found, notes, _ = read([pair, bare])
    assert found == []
    assert notes == ["1 failed call (not billed)", "1 failed call (not billed)"]


def test_qwen_sessions_follow_the_parents_that_were_seen():
    def chat(chat_id: int, parent: int):
        lengths = {"timestamp": 1, "input_length": 5, "output_length": 1, "hash_ids": []}
        return {"chat_id": chat_id, "parent_chat_id": parent, **lengths}

    found, _, _ = read([chat(1, -1), chat(2, 1), chat(3, 2), chat(9, 5)])
    assert [request.session for _, request in found] == ["1", "1", "1", "9"]
