"""What it costs to keep a named cache."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from frugalctl.prices.book import PriceBook
from frugalctl.prices.cost import Calls
from frugalctl.prices.schedule import TOKENS_PER_MTOK, UNKNOWN_TIME, Float64s, choose_set


def price_storage(
    book: PriceBook, calls: Calls, token_hours: Float64s, *, as_of_us: int | None = None
) -> Float64s:
    """The dollars of the storage that calls began or prolonged.

    Args:
        book: the price book.
        calls: n calls, whose model, provider and time decide the price.
        token_hours: float64[n], tokens times hours of storage.
        as_of_us: price all by the list of this moment instead.

    Returns:
        float64[n], 0 where nothing is stored, NaN where storage has no known price.
    """
    usd = np.zeros(len(token_hours))
    rows = np.flatnonzero(token_hours)
    if not len(rows):
        return usd
    models: list[Any] = calls.model.take(rows).to_pylist()
    providers: list[Any] = (
        [None] * len(rows) if calls.provider is None else calls.provider.take(rows).to_pylist()
    )
    prices: dict[tuple[Any, Any, int], float] = {}
    for row, model, provider in zip(rows.tolist(), models, providers, strict=True):
        when_us = as_of_us if as_of_us is not None else int(calls.timestamp_us[row])
        key = (model, provider, when_us // 86_400_000_000)
        if key not in prices:
            prices[key] = _find_price(book, model, provider, when_us)
        usd[row] = token_hours[row] * prices[key] / TOKENS_PER_MTOK
    return usd


def _find_price(book: PriceBook, model: str | None, provider: str | None, when_us: int) -> float:
    """USD per million tokens and hour, NaN if unknown."""
    key = book.resolve(model, provider) if model else None
    if key is None:
        return float("nan")
    day = book.checked_on
    if when_us != UNKNOWN_TIME:
        day = datetime.fromtimestamp(when_us / 1e6, tz=UTC).date()
    found = choose_set(book.list_sets(key), day, 0)
    price = found.usd_per_mtok.get("storage_hour") if found else None
    return float("nan") if price is None else float(price)
