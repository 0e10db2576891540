"""The guard `symbols`: C, C++ and C#, addresses, paths, codes and operators."""

from __future__ import annotations

import re

from frugalctl.levers.semantic_cache.guards.words import Words

# In this order: an address is not to be read as operators.
_PATTERNS = {
    "address": re.compile(r"\b(?:https?://|www\.)[^\s<>\"']+|\b[\w.+-]+@[\w-]+\.[\w.-]+\b"),
    "path": re.compile(r"(?<![\w/])(?:~|\.{1,2})?(?:/[\w.@-]+){2,}/?|\b[a-z]:\\[\w.\\-]+"),
    "language": re.compile(r"(?<![\w+#])[a-z](?:\+\+|#)(?![\w+#])|(?<!\S)\.net\b"),
    "code": re.compile(r"\b(?=[a-z-]*\d)(?=[\d-]*[a-z])[a-z\d]+(?:-[a-z\d]+)+\b"),
    "option": re.compile(r"(?<!\S)--?[a-z][\w-]*"),
    "operator": re.compile(r"(?<=[\w)])\s?(==|!=|<=|>=|&&|\|\||\*\*|//|[-+*/^<>=×÷])\s?(?=[\w(])"),
    "power": re.compile("[²³]"),
}
_LETTER = re.compile(r"(?<![\w'’.+#-])[a-z](?![\w'’.+#-])")
_LANGUAGE_LETTERS = frozenset("cfjdr")
_MATHS = re.compile(r"[\d)]\s?[-+*/^<>=×÷]\s?[\d(]|\b[a-z]\s?[+*/^<>=×÷]\s?[\da-z]\b|==|!=|&&|\|\|")
_ANY = re.compile(r"[@/\\+#^*<>=&|²³×÷.-]")
Symbols = dict[str, frozenset[str]]


def read_symbols(text: Words) -> Symbols:
    """The tokens of a text whose punctuation is part of what they say, by kind."""
    found: Symbols = {}
    letters = frozenset(_LETTER.findall(text.lower)) & _LANGUAGE_LETTERS
    if _ANY.search(text.lower):
        rest = text.lower
        for kind, pattern in _PATTERNS.items():
            if kind == "operator" and not _MATHS.search(rest):
                continue
            names = frozenset(
                name.strip(" .,?!/").replace("_", "-") for name in pattern.findall(rest)
            )
            if names:
                found[kind] = names
                rest = pattern.sub(" ", rest)
    if letters:
        found["letter"] = letters
    return found


def compare_symbols(a: Symbols, b: Symbols) -> str | None:
    """Why two texts name different things by their symbols, if they do."""
    if not a and not b:
        return None
    for kind in _PATTERNS:
        ours, theirs = a.get(kind, frozenset()), b.get(kind, frozenset())
        if ours != theirs:
            return _show(ours, theirs)
    ours, theirs = a.get("letter"), b.get("letter")
    if ours and theirs and ours != theirs:
        return _show(ours, theirs)
    return None


def _show(ours: frozenset[str], theirs: frozenset[str]) -> str:
    only = (", ".join(sorted(names)) or "none" for names in (ours - theirs, theirs - ours))
    first, second = sorted(only)
    return f"{first} against {second}"
