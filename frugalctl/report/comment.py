"""A comment on a pull request: Markdown of bounded size, with details folded away."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from frugalctl.report.tables import Table, clip, markdown_cell, printable

MARKER = "<!-- frugalctl -->"
"""The first line, by which a bot finds the comment that it wrote before."""

_MOST_BYTES = 65_000  # GitHub takes 65,536 characters
_MOST_REMARKS = 20
_LONGEST_REMARK = 1_000
_RESERVE = 400
_MENTION = re.compile("[@#]")
_BACKTICKS = re.compile("`+")


@dataclass(frozen=True, slots=True)
class Block:
    """A table of a comment.

    Attributes:
        table: the table.
        folded: whether it opens at a click only.
        literal: columns of names that users gave, which are shown as code, so that nothing in
            them mentions a person or makes a link.
    """

    table: Table
    folded: bool = False
    literal: tuple[int, ...] = ()


def render_comment(heading: str, blocks: Sequence[Block], remarks: Sequence[str] = ()) -> str:
    """A heading, remarks and tables, cut to what a comment may hold.

    What does not fit is left out from the end, and a last line says how much.
    """
    text = f"{MARKER}\n## {markdown_cell(heading)}\n{_render_remarks(remarks)}"
    room = _MOST_BYTES - _RESERVE - len(text.encode())
    lost = 0
    for block in blocks:
        kept = _count_fitting(block, room) if not lost else 0
        lost += len(block.table.rows) - kept
        if kept:
            part = _render(block, kept)
            room -= len(part.encode())
            text += part
    if lost:
        text += (
            f"\n{lost:,} rows are left out: a comment holds no more than 65,536 characters. "
            "`--format json` has them all.\n"
        )
    return text


def _render_remarks(remarks: Sequence[str]) -> str:
    """The first ones as a quotation, each a paragraph."""
    more = len(remarks) - _MOST_REMARKS
    kept = [clip(remark, _LONGEST_REMARK) for remark in remarks[:_MOST_REMARKS]]
    if more > 0:
        kept.append(f"{more:,} more; `--format json` has them all.")
    return "\n" * bool(kept) + ">\n".join(f"> {_show_plain(remark)}\n" for remark in kept)


def _count_fitting(block: Block, room: int) -> int:
    """How many of the first rows fit, by bisection."""
    low, high = 0, len(block.table.rows)
    if len(_render(block, high).encode()) <= room:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if len(_render(block, middle).encode()) <= room:
            low = middle
        else:
            high = middle
    return low


def _render(block: Block, rows: int) -> str:
    table = block.table
    rules = tuple("---:" if right else "---" for right in table.right)
    shown = [
        tuple(_render_cell(cell, at in block.literal) for at, cell in enumerate(row))
        for row in table.rows[:rows]
    ]
    headers = tuple(map(markdown_cell, table.headers))
    text = "".join(f"| {' | '.join(line)} |\n" for line in (headers, rules, *shown))
    text += "".join(f"\n{markdown_cell(clip(note))}\n" for note in table.notes)
    if block.folded:
        summary = html.escape(printable(clip(table.title)), quote=False)
        return f"\n<details><summary>{summary}</summary>\n\n{text}\n</details>\n"
    return f"\n### {markdown_cell(clip(table.title))}\n\n{text}" if table.title else f"\n{text}"


def _render_cell(text: str, literal: bool) -> str:
    return show_code(clip(text)) if literal and text else _show_plain(clip(text))


def _show_plain(text: str) -> str:
    """Text in which GitHub sees neither a person nor an issue to mention."""
    return _MENTION.sub(r"\g<0><!-- -->", markdown_cell(text))


def show_code(text: str) -> str:
    """Text as code in a cell: fenced with more backticks than it holds."""
    shown = printable(text).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, _BACKTICKS.findall(shown)), default=0))
    space = " " if len(fence) > 1 or shown.strip() != shown else ""
    return f"{fence}{space}{shown}{space}{fence}"
