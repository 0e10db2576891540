"""Whole conversations: every assistant message was a request with all messages before it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from frugalctl.log.formats.base import Numbered, Record, RecordError
from frugalctl.log.formats.content import answer_of_message, as_record
from frugalctl.log.formats.fields import items, mapping, number, text, to_json, to_raw
from frugalctl.log.formats.finish import finish_of
from frugalctl.log.schema import Request

_REWARDS = ("reward", "score")
_NOT_WHOLE = frozenset({"response", "usage", "outcomes", "request", "call_type", "traceId"})


class ChatReader:
    """Cuts conversations into requests, without usage.

    A reward in [0, 1] is the quality of the last request; on another scale it is left out and
    counted. A conversation without a name gets a number.
    """

    name = "chat session"

    def __init__(self) -> None:
        self._off_scale = 0
        self._conversations = 0

    @property
    def notes(self) -> list[str]:
        """Rewards that are no quality."""
        one, count = self._off_scale == 1, self._off_scale
        noun = "reward is" if one else "rewards are"
        return [f"{count} {noun} outside [0, 1] and not taken as quality"] if count else []

    def matches(self, record: Record) -> bool:
        """Whether the record is a conversation: it holds answers, and none beside it."""
        if not _NOT_WHOLE.isdisjoint(record):
            return False
        roles = [as_record(message).get("role") for message in items(record, "messages")]
        return "assistant" in roles and (
            roles[-1] == "assistant" or any(name in record for name in _REWARDS)
        )

    def feed(self, record: Record, line: int) -> Iterable[Numbered]:
        """One request for each assistant message."""
        messages = items(record, "messages")
        if not all(isinstance(message, dict) for message in messages):
            raise RecordError("messages is not a list of objects")
        self._conversations += 1
        name = text(record, "session") or text(record, "id")
        session = name or f"chat-{self._conversations}"
        texts = [to_json(message) for message in messages]
        requests = [
            self._read_turn(record, session, texts[:at], message)
            for at, message in enumerate(messages)
            if message.get("role") == "assistant"
        ]
        if requests:
            requests[-1].quality = self._read_quality(record)
        return [(line, request) for request in requests]

    def _read_turn(
        self, record: Record, session: str, before: list[str], answer: dict[str, Any]
    ) -> Request:
        return Request(
            session=session,
            tenant=text(record, "tenant"),
            task=text(record, "task"),
            model=text(record, "model"),
            provider=text(record, "provider"),
            messages=msgspec.Raw(f"[{','.join(before)}]".encode()),
            tools=to_raw(items(record, "tools")),
            sampling=to_raw(mapping(record, "sampling")),
            response=answer_of_message(answer),
            finish_reason=finish_of(answer),
        )

    def _read_quality(self, record: Record) -> float | None:
        rewards = (number(record, name) for name in _REWARDS)
        reward = next((reward for reward in rewards if reward is not None), None)
        if reward is None or 0 <= reward <= 1:
            return reward
        self._off_scale += 1
        return None

    def finish(self) -> Iterable[Numbered]:
        """Nothing: a conversation is complete by itself."""
        return ()
