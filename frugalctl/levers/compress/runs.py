"""How a tier changes pieces: runs of new pieces laid over the old ones, or not at all."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from frugalctl.levers.compress.pieces import Part, Piece, Span
from frugalctl.levers.compress.protect import INTACT

WHITESPACE = "white space"
JSON_SPACE = "JSON white space"
ESCAPE = "escape decoded"
PADDING = "table padding"
REPEAT = "repeated block"

# What these changed still says the same, so a later step may put its own text over it.
_REWRITABLE = frozenset({WHITESPACE, JSON_SPACE, ESCAPE, PADDING})

Run = Sequence[Piece]
"""Pieces without a gap between them; laid over the text together or not at all."""


def find_pinned(part: Part, start: int, end: int) -> Iterator[Span]:
    """The protected spans among these characters that may not be dropped with them."""
    at = bisect_right(part.protected, start, key=_end_of)
    while at < len(part.protected) and part.protected[at].start < end:
        if part.protected[at].reason not in INTACT:
            yield part.protected[at]
        at += 1


def _end_of(span: Span) -> int:
    return span.end


def overlay(part: Part, pieces: Sequence[Piece], runs: Iterable[Run]) -> list[Piece]:
    """The pieces with the runs laid over them.

    A run is left out where it would alter a protected span, cut through something that was
    changed before, or bring back what was dropped. Takes time linear in pieces and runs.

    Args:
        part: the original.
        pieces: covering it.
        runs: sorted, not overlapping.
    """
    respects = _make_respects(part)
    out: list[Piece] = []
    at = 0
    begin = pieces[0].start if pieces else 0
    for run in runs:
        if not respects(run):
            continue
        start, end = run[0].start, run[-1].end
        while at < len(pieces) and pieces[at].end <= start:
            out.append(_tail(part, pieces[at], begin))
            at += 1
            begin = pieces[at].start if at < len(pieces) else 0
        after = _find_end(pieces, at, start, end)
        if after is None:
            continue
        if begin < start:
            out.append(_cut(part, pieces[at], begin, start))
        out.extend(run)
        if after > at and pieces[after - 1].end > end:
            at, begin = after - 1, end
        else:
            at = after
            begin = pieces[at].start if at < len(pieces) else 0
    if at < len(pieces):
        out.append(_tail(part, pieces[at], begin))
        out.extend(pieces[at + 1 :])
    return out


def _find_end(pieces: Sequence[Piece], at: int, start: int, end: int) -> int | None:
    """The index after the last piece under the run; None where the run must not be laid."""
    while at < len(pieces) and pieces[at].start < end:
        piece = pieces[at]
        if piece.reason and (
            piece.reason not in _REWRITABLE or piece.start < start or piece.end > end
        ):
            return None
        at += 1
    return at


def _cut(part: Part, piece: Piece, start: int, end: int) -> Piece:
    return Piece(start, end, part.text[start:end], piece.reason, piece.score)


def _tail(part: Part, piece: Piece, begin: int) -> Piece:
    return piece if begin == piece.start else _cut(part, piece, begin, piece.end)


def _make_respects(part: Part) -> Callable[[Run], bool]:
    """A test of whether a run leaves the protected spans as they are."""
    spans = part.protected
    if not spans:
        return lambda run: True
    starts = [span.start for span in spans]

    def respects(run: Run) -> bool:
        for piece in run:
            if not piece.reason:
                continue
            at = bisect_right(starts, piece.start) - 1
            pinned: list[str] = []
            for index in range(max(at, 0), len(spans)):
                span = spans[index]
                if span.start >= max(piece.end, piece.start + 1):
                    break
                if not _keeps(part.text, piece, span):
                    return False
                if span.reason not in INTACT and span.end > piece.start:
                    pinned.append(part.text[span.start : span.end])
            if not _has_each(piece.text, pinned):
                return False
        return True

    return respects


def _keeps(text: str, piece: Piece, span: Span) -> bool:
    if span.end <= piece.start or span.start >= piece.end:
        # Only something inserted in the midst of a span harms it without covering it.
        return not span.start < piece.start < span.end
    if span.start < piece.start or span.end > piece.end:
        return False
    if not piece.text:
        return span.reason in INTACT
    return text[span.start : span.end] in piece.text


def _has_each(text: str, wanted: Sequence[str]) -> bool:
    """Whether a text has each of these, apart from each other, in any order."""
    place = 0
    for one in wanted:
        found = text.find(one, place)
        if found < 0:
            return all(text.count(one) >= times for one, times in Counter(wanted).items())
        place = found + len(one)
    return True
