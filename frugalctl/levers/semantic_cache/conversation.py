"""A request's messages, taken apart: the question, and what it was asked after."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, cast

import msgspec

from frugalctl.log.formats.content import calls_tool

NO_MESSAGES = "no messages"
NO_TEXT = "no text of a user"
NOT_A_USERS = "the last message is not a user's"
MEDIA = "an image, a sound or a file"
OTHER_CONTENT = "content that is not text"

_SYSTEM = ("system", "developer")
_USER = ("user", "human")
_PLAIN = frozenset({"role", "content"})
_RESULTS = ("tool_result", "function_response", "functionResponse", "function_call_output")
_DIGEST_BYTES = 16
_encode = msgspec.json.Encoder(order="sorted").encode
_MEDIA = ("image", "audio", "video", "file", "document", "media", "inlineData", "inline_data")


@dataclass(frozen=True, slots=True)
class Conversation:
    """The parts of a list of messages.

    Attributes:
        text: the last message's, if it is a user's and all text; else "".
        unfit: why the question can be neither cached nor looked up, "" if it can.
        system: the system and developer messages, as content where they have nothing else.
        history: the other messages before the last one.
    """

    text: str
    unfit: str = ""
    system: list[Any] = field(default_factory=list[Any])
    history: list[Any] = field(default_factory=list[Any])


def split_messages(messages: Any) -> Conversation:
    """Take a request's messages apart.

    A system message after the first other one leaves its place marked in the history, and so
    does a name that the last message gives its author: both may change the answer.

    Args:
        messages: as decoded from JSON; None without any.

    Raises:
        ValueError: not a list of objects.
    """
    listed = list_messages(messages)
    if not listed:
        return Conversation("", NO_MESSAGES)
    *before, last = listed
    text, unfit = _read_question(last)
    if unfit:
        return Conversation("", unfit)
    system: list[Any] = []
    history: list[Any] = []
    for message in before:
        if message.get("role") not in _SYSTEM:
            history.append(message)
            continue
        system.append(message.get("content") if message.keys() <= _PLAIN else message)
        if history:
            history.append(None)
    if last.get("name") is not None:
        history.append({"name": last["name"]})
    return Conversation(text, "", system, history)


def list_messages(messages: Any) -> list[dict[str, Any]]:
    """A request's messages, as decoded from JSON; none for None.

    Raises:
        ValueError: not a list of objects.
    """
    if messages is None:
        return []
    listed = cast("list[Any]", messages) if isinstance(messages, list) else [None]
    if not all(isinstance(message, dict) for message in listed):
        raise ValueError("messages is not a list of objects")
    return cast("list[dict[str, Any]]", listed)


def digest_turns(messages: list[dict[str, Any]]) -> tuple[bytes, list[bytes]]:
    """What tells that a request was answered with a tool call, from the requests after it.

    Marks for a provider's prompt cache, which clients move from message to message, and the
    difference between text and a list of texts do not matter.

    Returns:
        The digest of the whole conversation, and of it as far as each user's message after
        which a tool was called before the next one.
    """
    digest = blake2b(digest_size=_DIGEST_BYTES)
    asked: bytes | None = None
    called: list[bytes] = []
    for message in messages:
        if asked is not None and calls_tool(message):
            called.append(asked)
            asked = None
        digest.update(_encode(_without_marks(message)))
        if message.get("role") in _USER:
            asked = digest.digest()
    return digest.digest(), called


def _without_marks(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, list):
        parts = cast("list[Any]", content)
        texts = [_text_of(part) for part in parts]
        is_text = all(text is not None for text in texts)
        content = "\n".join(filter(None, texts)) if is_text else list(map(_unmarked, parts))
    return _unmarked({**message, "content": content})


def _unmarked(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    items = cast("dict[str, Any]", value).items()
    return {name: item for name, item in items if name != "cache_control"}


def _read_question(message: dict[str, Any]) -> tuple[str, str]:
    """The text of a user's message and "", or "" and why there is none."""
    if message.get("role") not in _USER:
        return "", NOT_A_USERS
    content = message.get("content")
    parts = cast("list[Any]", content) if isinstance(content, list) else [content]
    texts: list[str] = []
    for part in parts:
        if part is None:
            continue
        text = _text_of(part)
        if text is None:
            return "", _name_content(part)
        texts.append(text)
    text = "\n".join(texts)
    return (text, "") if text.strip() else ("", NO_TEXT)


def _text_of(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    block = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
    text = block.get("text")
    kind = block.get("type", "text")
    return text if isinstance(text, str) and kind in ("text", "input_text") else None


def _name_content(part: Any) -> str:
    block = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
    names = [str(block.get("type", "")), *block]
    if any(name in _RESULTS for name in names):
        return NOT_A_USERS
    return MEDIA if any(word in name for name in names for word in _MEDIA) else OTHER_CONTENT
