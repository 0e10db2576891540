"""OpenTelemetry's `gen_ai` attributes, from flat attributes to a request."""

from __future__ import annotations

from typing import Any, cast

from frugalctl.log.formats.base import Record
from frugalctl.log.formats.content import (
    answer_of_blocks,
    as_record,
    calls_tool,
    join_parts,
    with_system,
)
from frugalctl.log.formats.fields import number, parse_json, scaled, text, to_raw
from frugalctl.log.formats.finish import settle_finish
from frugalctl.log.formats.sampling import read_span_sampling
from frugalctl.log.schema import Request
from frugalctl.log.usage import read_span_usage

_OLD_ANSWER = "gen_ai.completion.0"
_NO_CALLS = ("agent", "tool", "workflow", "memory")


def read_genai(attributes: Record) -> Request | None:
    """The model call that a span describes; None where it describes something else."""
    operation = text(attributes, "gen_ai.operation.name") or ""
    if any(word in operation for word in _NO_CALLS):
        return None
    model = _first(attributes, "gen_ai.response.model", "gen_ai.request.model")
    usage = read_span_usage(attributes)
    if model is None and usage is None:
        return None
    tier = _first(
        attributes,
        "openai.response.service_tier",
        "gen_ai.openai.response.service_tier",
        "openai.request.service_tier",
        "gen_ai.openai.request.service_tier",
    )
    ttft = number(attributes, "gen_ai.response.time_to_first_chunk")
    if ttft is None:
        ttft = number(attributes, "gen_ai.server.time_to_first_token")
    return Request(
        id=text(attributes, "gen_ai.response.id"),
        session=_first(attributes, "gen_ai.conversation.id", "session.id"),
        tenant=_first(attributes, "user.id", "enduser.id"),
        model=model,
        provider=_first(attributes, "gen_ai.provider.name", "gen_ai.system"),
        service_tier={"default": "standard", "auto": None}.get(tier, tier) if tier else None,
        messages=to_raw(_read_messages(attributes)),
        tools=to_raw(parse_json(attributes.get("gen_ai.tool.definitions"))),
        sampling=read_span_sampling(attributes),
        response=_read_answer(attributes),
        finish_reason=_read_finish(attributes),
        usage=usage,
        ttft_ms=scaled(ttft, 1_000),
        cost_usd=_first_number(attributes, "gen_ai.usage.cost", "operation.cost"),
    )


def _first(attributes: Record, *names: str) -> str | None:
    return next((found for name in names if (found := text(attributes, name))), None)


def _first_number(attributes: Record, *names: str) -> float | None:
    values = (number(attributes, name) for name in names)
    return next((value for value in values if value is not None), None)


def _read_messages(attributes: Record) -> list[Any]:
    logged = parse_json(attributes.get("gen_ai.input.messages"))
    if not isinstance(logged, list):
        return _read_indexed(attributes, "gen_ai.prompt")
    messages = [_read_message(as_record(m)) for m in cast("list[Any]", logged)]
    system = parse_json(attributes.get("gen_ai.system_instructions"))
    if isinstance(system, list):
        system = join_parts(cast("list[Any]", system))
    return with_system(system, messages)


def _read_message(message: Record) -> Record:
    if not isinstance(message.get("parts"), list):
        return message
    rest = {key: value for key, value in message.items() if key != "parts"}
    return {**rest, "content": join_parts(cast("list[Any]", message["parts"]))}


def _read_indexed(attributes: Record, prefix: str) -> list[Any]:
    """Messages of the older convention: one attribute for each role and each content."""
    messages: list[Any] = []
    while (content := text(attributes, f"{prefix}.{len(messages)}.content")) is not None:
        role = text(attributes, f"{prefix}.{len(messages)}.role") or "user"
        messages.append({"role": role, "content": content})
    return messages


def _read_finish(attributes: Record) -> str | None:
    """The first of the reasons, or the output message's own."""
    logged = attributes.get("gen_ai.response.finish_reasons")
    parsed = parse_json(logged)
    word = cast("list[Any]", parsed)[0] if isinstance(parsed, list) and parsed else logged
    output = _first_output(attributes)
    word = word or output.get("finish_reason") or attributes.get(f"{_OLD_ANSWER}.finish_reason")
    has_calls = calls_tool({"content": output.get("parts")}) or calls_tool(output)
    old_calls = any(name.startswith(f"{_OLD_ANSWER}.tool_calls.") for name in attributes)
    return settle_finish(word, has_calls or old_calls)


def _first_output(attributes: Record) -> Record:
    logged = parse_json(attributes.get("gen_ai.output.messages"))
    messages = cast("list[Any]", logged) if isinstance(logged, list) else []
    return as_record(messages[0]) if messages else {}


def _read_answer(attributes: Record) -> str | None:
    output = _first_output(attributes)
    if output:
        content = output.get("parts") or output.get("content")
        return content if isinstance(content, str) else answer_of_blocks(content)
    return text(attributes, f"{_OLD_ANSWER}.content")
