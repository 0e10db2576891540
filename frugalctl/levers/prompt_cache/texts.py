"""Messages as token runs, each distinct one tokenised once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import InputError
from frugalctl.levers.prompt_cache.hashing import Counts, Hashes, hash_prefixes
from frugalctl.tokens import encode_text

Role = Literal["tools", "system", "user", "assistant", "tool"]
ROLES: tuple[Role, ...] = ("tools", "system", "user", "assistant", "tool")
_ROLE_OF = {"developer": "system", "function": "tool"}
MARKED, MARKED_1H = 1, 2
"""A breakpoint in the log's own messages, for five minutes and for an hour."""

_END = "<|im_end|>\n"
_RUNS = {"tool_use": 1, "tool_result": 2}


@dataclass(frozen=True, slots=True)
class Texts:
    """m distinct messages, as a log's requests share them.

    Attributes:
        starts: int64[m + 1], where each one's tokens begin among those of all.
        prefixes: uint64[tokens], the hash of each prefix of each message.
        roles: int8[m], index into `ROLES`.
        blocks: int64[m], content blocks; a run of tool uses or of tool results is one.
        first_runs: int8[m], whether it begins with tool uses (1), tool results (2) or neither.
        last_runs: int8[m], the same of its end.
        written: m texts as they were tokenised (see `serialise`), for whoever has to show them.
    """

    starts: Counts
    prefixes: Hashes
    roles: NDArray[np.int8]
    blocks: Counts
    first_runs: NDArray[np.int8]
    last_runs: NDArray[np.int8]
    written: tuple[str, ...] = ()

    def measure(self, messages: Counts) -> Counts:
        """int64, the tokens of messages, which are given by their numbers."""
        return self.starts[messages + 1] - self.starts[messages]


class TextBuilder:
    """Gathers messages and gives each distinct one a number."""

    def __init__(self, model: str | None = None) -> None:
        self._model = model
        self._by_raw: dict[tuple[str, bytes], tuple[int, int]] = {}
        self._by_text: dict[tuple[str, str], int] = {}
        self._hashes: list[Hashes] = []
        self._shapes: list[tuple[int, int, int, int]] = []

    def add_messages(self, messages: str, tools: str | None, model: str) -> list[tuple[int, int]]:
        """The numbers of a request's messages, its tools first, and how each is marked.

        A message is marked by `cache_control` on it or in it: `MARKED`, or `MARKED_1H`, at its
        end, wherever in it the marker stands.

        Args:
            messages: a JSON list of messages.
            tools: a JSON list of tools, if there are any.
            model: whose vocabulary counts.

        Raises:
            InputError: the messages are not a list of objects.
        """
        try:
            raws = msgspec.json.decode(messages, type=list[msgspec.Raw])
            listed = [self._add_raw(bytes(raw), model, False) for raw in raws]
            if tools and tools not in ("null", "[]"):
                listed.insert(0, self._add_raw(tools.encode(), model, True))
        except (msgspec.DecodeError, TypeError):
            raise InputError("messages is not a JSON list of objects") from None
        return listed

    def add_answer(self, response: str, model: str) -> int:
        """The number of a response, as the message that a next request would repeat it in."""
        return self._add({"role": "assistant", "content": response}, model)

    def build(self) -> Texts:
        """All messages so far."""
        lengths = [len(hashes) for hashes in self._hashes]
        shapes = np.array(self._shapes, dtype=np.int64).reshape(-1, 4)
        return Texts(
            starts=np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))),
            prefixes=np.concatenate([np.zeros(0, np.uint64), *self._hashes]),
            roles=shapes[:, 0].astype(np.int8),
            blocks=shapes[:, 1],
            first_runs=shapes[:, 2].astype(np.int8),
            last_runs=shapes[:, 3].astype(np.int8),
            written=tuple(text for _, text in self._by_text),
        )

    def _add_raw(self, raw: bytes, model: str, is_tools: bool) -> tuple[int, int]:
        model = self._model or model
        key = (f"tools {model}" if is_tools else model, raw)
        known = self._by_raw.get(key)
        if known is None:
            value = msgspec.json.decode(raw)
            message = {"role": "tools", "tools": value} if is_tools else value
            if not isinstance(message, dict):
                raise TypeError
            number = self._add(cast("dict[str, Any]", message), model)
            known = self._by_raw[key] = (number, _find_marker(value))
        return known

    def _add(self, message: dict[str, Any], model: str) -> int:
        model = self._model or model
        text = serialise(message)
        key = (model, text)
        known = self._by_text.get(key)
        if known is None:
            known = self._by_text[key] = len(self._hashes)
            self._hashes.append(hash_prefixes(np.array(encode_text(text, model))))
            self._shapes.append(_describe(message))
        return known


def serialise(message: dict[str, Any]) -> str:
    """A message as text: its role, then its other fields as JSON with sorted keys.

    Providers render prompts in ways of their own that they do not publish; what matters here is
    that equal messages give equal tokens. Cache markers are no part of the prompt.
    """
    rest = {name: value for name, value in message.items() if name != "role"}
    body = json.dumps(_drop_markers(rest), sort_keys=True, ensure_ascii=False)
    return f"<|im_start|>{message.get('role', '')}\n{body}{_END}"


def read_content(written: str) -> str:
    """What a serialised message says: its text where it has one, else its fields as JSON."""
    body = written[written.find("\n{") + 1 : -len(_END)]
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return body
    content = fields.get("content")
    if isinstance(content, str) and len(fields) == 1:
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    texts = [cast("dict[str, Any]", part).get("text") for part in parts if isinstance(part, dict)]
    if len(fields) == 1 and texts and all(isinstance(text, str) for text in texts):
        return "\n".join(cast("list[str]", texts))
    return body


def _find_marker(value: Any) -> int:
    """How a message, or a list of tools, is marked; the longest lifetime of several."""
    if isinstance(value, list):
        return max(map(_find_marker, cast("list[Any]", value)), default=0)
    if not isinstance(value, dict):
        return 0
    fields = cast("dict[str, Any]", value)
    marker = fields.get("cache_control")
    inside = _find_marker(fields.get("content"))
    if not isinstance(marker, dict):
        return inside
    one_hour = cast("dict[str, Any]", marker).get("ttl") == "1h"
    return max(inside, MARKED_1H if one_hour else MARKED)


def _drop_markers(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value).items()
        return {name: _drop_markers(item) for name, item in fields if name != "cache_control"}
    if isinstance(value, list):
        return [_drop_markers(item) for item in cast("list[Any]", value)]
    return value


def _describe(message: dict[str, Any]) -> tuple[int, int, int, int]:
    """Role, number of blocks, kind of the first and of the last block."""
    name = str(message.get("role", "user"))
    role = _ROLE_OF.get(name, name)
    content = message.get("content")
    parts = cast("list[Any]", content) if isinstance(content, list) else [content]
    kinds = [_kind_of_part(part) for part in parts if part]
    if role == "tool":
        kinds = [_RUNS["tool_result"]]
    if message.get("tool_calls"):
        kinds.append(_RUNS["tool_use"])
    merged = [kind for at, kind in enumerate(kinds) if not (kind and at and kinds[at - 1] == kind)]
    merged = merged or [0]
    number = ROLES.index(role) if role in ROLES else ROLES.index("user")
    return number, len(merged), merged[0], merged[-1]


def _kind_of_part(part: Any) -> int:
    kind = cast("dict[str, Any]", part).get("type") if isinstance(part, dict) else None
    return _RUNS.get(kind, 0) if isinstance(kind, str) else 0
