"""Rows of the price book: parsing the reviewed CSV files, and refusing what contradicts itself.

One CSV row is a `PriceSet`: all prices of one model, on one surface, in one tier, for one period.
A `PriceRow` is one cell of it, which is what users see.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path

from frugalctl.errors import ConfigError

TOKEN_DIMENSIONS = (
    "input",
    "cache_write",
    "cache_write_1h",
    "cache_read",
    "output",
    "reasoning",
)
DIMENSIONS = (*TOKEN_DIMENSIONS, "storage_hour")
"""What a price can be for. US dollars per million tokens; `storage_hour` per hour on top."""

TIERS = ("standard", "batch", "flex", "priority")

SET_COLUMNS = (
    "model",
    "surface",
    "region",
    "tier",
    "above_input_tokens",
    "window",
    *DIMENSIONS,
    "valid_from",
    "valid_to",
    "source",
    "checked_on",
    "note",
)


@dataclass(frozen=True, slots=True)
class PriceSet:
    """All prices of one model under one set of conditions, for one period.

    Attributes:
        provider: whose price it is ("openai").
        model: the name in that provider's list.
        surface: where it is bought: "api" is the provider's own.
        region: a processing region with prices of its own, else "".
        tier: one of `TIERS`.
        above_input_tokens: the set holds for requests with more input tokens than this.
        window: the weekly hours it holds in (see `frugalctl.prices.windows`), else "".
        usd_per_mtok: US dollars per million tokens by dimension; what is unknown is absent.
        valid_from: first day (UTC), None if no earlier price is known.
        valid_to: the day after the last, None while it is in force.
        source: where the prices were read.
        checked_on: when; None for a fallback that nobody checked.
        note: what a reader should know, such as a doubt.
    """

    provider: str
    model: str
    surface: str
    region: str
    tier: str
    above_input_tokens: int
    window: str
    usd_per_mtok: dict[str, Decimal]
    valid_from: date | None
    valid_to: date | None
    source: str
    checked_on: date | None
    note: str

    @property
    def condition(self) -> tuple[str, str, str, str, str, int, str]:
        """What two sets must not share on the same day."""
        return (
            self.provider,
            self.model,
            self.surface,
            self.region,
            self.tier,
            self.above_input_tokens,
            self.window,
        )

    def holds_on(self, day: date) -> bool:
        """Whether the prices are in force on a day (UTC)."""
        started = self.valid_from is None or self.valid_from <= day
        return started and (self.valid_to is None or day < self.valid_to)


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One price: a dimension of one `PriceSet`, whose fields it repeats."""

    provider: str
    model: str
    surface: str
    region: str
    tier: str
    above_input_tokens: int
    window: str
    dimension: str
    valid_from: date | None
    valid_to: date | None
    usd_per_mtok: Decimal
    source: str
    checked_on: date | None
    note: str


def explode_set(prices: PriceSet) -> list[PriceRow]:
    """The single prices of a set, in the order of `DIMENSIONS`."""
    return [
        PriceRow(
            *prices.condition,
            dimension,
            prices.valid_from,
            prices.valid_to,
            prices.usd_per_mtok[dimension],
            prices.source,
            prices.checked_on,
            prices.note,
        )
        for dimension in DIMENSIONS
        if dimension in prices.usd_per_mtok
    ]


def read_table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a data file as dicts, each with its place ("openai.csv:12").

    Raises:
        ConfigError: the header or a row does not have exactly these columns.
    """
    with path.open(encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        if tuple(next(reader, ())) != columns:
            raise ConfigError(f"the columns should be {', '.join(columns)}", where=path.name)
        for cells in reader:
            where = f"{path.name}:{reader.line_num}"
            if len(cells) != len(columns):
                raise ConfigError(f"{len(cells)} cells, expected {len(columns)}", where=where)
            yield where, dict(zip(columns, cells, strict=True))


def read_prices(path: Path) -> list[PriceSet]:
    """The price sets of one provider's file, whose name is the provider's.

    Raises:
        ConfigError: a cell that does not parse, or a row without source or date of checking.
    """
    sets: list[PriceSet] = []
    for where, row in read_table(path, SET_COLUMNS):
        try:
            sets.append(_parse_set(path.stem, row))
        except (ValueError, InvalidOperation) as error:
            raise ConfigError(f"not a price row: {error}", where=where) from None
    return sets


def parse_day(cell: str) -> date | None:
    """A day, or None for an empty cell."""
    return date.fromisoformat(cell) if cell else None


def refuse_overlaps(sets: Iterable[PriceSet]) -> None:
    """Check that no two sets hold for the same condition on the same day.

    Raises:
        ConfigError: two periods overlap, or one ends before it begins.
    """
    ordered = sorted(sets, key=lambda one: (one.condition, one.valid_from or date.min))
    for condition, group in groupby(ordered, key=lambda one: one.condition):
        end = date.min
        for one in group:
            start = one.valid_from or date.min
            if start < end or (one.valid_to or date.max) <= start:
                where = " ".join(str(part) for part in condition if part)
                raise ConfigError(f"two prices on {start}", where=where)
            end = one.valid_to or date.max


def _parse_set(provider: str, row: dict[str, str]) -> PriceSet:
    if not (row["model"] and row["source"] and row["checked_on"]):
        raise ValueError("model, source and checked_on are required")
    tier = row["tier"] or "standard"
    if tier not in TIERS:
        raise ValueError(f"unknown tier {tier!r}")
    usd_per_mtok = {name: Decimal(row[name]) for name in DIMENSIONS if row[name]}
    if any(not price.is_finite() or price < 0 for price in usd_per_mtok.values()):
        raise ValueError("a price is negative or not a number")
    return PriceSet(
        provider=provider,
        model=row["model"],
        surface=row["surface"] or "api",
        region=row["region"],
        tier=tier,
        above_input_tokens=int(row["above_input_tokens"] or 0),
        window=row["window"],
        usd_per_mtok=usd_per_mtok,
        valid_from=parse_day(row["valid_from"]),
        valid_to=parse_day(row["valid_to"]),
        source=row["source"],
        checked_on=date.fromisoformat(row["checked_on"]),
        note=row["note"],
    )
