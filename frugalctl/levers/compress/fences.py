"""The marker lines of code fences: they stay, but for those of an exemplar that goes whole."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from frugalctl.levers.compress.pieces import Part, Piece, Segment


@dataclass(frozen=True, slots=True)
class Fenced:
    """An exemplar with fences.

    Attributes:
        start: offset of the first character.
        end: offset after the last.
        markers: indices of the segments that are marker lines.
    """

    start: int
    end: int
    markers: tuple[int, ...]


def find_fenced(text: str, segments: Sequence[Segment]) -> list[Fenced]:
    """The exemplars with fences, in order."""
    shots: dict[int, list[int]] = {}
    for at, segment in enumerate(segments):
        if segment.kind == "exemplar" and segment.group >= 0:
            shots.setdefault(segment.group, []).append(at)
    found: list[Fenced] = []
    for members in shots.values():
        markers = tuple(at for at in members if is_marker(text, segments[at]))
        if markers:
            found.append(Fenced(segments[members[0]].start, segments[members[-1]].end, markers))
    return found


def find_emptied(part: Part, pieces: Sequence[Piece]) -> list[tuple[int, int]]:
    """The bounds of the exemplars with fences that are gone, in order."""
    starts = [piece.start for piece in pieces]
    gone: list[tuple[int, int]] = []
    for one in find_fenced(part.text, part.segments):
        first = max(bisect_right(starts, one.start) - 1, 0)
        after = bisect_left(starts, one.end)
        if not any(piece.text.strip() for piece in pieces[first:after] if piece.end > one.start):
            gone.append((one.start, one.end))
    return gone


def is_marker(text: str, segment: Segment) -> bool:
    """Whether a segment is a line that opens or closes a fence."""
    head = text[segment.start : min(segment.end, segment.start + 80)].lstrip(" \t\r\n>")
    return segment.locked and head.startswith(("```", "~~~"))
