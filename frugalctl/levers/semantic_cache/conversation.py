"""A request's messages, taken apart: the question, and what it was asked after."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

NO_MESSAGES = "no messages"
NO_TEXT = "no text of a user"
NOT_A_USERS = "the last message is not a user's"
MEDIA = "an image, a sound or a file"
OTHER_CONTENT = "content that is not text"

_SYSTEM = ("system", "developer")
_USER = ("user", "human")
_PLAIN = frozenset({"role", "content"})
_RESULTS = ("tool_result", "function_response", "functionResponse", "function_call_output")
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
    if messages is None or messages == []:
        return Conversation("", NO_MESSAGES)
    listed = cast("list[Any]", messages) if isinstance(messages, list) else [None]
    if not all(isinstance(message, dict) for message in listed):
        raise ValueError("messages is not a list of objects")
    *before, last = cast("list[dict[str, Any]]", listed)
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
