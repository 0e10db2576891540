"""The price book: dated, reviewed prices shipped as data, and litellm's map behind them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import TypeVar

from frugalctl.prices.fallback import LitellmMap, litellm_version, load_litellm_map, read_entry
from frugalctl.prices.resolve import HOSTS, ModelKey, resolve_model
from frugalctl.prices.rows import (
    PriceRow,
    PriceSet,
    explode_set,
    read_prices,
    read_table,
    refuse_overlaps,
)
from frugalctl.prices.rules import Rule, apply_rules, find_rules, read_rules
from frugalctl.prices.schedule import Schedule, Table, compile_schedule, stack_schedules

DATA = Path(__file__).parent / "data"
ALIAS_COLUMNS = ("provider", "alias", "model", "note")
_MOST_REMEMBERED = 10_000
_MOST_IN_TABLE = 100
_NOT_PRICES = frozenset({"aliases.csv", "cache_rules.csv", "tiers.csv", "known_differences.csv"})

Key = TypeVar("Key")
Value = TypeVar("Value")
Combination = tuple[str | None, str | None, str | None, str | None]
"""Model, provider, service tier and region, as a log names them."""


_Keys = dict[tuple[str, str | None], ModelKey | None]
_Entries = dict[str, tuple[list[PriceSet], list[Rule]]]
_Schedules = dict[Combination, Schedule | None]
_Tables = dict[tuple[Combination, ...], Table]


@dataclass(frozen=True, slots=True)
class _Memory:
    """What a book has worked out so far; it changes nothing that the book says."""

    keys: _Keys = field(default_factory=_Keys)
    entries: _Entries = field(default_factory=_Entries)
    schedules: _Schedules = field(default_factory=_Schedules)
    tables: _Tables = field(default_factory=_Tables)


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Prices of all models that we reviewed, and litellm's for the rest.

    Attributes:
        sets: price sets by (provider, model).
        owners: providers by model name.
        aliases: model names by (provider, other name).
        rules: tier and region multipliers.
        checked_on: the newest day on which a row was checked: the book's own date.
        content: short hash of the data files.
        use_litellm: whether litellm's map is asked for models that the book lacks.
    """

    sets: dict[tuple[str, str], list[PriceSet]]
    owners: dict[str, list[str]]
    aliases: dict[tuple[str, str], str]
    rules: list[Rule]
    checked_on: date
    content: str
    use_litellm: bool = True
    memory: _Memory = field(default_factory=_Memory, compare=False, repr=False)

    @property
    def book_id(self) -> str:
        """What identifies every price this book can give: date, content, litellm's version."""
        fallback = f"+litellm-{litellm_version()}" if self.use_litellm else ""
        return f"{self.checked_on}-{self.content}{fallback}"

    @property
    def litellm(self) -> LitellmMap:
        """The map of the installed litellm, read at the first use."""
        return load_litellm_map() if self.use_litellm else LitellmMap("", {})

    def list_owners(self, model: str) -> list[str]:
        """Who sells a model of that name, where only one can be meant."""
        owners = [owner for owner in self.owners.get(model, []) if owner not in HOSTS]
        return owners if len(owners) == 1 else []

    def resolve(self, model: str, provider: str | None = None) -> ModelKey | None:
        """The key of a model as a log names it; None if nobody lists a price for it.

        Args:
            model: the name in the log.
            provider: the provider in the log, if it has one.
        """
        return _remember(
            self.memory.keys, (model, provider), lambda: resolve_model(self, model, provider)
        )

    def rows(self) -> list[PriceRow]:
        """Every single price of the book, without litellm's."""
        return [row for sets in self.sets.values() for one in sets for row in explode_set(one)]

    def fallback_sets(self, name: str, provider: str) -> tuple[list[PriceSet], list[Rule]]:
        """Price sets and region rules of one entry of litellm's map."""
        return _remember(self.memory.entries, name, lambda: read_entry(name, provider))

    def list_sets(self, key: ModelKey, tier: str = "standard", region: str = "") -> list[PriceSet]:
        """The price sets of a model in one tier and region, of all periods.

        Args:
            key: what `resolve` gave.
            tier: "standard", "batch", "flex" or "priority".
            region: the processing region, "" for none. A region without prices of its own costs
                what the model costs anywhere.

        Returns:
            Empty where the tier is not offered, or its price not known.
        """
        if key.origin == "litellm":
            sets, rules = self.fallback_sets(key.model, key.provider)
            rules = [*rules, *self.rules]
        else:
            found = self.sets[key.provider, key.model]
            sets, rules = [one for one in found if one.surface == key.surface], self.rules
        local = [one for one in sets if region and one.region == region]
        sets = local or [one for one in sets if not one.region]
        in_tier = [one for one in sets if one.tier == tier]
        if not in_tier:
            standard = [one for one in sets if one.tier == "standard"]
            in_tier = _apply(standard, find_rules(rules, key.provider, key.model, "tier", tier))
        if local or not region:
            return in_tier
        return (
            _apply(in_tier, find_rules(rules, key.provider, key.model, "region", region)) or in_tier
        )

    def schedule(self, combination: Combination) -> Schedule | None:
        """The compiled prices of a combination, None where the model or tier is not priced.

        Args:
            combination: model, provider, tier and region as the log names them; the tier and the
                region in the book's words.
        """
        return _remember(self.memory.schedules, combination, lambda: self._compile(combination))

    def _compile(self, combination: Combination) -> Schedule | None:
        model, provider, tier, region = combination
        key = self.resolve(model, provider) if model else None
        sets = self.list_sets(key, tier or "standard", region or "") if key else []
        fallback = key is not None and key.origin == "litellm"
        return compile_schedule(sets, fallback=fallback) if sets else None

    def table(self, combinations: tuple[Combination, ...]) -> Table:
        """The compiled prices of several combinations, one after the other."""
        if len(combinations) > _MOST_IN_TABLE:
            return stack_schedules([self.schedule(one) for one in combinations])
        return _remember(
            self.memory.tables,
            combinations,
            lambda: stack_schedules([self.schedule(one) for one in combinations]),
        )


