"""Segments: what each run of characters of a prompt is.

Instructions and questions are locked: no tier touches them. Where a text does not say what it is,
a first paragraph that gives orders is an instruction, and so is the whole of a system message; a
last paragraph that asks or orders is the question. A kind can be forced by markup::

    <!-- compress: keep --> never touched <!-- /compress -->
    <!-- compress: code language=python --> ... <!-- /compress -->
    <!-- compress: document title="Annual report" --> ... <!-- /compress -->

with any kind of `pieces.Kind`, or `keep`. The two comments are left out of the compressed text,
and come back with `restore`. One that is opened and never closed is ordinary text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import cast, get_args

from frugalctl.errors import InputError
from frugalctl.levers.compress.pieces import Kind, Piece, Segment
from frugalctl.levers.compress.segments_blocks import Block, scan_blocks
from frugalctl.levers.compress.segments_ends import lock_ends
from frugalctl.levers.compress.segments_words import TITLE, name_section

KINDS: tuple[Kind, ...] = get_args(Kind)
KEEP = "keep"
MARKUP = "markup"

# The title of the segments that hold our markup: no text that we read has a NUL in it.
_MARKUP_TITLE = "\0"

_OPEN = re.compile(
    r"<!-- {0,4}compress: {0,4}(?P<kind>[\w\-]{1,40})"
    r"(?P<options>(?: {1,4}\w{1,20}=(?:\"[^\"\n]{0,300}\"|[\w.+#\-]{1,40})){0,4}) {0,4}-->"
)
_CLOSE = re.compile(r"<!-- {0,4}/compress {0,4}-->")
_OPTION = re.compile(r"(\w+)=(?:\"([^\"\n]*)\"|([\w.+#\-]+))")
_INSTRUCTORS = ("system", "developer")
_ASKERS = (None, "user", "human")
_MERGED = ("instruction", "question", "exemplar", "document", "prose")
_MAX_DEPTH = 32


def parse_segments(text: str, *, role: str | None = None) -> tuple[Segment, ...]:
    """The segments of a text, which cover it without gap or overlap; time is linear.

    Args:
        text: a whole prompt, or the content of one message.
        role: of the message; None for a plain text. Instructions and questions are looked for
            in plain texts and in users' messages only.

    Raises:
        InputError: markup that forces a kind that we do not know.
    """
    segments: list[Segment] = []
    start = 0
    if text.startswith("\ufeff"):
        segments.append(Segment(0, 1, "prose", locked=True))
        start = 1
    groups = _Groups()
    for forced, opened, closed in _find_forced(text, start):
        segments += _parse_zone(text, start, opened[0], role, groups)
        segments.append(Segment(*opened, "instruction", title=_MARKUP_TITLE, locked=True))
        if closed[0] > opened[1]:
            group = groups.add() if forced.kind in ("document", "exemplar") else -1
            segments.append(replace(forced, start=opened[1], end=closed[0], group=group))
        segments.append(Segment(*closed, "instruction", title=_MARKUP_TITLE, locked=True))
        start = closed[1]
    segments += _parse_zone(text, start, len(text), role, groups)
    return tuple(segments)


def cut_pieces(text: str, segments: tuple[Segment, ...]) -> list[Piece]:
    """One piece a segment, as the first tier gets them: all kept but our own markup."""
    return [
        Piece(item.start, item.end, "", MARKUP)
        if is_markup(item)
        else Piece(item.start, item.end, text[item.start : item.end])
        for item in segments
    ]


def is_markup(segment: Segment) -> bool:
    """Whether it is one of the comments that force a kind, which are left out of the output."""
    return segment.title == _MARKUP_TITLE


@dataclass(slots=True)
class _Groups:
    """Numbers for documents and exemplars."""

    last: int = -1

    def add(self) -> int:
        self.last += 1
        return self.last


def _find_forced(
    text: str, start: int
) -> Iterator[tuple[Segment, tuple[int, int], tuple[int, int]]]:
    """Forced stretches: their segment, and the offsets of the markup on both sides."""
    while opened := _OPEN.search(text, start):
        closed = _CLOSE.search(text, opened.end())
        if not closed:
            return
        options = {key: quoted or plain for key, quoted, plain in _OPTION.findall(opened[0])}
        kind = opened["kind"].replace("-", "_")
        if kind not in (*KINDS, KEEP):
            raise InputError(
                f"the markup {opened[0]!r} names an unknown kind",
                hint=f"known: {KEEP}, {', '.join(KINDS)}",
            )
        locked = kind in (KEEP, "instruction", "question", "tool_call")
        segment = Segment(
            0,
            0,
            "instruction" if kind == KEEP else kind,
            title=options.get("title", ""),
            language=options.get("language", "").lower(),
            locked=locked,
        )
        yield segment, opened.span(), closed.span()
        start = closed.end()


def _parse_zone(
    text: str, start: int, end: int, role: str | None, groups: _Groups
) -> list[Segment]:
    if start == end:
        return []
    if role in _INSTRUCTORS:
        return [Segment(start, end, "instruction", locked=True)]
    blocks = scan_blocks(text, start, end)
    guided = role in _ASKERS
    segments = _Structure(blocks, groups, guided).assign()
    if guided:
        lock_ends(text, blocks, segments, head=start <= 1, tail=end == len(text))
    return list(_join(segments))


@dataclass(slots=True)
class _Holder:
    """Something opened that the blocks after it belong to."""

    kind: Kind | None
    title: str = ""
    group: int = -1
    level: int = 0
    tag: str = ""
    shot: bool = False
    answered: bool = False

    @property
    def locked(self) -> bool:
        return self.kind in ("instruction", "question")


class _Structure:
    """Second pass: blocks become parts of documents, exemplars, instructions and questions."""

    def __init__(self, blocks: list[Block], groups: _Groups, guided: bool) -> None:
        self.blocks = blocks
        self.groups = groups
        self.guided = guided
        self.stack: list[_Holder] = []
        self.rules = sum(block.label == "rule" for block in blocks)
        self.before: Block | None = None

    def assign(self) -> list[Segment]:
        """One segment a block."""
        segments: list[Segment] = []
        for block in self.blocks:
            segments.append(self._assign_block(block))
            self.before = block
        return segments

    def _assign_block(self, block: Block) -> Segment:
        if block.label == "close":
            return self._close(block)
        top = self.stack[-1] if self.stack else None
        if block.label and not (top and top.locked and block.label != "heading"):
            getattr(self, f"_open_{block.label}")(block)
        elif block.kind == "prose" and top and top.answered and not top.shot:
            self.stack.pop()
        return self._make(block, self.stack[-1] if self.stack else None)

    def _make(self, block: Block, holder: _Holder | None) -> Segment:
        kind, locked = block.kind, block.locked
        if holder and holder.kind and (kind == "prose" or holder.locked or holder.shot):
            kind, locked = holder.kind, locked or holder.locked
        elif holder and holder.kind == "exemplar":
            kind = "exemplar"
        title = holder.title if holder else ""
        group = holder.group if holder else -1
        return Segment(block.start, block.end, kind, title, block.language, group, locked)

    def _push(self, holder: _Holder) -> None:
        if holder.locked and not self.guided:
            holder.kind = None
        if holder.kind in ("document", "exemplar"):
            holder.group = self.groups.add()
        if len(self.stack) < _MAX_DEPTH:
            self.stack.append(holder)

    def _pop_labelled(self, headings: bool = False) -> None:
        """End what no tag holds together, headings too where one follows."""
        while self.stack and not self.stack[-1].tag and (headings or not self.stack[-1].level):
            self.stack.pop()

    def _in_tagged_document(self) -> bool:
        return any(holder.tag and holder.kind == "document" for holder in self.stack)

    def _close(self, block: Block) -> Segment:
        if not any(holder.tag == block.title for holder in self.stack):
            return self._make(block, self.stack[-1] if self.stack else None)
        while self.stack[-1].tag != block.title:
            self.stack.pop()
        return self._make(block, self.stack.pop())

    def _open_open(self, block: Block) -> None:
        name = re.split(r"[\s=]", block.title, maxsplit=1)[0]
        section = name_section(name)
        kind = None if section in ("container", "") else cast("Kind", section)
        found = TITLE.search(block.title)
        title = found[1] if found else ""
        self._pop_labelled()
        self._push(_Holder(kind, title, tag=name, shot=kind == "exemplar"))

    def _open_heading(self, block: Block) -> None:
        if self._in_tagged_document():
            return
        top = self.stack[-1] if self.stack else None
        if top and top.locked and (top.tag or 0 < top.level < block.level):
            return
        self._pop_labelled(headings=True)
        section = name_section(block.title)
        kind = None if section == "container" else cast("Kind", section or "document")
        shot = kind == "exemplar"
        self._push(_Holder(kind, block.title, level=block.level, shot=shot))

    def _open_document(self, block: Block) -> None:
        if self._in_tagged_document():
            return
        top = self.stack[-1] if self.stack else None
        opened = self.before is not None and self.before.label == "document"
        if top and top.kind == "document" and opened and block.title and not top.title:
            top.title = block.title
            return
        self._pop_labelled()
        self._push(_Holder("document", block.title))

    def _open_shot(self, block: Block) -> None:
        if self._in_tagged_document():
            return
        self._pop_labelled()
        self._push(_Holder("exemplar", shot=True))

    def _open_ask(self, block: Block) -> None:
        top = self.stack[-1] if self.stack else None
        if self._in_tagged_document() or (top and top.shot and not top.level):
            return
        self._pop_labelled()
        self._push(_Holder("exemplar"))

    def _open_reply(self, block: Block) -> None:
        top = self.stack[-1] if self.stack else None
        if top and top.kind == "exemplar" and block.title:
            top.answered = True

    def _open_rule(self, block: Block) -> None:
        if self._in_tagged_document():
            return
        self._pop_labelled()
        if self.rules > 1:
            self._push(_Holder("document"))


def _join(segments: list[Segment]) -> Iterator[Segment]:
    """Segments in their order, neighbours of the same kind and group made one."""
    first: Segment | None = None
    end = 0
    for segment in segments:
        if first is None:
            first = segment
        elif not _belongs(first, segment):
            yield first if first.end == end else replace(first, end=end)
            first = segment
        end = segment.end
    if first is not None:
        yield first if first.end == end else replace(first, end=end)


def _belongs(one: Segment, other: Segment) -> bool:
    return (
        one.kind == other.kind
        and one.group == other.group
        and one.locked == other.locked
        and one.kind in _MERGED
        and one.title == other.title
        and one.language == other.language
    )
