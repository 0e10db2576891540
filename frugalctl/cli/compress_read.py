"""The inputs of `frugalctl compress`: prompts of one file each, and batches of JSON lines."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, cast

from frugalctl.errors import BadLine, InputError, UsageError
from frugalctl.levers.compress.json_text import decode_json
from frugalctl.levers.compress.prompt import Prompt, decode_text, read_batch, read_prompt

STDIN = "-"
_LINES = (".jsonl", ".ndjson")
_PACKED = (".gz", ".zst")
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
TEXT_KEYS = (
    *("system", "instructions", "messages", "input"),
    *("systemInstruction", "system_instruction", "contents"),
)
_PROMPT_KEYS = ("prompt", "messages", "input", "contents")


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt, its name in results, and where it stands; of a batch, its line as well."""

    name: str
    prompt: Prompt
    where: str
    question: str | None = None
    line: dict[str, Any] | None = None

    @property
    def id(self) -> str | int:
        """The id that its line has, of the same type, or else its name."""
        own = None if self.line is None else self.line.get("id")
        return self.name if own is None else own


@dataclass(frozen=True, slots=True)
class Input:
    """What one argument of the command line holds.

    Attributes:
        path: as it was given.
        name: for messages.
        is_batch: whether it has a prompt a line.
        items: its prompts.
        digest: of its bytes, SHA-256.
    """

    path: str
    name: str
    is_batch: bool
    items: tuple[Item, ...]
    digest: bytes

    @property
    def file_name(self) -> str:
        """What its result is called in a folder."""
        name = "stdin" if self.path == STDIN else PurePath(self.path).name
        for ending in _PACKED:
            name = name.removesuffix(ending)
        return name


def read_inputs(
    paths: Sequence[str], *, as_lines: bool, patterns: Sequence[str], question: str | None
) -> list[Input]:
    """Read every input, whole.

    Args:
        paths: files, or "-" for stdin, which may stand there once.
        as_lines: stdin with one line may be a batch. Files are by their name; else several lines
            are, of which each has a prompt.
        patterns: regular expressions of what is protected.
        question: for prompts without one of their own.

    Raises:
        UsageError: stdin is given twice.
        InputError: an input is missing, empty, binary, not UTF-8, or a line of it is broken.
        ConfigError: a pattern is not a regular expression.
    """
    if list(paths).count(STDIN) > 1:
        raise UsageError("stdin (-) is given twice")
    return [_read_input(path, as_lines, patterns, question) for path in paths]


def read_bytes(path: str) -> bytes:
    """The bytes of a file or of stdin; .gz and .zst are unpacked.

    Raises:
        InputError: there is none, or it cannot be read.
    """
    if not path:
        raise InputError("the name of a file is empty")
    name = name_source(path)
    try:
        data = sys.stdin.buffer.read() if path == STDIN else Path(path).read_bytes()
    except IsADirectoryError:
        raise InputError("is a directory", where=name, hint="name the files in it") from None
    except FileNotFoundError:
        raise InputError("no such file", where=name) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=name) from None
    codec = next((codec for magic, codec in _MAGIC.items() if data.startswith(magic)), None)
    return data if codec is None else _unpack(data, codec, name)


def name_source(path: str) -> str:
    """A path as messages name it."""
    return "<stdin>" if path == STDIN else path


def is_lines(path: str) -> bool:
    """Whether a file has JSON lines, by its name."""
    name = path.lower()
    for ending in _PACKED:
        name = name.removesuffix(ending)
    return name.endswith(_LINES)


def _unpack(data: bytes, codec: str, name: str) -> bytes:
    import pyarrow as pa

    try:
        unpacked: Any = pa.CompressedInputStream(pa.BufferReader(data), codec)
        return unpacked.read()
    except (OSError, EOFError) as error:
        raise InputError(f"is not sound {codec}: {error}", where=name) from None


