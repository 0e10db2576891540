"""Why a change of a prompt costs what it costs: in words, by line of the template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from frugalctl.levers.prompt_cache.blame import find_misses
from frugalctl.replay.templates.parse import Template
from frugalctl.replay.templates.scan import PromptUses, SlotCounts
from frugalctl.replay.templates.spec import PromptSpec
from frugalctl.report.prompt_change_model import PromptSide
from frugalctl.report.prompt_change_side import Priced, Sent

LEAST_SHIFT = 0.01
"""A cached share that differs by less counts as the same."""
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
        return self.head.cached_share < self.base.cached_share - LEAST_SHIFT

    @property
    def cache_rose(self) -> bool:
        """Whether clearly more is."""
        return self.head.cached_share > self.base.cached_share + LEAST_SHIFT


@dataclass(frozen=True, slots=True)
class Below:
    """Requests that share less than the provider caches.

    Attributes:
        requests: how many more than before the change.
        min_tokens: the shortest prefix that their caches take.
    """

    requests: int
    min_tokens: int


def find_below(case: Case, base: Priced, head: Priced) -> Below | None:
    """The requests that share less than the minimum now, if they are a good part of all."""
    rows = set(case.uses.rows)
    more = _count_below(head.sent, rows) - _count_below(base.sent, rows)
    if more < max(_LEAST_PART * len(rows), 1):
        return None
    sent = head.sent
    models: list[int] = np.unique(sent.log.prompts.models[np.isin(sent.rows, list(rows))]).tolist()
    rules = [sent.planned.rules[model] for model in models]
    least = max((max(one.min_tokens, one.step_tokens) for one in rules if one), default=0)
    return Below(more, least)


def _count_below(sent: Sent, rows: set[int]) -> int:
    reads = sent.planned.simulation.counted.read_tokens
    blame = find_misses(sent.log.prompts, sent.log.sessions, reads, sent.planned.rules)
    numbers = sent.rows.tolist()
    return sum(miss.cause == "below_minimum" and numbers[miss.row] in rows for miss in blame.misses)


def explain(case: Case, culprits: Sequence[int], below: Below | None) -> tuple[str, ...]:
    """What makes the difference between the two sides of a prompt.

    Args:
        case: the prompt.
        culprits: the slots that were found to keep its text from being read.
        below: what became too short to be cached.
    """
    if not case.spec.is_changed:
        return (f"{case.spec.file}: as in the log; nothing changes",)
    found = (*_tell_cache(case, culprits, below), *_tell_text(case))
    return found or (f"{case.spec.file}: other text; as many tokens, as much of them cached",)


def _tell_cache(case: Case, culprits: Sequence[int], below: Below | None) -> Iterator[str]:
    file = case.spec.file
    for slot in culprits[:1]:
        yield _tell_breaker(case, slot)
    for slot in culprits[1:]:
        named = case.spec.template.slots[slot]
        yield f"{file}:{named.line}: {{{named.name}}} {_tell_rate(case.uses.new, slot)} too"
    if below:
        yield (
            f"{file}: what {below.requests:,} requests share is shorter than the provider's "
            f"minimum of {below.min_tokens:,} tokens: it is not cached ({_tell_shares(case)})"
        )
    elif case.cache_fell and not culprits:
        yield f"{file}: a smaller share of the input is cached ({_tell_shares(case)})"
    elif case.cache_rose:
        yield f"{file}: a larger share of the input is cached ({_tell_shares(case)})"


def _tell_breaker(case: Case, slot: int) -> str:
    spec, new = case.spec, case.uses.new
    named = spec.template.slots[slot]
    known = {one.name for one in spec.old.slots} if spec.old else set[str]()
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


def _tell_text(case: Case) -> Iterator[str]:
    grown = case.head.tokens_per_request - case.base.tokens_per_request
    if abs(grown) < _LEAST_TOKENS:
        return
    assert case.spec.old is not None
    lines = _find_lines(case.spec.old, case.spec.template) if grown > 0 else ""
    yield f"{case.spec.file}{lines}: {grown:+,.0f} tokens of text a request"


def _find_lines(old: Template, new: Template) -> str:
    """Where the new lines stand, as ":12-30,41", if they are in few places."""
    before, after = (write_template(one).split("\n") for one in (old, new))
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


def write_template(template: Template) -> str:
    """A template with its placeholders as `{name}`."""
    return template.render([f"{{{slot.name}}}" for slot in template.slots])
