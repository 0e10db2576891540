"""A template with what changes moved to its end, or behind the whole prompt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from frugalctl.replay.templates.parse import Template


@dataclass(frozen=True, slots=True)
class Moved:
    """A template cut in two.

    Attributes:
        kept: what stays.
        moved: the lines, or the values, that are to stand elsewhere.
    """

    kept: Template
    moved: Template

    def join(self) -> Template:
        """What moved, behind what stays."""
        return join_templates(self.kept, self.moved)


def move_slots(template: Template, numbers: Iterable[int]) -> Moved:
    """Take slots out of a template: a line that holds no other slot as a whole, else the value."""
    kept, moved = template, Template(("",), ())
    for number in sorted(numbers, reverse=True):
        kept, part = _take_out(kept, number)
        moved = join_templates(part, moved) if moved.slots else part
    return Moved(kept, moved)


def join_templates(one: Template, other: Template) -> Template:
    """One template, and another on a line of its own behind it."""
    seam = f"{one.texts[-1]}\n{other.texts[0]}"
    texts = (*one.texts[:-1], seam, *other.texts[1:])
    return Template(texts, one.slots + other.slots, one.first_line)


def _take_out(template: Template, number: int) -> tuple[Template, Template]:
    before, after = template.texts[number], template.texts[number + 1]
    start, end = before.rfind("\n") + 1, after.find("\n")
    first, last = number == 0, number == len(template.slots) - 1
    whole = (start > 0 or first) and (end >= 0 or last) and "\n" in f"{before}{after}"
    if not whole:
        start, end = len(before), 0
    elif end < 0:
        end = len(after)
    rest = after[end:].removeprefix("\n") if whole else after[end:]
    part = Template((before[start:], after[:end]), (template.slots[number],))
    texts = (*template.texts[:number], before[:start] + rest, *template.texts[number + 2 :])
    slots = template.slots[:number] + template.slots[number + 1 :]
    return Template(_strip_ends(texts), slots, template.first_line), part


def _strip_ends(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Without white space at the ends, as a template is read."""
    if len(texts) == 1:
        return (texts[0].strip(),)
    return (texts[0].lstrip(), *texts[1:-1], texts[-1].rstrip())
