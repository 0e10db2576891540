"""The parts that the template lays out: headings, text, pictures, tables."""

from __future__ import annotations

from dataclasses import dataclass

from frugalctl.report.tables import Table


@dataclass(frozen=True, slots=True)
class Card:
    """A headline figure.

    Attributes:
        title: what it is.
        value: the figure, of the recipe where there is one.
        interval: its 95 % interval.
        change: against the baseline; "" without one.
        change_interval: of the change.
        tone: "good", "bad" or "" for neither, as far as the interval tells.
        before: the baseline's figure and interval.
        coverage: over how many requests.
        caveat: what the figure would be if what is unknown were the worst.
    """

    title: str
    value: str
    interval: str
    change: str
    change_interval: str
    tone: str
    before: str
    coverage: str
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture.

    Attributes:
        name: its id.
        title: what it shows.
        text: what one sees in it, for those who do not see it.
        svg: the picture.
        data: the same as a table; None where a table stands beside it anyway.
        wide: whether it takes the whole width.
    """

    name: str
    title: str
    text: str
    svg: str
    data: Table | None = None
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """What a request asked, for those who may read it."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it, in this order."""

    name: str
    title: str
    lead: str = ""
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    passages: tuple[Passage, ...] = ()
    beside: bool = False
