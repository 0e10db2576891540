"""What survives a compression at several rates: the table, the JSON and the CSV."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import frugalctl
from frugalctl.errors import PriceError
from frugalctl.levers.compress.evaluate import Evaluation, Retention
from frugalctl.levers.compress.money import InputPrices
from frugalctl.levers.compress.settings import CompressSettings, dump_compress_table
from frugalctl.report.tables import UNKNOWN, Table, format_usd, render_csv, render_markdown

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What the renderers print.

    Attributes:
        found: the rates.
        settings: of the compression.
        prices: of the model's input, or why there are none.
    """

    found: Evaluation
    settings: CompressSettings
    prices: InputPrices | PriceError


def encode_retention(report: EvalReport) -> dict[str, Any]:
    """The report as plain data; `seconds` is the only thing that differs from run to run."""
    prices = report.prices
    known = isinstance(prices, InputPrices)
    return {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": frugalctl.__version__,
        "origin": {
            "model": report.settings.model,
            "price_book": prices.book_id if known else None,
            "as_of": prices.day if known else None,
        },
        "settings": dump_compress_table(report.settings),
        "left_out": list(report.found.unanswerable),
        "rates": [_encode_row(row) for row in report.found.rows],
    }


def _encode_row(row: Retention) -> dict[str, Any]:
    return {
        "rate": row.factor,
        "cases": row.cases,
        "kept": row.kept,
        "failed": row.failed,
        "retention": _known(row.share),
        "retention_ci95": None if math.isnan(row.low) else [_known(row.low), _known(row.high)],
        "tokens": {"before": row.tokens_before, "after": row.tokens_after},
        "cost_usd": {"before": _usd(row.cost_usd_before), "after": _usd(row.cost_usd_after)},
        "seconds": round(row.seconds, 3),
    }


def render_retention_json(report: EvalReport, *, indent: int | None = 2) -> str:
    """The report as JSON; without indent as one line."""
    return json.dumps(encode_retention(report), indent=indent, ensure_ascii=False) + "\n"


def render_retention_csv(report: EvalReport) -> str:
    """One line a rate."""
    columns = "rate cases kept failed retention low high tokens_before tokens_after".split()
    rows = [
        (
            row.factor,
            row.cases,
            row.kept,
            row.failed,
            *(_known(value) for value in (row.share, row.low, row.high)),
            row.tokens_before,
            row.tokens_after,
            _usd(row.cost_usd_before),
            _usd(row.cost_usd_after),
            round(row.seconds, 3),
        )
        for row in report.found.rows
    ]
    return render_csv((*columns, "cost_usd_before", "cost_usd_after", "seconds"), rows)


def render_retention_markdown(report: EvalReport) -> str:
    """The table in Markdown."""
    return render_markdown([lay_out_retention(report)])


def lay_out_retention(report: EvalReport) -> Table:
    """One row a rate."""
    rows = report.found.rows
    failed = any(row.failed for row in rows)
    columns = ["rate>", "kept>", "retention>", "95 % interval>", "tokens>", "input cost>", "time>"]
    cells = [_lay_out_row(row) for row in rows]
    if failed:
        columns.insert(2, "failed>")
        cells = [(*c[:2], str(row.failed), *c[2:]) for c, row in zip(cells, rows, strict=True)]
    notes = ["Kept: an answer, or all evidence, is still there letter for letter; exact intervals."]
    if failed:
        notes.append("Failed: the budget is smaller than what has to stay; not kept.")
    notes.append("It bounds what a model could answer; what it does answer is not known.")
    prices = report.prices
    if isinstance(prices, PriceError):
        notes.append(f"No price: {prices}.")
    else:
        notes.append(f"Prices of {prices.model} on {prices.day}, price book {prices.book_id}.")
    cases = rows[0].cases if rows else 0
    return Table(f"Retention of {cases:,} cases", tuple(columns), tuple(cells), tuple(notes))


def _lay_out_row(row: Retention) -> tuple[str, ...]:
    if math.isnan(row.share):
        share, interval = UNKNOWN, ""
    else:
        share, interval = f"{row.share:.1%}", f"[{row.low:.1%}, {row.high:.1%}]"
    return (
        f"{row.factor:g}x",
        f"{row.kept:,} of {row.cases:,}",
        share,
        interval,
        f"{row.tokens_before:,} -> {row.tokens_after:,}",
        f"{format_usd(row.cost_usd_before)} -> {format_usd(row.cost_usd_after)}",
        f"{row.seconds:,.2f} s",
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 9)


def _usd(value: float | None) -> float | None:
    return None if value is None else round(value, 12)
