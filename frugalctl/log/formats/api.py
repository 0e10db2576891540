"""Requests and responses of the providers' own APIs, logged as pairs or as bare responses."""

from __future__ import annotations

from collections.abc import Callable

from frugalctl.log.finish import name_finish
from frugalctl.log.formats.base import Record
from frugalctl.log.formats.content import (
    answer_of_blocks,
    answer_of_chat,
    answer_of_gemini,
    answer_of_responses,
    messages_of_gemini,
    messages_of_openai,
    with_system,
)
from frugalctl.log.formats.fields import (
    is_mapping,
    items,
    mapping,
    moment,
    number,
    text,
    to_raw,
    usage_at,
)
from frugalctl.log.formats.finish import finish_of
from frugalctl.log.formats.reader import FAILED, RecordReader, Skipped
from frugalctl.log.formats.sampling import read_gemini_sampling, read_sampling
from frugalctl.log.schema import Request
from frugalctl.log.usage import is_anthropic_usage, read_gemini_usage, read_response_usage

ReadExchange = Callable[[Record, Record], Request]
"""From the request (may be empty) and the response to the canonical request."""

_OPENAI_MODELS = ("gpt-", "chatgpt-", "o1", "o3", "o4", "ft:gpt-", "text-embedding-", "codex-")


def readers() -> list[RecordReader]:
    """One reader for each provider's responses, with or without their requests."""
    shapes: tuple[tuple[str, Callable[[Record], bool], ReadExchange], ...] = (
        ("Anthropic messages", is_anthropic, read_anthropic),
        ("DeepSeek chat", is_deepseek, read_openai),
        ("OpenAI Responses", is_responses, read_openai),
        ("OpenAI chat", is_chat, read_openai),
        ("Gemini", is_gemini, read_gemini),
    )
    made = [_make_reader(*shape) for shape in shapes]
    return [RecordReader("failed exchange", is_failed_pair, lambda _: [FAILED]), *made]


def _make_reader(name: str, matches: Callable[[Record], bool], read: ReadExchange) -> RecordReader:
    return RecordReader(
        name,
        lambda record: _is_exchange(record) and matches(response_of(record)),
        lambda record: [_read_record(record, read)],
    )


def _is_exchange(record: Record) -> bool:
    """Whether a record holds no more than an exchange: a batch line or a wrapper does."""
    return not (
        {"custom_id", "processed_time", "call_type"} & record.keys() or is_failed_pair(record)
    )


def response_of(record: Record) -> Record:
    """The response in a record: beside its request, or the record itself."""
    if is_mapping(record, "request") and is_mapping(record, "response"):
        return mapping(record, "response")
    return record


def is_failed_pair(record: Record) -> bool:
    """Whether a request was answered with an error object."""
    return is_mapping(record, "request") and bool(mapping(record, "response").get("error"))


def is_anthropic(response: Record) -> bool:
    """Whether a response is an Anthropic message."""
    usage = mapping(response, "usage")
    return "prompt_tokens" not in usage and (
        is_anthropic_usage(usage)
        or ("stop_reason" in response and "usage" in response)
        or (response.get("type") == "message" and "usage" in response)
    )


def is_deepseek(response: Record) -> bool:
    """Whether a response counts cache hits in DeepSeek's way."""
    return "prompt_cache_hit_tokens" in mapping(response, "usage")


def is_responses(response: Record) -> bool:
    """Whether a response is an object of OpenAI's Responses API."""
    usage = mapping(response, "usage")
    return not is_anthropic(response) and (
        response.get("object") == "response"
        or "input_tokens_details" in usage
        or ("input_tokens" in usage and isinstance(response.get("output"), list))
    )


def is_chat(response: Record) -> bool:
    """Whether a response is a chat completion of OpenAI or of a service that follows it."""
    usage = mapping(response, "usage")
    if is_deepseek(response) or response.get("object") == "chat.completion.chunk":
        return False
    return "prompt_tokens" in usage or isinstance(response.get("choices"), list)


