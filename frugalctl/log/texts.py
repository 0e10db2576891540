"""The text that a request asks, for what reads questions: scorers and routers."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pyarrow as pa


def read_asked(messages: pa.Array) -> list[str]:
    """The text of each request's last user message; "" where there is none.

    Args:
        messages: string[n], JSON text as in `LogBatch`.
    """
    return [_last_text(text) for text in messages.to_pylist()]


def read_prompt(messages: str | None) -> str:
    """All messages of a request, each behind its role; "" where there is none."""
    return "\n\n".join(
        f"{message.get('role', 'user')}: {_join(message.get('content'))}"
        for message in _decode(messages)
    )


def _decode(messages: str | None) -> list[dict[str, Any]]:
    decoded: Any = None if messages is None else msgspec.json.decode(messages)
    listed = cast("list[Any]", decoded) if isinstance(decoded, list) else []
    return [cast("dict[str, Any]", item) for item in listed if isinstance(item, dict)]


def _last_text(messages: str | None) -> str:
    for message in reversed(_decode(messages)):
        if message.get("role", "user") == "user":
            return _join(message.get("content"))
    return ""


def _join(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    texts = [
        part if isinstance(part, str) else cast("dict[str, Any]", part).get("text")
        for part in parts
        if isinstance(part, (str, dict))
    ]
    return "\n".join(text for text in texts if isinstance(text, str))
