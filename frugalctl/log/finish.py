"""Why an answer ended: the providers' words in one vocabulary."""

from __future__ import annotations

from typing import Any

STOP = "stop"
LENGTH = "length"
TOOL_CALLS = "tool_calls"
CONTENT_FILTER = "content_filter"

_WORDS = {
    STOP: "stop end_turn stop_sequence eos eos_token completed complete",
    LENGTH: "length model_length max_tokens max_output_tokens model_context_window_exceeded"
    " error_limit",
    TOOL_CALLS: "tool_calls tool_call tool_use function_call",
    CONTENT_FILTER: "content_filter content_filtered guardrail_intervened refusal safety recitation"
    " blocklist prohibited_content spii model_armor image_safety image_prohibited_content"
    " image_recitation error_toxic sensitive",
}
_MEANINGS = {word: meaning for meaning, words in _WORDS.items() for word in words.split()}

_UNFINISHED = frozenset(
    {
        "abort",
        "aborted",
        "cancelled",
        "error",
        "in_progress",
        "incomplete",
        "insufficient_system_resource",
        "malformed_function_call",
        "network_error",
        "pause_turn",
        "unexpected_tool_call",
    }
)
"""Words, in lower case, for an answer that is not whole, without saying that it is too long."""


def name_finish(word: Any) -> str | None:
    """The reason that a provider's word stands for; the word itself where that is not known.

    Known are the words of the APIs of OpenAI, Anthropic, Gemini, Bedrock, Mistral, Cohere and
    DeepSeek and of common inference servers, whatever their case.

    Args:
        word: "MAX_TOKENS", "end_turn" and the like, also with the name of its enumeration in
            front; what is no text is no reason.
    """
    if not isinstance(word, str) or not word:
        return None
    return _MEANINGS.get(_plain(word), word)


def is_unfinished(reason: str | None) -> bool:
    """Whether a reason says that the answer broke off, or waits to be continued."""
    return reason is not None and (reason == LENGTH or _plain(reason) in _UNFINISHED)


def _plain(word: str) -> str:
    return word.rpartition(".")[2].strip().lower()
