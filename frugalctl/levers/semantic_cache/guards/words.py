"""What the guards read of a text: its words, and the word lists of the languages."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_CACHED_WORDS = 65_536


@dataclass(frozen=True, slots=True)
class Words:
    """A text and its words.

    Attributes:
        text: composed (NFC), with one kind of apostrophe.
        lower: the same in lower case.
        cased: its words as they were written.
        words: its words in lower case.
        stems: their stems.
        korean: whether it has Hangul.
    """

    text: str
    lower: str
    cased: tuple[str, ...]
    words: tuple[str, ...]
    stems: tuple[str, ...]
    korean: bool


def read_words(text: str) -> Words:
    """The words of a text, in its order."""
    composed = text if text.isascii() else unicodedata.normalize("NFC", text).replace("’", "'")
    cased = tuple(_WORD.findall(composed))
    korean = not composed.isascii() and _HANGUL.search(composed) is not None
    words = tuple([word.lower() for word in cased])
    return Words(
        composed, composed.lower(), cased, words, tuple([stem(word) for word in words]), korean
    )


@cache
def load_list(language: str) -> dict[str, Any]:
    """The word lists of a language, as its TOML file has them."""
    folder = files("frugalctl.levers.semantic_cache.guards")
    return tomllib.loads(folder.joinpath("data", f"{language}.toml").read_text("utf-8"))


@cache
def load_common() -> frozenset[str]:
    """The stems of words that carry no content."""
    return frozenset(stem(word) for word in load_list("en")["common"]["words"])


@lru_cache(maxsize=_CACHED_WORDS)
def stem(word: str) -> str:
    """An English word without the endings of number, tense and possession.

    Not a linguist's stem: it only has to be the same for the forms of one word.
    """
    word = word.removesuffix("'s")
    if len(word) <= 3 or not word.isascii() or word[-1].isdigit():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending, least in (("ing", 6), ("ed", 5)):
        if word.endswith(ending) and len(word) >= least:
            return _trim(word[: -len(ending)])
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-2] if word.endswith(("ses", "xes", "zes", "ches", "shes")) else word[:-1]
    return _trim(word)


def _trim(word: str) -> str:
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        return word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word
