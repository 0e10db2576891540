"""Tier and region rules: what a tier costs where the book has no row of its own for it.

A rule multiplies standard prices: batch at half, data residency at 1.1 times. A dimension that
no rule of a tier covers does not exist in that tier; cache reads are then plain input.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from pathlib import Path

from frugalctl.errors import ConfigError
from frugalctl.prices.rows import DIMENSIONS, TOKEN_DIMENSIONS, PriceSet, parse_day, read_table

RULE_COLUMNS = (
    "provider",
    "models",
    "kind",
    "value",
    "dimension",
    "multiplier",
    "valid_from",
    "valid_to",
    "source",
    "checked_on",
    "note",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One multiplier on standard prices.

    Attributes:
        provider: whose prices.
        models: a glob over the provider's model names, or several divided by spaces.
        kind: "tier" or "region".
        value: the tier ("batch") or region ("us").
        dimension: one of `DIMENSIONS`, or "*" for all prices of tokens without a rule of their
            own (storage is not one).
        multiplier: what the standard price is multiplied with.
        valid_from: first day (UTC), or None.
        valid_to: the day after the last, or None.
        source: where it was read.
        checked_on: when.
        note: what a reader should know.
    """

    provider: str
    models: str
    kind: str
    value: str
    dimension: str
    multiplier: Decimal
    valid_from: date | None
    valid_to: date | None
    source: str
    checked_on: date | None
    note: str


def read_rules(path: Path) -> list[Rule]:
    """The rules of `tiers.csv`.

    Raises:
        ConfigError: a cell that does not parse, or a row without source or date of checking.
    """
    rules: list[Rule] = []
    for where, row in read_table(path, RULE_COLUMNS):
        try:
            rules.append(_parse_rule(row))
        except (ValueError, InvalidOperation) as error:
            raise ConfigError(f"not a rule: {error}", where=where) from None
    return rules


def find_rules(rules: list[Rule], provider: str, model: str, kind: str, value: str) -> list[Rule]:
    """The rules for one model's tier or region, of the first glob that names the model."""
    found = [
        rule
        for rule in rules
        if rule.provider == provider
        and (rule.kind, rule.value) == (kind, value)
        and any(fnmatchcase(model, glob) for glob in rule.models.split())
    ]
    return [rule for rule in found if rule.models == found[0].models]


def apply_rules(prices: PriceSet, rules: list[Rule]) -> list[PriceSet]:
    """A set under a tier or region, once for each period that the rules hold in.

    Args:
        prices: a set of standard prices.
        rules: what `find_rules` gave; those for the same period make one set together.
    """
    made: list[PriceSet] = []
    for start, end in sorted(
        {(rule.valid_from, rule.valid_to) for rule in rules},
        key=lambda period: period[0] or date.min,
    ):
        valid_from, valid_to = _cut(prices, start, end)
        if (valid_from or date.min) >= (valid_to or date.max):
            continue
        now = {r.dimension: r for r in rules if (r.valid_from, r.valid_to) == (start, end)}
        first = next(iter(now.values()))
        made.append(
            replace(
                prices,
                tier=first.value if first.kind == "tier" else prices.tier,
                region=first.value if first.kind == "region" else prices.region,
                usd_per_mtok=_multiply(prices.usd_per_mtok, now),
                valid_from=valid_from,
                valid_to=valid_to,
                source=first.source,
                checked_on=first.checked_on,
                note=first.note,
            )
        )
    return made


def _multiply(usd_per_mtok: dict[str, Decimal], rules: dict[str, Rule]) -> dict[str, Decimal]:
    general = {name: rules["*"] for name in TOKEN_DIMENSIONS} if "*" in rules else {}
    applied = {**general, **rules}
    return {
        name: price * applied[name].multiplier
        for name, price in usd_per_mtok.items()
        if name in applied
    }


def _cut(prices: PriceSet, start: date | None, end: date | None) -> tuple[date | None, date | None]:
    starts = [day for day in (prices.valid_from, start) if day]
    ends = [day for day in (prices.valid_to, end) if day]
    return (max(starts) if starts else None, min(ends) if ends else None)


def _parse_rule(row: dict[str, str]) -> Rule:
    if not (row["source"] and row["checked_on"]):
        raise ValueError("source and checked_on are required")
    if row["kind"] not in ("tier", "region"):
        raise ValueError(f"kind is {row['kind']!r}, neither tier nor region")
    if row["dimension"] not in (*DIMENSIONS, "*"):
        raise ValueError(f"unknown dimension {row['dimension']!r}")
    return Rule(
        provider=row["provider"],
        models=row["models"],
        kind=row["kind"],
        value=row["value"],
        dimension=row["dimension"],
        multiplier=Decimal(row["multiplier"]),
        valid_from=parse_day(row["valid_from"]),
        valid_to=parse_day(row["valid_to"]),
        source=row["source"],
        checked_on=date.fromisoformat(row["checked_on"]),
        note=row["note"],
    )
