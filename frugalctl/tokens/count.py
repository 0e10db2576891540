"""Counting the tokens of texts and of chat messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import msgspec

from frugalctl.tokens.families import encoding_name
from frugalctl.tokens.vocabulary import load_decoder, load_encoder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MESSAGE_TOKENS = 3
NAME_TOKENS = 1
REPLY_TOKENS = 3

_CACHE_CHARS = 64 << 20
# A run of white space longer than this overflows the stack of tiktoken's pattern engine.
_PIECE_CHARS = 100_000
_MOST_TOKENS = 1 << 18
# No pattern joins a letter after a single space to what stands before the space.
_CUT = re.compile(r"(?<=[.:;!?])(?= [A-Za-z])")
_CUT_FROM_CHARS = 1000
_REPEATED_CHARS = 1 << 22


class _CountCache:
    """Counts of texts seen before, the oldest dropped once their texts grow too large."""

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars
        self._chars = 0
        self._counts: dict[tuple[str, str], int] = {}
        self._last: tuple[tuple[str, str], list[int]] | None = None
        self._clauses: dict[str, dict[str, list[int]]] = {}
        self._clause_chars = 0

    def count(self, encoding: str, text: str) -> int:
        key = (encoding, text)
        known = self._counts.get(key)
        if known is not None:
            return known
        tokens = len(self.encode(encoding, text))
        self._chars += len(text)
        self._counts[key] = tokens
        while self._chars > self._max_chars:
            oldest = next(iter(self._counts))
            del self._counts[oldest]
            self._chars -= len(oldest[1])
        return tokens

    def encode(self, encoding: str, text: str) -> list[int]:
        """Its tokens; those of the last text are kept, for one that is counted and then cut."""
        key = (encoding, text)
        if self._last is not None and self._last[0] == key:
            return self._last[1]
        encode = load_encoder(encoding)
        if len(text) > _PIECE_CHARS:
            return [token for piece in _cut(text) for token in encode(piece)]
        tokens = encode(text) if len(text) < _CUT_FROM_CHARS else self._join(encoding, encode, text)
        self._last = (key, tokens)
        return tokens

    def _join(self, encoding: str, encode: Callable[[str], list[int]], text: str) -> list[int]:
        """Its tokens, clause by clause: prompts differ in a word and repeat all others."""
        clauses = self._clauses.setdefault(encoding, {})
        tokens: list[int] = []
        for clause in _CUT.split(text):
            known = clauses.get(clause)
            if known is None:
                known = clauses[clause] = encode(clause)
                self._clause_chars += len(clause)
            tokens += known
        if self._clause_chars > _REPEATED_CHARS:
            self._clauses.clear()
            self._clause_chars = 0
        return tokens


_cache = _CountCache(_CACHE_CHARS)


def count_text(text: str, model: str) -> int:
    """Tokens of a text for a model.

    Texts of more than 100,000 characters are counted in pieces, cut before a space where there
    is one, which may add a token a piece.

    Raises:
        FrugalError: the vocabulary is not installed.
    """
    return _cache.count(encoding_name(model), text)


def count_each(texts: Sequence[str], model: str) -> list[int]:
    """Tokens of texts that follow each other, which add up to those of all of them joined.

    The joined text is cut into tokens once, and a token belongs to the text that it begins in.
    Where tokens are no runs of bytes, as in Claude's vocabulary, each text is counted by itself.

    Raises:
        FrugalError: the vocabulary is not installed.
    """
    encoding = encoding_name(model)
    decode = load_decoder(encoding)
    if decode is None:
        return [count_text(text, model) for text in texts]
    import numpy as np

    tokens = np.array(_cache.encode(encoding, "".join(texts)), np.int64)
    sizes = _keep_sizes(encoding)
    unknown: list[int] = np.unique(tokens[sizes[tokens] == 0]).tolist()
    sizes[unknown] = [len(token) for token in decode(unknown)]
    lengths = sizes[tokens]
    starts = np.cumsum(lengths) - lengths
    ends = np.cumsum([_count_bytes(text) for text in texts])
    places = np.searchsorted(starts, ends)
    return np.diff(places, prepend=0).tolist()


def encode_text(text: str, model: str) -> list[int]:
    """The tokens of a text for a model, as numbers in its vocabulary, cut like `count_text`.

    Raises:
        FrugalError: the vocabulary is not installed.
    """
    return list(_cache.encode(encoding_name(model), text))


def count_messages(messages: list[dict[str, Any]], tools: list[Any] | None, model: str) -> int:
    """Input tokens of a chat request.

    Each message costs 3 tokens, its role and its content, a name 1 more; the reply is primed
    with 3. Tool calls, tools and content that is not text count as compact JSON, which is near
    to, but not exactly, what providers make of them.

    Source: the OpenAI cookbook on counting tokens.

    Raises:
        FrugalError: the vocabulary is not installed.
    """
    tokens = REPLY_TOKENS + sum(_count_message(message, model) for message in messages)
    return tokens + (count_json(tools, model) if tools else 0)


def count_json(value: Any, model: str) -> int:
    """Tokens of a value as compact JSON.

    Raises:
        FrugalError: the vocabulary is not installed.
    """
    return count_text(msgspec.json.encode(value).decode(), model)


def _count_message(message: dict[str, Any], model: str) -> int:
    if "role" not in message:
        return MESSAGE_TOKENS + count_json(message, model)
    tokens = MESSAGE_TOKENS + _count_value(message["role"], model)
    tokens += _count_value(message.get("content"), model)
    name = message.get("name")
    if name:
        tokens += NAME_TOKENS + _count_value(name, model)
    for field in ("tool_calls", "function_call"):
        if message.get(field):
            tokens += count_json(message[field], model)
    return tokens


def _count_value(value: Any, model: str) -> int:
    if value is None:
        return 0
    if isinstance(value, str):
        return count_text(value, model)
    if isinstance(value, list):
        return sum(_count_part(part, model) for part in cast("list[Any]", value))
    return count_json(value, model)


def _count_part(part: Any, model: str) -> int:
    if isinstance(part, dict):
        block = cast("dict[str, Any]", part)
        if block.get("type") in ("text", "input_text", "output_text"):
            return _count_value(block.get("text"), model)
    return _count_value(part, model) if isinstance(part, str) else count_json(part, model)


@lru_cache
def _keep_sizes(encoding: str) -> NDArray[np.int64]:
    """The bytes of each token of a vocabulary that was met, 0 of the others."""
    import numpy as np

    return np.zeros(_MOST_TOKENS, np.int64)


def _count_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _cut(text: str) -> list[str]:
    pieces: list[str] = []
    start = 0
    while start < len(text):
        end = min(start + _PIECE_CHARS, len(text))
        if end < len(text):
            space = text.rfind(" ", start + 1, end)
            end = space if space > start else end
        pieces.append(text[start:end])
        start = end
    return pieces
