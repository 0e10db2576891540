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


def _last_text(messages: str | None) -> str:
    decoded: Any = None if messages is None else msgspec.json.decode(messages)
    listed = cast("list[Any]", decoded) if isinstance(decoded, list) else []
    for message in reversed(listed):
        if isinstance(message, dict):
            fields = cast("dict[str, Any]", message)
            if fields.get("role", "user") == "user":
                return _join(fields.get("content"))
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
