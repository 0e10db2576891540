"""The parts of a prompt, and the pieces that a text is cut into: what every tier works on.

A text is compressed by cutting it into pieces that together cover it, each with the text that
now stands for it: the same, another, or none. So every change is known by its offsets, the
output is the pieces joined, and the original can be put together again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "instruction",
    "question",
    "exemplar",
    "document",
    "tool_call",
    "code",
    "json",
    "table",
    "log",
    "html",
    "prose",
]


@dataclass(frozen=True, slots=True)
class Segment:
    """A run of characters of one kind; the segments of a text follow each other without a gap.

    Attributes:
        start: offset of its first character.
        end: offset after its last.
        kind: what it is.
        title: of a document, where it says so.
        language: of code, in lower case, "" where it is not said.
        group: segments of the same document or exemplar share a number; -1 for none.
        locked: nothing in it is ever changed, not even white space.
    """

    start: int
    end: int
    kind: Kind
    title: str = ""
    language: str = ""
    group: int = -1
    locked: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Characters of a text that have to come out as they went in, and why."""

    start: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class Piece:
    """What stands for the characters from `start` to `end` of the original.

    Attributes:
        start: offset of the first character; pieces are in the order of their offsets.
        end: offset after the last; equal to `start` for something inserted.
        text: what stands there now: the same, another text, or "" where it was dropped.
        reason: why it was changed or dropped, "" where it was not.
        score: what decided, higher is more worth keeping; None where nothing was scored.
    """

    start: int
    end: int
    text: str
    reason: str = ""
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One text of a prompt: the whole of a plain file, or the content of a chat message.

    Attributes:
        text: the original.
        path: where it stands ("" for a plain text, "messages[2].content", ...).
        role: of the message, None for a plain text.
        segments: as `segments.parse_segments` cuts it.
        protected: spans that have to come out byte-identical, sorted, not overlapping.
    """

    text: str
    path: str = ""
    role: str | None = None
    segments: tuple[Segment, ...] = ()
    protected: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class CompressedPart:
    """A part and the pieces that now stand for it.

    Attributes:
        part: the original.
        pieces: covering it without gap or overlap.
        order: indices of `pieces` in the order of the output, where it is not theirs.
    """

    part: Part
    pieces: tuple[Piece, ...]
    order: tuple[int, ...] | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def text(self) -> str:
        """What the part has become."""
        pieces = self.pieces
        if self.order is not None:
            pieces = [self.pieces[at] for at in self.order]
        return "".join(piece.text for piece in pieces)
