"""The template that a log was rendered with, worked out from what its messages have in common.

Messages that resemble a new template are aligned with each other: what is in all of them is fixed,
the rest are values, which take the names of the placeholders that stand at the same place in the
new template. It is a guess, and said to be one; a declared template goes before it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from frugalctl.levers.prompt_cache.volatile import mask_values
from frugalctl.replay.templates.parse import Slot, Template
from frugalctl.replay.templates.values import hash_texts

_WORD = re.compile(r"\w[\w.:+/@-]*\w|\w|\s+|[^\w\s]")
_SLOT = "\0"
_MOST_SHAPES = 500
_MOST_TEXTS = 5000
_SHAPE_CHARS = 400
_TEXTS_A_SHAPE = 4
_MOST_ALIGNED = 12
_MOST_DIFFERENT = 3000
_MOST_CHARS = 40_000
_LEAST_SHARE = 0.3
_EDGE = "\1"
_LEAST_WORDS = 2
_MOST_VALUE_WORDS = 12


@dataclass(slots=True)
class Shapes:
    """Texts of one role, a few of each shape (the same but for whatever holds a digit)."""

    texts: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    seen: set[int] = field(default_factory=set[int])

    def add(self, text: str) -> None:
        """Keep a text, if there are not enough of its kind."""
        key = hash_texts(text)
        if not text or len(text) > _MOST_CHARS or key in self.seen or len(self.seen) > _MOST_TEXTS:
            return
        self.seen.add(key)
        shape = mask_values(text[:_SHAPE_CHARS])
        kept = self.texts.get(shape)
        if kept is None:
            if len(self.texts) < _MOST_SHAPES:
                self.texts[shape] = [text]
        elif len(kept) < _TEXTS_A_SHAPE and text not in kept:
            kept.append(text)


_Phrase = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    texts: list[str]
    phrases: Counter[_Phrase]


def infer_templates(shapes: Shapes, templates: Sequence[Template]) -> list[Template | None]:
    """The old template of each new one; None where nothing in the log resembles it.

    A shape of text goes to the template that it shares most phrases of three words with, if these
    are at least 30 % of the template's, and, where the template has no placeholder, of the text's
    as well. Single words would not do: long prompts in one language share most of these.
    """
    listed = [_Shape(texts, _count_phrases([texts[0]])) for texts in shapes.texts.values()]
    wanted = [_count_phrases(one.texts) for one in templates]
    claimed: list[list[_Shape]] = [[] for _ in templates]
    for shape in listed:
        scores = [
            _score(shape.phrases, phrases, bool(template.slots))
            for phrases, template in zip(wanted, templates, strict=True)
        ]
        best = max(range(len(scores)), key=scores.__getitem__)
        if scores[best] > 0:
            claimed[best].append(shape)
    return [
        _align(mine, template) if mine else None
        for mine, template in zip(claimed, templates, strict=True)
    ]


def _count_phrases(texts: Sequence[str]) -> Counter[_Phrase]:
    """Phrases of three words in a row, the ends of a line counting as words.

    Args:
        texts: what is fixed, between values that may be anything.
    """
    found: Counter[_Phrase] = Counter()
    for line in _SLOT.join(texts).split("\n"):
        for run in f"{_EDGE}{line}{_EDGE}".split(_SLOT):
            words = [word for word in _split(run) if word == _EDGE or word[0].isalnum()]
            found.update(zip(words, words[1:], words[2:], strict=False))
    return found


def _score(text: Counter[_Phrase], template: Counter[_Phrase], has_slots: bool) -> int:
    """How many phrases they share, 0 if too few."""
    shared = (text & template).total()
    enough = shared >= _LEAST_SHARE * template.total()
    alike = has_slots or shared >= _LEAST_SHARE * text.total()
    return shared if enough and alike else 0


def _align(shapes: Sequence[_Shape], template: Template) -> Template:
    several = _take_turns([shape.texts for shape in shapes])[:_MOST_ALIGNED]
    words = _split(several[0])
    fixed = [True] * len(words)
    joined = [True] * len(words)
    for other in several[1:]:
        _keep_common(words, _split(other), fixed, joined)
    return _name_slots(_drop_short(_list_runs(words, fixed, joined)), template)


def _take_turns(lists: Sequence[list[str]]) -> list[str]:
    """The first of each list, then the second of each, and so on."""
    longest = max(map(len, lists))
    return [one[at] for at in range(longest) for one in lists if at < len(one)]


def _keep_common(words: list[str], other: list[str], fixed: list[bool], joined: list[bool]) -> None:
    """Leave fixed what the other text has too, joined what stands together there as well."""
    mine: dict[int, int] = {}
    for at, to, size in _match(words, other):
        mine.update((at + step, to + step) for step in range(size))
    for at in range(len(words)):
        fixed[at] = fixed[at] and at in mine
        if at:
            joined[at] = joined[at] and mine.get(at, -1) == mine.get(at - 1, -3) + 1
    if not words:
        return
    ends = (mine.get(0, -1) == 0, mine.get(len(words) - 1, -1) == len(other) - 1)
    fixed[0], fixed[-1] = fixed[0] and ends[0], fixed[-1] and ends[1]


def _match(words: list[str], other: list[str]) -> Iterator[tuple[int, int, int]]:
    """Runs that two texts share: their ends at once, what is between by the longest first.

    Where very much is between, such as documents, nothing of that counts as shared.
    """
    head = 0
    shorter = min(len(words), len(other))
    while head < shorter and words[head] == other[head]:
        head += 1
    tail = 0
    while tail < shorter - head and words[-1 - tail] == other[-1 - tail]:
        tail += 1
    yield 0, 0, head
    middle = (words[head : len(words) - tail], other[head : len(other) - tail])
    if max(map(len, middle)) <= _MOST_DIFFERENT:
        for block in SequenceMatcher(None, *middle).get_matching_blocks():
            if block.size:
                yield head + block.a, head + block.b, block.size
    yield len(words) - tail, len(other) - tail, tail


def _list_runs(words: list[str], fixed: list[bool], joined: list[bool]) -> list[str]:
    """Fixed runs with `_SLOT` wherever something else may stand, also at the ends."""
    runs: list[str] = []
    for at, word in enumerate(words):
        if not fixed[at]:
            if not runs or runs[-1] != _SLOT:
                runs.append(_SLOT)
        elif runs and runs[-1] != _SLOT and joined[at]:
            runs[-1] += word
        else:
            runs += [_SLOT, word] if runs and runs[-1] != _SLOT else [word]
    return runs


def _drop_short(runs: list[str]) -> list[str]:
    """Take a run of few words between two values for a part of the value: it matches anywhere."""
    kept: list[str] = []
    for at, run in enumerate(runs):
        inner = 0 < at < len(runs) - 1
        short = inner and sum(word[0].isalnum() for word in _split(run)) < _LEAST_WORDS
        is_slot = run == _SLOT or (short and "\n" not in run)
        if not (is_slot and kept and kept[-1] == _SLOT):
            kept.append(_SLOT if is_slot else run)
    return kept


def _name_slots(runs: list[str], template: Template) -> Template:
    """Give values the names of the placeholders that stand where they do."""
    old = [word for run in runs for word in ([_SLOT] if run == _SLOT else _split(run))]
    new: list[str] = []
    names: dict[int, str] = {}
    for text, slot in zip(template.texts, (*template.slots, None), strict=True):
        new += _split(text)
        if slot is not None:
            names[len(new)] = slot.name
            new.append(_SLOT)
    found: dict[tuple[int, int], str] = {}
    matcher = SequenceMatcher(None, old, new)
    for kind, a, a_end, b, b_end in matcher.get_opcodes():
        if kind == "equal":
            for step in range(a_end - a):
                if old[a + step] == _SLOT:
                    found[a + step, a + step + 1] = names[b + step]
        elif kind == "replace" and _is_one_value(old[a:a_end], new[b:b_end]):
            found[a, a_end] = names[b + new[b:b_end].index(_SLOT)]
    return _build(old, found)


def _is_one_value(old: list[str], new: list[str]) -> bool:
    """Whether a placeholder stands in for a value: one that varies, or a few words that do not."""
    if new.count(_SLOT) != 1 or len(new) > 1:
        return False
    return old.count(_SLOT) <= 1 and len(old) <= _MOST_VALUE_WORDS


def _build(words: list[str], named: dict[tuple[int, int], str]) -> Template:
    names = {start: (end, name) for (start, end), name in named.items()}
    texts, slots = [""], list[Slot]()
    at = 0
    while at < len(words):
        end, name = names.get(at, (at + 1, ""))
        if at in names or words[at] == _SLOT:
            slots.append(Slot(name))
            texts.append("")
        else:
            texts[-1] += words[at]
        at = end
    return Template(tuple(texts), tuple(slots))


def _split(text: str) -> list[str]:
    return _WORD.findall(text)
