"""Frames come and go with the units that they stand around."""

from __future__ import annotations

from collections.abc import Sequence

from frugalctl.levers.compress.units import Atom


class Frames:
    """Which frames stay: those of a scope of which any other atom is kept.

    Args:
        atoms: of all parts, in one row.
    """

    def __init__(self, atoms: Sequence[Atom]) -> None:
        self._atoms = atoms
        self._waiting: dict[int, list[int]] = {}
        self._opened: dict[int, int] = {}
        for at, atom in enumerate(atoms):
            if atom.role == "frame":
                self._waiting.setdefault(atom.scopes[0], []).append(at)
        if self._waiting:
            self._open()

    def _open(self) -> None:
        """Open the scopes of what stays, and those that nothing can be dropped of."""
        with_units: set[int] = set()
        for atom in self._atoms:
            if atom.role == "free" and atom.text:
                with_units.update(atom.scopes)
            elif atom.role == "fixed":
                for scope in self._find_own(atom):
                    self._opened[scope] = self._opened.get(scope, 0) + 1
        for scope in self._waiting.keys() - with_units:
            self._opened[scope] = self._opened.get(scope, 0) + 1

    def start(self) -> list[bool]:
        """Of each atom, whether it is kept when no free one is."""
        return [
            atom.role == "fixed" or (atom.role == "frame" and atom.scopes[0] in self._opened)
            for atom in self._atoms
        ]

    def list_new(self, places: Sequence[int]) -> Sequence[int]:
        """The frames that would come with these atoms."""
        if not self._waiting:
            return ()
        scopes = {scope for at in places for scope in self._find_own(self._atoms[at])}
        scopes = sorted(scope for scope in scopes if not self._opened.get(scope))
        return [at for scope in scopes for at in self._waiting[scope]]

    def change(self, kept: list[bool], places: Sequence[int], stays: bool) -> None:
        """Keep or drop these atoms, which were not or were kept, and frames with them."""
        for at in places:
            kept[at] = stays
            for scope in self._find_own(self._atoms[at]):
                opened = self._opened.get(scope, 0)
                self._opened[scope] = opened + (1 if stays else -1)
                if not opened or not self._opened[scope]:
                    for frame in self._waiting[scope]:
                        kept[frame] = stays

    def _find_own(self, atom: Atom) -> list[int]:
        return [scope for scope in atom.scopes if scope in self._waiting]
