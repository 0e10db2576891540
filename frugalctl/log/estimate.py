"""Usage counted from text, where the log has none."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from frugalctl.log.formats.base import RecordError
from frugalctl.log.schema import Outcome, Request, Usage
from frugalctl.tokens import count_messages, count_text

_MEDIA = frozenset(
    {"image", "image_url", "input_image", "audio", "input_audio", "video", "file", "input_file"}
)
_MEDIA_KEYS = frozenset({"inlineData", "inline_data", "fileData", "file_data"})


def estimate_usage(
    request: Request, outcome: Outcome | None = None, default_model: str | None = None
) -> Usage | None:
    """Usage of a request, or of one of its outcomes, counted from its text.

    Args:
        request: its messages and tools are the input, its response the output.
        outcome: an outcome of the request, whose model and response are taken instead.
        default_model: the model to count for, where request and outcome name none.

    Returns:
        Input and output tokens; what text cannot show (cache, reasoning) stays unknown. None
        where there is no text to count, no response, or an image, a sound or a file among the
        messages, whose tokens text does not give.

    Raises:
        RecordError: messages is not a list of objects, or tools is not a list.
        FrugalError: the model's vocabulary is not installed.
    """
    source = outcome or request
    messages = _decode_list(request.messages, "messages")
    if not messages or source.response is None:
        return None
    if not all(isinstance(message, dict) for message in messages):
        raise RecordError("messages is not a list of objects")
    if any(_has_media(message) for message in messages):
        return None
    model = source.model or request.model or default_model or ""
    tools = _decode_list(request.tools, "tools")
    return Usage(
        count_messages(messages, tools, model),
        output_tokens=count_text(source.response, model),
    )


def _decode_list(raw: msgspec.Raw, name: str) -> list[Any]:
    if not bytes(raw):
        return []
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RecordError(f"{name}: {error}") from None
    if value is None:
        return []
    if not isinstance(value, list):
        raise RecordError(f"{name} is not a list")
    return cast("list[Any]", value)


def _has_media(message: dict[str, Any]) -> bool:
    content = message.get("content")
    if not isinstance(content, list):
        return False
    for part in cast("list[Any]", content):
        block = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
        kind = block.get("type")
        if (isinstance(kind, str) and kind in _MEDIA) or not _MEDIA_KEYS.isdisjoint(block):
            return True
    return False
