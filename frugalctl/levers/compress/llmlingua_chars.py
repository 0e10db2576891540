"""Texts whose single words may go, and the pieces that are left of them."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from frugalctl.levers.compress.llmlingua_words import fold_text
from frugalctl.levers.compress.pieces import CompressedPart, Piece, Span
from frugalctl.levers.compress.units import Atom, cut_atoms

_OPEN_KINDS = ("prose", "document")
_KEPT, _SPACE, _DROPPED, _BLANKED = "kwdb"
# Around at least one dropped character: whatever white space and dropped characters there are.
_HOLE = re.compile("w*d[wd]*")
_SPACES = re.compile("w+")
# After a word that goes, these move up to the word before.
_CLOSERS = tuple(
    ".,;:!?)]}%\u2026\u3002\uff0c\u3001\uff1b\uff1a\uff01\uff1f\uff09\u3011\u300d\u300f"
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A part, and which characters of what it has become may go.

    Attributes:
        part: what earlier tiers made of it.
        pieces: the same, cut where what may go begins and ends.
        text: of the pieces, joined.
        is_open: a byte a character of `text`, 1 where it may go.
    """

    part: CompressedPart
    pieces: tuple[Piece, ...]
    text: str
    is_open: bytes


def open_drafts(parts: Sequence[CompressedPart]) -> list[Draft]:
    """The parts as drafts: sentences of prose and documents are open, but what is protected."""
    return [
        _open_part(part, atoms)
        for part, atoms in zip(parts, cut_atoms(parts, _is_never_pinned), strict=True)
    ]


def gather_open(draft: Draft) -> tuple[str, list[int]]:
    """The text that may be cut into words, and the offset of each character in the draft.

    Protected spans between open characters come along, so that sentences stay whole; runs are
    joined with a blank line, whose characters have the offset -1.
    """
    chars: list[str] = []
    offsets: list[int] = []
    end = 0
    for start, stop in _find_runs(draft):
        if chars:
            chars.append("\n\n")
            offsets.extend((-1, -1))
        chars.append(draft.text[start:stop])
        offsets.extend(range(start, stop))
        end = stop
    return ("".join(chars), offsets) if end else ("", [])


def drop_chars(
    draft: Draft, is_dropped: bytearray, scores: Sequence[float | None], reason: str
) -> CompressedPart:
    """The part without the characters that are dropped, and the white space that went with them.

    Where words go, one run of the white space between the words that are left stays, the one
    with most line ends; words that would grow together where a hyphen or the like went get a
    space.

    Args:
        draft: what is cut.
        is_dropped: a byte a character of its text; where it is not open, it is not looked at.
        scores: of each character; a piece has the best of its characters.
        reason: of what is dropped.
    """
    states = _settle_spaces(draft, _mark_chars(draft, is_dropped))
    pieces: list[Piece] = []
    at = 0
    for piece in draft.pieces:
        end = at + len(piece.text)
        pieces.extend(_cut_piece(draft, piece, states[at:end], scores[at:end], reason))
        at = end
    return replace(draft.part, pieces=tuple(pieces), order=None)


def _open_part(part: CompressedPart, atoms: Sequence[Atom]) -> Draft:
    is_open = bytearray()
    pieces: list[Piece] = []
    spans = part.part.protected
    ends = [span.end for span in spans]
    for atom in atoms:
        free = atom.role in ("free", "gap") and atom.kind in _OPEN_KINDS
        for piece in atom.pieces:
            pieces.append(piece)
            is_open += (
                _open_piece(part.part.text, piece, spans, ends) if free else bytes(len(piece.text))
            )
    text = "".join(piece.text for piece in pieces)
    return Draft(part, tuple(pieces), text, bytes(is_open))


def _open_piece(
    original: str, piece: Piece, spans: Sequence[Span], ends: Sequence[int]
) -> bytearray:
    is_open = bytearray(b"\1" * len(piece.text))
    is_same = _is_same(original, piece)
    for span in spans[bisect_right(ends, piece.start) :]:
        if span.start >= piece.end:
            break
        if not is_same:
            return bytearray(len(piece.text))
        start = max(span.start - piece.start, 0)
        end = min(span.end, piece.end) - piece.start
        is_open[start:end] = bytes(end - start)
    return is_open


