"""Messages and answers of the providers' APIs, in the form of the canonical log."""

from __future__ import annotations

from typing import Any, cast

from frugalctl.log.formats.base import Record
from frugalctl.log.formats.fields import items, mapping, to_json, value_at

Message = dict[str, Any]

_CALL_TYPES = frozenset(
    {"tool_use", "server_tool_use", "function_call", "custom_tool_call", "tool_call"}
)
_CALLS_TO_CLIENT = (_CALL_TYPES - {"server_tool_use"}) | {
    "computer_call",
    "local_shell_call",
    "shell_call",
    "apply_patch_call",
}
_HIDDEN_TYPES = frozenset({"thinking", "redacted_thinking", "reasoning"})


def as_record(value: Any) -> Record:
    """The value if it is an object, else an empty one."""
    return cast(Record, value) if isinstance(value, dict) else {}


def calls_tool(message: Record) -> bool:
    """Whether a message has a tool called that whoever sent the request has to run.

    Tools that a provider runs by itself are part of its answer.

    Args:
        message: a chat message, one of content blocks, or an item of a Responses object.
    """
    content = message.get("content")
    blocks = cast("list[Any]", content) if isinstance(content, list) else []
    return _calls_client(message) or any(_calls_client(as_record(block)) for block in blocks)


def _calls_client(block: Record) -> bool:
    kind = block.get("type")
    if isinstance(kind, str) and kind in _CALLS_TO_CLIENT:
        return True
    return any(block.get(name) for name in ("tool_calls", "functionCall", "function_call"))


def answer_of_message(message: Record) -> str | None:
    """What an assistant message says: its text, or its tool calls as JSON."""
    content = message.get("content")
    answer = content if isinstance(content, str) else answer_of_blocks(content)
    calls = message.get("tool_calls") or message.get("function_call")
    if not answer and calls:
        return to_json(calls)
    return answer


def answer_of_blocks(blocks: Any) -> str | None:
    """What content blocks say: their text without reasoning, or their tool calls as JSON."""
    if not isinstance(blocks, list):
        return None
    records = [as_record(block) for block in cast("list[Any]", blocks)]
    texts = [_block_text(record) for record in records]
    found = [text for text in texts if text is not None]
    if any(found):
        return "".join(found)
    calls = [record for record in records if _is_call(record)]
    if calls:
        return to_json(calls)
    return "" if found else None


def _is_call(block: Record) -> bool:
    kind = block.get("type")
    return (isinstance(kind, str) and kind in _CALL_TYPES) or "functionCall" in block


def _block_text(block: Record) -> str | None:
    kind = block.get("type")
    if block.get("thought") is True or (isinstance(kind, str) and kind in _HIDDEN_TYPES):
        return None
    value = block.get("text")
    if value is None and kind == "text":
        value = block.get("content")
    return value if isinstance(value, str) else None


def answer_of_chat(response: Record) -> str | None:
    """What a chat completion says in its first choice."""
    choices = items(response, "choices")
    first = as_record(choices[0]) if choices else {}
    if isinstance(first.get("text"), str):
        return first["text"]
    return answer_of_message(mapping(first, "message"))


def answer_of_responses(response: Record) -> str | None:
    """What a Responses object says: the text of its messages, or its tool calls as JSON."""
    output = [as_record(item) for item in items(response, "output")]
    texts = [answer_of_blocks(item.get("content")) for item in output if not _is_call(item)]
    found = [text for text in texts if text is not None]
    if any(found):
        return "".join(found)
    calls = [item for item in output if _is_call(item)]
    if calls:
        return to_json(calls)
    text = response.get("output_text")
    return text if isinstance(text, str) else "".join(found) if found else None


def answer_of_gemini(response: Record) -> str | None:
    """What the first candidate says."""
    candidates = items(response, "candidates")
    first = as_record(candidates[0]) if candidates else {}
    return answer_of_blocks(value_at(first, "content", "parts"))


def with_system(system: Any, messages: list[Any]) -> list[Any]:
    """Messages with the system prompt, which some APIs keep apart, in front."""
    return [{"role": "system", "content": system}, *messages] if system else messages


def messages_of_openai(request: Record) -> list[Any]:
    """Messages of a chat or Responses request, whose input may be plain text."""
    if isinstance(request.get("messages"), list):
        return items(request, "messages")
    source = request["input"] if "input" in request else request.get("prompt")
    if isinstance(source, str):
        messages: list[Any] = [{"role": "user", "content": source}]
    else:
        messages = cast("list[Any]", source) if isinstance(source, list) else []
    return with_system(request.get("instructions"), messages)


def messages_of_gemini(request: Record) -> list[Any]:
    """Messages of a generateContent request; parts that are all text are joined."""
    contents = request.get("contents")
    if isinstance(contents, str):
        messages: list[Any] = [{"role": "user", "content": contents}]
    else:
        listed = items(request, "contents") or [contents]
        messages = [_message_of_content(as_record(c)) for c in listed if isinstance(c, dict)]
    system = request.get("systemInstruction") or request.get("system_instruction")
    if isinstance(system, dict):
        system = join_parts(items(cast(Record, system), "parts"))
    return with_system(system, messages)


def _message_of_content(content: Record) -> Message:
    role = content.get("role")
    role = "assistant" if role == "model" else role if isinstance(role, str) else "user"
    return {"role": role, "content": join_parts(items(content, "parts"))}


def join_parts(parts: list[Any]) -> str | list[Any]:
    """The text of parts that are all text; otherwise the parts as they are."""
    texts = [_block_text(as_record(part)) for part in parts]
    known = [text for text in texts if text is not None]
    return "".join(known) if len(known) == len(texts) else parts
