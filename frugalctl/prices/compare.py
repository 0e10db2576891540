"""Where the book and the price tables of others disagree, and why, as far as we know."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from frugalctl.errors import MissingExtraError
from frugalctl.prices.book import DATA, PriceBook
from frugalctl.prices.resolve import LITELLM_PREFIXES, ModelKey
from frugalctl.prices.rows import TOKEN_DIMENSIONS, read_table
from frugalctl.prices.schedule import choose_set

DIFFERENCE_COLUMNS = ("peer", "models", "dimension", "reason")
UNEXPLAINED = "unexplained"
PEAK_HOUR = 8
"""An hour (UTC) of no off-peak window: genai-prices asks for a moment."""

_GENAI_PROVIDERS = {"xai": "x-ai", "moonshot": "moonshotai"}
_GENAI_FIELDS = {
    "input": "input_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "cache_read": "cache_read_mtok",
    "output": "output_mtok",
}

_Prices = dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Difference:
    """One price on which the book and another table disagree.

    Attributes:
        peer: the other table: "litellm" or "genai-prices".
        provider: whose model.
        model: its name in the book.
        condition: tier, and threshold or window where there is one ("standard >200000").
        dimension: what the price is for.
        ours: US dollars per million tokens, None if the book has no such price.
        theirs: likewise.
        explanation: why, from `known_differences.csv`, else "unexplained".
    """

    peer: str
    provider: str
    model: str
    condition: str
    dimension: str
    ours: Decimal | None
    theirs: Decimal | None
    explanation: str


@dataclass(frozen=True, slots=True)
class _Theirs:
    """What another table says of one model under one condition."""

    tier: str
    above: int
    window: str
    usd_per_mtok: _Prices


@dataclass(frozen=True, slots=True)
class _Reason:
    """One known difference."""

    peer: str
    models: str
    dimension: str
    reason: str


def compare_prices(book: PriceBook, *, on: date | None = None) -> list[Difference]:
    """Compare the book's prices with those of the installed litellm and genai-prices.

    Each price that they state is looked up in the book under the same condition. A price that only
    one side states counts where it would change a bill: a cache price beside none, which stands for
    the price of input.

    Args:
        book: the price book.
        on: the day whose prices to compare, by default the book's own. litellm has no dates, so
            its prices are the same on all days.

    Raises:
        MissingExtraError: genai-prices is not installed.
    """
    reasons = _read_reasons(DATA / "known_differences.csv")
    genai = _open_genai()
    day = on or book.checked_on
    found: list[Difference] = []
    for provider, model in sorted(book.sets):
        key = ModelKey(provider, model)
        for stated in _list_litellm(book, provider, model):
            found += _compare(book, key, "litellm", stated, reasons, day)
        for stated in _list_genai(genai, provider, model, day):
            found += _compare(book, key, "genai-prices", stated, reasons, day)
    return found


def _compare(
    book: PriceBook, key: ModelKey, peer: str, stated: _Theirs, reasons: list[_Reason], day: date
) -> Iterator[Difference]:
    sets = book.list_sets(key, stated.tier)
    windows = {one.window for one in sets if one.window and one.holds_on(day)}
    chosen = choose_set(sets, day, stated.above, windows if stated.window else ())
    ours = chosen.usd_per_mtok if chosen else {}
    above = f" >{stated.above}" if stated.above else ""
    condition = f"{stated.tier}{above}{' off peak' if stated.window else ''}"
    for dimension in TOKEN_DIMENSIONS:
        mine, other = ours.get(dimension), stated.usd_per_mtok.get(dimension)
        stated_by_one = mine is not None or other is not None
        if stated_by_one and _bill(ours, dimension) != _bill(stated.usd_per_mtok, dimension):
            reason = _explain(reasons, peer, f"{key.provider}/{key.model}", dimension)
            yield Difference(
                peer, key.provider, key.model, condition, dimension, mine, other, reason
            )


def _bill(usd_per_mtok: _Prices, dimension: str) -> Decimal | None:
    """What tokens cost: a dimension without a price costs what the one it belongs to costs."""
    whole = {"reasoning": "output", "output": "output"}.get(dimension, "input")
    return usd_per_mtok.get(dimension, usd_per_mtok.get(whole))


def _list_litellm(book: PriceBook, provider: str, model: str) -> Iterator[_Theirs]:
    entries = book.litellm.entries
    prefixes = LITELLM_PREFIXES.get(provider, (provider,))
    names = [*(f"{prefix}/{model}" for prefix in prefixes), model]
    for name in names:
        if name in entries and book.resolve(name, provider) == ModelKey(provider, model):
            sets, _ = book.fallback_sets(name, provider)
            for one in sets:
                if one.usd_per_mtok:
                    yield _Theirs(one.tier, one.above_input_tokens, one.window, one.usd_per_mtok)
            return


def _open_genai() -> Any:
    try:
        from genai_prices import data_snapshot
    except ModuleNotFoundError:
        raise MissingExtraError("genai-prices", "peers") from None
    return data_snapshot.get_snapshot()


def _list_genai(genai: Any, provider: str, model: str, day: date) -> Iterator[_Theirs]:
    try:
        owner = _GENAI_PROVIDERS.get(provider, provider)
        _, entry = genai.find_provider_model(model, None, owner, None)
    except LookupError:
        return
    moment = datetime.combine(day, time(PEAK_HOUR), tzinfo=UTC)
    prices = entry.get_prices(moment)
    fields = {name: getattr(prices, field) for name, field in _GENAI_FIELDS.items()}
    stated = {name: value for name, value in fields.items() if value is not None}
    thresholds = {tier.start for value in stated.values() for tier in getattr(value, "tiers", ())}
    for above in sorted({0, *thresholds}):
        at = {name: _price_above(value, above) for name, value in stated.items()}
        if at:
            yield _Theirs("standard", above, "", at)


def _price_above(value: Any, above: int) -> Decimal:
    """The price of a request with more input than `above`, which may be one for all sizes."""
    tiers = [tier for tier in getattr(value, "tiers", ()) if tier.start <= above]
    if tiers:
        return max(tiers, key=lambda tier: tier.start).price
    return getattr(value, "base", value)


def _read_reasons(path: Path) -> list[_Reason]:
    return [_Reason(**row) for _, row in read_table(path, DIFFERENCE_COLUMNS)]


def _explain(reasons: list[_Reason], peer: str, model: str, dimension: str) -> str:
    for known in reasons:
        if (
            fnmatchcase(peer, known.peer)
            and any(fnmatchcase(model, glob) for glob in known.models.split())
            and fnmatchcase(dimension, known.dimension)
        ):
            return known.reason
    return UNEXPLAINED
