"""The normaliser: safe keys, and reductions by the steps that its settings ask for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from frugalctl.levers.normalize.key import KEY_VERSION, make_key
from frugalctl.levers.normalize.korean import KOREAN_VERSION, name_kiwi, reduce_korean
from frugalctl.levers.normalize.settings import NormalizeSettings
from frugalctl.levers.normalize.steps import (
    STEP_VERSION,
    Step,
    WordList,
    Words,
    load_words,
    make_dropper,
    make_replacer,
    sort_words,
    split_words,
)

_PASSES = 10


@dataclass(frozen=True, slots=True)
class TextNormalizer:
    """Makes keys and reductions of texts; it satisfies the semantic cache's `Normalizer`.

    Attributes:
        name: the steps and the versions of what they use; changes whenever a key may change.
        before: the steps on words that come before Korean morphemes.
        korean: whether Korean texts are cut to their content morphemes.
        after: the steps on words that come after.
    """

    name: str
    before: tuple[Step, ...] = ()
    korean: bool = False
    after: tuple[Step, ...] = ()

    def make_keys(self, texts: Sequence[str]) -> list[str]:
        """The safe key of each of n texts; no step changes it."""
        return [make_key(text) for text in texts]

    def reduce(self, texts: Sequence[str]) -> list[str]:
        """The reduction of each of n texts: its safe key, then the steps, never empty.

        Reducing a reduction again changes nothing, but for the step `korean`, whose morphemes are
        not a sentence any more.

        Raises:
            MissingExtraError: the step `korean` without kiwipiepy.
        """
        reduced = self.make_keys(texts)
        if self.before:
            reduced = [_apply(self.before, text) for text in reduced]
        if self.korean:
            reduced = reduce_korean(reduced)
        if self.after:
            reduced = [_apply(self.after, text) for text in reduced]
        return reduced


def make_normalizer(settings: NormalizeSettings | None = None) -> TextNormalizer:
    """The normaliser of these settings; by default one whose reductions are the safe keys.

    Raises:
        MissingExtraError: the step `korean` without kiwipiepy.
    """
    settings = settings or NormalizeSettings()
    steps = _make_word_steps(settings)
    korean = "korean" in settings.steps
    # sorted words would be no sentence for the analyser
    return TextNormalizer(
        _name(settings),
        before=tuple(step for name, step in steps.items() if name != "word-order" or not korean),
        korean=korean,
        after=(sort_words,) if korean and "word-order" in steps else (),
    )


def _make_word_steps(settings: NormalizeSettings) -> dict[str, Step]:
    if not settings.steps:
        return {}
    words: tuple[WordList, ...] = load_words()
    made: dict[str, Step] = {}
    if "synonyms" in settings.steps:
        groups = [group for one in words for group in one.synonyms]
        made["synonyms"] = make_replacer([*groups, *settings.synonyms])
    if "modifiers" in settings.steps:
        phrases = [phrase for one in words for phrase in one.modifiers]
        made["modifiers"] = make_dropper([*phrases, *settings.modifiers])
    if "stop-words" in settings.steps:
        phrases = [phrase for one in words for phrase in one.stop_words]
        made["stop-words"] = make_dropper([*phrases, *settings.stop_words])
    if "word-order" in settings.steps:
        made["word-order"] = sort_words
    return made


def _apply(steps: Sequence[Step], text: str) -> str:
    """Apply the steps until nothing changes: what one drops may bring a phrase together."""
    words = split_words(text)
    if not words:
        return text
    for _ in range(_PASSES):
        before: Words = words
        for step in steps:
            words = step(words) or words
        if words == before:
            break
    return " ".join(words)


def _name(settings: NormalizeSettings) -> str:
    parts = [f"key-{KEY_VERSION}"]
    for step in settings.steps:
        parts.append(f"{step}-{KOREAN_VERSION if step == 'korean' else STEP_VERSION}")
    if "korean" in settings.steps:
        parts.append(name_kiwi())
    own = (settings.synonyms, settings.modifiers, settings.stop_words)
    if any(own):
        text = json.dumps(own, ensure_ascii=True)
        parts.append("words-" + hashlib.blake2b(text.encode(), digest_size=8).hexdigest())
    return "+".join(parts)
