"""How latency is spread, and how cost and quality of single models stand to each other."""

from __future__ import annotations

from frugalctl.replay.ledger import SingleModel
from frugalctl.report.html import svg
from frugalctl.report.html.charts import Mark, draw_front, draw_histograms
from frugalctl.report.html.collect import BIN_RATIO
from frugalctl.report.html.model import Histogram, Page
from frugalctl.report.html.money import Rounding
from frugalctl.report.html.overview import (
    show_interval,
    show_ms,
    show_number,
    show_usd_interval,
)
from frugalctl.report.html.sections import Chart, Section
from frugalctl.report.model import Interval, SideSummary
from frugalctl.report.tables import UNKNOWN, Table

COVERAGE = 0.95
_THOUSAND = 1_000


def lay_out_latency(page: Page) -> Section:
    """Histograms and percentiles of both sides."""
    report = page.report
    sides = [("recipe", report.recipe, page.recipe_latency, svg.RECIPE)]
    if report.levers:
        sides.insert(0, ("baseline", report.baseline, page.baseline_latency, svg.BASELINE))
    else:
        sides = [("latency", *sides[0][1:])]
    table = _latency_table([(name, side) for name, side, _, _ in sides])
    shown = [
        (name, side, histogram, colour)
        for name, side, histogram, colour in sides
        if histogram is not None
    ]
    if not shown:
        return Section("latency", "Latency", "No request of the log has a latency.")
    marks = [
        (label, value, colour)
        for _, side, _, colour in shown
        for label, value in _percentiles(side)
        if value is not None and value > 0
    ]
    histograms = [(name, *_shares(histogram), colour) for name, _, histogram, colour in shown]
    text = "; ".join(
        f"{name}: median {show_ms(side.latency_ms.p50)}, 95th percentile "
        f"{show_ms(side.latency_ms.p95)}, 99th {show_ms(side.latency_ms.p99)}"
        for name, side, _, _ in shown
    )
    drawn = draw_histograms(histograms, marks, "latency-spread")
    chart = Chart("latency-spread", "Share of requests by latency", f"{text}.", drawn)
    lead = "The sum over the calls that a request makes, one after the other."
    return Section("latency", "Latency", lead, (chart,), (table,), beside=True)


def _percentiles(side: SideSummary) -> tuple[tuple[str, float | None], ...]:
    latency = side.latency_ms
    return (("p50", latency.p50), ("p95", latency.p95), ("p99", latency.p99))


def _shares(histogram: Histogram) -> tuple[list[float], list[float]]:
    """The edges of the bins, and the share of each in per cent."""
    total = sum(histogram.counts)
    edges = [BIN_RATIO ** (histogram.first + at) for at in range(len(histogram.counts) + 1)]
    return edges, [100 * count / total for count in histogram.counts]


def _latency_table(sides: list[tuple[str, SideSummary]]) -> Table:
    measures = [
        ("mean", [show_ms(side.latency_ms.mean) for _, side in sides]),
        ("95 % interval", [show_interval(side.latency_ms.ci95, 0) for _, side in sides]),
        ("median", [show_ms(side.latency_ms.p50) for _, side in sides]),
        ("95th percentile", [show_ms(side.latency_ms.p95) for _, side in sides]),
        ("99th percentile", [show_ms(side.latency_ms.p99) for _, side in sides]),
        ("requests", [f"{side.latency_ms.n:,}" for _, side in sides]),
    ]
    rows = tuple((label, *values) for label, values in measures)
    return Table("Latency", ("", *(f"{name}>" for name, _ in sides)), rows)


def lay_out_front(page: Page) -> Section:
    """The single models of the log, beside baseline and recipe."""
    title = "Cost and quality"
    singles = [
        single
        for single in page.meta.singles
        if single.cost_usd is not None and single.quality is not None
    ]
    if not singles:
        lead = (
            "The log has no outcomes of other models with a quality, so there is nothing to set "
            "the baseline against."
        )
        return Section("front", title, lead)
    able = _able(singles)
    front = _pareto(able)
    marks = [_single_mark(single, hollow=single not in able) for single in singles]
    marks += _side_marks(page)
    corners = [((one.cost_usd or 0.0) * _THOUSAND, one.quality or 0.0) for one in front]
    best = ", ".join(one.model for one in front)
    text = f"{len(singles)} single models; on the Pareto front: {best}. The table has the figures."
    drawn = draw_front(marks, corners, "cost-quality")
    chart = Chart("cost-quality", "Mean quality over cost", text, drawn)
    lead = (
        "Each model of the log's outcomes alone, over the requests that are compared and that it "
        "answered. Up and left is better; the dashed line is the Pareto front of those models that "
        "answered nearly all of them (the others, drawn hollow, had other requests to answer)."
    )
    table = _front_table(page, singles, front)
    return Section("front", title, lead, (chart,), (table,), beside=True)


