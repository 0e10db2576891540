"""Prompts in and out: plain text, chat JSON, lines of a batch, lines of a canonical log.

The texts of a chat are found wherever providers put them: `content` as a text or as a list of
blocks, a system text beside the messages (Anthropic), results of tools, and the arguments of tool
calls, which are read but never changed. Gemini's `contents` and `parts` are a chat too.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from frugalctl.errors import BadLine, InputError
from frugalctl.levers.compress.json_text import decode_exact, decode_json
from frugalctl.levers.compress.lossless_json import is_json_document
from frugalctl.levers.compress.pieces import CompressedPart, Part, Segment
from frugalctl.levers.compress.protect import find_protected
from frugalctl.levers.compress.segments import parse_segments

Shape = Literal["text", "chat"]
Path = tuple[str | int, ...]

_MAX_QUESTION_CHARS = 2000
_TEXT_BLOCKS = ("text", "input_text", "output_text")
_LABEL = re.compile(
    r"\A\s*(?:#{1,6} [^\n]{0,80}\n|[A-Z][A-Z _\-]{3,40}:?\r?\n|<[A-Za-z][\w\-]{0,40}[^<>\n]{0,80}>"
    r"|(?:\*\*)?[^\W\d]{1,12}(?:\*\*)?[:：])\s*"
)
_END_TAG = re.compile(r"\s*</[A-Za-z][\w\-]{0,40}>\s*\Z")
_PLACEHOLDER = re.compile(
    r"\$?\{\{?[^{}\n]{0,80}\}?\}|%\(\w{1,40}\)\w|<[\w \-]{1,40}>|\[[\w \-]{1,40}\]"
)
_SYSTEM_KEYS = ("systemInstruction", "system_instruction")
_CUE = re.compile(r"\s*\n\s*(?:\*\*)?[^\W\d]{1,12}(?:\*\*)?[:：](?:\*\*)?\s*\Z")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt as it was read.

    Attributes:
        parts: its texts, cut into segments and with their protected spans.
        shape: a plain text, or JSON with messages.
        value: the decoded JSON of a chat; None for a text.
        paths: of each part, the way to it in `value`; empty for a text.
        question: what is asked, if it was given with it or found in it.
        id: of a line of a batch or a log.
        source: the whole text of a JSON file as it was read, None where there is no file.
    """

    parts: tuple[Part, ...]
    shape: Shape
    value: Any = None
    paths: tuple[Path, ...] = ()
    question: str | None = None
    id: str | None = None
    source: str | None = None


def decode_text(data: bytes, source: str) -> str:
    """The text of a file, a byte-order mark and line ends as they are.

    Raises:
        InputError: it is binary, or not UTF-8; says at which line.
    """
    zero = data.find(b"\0")
    if zero >= 0:
        line = data.count(b"\n", 0, zero) + 1
        raise InputError(
            "is binary: it has a NUL byte", where=f"{source}:{line}", hint="give a text in UTF-8"
        )
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"is not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}",
            where=f"{source}:{line}",
            hint="convert it, as with iconv -t utf-8",
        ) from None


def read_prompt(
    text: str,
    *,
    source: str = "",
    patterns: Sequence[str] = (),
    question: str | None = None,
    shape: Literal["auto", "text", "chat"] = "auto",
) -> Prompt:
    """A prompt from the text of a file.

    Args:
        text: the file, decoded.
        source: its name, for errors.
        patterns: the user's regular expressions of what is protected.
        question: in place of what is asked in the text.
        shape: what it is; "auto" takes JSON with messages as a chat and all else as a text.

    Raises:
        InputError: no chat where one is asked for, or broken markup.
        ConfigError: a pattern is not a regular expression.
    """
    if shape != "text":
        value = _decode_chat(text, source)
        if value is not None:
            prompt = build_prompt(value, patterns=patterns, question=question, source=source)
            return replace(prompt, source=text)
        if shape == "chat":
            raise InputError("is not JSON with messages", where=source)
    part = _make_part(text, "", None, patterns, source)
    if is_json_document(text):
        part = _fix(part)
    return Prompt((part,), "text", question=question or find_question((part,)))


def build_prompt(
    value: Any, *, patterns: Sequence[str] = (), question: str | None = None, source: str = ""
) -> Prompt:
    """A prompt from decoded JSON: a text, a list of messages, or an object that holds either.

    An object may have `messages` (or `input`, or `contents`), `system`, or `prompt`; and `id` and
    `question`.
    The value is kept as it is and never changed.

    Raises:
        InputError: it has neither, or both.
        ConfigError: a pattern is not a regular expression.
    """
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if isinstance(value, dict) and ("prompt" in fields) == _has_messages(fields):
        raise InputError("needs either prompt or messages", where=source)
    found = list(_find_texts(value))
    parts = tuple(
        _make_part(text, _name_path(path), role, patterns, source, locked)
        for path, text, role, locked in found
    )
    own = fields.get("question")
    identity = fields.get("id")
    return Prompt(
        parts,
        "chat",
        value,
        tuple(path for path, _, _, _ in found),
        question or (own if isinstance(own, str) else None) or find_question(parts),
        None if identity is None else str(identity),
    )


