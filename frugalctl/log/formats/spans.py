"""Spans of OpenTelemetry: the shapes they are written in, and the two conventions for models.

A span stands alone, with its attributes as an object (dotted or nested keys) or as OTLP's list
of keys and typed values, or in OTLP's envelope of resources and scopes. Spans that are not
model calls (agents, tools, chains) repeat the usage of the calls inside them; they are left out.

Source: OTLP/JSON; OpenTelemetry's semantic conventions for generative AI; OpenInference's.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from frugalctl.log.formats.base import Record
from frugalctl.log.formats.content import as_record
from frugalctl.log.formats.fields import elapsed_ms, items, mapping, moment, value_at, whole
from frugalctl.log.formats.genai import read_genai
from frugalctl.log.formats.openinference import is_openinference, read_openinference
from frugalctl.log.formats.reader import FAILED, Read, RecordReader
from frugalctl.log.schema import Request

_FAILED_STATUS = (2, "2", "STATUS_CODE_ERROR", "ERROR")


def readers() -> list[RecordReader]:
    """Readers of OTLP envelopes and of single spans in either convention."""
    return [
        RecordReader("OTLP spans", _is_envelope, _read_envelope),
        RecordReader("OpenInference span", _is_openinference_span, _read_span),
        RecordReader("OpenTelemetry gen_ai span", _is_genai_span, _read_span),
    ]


def _is_envelope(record: Record) -> bool:
    return "resourceSpans" in record or "resource_spans" in record


def _is_openinference_span(record: Record) -> bool:
    return not _is_envelope(record) and is_openinference(attributes_of(record))


def _is_genai_span(record: Record) -> bool:
    attributes = attributes_of(record)
    return not is_openinference(attributes) and any(k.startswith("gen_ai.") for k in attributes)


def _read_envelope(record: Record) -> Read:
    resources = items(record, "resourceSpans") or items(record, "resource_spans")
    for resource in map(as_record, resources):
        scopes = items(resource, "scopeSpans") or items(resource, "scope_spans")
        for scope in map(as_record, scopes):
            for span in map(as_record, items(scope, "spans")):
                yield from _read_span(span)


def _read_span(span: Record) -> Read:
    attributes = attributes_of(span)
    read = read_openinference if is_openinference(attributes) else read_genai
    request = read(attributes)
    if request is None:
        return []
    if request.usage is None and _has_failed(span):
        return [FAILED]
    return [_add_times(request, span)]


def _add_times(request: Request, span: Record) -> Request:
    start_ns = whole(span, "startTimeUnixNano")
    end_ns = whole(span, "endTimeUnixNano")
    if start_ns is not None:
        request.timestamp = start_ns / 1e9
        if end_ns is not None and end_ns >= start_ns:
            request.latency_ms = (end_ns - start_ns) / 1e6
        return request
    request.timestamp = moment(span, "start_time")
    request.latency_ms = elapsed_ms(request.timestamp, moment(span, "end_time"))
    return request


def _has_failed(span: Record) -> bool:
    status = mapping(span, "status")
    codes = (status.get("code"), status.get("status_code"), span.get("status_code"))
    return any(code in _FAILED_STATUS for code in codes if isinstance(code, (int, str)))


def attributes_of(span: Record) -> Record:
    """The attributes of a span under dotted keys, whatever shape they are written in."""
    attributes = span.get("attributes")
    if isinstance(attributes, list):
        pairs = [as_record(pair) for pair in cast("list[Any]", attributes)]
        return {key: _typed_value(pair.get("value")) for pair, key in _with_keys(pairs)}
    if isinstance(attributes, dict):
        return dict(_flatten(cast(Record, attributes)))
    prefix = "attributes."
    return {k.removeprefix(prefix): v for k, v in span.items() if k.startswith(prefix)}


def _with_keys(pairs: list[Record]) -> Iterator[tuple[Record, str]]:
    for pair in pairs:
        key = pair.get("key")
        if isinstance(key, str):
            yield pair, key


def _flatten(attributes: Record, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in attributes.items():
        if isinstance(value, dict):
            yield from _flatten(cast(Record, value), f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _typed_value(value: Any) -> Any:
    """The plain value of OTLP's `AnyValue`; 64-bit integers are written as text there."""
    typed = as_record(value)
    for name in ("stringValue", "doubleValue", "boolValue"):
        if name in typed:
            return typed[name]
    if "intValue" in typed:
        written = typed["intValue"]
        is_int = isinstance(written, str) and written.isdecimal() and len(written) < 20
        return int(written) if is_int else written
    if "arrayValue" in typed:
        return [_typed_value(item) for item in items(typed, "arrayValue", "values")]
    if "kvlistValue" in typed:
        pairs = [as_record(pair) for pair in items(typed, "kvlistValue", "values")]
        return {key: _typed_value(value_at(pair, "value")) for pair, key in _with_keys(pairs)}
    return None
