"""Why an answer ended, from the field that each API documents for it."""

from __future__ import annotations

from typing import Any

from frugalctl.log.finish import CONTENT_FILTER, STOP, TOOL_CALLS, name_finish
from frugalctl.log.formats.base import Record
from frugalctl.log.formats.content import as_record, calls_tool
from frugalctl.log.formats.fields import items, mapping, value_at

_NUMBERED = {1: "STOP", 2: "MAX_TOKENS", 3: "SAFETY", 4: "RECITATION"}
"""Gemini's enumeration, as older clients write it."""


def finish_of(response: Record) -> str | None:
    """Why an answer ended: a response of any API that we read, or an assistant's message.

    The first of several answers counts. An answer that has tools called says so, even where its
    API calls that a stop.
    """
    if "choices" in response:
        return _finish_of_chat(response)
    if "candidates" in response or "promptFeedback" in response:
        return _finish_of_gemini(response)
    if "output" in response or response.get("object") == "response":
        return _finish_of_responses(response)
    word = response.get("stop_reason") or response.get("finish_reason")
    return settle_finish(word, calls_tool(response))


def settle_finish(word: Any, has_calls: bool) -> str | None:
    """The reason that a word stands for; a stop with tool calls is one for their sake."""
    reason = name_finish(word)
    return TOOL_CALLS if has_calls and reason in (None, STOP) else reason


def _finish_of_chat(response: Record) -> str | None:
    choices = items(response, "choices")
    first = as_record(choices[0]) if choices else {}
    return settle_finish(first.get("finish_reason"), calls_tool(mapping(first, "message")))


def _finish_of_responses(response: Record) -> str | None:
    word = value_at(response, "incomplete_details", "reason") or response.get("status")
    return settle_finish(word, calls_tool({"content": response.get("output")}))


def _finish_of_gemini(response: Record) -> str | None:
    candidates = items(response, "candidates")
    first = as_record(candidates[0]) if candidates else {}
    word = first.get("finishReason") or first.get("finish_reason")
    if type(word) is int:
        word = _NUMBERED.get(word, str(word))
    if word is None and value_at(response, "promptFeedback", "blockReason"):
        word = CONTENT_FILTER
    return settle_finish(word, calls_tool({"content": value_at(first, "content", "parts")}))
