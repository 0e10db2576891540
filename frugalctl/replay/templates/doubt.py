"""Whether the log has a placeholder's values, or text that a new placeholder takes the place of.

A new template may fit a log that was rendered with another one: a {request_id} fits whatever stands
there, also a name that is the same in all requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from frugalctl.replay.templates.parse import Slot, Template
from frugalctl.replay.templates.spec import INFERRED, PromptSpec
from frugalctl.replay.templates.values import Facts, hash_texts, is_often_enough, make_sign


@dataclass(slots=True)
class Signs:
    """How often the values in the slots of a template change, and how often they should.

    Attributes:
        values: of each slot, hashes of its values.
        expected: of each slot, hashes of what differs wherever values of its kind do.
        uses: how many texts there were.
    """

    values: list[set[int]]
    expected: list[set[int]]
    uses: int = 0

    @staticmethod
    def of(template: Template) -> Signs:
        """Nothing so far."""
        return Signs([set() for _ in template.slots], [set() for _ in template.slots])

    def add(
        self, spec: PromptSpec, template: Template, values: Sequence[str], facts: Facts
    ) -> None:
        """Note one more text."""
        self.uses += 1
        for number, (slot, value) in enumerate(zip(template.slots, values, strict=True)):
            self.values[number].add(hash_texts(value))
            sign = make_sign(spec, slot.name, facts, value) if slot.name else None
            if sign is not None:
                self.expected[number].add(hash_texts(sign))

    def has_values(self, spec: PromptSpec, number: int, name: str) -> bool:
        """Whether what stands in a slot changes as values of that name do."""
        values, expected = len(self.values[number]), len(self.expected[number])
        return is_often_enough(spec, name, values, expected)


def settle(spec: PromptSpec, old: Signs, current: Signs) -> PromptSpec:
    """The prompt, with an old template in which what is no value has no name.

    Args:
        spec: a prompt whose old template is unknown, or worked out from the log.
        old: of the requests that match the old template.
        current: of those that match the new one.
    """
    if spec.old is not None:
        spec = replace(spec, old=_unname(spec, spec.old, old))
    unnamed = _unname(spec, spec.template, current)
    if unnamed != spec.template and current.uses >= old.uses:
        spec = replace(spec, old=unnamed, old_from=INFERRED)
    return spec


def _unname(spec: PromptSpec, template: Template, signs: Signs) -> Template:
    slots = tuple(
        slot if signs.has_values(spec, number, slot.name) else Slot("", slot.line)
        for number, slot in enumerate(template.slots)
    )
    return replace(template, slots=slots)


def remark_values(
    spec: PromptSpec, settled: PromptSpec, template: Template, signs: Signs
) -> Iterator[str]:
    """What a reader should know of how the slots of a template were read.

    Args:
        spec: the prompt.
        settled: the same after `settle`.
        template: its old template, or the new one.
        signs: of the template.
    """
    if not signs.uses:
        return
    after = settled.old if settled.old and settled.old.texts == template.texts else template
    lines = {slot.name: slot.line for slot in reversed(spec.template.slots)}
    for number, slot in enumerate(template.slots):
        count = len(signs.values[number])
        where = f"{spec.file}:{lines.get(slot.name, 1)}: {{{slot.name}}}"
        several = f"{count:,} values" if count > 1 else "one value"
        if slot.name != after.slots[number].name:
            yield (
                f"{where} has {several} in {signs.uses:,} requests of the log: taken for text that "
                "it takes the place of; if not, name the old templates (--base)"
            )
        elif slot.name and count == 1 and signs.uses > 1:
            yield (
                f"{where} has one value in all {signs.uses:,} requests of the log: taken for its "
                "own; if it takes the place of text, name the old templates (--base)"
            )


def remark_lookalikes(spec: PromptSpec, is_current: bool) -> Iterator[str]:
    """What looks like a placeholder, and is text that the log does not show to be text.

    Args:
        spec: the prompt.
        is_current: whether the log has the new template.
    """
    known = "\0".join(spec.old.texts) if spec.old is not None else ""
    found = [slot for slot in spec.template.lookalikes if not is_current and slot.name not in known]
    if found:
        shown = ", ".join(f"{slot.name} in line {slot.line}" for slot in found[1:3])
        more = f" (so do {shown})" if shown else ""
        yield (
            f"{spec.file}:{found[0].line}: {found[0].name} looks like a placeholder, but is text"
            f"{more}"
        )
