"""The verdicts of LLMLingua, brought back from its words to the characters of a text.

Its tokenizers change what they read: white space goes, characters are composed, taken apart or
lost, words come in pieces. So words and characters are compared in a folded form, in order, and
what no word stands for is left alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

# How far the words may be ahead of the text or behind it before they count as lost.
_WINDOW_CHARS = 4096
_ANCHOR_WORDS = 4
# What SentencePiece writes for a space.
_SPACE_MARK = "\u2581"


def fold_text(text: str) -> tuple[str, list[int]]:
    """The folded characters of a text, and for each the offset that it comes from."""
    folded: list[str] = []
    offsets: list[int] = []
    for at, char in enumerate(text):
        for part in _fold(char):
            folded.append(part)
            offsets.append(at)
    return "".join(folded), offsets


def blank_special(text: str, special: Iterable[str]) -> str:
    """The text, as long as before, without what a tokenizer would take for its own marks."""
    text = text.encode("utf-8", "replace").decode()
    for token in sorted(special, key=len, reverse=True):
        text = text.replace(token, " " * len(token))
    return text


def align_words(words: Sequence[str], folded: str) -> list[tuple[int, int]]:
    """Where each word stands in a folded text; (0, 0) for one that is not found.

    Words are expected one behind the other. Where the next is not there, it is looked for
    further on, together with those after it.
    """
    plain = ["".join(map(_fold, word)) for word in words]
    found: list[tuple[int, int]] = []
    at = 0
    for index, word in enumerate(plain):
        if not word:
            found.append((0, 0))
            continue
        if not folded.startswith(word, at):
            anchor = "".join(plain[index : index + _ANCHOR_WORDS])
            ahead = folded.find(anchor, at, at + _WINDOW_CHARS + len(anchor))
            if ahead < 0:
                found.append((0, 0))
                continue
            at = ahead
        found.append((at, at + len(word)))
        at += len(word)
    return found


def align_tokens(
    kept: Sequence[int], tokens: Sequence[int], spans: Sequence[tuple[int, int]]
) -> list[tuple[int, int]] | None:
    """The characters of the tokens that were kept, a subsequence of all; None if they are not.

    Args:
        kept: tokens that are left.
        tokens: all of them.
        spans: the characters of each of all tokens.
    """
    found: list[tuple[int, int]] = []
    places: Iterable[tuple[int, tuple[int, int]]] = zip(tokens, spans, strict=True)
    remaining = iter(places)
    for token in kept:
        for candidate, span in remaining:
            if candidate == token:
                found.append(span)
                break
        else:
            return None
    return found


@lru_cache(maxsize=1 << 16)
def _fold(char: str) -> str:
    """A character as it compares: case, width, accents and everything unseen taken off."""
    if char.isascii():
        return char.lower() if char.isprintable() and char != " " else ""
    return "".join(
        part
        for part in unicodedata.normalize("NFKD", char).casefold()
        if not part.isspace() and part != _SPACE_MARK and unicodedata.category(part)[0] not in "MC"
    )
