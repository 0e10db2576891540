"""What follows a heading or a tag, by which is judged what it opens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frugalctl.levers.compress.segments_blocks import Block
from frugalctl.levers.compress.segments_words import name_section, name_tag

_ENDS_SECTION = ("heading", "document", "open", "close", "ask", "shot")
_NAMED = ("document", "container")


@dataclass(frozen=True, slots=True)
class Ahead:
    """What comes after each of n blocks.

    Attributes:
        section_ends: int[n], offset where the section ends that the block opens.
        tag_ends: int[n], offset where the tag is closed that the block opens, 0 if it never is.
        has_data: bool[n], whether documents follow that are called so.
    """

    section_ends: list[int]
    tag_ends: list[int]
    has_data: list[bool]


def look_ahead(blocks: Sequence[Block]) -> Ahead:
    """Read the blocks from the last to the first."""
    size = len(blocks)
    ahead = Ahead([0] * size, [0] * size, [False] * size)
    section_end = blocks[-1].end if blocks else 0
    closed: dict[str, int] = {}
    has_data = False
    for at in range(size - 1, -1, -1):
        block = blocks[at]
        ahead.section_ends[at], ahead.has_data[at] = section_end, has_data
        name = get_tag(block) if block.label == "open" else block.title
        if block.label == "open":
            ahead.tag_ends[at] = block.end if block.closes else closed.get(name, 0)
        elif block.label == "close" or block.closes:
            closed[block.closes or name] = block.end
        if block.label in _ENDS_SECTION:
            section_end = block.start
        has_data = has_data or _opens_data(block, name)
    return ahead


def get_tag(block: Block) -> str:
    """The name of the tag that a block opens."""
    return block.title.replace("=", " ").split(maxsplit=1)[0]


def _opens_data(block: Block, name: str) -> bool:
    if block.label == "heading":
        return name_section(name) in _NAMED
    return block.label == "document" or (block.label == "open" and name_tag(name) in _NAMED)