def _read_input(path: str, as_lines: bool, patterns: Sequence[str], question: str | None) -> Input:
    name = name_source(path)
    data = read_bytes(path)
    if not data.strip():
        raise InputError("is empty: there is nothing to compress", where=name)
    digest = hashlib.sha256(data).digest()
    by_option = path == STDIN and as_lines and _starts_with_object(data)
    if is_lines(path) or by_option or _has_prompt_lines(data):
        items = tuple(_read_lines(data, name, patterns, question))
        return Input(path, name, True, items, digest)
    text = decode_text(data, name)
    prompt = read_prompt(text, source=name, patterns=patterns, question=question)
    return Input(path, name, False, (Item(name, prompt, name, question),), digest)


def _starts_with_object(data: bytes) -> bool:
    """Whether the first line is a JSON object of its own."""
    first = next((line for line in data.split(b"\n") if line.strip()), b"")
    try:
        return isinstance(decode_json(first.decode("utf-8", "replace")), dict)
    except InputError:
        return False


def _has_prompt_lines(data: bytes) -> bool:
    """Whether the first two lines and the last are objects with a prompt or messages each."""
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    body = data.strip()
    first, _, rest = body.partition(b"\n")
    second = rest.lstrip().partition(b"\n")[0]
    return bool(rest) and all(map(_holds_prompt, (first, second, body.rpartition(b"\n")[2])))


def _holds_prompt(line: bytes) -> bool:
    try:
        value = decode_json(line.decode("utf-8", "replace"))
    except InputError:
        return False
    return isinstance(value, dict) and any(key in value for key in _PROMPT_KEYS)


def _read_lines(
    data: bytes, name: str, patterns: Sequence[str], question: str | None
) -> Iterator[Item]:
    number = 0

    def count_lines() -> Iterator[bytes]:
        nonlocal number
        for number, line in enumerate(data.split(b"\n"), 1):  # noqa: B007 - read by the loop below
            yield line

    lines = read_batch(count_lines(), source=name, patterns=patterns)
    prompts = [(number, prompt) for prompt in lines]
    taken = {prompt.id for _, prompt in prompts}
    for number, prompt in prompts:
        _check_line(prompt.value, name, number)
        own = prompt.value.get("question")
        known = f"line {number}" if prompt.id is None else prompt.id
        while prompt.id is None and known in taken:
            known += "'"
        taken.add(known)
        asked = own if isinstance(own, str) and own.strip() else question
        yield Item(known, _take_texts(prompt), f"{name}:{number}", asked, prompt.value)


def _check_line(fields: dict[str, Any], name: str, number: int) -> None:
    """A prompt is a text, messages are a list of objects, an id and a question what they say."""
    identity = fields.get("id")
    if isinstance(identity, bool) or not isinstance(identity, str | int | None):
        raise BadLine("the id is neither a text nor a whole number", source=name, line=number)
    if not isinstance(fields.get("question"), str | None):
        raise BadLine("question is not a text", source=name, line=number)
    if not isinstance(fields.get("prompt", ""), str):
        raise BadLine("prompt is not a text", source=name, line=number)
    for key in ("messages", "input"):
        messages = fields.get(key, [])
        items = cast("list[Any]", messages if isinstance(messages, list) else [None])
        if not all(isinstance(item, dict) for item in items):
            raise BadLine(f"{key} is not a list of messages", source=name, line=number)


def _take_texts(prompt: Prompt) -> Prompt:
    """The prompt of a line without what else the line has: a text, messages, or an object."""
    fields = cast("dict[str, Any]", prompt.value)
    if "prompt" in fields and len(prompt.parts) == 1 and prompt.paths[0] == ("prompt",):
        return replace(prompt, shape="text", value=None, paths=())
    held = {key: fields[key] for key in TEXT_KEYS if key in fields}
    if "prompt" in fields:
        held = {"prompt": fields["prompt"], **held}
    if len(held) > 1:
        return replace(prompt, value=held)
    (value,) = held.values()
    return replace(prompt, value=value, paths=tuple(path[1:] for path in prompt.paths))
