"""What is kept of a prompt so far, and what more would cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from frugalctl.levers.compress.assemble import join_kept
from frugalctl.levers.compress.frames import Frames
from frugalctl.levers.compress.pieces import CompressedPart, Part, Span
from frugalctl.levers.compress.protect import ALWAYS
from frugalctl.levers.compress.segments_orders import is_directive
from frugalctl.levers.compress.units import Atom, cut_atoms
from frugalctl.tokens import count_each

Count = Callable[[str], int]

_MAX_MESSAGE_CHARS = 1500


@dataclass(slots=True)
class Choice:
    """What is kept so far, of the atoms of all parts in one row.

    Attributes:
        atoms: of each part.
        flat: of all parts.
        kept: of each in `flat`.
        costs: tokens of each that is free or a frame, with the white space before it.
        frames: which of them stay with what is kept.
        tokens: of all that is kept, as measured last.
    """

    atoms: list[list[Atom]]
    flat: list[Atom]
    kept: list[bool]
    costs: list[int]
    frames: Frames
    tokens: int = 0

    def price(self, bundle: Sequence[int]) -> int:
        """What keeping these would add, about; frames included that would come with them."""
        tokens = sum(self.costs[at] for at in bundle)
        return tokens + sum(self.costs[at] for at in self.frames.list_new(bundle))

    def keep(self, bundle: Sequence[int], stays: bool = True) -> None:
        """Keep or drop these, and the frames around them with the first or last of them."""
        self.frames.change(self.kept, bundle, stays)

    def measure(self, count: Count) -> int:
        """Count the tokens of what is kept, exactly."""
        start = self.tokens = 0
        for atoms in self.atoms:
            self.tokens += count(join_kept(atoms, self.kept[start : start + len(atoms)]))
            start += len(atoms)
        return self.tokens


def start_choice(
    parts: Sequence[CompressedPart], model: str, longest_function: int | None
) -> Choice:
    """What has to stay, and the price of the rest.

    Args:
        parts: what earlier tiers made of them.
        model: whose tokens are counted.
        longest_function: a Python function of more characters is cut into its statements.
    """
    atoms = [
        _pin_orders(part.part, row)
        for part, row in zip(parts, cut_atoms(parts, _is_pinned, longest_function), strict=True)
    ]
    flat = [atom for row in atoms for atom in row]
    frames = Frames(flat)
    kept = frames.start()
    tokens = [each for row in atoms for each in count_each([one.text for one in row], model)]
    costs = [0] * len(flat)
    gap_tokens = 0
    for at, atom in enumerate(flat):
        if atom.role == "gap":
            gap_tokens = tokens[at]
            continue
        if atom.role in ("free", "frame") and not kept[at]:
            costs[at] = gap_tokens + tokens[at] if atom.text else 0
        gap_tokens = 0
    return Choice(atoms, flat, kept, costs, frames)


def _pin_orders(part: Part, atoms: list[Atom]) -> list[Atom]:
    """What a user's message says of how to answer holds for those that follow, too."""
    if part.role not in ("user", "human") or len(part.text) > _MAX_MESSAGE_CHARS:
        return atoms
    return [
        replace(atom, role="fixed")
        if atom.role == "free" and atom.kind in ("prose", "document") and is_directive(atom.text)
        else atom
        for atom in atoms
    ]


def _is_pinned(span: Span) -> bool:
    return span.reason in ALWAYS
