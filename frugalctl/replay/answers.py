"""Every answer that a batch of the log knows, priced: the observed ones and the outcomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frugalctl.log.check import outcome_rows
from frugalctl.log.schema import LogBatch
from frugalctl.log.times import RELATIVE_BEFORE_US, UNKNOWN_US
from frugalctl.log.usage import disjoint
from frugalctl.prices import Calls, PriceBook, price_calls
from frugalctl.replay.ledger import Floats, Integers, Mask, Side

PriceSource = Literal["book", "log"]

_BOTH = ("usage", "latency_ms", "cost_usd", "quality", "confidence", "usage_estimated")


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to n requests: first the n observed ones, then all outcomes.

    An observed answer whose model is null stands for a request that was not answered; it is
    never found.

    Attributes:
        requests: n.
        row: int64[answers], which request it answers.
        calls: what each answer's price depends on.
        side: what each answer took.
        confidence: float64[answers], NaN where unknown.
        estimated: bool[answers], whether its tokens were counted from text.
    """

    requests: int
    row: Integers
    calls: Calls
    side: Side
    confidence: Floats
    estimated: Mask

    def observed(self) -> Integers:
        """For each request, the index of its observed answer; -1 where there is none."""
        has_model = self.side.model.slice(0, self.requests).is_valid()
        known = has_model.to_numpy(zero_copy_only=False)
        return np.where(known, np.arange(self.requests, dtype=np.int64), -1)

    def of_model(self, model: str) -> Integers:
        """For each request, the index of that model's answer; -1 where the log has none.

        An outcome comes before an observed answer of the same model.
        """
        found = np.full(self.requests, -1, dtype=np.int64)
        named = pc.equal(self.side.model, model).fill_null(False)
        at = np.flatnonzero(named.to_numpy(zero_copy_only=False))
        found[self.row[at]] = at
        return found


def collect_answers(
    batch: LogBatch, book: PriceBook, prices: PriceSource, as_of_us: int | None
) -> Answers:
    """The answers of a batch, each at its own price.

    Args:
        batch: the requests.
        book: the price book.
        prices: "log" takes the log's own cost where it has one; "book" never does.
        as_of_us: a time to take all prices of, in microseconds since 1970.
    """
    rows = batch.requests.num_rows
    own = np.arange(rows, dtype=np.int64)
    outcomes = batch.column("outcomes")
    columns = {name: batch.column(name) for name in _BOTH}
    names = {name: batch.column(name) for name in ("model", "provider", "service_tier", "region")}
    row = own
    if outcomes.null_count < len(outcomes):
        flat = outcomes.flatten()
        parents = outcome_rows(outcomes)
        row = np.concatenate((own, parents))
        columns = {k: pa.concat_arrays([v, flat.field(k)]) for k, v in columns.items()}
        names = _outcome_names(names, flat, pa.array(parents))
    timestamps = batch.column("timestamp").cast(pa.int64()).fill_null(UNKNOWN_US)
    times_us = timestamps.to_numpy(zero_copy_only=False)[row]
    times_us = np.where(times_us < RELATIVE_BEFORE_US, UNKNOWN_US, times_us)
    usage = disjoint(columns["usage"])
    calls = Calls(**names, timestamp_us=times_us, tokens=usage.tokens)
    logged = floats(columns["cost_usd"]) if prices == "log" else None
    side = price_side(
        book,
        calls,
        usage.known,
        floats(columns["latency_ms"]),
        floats(columns["quality"]),
        logged_usd=logged,
        as_of_us=as_of_us,
    )
    return Answers(
        requests=rows,
        row=row,
        calls=calls,
        side=side,
        confidence=floats(columns["confidence"]),
        estimated=columns["usage_estimated"].fill_null(False).to_numpy(zero_copy_only=False),
    )


def _outcome_names(
    names: dict[str, pa.Array], flat: pa.StructArray, parents: pa.Array
) -> dict[str, pa.Array]:
    """Model, provider, tier and region of all answers.

    An outcome without a provider has the request's if it is the same model's, else none: the
    observed provider says nothing about another model. Its tier is the request's by default.
    """
    inherited = {name: array.take(parents) for name, array in names.items()}
    same = pc.equal(flat.field("model"), inherited["model"]).fill_null(False)
    nothing = pa.nulls(len(parents), pa.string())
    outcome = {
        "model": flat.field("model"),
        "provider": pc.coalesce(
            flat.field("provider"), pc.if_else(same, inherited["provider"], nothing)
        ),
        "service_tier": pc.coalesce(flat.field("service_tier"), inherited["service_tier"]),
        "region": pc.if_else(same, inherited["region"], nothing),
    }
    return {name: pa.concat_arrays([array, outcome[name]]) for name, array in names.items()}


def price_side(
    book: PriceBook,
    calls: Calls,
    known: Mask,
    latency_ms: Floats,
    quality: Floats,
    *,
    logged_usd: Floats | None = None,
    as_of_us: int | None = None,
) -> Side:
    """Price n calls.

    Args:
        book: the price book.
        calls: the calls, with their tokens.
        known: bool[n], whether the tokens are known; without them a call has no price.
        latency_ms: float64[n].
        quality: float64[n].
        logged_usd: float64[n], costs that go before the book's; NaN where there is none.
        as_of_us: a time to take all prices of, in microseconds since 1970.
    """
    priced = price_calls(book, calls, as_of_us=as_of_us)
    cost_usd, usd = priced.total_usd, priced.usd
    if not known.all():
        cost_usd = np.where(known, cost_usd, np.nan)
        usd = {key: np.where(known, value, np.nan) for key, value in usd.items()}
    if logged_usd is not None:
        by_log = ~np.isnan(logged_usd)
        cost_usd = np.where(by_log, logged_usd, cost_usd)
        usd = {key: np.where(by_log, np.nan, value) for key, value in usd.items()}
    return Side(calls.model, calls.tokens, known, usd, cost_usd, latency_ms, quality)


def take_calls(calls: Calls, index: Integers, tokens: dict[str, Integers]) -> Calls:
    """The calls at an index, with other tokens."""
    at = pa.array(index)
    provider, tier, region = (
        None if column is None else column.take(at)
        for column in (calls.provider, calls.service_tier, calls.region)
    )
    return Calls(calls.model.take(at), provider, tier, region, calls.timestamp_us[index], tokens)


def floats(column: pa.Array) -> NDArray[np.float64]:
    """A nullable column as float64, NaN for null."""
    if column.null_count == len(column):
        return np.full(len(column), np.nan)
    return column.fill_null(np.nan).to_numpy(zero_copy_only=False)
