"""Parts cut into atoms: units that are kept or dropped whole, and what stands around them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, count, pairwise
from typing import Literal

from frugalctl.levers.compress.pieces import CompressedPart, Kind, Part, Piece, Segment, Span
from frugalctl.levers.compress.runs import REPEAT
from frugalctl.levers.compress.sentences import find_starts, is_dialogue
from frugalctl.levers.compress.structural_records import RECORDS

Role = Literal["free", "fixed", "frame", "gap", "reference"]
_FIXED_KINDS: tuple[Kind, ...] = ("instruction", "question", "tool_call")
_STRENGTH: tuple[Role, ...] = ("fixed", "reference", "free", "frame", "gap")
# What is inserted there says more of what stands before it: the counts of log lines.
_TOLD_AFTER: tuple[Kind, ...] = ("log", "code")
_FRAME_ENDS = " \t)]>\"'*:_|"


@dataclass(frozen=True, slots=True)
class Atom:
    """Neighbouring pieces of a part that are kept or dropped together.

    Attributes:
        part: number of the part.
        pieces: what it is made of.
        text: what they have become, joined.
        role: "free" may be dropped, "fixed" may not; a "frame" (title, header of a table) is
            kept with any free atom of its block; a "gap" is white space, kept between others; a
            "reference" to a block above says nothing by itself.
        block: number of the document, paragraph or other segment that it is in.
        kind: of its segment.
        title: of its document.
        in_dialogue: whether it is a turn.
    """

    part: int
    pieces: tuple[Piece, ...]
    text: str
    role: Role
    block: int
    kind: Kind
    title: str = ""
    in_dialogue: bool = False


@dataclass(frozen=True, slots=True)
class _Range:
    start: int
    end: int
    role: Role
    block: int
    segment: Segment
    in_dialogue: bool = False


def cut_atoms(
    parts: Sequence[CompressedPart], is_pinned: Callable[[Span], bool]
) -> list[list[Atom]]:
    """The atoms of each part, which cover it in order; blocks are numbered over all parts.

    Args:
        parts: what earlier tiers made of them.
        is_pinned: whether a protected span may not go even with the whole of its sentence.
    """
    blocks = count()
    atoms: list[list[Atom]] = []
    for number, part in enumerate(parts):
        ranges = list(_cut_part(part, blocks))
        pinned = [span for span in part.part.protected if is_pinned(span)]
        atoms.append(list(_fill(number, part, ranges, pinned)))
    return atoms


def _cut_part(part: CompressedPart, blocks: Iterator[int]) -> Iterator[_Range]:
    text = part.part.text
    segments = part.part.segments or (Segment(0, len(text), "prose"),)
    rows, lines = _find_rows(part.pieces), _find_lines(part.pieces)
    before: Segment | None = None
    block = -1
    for segment in segments:
        if before is None or not _belong_together(before, segment):
            block = next(blocks)
        before = segment
        if segment.locked or segment.kind in _FIXED_KINDS:
            yield _Range(segment.start, segment.end, "fixed", block, segment)
            continue
        starts = find_starts(text[segment.start : segment.end], segment.kind)
        starts = [segment.start + at for at in starts]
        header_end = 0
        if segment.kind == "json":
            added = _within(rows, segment)
            starts, header_end = sorted({*starts, *added}), added[1] if len(added) > 1 else 0
        elif segment.kind == "html":
            starts = sorted({*starts, *_within(lines, segment)})
        for item in _cut_segment(part.part, segment, starts, block, header_end):
            yield item
            if segment.kind == "prose" and item.role == "gap" and _is_blank(text, item):
                block = next(blocks)


def _cut_segment(
    part: Part, segment: Segment, starts: list[int], block: int, header_end: int
) -> Iterator[_Range]:
    """Gaps, frames and units, in turn."""
    text = part.text
    if not starts:
        yield _Range(segment.start, segment.end, "gap", block, segment)
        return
    in_dialogue = segment.kind in ("prose", "document") and is_dialogue(
        text[segment.start : segment.end]
    )
    frame_end = header_end or _find_frame_end(text, segment, starts)
    starts = sorted({*starts, frame_end} - {segment.end}) if frame_end else starts
    if starts[0] > segment.start:
        yield _Range(segment.start, starts[0], "gap", block, segment)
    for start, following in pairwise([*starts, segment.end]):
        end = start + len(text[start:following].rstrip())
        role: Role = "frame" if following <= frame_end else "free"
        yield _Range(start, end, role, block, segment, in_dialogue)
        if end < following:
            yield _Range(end, following, "gap", block, segment)


def _is_blank(text: str, item: _Range) -> bool:
    return text.count("\n", item.start, item.end) > 1


def _find_frame_end(text: str, segment: Segment, starts: Sequence[int]) -> int:
    """Where the title of a document or the header of a table ends; 0 where there is none."""
    if segment.kind == "table":
        rows = [text[at : segment.end].split("\n", 1)[0] for at in starts[:2]]
        ruled = len(rows) > 1 and rows[1] and not rows[1].strip("|-: \t\r")
        return starts[min(2 if ruled else 1, len(starts) - 1)] if len(starts) > 1 else 0
    if not segment.title:
        return 0
    line_end = text.find("\n", starts[0], segment.end)
    line_end = segment.end if line_end < 0 else line_end
    found = text.find(segment.title, starts[0], line_end)
    if found < 0:
        return 0
    end = found + len(segment.title)
    while end < line_end and text[end] in _FRAME_ENDS:
        end += 1
    while end < segment.end and text[end].isspace():
        end += 1
    return end


def _fill(
    number: int, part: CompressedPart, ranges: Sequence[_Range], pinned: Sequence[Span]
) -> Iterator[Atom]:
    """The pieces of each range, cut at its borders; something inserted at a border is a frame."""
    ranges = list(_merge(ranges, part))
    pinned_ends = [span.end for span in pinned]
    at, waiting = 0, list[Piece]()
    for piece in _split(part.pieces, [item.start for item in ranges]):
        inserted = piece.start == piece.end
        if inserted and waiting and ranges[at].segment.kind in _TOLD_AFTER:
            waiting.append(piece)
            continue
        while at < len(ranges) - 1 and piece.start >= ranges[at].end:
            if waiting:
                yield _make_atom(number, ranges[at], waiting, pinned, pinned_ends)
            at, waiting = at + 1, []
        if inserted and piece.start in (ranges[at].start, ranges[at].end):
            if waiting:
                yield _make_atom(number, ranges[at], waiting, pinned, pinned_ends)
            role: Role = "gap" if piece.text.isspace() else "frame"
            yield _make_atom(number, replace(ranges[at], role=role), [piece], (), ())
            waiting = []
        else:
            waiting.append(piece)
    if waiting:
        yield _make_atom(number, ranges[at], waiting, pinned, pinned_ends)


def _make_atom(
    number: int,
    item: _Range,
    pieces: Sequence[Piece],
    pinned: Sequence[Span],
    pinned_ends: Sequence[int],
) -> Atom:
    at = bisect_right(pinned_ends, pieces[0].start)
    role = item.role
    if at < len(pinned) and pinned[at].start < pieces[-1].end:
        role = "fixed"
    elif role != "fixed" and any(piece.reason == REPEAT for piece in pieces):
        role = "reference"
    return Atom(
        part=number,
        pieces=tuple(pieces),
        text="".join(piece.text for piece in pieces),
        role=role,
        block=item.block,
        kind=item.segment.kind,
        title=item.segment.title,
        in_dialogue=item.in_dialogue,
    )


def _merge(ranges: Sequence[_Range], part: CompressedPart) -> Iterator[_Range]:
    """The ranges without the borders that a replaced text or a protected span has swallowed."""
    replaced = [piece for piece in part.pieces if _is_replaced(piece, part.part.text)]
    whole = sorted([(one.start, one.end) for one in (*replaced, *part.part.protected)])
    starts = [start for start, _ in whole]
    reached = list(accumulate((end for _, end in whole), max))
    last: _Range | None = None
    for item in ranges:
        found = bisect_left(starts, item.start) - 1
        if last is not None and found >= 0 and reached[found] > item.start:
            role = min(last.role, item.role, key=_STRENGTH.index)
            last = replace(last, end=item.end, role=role)
            continue
        if last is not None:
            yield last
        last = item
    if last is not None:
        yield last


def _split(pieces: Sequence[Piece], borders: Sequence[int]) -> Iterator[Piece]:
    """Pieces cut at the borders within them; those of replaced texts have none."""
    for piece in pieces:
        inside = borders[bisect_right(borders, piece.start) : bisect_left(borders, piece.end)]
        if not inside:
            yield piece
            continue
        for start, end in pairwise([piece.start, *inside, piece.end]):
            text = piece.text[start - piece.start : end - piece.start]
            yield Piece(start, end, text, piece.reason, piece.score)


def _is_replaced(piece: Piece, text: str) -> bool:
    size = piece.end - piece.start
    return size > 0 and (len(piece.text) != size or not text.startswith(piece.text, piece.start))


def _belong_together(before: Segment, after: Segment) -> bool:
    return after.group >= 0 and (before.group, before.kind) == (after.group, after.kind)


def _find_rows(pieces: Sequence[Piece]) -> list[int]:
    """Where the header and the rows begin that stand for JSON records."""
    return [piece.start for piece in pieces if piece.reason == RECORDS and piece.text]


def _find_lines(pieces: Sequence[Piece]) -> list[int]:
    """Where lines begin in what stands for HTML."""
    spoken = [piece for piece in pieces if piece.text]
    return [
        after.start
        for before, after in pairwise(spoken)
        if before.text.endswith("\n") or after.text.startswith("\n")
    ]


def _within(starts: Sequence[int], segment: Segment) -> Sequence[int]:
    return starts[bisect_left(starts, segment.start) : bisect_left(starts, segment.end)]
