"""Tokens of short texts without the 0.4 s that tiktoken takes to build a vocabulary.

The vocabulary's file is read as it lies there, base64 and all, and only what a text needs is
looked up: a whole word first, which is nearly always a token, else its pairs of least rank are
joined (Sennrich et al., 2016, byte-level as in Radford et al., 2019). Same tokens, by a test.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

MOST_CHARS = 30_000
"""Of all texts together; from then on building the vocabulary pays."""

_MOST_WORD_BYTES = 256
# Letters whose classes are old enough to be the same in every pattern engine.
_KNOWN = re.compile(
    "[\x00-\u024f\u2010-\u2027\u20a0-\u20bf\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3]*"
)


class ShortEncoder:
    """Cuts short texts into the tokens of a tiktoken vocabulary."""

    def __init__(self, file: Path, constructor: FunctionType) -> None:
        import regex

        fields = file.read_bytes().split()
        self._tokens = fields[::2]
        self._ranks = dict(zip(self._tokens, range(len(self._tokens)), strict=True))
        if int(fields[-1]) != len(self._tokens) - 1:
            raise ValueError("its ranks are not in order")
        finder: Any = regex.compile(_read_pattern(constructor))
        self._find: Callable[[str], list[str]] = finder.findall
        self._left = MOST_CHARS

    def encode(self, text: str) -> list[int] | None:
        """The tokens; None for a text, or after so many of them, that tiktoken should cut."""
        self._left -= len(text)
        if self._left < 0 or not _KNOWN.fullmatch(text):
            return None
        found: list[int] = []
        for word in self._find(text):
            rank = self._rank(word.encode())
            if rank is not None:
                found.append(rank)
            elif len(word) > _MOST_WORD_BYTES:
                return None
            else:
                found += self._join(word.encode())
        return found

    def decode(self, tokens: Sequence[int]) -> list[bytes]:
        """The bytes of each token."""
        return [a2b_base64(self._tokens[token]) for token in tokens]

    def _rank(self, word: bytes) -> int | None:
        return self._ranks.get(b2a_base64(word, newline=False))

    def _join(self, word: bytes) -> list[int]:
        parts = [word[at : at + 1] for at in range(len(word))]
        while len(parts) > 1:
            ranks = [self._rank(parts[at] + parts[at + 1]) for at in range(len(parts) - 1)]
            known = [(rank, at) for at, rank in enumerate(ranks) if rank is not None]
            if not known:
                break
            at = min(known)[1]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return [self._ranks[b2a_base64(part, newline=False)] for part in parts]


def _read_pattern(constructor: FunctionType) -> str:
    """The pattern that cuts words, from tiktoken's definition, without its vocabulary."""
    names: dict[str, Any] = {**constructor.__globals__, "load_tiktoken_bpe": _load_nothing}
    return FunctionType(constructor.__code__, names)()["pat_str"]


def _load_nothing(*_: object, **__: object) -> dict[bytes, int]:
    return {}