@cache
def load_book(folder: Path = DATA, *, use_litellm: bool = True) -> PriceBook:
    """Read the price book.

    Args:
        folder: where the CSV files are.
        use_litellm: whether to ask litellm's map for what the book lacks.

    Raises:
        ConfigError: a row that does not parse, lacks its source, or contradicts another one.
    """
    files = sorted(folder.glob("*.csv"))
    sets = [one for path in files if path.name not in _NOT_PRICES for one in read_prices(path)]
    refuse_overlaps(sets)
    aliases = [row for _, row in read_table(folder / "aliases.csv", ALIAS_COLUMNS)]
    by_model = _group_sets(sets)
    owners: dict[str, list[str]] = defaultdict(list)
    for provider, model in by_model:
        owners[model].append(provider)
    for row in aliases:
        owners[row["alias"]].append(row["provider"])
    return PriceBook(
        sets=by_model,
        owners=dict(owners),
        aliases={(row["provider"], row["alias"]): row["model"] for row in aliases},
        rules=read_rules(folder / "tiers.csv"),
        checked_on=max(one.checked_on for one in sets if one.checked_on),
        content=_hash_files(files),
        use_litellm=use_litellm,
    )


def _remember(known: dict[Key, Value], key: Key, make: Callable[[], Value]) -> Value:
    """What was made for a key, made now if it was not; forgets all when there is too much."""
    if key not in known:
        made = make()
        if len(known) >= _MOST_REMEMBERED:
            known.clear()
        known[key] = made
    return known[key]


def _apply(sets: list[PriceSet], rules: list[Rule]) -> list[PriceSet]:
    return [made for one in sets for made in apply_rules(one, rules)] if rules else []


def _group_sets(sets: Iterable[PriceSet]) -> dict[tuple[str, str], list[PriceSet]]:
    groups: dict[tuple[str, str], list[PriceSet]] = defaultdict(list)
    for one in sets:
        groups[one.provider, one.model].append(one)
    return dict(groups)


def _hash_files(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:8]
