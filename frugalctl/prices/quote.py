"""One call's price, with its parts; and why a call has none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import fsum

import numpy as np

from frugalctl.errors import PriceError
from frugalctl.prices.book import PriceBook
from frugalctl.prices.resolve import ModelKey, normalize_region, normalize_tier
from frugalctl.prices.schedule import (
    INPUT_CLASSES,
    TOKEN_CLASSES,
    TOKENS_PER_MTOK,
    UNKNOWN_TIME,
    Schedule,
    day_to_us,
)


@dataclass(frozen=True, slots=True)
class Quote:
    """What one call costs.

    Attributes:
        key: whose prices.
        service_tier: in the book's words.
        tokens: counts by `TOKEN_CLASSES`.
        usd_per_mtok: US dollars per million tokens by class; a class without a price is absent.
        usd: US dollars by class.
        cost_usd: their sum.
    """

    key: ModelKey
    service_tier: str
    tokens: dict[str, int]
    usd_per_mtok: dict[str, float]
    usd: dict[str, float]
    cost_usd: float


def quote_call(
    book: PriceBook,
    model: str,
    tokens: dict[str, int],
    *,
    provider: str | None = None,
    tier: str | None = None,
    region: str | None = None,
    timestamp_us: int = UNKNOWN_TIME,
    as_of_us: int | None = None,
) -> Quote:
    """Price one call, as `price_calls` would.

    Args:
        book: the price book.
        model: as a log names it.
        tokens: counts by `TOKEN_CLASSES`; an absent class is zero.
        provider: as a log names it.
        tier: as a log names it.
        region: the provider's processing region.
        timestamp_us: of the call, microseconds since the epoch.
        as_of_us: the moment whose price list holds; by default the call's own.

    Raises:
        PriceError: the call has no price; the message says why.
    """
    counts = {name: tokens.get(name, 0) for name in TOKEN_CLASSES}
    tier = normalize_tier(tier)
    key = book.resolve(model, provider)
    schedule = book.schedule((model, provider, tier, normalize_region(region)))
    when_us = day_to_us(book.checked_on) if timestamp_us == UNKNOWN_TIME else timestamp_us
    when_us = when_us if as_of_us is None else as_of_us
    rates = _find_rates(schedule, when_us, timestamp_us, counts) if schedule else {}
    priced = all(name in rates for name, count in counts.items() if count)
    if key is None or schedule is None or not (rates and priced):
        raise PriceError(
            f"{model}: {explain_unpriced(book, model, provider, tier, when_us)}",
            hint=suggest_models(book, model) if key is None else "",
        )
    usd = {name: count * rates.get(name, 0.0) / TOKENS_PER_MTOK for name, count in counts.items()}
    return Quote(key, tier, counts, rates, usd, fsum(usd.values()))


def explain_unpriced(
    book: PriceBook, model: str, provider: str | None, tier: str | None, timestamp_us: int
) -> str:
    """Why a call has no price, in a few words.

    Args:
        book: the price book.
        model: as the log names it.
        provider: as the log names it.
        tier: as the log names it.
        timestamp_us: of the call, or `UNKNOWN_TIME`.
    """
    key = book.resolve(model, provider)
    if key is None:
        return "unknown model"
    tier = normalize_tier(tier)
    sets = book.list_sets(key, tier)
    if not sets:
        return f"no price for tier {tier}"
    us = day_to_us(book.checked_on) if timestamp_us == UNKNOWN_TIME else timestamp_us
    day = datetime.fromtimestamp(us // 1_000_000, tz=UTC).date()
    held = [one for one in sets if one.holds_on(day)]
    if not held:
        return f"no price on {day}"
    for name in ("input", "output"):
        if all(name not in one.usd_per_mtok for one in held):
            return f"no price for {name}"
    return "no price for one-hour cache writes, or for so long an input in this tier"


def suggest_models(book: PriceBook, model: str) -> str:
    """A hint with the names most like an unknown one, "" if none is."""
    from difflib import get_close_matches

    near = get_close_matches(model.rpartition("/")[2].lower(), list(book.owners), n=3)
    return f"the nearest known names are {', '.join(near)}" if near else ""


def _find_rates(
    schedule: Schedule, when_us: int, clock_us: int, tokens: dict[str, int]
) -> dict[str, float]:
    total = sum(tokens[name] for name in INPUT_CLASSES)
    cell = schedule.locate(np.array([when_us]), np.array([clock_us]), np.array([total]))[0]
    rates = zip(TOKEN_CLASSES, schedule.usd_per_mtok[cell].tolist(), strict=True)
    return {name: rate for name, rate in rates if rate == rate}
