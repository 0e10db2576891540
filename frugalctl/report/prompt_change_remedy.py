"""Which placeholders keep a prompt from being read from the cache, and where they had better stand.

A placeholder is blamed if it was put in, or further in front, and if the reads come back once it
is moved away: each attempt is simulated and priced.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from frugalctl.replay.templates.move import move_slots
from frugalctl.replay.templates.parse import Template
from frugalctl.replay.templates.rewrite import Render
from frugalctl.report.prompt_change_model import PromptSide, Remedy
from frugalctl.report.prompt_change_why import LEAST_SHIFT, Case, write_template

_LEAST_BACK = 0.5

Attempt = Callable[[Render], PromptSide]
"""What a prompt's requests take if it is rendered otherwise."""


def find_culprits(case: Case, attempt: Attempt) -> tuple[list[int], list[Remedy]]:
    """The slots without which most of the lost reads come back, and what it takes to do without.

    Of several, only those are kept that make a difference.

    Args:
        case: the prompt.
        attempt: renders it otherwise.

    Returns:
        Slots, those that change most often first, and the attempts; neither where nothing helps.
    """
    slots = _list_suspects(case)
    if not slots:
        return [], []
    remedies = _move(case, slots, attempt)
    best, head = _find_best(remedies), case.head.cached_share
    if best - head < _LEAST_BACK * (case.base.cached_share - head):
        return [], []
    for slot in slots[::-1]:
        fewer = [one for one in slots if one != slot]
        tried = _move(case, fewer, attempt) if fewer else []
        if tried and _find_best(tried) > best - LEAST_SHIFT:
            slots, remedies = fewer, tried
    return slots, remedies


def choose_remedy(case: Case, remedies: Sequence[Remedy]) -> Remedy | None:
    """The cheapest that helps at all; the first one where another is hardly cheaper."""
    best: Remedy | None = None
    for one in remedies:
        helps = _is_cheaper(one.side, case.head, 0.005)
        if helps and (best is None or _is_cheaper(one.side, best.side, 0.02)):
            best = one
    return best


def _find_best(remedies: Sequence[Remedy]) -> float:
    return max((one.side.cached_share for one in remedies), default=0.0)


def _move(case: Case, slots: Sequence[int], attempt: Attempt) -> list[Remedy]:
    """Slots at the end of the prompt, and behind all messages."""
    moved = move_slots(case.spec.template, slots)
    renders = {f"at the end of {case.spec.file}": Render(moved.join())}
    if case.spec.role != "user":
        renders["as a last message"] = Render(moved.kept, moved.moved)
    what = tuple(dict.fromkeys(slot.name for slot in moved.moved.slots))
    return [Remedy(what, place, attempt(render)) for place, render in renders.items()]


def _is_cheaper(side: PromptSide, other: PromptSide, by: float) -> bool:
    if side.cost_usd is None or other.cost_usd is None:
        return False
    return side.cost_usd < other.cost_usd * (1 - by)


def _list_suspects(case: Case) -> list[int]:
    """What changes, and is new or stands further in front; what changes most often first."""
    if not case.cache_fell or case.spec.old is None:
        return []
    new = case.uses.new
    names = [slot.name for slot in case.spec.template.slots]
    found = [
        slot
        for slot, name in enumerate(names)
        if name not in names[:slot] and new.find_share(slot) > 0 and _came_forward(case, slot)
    ]
    return sorted(found, key=lambda slot: -new.find_share(slot))


def _came_forward(case: Case, slot: int) -> bool:
    """Whether a slot is new, or something that stood in front of it stands behind it now."""
    template, old = case.spec.template, case.spec.old
    assert old is not None
    before = next((at for at, o in enumerate(old.slots) if o.name == template.slots[slot].name), -1)
    if before < 0:
        return True
    old_front, old_behind = _halve(old, before)
    _, behind = _halve(template, slot)
    is_nearer = case.uses.new.find_offset(slot) < case.uses.old.find_offset(before)
    return is_nearer and bool((behind - old_behind) & old_front)


def _halve(template: Template, slot: int) -> Iterator[Counter[str]]:
    """The words in front of a slot, and those behind it."""
    cut = slot + 1
    front = Template(template.texts[:cut], template.slots[:slot])
    behind = Template(template.texts[cut:], template.slots[cut:])
    return (Counter(write_template(one).split()) for one in (front, behind))
