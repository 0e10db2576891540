"""Each format's own field for why an answer ended, read through its reader."""

import copy

import pytest
from formats_samples import CHAT, records_of

from frugalctl.log.formats.registry import readers

CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USE = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
TEXT = {"type": "text", "text": "Let me look."}
CHAT_USAGE = {"prompt_tokens": 1, "completion_tokens": 1}
USAGE = {"input_tokens": 1, "output_tokens": 1}
GEMINI_USAGE = {"promptTokenCount": 1, "totalTokenCount": 1}


def read(*records) -> list[str | None]:
    made = readers()
    found = []
    for line, record in enumerate(records, start=1):
        [reader] = [reader for reader in made if reader.matches(record)]
        found += reader.feed(record, line)
    for reader in made:
        found += reader.finish()
    return [request.finish_reason for _, request in found]


def changed(name: str, **fields):
    """The first sample of a format, with other fields on top."""
    return [{**record, **fields} for record in copy.deepcopy(records_of(name))]


def chat(reason, **message):
    choice = {"finish_reason": reason, "message": {"content": "a", **message}}
    return {"choices": [choice, {"finish_reason": "stop"}], "usage": CHAT_USAGE}


def responses(status="completed", reason=None, output=()):
    details = {"reason": reason} if reason else None
    usage = {"object": "response", "usage": USAGE}
    return {**usage, "status": status, "incomplete_details": details, "output": list(output)}


def anthropic(reason, *blocks):
    return {"type": "message", "stop_reason": reason, "content": [*blocks], "usage": USAGE}


def gemini(reason, *parts):
    candidate = {"finishReason": reason, "content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [candidate], "usageMetadata": GEMINI_USAGE}


def code(reason, *blocks):
    message = {"id": "m1", "model": "claude-opus-5", "stop_reason": reason}
    message |= {"content": list(blocks), "usage": USAGE}
    return {"type": "assistant", "sessionId": "s", "message": message}


def span(**attributes):
    base = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 1}
    return {"attributes": base | {f"gen_ai.{key}": value for key, value in attributes.items()}}


def phoenix(**attributes):
    base = {"llm.model_name": "m", "llm.token_count.prompt": 1}
    return {"attributes": base | attributes}


