"""Parts cut into atoms: units that are kept or dropped whole, and what stands around them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, count, pairwise
from typing import Literal

from frugalctl.levers.compress.labels import is_bold_line
from frugalctl.levers.compress.outline import Place, place_segments
from frugalctl.levers.compress.pieces import CompressedPart, Kind, Piece, Segment, Span
from frugalctl.levers.compress.runs import REPEAT
from frugalctl.levers.compress.sentences import find_starts, is_dialogue
from frugalctl.levers.compress.statements import Statement, cut_statements
from frugalctl.levers.compress.structural_records import RECORDS

Role = Literal["free", "fixed", "frame", "gap", "reference"]
_FIXED_KINDS: tuple[Kind, ...] = ("instruction", "question", "tool_call")
_STRENGTH: tuple[Role, ...] = ("fixed", "reference", "free", "frame", "gap")
# What is inserted there says more of what stands before it: the counts of log lines.
_TOLD_AFTER: tuple[Kind, ...] = ("log", "code")


@dataclass(frozen=True, slots=True)
class Atom:
    """Neighbouring pieces of a part that are kept or dropped together.

    Attributes:
        part: number of the part.
        pieces: what it is made of.
        text: what they have become, joined.
        role: "free" may be dropped, "fixed" may not; a "frame" (title, header of a table) is
            kept with any atom of its scope; a "gap" is white space, kept between others; a
            "reference" to a block above says nothing by itself.
        block: number of the document, paragraph or other segment that it is in.
        kind: of its segment.
        title: of its document, or of the class or function that it is in.
        in_dialogue: whether it is a turn.
        segment: offset of its segment.
        scopes: of a frame, the one that it waits for; of the rest, all that it keeps alive.
    """

    part: int
    pieces: tuple[Piece, ...]
    text: str
    role: Role
    block: int
    kind: Kind
    title: str = ""
    in_dialogue: bool = False
    segment: int = 0
    scopes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Range:
    start: int
    end: int
    role: Role
    block: int
    segment: Segment
    scopes: tuple[int, ...]
    title: str = ""
    in_dialogue: bool = False
    is_marker: bool = False


def cut_atoms(
    parts: Sequence[CompressedPart],
    is_pinned: Callable[[Span], bool],
    longest_function: int | None = None,
) -> list[list[Atom]]:
    """The atoms of each part, which cover it in order; blocks are numbered over all parts.

    Args:
        parts: what earlier tiers made of them.
        is_pinned: whether a protected span may not go even with the whole of its sentence.
        longest_function: a Python function of more characters is cut into its statements.
    """
    numbers = count()
    atoms: list[list[Atom]] = []
    for number, part in enumerate(parts):
        ranges = list(_cut_part(part, numbers, longest_function))
        pinned = [span for span in part.part.protected if is_pinned(span)]
        atoms.append(list(_fill(number, part, ranges, pinned)))
    return atoms


def _cut_part(
    part: CompressedPart, numbers: Iterator[int], longest_function: int | None
) -> Iterator[_Range]:
    text = part.part.text
    segments = part.part.segments or (Segment(0, len(text), "prose"),)
    added = _find_rows(part.pieces), _find_lines(part.pieces)
    for segment, place in zip(segments, place_segments(text, segments, numbers), strict=True):
        base = _Range(
            segment.start,
            segment.end,
            "free",
            place.block,
            segment,
            scopes=(place.block, *place.scopes),
            title=place.title,
        )
        if place.marker >= 0:
            yield replace(base, role="frame", scopes=(place.marker,), is_marker=True)
        elif segment.locked or segment.kind in _FIXED_KINDS:
            yield replace(base, role="fixed")
        elif segment.kind == "code":
            yield from _cut_code(text, base, numbers, longest_function)
        else:
            starts, header_end = _find_unit_starts(text, segment, *added)
            yield from _cut_segment(text, base, place, starts, header_end, numbers)


def _find_unit_starts(
    text: str, segment: Segment, rows: Sequence[int], lines: Sequence[int]
) -> tuple[list[int], int]:
    """Where the units of a segment begin, and where a header ends that was made of JSON."""
    starts = find_starts(text[segment.start : segment.end], segment.kind)
    starts = [segment.start + at for at in starts]
    if segment.kind == "json":
        added = _within(rows, segment)
        return sorted({*starts, *added}), added[1] if len(added) > 1 else 0
    if segment.kind == "html":
        return sorted({*starts, *_within(lines, segment)}), 0
    return starts, 0


def _cut_code(
    text: str, base: _Range, numbers: Iterator[int], longest_function: int | None
) -> Iterator[_Range]:
    """Statements, and gaps between them; what is above those of a long class is a frame."""
    segment = base.segment
    code = text[segment.start : segment.end]
    statements = cut_statements(code, segment.language, longest_function)
    statements = [one for one in statements if code[one.start :].strip()]

    def cut(found: Sequence[Statement], around: _Range, end: int) -> Iterator[_Range]:
        for one, following in zip(found, [*(two.start for two in found[1:]), end], strict=True):
            if not one.body:
                yield from _set_apart(text, around, one.start + base.start, following + base.start)
                continue
            block = next(numbers)
            inner = replace(
                around, block=block, scopes=(block, *around.scopes), title=one.name or around.title
            )
            frame = replace(inner, role="frame", scopes=(block,))
            yield from _set_apart(
                text, frame, one.start + base.start, one.body[0].start + base.start
            )
            yield from cut(one.body, inner, following)

    if not statements:
        yield replace(base, role="gap")
        return
    if statements[0].start:
        yield replace(base, end=base.start + statements[0].start, role="gap")
    yield from cut(statements, base, len(code))


def _set_apart(text: str, item: _Range, start: int, following: int) -> Iterator[_Range]:
    """A unit, and the white space after it."""
    end = start + len(text[start:following].rstrip())
    told = (item.block, item.segment, item.scopes, item.title, item.in_dialogue)
    yield _Range(start, end, item.role, *told)
    if end < following:
        yield _Range(end, following, "gap", *told)


def _cut_segment(
    text: str,
    base: _Range,
    place: Place,
    starts: list[int],
    header_end: int,
    numbers: Iterator[int],
) -> Iterator[_Range]:
    """Gaps, frames and units, in turn."""
    segment = base.segment
    if not starts:
        yield replace(base, role="gap")
        return
    is_open = segment.kind in ("prose", "document")
    if is_open and is_dialogue(text[segment.start : segment.end]):
        base = replace(base, in_dialogue=True)
    scope = place.block
    frame_end = header_end or _find_header_end(text, segment, starts)
    if not frame_end and place.label_end:
        frame_end, scope = place.label_end, place.label_scope
    starts = sorted({*starts, frame_end} - {segment.end}) if frame_end else starts
    if starts[0] > segment.start:
        yield replace(base, end=starts[0], role="gap")
    bold = -1
    for start, following in pairwise([*starts, segment.end]):
        item = base
        if following <= frame_end:
            item = replace(base, role="frame", scopes=(scope,))
        elif start == place.lead:
            item = replace(base, role="frame", scopes=(place.lead_scope,))
        elif is_open and text[start] in "*_" and is_bold_line(text[start:following].rstrip()):
            bold = next(numbers)
            title = place.title or text[start:following].strip("*_:： \t\r\n")
            base = replace(base, scopes=(base.block, *place.scopes, bold), title=title)
            item = replace(base, role="frame", scopes=(bold,))
        yield from _set_apart(text, item, start, following)
        if segment.kind == "prose" and _count_line_ends(text[start:following]) > 1:
            block = next(numbers)
            base = replace(base, block=block, scopes=(block, *base.scopes[1:]))


def _count_line_ends(text: str) -> int:
    """In the white space that a text ends in."""
    return text.count("\n", len(text.rstrip()))


def _find_header_end(text: str, segment: Segment, starts: Sequence[int]) -> int:
    """Where the header of a table ends; 0 where there is none."""
    if segment.kind != "table" or len(starts) < 2:
        return 0
    rows = [text[at : segment.end].split("\n", 1)[0] for at in starts[:2]]
    ruled = rows[1] and not rows[1].strip("|-: \t\r")
    return starts[min(2 if ruled else 1, len(starts) - 1)]


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
    role = item.role
    if _is_held(item, pieces, pinned, pinned_ends):
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
        title=item.title,
        in_dialogue=item.in_dialogue,
        segment=item.segment.start,
        scopes=item.scopes[:1] if role == "frame" else item.scopes,
    )


def _is_held(
    item: _Range, pieces: Sequence[Piece], pinned: Sequence[Span], pinned_ends: Sequence[int]
) -> bool:
    """Whether a span stands in the pieces that may not go; the marker of a fence may."""
    at = bisect_right(pinned_ends, pieces[0].start)
    while at < len(pinned) and pinned[at].start < pieces[-1].end:
        if not item.is_marker or pinned[at].reason != "fence":
            return True
        at += 1
    return False


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
            last = _unite(last, item)
            continue
        if last is not None:
            yield last
        last = item
    if last is not None:
        yield last


def _unite(last: _Range, item: _Range) -> _Range:
    """Two neighbours as one, as strong as the stronger."""
    role = min(last.role, item.role, key=_STRENGTH.index)
    if last.is_marker or item.is_marker:
        role = "fixed"
    scopes = last.scopes if role == last.role else item.scopes
    return replace(last, end=item.end, role=role, scopes=scopes, is_marker=False)


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
