"""Langfuse's observations, as its API and exports give them.

Only generations are model calls; the other observations of a trace contain them and are left
out without a word.

Source: Langfuse's API reference.
"""

from __future__ import annotations

from typing import Any, cast

from frugalctl.log.formats.base import Record
from frugalctl.log.formats.content import (
    answer_of_blocks,
    answer_of_chat,
    answer_of_message,
    messages_of_openai,
)
from frugalctl.log.formats.fields import (
    elapsed_ms,
    items,
    mapping,
    moment,
    number,
    parse_json,
    text,
    to_raw,
    usage_at,
    value_at,
)
from frugalctl.log.formats.finish import finish_of
from frugalctl.log.formats.reader import FAILED, Read, RecordReader
from frugalctl.log.formats.sampling import read_sampling
from frugalctl.log.schema import Request, Usage
from frugalctl.log.usage import read_langfuse_usage

_CANONICAL = frozenset({"messages", "outcomes"})


def readers() -> list[RecordReader]:
    """The reader of observations."""
    return [RecordReader("Langfuse observation", _is_observation, _read_observation)]


def _is_observation(record: Record) -> bool:
    if "type" not in record or not _CANONICAL.isdisjoint(record):
        return False
    canonical_usage = "input_tokens" in mapping(record, "usage")
    return "usageDetails" in record or ("traceId" in record and not canonical_usage)


def _read_observation(record: Record) -> Read:
    if record.get("type") != "GENERATION":
        return []
    usage = _read_usage(record)
    if usage is None and record.get("level") == "ERROR":
        return [FAILED]
    start = moment(record, "startTime")
    source = parse_json(record.get("input"))
    body = cast(Record, source) if isinstance(source, dict) else {}
    cost_usd = number(record, "totalCost")
    return [
        Request(
            id=text(record, "id"),
            timestamp=start,
            session=text(record, "sessionId"),
            tenant=text(record, "userId"),
            model=text(record, "model") or text(record, "providedModelName"),
            messages=to_raw(_read_messages(record.get("input"), source, body)),
            tools=to_raw(items(body, "tools")),
            sampling=read_sampling(record.get("modelParameters"), body),
            response=_read_answer(record.get("output")),
            finish_reason=_read_finish(record.get("output")),
            usage=usage,
            latency_ms=elapsed_ms(start, moment(record, "endTime")),
            ttft_ms=elapsed_ms(start, moment(record, "completionStartTime")),
            cost_usd=number(record, "calculatedTotalCost") if cost_usd is None else cost_usd,
        )
    ]


def _read_usage(record: Record) -> Usage | None:
    details = usage_at(record, "usageDetails")
    if details:
        return read_langfuse_usage(details)
    if value_at(record, "usage", "unit") in (None, "TOKENS"):
        names = ("input", "output", "total")
        usage = mapping(record, "usage")
        return read_langfuse_usage({name: usage[name] for name in names if name in usage})
    return None


def _read_messages(logged: Any, source: Any, body: Record) -> list[Any]:
    if isinstance(source, list):
        return cast("list[Any]", source)
    if body:
        return messages_of_openai(body)
    return [{"role": "user", "content": logged}] if isinstance(logged, str) and logged else []


def _read_finish(output: Any) -> str | None:
    if isinstance(output, list):
        return finish_of({"content": cast("list[Any]", output)})
    return finish_of(cast(Record, output)) if isinstance(output, dict) else None


def _read_answer(output: Any) -> str | None:
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        return answer_of_blocks(cast("list[Any]", output))
    if not isinstance(output, dict):
        return None
    message = cast(Record, output)
    return answer_of_chat(message) if "choices" in message else answer_of_message(message)
