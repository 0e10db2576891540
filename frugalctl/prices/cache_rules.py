"""Dated, sourced rules of prompt caches: how a prefix matches, how long it lives, who is billed.

The first row of a provider and mode whose glob names the model, and which is in force, holds;
so rows stand from the special to the general. Mode "none" stands for all modes. Prices are not
here but in the price book; the multipliers are what providers say, for readers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from frugalctl.errors import ConfigError
from frugalctl.prices.rows import parse_day, read_table

FILE = Path(__file__).parent / "data" / "cache_rules.csv"
ENGINES = ("none", "blocks", "breakpoints", "units", "named", "radix", "slot", "modules")
STATUSES = ("documented", "third party", "unverified")

_INTEGERS = (
    "unit_tokens",
    "min_tokens",
    "step_tokens",
    "fresh_min_tokens",
    "max_breakpoints",
    "lookback_blocks",
    "ttl_s",
    "max_life_s",
    "min_life_s",
)
_CHOICES = {
    "engine": ENGINES,
    "status": STATUSES,
    "ttl_kind": ("", "sliding", "fixed"),
    "visible": ("", "immediately", "response_start", "after_request"),
    "written_as": ("", "fresh", "write", "write_1h"),
}


@dataclass(frozen=True, slots=True)
class CacheRule:
    """How one provider caches the prompts of some models in one mode.

    Attributes:
        provider: whose cache.
        mode: "implicit", "explicit", "5m", "24h" and so on.
        models: a glob over model names, or several divided by spaces.
        engine: what matches; "none" where there is no cache.
        unit_tokens: the match unit.
        min_tokens: the shortest prefix that is cached.
        step_tokens: cached tokens come in multiples of this.
        fresh_min_tokens: tokens of a repeated prompt that are computed all the same.
        max_breakpoints: most breakpoints a request.
        lookback_blocks: blocks that a read tries from a breakpoint, that one included.
        ttl_s: lifetime in seconds.
        ttl_kind: "sliding" if a hit renews it, "fixed" if not.
        max_life_s: seconds that an entry lives at most.
        min_life_s: seconds that it is promised to live.
        visible: when an entry can be read.
        written_as: the token class that new tokens are billed in.
        write_multiplier: price of a write as a multiple of input.
        read_multiplier: price of a read as a multiple of input; "" where it differs by model.
        storage_usd_per_mtok_hour: price of storage, "" if none.
        isolation: who shares a cache.
        status: "documented", "third party" or "unverified".
        pessimistic: settings that differ in the pessimistic bound ("ttl=1h"), "" if none.
        optimistic: the same for the optimistic bound.
        valid_from: first day (UTC), or None.
        valid_to: the day after the last, or None.
        source: where it was read.
        checked_on: when.
        note: what a reader should know.
    """

    provider: str
    mode: str
    models: str
    engine: str
    unit_tokens: int | None
    min_tokens: int | None
    step_tokens: int | None
    fresh_min_tokens: int | None
    max_breakpoints: int | None
    lookback_blocks: int | None
    ttl_s: int | None
    ttl_kind: str
    max_life_s: int | None
    min_life_s: int | None
    visible: str
    written_as: str
    write_multiplier: str
    read_multiplier: str
    storage_usd_per_mtok_hour: str
    isolation: str
    status: str
    pessimistic: str
    optimistic: str
    valid_from: date | None
    valid_to: date | None
    source: str
    checked_on: date
    note: str

    def names(self, model: str) -> bool:
        """Whether the rule is for a model, as `strip_model` writes it."""
        return any(fnmatchcase(model, glob) for glob in self.models.split())

    def holds_on(self, day: date | None) -> bool:
        """Whether the rule is in force on a day (UTC); None asks for the newest."""
        if day is None:
            return self.valid_to is None
        started = self.valid_from is None or self.valid_from <= day
        return started and (self.valid_to is None or day < self.valid_to)


COLUMNS = tuple(CacheRule.__dataclass_fields__)


@cache
def load_cache_rules() -> tuple[CacheRule, ...]:
    """All rules, in the order of the file.

    Raises:
        ConfigError: a cell that does not parse, or a row without source or date of checking.
    """
    return tuple(read_cache_rules(FILE))


def read_cache_rules(path: Path) -> list[CacheRule]:
    """The rules of a file.

    Raises:
        ConfigError: a cell that does not parse, or a row without source or date of checking.
    """
    rules: list[CacheRule] = []
    for where, row in read_table(path, COLUMNS):
        try:
            rules.append(_parse_rule(row))
        except ValueError as error:
            raise ConfigError(f"not a cache rule: {error}", where=where) from None
    return rules


def list_providers() -> list[str]:
    """The providers that have rules, in the order of the file."""
    return list(dict.fromkeys(rule.provider for rule in load_cache_rules()))


def list_modes(provider: str) -> list[str]:
    """The modes of a provider's cache, in the order of the file."""
    rules = load_cache_rules()
    modes = (rule.mode for rule in rules if rule.provider == provider and rule.engine != "none")
    return list(dict.fromkeys(modes))


def find_cache_rule(provider: str, mode: str, model: str, day: date | None) -> CacheRule | None:
    """The rule for a model, None if the provider has none at all.

    Args:
        provider: as `list_providers` writes it.
        mode: one of `list_modes`; "" takes what the model has by default.
        model: as a log names it; "" for the general row, or the first if there is none.
        day: when (UTC); None for now.
    """
    fitting = [
        rule
        for rule in load_cache_rules()
        if rule.provider == provider
        and (mode in ("", rule.mode) or rule.mode == "none")
        and rule.holds_on(day)
    ]
    name = strip_model(model)
    if name:
        return next((rule for rule in fitting if rule.names(name)), None)
    cached = [rule for rule in fitting if rule.engine != "none"]
    return next((rule for rule in cached if rule.models == "*"), cached[0] if cached else None)


def strip_model(model: str) -> str:
    """A model's name without provider prefix, in lower case."""
    return re.sub(r"^ft:", "", model.lower().rsplit("/", 1)[-1])


def _parse_rule(row: dict[str, str]) -> CacheRule:
    for name in ("provider", "mode", "models", "source", "checked_on"):
        if not row[name]:
            raise ValueError(f"{name} is required")
    for name, choices in _CHOICES.items():
        if row[name] not in choices:
            raise ValueError(f"{name} is {row[name]!r}")
    integers = {name: int(row[name]) if row[name] else None for name in _INTEGERS}
    if any(value is not None and value < 0 for value in integers.values()):
        raise ValueError("a number is negative")
    cells: dict[str, Any] = {
        **row,
        **integers,
        "valid_from": parse_day(row["valid_from"]),
        "valid_to": parse_day(row["valid_to"]),
        "checked_on": date.fromisoformat(row["checked_on"]),
    }
    return CacheRule(**cells)
