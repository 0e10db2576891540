"""The canonical request log: what one JSON line holds, and the Arrow tables it becomes.

JSONL and parquet carry the same fields under the same names. In parquet, and in memory, the
JSON-valued fields (`JSON_FIELDS`) are JSON text, `timestamp` is an Arrow timestamp, and
`outcomes` is a list of structs.

Token counts follow the convention of OpenAI and OpenTelemetry: `input_tokens` contains cached
reads and writes, `output_tokens` contains reasoning. `frugalctl.log.usage` turns them into
disjoint classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import msgspec
import pyarrow as pa

NO_JSON = msgspec.Raw()
"""Stands for a JSON-valued field that the line does not have."""


class Usage(msgspec.Struct, gc=False):
    """Token counts of one model call, as the canonical log writes them.

    `cache_write_tokens` are writes with the short (5 minute) lifetime, `cache_write_1h_tokens`
    those with the one-hour lifetime; both, and `cache_read_tokens`, lie within `input_tokens`.
    `reasoning_tokens` lie within `output_tokens`.
    """

    input_tokens: int
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None


class Outcome(msgspec.Struct, gc=False):
    """What one model answered to a request, so that a policy can be replayed without a call."""

    model: str
    provider: str | None = None
    service_tier: str | None = None
    response: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None
    quality: float | None = None
    confidence: float | None = None
    usage_estimated: bool | None = None


class Request(msgspec.Struct, gc=False):
    """One line of the canonical log. Everything is optional but something to work with.

    `timestamp` is RFC 3339, epoch seconds or epoch milliseconds; `latency_ms` and `ttft_ms` are
    milliseconds, `cost_usd` US dollars, `quality` in [0, 1], `confidence` any real number
    (higher is surer). `propensity` is the probability, above 0, with which whoever chose the model
    at random chose this one. `region` is a provider's processing region where it changes the price.
    `sampling` is an object of what the request asked for beside its text: temperature, top_p,
    max_tokens, seed, stop, response_format and the like. `finish_reason` is why the answer ended:
    "stop", "length", "tool_calls", "content_filter" or another word (`frugalctl.log.finish`).
    """

    id: str | None = None
    timestamp: str | int | float | None = None
    session: str | None = None
    tenant: str | None = None
    task: str | None = None
    model: str | None = None
    provider: str | None = None
    service_tier: str | None = None
    region: str | None = None
    messages: msgspec.Raw = NO_JSON
    tools: msgspec.Raw = NO_JSON
    sampling: msgspec.Raw = NO_JSON
    response: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    latency_ms: float | None = None
    ttft_ms: float | None = None
    cost_usd: float | None = None
    reference: str | None = None
    quality: float | None = None
    confidence: float | None = None
    propensity: float | None = None
    outcomes: list[Outcome] | None = None
    prefix_blocks: list[int] | None = None
    block_tokens: int | None = None
    usage_estimated: bool | None = None


USAGE_FIELDS: tuple[str, ...] = Usage.__struct_fields__

USAGE = pa.struct([(name, pa.int64()) for name in USAGE_FIELDS])
TIMESTAMP = pa.timestamp("us", tz="UTC")

OUTCOME_FIELDS: dict[str, pa.DataType] = {
    "model": pa.string(),
    "provider": pa.string(),
    "service_tier": pa.string(),
    "response": pa.string(),
    "finish_reason": pa.string(),
    "usage": USAGE,
    "latency_ms": pa.float64(),
    "cost_usd": pa.float64(),
    "quality": pa.float64(),
    "confidence": pa.float64(),
    "usage_estimated": pa.bool_(),
}
OUTCOME = pa.struct(list(OUTCOME_FIELDS.items()))

REQUEST_FIELDS: dict[str, pa.DataType] = {
    "id": pa.string(),
    "timestamp": TIMESTAMP,
    "session": pa.string(),
    "tenant": pa.string(),
    "task": pa.string(),
    "model": pa.string(),
    "provider": pa.string(),
    "service_tier": pa.string(),
    "region": pa.string(),
    "messages": pa.string(),
    "tools": pa.string(),
    "sampling": pa.string(),
    "response": pa.string(),
    "finish_reason": pa.string(),
    "usage": USAGE,
    "latency_ms": pa.float64(),
    "ttft_ms": pa.float64(),
    "cost_usd": pa.float64(),
    "reference": pa.string(),
    "quality": pa.float64(),
    "confidence": pa.float64(),
    "propensity": pa.float64(),
    "outcomes": pa.list_(OUTCOME),
    "prefix_blocks": pa.list_(pa.int64()),
    "block_tokens": pa.int64(),
    "usage_estimated": pa.bool_(),
}
SCHEMA = pa.schema(list(REQUEST_FIELDS.items()))

JSON_FIELDS = ("messages", "tools", "sampling")
"""The fields that hold JSON of any shape; `sampling` is an object."""

TEXT_FIELDS = frozenset({*JSON_FIELDS, "response", "reference"})
"""The bulky fields, which a replay over logged usage does not need."""


class Lines(Protocol):
    """The line numbers of the rows of a batch."""

    def __getitem__(self, row: int, /) -> int:
        """The number of the line, from 1, that a row came from."""
        ...


@dataclass(frozen=True, slots=True)
class LogBatch:
    """A run of requests from one file.

    Attributes:
        requests: a record batch with the columns of `SCHEMA`; columns that the reader was told
            to leave out are absent.
        source: the file's name as the user gave it.
        lines: the line number, from 1, of each row.
    """

    requests: pa.RecordBatch
    source: str
    lines: Lines

    def column(self, name: str) -> Any:
        """The column of that name, or a column of nulls where the reader left it out."""
        if name in self.requests.schema.names:
            return self.requests.column(name)
        return pa.nulls(self.requests.num_rows, REQUEST_FIELDS[name])
