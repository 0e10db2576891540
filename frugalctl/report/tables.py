"""Tables of text: the one form that every human-readable renderer starts from."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

UNKNOWN = "unknown"
_LONGEST_CELL = 4_000
_MARKDOWN = re.compile(r"[\\`*\[\]|]")


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table.

    Attributes:
        title: one line.
        columns: headers; a trailing ">" asks for right alignment and is not printed.
        rows: cells, as many as columns.
        notes: lines to print below.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()

    @property
    def headers(self) -> tuple[str, ...]:
        """The column headers as printed."""
        return tuple(column.removesuffix(">") for column in self.columns)

    @property
    def right(self) -> tuple[bool, ...]:
        """Which columns are aligned to the right."""
        return tuple(column.endswith(">") for column in self.columns)


def render_markdown(tables: Sequence[Table]) -> str:
    """The tables in GitHub's Markdown."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    rules = ["---:" if right else "---" for right in table.right]
    lines = [table.headers, tuple(rules), *table.rows]
    body = "\n".join(f"| {' | '.join(map(markdown_cell, line))} |" for line in lines)
    notes = "".join(f"\n\n{markdown_cell(note)}" for note in table.notes)
    return f"### {markdown_cell(table.title)}\n\n{body}{notes}\n"


def markdown_cell(text: str) -> str:
    """Text on one line in which nothing is markup."""
    one_line = " ".join(clip(text, _LONGEST_CELL).split())
    shown = printable(one_line).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKDOWN.sub(r"\\\g<0>", shown)


def printable(text: str) -> str:
    """Text from a log or a file name without what terminals, or the logs of a CI server, obey."""
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return shown.replace("##[", "\\x23#[")  # begins a workflow command, anywhere in a line


def clip(text: str, length: int = 200) -> str:
    """No more of a text than there is room for."""
    return text if len(text) <= length else text[: length - 1] + "…"


def render_csv(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Comma-separated values, with a header; unknown is empty, truth as in JSON."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    words = {None: "", True: "true", False: "false"}
    writer.writerows(
        [
            [words[cell] if cell is None or isinstance(cell, bool) else cell for cell in row]
            for row in rows
        ]
    )
    return out.getvalue()


def format_usd(value: float | None, *, sign: bool = False) -> str:
    """Dollars: to the cent from $100, to 4 places from $1, else to 6, or 2 digits that count."""
    if value is None:
        return UNKNOWN
    mark = "-" if value < 0 else "+" if sign and value > 0 else ""
    return f"{mark}${abs(value):,.{count_decimals(value)}f}"


def count_decimals(usd: float) -> int:
    """How many decimals an amount of dollars is shown with."""
    digits = 2 if abs(usd) >= 100 else 4 if abs(usd) >= 1 else 6
    if 1e-12 <= abs(usd) < 1e-4:
        digits = max(digits, 1 - math.floor(math.log10(abs(usd))))
    return digits


def format_usd_interval(interval: tuple[float, float] | None, *, sign: bool = False) -> str:
    """An interval of dollars in brackets, without their sign."""
    if interval is None:
        return ""
    return format_interval(interval, count_decimals(max(map(abs, interval))), sign=sign)


def format_number(value: float | None, digits: int = 0, *, sign: bool = False) -> str:
    """A number with thousands separated."""
    if value is None:
        return UNKNOWN
    return f"{value:{'+' if sign else ''}z,.{digits}f}"


def format_percent(value: float | None) -> str:
    """A signed percentage."""
    return UNKNOWN if value is None else f"{value:+z.1f} %"


def format_interval(
    interval: tuple[float, float] | None, digits: int, *, sign: bool = False
) -> str:
    """An interval in brackets."""
    if interval is None:
        return ""
    low, high = (format_number(end, digits, sign=sign) for end in interval)
    return f"[{low}, {high}]"
