"""How many texts meet at each step, and how many of those ask something else."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

from frugalctl.levers.normalize.normalizer import make_normalizer
from frugalctl.levers.normalize.settings import STEPS, NormalizeSettings

AS_WRITTEN = "as written"
KEY = "key"


@dataclass(frozen=True, slots=True)
class Meetings:
    """What a cache keyed by one reduction would have served.

    Attributes:
        step: the last step that was applied, after all before it.
        texts: how many texts.
        hits: how many of them had an earlier one of equal reduction.
        wrong: how many of the hits met a text of another group; None without groups.
    """

    step: str
    texts: int
    hits: int
    wrong: int | None


def measure_meetings(
    texts: Sequence[str],
    settings: NormalizeSettings,
    groups: Sequence[Hashable] | None = None,
) -> list[Meetings]:
    """Count the texts that meet an earlier one: as written, by their key, and after each step.

    Args:
        texts: n texts, in the order in which they were asked.
        settings: the steps; the n-th row has the first n of them.
        groups: what each text asks, n labels: texts of one label ask the same.

    Raises:
        MissingExtraError: the step `korean` without kiwipiepy.
    """
    normalizer = make_normalizer(NormalizeSettings())
    found = [_count(AS_WRITTEN, texts, groups), _count(KEY, normalizer.make_keys(texts), groups)]
    for part in _accumulate(settings):
        reduced = make_normalizer(part).reduce(texts)
        found.append(_count(part.steps[-1], reduced, groups))
    return found


def _accumulate(settings: NormalizeSettings) -> Iterator[NormalizeSettings]:
    """The settings with only the first step, the first two, and so on."""
    for end in range(1, len(settings.steps) + 1):
        steps = settings.steps[:end]
        dropped = set(STEPS) - set(steps)
        yield replace(
            settings,
            steps=steps,
            synonyms=() if "synonyms" in dropped else settings.synonyms,
            modifiers=() if "modifiers" in dropped else settings.modifiers,
            stop_words=() if "stop-words" in dropped else settings.stop_words,
        )


def _count(step: str, keys: Sequence[str], groups: Sequence[Hashable] | None) -> Meetings:
    first: dict[str, int] = {}
    hits = wrong = 0
    for at, key in enumerate(keys):
        earlier = first.setdefault(key, at)
        if earlier < at:
            hits += 1
            wrong += groups is not None and groups[earlier] != groups[at]
    return Meetings(step, len(keys), hits, None if groups is None else wrong)
