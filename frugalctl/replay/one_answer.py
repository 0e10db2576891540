"""Logs with one answer a request: what little of other models follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from frugalctl.errors import InputError, PriceError
from frugalctl.levers.cascade.offpolicy import BudgetFit, Estimate, estimate_models, fit_budget
from frugalctl.levers.cascade.table import Floats, OutcomeTable
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import on_disk
from frugalctl.log.times import RELATIVE_BEFORE_US, UNKNOWN_US
from frugalctl.log.usage import disjoint
from frugalctl.prices import Calls, PriceBook, load_book, price_calls
from frugalctl.replay.outcomes import OutcomeOptions

REASON = (
    "each request has one answer: what another model would have answered cannot be learned from "
    "this log, and no cascade either"
)
_WITHOUT = frozenset({"messages", "tools", "sampling", "response", "reference", "outcomes"})


@dataclass(frozen=True, slots=True)
class OneAnswer:
    """What can be said.

    Attributes:
        rows: requests.
        models: the log's.
        estimates: of each model, if the log says how models were drawn.
        budget: how a budget is kept, by price alone; None if none was asked for.
        budget_usd: what was asked for, a request.
        unpriced: models without a price in the book.
    """

    rows: int
    models: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    budget: BudgetFit | None
    budget_usd: float | None
    unpriced: tuple[str, ...]


def study(
    paths: Sequence[str],
    table: OutcomeTable,
    options: OutcomeOptions,
    *,
    budget_usd: float | None,
    models: Sequence[str] = (),
    seed: int = 0,
) -> OneAnswer:
    """Estimate what may be estimated, and fit a budget by price.

    Args:
        paths: the log.
        table: its outcomes.
        options: how they were read.
        budget_usd: the most that a request may cost on average; None asks for nothing.
        models: candidates for the budget, which the log need not have; its own without any.
        seed: of the estimates.

    Raises:
        InputError: the log has no propensities, and no budget is asked for.
        PriceError: no candidate has a price, or the observed answers have none.
    """
    drawn = bool((~np.isnan(table.propensity)).any())
    if budget_usd is None and not drawn:
        raise InputError(
            REASON,
            hint="log `outcomes` of several models; or `propensity`, if models were drawn at "
            "random; --budget alone goes by prices",
        )
    estimates = estimate_models(table, seed=seed) if drawn else ()
    fit, unpriced = None, ()
    if budget_usd is not None:
        costs = price_models(paths, models or table.models, options)
        unpriced = tuple(name for name, cost in costs.items() if np.isnan(cost))
        known = {name: cost for name, cost in costs.items() if not np.isnan(cost)}
        own = table.cost_usd[np.arange(len(table)), np.maximum(table.observed, 0)]
        observed = float(np.where(table.observed >= 0, own, np.nan).mean())
        if not known or np.isnan(observed):
            lacking = ", ".join(unpriced) or "an observed answer"
            raise PriceError(f"{lacking} has no price, so no budget can be kept by price")
        fit = fit_budget(known, observed, budget_usd)
    return OneAnswer(len(table), table.models, estimates, fit, budget_usd, unpriced)


def price_models(
    paths: Sequence[str], models: Sequence[str], options: OutcomeOptions
) -> dict[str, float]:
    """What a request would cost on average if a model answered all, by the log's own tokens.

    Returns:
        model -> USD a request, NaN where the book has no price or a request has no tokens.
    """
    book = load_book()
    totals = dict.fromkeys(models, 0.0)
    rows = 0
    with on_disk(paths) as sources:
        for batch in read_log(sources, ReadOptions(options.on_error, _WITHOUT, options.model)):
            usage = disjoint(batch.column("usage"))
            times = batch.column("timestamp").cast(pa.int64()).fill_null(UNKNOWN_US)
            times_us = times.to_numpy(zero_copy_only=False)
            times_us = np.where(times_us < RELATIVE_BEFORE_US, UNKNOWN_US, times_us)
            rows += len(times_us)
            calls = Calls(
                pa.nulls(len(times_us), pa.string()),
                None,
                batch.column("service_tier"),
                None,
                times_us,
                usage.tokens,
            )
            for name in models:
                cost_usd = _price(book, calls, name, options.as_of_us)
                totals[name] += float(np.where(usage.known, cost_usd, np.nan).sum())
    return {name: total / max(rows, 1) for name, total in totals.items()}


def _price(book: PriceBook, calls: Calls, model: str, as_of_us: int | None) -> Floats:
    named = pa.array([model] * len(calls.timestamp_us), pa.string())
    return price_calls(book, replace(calls, model=named), as_of_us=as_of_us).total_usd