def read_batch(
    lines: Iterable[bytes], *, source: str, patterns: Sequence[str] = ()
) -> Iterator[Prompt]:
    """The prompts of JSON lines, each `{id, prompt | messages, question?}` or a canonical log's.

    Raises:
        BadLine: a line is no such object, or an id came before.
        ConfigError: a pattern is not a regular expression.
    """
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = decode_exact(decode_text(line, source))
            if not isinstance(value, dict):
                raise InputError("is not an object")
            prompt = build_prompt(value, patterns=patterns)
        except InputError as error:
            raise BadLine(error.message, source=source, line=number, hint=error.hint) from None
        if prompt.id is not None and prompt.id in seen:
            raise BadLine(
                f"the id {prompt.id!r} was on line {seen[prompt.id]}", source=source, line=number
            )
        if prompt.id is not None:
            seen[prompt.id] = number
        yield prompt


def rebuild_value(prompt: Prompt, parts: Sequence[CompressedPart]) -> Any:
    """What the prompt has become, in the shape that it came in: a text or decoded JSON."""
    if prompt.shape == "text":
        return parts[0].text
    return replace_texts(prompt.value, prompt.paths, [part.text for part in parts])


def replace_texts(value: Any, paths: Sequence[Path], texts: Sequence[str]) -> Any:
    """Decoded JSON with other texts at these paths; only what is on the way to them is copied."""
    copies: dict[Path, Any] = {(): copy.copy(value)}
    for path, text in zip(paths, texts, strict=True):
        if not path:
            return text
        for depth in range(1, len(path)):
            if path[:depth] not in copies:
                holder = copies[path[: depth - 1]]
                inner = copy.copy(holder[path[depth - 1]])
                holder[path[depth - 1]] = copies[path[:depth]] = inner
        copies[path[:-1]][path[-1]] = text
    return copies[()]


def get_text(value: Any, path: Path) -> Any:
    """What stands at a path of decoded JSON.

    Raises:
        KeyError, IndexError, TypeError: there is no such path.
    """
    for step in path:
        value = value[step]
    return value


def find_question(parts: Sequence[Part]) -> str | None:
    """What a prompt asks: its last segment that is a question, or else its last user's message.

    The label before it and a cue such as "Answer:" after it are left out. A placeholder alone,
    such as "{ticket}", asks nothing.
    """
    for part in reversed(parts):
        if part.role not in (None, "user", "human"):
            continue
        asked = [item for item in part.segments if item.kind == "question"]
        if asked:
            return _strip_labels("".join(part.text[item.start : item.end] for item in asked))
        if part.role is not None:
            text = part.text.strip()
            return _check_words(text) if len(text) <= _MAX_QUESTION_CHARS else None
    return None


def _decode_chat(text: str, source: str) -> Any:
    """The value of JSON with messages; None if it is anything else."""
    if text.lstrip("\ufeff \t\r\n")[:1] not in ("{", "["):
        return None
    try:
        value = decode_json(text)
    except InputError:
        return None
    # What is no chat may go as a text whatever its keys; of a chat nothing is lost in silence.
    if not _holds_prompt(value):
        return None
    try:
        return decode_exact(text)
    except InputError as error:
        error.where = source
        raise


def _holds_prompt(value: Any) -> bool:
    if not isinstance(value, dict):
        return _is_chat(value)
    fields = cast("dict[str, Any]", value)
    if "prompt" in fields:
        return isinstance(fields["prompt"], str) and not _has_messages(fields)
    return _is_chat(fields.get("messages", fields.get("input"))) or _has_contents(fields)


def _has_messages(fields: dict[str, Any]) -> bool:
    return "messages" in fields or "input" in fields or _has_contents(fields)


def _has_contents(fields: dict[str, Any]) -> bool:
    """Whether it is a body of Gemini's: `contents` that have `parts`."""
    contents = fields.get("contents")
    items = cast("list[Any]", contents) if isinstance(contents, list) else []
    return bool(items) and all(isinstance(one, dict) and "parts" in one for one in items)


def _is_chat(value: Any) -> bool:
    items = cast("list[Any]", value) if isinstance(value, list) else []
    return bool(items) and all(isinstance(item, dict) and "role" in item for item in items)


