"""The guard `language`: the answer would come in another language."""

from __future__ import annotations

import re
from functools import cache

from frugalctl.levers.semantic_cache.guards.words import Words, load_list

_SCRIPTS = {
    "ko": re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]"),
    "ja": re.compile("[\u3040-\u30ff]"),
    "han": re.compile("[\u3400-\u9fff]"),
    "cyrillic": re.compile("[\u0400-\u04ff]"),
    "greek": re.compile("[\u0370-\u03ff]"),
    "arabic": re.compile("[\u0600-\u06ff]"),
    "hebrew": re.compile("[\u0590-\u05ff]"),
    "devanagari": re.compile("[\u0900-\u097f]"),
    "thai": re.compile("[\u0e00-\u0e7f]"),
}
_LEAST_SHARE = 0.2
_LEAST_WORDS = 2
LATIN = "latin"


def read_language(text: Words) -> str:
    """The language or script of a text: "" if too little of it tells.

    Another script than Latin counts from a fifth of the letters on, for questions in it are full
    of English names. Latin script is told apart by its function words; one language has to have
    twice as many different ones as any other.
    """
    if not text.text.isascii():
        letters = sum(map(str.isalpha, text.text))
        for script, pattern in _SCRIPTS.items():
            if len(pattern.findall(text.text)) > _LEAST_SHARE * letters:
                return script
    return _read_latin(text)


def compare_languages(a: str, b: str) -> str | None:
    """Why two texts want answers in different languages, if they do."""
    if not a or not b or a == b or {a, b} == {"ja", "han"}:
        return None
    if LATIN in (a, b) and a not in _SCRIPTS and b not in _SCRIPTS:
        return None
    first, second = sorted((a, b))
    return f"{first} against {second}"


@cache
def _load() -> dict[str, frozenset[str]]:
    return {name: frozenset(words) for name, words in load_list("en")["language"].items()}


def _read_latin(text: Words) -> str:
    counts = sorted(
        ((len(words.intersection(text.words)), name) for name, words in _load().items()),
        reverse=True,
    )
    (most, name), (second, _) = counts[:2]
    if most >= _LEAST_WORDS and most >= 2 * second:
        return name
    return LATIN if any("a" <= char <= "z" for char in text.lower) else ""
