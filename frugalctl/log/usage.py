"""What providers and tools report as usage, to the canonical counts and the disjoint classes.

One pure function a convention. Each takes the object as it stands in the log and returns the
canonical `Usage` (input contains cached reads and writes, output contains reasoning), or None
where the object does not say how many input tokens there were. Each raises `RecordError` when
a count is negative, not an integer or too large, when parts exceed their whole, and when the
sum disagrees with the total that the provider states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from frugalctl.log.formats.base import RecordError
from frugalctl.log.schema import USAGE_FIELDS, Usage

Fields = Mapping[str, Any]
Tokens = NDArray[np.int64]

MAX_TOKENS = 2**53
"""More than this is no count of tokens, and a double does not hold it."""


@dataclass(frozen=True, slots=True)
class DisjointTokens:
    """Token classes of n calls that do not overlap; their sum is what the provider counted.

    Attributes:
        tokens: int64 arrays of length n under the keys fresh_input, cache_read, cache_write
            (5 minutes), cache_write_1h, output (without reasoning) and reasoning.
        known: whether the call has usage at all; where it has none, all classes are 0.
    """

    tokens: dict[str, Tokens]
    known: NDArray[np.bool_]


def disjoint(usage: Any) -> DisjointTokens:
    """Split canonical usage into classes that do not overlap.

    A count that is null within known usage is taken for 0. The rows are expected to be valid:
    no part is larger than its whole.

    Args:
        usage: an Arrow `StructArray` of length n and of type `schema.USAGE`.
    """
    known = cast("NDArray[np.bool_]", usage.is_valid().to_numpy(zero_copy_only=False))
    whole = bool(known.all())
    counts: dict[str, Tokens] = {}
    for at, name in enumerate(USAGE_FIELDS):
        column = usage.field(at)
        values = (column.fill_null(0) if column.null_count else column).to_numpy()
        counts[name] = values if whole else np.where(known, values, 0)
    read, write = counts["cache_read_tokens"], counts["cache_write_tokens"]
    write_1h, reasoning = counts["cache_write_1h_tokens"], counts["reasoning_tokens"]
    tokens = {
        "fresh_input": counts["input_tokens"] - read - write - write_1h,
        "cache_read": read,
        "cache_write": write,
        "cache_write_1h": write_1h,
        "output": counts["output_tokens"] - reasoning,
        "reasoning": reasoning,
    }
    return DisjointTokens(tokens, known)


def read_response_usage(usage: Fields) -> Usage | None:
    """Usage of an API response whose convention is told by its own keys."""
    if "promptTokenCount" in usage or "prompt_token_count" in usage:
        return read_gemini_usage(usage)
    if "prompt_tokens" not in usage and is_anthropic_usage(usage):
        return read_anthropic_usage(usage)
    return read_openai_usage(usage)


def is_anthropic_usage(usage: Fields) -> bool:
    """Whether an object counts cached tokens beside `input_tokens`, as Anthropic does."""
    return "input_tokens" in usage and (
        "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage
    )


def read_openai_usage(usage: Fields) -> Usage | None:
    """OpenAI's chat completions and Responses, and those who follow them.

    Cached reads and writes lie inside the input, reasoning inside the output. Also understood:
    DeepSeek's hit and miss counts, LiteLLM's names for cache writes with their lifetimes, and
    services (xAI) that count reasoning beside the completion, which shows in their total.

    Source: the API references of OpenAI, DeepSeek and xAI; LiteLLM's `Usage`.
    """
    input_tokens = _count(usage, "prompt_tokens", "input_tokens")
    output_tokens = _count(usage, "completion_tokens", "output_tokens")
    total_tokens = _count(usage, "total_tokens")
    details = _details(usage, "prompt_tokens_details", "input_tokens_details")
    reasoning = _count(
        _details(usage, "completion_tokens_details", "output_tokens_details"), "reasoning_tokens"
    )
    read = _count(details, "cached_tokens")
    if read is None:
        read = _count(usage, "prompt_cache_hit_tokens", "cache_read_input_tokens", "cached_tokens")
    missed = _count(usage, "prompt_cache_miss_tokens")
    if missed is not None and input_tokens is not None and (read or 0) + missed != input_tokens:
        raise RecordError(
            f"usage: {read or 0} cache hits and {missed} misses are not {input_tokens} input tokens"
        )
    written = _count(details, "cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = _count(usage, "cache_creation_input_tokens")
    write, write_1h = _split_writes(written, _details(details, "cache_creation_token_details"))
    if (
        reasoning
        and total_tokens is not None
        and total_tokens == (input_tokens or 0) + (output_tokens or 0) + reasoning
    ):
        output_tokens = (output_tokens or 0) + reasoning
    return _build(
        input_tokens, read, write, write_1h, output_tokens, reasoning, total_tokens=total_tokens
    )


def read_anthropic_usage(usage: Fields) -> Usage | None:
    """Anthropic's messages: cached reads and writes are counted beside `input_tokens`.

    Without the split by lifetime, all writes have the 5-minute one. Anthropic states no total.

    Source: Anthropic's documentation of prompt caching.
    """
    fresh = _count(usage, "input_tokens")
    if fresh is None:
        return None
    read = _count(usage, "cache_read_input_tokens")
    written = _count(usage, "cache_creation_input_tokens")
    write, write_1h = _split_writes(written, _details(usage, "cache_creation"))
    return _build(
        fresh + (read or 0) + (write or 0) + (write_1h or 0),
        read,
        write,
        write_1h,
        _count(usage, "output_tokens"),
        _count(_details(usage, "output_tokens_details"), "thinking_tokens"),
    )


def read_gemini_usage(usage: Fields) -> Usage | None:
    """Gemini: the cache lies inside the prompt, thoughts beside the candidates.

    Results of the provider's own tools are billed as input. Where the stated total shows that a
    gateway has already put the thoughts into the candidates, they are not added again.

    Source: `UsageMetadata` in the references of the Gemini API and Vertex AI.
    """
    prompt = _count(usage, "promptTokenCount", "prompt_token_count")
    if prompt is None:
        return None
    tool = _count(usage, "toolUsePromptTokenCount", "tool_use_prompt_token_count") or 0
    read = _count(usage, "cachedContentTokenCount", "cached_content_token_count")
    candidates = _count(usage, "candidatesTokenCount", "candidates_token_count")
    thoughts = _count(usage, "thoughtsTokenCount", "thoughts_token_count")
    total = _count(usage, "totalTokenCount", "total_token_count")
    output = candidates
    if thoughts and total != prompt + tool + (candidates or 0):
        output = (candidates or 0) + thoughts
    return _build(prompt + tool, read, None, None, output, thoughts, total_tokens=total)


def read_langfuse_usage(usage: Fields) -> Usage | None:
    """Langfuse's `usageDetails`, whose keys do not overlap.

    Keys are free text: those with "cache" in them are reads or writes, those with "reasoning",
    "thinking" or "thought" are reasoning, other keys with "input" or "prompt" are fresh input
    and with "output", "completion" or "candidate" output. LiteLLM's exporter leaves cache
    writes inside "input" and counts them again; the total, which it states, shows that.

    Source: Langfuse's documentation of token and cost tracking.
    """
    sums: dict[str, int] = {}
    for key in usage:
        kind = _classify_langfuse_key(key.lower())
        count = _count(usage, key) if kind else None
        if kind and count is not None:
            sums[kind] = sums.get(kind, 0) + count
    if "input" not in sums and "read" not in sums:
        return None
    read, write, write_1h = sums.get("read"), sums.get("write"), sums.get("write_1h")
    reasoning = sums.get("reasoning")
    output = sums.get("output")
    if reasoning is not None:
        output = (output or 0) + reasoning
    written = (write or 0) + (write_1h or 0)
    fresh = sums.get("input", 0)
    total = sums.get("total")
    if total is not None and total == fresh + (read or 0) + (output or 0):
        written = 0
    return _build(
        fresh + (read or 0) + written, read, write, write_1h, output, reasoning, total_tokens=total
    )


def _classify_langfuse_key(key: str) -> str | None:
    if key in ("total", "total_tokens"):
        return "total"
    if "cache" in key or "ephemeral" in key:
        if any(word in key for word in ("creat", "write", "ephemeral")):
            return "write_1h" if "1h" in key else "write"
        return "read"
    if any(word in key for word in ("reasoning", "thinking", "thought")):
        return "reasoning"
    if "input" in key or "prompt" in key:
        return "input"
    if any(word in key for word in ("output", "completion", "candidate")):
        return "output"
    return None


def read_span_usage(attributes: Fields) -> Usage | None:
    """OpenTelemetry's `gen_ai.usage.*` attributes, with the names of earlier conventions.

    Source: OpenTelemetry's semantic conventions for generative AI; the older names are those of
    OpenLLMetry, Sentry and Logfire.
    """
    usage = "gen_ai.usage."
    return _build(
        _count(attributes, f"{usage}input_tokens", f"{usage}prompt_tokens"),
        _count(
            attributes,
            f"{usage}cache_read.input_tokens",
            f"{usage}cache_read_input_tokens",
            f"{usage}input_tokens.cached",
            f"{usage}details.cache_read_tokens",
            f"{usage}details.cache_read_input_tokens",
            f"{usage}cached_tokens",
        ),
        _count(
            attributes,
            f"{usage}cache_creation.input_tokens",
            f"{usage}cache_creation_input_tokens",
            f"{usage}input_tokens.cache_write",
            f"{usage}details.cache_write_tokens",
            f"{usage}details.cache_creation_input_tokens",
        ),
        None,
        _count(attributes, f"{usage}output_tokens", f"{usage}completion_tokens"),
        _count(
            attributes,
            f"{usage}reasoning.output_tokens",
            f"{usage}reasoning_tokens",
            f"{usage}output_tokens.reasoning",
            f"{usage}details.reasoning_tokens",
            "llm.usage.reasoning_tokens",
        ),
        total_tokens=_count(attributes, f"{usage}total_tokens", "llm.usage.total_tokens"),
    )


def read_openinference_usage(attributes: Fields) -> Usage | None:
    """OpenInference's `llm.token_count.*` attributes: details lie inside prompt and completion.

    Source: OpenInference's semantic conventions.
    """
    prompt, completion = "llm.token_count.prompt", "llm.token_count.completion"
    return _build(
        _count(attributes, prompt),
        _count(attributes, f"{prompt}_details.cache_read", f"{prompt}_details.cache_input"),
        _count(attributes, f"{prompt}_details.cache_write"),
        None,
        _count(attributes, completion),
        _count(attributes, f"{completion}_details.reasoning"),
        total_tokens=_count(attributes, "llm.token_count.total"),
    )


def count_plain_usage(input_tokens: int, output_tokens: int | None) -> Usage:
    """Usage of traces that know no more than the length of the input and of the output."""
    return Usage(_as_count(input_tokens, "input"), output_tokens=output_tokens)


def _build(
    input_tokens: int | None,
    read: int | None,
    write: int | None,
    write_1h: int | None,
    output_tokens: int | None,
    reasoning: int | None,
    *,
    total_tokens: int | None = None,
) -> Usage | None:
    if input_tokens is None:
        return None
    cached = (read or 0) + (write or 0) + (write_1h or 0)
    if cached > input_tokens:
        raise RecordError(
            f"usage: {cached} cached tokens do not fit in {input_tokens} input tokens,"
            " which should contain them"
        )
    if output_tokens is None and total_tokens is not None and total_tokens >= input_tokens:
        output_tokens = total_tokens - input_tokens
    if reasoning and output_tokens is not None and reasoning > output_tokens:
        raise RecordError(
            f"usage: {reasoning} reasoning tokens do not fit in {output_tokens} output tokens,"
            " which should contain them"
        )
    if total_tokens is not None and input_tokens + (output_tokens or 0) != total_tokens:
        raise RecordError(
            f"usage: {input_tokens} input and {output_tokens or 0} output tokens are not"
            f" {total_tokens}, the stated total"
        )
    return Usage(input_tokens, read, write, write_1h, output_tokens, reasoning)


def _split_writes(written: int | None, split: Fields) -> tuple[int | None, int | None]:
    write = _count(split, "ephemeral_5m_input_tokens")
    write_1h = _count(split, "ephemeral_1h_input_tokens")
    if write is None and write_1h is None:
        return written, None
    parts = (write or 0) + (write_1h or 0)
    if written is not None and parts != written:
        raise RecordError(
            f"usage: cache writes by lifetime add up to {parts}, the stated sum is {written}"
        )
    return write or 0, write_1h or 0


def _details(usage: Fields, *names: str) -> Fields:
    for name in names:
        value = usage.get(name)
        if value is not None:
            if not isinstance(value, Mapping):
                raise RecordError(f"usage: {name} is not an object")
            return cast(Fields, value)
    return {}


def _count(usage: Fields, *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if value is not None:
            return _as_count(value, name)
    return None


def _as_count(value: object, name: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RecordError(f"usage: {name} is not an integer")
    if value < 0:
        raise RecordError(f"usage: {name} is negative")
    if value > MAX_TOKENS:
        raise RecordError(f"usage: {name} is too large")
    return value
