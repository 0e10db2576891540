"""Every foreign format that we read."""

from __future__ import annotations

from frugalctl.log.formats import api, batch, langfuse, litellm, spans, traces
from frugalctl.log.formats.base import FormatReader
from frugalctl.log.formats.chats import ChatReader
from frugalctl.log.formats.claude_code import ClaudeCodeReader


def readers() -> tuple[FormatReader, ...]:
    """A fresh reader for each format, the most specific first."""
    return (
        *batch.readers(),
        *litellm.readers(),
        *langfuse.readers(),
        ClaudeCodeReader(),
        *spans.readers(),
        *traces.readers(),
        *api.readers(),
        ChatReader(),
    )
