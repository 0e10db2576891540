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
from frugalctl.levers.compress.segments_ahead import get_tag, look_ahead
from frugalctl.levers.compress.segments_blocks import Block, scan_blocks
from frugalctl.levers.compress.segments_ends import lock_ends
from frugalctl.levers.compress.segments_json import is_contract
from frugalctl.levers.compress.segments_orders import ORDERS_SHARE, gives_orders, measure_orders
from frugalctl.levers.compress.segments_words import TITLE, name_section, name_tag

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
# A label within instructions opens a document if it is numbered or so much stands under it.
_MIN_INNER_CHARS = 300
_NUMBERED = re.compile(r"\W{0,4}(?:\w{3,10}|\w{2})[ \t]?[\[(#]?\d")
_MAX_RULES_CHARS = 1500


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
    segments = _Structure(text, blocks, groups, guided).assign()
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

    def __init__(self, text: str, blocks: list[Block], groups: _Groups, guided: bool) -> None:
        self.text = text
        self.blocks = blocks
        self.groups = groups
        self.guided = guided
        self.stack: list[_Holder] = []
        self.rules = sum(block.label == "rule" for block in blocks)
        self.ahead = look_ahead(blocks)
        self.at = 0
        self.instructed = bool(blocks) and not blocks[0].label and gives_orders(self._read(0))
        # The level of the heading of documents that have come so far.
        self.data_level: int | None = None

    def assign(self) -> list[Segment]:
        """One segment a block."""
        segments: list[Segment] = []
        for at, block in enumerate(self.blocks):
            self.at = at
            segments.append(self._assign_block(block))
        return segments

    def _read(self, at: int) -> str:
        block = self.blocks[at]
        return self.text[block.start : min(block.end, block.start + _MAX_RULES_CHARS)]

    def _assign_block(self, block: Block) -> Segment:
        if block.label == "close":
            return self._close(block)
        top = self.stack[-1] if self.stack else None
        opens = bool(block.label) and (not (top and top.locked) or self._opens_within(block))
        if opens:
            getattr(self, f"_open_{block.label}")(block)
        elif not block.label and block.kind == "prose" and top and top.answered and not top.shot:
            self.stack.pop()
        segment = self._make(block, self.stack[-1] if self.stack else None)
        if block.closes and (self._is_open(block) if opens else block.label != "open"):
            self._end(block.closes)
        return segment

    def _is_open(self, block: Block) -> bool:
        """Whether a tag was opened by its block, unless the block opened something else."""
        return block.label != "open" or self.stack[-1].tag == block.closes

    def _opens_within(self, block: Block) -> bool:
        """Whether a label opens something although it stands within instructions."""
        if block.label == "heading":
            return True
        if self.stack[-1].tag:
            return False
        if block.label == "document":
            long = self.ahead.section_ends[self.at] - block.start >= _MIN_INNER_CHARS
            return long or bool(_NUMBERED.match(self.text, block.start))
        if block.label != "open" or not self.ahead.tag_ends[self.at]:
            return False
        section = name_tag(get_tag(block))
        long = self.ahead.tag_ends[self.at] - block.start >= _MIN_INNER_CHARS
        return section == "question" or (section != "instruction" and long)

    def _make(self, block: Block, holder: _Holder | None) -> Segment:
        kind, locked = block.kind, block.locked
        if holder and holder.kind and (kind == "prose" or holder.locked or holder.shot):
            kind, locked = holder.kind, locked or holder.locked
        elif holder and holder.kind == "exemplar":
            kind = "exemplar"
        if kind == "json" and self.guided and not locked:
            locked = is_contract(self.text[block.start : block.end])
        title = holder.title if holder else ""
        group = holder.group if holder else -1
        return Segment(block.start, block.end, kind, title, block.language, group, locked)

    def _push(self, holder: _Holder) -> None:
        if holder.locked and not self.guided:
            holder.kind = None
        if holder.kind in ("document", "exemplar"):
            holder.group = self.groups.add()
        self.instructed = self.instructed or holder.kind == "instruction"
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

    def _end(self, tag: str) -> None:
        """End what a tag opened, if it did, and all within."""
        if any(holder.tag == tag for holder in self.stack):
            while self.stack.pop().tag != tag:
                pass

    def _open_open(self, block: Block) -> None:
        if block.closes and self._in_tagged_document():
            return
        name = get_tag(block)
        section = name_tag(name)
        kind = None if section in ("container", "") else cast("Kind", section)
        found = TITLE.search(block.title)
        title = found[1] if found else ""
        self._pop_labelled()
        # What is never closed is no more than a label.
        tag = name if self.ahead.tag_ends[self.at] else ""
        self._push(_Holder(kind, title, tag=tag, shot=kind == "exemplar"))
        if section in ("container", "document"):
            self.data_level = 6

    def _open_heading(self, block: Block) -> None:
        if self._in_tagged_document():
            return
        top = self.stack[-1] if self.stack else None
        if top and top.locked and top.tag:
            return
        section = name_section(block.title)
        named = section in ("container", "document")
        section = section or self._judge_section(block)
        if top and top.locked and 0 < top.level < block.level and section == "instruction":
            return
        self._pop_labelled(headings=True)
        if named:
            self.data_level = block.level
        kind = None if section == "container" else cast("Kind", section)
        self._push(_Holder(kind, block.title, level=block.level, shot=kind == "exemplar"))

    def _judge_section(self, block: Block) -> str:
        """What stands under a heading that says nothing of it.

        Before the first documents it is an instruction, if it gives orders or is short, and if
        there are instructions or documents by name at all; a plain article has neither.
        """
        instructed, has_data = self.instructed, self.ahead.has_data[self.at]
        if not self.guided or not (instructed or has_data):
            return "document"
        end = self.ahead.section_ends[self.at]
        share = measure_orders(self.text[block.end : min(end, block.end + _MAX_RULES_CHARS)])
        if self.data_level is not None:
            beside = block.level <= self.data_level
            return "instruction" if beside and share >= 2 * ORDERS_SHARE else "document"
        short = instructed and has_data and end - block.end <= _MAX_RULES_CHARS
        return "instruction" if short or share >= ORDERS_SHARE else "document"

    def _open_document(self, block: Block) -> None:
        if self._in_tagged_document():
            return
        top = self.stack[-1] if self.stack else None
        opened = self.at > 0 and self.blocks[self.at - 1].label == "document"
        if top and top.kind == "document" and opened and block.title and not top.title:
            top.title = block.title
            return
        self._pop_labelled()
        self.data_level = self.data_level or 0
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