def is_gemini(response: Record) -> bool:
    """Whether a response is one of generateContent."""
    return "usageMetadata" in response or "usage_metadata" in response


def read_openai(request: Record, response: Record) -> Request:
    """A chat completion or a Responses object.

    Many services speak this protocol, so the provider is named only where the model tells it.
    """
    model = text(response, "model") or text(request, "model")
    usage = usage_at(response, "usage")
    body = answer_of_chat(response) if "choices" in response else answer_of_responses(response)
    provider = "openai" if model and model.startswith(_OPENAI_MODELS) else None
    if "prompt_cache_hit_tokens" in usage:
        provider = "deepseek"
    return Request(
        id=text(response, "id"),
        timestamp=moment(response, "created") or moment(response, "created_at"),
        tenant=text(request, "user") or text(request, "safety_identifier"),
        model=model,
        provider=provider,
        service_tier=_openai_tier(response) or _openai_tier(request),
        messages=to_raw(messages_of_openai(request)),
        tools=to_raw(items(request, "tools")),
        sampling=read_sampling(request),
        response=body,
        finish_reason=finish_of(response),
        usage=read_response_usage(usage),
    )


def _openai_tier(source: Record) -> str | None:
    tier = text(source, "service_tier")
    return {"default": "standard", "auto": None}.get(tier, tier) if tier else None


def read_anthropic(request: Record, response: Record) -> Request:
    """A message of Anthropic's API, which other services speak too (see `read_openai`)."""
    model = text(response, "model") or text(request, "model")
    usage = usage_at(response, "usage")
    geo = text(usage, "inference_geo")
    return Request(
        id=text(response, "id"),
        tenant=text(request, "metadata", "user_id"),
        model=model,
        provider="anthropic" if model and model.startswith("claude") else None,
        service_tier=text(usage, "service_tier"),
        region=None if geo in ("global", "not_available") else geo,
        messages=to_raw(with_system(request.get("system"), items(request, "messages"))),
        tools=to_raw(items(request, "tools")),
        sampling=read_sampling(request),
        response=answer_of_blocks(response.get("content")),
        finish_reason=finish_of(response),
        usage=read_response_usage(usage),
    )


def read_gemini(request: Record, response: Record) -> Request:
    """A generateContent response of the Gemini API or of Vertex AI."""
    usage = usage_at(response, "usageMetadata") or usage_at(response, "usage_metadata")
    model = text(response, "modelVersion") or text(response, "model_version")
    model = model or text(request, "model")
    return Request(
        id=text(response, "responseId") or text(response, "response_id"),
        timestamp=moment(response, "createTime"),
        model=model.removeprefix("models/") if model else None,
        provider="google",
        messages=to_raw(messages_of_gemini(request)),
        tools=to_raw(items(request, "tools")),
        sampling=read_gemini_sampling(request),
        response=answer_of_gemini(response),
        finish_reason=finish_of(response),
        usage=read_gemini_usage(usage),
    )


def _read_record(record: Record, read: ReadExchange) -> Request | Skipped:
    """Read an exchange, and what its logger wrote beside it."""
    response = response_of(record)
    if response.get("error"):
        return FAILED
    request = record if response is record else mapping(record, "request")
    result = read(request, response)
    if isinstance(record.get("response"), str):
        result.response = record["response"]
    for name in ("id", "session", "tenant", "task", "provider", "region", "reference"):
        setattr(result, name, text(record, name) or getattr(result, name))
    for name in ("latency_ms", "ttft_ms", "cost_usd", "quality", "confidence"):
        setattr(result, name, number(record, name))
    result.session = result.session or text(record, "session_id")
    result.finish_reason = name_finish(record.get("finish_reason")) or result.finish_reason
    for name in ("timestamp", "ts", "time"):
        result.timestamp = moment(record, name) or result.timestamp
    return result
