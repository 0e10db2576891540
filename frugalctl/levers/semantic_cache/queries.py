"""Questions put to an index, one a line: text, or JSON that says who asks, and after what."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from frugalctl.errors import BadLine
from frugalctl.levers.semantic_cache.conversation import NO_TEXT, split_messages
from frugalctl.levers.semantic_cache.scope import digest_json
from frugalctl.levers.semantic_cache.settings import ScopeKey
from frugalctl.log.formats.sampling import read_sampling
from frugalctl.log.times import UNKNOWN_US, parse_timestamp_us

_TEXT_NAMES = ("query", "question", "text")
_JSON_OPENS = (b"{", b"[", b'"')
_NAMED: tuple[ScopeKey, ...] = ("tenant", "model")


@dataclass(frozen=True, slots=True)
class Query:
    """One question.

    Attributes:
        text: what is asked.
        known: the parts of its scope that it says, as in `ScopeParts`; None says that there is
            none, a part that is not there is not said.
        unfit: why it cannot be looked up, "" if it can.
        time_us: when it is asked, UNKNOWN_US if it does not say.
    """

    text: str
    known: Mapping[ScopeKey, str | None] = field(default_factory=dict[ScopeKey, str | None])
    unfit: str = ""
    time_us: int = UNKNOWN_US


def parse_query(line: bytes | dict[str, Any], source: str = "-", number: int = 1) -> Query:
    """The question of one line.

    A line is a request as the canonical log or an OpenAI-like API writes it (`messages`), an
    object with `query`, `question` or `text`, a JSON string, or plain text. An object may say
    `tenant`, `model`, `system`, `history` (messages), `tools`, `sampling` and `timestamp`.

    Args:
        line: the line, or its decoded object.
        source: the file's name as the user gave it.
        number: the line's number, from 1.

    Raises:
        BadLine: the line is none of these, or a field is of another type.
    """
    try:
        record = line if isinstance(line, dict) else _decode(line)
        return make_query(record) if isinstance(record, str) else _read_record(record)
    except UnicodeDecodeError as error:
        message = f"not UTF-8 (byte {error.start + 1} of the line)"
    except msgspec.DecodeError as error:
        message = f"not JSON: {error}"
    except RecursionError:
        message = "nested too deeply"
    except ValueError as error:
        message = str(error)
    raise BadLine(message, source=source, line=number)


def make_query(text: str, known: Mapping[ScopeKey, str | None] | None = None) -> Query:
    """A question that is text alone."""
    return Query(text, known or {}, "" if text.strip() else NO_TEXT)


def _decode(line: bytes) -> str | dict[str, Any]:
    stripped = line.strip()
    text = stripped.decode()
    if not stripped.startswith(_JSON_OPENS):
        return text
    try:
        value = msgspec.json.decode(stripped)
    except msgspec.DecodeError:
        if text.startswith("{"):
            raise
        return text  # a question may begin with a quotation, or with a [label]
    if isinstance(value, list):
        raise ValueError("a JSON array, not an object or text a line")
    return cast("str | dict[str, Any]", value)


def _read_record(record: dict[str, Any]) -> Query:
    known: dict[ScopeKey, str | None] = {
        key: _read_text(record, key) for key in _NAMED if key in record
    }
    for key in ("tools", "sampling"):
        if key in record:
            known[key] = digest_json(record[key])
    if record.get("sampling") is not None and not isinstance(record["sampling"], dict):
        raise ValueError("sampling is not a JSON object")
    time_us = _read_time(record)
    if record.get("messages") is not None:
        return _read_request(record, known, time_us)
    text = next(
        (found for name in _TEXT_NAMES if (found := _read_text(record, name)) is not None), None
    )
    if text is None:
        raise ValueError(f"no question: none of messages, {', '.join(_TEXT_NAMES)}")
    if "system" in record:
        known["system"] = digest_json(_list_system(record))
    if "history" in record:
        talk = split_messages([*_list_history(record), {"role": "user", "content": text}])
        known["history"] = digest_json(talk.history)
        if talk.system:
            known["system"] = digest_json([*_list_system(record), *talk.system])
    query = make_query(text, known)
    return Query(query.text, known, query.unfit, time_us)


def _read_request(record: dict[str, Any], known: dict[ScopeKey, str | None], time_us: int) -> Query:
    talk = split_messages(record["messages"])
    if "sampling" not in record and bytes(asked := read_sampling(record)):
        known["sampling"] = digest_json(json.loads(bytes(asked)))
    known["system"] = digest_json([*_list_system(record), *talk.system])
    known["history"] = digest_json(talk.history)
    return Query(talk.text, known, talk.unfit, time_us)


def _list_system(record: dict[str, Any]) -> list[Any]:
    """The system prompt that stands apart from the messages."""
    return [record["system"]] if record.get("system") else []


def _list_history(record: dict[str, Any]) -> list[Any]:
    value = record["history"]
    if value is not None and not isinstance(value, list):
        raise ValueError("history is not a list of messages")
    return cast("list[Any]", value) or []


def _read_text(record: dict[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is not text")
    return value


def _read_time(record: dict[str, Any]) -> int:
    value = record.get("timestamp")
    if value is None:
        return UNKNOWN_US
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError("the timestamp is not a time")
    return parse_timestamp_us(value)