def _find_runs(draft: Draft) -> Iterator[tuple[int, int]]:
    """Stretches that begin and end with an open word; what is closed within is protected only."""
    start = 0
    at = 0
    for is_open, group in groupby(_run_states(draft)):
        size = sum(1 for _ in group)
        start, at = at, at + size
        if is_open and draft.text[start:at].strip():
            yield start, at


def _run_states(draft: Draft) -> bytes:
    """Like `is_open`, with closed stretches inside of one sentence taken as open."""
    joined = bytearray(draft.is_open)
    for match in re.finditer(b"\1(\0{1,400})(?=\1)", draft.is_open):
        inner = draft.text[match.start(1) : match.end(1)]
        if "\n" not in inner:
            joined[match.start(1) : match.end(1)] = b"\1" * len(inner)
    return bytes(joined)


def _mark_chars(draft: Draft, is_dropped: bytearray) -> str:
    states: list[str] = []
    text, is_open = draft.text, draft.is_open
    for at, char in enumerate(text):
        if not is_open[at]:
            states.append(_KEPT)
        elif char.isspace():
            states.append(_SPACE)
        elif is_dropped[at]:
            states.append(_DROPPED)
        elif at and not char.isascii() and states[-1] == _DROPPED and not fold_text(char)[0]:
            # An accent or a joiner goes with what it stands on.
            states.append(_DROPPED)
        else:
            states.append(_KEPT)
    return "".join(states)


def _settle_spaces(draft: Draft, states: str) -> str:
    text = draft.text
    settled: list[str] = []
    at = 0
    for hole in _HOLE.finditer(states):
        start, end = hole.span()
        settled.append(states[at:start])
        settled.append(_settle_hole(text, states, start, end))
        at = end
    settled.append(states[at:])
    return "".join(settled).replace(_SPACE, _KEPT)


def _settle_hole(text: str, states: str, start: int, end: int) -> str:
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    filled = [_DROPPED] * (end - start)
    closes = after in _CLOSERS and states[end - 1] == _DROPPED
    if before.isspace() or after.isspace() or closes:
        return "".join(filled)
    best: re.Match[str] | None = None
    for spaces in _SPACES.finditer(states, start, end):
        if best is None or _count_lines(text, spaces) >= _count_lines(text, best):
            best = spaces
    if best is not None:
        filled[best.start() - start : best.end() - start] = _KEPT * len(best[0])
    elif before.isalnum() and after.isalnum() and not text[start:end].isalnum():
        filled[0] = _BLANKED
    return "".join(filled)


def _count_lines(text: str, spaces: re.Match[str]) -> int:
    return text.count("\n", spaces.start(), spaces.end())


def _cut_piece(
    draft: Draft, piece: Piece, states: str, scores: Sequence[float | None], reason: str
) -> Iterator[Piece]:
    if not states.strip(_KEPT):
        yield piece if _best(scores) is None else replace(piece, score=_best(scores))
        return
    if not _is_same(draft.part.part.text, piece):
        left = "".join(
            char if state == _KEPT else " " * (state == _BLANKED)
            for char, state in zip(piece.text, states, strict=True)
        )
        yield Piece(piece.start, piece.end, left, reason, _best(scores))
        return
    at = 0
    for is_kept, group in groupby(states, key=_KEPT.__eq__):
        run = "".join(group)
        end = at + len(run)
        text = piece.text[at:end] if is_kept else " " * (_BLANKED in run)
        yield Piece(
            piece.start + at,
            piece.start + end,
            text,
            piece.reason if is_kept else reason,
            _best(scores[at:end]),
        )
        at = end


def _best(scores: Sequence[float | None]) -> float | None:
    return max((score for score in scores if score is not None), default=None)


def _is_same(original: str, piece: Piece) -> bool:
    return len(piece.text) == piece.end - piece.start and original.startswith(
        piece.text, piece.start
    )


def _is_never_pinned(span: Span) -> bool:
    return False
