"""What a request asked for beside its text, from the parameters that each API documents."""

from __future__ import annotations

from typing import Any

import msgspec

from frugalctl.log.formats.base import Record
from frugalctl.log.formats.fields import mapping, parse_json, to_raw

_NAMES = frozenset(
    {
        "best_of",
        "frequency_penalty",
        "function_call",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_output_tokens",
        "max_tokens",
        "max_tool_calls",
        "min_p",
        "modalities",
        "n",
        "output_config",
        "output_format",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "reasoning",
        "reasoning_effort",
        "repetition_penalty",
        "response_format",
        "seed",
        "stop",
        "stop_sequences",
        "temperature",
        "text",
        "thinking",
        "tool_choice",
        "top_a",
        "top_k",
        "top_logprobs",
        "top_p",
        "truncation",
        "verbosity",
        "web_search_options",
    }
)
"""OpenAI's chat and Responses APIs, Anthropic's messages, and hosts that extend OpenAI's."""

_GEMINI_NAMES = ("toolConfig", "tool_config", "safetySettings", "safety_settings")
_SPAN_PREFIX = "gen_ai.request."
_SPAN_NAMES = {"choice.count": "n"} | {
    name: name
    for name in (
        "frequency_penalty",
        "max_tokens",
        "presence_penalty",
        "seed",
        "stop_sequences",
        "temperature",
        "top_k",
        "top_p",
    )
}


def read_sampling(*sources: Any) -> msgspec.Raw:
    """The parameters among the fields of a request, by their own names.

    Args:
        sources: requests, or JSON text of one; the first that has a parameter tells it. What is
            no object tells nothing.
    """
    found: Record = {}
    for source in reversed(sources):
        parameters = mapping({"source": parse_json(source)}, "source")
        found |= {name: parameters[name] for name in parameters if name in _NAMES}
    return _to_raw(found)


def read_gemini_sampling(request: Record) -> msgspec.Raw:
    """The generation settings of a generateContent request, and what goes with them."""
    settings = mapping(request, "generationConfig") or mapping(request, "generation_config")
    return _to_raw(settings | {name: request.get(name) for name in _GEMINI_NAMES})


def read_span_sampling(attributes: Record) -> msgspec.Raw:
    """The parameters in OpenTelemetry's attributes `gen_ai.request.*` and `gen_ai.output.type`."""
    found = {name: attributes.get(_SPAN_PREFIX + key) for key, name in _SPAN_NAMES.items()}
    return _to_raw(found | {"output_type": attributes.get("gen_ai.output.type")})


def _to_raw(parameters: Record) -> msgspec.Raw:
    return to_raw({name: value for name, value in parameters.items() if value is not None})
