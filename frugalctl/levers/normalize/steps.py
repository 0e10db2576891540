"""The steps that work on words: phrases dropped or replaced, words sorted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from frugalctl.levers.normalize.key import make_key

Words = tuple[str, ...]
Step = Callable[[Words], Words]
STEP_VERSION = 1
_EDGES = ",;:!?\"'()[]{}“”‘’「」『』…、，；：？！。"
_LANGUAGES = ("en", "ko")


@dataclass(frozen=True, slots=True)
class WordList:
    """The words of one language.

    Attributes:
        modifiers: politeness and fillers, which do not change what is asked.
        stop_words: words without content; negations, question words and directions are none.
        synonyms: groups of words and phrases; the first of each stands for all.
    """

    modifiers: tuple[str, ...]
    stop_words: tuple[str, ...]
    synonyms: tuple[tuple[str, ...], ...]


@cache
def load_words() -> tuple[WordList, ...]:
    """The word lists of the package, one a language."""
    import tomllib

    found: list[WordList] = []
    for language in _LANGUAGES:
        name = f"{language}.toml"
        text = files("frugalctl.levers.normalize").joinpath("data", name).read_text("utf-8")
        table = tomllib.loads(text)
        found.append(
            WordList(
                tuple(cast("list[str]", table["modifiers"])),
                tuple(cast("list[str]", table["stop_words"])),
                tuple(
                    (word, *others)
                    for word, others in cast("dict[str, list[str]]", table["synonyms"]).items()
                ),
            )
        )
    return tuple(found)


def split_words(text: str) -> Words:
    """The words of a safe key, without the punctuation that stands around them.

    A word of nothing but punctuation is kept if it may be an operator or a name (+, #, &).
    """
    words = (word.strip(_EDGES).rstrip(".") for word in make_key(text).split())
    return tuple(word for word in words if word)


def make_dropper(phrases: Iterable[str]) -> Step:
    """A step that drops phrases, the longest first."""
    return _make_scan(dict.fromkeys(map(split_words, phrases), ()))


def make_replacer(groups: Iterable[Sequence[str]]) -> Step:
    """A step that puts the first member of a group in the place of any other.

    A later group counts before an earlier one; where the first member of a group is an other one
    of a later group, the latter's first stands for all.
    """
    targets: dict[Words, Words] = {}
    for group in groups:
        first, *others = (split_words(member) for member in group)
        targets.pop(first, None)  # so the end of every chain is a first member, and none is a ring
        targets.update((other, first) for other in others if other and other != first)
    resolved = {phrase: _follow(phrase, targets) for phrase in targets}
    # a first member that contains another one ("mobile phone" of "phone") must not grow
    resolved |= {first: first for first in resolved.values()}
    return _make_scan(resolved)


def sort_words(words: Words) -> Words:
    """The words in alphabetical order, so that their order counts no more."""
    return tuple(sorted(words))


def _follow(phrase: Words, targets: Mapping[Words, Words]) -> Words:
    while phrase in targets:
        phrase = targets[phrase]
    return phrase


def _make_scan(targets: Mapping[Words, Words]) -> Step:
    """One pass from left to right that replaces the longest phrase found at each word."""
    by_first: dict[str, list[Words]] = {}
    for phrase in sorted(targets, key=len, reverse=True):
        if phrase:
            by_first.setdefault(phrase[0], []).append(phrase)

    def scan(words: Words) -> Words:
        out: list[str] = []
        at = 0
        while at < len(words):
            for phrase in by_first.get(words[at], ()):
                if words[at : at + len(phrase)] == phrase:
                    out.extend(targets[phrase])
                    at += len(phrase)
                    break
            else:
                out.append(words[at])
                at += 1
        return tuple(out)

    return scan
