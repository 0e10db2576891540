"""What a selection of exemplars covers and costs, beside the first ones and random ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import frugalctl
from frugalctl.levers.compress.money import InputPrices
from frugalctl.report.exemplars_curve import Curve, encode_curve, lay_out_curve
from frugalctl.report.tables import UNKNOWN, Table, format_usd, render_csv

SCHEMA_VERSION = "1.0"


@dataclass(frozen=True, slots=True)
class Selection:
    """A way to choose, measured.

    Attributes:
        name: what it is.
        exemplars: mean number that a prompt shows.
        tokens: mean tokens that they add to a prompt.
        most_tokens: the most that they add to one.
        coverage: mean cosine of a question and the nearest exemplar that it is shown.
        coverage_held_out: the same of questions that the set was not chosen by; None where the
            choice does not depend on the questions, or each is chosen for.
        alikeness: mean cosine of two that are shown together; NaN where one is shown.
        is_fixed: whether every prompt shows the same ones, so that a provider can cache them.
        is_chosen: whether it is what is written.
    """

    name: str
    exemplars: float
    tokens: float
    most_tokens: int
    coverage: float
    coverage_held_out: float | None
    alikeness: float
    is_fixed: bool
    is_chosen: bool = False


@dataclass(frozen=True, slots=True)
class ExemplarReport:
    """Everything that the renderers print.

    Attributes:
        pool: exemplars there are.
        questions: what they are chosen for, in words.
        selections: the ways, that which is written first.
        ids: of the exemplars of the fixed set; empty where each question has its own.
        model: whose tokens.
        prices: of its input; None where they are not known.
        unpriced: why, "" where they are known.
        notes: what the user should know.
        curve: quality by number; None without outcomes.
    """

    pool: int
    questions: str
    selections: tuple[Selection, ...]
    ids: tuple[str, ...]
    model: str
    prices: InputPrices | None
    unpriced: str
    notes: tuple[str, ...]
    curve: Curve | None

    def cost_usd(self, one: Selection) -> float | None:
        """What the exemplars cost in one prompt."""
        return None if self.prices is None else one.tokens * self.prices.price(1, 0, 0)

    def cached_usd(self, one: Selection) -> float | None:
        """What they cost in one prompt that reads them from the provider's cache."""
        if self.prices is None or not self.prices.has_cache or not one.is_fixed:
            return None
        return one.tokens * self.prices.price(0, 1, 0)


def lay_out_exemplars(report: ExemplarReport) -> list[Table]:
    """The tables, in reading order."""
    columns = (
        "choice",
        "number>",
        "tokens>",
        "coverage>",
        "held out>",
        "alike>",
        "cost of 1,000>",
        "cached>",
    )
    rows = tuple(_lay_out_selection(report, one) for one in report.selections)
    title = f"{report.pool:,} exemplars for {report.questions}, {report.model}"
    tables = [Table(title, columns, rows, tuple(_explain(report)))]
    return tables if report.curve is None else [*tables, lay_out_curve(report.curve, "exemplars")]


def encode_exemplars(report: ExemplarReport) -> dict[str, Any]:
    """The report as plain data; unknown is None."""
    prices = report.prices
    return {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": frugalctl.__version__,
        "model": report.model,
        "price_book": prices and prices.book_id,
        "prices_of": prices and prices.day,
        "pool": report.pool,
        "questions": report.questions,
        "exemplars": list(report.ids),
        "selections": _list_records(report),
        "notes": list(report.notes),
        "quality": encode_curve(report.curve),
    }


def render_exemplars_csv(report: ExemplarReport) -> str:
    """One line a way to choose."""
    records = _list_records(report)
    return render_csv(list(records[0]), [list(record.values()) for record in records])


def _list_records(report: ExemplarReport) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for one in report.selections:
        record = asdict(one)
        record |= {"cost_usd": report.cost_usd(one), "cached_usd": report.cached_usd(one)}
        records.append({name: _round(value) for name, value in record.items()})
    return records


def _round(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else round(value, 12)


def _lay_out_selection(report: ExemplarReport, one: Selection) -> tuple[str, ...]:
    cost, cached = report.cost_usd(one), report.cached_usd(one)
    read = "no" if not one.is_fixed else UNKNOWN if cached is None else format_usd(cached * 1000)
    return (
        f"{one.name}{' *' if one.is_chosen else ''}",
        f"{one.exemplars:.4g}",
        f"{one.tokens:,.0f}",
        f"{one.coverage:.3f}",
        "" if one.coverage_held_out is None else f"{one.coverage_held_out:.3f}",
        "" if math.isnan(one.alikeness) else f"{one.alikeness:.3f}",
        UNKNOWN if cost is None else format_usd(cost * 1000),
        read,
    )


def _explain(report: ExemplarReport) -> list[str]:
    notes = ["* is what was chosen" + (f": {_join(report.ids)}." if report.ids else ".")]
    notes.append(
        "Coverage: mean cosine of a question and the nearest exemplar that it is shown; alike: of "
        "two shown together. Random: the mean of so many draws."
    )
    if report.prices is None:
        notes.append(f"No cost: {report.unpriced}.")
    else:
        notes.append(
            f"Cost: what the exemplars add to the input of 1,000 calls, prices of "
            f"{report.prices.day}; in the last column where a provider's cache has them."
        )
        notes += _explain_cache(report, report.prices)
    notes += report.notes
    if report.curve is None:
        notes.append(
            "Quality is not known: likeness is no answer. --outcomes FILE measures it by number."
        )
    return notes


def _explain_cache(report: ExemplarReport, prices: InputPrices) -> list[str]:
    least = prices.min_cache_tokens or 0
    if not prices.has_cache or all(one.tokens >= least for one in report.selections):
        return []
    return [
        f"The provider caches prefixes from {least:,} tokens on: with what stands before the "
        "exemplars they must be as long."
    ]


def _join(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:20])
    return f"{shown} and {len(ids) - 20:,} more" if len(ids) > 20 else shown
