"""Claude Code's session transcripts.

A transcript has one line for each content block of a message, each with the usage known by
then, so adding lines up counts a message several times. The last line of each (session,
message id) holds its usage; the answer is put together from the blocks of all its lines. Calls
come at the end of the input, in the order of their first lines, with the time of their last.
Lines that are no message of the model, and messages that the program itself made up, are no
requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from frugalctl.log.formats.api import read_anthropic
from frugalctl.log.formats.base import Numbered, Record
from frugalctl.log.formats.content import answer_of_blocks, calls_tool
from frugalctl.log.formats.fields import is_mapping, items, mapping, moment, number, text
from frugalctl.log.formats.finish import settle_finish
from frugalctl.log.schema import Request

_OTHER_LINES = frozenset({"summary", "file-history-snapshot", "queue-operation"})
_FOREIGN = frozenset({"traceId", "usageDetails", "usage", "messages", "outcomes"})
_MADE_UP = "<synthetic>"


@dataclass(slots=True)
class _Call:
    line: int
    request: Request
    blocks: list[Any] = field(default_factory=list[Any])


class ClaudeCodeReader:
    """Collects the messages of transcripts; gives them at the end."""

    name = "Claude Code transcript"

    def __init__(self) -> None:
        self._calls: dict[tuple[str | None, str], _Call] = {}

    def matches(self, record: Record) -> bool:
        """Whether the record is a line of a transcript."""
        kind = record.get("type")
        if not isinstance(kind, str) or not _FOREIGN.isdisjoint(record):
            return False
        return kind in _OTHER_LINES or "sessionId" in record

    def feed(self, record: Record, line: int) -> Iterable[Numbered]:
        """Nothing yet: a later line may replace this one."""
        message = mapping(record, "message")
        if record.get("type") != "assistant" or not is_mapping(message, "usage"):
            return ()
        if message.get("model") == _MADE_UP:
            return ()
        request = read_anthropic({}, message)
        request.session = text(record, "sessionId")
        request.timestamp = moment(record, "timestamp")
        request.cost_usd = number(record, "costUSD")
        message_id = text(message, "id")
        if message_id is None:
            return [(line, request)]
        call = self._calls.setdefault((request.session, message_id), _Call(line, request))
        request.finish_reason = request.finish_reason or call.request.finish_reason
        call.request = request
        call.blocks += [block for block in items(message, "content") if block not in call.blocks]
        return ()

    def finish(self) -> Iterable[Numbered]:
        """Every message once."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            request = call.request
            request.response = answer_of_blocks(call.blocks) or None
            has_calls = calls_tool({"content": call.blocks})
            request.finish_reason = settle_finish(request.finish_reason, has_calls)
            yield call.line, request
