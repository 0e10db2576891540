"""OpenInference's attributes (Phoenix, Arize), from flat attributes to a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from frugalctl.log.formats.base import Record
from frugalctl.log.formats.content import answer_of_message, as_record, calls_tool
from frugalctl.log.formats.fields import mapping, number, parse_json, text, to_raw
from frugalctl.log.formats.finish import finish_of, settle_finish
from frugalctl.log.formats.sampling import read_sampling
from frugalctl.log.schema import Request
from frugalctl.log.usage import read_openinference_usage

_KIND = "openinference.span.kind"
_OWN = ("openinference.", "llm.model_name", "llm.token_count.", "llm.input_messages")


def is_openinference(attributes: Record) -> bool:
    """Whether attributes follow OpenInference."""
    return any(name.startswith(_OWN) for name in attributes)


def read_openinference(attributes: Record) -> Request | None:
    """The model call that a span describes; None for spans of other kinds."""
    if attributes.get(_KIND, "LLM") != "LLM":
        return None
    outputs = list(_read_messages(attributes, "llm.output_messages"))
    answer = answer_of_message(outputs[0]) if outputs else text(attributes, "output.value")
    return Request(
        session=text(attributes, "session.id"),
        tenant=text(attributes, "user.id"),
        model=text(attributes, "llm.model_name"),
        provider=text(attributes, "llm.provider") or text(attributes, "llm.system"),
        messages=to_raw(list(_read_messages(attributes, "llm.input_messages"))),
        sampling=read_sampling(attributes.get("llm.invocation_parameters")),
        response=answer,
        finish_reason=_read_finish(attributes, outputs),
        usage=read_openinference_usage(attributes),
        cost_usd=number(attributes, "llm.cost.total"),
    )


def _read_finish(attributes: Record, outputs: list[Record]) -> str | None:
    """The span's own word, or that of the response that it has as JSON."""
    word = attributes.get("llm.finish_reason")
    if word is None and attributes.get("output.mime_type") == "application/json":
        word = finish_of(as_record(parse_json(attributes.get("output.value"))))
    return settle_finish(word, bool(outputs) and calls_tool(outputs[0]))


def _read_messages(attributes: Record, prefix: str) -> Iterator[Record]:
    """Messages from a list of objects, or from keys that hold an index and a path."""
    listed = attributes.get(prefix)
    if isinstance(listed, list):
        for entry in map(as_record, cast("list[Any]", listed)):
            yield mapping(entry, "message") or _undotted(entry)
        return
    found: dict[int, Record] = {}
    for name, value in attributes.items():
        if name.startswith(f"{prefix}."):
            index, _, path = name[len(prefix) + 1 :].partition(".")
            if index.isdecimal() and len(index) < 10:
                found.setdefault(int(index), {})[path] = value
    for index in sorted(found):
        yield _undotted(found[index])


def _undotted(entry: Record) -> Record:
    """One message from paths such as `message.role` and `message.contents.0...text`."""
    short = {name.removeprefix("message."): value for name, value in entry.items()}
    texts = [v for k, v in short.items() if k.endswith("message_content.text")]
    content = short.get("content")
    if content is None and all(isinstance(part, str) for part in texts):
        content = "".join(texts)
    message: Record = {"role": short.get("role") or "user", "content": content}
    calls = {k: v for k, v in short.items() if k.startswith("tool_calls.")}
    return {**message, "tool_calls": calls} if calls else message