REASONS = "response.finish_reasons"
JSON = {"output.mime_type": "application/json"}
CASES = {
    "OpenAI chat, cut off": ([chat("length")], "length"),
    "OpenAI chat, with its request": ([{"request": {}, "response": chat("length")}], "length"),
    "OpenAI chat, the logger's word": ([{**chat(None), "finish_reason": "max_tokens"}], "length"),
    "OpenAI chat, a forced call": ([chat("stop", tool_calls=[CALL])], "tool_calls"),
    "OpenAI chat, an old call": ([chat("function_call")], "tool_calls"),
    "OpenAI chat, a call cut off": ([chat("length", tool_calls=[CALL])], "length"),
    "OpenAI chat, another word": ([chat("Weird")], "Weird"),
    "OpenAI chat, no word": ([chat(None)], None),
    "OpenAI chat, no text": ([chat({"a": 1})], None),
    "Responses": ([responses()], "stop"),
    "Responses, cut off": ([responses("incomplete", "max_output_tokens")], "length"),
    "Responses, filtered": ([responses("incomplete", "content_filter")], "content_filter"),
    "Responses, a call": ([responses(output=[{"type": "function_call"}])], "tool_calls"),
    "Responses, a search of its own": ([responses(output=[{"type": "web_search_call"}])], "stop"),
    "OpenAI batch": (
        [{"custom_id": "q", "response": {"status_code": 200, "body": chat("length")}}],
        "length",
    ),
    "Anthropic": ([anthropic("end_turn", TEXT)], "stop"),
    "Anthropic, cut off": ([anthropic("max_tokens", TEXT)], "length"),
    "Anthropic, a call after text": ([anthropic("tool_use", TEXT, USE)], "tool_calls"),
    "Anthropic, refused": ([anthropic("refusal")], "content_filter"),
    "Anthropic, to be continued": ([anthropic("pause_turn", TEXT)], "pause_turn"),
    "Anthropic, a search of its own": (
        [anthropic("end_turn", {"type": "server_tool_use"}, TEXT)],
        "stop",
    ),
    "Anthropic batch": (
        [
            {
                "custom_id": "q",
                "result": {"type": "succeeded", "message": anthropic("max_tokens", TEXT)},
            }
        ],
        "length",
    ),
    "Claude Code, a call in an earlier line": ([code(None, USE), code(None, TEXT)], "tool_calls"),
    "Claude Code, a word in an earlier line": ([code("max_tokens"), code(None, TEXT)], "length"),
    "Gemini": ([gemini("STOP", {"text": "a"})], "stop"),
    "Gemini, cut off": ([gemini("MAX_TOKENS", {"text": "a"})], "length"),
    "Gemini, a call": ([gemini("STOP", {"functionCall": {"name": "f"}})], "tool_calls"),
    "Gemini, by number": ([gemini(3)], "content_filter"),
    "Gemini, the prompt blocked": (
        [{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": GEMINI_USAGE}],
        "content_filter",
    ),
    "Gemini batch": (
        [
            {"key": "k", "request": {"contents": [{"parts": [{"text": "hi"}]}]}},
            {"key": "k", "response": gemini("MAX_TOKENS")},
        ],
        "length",
    ),
    "Vertex AI batch": (changed("Vertex AI batch", response=gemini("MAX_TOKENS")), "length"),
    "DeepSeek": (
        [{**chat("insufficient_system_resource"), "usage": {"prompt_tokens": 1}}],
        "insufficient_system_resource",
    ),
    "LiteLLM payload": (
        changed("LiteLLM payload", response={"choices": chat("length")["choices"]}),
        "length",
    ),
    "LiteLLM SpendLogs": (
        changed("LiteLLM SpendLogs", response='{"choices": [{"finish_reason": "length"}]}'),
        "length",
    ),
    "Langfuse, a response": (changed("Langfuse observation", output=chat("length")), "length"),
    "Langfuse, a message": (
        changed("Langfuse observation", output={"role": "assistant", "tool_calls": [CALL]}),
        "tool_calls",
    ),
    "Langfuse, blocks": (changed("Langfuse observation", output=[TEXT, USE]), "tool_calls"),
    "Langfuse, text that looks like it": (
        changed("Langfuse observation", output='{"finish_reason": "length"}'),
        None,
    ),
    "OpenTelemetry": ([span(**{REASONS: ["length", "stop"]})], "length"),
    "OpenTelemetry, as JSON text": ([span(**{REASONS: '["max_tokens"]'})], "length"),
    "OpenTelemetry, as text": ([span(**{REASONS: "tool_calls"})], "tool_calls"),
    "OpenTelemetry, the message's": (
        [span(**{"output.messages": '[{"parts": [], "finish_reason": "length"}]'})],
        "length",
    ),
    "OpenTelemetry, a call": (
        [span(**{REASONS: ["stop"], "output.messages": [{"parts": [{"type": "tool_call"}]}]})],
        "tool_calls",
    ),
    "OpenTelemetry, of old": ([span(**{"completion.0.finish_reason": "length"})], "length"),
    "OpenTelemetry, a call of old": (
        [span(**{"completion.0.tool_calls.0.name": "f"})],
        "tool_calls",
    ),
    "OpenInference": ([phoenix(**{"llm.finish_reason": "length"})], "length"),
    "OpenInference, a call": (
        [phoenix(**{"llm.output_messages.0.message.tool_calls.0.tool_call.id": "1"})],
        "tool_calls",
    ),
    "OpenInference, the response": (
        [phoenix(**JSON, **{"output.value": '{"choices": [{"finish_reason": "length"}]}'})],
        "length",
    ),
    "OpenInference, text that looks like it": (
        [phoenix(**{"output.value": '{"choices": [{"finish_reason": "length"}]}'})],
        None,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_reads_why_an_answer_ended(name: str):
    records, reason = CASES[name]
    assert read(*records) == [reason]


def test_a_conversation_shows_its_own_calls():
    assert read(CHAT) == [None, "tool_calls"]
