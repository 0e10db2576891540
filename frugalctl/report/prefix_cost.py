"""What the input of a log costs under a prompt cache, request by request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.levers.prompt_cache.engine import Outcome
from frugalctl.levers.prompt_cache.prompts import Prompts
from frugalctl.log.schema import REQUEST_FIELDS, LogBatch
from frugalctl.log.times import RELATIVE_BEFORE_US
from frugalctl.log.usage import disjoint
from frugalctl.prices import TOKEN_CLASSES, UNKNOWN_TIME, Calls, PriceBook, price_calls

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]

KEPT_FIELDS = (
    "session",
    "tenant",
    "model",
    "provider",
    "service_tier",
    "region",
    "usage",
    "usage_estimated",
)
_INPUT = TOKEN_CLASSES[:4]


@dataclass(frozen=True, slots=True)
class PrefixLog:
    """A log in memory, as the prefix commands need it.

    Attributes:
        prompts: what was asked; n of them.
        columns: `KEPT_FIELDS`, an Arrow array of length n each.
    """

    prompts: Prompts
    columns: dict[str, Any]

    @property
    def providers(self) -> list[str | None]:
        """The provider of each request, None where the log does not say."""
        return self.columns["provider"].to_pylist()

    @property
    def sessions(self) -> Counts:
        """int64[n], a number for each tenant's session; -1 where there is none."""
        names = self.columns["session"].to_pylist()
        numbers: dict[tuple[int, str], int] = {}
        keys = zip(self.prompts.tenants.tolist(), names, strict=True)
        found = [-1 if k[1] is None else numbers.setdefault(k, len(numbers)) for k in keys]
        return np.array(found, dtype=np.int64)

    @property
    def logged_reads(self) -> Counts:
        """int64[n], cached tokens that the provider reported; -1 where it reported none."""
        read = self.columns["usage"].field("cache_read_tokens").fill_null(-1)
        estimated = self.columns["usage_estimated"].fill_null(False)
        found = read.to_numpy(zero_copy_only=False)
        known = self.columns["usage"].is_valid().to_numpy(zero_copy_only=False)
        return np.where(known & ~estimated.to_numpy(zero_copy_only=False), found, -1)


