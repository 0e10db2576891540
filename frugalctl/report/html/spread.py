"""How latency is spread, and how cost and quality of single models stand to each other."""

from __future__ import annotations

from dataclasses import replace

from frugalctl.report.html import svg
from frugalctl.report.html.charts import Mark, draw_front, draw_histograms
from frugalctl.report.html.collect import BIN_RATIO
from frugalctl.report.html.model import Histogram, Page, Point
from frugalctl.report.html.money import Rounding
from frugalctl.report.html.overview import (
    show_interval,
    show_ms,
    show_number,
    show_usd_interval,
)
from frugalctl.report.html.sections import Chart, Section
from frugalctl.report.model import Interval, SideSummary
from frugalctl.report.tables import Table

COVERAGE = 0.95
_THOUSAND = 1_000
_AS_LOGGED = "as logged"
_SIDES = {
    "baseline": (svg.BASELINE, "o"),
    "recipe": (svg.RECIPE, "D"),
    _AS_LOGGED: (svg.RECIPE, "D"),
}
_FRONT_LEAD = (
    "Up and left is better. Cost and quality of a point are over the same requests: those "
    "where both are known, n in the table. For a single model these are requests "
    "that are compared and that it answered in the log's outcomes, so points may be over different "
    "requests. Drawn hollow: fewer than 95 % of the requests of the model that answered most; such "
    "a model is kept off the Pareto front (dashed). Intervals are normal approximations over "
    "random groups of sessions, so their ends differ a little from those of the totals."
)


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
        Point(one.model, one.cost_usd, one.cost_usd_ci95, one.quality, one.quality_ci95, one.n)
        for one in page.meta.singles
        if one.n
    ]
    if not singles:
        lead = (
            "The log has no outcomes of other models with a quality, so there is nothing to set "
            "the baseline against."
        )
        return Section("front", title, lead)
    sides = _side_points(page)
    enough = COVERAGE * max(single.n for single in singles)
    front = _pareto([single for single in singles if single.n >= enough])
    marks = [_mark(one, svg.MUTED, "s", hollow=one.n < enough) for one in singles]
    marks += [_mark(one, *_SIDES[one.name], hollow=one.n < enough) for one in sides if one.n]
    corners = [((one.cost_usd or 0.0) * _THOUSAND, one.quality or 0.0) for one in front]
    best = ", ".join(one.name for one in front)
    text = f"{len(singles)} single models; on the Pareto front: {best}. The table has the figures."
    drawn = draw_front(marks, corners, "cost-quality")
    chart = Chart("cost-quality", "Mean quality over cost", text, drawn)
    names = [_name_row(one, one in front, one.n < enough) for one in (*singles, *sides)]
    table = _front_table([*singles, *sides], names)
    return Section("front", title, _FRONT_LEAD, (chart,), (table,), beside=True)


def _side_points(page: Page) -> list[Point]:
    if page.report.levers:
        return [page.baseline_point, page.recipe_point]
    return [replace(page.recipe_point, name=_AS_LOGGED)]


def _mark(point: Point, colour: str, marker: str, *, hollow: bool) -> Mark:
    return Mark(
        _cut(point.name),
        (point.cost_usd or 0.0) * _THOUSAND,
        point.quality or 0.0,
        point.quality_ci95,
        colour,
        marker,
        hollow,
    )


def _pareto(points: list[Point]) -> list[Point]:
    """The models that no other beats in both cost and quality, cheapest first."""
    found: list[Point] = []
    for one in sorted(points, key=lambda one: (one.cost_usd, -(one.quality or 0.0), one.name)):
        if not found or (one.quality or 0.0) > (found[-1].quality or 0.0):
            found.append(one)
    return found


def _name_row(point: Point, on_front: bool, fewer: bool) -> str:
    said = [*["front"] * on_front, *["fewer requests"] * fewer]
    return f"{_cut(point.name, 80)} ({', '.join(said)})" if said else point.name


def _front_table(points: list[Point], names: list[str]) -> Table:
    costs = [None if one.cost_usd is None else one.cost_usd * _THOUSAND for one in points]
    rounding = Rounding.of(*costs)
    rows = tuple(
        (
            name,
            rounding.show_usd(cost),
            _interval_1k(one.cost_usd_ci95, rounding),
            show_number(one.quality, 4),
            show_interval(one.quality_ci95, 4),
            f"{one.n:,}",
        )
        for name, one, cost in zip(names, points, costs, strict=True)
    )
    columns = ("", "USD / 1,000>", "95 % interval>", "quality>", "95 % interval>", "n>")
    return Table("Single models, baseline and recipe", columns, rows)


def _interval_1k(interval: Interval | None, rounding: Rounding) -> str:
    if interval is None:
        return ""
    return show_usd_interval((interval[0] * _THOUSAND, interval[1] * _THOUSAND), rounding)


def _cut(name: str, limit: int = 32) -> str:
    from frugalctl.report.tables import printable

    shown = printable(name[:limit])
    return shown if len(name) <= limit else f"{shown}\u2026"