def _single_mark(single: SingleModel, *, hollow: bool) -> Mark:
    return Mark(
        _cut(single.model),
        (single.cost_usd or 0.0) * _THOUSAND,
        single.quality or 0.0,
        single.quality_ci95,
        svg.MUTED,
        "s",
        hollow,
    )


def _side_marks(page: Page) -> list[Mark]:
    report = page.report
    sides = [("recipe", report.recipe, svg.RECIPE, "D")]
    if report.levers:
        sides.insert(0, ("baseline", report.baseline, svg.BASELINE, "o"))
    else:
        sides = [("as logged", *sides[0][1:])]
    return [
        Mark(name, cost * _THOUSAND, side.quality.mean, side.quality.ci95, colour, marker)
        for name, side, colour, marker in sides
        if (cost := _mean_cost(side, page)) is not None and side.quality.mean is not None
    ]


def _mean_cost(side: SideSummary, page: Page) -> float | None:
    priced = page.report.log.priced
    return side.cost_usd / priced if side.cost_usd is not None and priced else None


def _able(singles: list[SingleModel]) -> list[SingleModel]:
    """Those that answered nearly as many requests as the one that answered most."""
    most = max(single.quality_n for single in singles)
    return [single for single in singles if single.quality_n >= COVERAGE * most]


def _pareto(singles: list[SingleModel]) -> list[SingleModel]:
    """The models that no other beats in both cost and quality, cheapest first."""
    found: list[SingleModel] = []
    for one in sorted(singles, key=lambda one: (one.cost_usd, -(one.quality or 0.0), one.model)):
        if not found or (one.quality or 0.0) > (found[-1].quality or 0.0):
            found.append(one)
    return found


def _front_table(page: Page, singles: list[SingleModel], front: list[SingleModel]) -> Table:
    report = page.report
    costs = [None if one.cost_usd is None else one.cost_usd * _THOUSAND for one in singles]
    rounding = Rounding.of(*costs)
    rows: list[tuple[str, ...]] = [
        (
            one.model + (" (front)" if one in front else ""),
            rounding.show_usd(cost),
            _interval_1k(one.cost_usd_ci95, rounding),
            show_number(one.quality, 4),
            show_interval(one.quality_ci95, 4),
            f"{one.quality_n:,}",
        )
        for one, cost in zip(singles, costs, strict=True)
    ]
    for name, side in (("baseline", report.baseline), ("recipe", report.recipe)):
        if name == "recipe" or report.levers:
            rows.append(_side_row(name if report.levers else "as logged", side, page, rounding))
    columns = ("", "USD / 1,000>", "95 % interval>", "quality>", "95 % interval>", "n>")
    return Table("Single models, baseline and recipe", columns, tuple(rows))


def _side_row(name: str, side: SideSummary, page: Page, rounding: Rounding) -> tuple[str, ...]:
    cost, priced = _mean_cost(side, page), page.report.log.priced
    interval = side.cost_usd_ci95
    each = None if interval is None else (interval[0] / priced, interval[1] / priced)
    return (
        name,
        UNKNOWN if cost is None else rounding.show_usd(cost * _THOUSAND),
        _interval_1k(each, rounding),
        show_number(side.quality.mean, 4),
        show_interval(side.quality.ci95, 4),
        f"{side.quality.n:,}",
    )


def _interval_1k(interval: Interval | None, rounding: Rounding) -> str:
    if interval is None:
        return ""
    return show_usd_interval((interval[0] * _THOUSAND, interval[1] * _THOUSAND), rounding)


def _cut(name: str, limit: int = 32) -> str:
    from frugalctl.report.tables import printable

    shown = printable(name[:limit])
    return shown if len(name) <= limit else f"{shown}\u2026"