class ColumnKeeper:
    """Keeps the small columns of batches that pass on to someone else."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Any]] = {name: [] for name in KEPT_FIELDS}

    def watch(self, batches: Iterable[LogBatch]) -> Iterator[LogBatch]:
        """The same batches."""
        for batch in batches:
            for name, parts in self._parts.items():
                parts.append(batch.column(name).cast(REQUEST_FIELDS[name]))
            yield batch

    def columns(self) -> dict[str, Any]:
        """What was kept, whole."""
        return {name: pa.concat_arrays(parts) for name, parts in self._parts.items()}


@dataclass(frozen=True, slots=True)
class Pricer:
    """Prices input by the book.

    Attributes:
        log: n requests.
        book: the price book.
        as_of_us: a time to take all prices of; None takes each request's own.
    """

    log: PrefixLog
    book: PriceBook
    as_of_us: int | None = None

    def as_model(self, model: str) -> Pricer:
        """One that prices all requests as this model's, bought from its own provider."""
        count = len(self.log.prompts)
        nothing = pa.nulls(count, pa.string())
        named = pa.array([model] * count, pa.string())
        changed = {"model": named, "provider": nothing, "region": nothing}
        return replace(self, log=replace(self.log, columns={**self.log.columns, **changed}))

    def price_outcome(self, outcome: Outcome, rows: Counts | None = None) -> Floats:
        """US dollars of the input of requests, NaN where there is no price.

        Args:
            outcome: token classes, int64[k] each.
            rows: int64[k], which requests they are of; None for all.
        """
        return self._price(_tokens_of(outcome), outcome.storage_token_hours, rows)

    def price_fresh(self, input_tokens: Counts, rows: Counts | None = None) -> Floats:
        """US dollars of so much input without any cache, NaN where there is no price."""
        return self._price({"fresh_input": input_tokens}, np.zeros(len(input_tokens)), rows)

    def price_logged(self) -> Floats | None:
        """US dollars of the input as the log's usage says; None if it says nothing of caches.

        A request without usage counts as uncached.
        """
        if (self.log.logged_reads < 0).all():
            return None
        usage = disjoint(self.log.columns["usage"])
        tokens = {name: usage.tokens[name] for name in _INPUT}
        usd = self._price(tokens, np.zeros(len(self.log.prompts)), None)
        return np.where(usage.known, usd, self.price_fresh(self.log.prompts.input_tokens))

    def price_output(self, tokens: Counts, rows: Counts) -> Floats:
        """US dollars of so much output, NaN where there is no price."""
        return self._price({"output": tokens}, np.zeros(len(tokens)), rows)

    def _price(
        self, tokens: dict[str, Counts], stored_token_hours: Floats, rows: Counts | None
    ) -> Floats:
        at = np.arange(len(self.log.prompts)) if rows is None else rows
        taken = pa.array(at)
        columns = {name: self.log.columns[name].take(taken) for name in KEPT_FIELDS[2:6]}
        times_us = self.log.prompts.time_us[at]
        times_us = np.where(times_us < RELATIVE_BEFORE_US, UNKNOWN_TIME, times_us)
        calls = Calls(**columns, timestamp_us=times_us, tokens=tokens)
        usd = price_calls(self.book, calls, as_of_us=self.as_of_us).total_usd
        for row in np.flatnonzero(stored_token_hours).tolist():
            model, provider = (columns[name][row].as_py() for name in ("model", "provider"))
            rate = find_storage_price(self.book, model, provider, self._when(int(times_us[row])))
            usd[row] += stored_token_hours[row] * (np.nan if rate is None else rate) / 1e6
        return usd

    def _when(self, time_us: int) -> int:
        return time_us if self.as_of_us is None else self.as_of_us


def find_storage_price(
    book: PriceBook, model: str | None, provider: str | None, time_us: int
) -> float | None:
    """US dollars per million tokens and hour of a named cache; None where nobody says.

    Args:
        book: the price book.
        model: as the log names it.
        provider: likewise.
        time_us: when, `UNKNOWN_TIME` for the book's own date.
    """
    key = book.resolve(model, provider) if model else None
    if key is None:
        return None
    day = book.checked_on
    if time_us != UNKNOWN_TIME:
        day = datetime.fromtimestamp(time_us // 1_000_000, tz=UTC).date()
    found = (
        one.usd_per_mtok.get("storage_hour") for one in book.list_sets(key) if one.holds_on(day)
    )
    rate = next((one for one in found if one is not None), None)
    return None if rate is None else float(rate)


def move_to_read(outcome: Outcome, tokens: Counts) -> Outcome:
    """The outcome if so many more of each prompt's first tokens had been read."""
    left = tokens
    kept: list[Counts] = []
    for part in (outcome.write_1h_tokens, outcome.write_tokens, outcome.fresh_tokens):
        taken = np.minimum(part, left)
        kept.append(part - taken)
        left = left - taken
    write_1h, write, fresh = kept
    read = outcome.read_tokens + tokens - left
    return Outcome(read, write, write_1h, fresh, outcome.storage_token_hours)


def take_rows(outcome: Outcome, rows: Counts | Mask) -> Outcome:
    """The outcome of some of the requests."""
    return Outcome(
        outcome.read_tokens[rows],
        outcome.write_tokens[rows],
        outcome.write_1h_tokens[rows],
        outcome.fresh_tokens[rows],
        outcome.storage_token_hours[rows],
    )


def _tokens_of(outcome: Outcome) -> dict[str, Counts]:
    return {
        "fresh_input": outcome.fresh_tokens,
        "cache_read": outcome.read_tokens,
        "cache_write": outcome.write_tokens,
        "cache_write_1h": outcome.write_1h_tokens,
    }
