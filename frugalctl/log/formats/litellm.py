"""LiteLLM's two logs: the payload of its callbacks and the rows of its SpendLogs table.

A call that LiteLLM served from its own cache reached no provider and was not billed: it is left
out and counted, as are failed calls that cost nothing.

Source: LiteLLM's `StandardLoggingPayload` and `SpendLogsPayload`.
"""

from __future__ import annotations

from typing import Any, cast

from frugalctl.log.formats.base import Record, RecordError
from frugalctl.log.formats.content import answer_of_blocks, answer_of_chat, answer_of_responses
from frugalctl.log.formats.fields import (
    elapsed_ms,
    is_true,
    mapping,
    moment,
    number,
    parse_json,
    scaled,
    text,
    to_raw,
    usage_at,
)
from frugalctl.log.formats.finish import finish_of
from frugalctl.log.formats.reader import FAILED, Read, RecordReader, Skipped
from frugalctl.log.formats.sampling import read_sampling
from frugalctl.log.schema import Request, Usage
from frugalctl.log.usage import is_anthropic_usage, read_anthropic_usage, read_openai_usage

CACHE_HIT = Skipped(
    "call served from LiteLLM's own cache (not billed)",
    "calls served from LiteLLM's own cache (not billed)",
)
_TOTALS = ("prompt_tokens", "completion_tokens", "total_tokens")


def readers() -> list[RecordReader]:
    """Readers of both logs."""
    return [
        RecordReader("LiteLLM SpendLogs", _is_spend_log, _read_call),
        RecordReader("LiteLLM payload", _is_payload, _read_call),
    ]


def _is_spend_log(record: Record) -> bool:
    return "spend" in record and ("call_type" in record or "request_id" in record)


def _is_payload(record: Record) -> bool:
    return "spend" not in record and (
        "response_cost" in record or {"call_type", "litellm_call_id"} <= record.keys()
    )


def _read_call(record: Record) -> Read:
    if is_true(record, "cache_hit"):
        return [CACHE_HIT]
    cost_name = "spend" if "spend" in record else "response_cost"
    cost_usd = number(record, cost_name)
    if record.get("status") == "failure" and not cost_usd:
        return [FAILED]
    metadata = parse_json(record.get("metadata"))
    metadata = cast(Record, metadata) if isinstance(metadata, dict) else {}
    parsed = parse_json(record.get("response"))
    response = cast(Record, parsed) if isinstance(parsed, dict) else {}
    messages = parse_json(record.get("messages"))
    start, end = moment(record, "startTime"), moment(record, "endTime")
    return [
        Request(
            id=text(record, "request_id") or text(record, "id"),
            timestamp=start,
            session=text(record, "session_id"),
            tenant=text(record, "team_id")
            or text(metadata, "user_api_key_team_id")
            or text(record, "end_user"),
            model=text(response, "model") or text(record, "model"),
            provider=text(record, "custom_llm_provider"),
            service_tier=_read_tier(response),
            messages=to_raw(messages if isinstance(messages, list) else None),
            tools=to_raw(mapping(record, "model_parameters").get("tools")),
            sampling=read_sampling(record.get("model_parameters")),
            response=_answer(response, record.get("response")),
            finish_reason=finish_of(response),
            usage=_read_usage(record, metadata, response),
            latency_ms=number(record, "request_duration_ms")
            or scaled(number(record, "response_time"), 1_000)
            or elapsed_ms(start, end),
            ttft_ms=_read_ttft_ms(record, start, end),
            cost_usd=cost_usd,
        )
    ]


def _read_tier(response: Record) -> str | None:
    tier = text(response, "service_tier") or text(response, "usage", "service_tier")
    return "standard" if tier == "default" else tier


def _answer(response: Record, logged: Any) -> str | None:
    if not response:
        return None
    if "choices" in response:
        return answer_of_chat(response)
    if isinstance(response.get("content"), list):
        return answer_of_blocks(response["content"])
    return answer_of_responses(response) if isinstance(logged, dict) else None


def _read_ttft_ms(
    record: Record, start: str | float | None, end: str | float | None
) -> float | None:
    """Time to the first token; calls that did not stream log their end as its time."""
    first = moment(record, "completionStartTime")
    return None if first == end else elapsed_ms(start, first)


def _read_usage(record: Record, metadata: Record, response: Record) -> Usage | None:
    """Usage from the provider's details and LiteLLM's totals, which are inclusive."""
    details = usage_at(response, "usage") or usage_at(metadata, "usage_object")
    details = details or usage_at(metadata, "additional_usage_values")
    totals = {name: record[name] for name in _TOTALS if record.get(name) is not None}
    for name, count in totals.items():
        if details.get(name) not in (None, count):
            raise RecordError(f"{name} is {count} in the record and {details[name]!r} in its usage")
    if not totals and is_anthropic_usage(details) and "prompt_tokens" not in details:
        return read_anthropic_usage(details)
    return read_openai_usage({**details, **totals})
