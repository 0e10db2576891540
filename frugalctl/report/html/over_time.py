"""Cost and cache hits over time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

import numpy as np

from frugalctl.report.groups import PICOS
from frugalctl.report.html import svg
from frugalctl.report.html.charts import Line, draw_lines
from frugalctl.report.html.model import Page, Tally, Timeline
from frugalctl.report.html.money import Rounding
from frugalctl.report.html.overview import page_rounding
from frugalctl.report.html.sections import Chart, Section
from frugalctl.report.tables import UNKNOWN, Table

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
Share = Callable[[Tally], tuple[int, int]]


def lay_out_costs(page: Page) -> Section:
    """What each period cost, on both sides."""
    timeline, report = page.timeline, page.report
    title = "Cost over time"
    if timeline is None:
        return Section("time", title, "No request of the log has a date.")
    if not any(tally.priced for tally in timeline.periods):
        return Section("time", title, "No request with a date could be priced: costs are unknown.")
    unit = _unit(timeline)
    lead = f"By {unit}, in UTC."
    if timeline.undated:
        lead += f" {timeline.undated:,} requests without a date are in no {unit}."
    sides = [("recipe" if report.levers else "cost", svg.RECIPE, _costs(timeline, "recipe_picos"))]
    if report.levers:
        sides.insert(0, ("baseline", svg.BASELINE, _costs(timeline, "baseline_picos")))
    lines = [Line(name, costs, colour) for name, colour, costs in sides]
    drawn = draw_lines(lines, _ticks(timeline), "cost-time", wide=True, percent=False)
    text = _tell_costs(timeline, sides, unit, page_rounding(report))
    data = _cost_table(timeline, sides, page_rounding(report))
    chart = Chart("cost-time", f"USD by {unit}", text, drawn, data, wide=True)
    return Section("time", title, lead, (chart,))


def _costs(timeline: Timeline, side: str) -> list[float | None]:
    """USD of each period; None where it had requests of which none has a price."""
    return [
        getattr(tally, side) / PICOS if tally.priced or not tally.requests else None
        for tally in timeline.periods
    ]


def _tell_costs(
    timeline: Timeline,
    sides: Sequence[tuple[str, str, list[float | None]]],
    unit: str,
    rounding: Rounding,
) -> str:
    names = list(_names(timeline))
    told: list[str] = []
    for name, _, costs in sides:
        most, at = max((cost, -at) for at, cost in enumerate(costs) if cost is not None)
        told.append(f"{name}: at most {rounding.show_usd(most)}, in the {unit} of {names[-at]}")
    return f"{len(names):,} periods from {names[0]} to {names[-1]}; " + "; ".join(told) + "."


def _cost_table(
    timeline: Timeline, sides: Sequence[tuple[str, str, list[float | None]]], rounding: Rounding
) -> Table:
    columns = [[rounding.show_usd(cost) for cost in costs] for _, _, costs in sides]
    rows = tuple(
        (name, f"{tally.requests:,}", f"{tally.priced:,}", *shown)
        for name, tally, *shown in zip(_names(timeline), timeline.periods, *columns, strict=True)
    )
    unit = _unit(timeline)
    heads = (unit, "requests>", "priced>", *(f"{name}>" for name, _, _ in sides))
    return Table(f"Cost by {unit}", heads, rows)


def lay_out_caches(page: Page) -> Section | None:
    """How much the caches gave over time, where there are any."""
    timeline, report = page.timeline, page.report
    if timeline is None:
        return None
    charts: list[Chart] = []
    if report.semantic_cache is not None:
        charts.append(
            _share_chart(
                timeline,
                "hits",
                "Requests answered by the semantic cache",
                [("recipe", svg.RECIPE, lambda tally: (tally.hits, tally.requests))],
            )
        )
    sides: list[tuple[str, str, Share]] = []
    if report.levers:
        sides.append(("baseline", svg.BASELINE, _baseline_share))
    sides.append(("recipe" if report.levers else "observed", svg.RECIPE, _recipe_share))
    if any(tally.baseline_read or tally.recipe_read for tally in timeline.periods):
        title = "Input tokens read from the prompt cache, as billed"
        charts.append(_share_chart(timeline, "reads", title, sides))
    if not charts:
        return None
    lead = "Thick: all so far. Thin: the period alone."
    return Section("caches", "Cache hits over time", lead, tuple(charts))


def _baseline_share(tally: Tally) -> tuple[int, int]:
    return (tally.baseline_read, tally.baseline_input)


def _recipe_share(tally: Tally) -> tuple[int, int]:
    return (tally.recipe_read, tally.recipe_input)


def _share_chart(
    timeline: Timeline, name: str, title: str, sides: Sequence[tuple[str, str, Share]]
) -> Chart:
    lines: list[Line] = []
    columns: list[list[float | None]] = []
    told: list[str] = []
    for side, colour, share in sides:
        parts = [share(tally) for tally in timeline.periods]
        alone = [_percent(part, whole) for part, whole in parts]
        read, sent = (accumulate(column) for column in zip(*parts, strict=True))
        so_far = [_percent(part, whole) for part, whole in zip(read, sent, strict=True)]
        lines.append(Line(side, so_far, colour))
        lines.append(Line(f"{side}, by {_unit(timeline)}", alone, colour, thin=True))
        columns += [alone, so_far]
        told.append(f"{side}: {_show_percent(so_far[-1])} over all")
    unit = _unit(timeline)
    heads = [f"{side}, {what}>" for side, _, _ in sides for what in (f"this {unit}", "so far")]
    rows = [
        (period, *map(_show_percent, values))
        for period, *values in zip(_names(timeline), *columns, strict=True)
    ]
    drawn = draw_lines(lines, _ticks(timeline), f"cache-{name}", wide=False, percent=True)
    data = Table(title, (unit, *heads), tuple(rows))
    return Chart(f"cache-{name}", title, "; ".join(told) + ".", drawn, data)


def _percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


def _show_percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.1f} %"


def _unit(timeline: Timeline) -> str:
    days = timeline.step_us // _DAY_US
    return {0: "hour", 1: "day", 7: "week"}.get(days, f"{days:,} days")


def _names(timeline: Timeline) -> Iterator[str]:
    """When each period begins."""
    for moment in _moments(timeline):
        text = str(moment.astype("datetime64[m]"))
        yield text.replace("T", " ") if timeline.step_us == _HOUR_US else text[:10]


def _ticks(timeline: Timeline) -> list[str]:
    """The same, as short as an axis needs it."""
    short = timeline.step_us <= _DAY_US
    return [name[5:] if short else name for name in _names(timeline)]


def _moments(timeline: Timeline) -> Iterator[np.datetime64]:
    for at in range(len(timeline.periods)):
        yield np.datetime64(timeline.first_us + at * timeline.step_us, "us")
