"""Why a change of a prompt costs what it costs: in words, by line of the template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from frugalctl.levers.prompt_cache.blame import CAUSES, Cause, Miss, find_misses
from frugalctl.replay.templates.parse import Template
from frugalctl.replay.templates.scan import PromptUses, SlotCounts
from frugalctl.replay.templates.spec import PromptSpec
from frugalctl.report.prompt_change_model import PromptSide
from frugalctl.report.prompt_change_side import Sent

_LEAST_SHIFT = 0.01
_LEAST_TOKENS = 0.5
_LEAST_PART = 0.05
_MOST_PLACES = 3
_MESSAGE = {"system": "the system prompt", "developer": "the developer message"}


@dataclass(frozen=True, slots=True)
class Case:
    """A prompt whose requests were simulated before and after the change.

    Attributes:
        spec: the prompt.
        uses: where it is in the log.
        base: what its requests take before.
        head: what they take after.
    """

    spec: PromptSpec
    uses: PromptUses
    base: PromptSide
    head: PromptSide

    @property
    def cache_fell(self) -> bool:
        """Whether clearly less is read from the cache than before."""
        return self.head.cached_share < self.base.cached_share - _LEAST_SHIFT

    @property
    def cache_rose(self) -> bool:
        """Whether clearly more is."""
        return self.head.cached_share > self.base.cached_share + _LEAST_SHIFT


class Misses:
    """The misses of both sides by cause, looked for only once somebody asks."""

    def __init__(self, base: Sent, head: Sent) -> None:
        self._sides = (base, head)
        self._found: list[dict[int, Miss]] = []

    def list_of(self, rows: Sequence[int]) -> tuple[list[Miss], list[Miss]]:
        """The misses of some requests, before and after."""
        if not self._found:
            self._found = [_find_by_row(side) for side in self._sides]
        base, head = ([found[row] for row in rows if row in found] for found in self._found)
        return base, head

    def find_minimum(self, rows: Sequence[int]) -> int:
        """The shortest prefix that the caches of these requests take, in tokens."""
        head = self._sides[1]
        models: list[int] = np.unique(head.log.prompts.models[np.isin(head.rows, rows)]).tolist()
        rules = [head.planned.rules[model] for model in models]
        return max((max(one.min_tokens, one.step_tokens) for one in rules if one), default=0)


def _find_by_row(side: Sent) -> dict[int, Miss]:
    reads = side.planned.simulation.counted.read_tokens
    blame = find_misses(side.log.prompts, side.log.sessions, reads, side.planned.rules)
    rows = side.rows.tolist()
    return {rows[miss.row]: miss for miss in blame.misses}


def find_culprits(case: Case) -> list[int]:
    """The slots that change clearly more often than anything that stood before them so far."""
    if not case.cache_fell or case.spec.old is None:
        return []
    old, new = case.uses.old, case.uses.new
    names = [slot.name for slot in case.spec.template.slots]
    found: list[int] = []
    for slot in range(len(names)):
        offset = new.find_offset(slot)
        before = [
            old.find_share(number)
            for number, known in enumerate(case.spec.old.slots)
            if old.find_offset(number) <= offset or known.name in names[:slot]
        ]
        if new.find_share(slot) > max(before, default=0.0) + _LEAST_PART:
            found.append(slot)
    return found


def explain(case: Case, misses: Misses) -> tuple[str, ...]:
    """What makes the difference between the two sides of a prompt."""
    return tuple(_explain(case, misses))


def _explain(case: Case, misses: Misses) -> Iterator[str]:
    spec = case.spec
    if spec.old is None or not spec.is_changed:
        yield f"{spec.file}: as in the log; nothing changes"
        return
    culprits = find_culprits(case)
    below = _find_below(case, misses) if case.cache_fell and not culprits else 0
    for slot in culprits[:1]:
        yield _tell_breaker(case, slot)
    for slot in culprits[1:]:
        named = spec.template.slots[slot]
        yield f"{spec.file}:{named.line}: {{{named.name}}} {_tell_rate(case.uses.new, slot)} too"
    if below:
        yield (
            f"{spec.file}: what {below:,} requests share is shorter than the provider's minimum of "
            f"{misses.find_minimum(case.uses.rows):,} tokens: it is not cached"
            f" ({_tell_shares(case)})"
        )
    if case.cache_fell and not culprits and not below:
        yield from _tell_causes(case, misses)
    if case.cache_rose:
        yield f"{spec.file}: more of the prompt is the same in all requests ({_tell_shares(case)})"
    yield from _tell_text(case)


def _tell_breaker(case: Case, slot: int) -> str:
    spec, new = case.spec, case.uses.new
    named = spec.template.slots[slot]
    known = [one.name for one in spec.old.slots] if spec.old else []
    moved = " stands further in front than before and" if named.name in known else ""
    place = _MESSAGE.get(spec.role, "the user's message")
    return (
        f"{spec.file}:{named.line}: {{{named.name}}}{moved} {_tell_rate(new, slot)}: everything "
        f"behind character {new.find_offset(slot):,.0f} of {place} can no longer be read from the "
        f"cache ({_tell_shares(case)})"
    )


def _tell_rate(counts: SlotCounts, slot: int) -> str:
    values = len(counts.values[slot])
    if values == counts.uses:
        return "changes with every request"
    return f"has {values:,} values in {counts.uses:,} requests"


def _tell_shares(case: Case) -> str:
    return f"cached share {case.base.cached_share:.1%} -> {case.head.cached_share:.1%}"


def _find_below(case: Case, misses: Misses) -> int:
    """How many more requests share less than the minimum, if that is a good part of them."""
    base, head = misses.list_of(case.uses.rows)
    more = sum(one.cause == "below_minimum" for one in head)
    more -= sum(one.cause == "below_minimum" for one in base)
    return more if more >= max(_LEAST_PART * len(case.uses.rows), 1) else 0


def _tell_causes(case: Case, misses: Misses) -> Iterator[str]:
    """The cause of misses that most requests have now and had not before."""
    base, head = misses.list_of(case.uses.rows)
    more: Counter[Cause] = Counter(one.cause for one in head)
    more.subtract(one.cause for one in base)
    cause, count = max(more.items(), key=lambda item: item[1], default=("not_held", 0))
    if count < max(_LEAST_PART * len(case.uses.rows), 1):
        yield f"{case.spec.file}: less of the prompt is cached ({_tell_shares(case)})"
        return
    example = next(one for one in head if one.cause == cause)
    where = example.divergence
    shown = ""
    if where is not None:
        shown = f", such as at character {where.character:,} of message {where.message}"
    named = f"{CAUSES[cause]}: {count:,} more requests{shown}"
    yield f"{case.spec.file}: {named} ({_tell_shares(case)})"


def _tell_text(case: Case) -> Iterator[str]:
    grown = case.head.tokens_per_request - case.base.tokens_per_request
    if abs(grown) < _LEAST_TOKENS:
        return
    assert case.spec.old is not None
    lines = _find_lines(case.spec.old, case.spec.template) if grown > 0 else ""
    yield f"{case.spec.file}{lines}: {grown:+,.0f} tokens of text a request"


def _find_lines(old: Template, new: Template) -> str:
    """Where the new lines stand, as ":12-30,41", if they are in few places."""
    before, after = (_write(one).split("\n") for one in (old, new))
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    blocks = [
        (start, end)
        for kind, _, _, start, end in matcher.get_opcodes()
        if kind in ("insert", "replace")
    ]
    if not 0 < len(blocks) <= _MOST_PLACES:
        return ""
    return f":{','.join(_name_lines(*block, new.first_line) for block in blocks)}"


def _name_lines(start: int, end: int, first_line: int) -> str:
    """Lines by their numbers in the file."""
    first, last = start + first_line, end - 1 + first_line
    return str(first) if first == last else f"{first}-{last}"


def _write(template: Template) -> str:
    return template.render([f"{{{slot.name}}}" for slot in template.slots])
