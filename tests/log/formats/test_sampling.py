import copy
import json

import pytest
from formats_samples import records_of

from frugalctl.log.formats.registry import readers

TALK = [{"role": "user", "content": "hi"}]
CHAT_USAGE = {"prompt_tokens": 1, "completion_tokens": 1}
OPENAI = {"temperature": 0.2, "max_completion_tokens": 9, "stop": ["\n"], "seed": 4}
JSON_MODE = {"response_format": {"type": "json_object"}}
GEMINI = {"temperature": 0, "maxOutputTokens": 9}


def read(*records) -> list[dict | None]:
    made = readers()
    found = []
    for line, record in enumerate(records, start=1):
        [reader] = [reader for reader in made if reader.matches(record)]
        found += reader.feed(record, line)
    for reader in made:
        found += reader.finish()
    return [json.loads(raw) if (raw := bytes(r.sampling)) else None for _, r in found]


def changed(name: str, **fields):
    """The first sample of a format, with other fields on top."""
    return [{**record, **fields} for record in copy.deepcopy(records_of(name))]


def span(**attributes):
    base = {"gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 1}
    return {"attributes": base | attributes}


CASES = {
    "OpenAI chat": (
        [
            {
                "request": {
                    "model": "m",
                    "messages": TALK,
                    "stream": True,
                    "user": "u",
                    **OPENAI,
                    **JSON_MODE,
                },
                "response": {"choices": [{"message": {"content": "a"}}], "usage": CHAT_USAGE},
            }
        ],
        OPENAI | JSON_MODE,
    ),
    "OpenAI chat, nothing asked for": (
        [
            {
                "request": {"model": "m", "messages": TALK, "temperature": None},
                "response": {"choices": [{"message": {"content": "a"}}], "usage": CHAT_USAGE},
            }
        ],
        None,
    ),
    "OpenAI Responses": (
        [
            {
                "request": {
                    "input": "hi",
                    "reasoning": {"effort": "low"},
                    "text": {"verbosity": "low"},
                },
                "response": {
                    "object": "response",
                    "temperature": 1,
                    "usage": {"input_tokens": 1, "output_tokens": 1},
                },
            }
        ],
        {"reasoning": {"effort": "low"}, "text": {"verbosity": "low"}},
    ),
    "OpenAI batch": (
        [
            {"custom_id": "q", "body": {"model": "m", "messages": TALK, **OPENAI}},
            {
                "custom_id": "q",
                "response": {"status_code": 200, "body": {"choices": [], "usage": CHAT_USAGE}},
            },
        ],
        OPENAI,
    ),
    "Anthropic messages": (
        [
            {
                "request": {
                    "messages": TALK,
                    "max_tokens": 5,
                    "top_k": 3,
                    "stop_sequences": ["x"],
                    "metadata": {"user_id": "u"},
                },
                "response": {
                    "type": "message",
                    "content": [],
                    "usage": {"input_tokens": 1, "output_tokens": 1},
                },
            }
        ],
        {"max_tokens": 5, "top_k": 3, "stop_sequences": ["x"]},
    ),
    "Gemini": (
        [
            {
                "request": {
                    "contents": "hi",
                    "generationConfig": GEMINI,
                    "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
                },
                "response": {"usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1}},
            }
        ],
        GEMINI | {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
    ),
    "LiteLLM payload": (
        changed(
            "LiteLLM payload", model_parameters={"temperature": 0, "stream": True, "tools": []}
        ),
        {"temperature": 0},
    ),
    "Langfuse": (
        changed("Langfuse observation", modelParameters={"temperature": "0.5", "max_tokens": 7}),
        {"temperature": "0.5", "max_tokens": 7},
    ),
    "Langfuse, as JSON text": (
        changed("Langfuse observation", modelParameters='{"top_p": 0.5}'),
        {"top_p": 0.5},
    ),
    "Langfuse, in the request": (
        changed("Langfuse observation", input={"messages": TALK, "seed": 3, "temperature": 1}),
        {"seed": 3, "temperature": 1},
    ),
    "OpenTelemetry": (
        [
            span(
                **{
                    "gen_ai.request.temperature": 0.0,
                    "gen_ai.request.choice.count": 2,
                    "gen_ai.request.stop_sequences": ["x"],
                    "gen_ai.output.type": "json",
                }
            )
        ],
        {"temperature": 0.0, "n": 2, "stop_sequences": ["x"], "output_type": "json"},
    ),
    "OpenInference": (
        [
            {
                "attributes": {
                    "llm.model_name": "m",
                    "llm.token_count.prompt": 1,
                    "llm.invocation_parameters": '{"model": "m", "temperature": 0.1}',
                }
            }
        ],
        {"temperature": 0.1},
    ),
    "chat session": (
        changed("chat session", sampling={"temperature": 0}),
        {"temperature": 0},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_reads_what_a_request_asked_for(name: str):
    records, sampling = CASES[name]
    found = read(*records)
    assert found
    assert all(one == sampling for one in found)


@pytest.mark.parametrize("junk", [3, [1], "no JSON", "[1]", "{"])
def test_parameters_of_another_shape_tell_nothing(junk):
    assert read(*changed("Langfuse observation", modelParameters=junk)) == [None]
    assert read(*changed("LiteLLM payload", model_parameters=junk)) == [None]
