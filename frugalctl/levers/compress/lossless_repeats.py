"""Long blocks that occur again word for word: a reference in their place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from frugalctl.levers.compress.pieces import Kind, Part, Piece, Segment
from frugalctl.levers.compress.runs import REPEAT, Run, find_pinned

MIN_CHARS = 240
"""A shorter block stays: its reference would save little and cost the reader a look back."""

_WHOLE: frozenset[Kind] = frozenset({"code", "json", "table", "html", "exemplar"})
_NEVER: frozenset[Kind] = frozenset({"instruction", "question", "tool_call", "log"})
_PARAGRAPH = re.compile(r"[^\s](?:[^\n]|\n(?![ \t]*\r?\n|[ \t]*\Z))*")
_WORDS = (8, 16, 32)


@dataclass(frozen=True, slots=True)
class _Block:
    """A block; whether it may go with that before it, and whether it has a span that must stay."""

    start: int
    end: int
    text: str
    follows: bool
    pinned: bool


def find_repeat_runs(part: Part) -> Iterator[Run]:
    """Blocks and sequences of blocks of `MIN_CHARS` or more that stood there before.

    A block is a paragraph, or the whole of a code, JSON, table, HTML or exemplar segment. The
    reference names the first words of the block, as many as tell it from all others; where no
    number of words does, the block stays, and so does one with a span that may not be dropped.
    """
    blocks = list(_find_blocks(part))
    first: dict[str, int] = {}
    for at, block in enumerate(blocks):
        first.setdefault(block.text, at)
    if len(first) == len(blocks):
        return
    names = _name_blocks([blocks[at].text for at in first.values()])
    replaced = [False] * len(blocks)
    at = 0
    while at < len(blocks):
        # Most blocks that are short have no name: to look for what follows them would take long.
        name = names.get(blocks[at].text)
        count = 0 if name is None else _count_repeated(blocks, first, replaced, at)
        start, end = blocks[at].start, blocks[at + max(count, 1) - 1].end
        if not count or end - start < MIN_CHARS:
            at += 1
            continue
        for index in range(at, at + count):
            replaced[index] = True
        text = f"[same as above: {name} ...]"
        if count > 1:
            text = f"[same {count} paragraphs as above: {name} ...]"
        yield (Piece(start, end, text, REPEAT),)
        at += count


def _find_blocks(part: Part) -> Iterator[_Block]:
    last: Segment | None = None
    before = 0
    for segment in part.segments:
        if segment.locked or segment.kind in _NEVER:
            continue
        follows = last is not None and last.end == segment.start
        last = segment
        for start, end in _bounds(part.text, segment):
            joined = follows and not any(find_pinned(part, before, start))
            pinned = any(find_pinned(part, start, end))
            yield _Block(start, end, part.text[start:end], joined, pinned)
            follows, before = True, end


def _bounds(text: str, segment: Segment) -> Iterator[tuple[int, int]]:
    if segment.kind not in _WHOLE:
        for match in _PARAGRAPH.finditer(text, segment.start, segment.end):
            yield match.start(), match.start() + len(match.group().rstrip())
        return
    body = text[segment.start : segment.end]
    start = segment.end - len(body.lstrip())
    if start < segment.end:
        yield start, segment.start + len(body.rstrip())


def _count_repeated(
    blocks: list[_Block], first: dict[str, int], replaced: list[bool], at: int
) -> int:
    """How many blocks from here on repeat, in order, those from an earlier place on."""
    source = first[blocks[at].text]
    count = 0
    while (
        at + count < len(blocks)
        and source + count < at
        and not replaced[source + count]
        and not blocks[at + count].pinned
        and blocks[source + count].text == blocks[at + count].text
        and (not count or (blocks[source + count].follows and blocks[at + count].follows))
    ):
        count += 1
    return count


def _name_blocks(texts: list[str]) -> dict[str, str]:
    """The first words of each long block, where they tell it from every other block."""
    heads = [text[: 16 * _WORDS[-1]].split(maxsplit=_WORDS[-1]) for text in texts]
    names: dict[str, str] = {}
    for size in _WORDS:
        counts = Counter(" ".join(head[:size]) for head in heads)
        for text, head in zip(texts, heads, strict=True):
            name = " ".join(head[:size])
            if text not in names and counts[name] == 1 and len(name) < len(text) / 2:
                names[text] = name
    return names
