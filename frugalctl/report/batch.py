"""What query concatenation saves, by the number of inputs in a request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import frugalctl
from frugalctl.levers.compress.concatenate import PromptTokens, save_input
from frugalctl.levers.compress.money import InputPrices
from frugalctl.report.exemplars_curve import Curve, encode_curve, lay_out_curve
from frugalctl.report.tables import UNKNOWN, Table, format_usd, render_csv

SCHEMA_VERSION = "1.0"
SIZES = (2, 4, 8, 16)
_CAVEAT = (
    "Quality is not known. It falls with the number of inputs a request has, and with the model "
    "and the task (GPT-4 on BoolQ was at 72.8 % with 64 of them); --outcomes FILE measures it."
)


@dataclass(frozen=True, slots=True)
class BatchRow:
    """All inputs in requests of one size.

    Attributes:
        size: inputs of a request, K; 1 for each in a request of its own, as it would be without
            batches.
        requests: how many.
        input_tokens: of all of them.
        saved: the share of input tokens that is saved, of the prompts as they are written.
        saved_by_rule: the same by P/K + q, without what the format needs.
        extra_output_tokens: of the ids and quotation marks around the answers.
        cost_usd: input, and that output; None without a price.
        cached_usd: the same where the provider caches the prefix; None where it cannot.
    """

    size: int
    requests: int
    input_tokens: int
    saved: float
    saved_by_rule: float
    extra_output_tokens: int
    cost_usd: float | None
    cached_usd: float | None


@dataclass(frozen=True, slots=True)
class BatchReport:
    """Everything that the renderers print.

    Attributes:
        size: inputs of a request, as asked for.
        inputs: how many there are.
        prefix_tokens: P, of what they share.
        rules_tokens: of how to answer, which a batch adds to it.
        query_tokens: q, the mean of an input.
        model: whose tokens.
        prices: of its input; None where they are not known.
        unpriced: why, "" where they are known.
        rows: the sizes, 1 first.
        curve: quality by size; None without outcomes.
    """

    size: int
    inputs: int
    prefix_tokens: int
    rules_tokens: int
    query_tokens: float
    model: str
    prices: InputPrices | None
    unpriced: str
    rows: tuple[BatchRow, ...]
    curve: Curve | None


def build_batch_report(
    tokens: PromptTokens,
    size: int,
    *,
    model: str,
    prices: InputPrices | None,
    output_usd: float | None,
    unpriced: str,
    curve: Curve | None,
) -> BatchReport:
    """The report of one set of inputs.

    Args:
        tokens: of the prompts' parts.
        size: K, as asked for.
        model: whose tokens.
        prices: of its input.
        output_usd: of one token of its output.
        unpriced: why there are no prices.
        curve: quality by size.
    """
    inputs = len(tokens.texts)
    sizes = sorted({1, size, *(one for one in SIZES if one <= inputs)})
    return BatchReport(
        size,
        inputs,
        tokens.prefix,
        tokens.rules,
        sum(tokens.texts) / inputs,
        model,
        prices,
        unpriced,
        tuple(_make_row(tokens, one, prices, output_usd) for one in sizes),
        curve,
    )


def lay_out_batch(report: BatchReport) -> list[Table]:
    """The tables, in reading order."""
    title = (
        f"{report.inputs:,} inputs of {report.query_tokens:.1f} tokens, prefix of "
        f"{report.prefix_tokens:,}, {report.model}"
    )
    columns = (
        "inputs a request>",
        "requests>",
        "input tokens>",
        "saved>",
        "by P/K + q>",
        "cost>",
        "prefix cached>",
    )
    rows = tuple(
        (
            f"{row.size}{' *' if row.size == report.size else ''}",
            f"{row.requests:,}",
            f"{row.input_tokens:,}",
            f"{row.saved:.1%}",
            f"{row.saved_by_rule:.1%}",
            format_usd(row.cost_usd),
            "does not apply" if _is_uncached(report) else format_usd(row.cached_usd),
        )
        for row in report.rows
    )
    table = Table(title, columns, rows, tuple(_explain(report)))
    return (
        [table]
        if report.curve is None
        else [table, lay_out_curve(report.curve, "inputs a request")]
    )


def encode_batch(report: BatchReport) -> dict[str, Any]:
    """The report as plain data; unknown is None."""
    prices = report.prices
    return {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": frugalctl.__version__,
        "model": report.model,
        "price_book": prices and prices.book_id,
        "prices_of": prices and prices.day,
        "inputs": report.inputs,
        "inputs_per_request": report.size,
        "prefix_tokens": report.prefix_tokens,
        "rules_tokens": report.rules_tokens,
        "query_tokens": round(report.query_tokens, 9),
        "rows": [_round(asdict(row)) for row in report.rows],
        "quality": encode_curve(report.curve),
    }


def render_batch_csv(report: BatchReport) -> str:
    """One line a size."""
    records = [_round(asdict(row)) for row in report.rows]
    return render_csv(list(records[0]), [list(record.values()) for record in records])


def find_row(rows: Sequence[BatchRow], size: int) -> BatchRow:
    """The row of a size."""
    return next(row for row in rows if row.size == size)


def _make_row(
    tokens: PromptTokens, size: int, prices: InputPrices | None, output_usd: float | None
) -> BatchRow:
    inputs, requests = len(tokens.texts), tokens.count_batches(size)
    alone = tokens.count_alone()
    shared = tokens.prefix + (tokens.rules if size > 1 else 0)
    input_tokens = tokens.count_batched(size) if size > 1 else alone
    extra = sum(tokens.wrappers) if size > 1 else 0
    cost = cached = None
    if prices is not None and output_usd is not None:
        fresh, read, write = prices.price(1, 0, 0), prices.price(0, 1, 0), prices.price(0, 0, 1)
        cost = input_tokens * fresh + extra * output_usd
        own = input_tokens - shared * requests
        cached = own * fresh + shared * (write + read * (requests - 1)) + extra * output_usd
        if not _can_cache(prices, shared):
            cached = cost if prices.has_cache else None
    return BatchRow(
        size,
        requests,
        input_tokens,
        1 - input_tokens / alone if alone else 0.0,
        save_input(tokens.prefix, sum(tokens.texts) / inputs, size),
        extra,
        cost,
        cached,
    )


def _can_cache(prices: InputPrices, tokens: int) -> bool:
    return prices.has_cache and tokens >= (prices.min_cache_tokens or 0)


def _is_uncached(report: BatchReport) -> bool:
    prices, tokens = report.prices, report.prefix_tokens + report.rules_tokens
    return prices is not None and not _can_cache(prices, tokens)


def _explain(report: BatchReport) -> list[str]:
    notes = [f"* is what was asked for; the prompts of a batch have {report.rules_tokens} tokens "
             "more that say how to answer, and ids."]  # fmt: skip
    prices = report.prices
    if prices is None:
        notes.append(f"No cost: {report.unpriced}.")
    else:
        extra = find_row(report.rows, report.size).extra_output_tokens
        notes.append(
            f"Cost of all {report.inputs:,}, prices of {prices.day}: input, and {extra:,} output "
            "tokens of ids around the answers. The answers cost the same either way and are left "
            "out."
        )
        notes.append(_explain_cache(report, prices))
    if report.curve is None:
        notes.append(_CAVEAT)
    return notes


def _explain_cache(report: BatchReport, prices: InputPrices) -> str:
    if not prices.has_cache:
        return "The provider does not cache prefixes of this model."
    if _is_uncached(report):
        return (
            f"The prefix is too short for the provider's cache, which begins at "
            f"{prices.min_cache_tokens:,} tokens."
        )
    alone, chosen = report.rows[0], find_row(report.rows, report.size)
    if alone.cached_usd is None or not chosen.cached_usd:
        return UNKNOWN
    gain = 1 - chosen.cached_usd / alone.cached_usd
    what = f"saves {gain:.1%} of it" if gain > 0 else f"costs {-gain:.1%} more than that"
    return (
        f"A cached prefix alone brings the cost to {format_usd(alone.cached_usd)}, if it is read "
        f"within its lifetime; batches of {report.size} with it {what}."
    )


def _round(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 12) if isinstance(value, float) else value
        for name, value in record.items()
    }
