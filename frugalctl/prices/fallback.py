"""The price map inside the installed litellm, for models that the book does not have.

litellm itself is never imported (that takes seconds and may touch the network): its packaged JSON
is read as data, and each entry is decoded only when it is asked for. The map has no dates, so its
prices count as always in force, and whatever comes from it is labelled as fallback.

A price of zero in it mostly means "nobody filled this in", so zero is unknown here, unless the
model's own name says that it is free.
"""

from __future__ import annotations

import importlib.util
import re
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, cast

import msgspec

from frugalctl.prices.rows import PriceSet
from frugalctl.prices.rules import Rule

MAP_NAME = "model_prices_and_context_window_backup.json"
TOKENS = Decimal(1_000_000)

_DIMENSION_OF = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "output_cost_per_reasoning_token": "reasoning",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
}
_TIER_OF = {None: "standard", "batches": "batch", "flex": "flex", "priority": "priority"}
_FIELD = re.compile(
    rf"({'|'.join(sorted(_DIMENSION_OF, key=len, reverse=True))})"
    r"(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?"
)
_UPLIFT = "regional_processing_uplift_multiplier_"
_NOTE = "fallback: undated, not reviewed"
_FREE = re.compile(r"(^|[-:/_])free($|[-:/_])")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_Prices = dict[tuple[str, int, str], dict[str, Decimal]]


@dataclass(frozen=True, slots=True)
class LitellmMap:
    """litellm's price map, undecoded.

    Attributes:
        version: of the installed litellm, "" if there is none.
        entries: JSON text by model name.
    """

    version: str
    entries: dict[str, msgspec.Raw]

    def provider_of(self, name: str) -> str:
        """The `litellm_provider` of an entry."""
        return msgspec.json.decode(self.entries[name], type=_Provider).litellm_provider


class _Provider(msgspec.Struct):
    litellm_provider: str = ""


@cache
def load_litellm_map() -> LitellmMap:
    """The installed litellm's price map; empty if litellm is not installed."""
    spec = importlib.util.find_spec("litellm")
    if spec is None or spec.origin is None:
        return LitellmMap("", {})
    package = Path(spec.origin).parent
    text = (package / MAP_NAME).read_bytes()
    return LitellmMap(litellm_version(), msgspec.json.decode(text, type=dict[str, msgspec.Raw]))


@cache
def litellm_version() -> str:
    """The version of the installed litellm, "" if there is none."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("litellm")
    except PackageNotFoundError:
        return ""


def read_entry(name: str, provider: str) -> tuple[list[PriceSet], list[Rule]]:
    """The prices of one model in litellm's map.

    Args:
        name: a key of the map.
        provider: what to call the provider in the rows.

    Returns:
        Price sets, and rules for the regions that the entry prices by a multiplier. Both are
        empty for an entry that is not priced by tokens.
    """
    found = load_litellm_map()
    entry: dict[str, Any] = msgspec.json.decode(found.entries[name])
    prices: _Prices = defaultdict(dict)
    _read_fields(entry, "", prices)
    _read_ranges(entry, prices)
    _read_off_peak(entry, prices)
    if not _FREE.search(name.lower()):
        prices = {key: {d: p for d, p in row.items() if p} for key, row in prices.items()}
    if not prices.get(("standard", 0, "")):
        return [], []
    _complete(prices)
    source = f"litellm {found.version}"
    sets = [_make_set(name, provider, condition, row, source) for condition, row in prices.items()]
    return sets, _read_regions(entry, name, provider, source)


def _make_set(
    name: str, provider: str, condition: tuple[str, int, str], row: dict[str, Decimal], source: str
) -> PriceSet:
    tier, above, window = condition
    return PriceSet(
        provider=provider,
        model=name,
        surface="api",
        region="",
        tier=tier,
        above_input_tokens=above,
        window=window,
        usd_per_mtok=row,
        valid_from=None,
        valid_to=None,
        source=source,
        checked_on=None,
        note=_NOTE,
    )


def _read_fields(fields: dict[str, Any], window: str, prices: _Prices, above: int = 0) -> None:
    for name, value in fields.items():
        match = _FIELD.fullmatch(name)
        if match is None or not isinstance(value, int | float):
            continue
        field, thousands, tier = match.groups()
        threshold = int(thousands) * 1000 if thousands else above
        row = prices.setdefault((_TIER_OF[tier], threshold, window), {})
        row[_DIMENSION_OF[field]] = (Decimal(str(value)) * TOKENS).normalize()


def _read_ranges(entry: dict[str, Any], prices: _Prices) -> None:
    for fields in cast(list[dict[str, Any]], entry.get("tiered_pricing") or []):
        if "range" in fields:
            _read_fields(fields, "", prices, above=int(fields["range"][0]))


def _read_off_peak(entry: dict[str, Any], prices: _Prices) -> None:
    fields: dict[str, Any] = entry.get("off_peak_pricing") or {}
    parts: list[str] = []
    for window in cast(list[dict[str, Any]], fields.get("windows") or []):
        hours: str | list[str] = window["hours_utc"]
        ranges = " ".join([hours] if isinstance(hours, str) else hours)
        parts += [f"{_WEEKDAYS[day - 1]} {ranges}" for day in window["weekdays"]]
    if parts:
        _read_fields(fields, "; ".join(parts), prices)


def _complete(prices: _Prices) -> None:
    """Fill what a context tier leaves out from its base; close tiers that lack a threshold.

    A batch price without its long-context price is not the batch price of a long request: such a
    set stays empty, so that the request is unpriced.
    """
    thresholds = {above for _, above, _ in prices if above}
    for tier in {tier for tier, _, _ in prices}:
        base = prices.get((tier, 0, ""), {})
        own = {above for t, above, _ in prices if t == tier and above}
        for above in thresholds:
            prices[tier, above, ""] = {**base, **prices[tier, above, ""]} if above in own else {}


def _read_regions(entry: dict[str, Any], name: str, provider: str, source: str) -> list[Rule]:
    special: dict[str, Any] = entry.get("provider_specific_entry") or {}
    uplifts = {"us": special["us"]} if "us" in special else {}
    for field, value in entry.items():
        if field.startswith(_UPLIFT):
            uplifts[field.removeprefix(_UPLIFT)] = value
    return [
        Rule(
            provider=provider,
            models=name,
            kind="region",
            value=region,
            dimension="*",
            multiplier=Decimal(str(multiplier)),
            valid_from=None,
            valid_to=None,
            source=source,
            checked_on=None,
            note=_NOTE,
        )
        for region, multiplier in uplifts.items()
    ]
