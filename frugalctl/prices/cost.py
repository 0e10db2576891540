"""What model calls cost: columns in, columns out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from frugalctl.prices.book import Combination, PriceBook
from frugalctl.prices.resolve import normalize_region, normalize_tier
from frugalctl.prices.schedule import (
    INPUT_CLASSES,
    TOKEN_CLASSES,
    TOKENS_PER_MTOK,
    UNKNOWN_TIME,
    Float64s,
    Int64s,
    Table,
    day_to_us,
)

_DENSE_CODES = 1 << 16


@dataclass(frozen=True, slots=True)
class Calls:
    """Model calls, column by column; n of them.

    Attributes:
        model: names, string or dictionary<string>, shape (n,).
        provider: likewise; None where the log has none.
        service_tier: likewise: "batch", "flex", "priority", or a name of the standard tier.
        region: likewise: the provider's processing region where it changes the price.
        timestamp_us: microseconds since the epoch, int64, `UNKNOWN_TIME` where unknown.
        tokens: counts by `TOKEN_CLASSES`, int64, at least 0; an absent class is all zero.
    """

    model: pa.Array
    provider: pa.Array | None
    service_tier: pa.Array | None
    region: pa.Array | None
    timestamp_us: Int64s
    tokens: dict[str, Int64s]


@dataclass(frozen=True, slots=True)
class Priced:
    """What the calls cost.

    Attributes:
        usd: US dollars by `TOKEN_CLASSES`, NaN in all of them where a call is unpriced, shape (n,).
        total_usd: their sum, NaN where a call is unpriced.
        fallback: which calls were priced from litellm's map.
    """

    usd: dict[str, Float64s]
    total_usd: Float64s
    fallback: npt.NDArray[np.bool_]


def price_calls(book: PriceBook, calls: Calls, *, as_of_us: int | None = None) -> Priced:
    """Price calls, each by the price list of its own moment.

    A call is unpriced (NaN, never 0) if its model, its tier, or its day has no price, or if it has
    tokens of a class without one. A missing price of cache reads or writes is that of input. A call
    of unknown time is priced on the book's own date, outside all off-peak windows.

    Args:
        book: the price book.
        calls: n calls.
        as_of_us: price all calls by the list of this moment instead (microseconds since the
            epoch). Off-peak windows still follow each call's own clock.
    """
    codes, combinations = _combine(calls)
    table = book.table(combinations)
    cell = _locate(book, table, codes, calls, as_of_us)
    usd = {
        name: _price_class(table, number, cell, calls.tokens.get(name))
        for number, name in enumerate(TOKEN_CLASSES)
    }
    total = usd[TOKEN_CLASSES[0]].copy()
    for name in TOKEN_CLASSES[1:]:
        total += usd[name]
    unpriced = np.isnan(total)
    if unpriced.any():
        for column in usd.values():
            column[unpriced] = np.nan
    return Priced(usd, total, table.fallback[codes])


def _combine(calls: Calls) -> tuple[Int64s, tuple[Combination, ...]]:
    """Number the distinct (model, provider, tier, region) and say which each call has."""
    columns = [
        _encode(column)
        for column in (calls.model, calls.provider, calls.service_tier, calls.region)
    ]
    codes = np.zeros(len(calls.timestamp_us), dtype=np.int64)
    for column, names in columns:
        if column is not None:
            codes = codes * len(names) + column
    codes, used = _renumber(codes, int(np.prod([len(names) for _, names in columns])))
    combinations: list[Combination] = []
    for code in used:
        parts: list[str | None] = []
        for _, names in reversed(columns):
            code, position = divmod(code, len(names))
            parts.append(names[position])
        region, tier, provider, model = parts
        combinations.append((model, provider, normalize_tier(tier), normalize_region(region)))
    return codes, tuple(combinations)


def _encode(column: Any) -> tuple[Int64s | None, list[str | None]]:
    """A column as numbers into a list of its values, which ends in None."""
    if column is None or column.null_count == len(column):
        return None, [None]
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not isinstance(column, pa.DictionaryArray):
        column = column.dictionary_encode()
    encoded: Any = column
    names: list[str | None] = [*encoded.dictionary.to_pylist(), None]
    indices: Any = encoded.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int64()), len(names) - 1)
    return indices.to_numpy(zero_copy_only=False).astype(np.int64, copy=False), names


def _renumber(codes: Int64s, bound: int) -> tuple[Int64s, list[int]]:
    """The codes from 0 without gaps, and the old code of each new one, ascending."""
    if bound == 1:
        return codes, [0]
    if bound > _DENSE_CODES:
        used, dense = np.unique(codes, return_inverse=True)
        return dense.reshape(-1), used.tolist()
    present = np.zeros(bound, dtype=np.bool_)
    present[codes] = True
    used = np.flatnonzero(present)
    if len(used) == bound:
        return codes, used.tolist()
    return (np.cumsum(present) - 1)[codes], used.tolist()


def _locate(
    book: PriceBook, table: Table, codes: Int64s, calls: Calls, as_of_us: int | None
) -> Int64s:
    """The cell of the table that prices each call."""
    cell = table.first_cell[codes]
    if not table.varying:
        return cell
    clock_us = calls.timestamp_us
    book_us = day_to_us(book.checked_on)
    when_us = np.where(clock_us == UNKNOWN_TIME, book_us, clock_us)
    if as_of_us is not None:
        when_us = np.full_like(clock_us, as_of_us)
    inputs = [calls.tokens[name] for name in INPUT_CLASSES if name in calls.tokens]
    input_tokens = sum(inputs, start=np.zeros(len(codes), dtype=np.int64))
    for code in table.varying:
        schedule = table.schedules[code]
        if schedule is not None:
            mine = np.flatnonzero(codes == code)
            cell[mine] += schedule.locate(when_us[mine], clock_us[mine], input_tokens[mine])
    return cell


def _price_class(table: Table, number: int, cell: Int64s, tokens: Int64s | None) -> Float64s:
    if tokens is None:
        return np.where(table.covered, 0.0, np.nan)[cell]
    usd = table.usd_per_mtok[number][cell]
    usd *= tokens
    usd /= TOKENS_PER_MTOK
    if table.has_gaps[number]:
        usd[(tokens == 0) & table.covered[cell]] = 0.0
    return usd
