"""Why an answer ended: the providers' words, and where each format keeps them."""

import json

import pytest

from frugalctl.log.finish import is_unfinished, name_finish
from frugalctl.log.formats.finish import finish_of
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import Source


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("end_turn", "stop"),
        ("FinishReason.STOP", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("tool_use", "tool_calls"),
        ("function_call", "tool_calls"),
        ("SAFETY", "content_filter"),
        ("refusal", "content_filter"),
        ("something new", "something new"),
        ("", None),
        (None, None),
        (3, None),
    ],
)
def test_words_of_providers(word, reason):
    assert name_finish(word) == reason


def test_what_is_not_whole():
    assert is_unfinished("length") and is_unfinished("pause_turn")
    assert not any(is_unfinished(reason) for reason in ("stop", "tool_calls", "new word", None))


CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"choices": [{"finish_reason": "length", "message": {"content": "Once"}}]}, "length"),
        ({"choices": [{"finish_reason": "stop", "message": {"tool_calls": [CALL]}}]}, "tool_calls"),
        ({"choices": []}, None),
        (
            {
                "object": "response",
                "status": "incomplete",
                "incomplete_details": {"reason": "max_output_tokens"},
            },
            "length",
        ),
        ({"object": "response", "status": "completed", "output": []}, "stop"),
        ({"stop_reason": "max_tokens", "content": [{"type": "text", "text": "x"}]}, "length"),
        ({"stop_reason": "tool_use", "content": [{"type": "tool_use"}]}, "tool_calls"),
        ({"candidates": [{"finishReason": "MAX_TOKENS"}]}, "length"),
        ({"candidates": [{"finishReason": 2}]}, "length"),
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "content_filter"),
    ],
)
def test_responses_of_each_api(response, reason):
    assert finish_of(response) == reason


def test_the_canonical_field_is_read_as_it_stands(tmp_path):
    path = tmp_path / "log.jsonl"
    usage = {"input_tokens": 1}
    rows = [{"model": "m", "usage": usage, "finish_reason": word} for word in ("length", None)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (batch,) = read_log([Source(str(path), "log.jsonl")], ReadOptions())
    assert batch.column("finish_reason").to_pylist() == ["length", None]
