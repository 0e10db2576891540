"""Public serving traces: lengths and prefix blocks, without text, model or price.

Sources: kvcache-ai/Mooncake, alibaba-edu/qwen-bailian-usagetraces-anon, Azure/AzurePublicDataset.
"""

from __future__ import annotations

from collections.abc import Iterable

from frugalctl.log.formats.base import Numbered, Record, RecordError
from frugalctl.log.formats.fields import items, moment, number, scaled, text, whole
from frugalctl.log.formats.reader import Read, RecordReader
from frugalctl.log.schema import Request, Usage
from frugalctl.log.usage import count_plain_usage

MOONCAKE_BLOCK_TOKENS = 512
QWEN_BLOCK_TOKENS = 16

_LENGTHS = frozenset({"input_length", "output_length", "hash_ids"})
_AZURE = frozenset({"TIMESTAMP", "ContextTokens", "GeneratedTokens"})


def readers() -> list[RecordReader | QwenReader]:
    """Readers of all three."""
    return [
        QwenReader(),
        RecordReader("Mooncake trace", _is_mooncake, _read_mooncake),
        RecordReader("Azure trace", lambda record: record.keys() >= _AZURE, _read_azure),
    ]


def _is_mooncake(record: Record) -> bool:
    return record.keys() >= _LENGTHS and "chat_id" not in record


def _read_mooncake(record: Record) -> Read:
    return [
        Request(
            timestamp=scaled(number(record, "timestamp"), 1e-3),
            usage=_read_lengths(record, "input_length", "output_length"),
            prefix_blocks=_read_blocks(record),
            block_tokens=MOONCAKE_BLOCK_TOKENS,
        )
    ]


def _read_azure(record: Record) -> Read:
    return [
        Request(
            timestamp=moment(record, "TIMESTAMP"),
            usage=_read_lengths(record, "ContextTokens", "GeneratedTokens"),
        )
    ]


def _read_lengths(record: Record, input_name: str, output_name: str) -> Usage:
    input_tokens = whole(record, input_name)
    if input_tokens is None:
        raise RecordError(f"{input_name} is missing")
    return count_plain_usage(input_tokens, whole(record, output_name))


def _read_blocks(record: Record) -> list[int]:
    blocks = items(record, "hash_ids")
    if any(type(block) is not int or not -(2**63) <= block < 2**63 for block in blocks):
        raise RecordError("hash_ids is not a list of whole numbers")
    return blocks


class QwenReader:
    """Qwen-Bailian traces, whose chats name the chat that they continue.

    The session is the first chat of a conversation, as far as the trace shows it.
    """

    name = "Qwen trace"

    def __init__(self) -> None:
        self._roots: dict[str, str] = {}

    def matches(self, record: Record) -> bool:
        """Whether the record is a chat of the trace."""
        return "chat_id" in record and record.keys() >= _LENGTHS

    def feed(self, record: Record, line: int) -> Iterable[Numbered]:
        """The request of one chat."""
        chat = text(record, "chat_id")
        parent = text(record, "parent_chat_id")
        root = self._roots.get(parent, chat) if parent else chat
        if chat is not None and root is not None:
            self._roots[chat] = root
        request = Request(
            id=chat,
            timestamp=number(record, "timestamp"),
            session=root,
            usage=_read_lengths(record, "input_length", "output_length"),
            prefix_blocks=_read_blocks(record),
            block_tokens=QWEN_BLOCK_TOKENS,
        )
        return [(line, request)]

    def finish(self) -> Iterable[Numbered]:
        """Nothing: a chat is complete by itself."""
        return ()