def _find_texts(value: Any) -> Iterator[tuple[Path, str, str | None, bool]]:
    """Of each text: its path, itself, its role, and whether it is a tool call, which is locked."""
    if isinstance(value, str):
        yield (), value, None, False
    elif isinstance(value, list):
        yield from _find_in_messages((), cast("list[Any]", value))
    elif isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if isinstance(fields.get("prompt"), str):
            yield ("prompt",), fields["prompt"], None, False
        for key in ("system", "instructions"):
            yield from _find_in_content((key,), fields.get(key), "system")
        for key in ("messages", "input"):
            if isinstance(fields.get(key), list):
                yield from _find_in_messages((key,), fields[key])
        for key in _SYSTEM_KEYS:
            yield from _find_in_parts((key,), fields.get(key), "system")
        for at, item in enumerate(fields["contents"] if _has_contents(fields) else []):
            yield from _find_in_parts(("contents", at), item, str(item.get("role", "user")))


def _find_in_parts(
    path: Path, content: Any, role: str
) -> Iterator[tuple[Path, str, str | None, bool]]:
    """The texts of a content of Gemini's, whose assistant is called "model"."""
    role = "assistant" if role == "model" else role
    parts = cast("dict[str, Any]", content).get("parts") if isinstance(content, dict) else None
    for at, part in enumerate(cast("list[Any]", parts) if isinstance(parts, list) else []):
        text = cast("dict[str, Any]", part).get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            yield (*path, "parts", at, "text"), text, role, False


def _find_in_messages(
    path: Path, messages: list[Any]
) -> Iterator[tuple[Path, str, str | None, bool]]:
    for at, message in enumerate(messages):
        if not isinstance(message, dict):
            continue
        fields = cast("dict[str, Any]", message)
        role = str(fields.get("role", "user"))
        yield from _find_in_content((*path, at, "content"), fields.get("content"), role)
        calls = fields.get("tool_calls")
        for index, call in enumerate(cast("list[Any]", calls) if isinstance(calls, list) else []):
            place = (*path, at, "tool_calls", index, "function", "arguments")
            yield from _find_arguments(place, call)
        yield from _find_arguments(
            (*path, at, "function_call", "arguments"), {"function": fields.get("function_call")}
        )


def _find_arguments(path: Path, call: Any) -> Iterator[tuple[Path, str, str | None, bool]]:
    function = cast("dict[str, Any]", call).get("function") if isinstance(call, dict) else None
    arguments = (
        cast("dict[str, Any]", function).get("arguments") if isinstance(function, dict) else None
    )
    if isinstance(arguments, str):
        yield path, arguments, "assistant", True


def _find_in_content(
    path: Path, content: Any, role: str
) -> Iterator[tuple[Path, str, str | None, bool]]:
    if isinstance(content, str):
        yield path, content, role, False
        return
    for at, block in enumerate(cast("list[Any]", content) if isinstance(content, list) else []):
        if isinstance(block, str):
            yield (*path, at), block, role, False
        elif isinstance(block, dict):
            fields = cast("dict[str, Any]", block)
            if fields.get("type") in _TEXT_BLOCKS and isinstance(fields.get("text"), str):
                yield (*path, at, "text"), fields["text"], role, False
            elif fields.get("type") == "tool_result":
                yield from _find_in_content((*path, at, "content"), fields.get("content"), "tool")


def _make_part(
    text: str,
    path: str,
    role: str | None,
    patterns: Sequence[str],
    source: str,
    locked: bool = False,
) -> Part:
    if locked:
        whole = (Segment(0, len(text), "tool_call", locked=True),) if text else ()
        return Part(text, path, role, whole)
    try:
        segments = parse_segments(text, role=role)
    except InputError as error:
        where = ": ".join(name for name in (source, path) if name)
        raise InputError(error.message, where=where, hint=error.hint) from None
    return Part(text, path, role, segments, find_protected(text, patterns, segments))


def _name_path(path: Path) -> str:
    """A path as people write it: messages[2].content."""
    name = ""
    for step in path:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    return name


def _strip_labels(text: str) -> str | None:
    text = _END_TAG.sub("", text.strip())
    bare = _LABEL.sub("", _CUE.sub("", text), count=1).strip()
    return _check_words(bare or text)


def _check_words(text: str) -> str | None:
    """The text, None where it has no words of its own."""
    return text if re.search(r"\w", _PLACEHOLDER.sub("", text)) else None


def _fix(part: Part) -> Part:
    """A document that is JSON as a whole stays JSON: only its white space and escapes may go."""
    start = 1 if part.text.startswith("\ufeff") else 0
    head = (Segment(0, 1, "prose", locked=True),) if start else ()
    return replace(part, segments=(*head, Segment(start, len(part.text), "tool_call")))
