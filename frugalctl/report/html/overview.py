"""The top of the page: totals, and what each lever saved."""

from __future__ import annotations

from dataclasses import replace

from frugalctl.report.groups import PICOS
from frugalctl.report.html import svg
from frugalctl.report.html.charts import Bar, draw_waterfall
from frugalctl.report.html.model import Page
from frugalctl.report.html.money import Rounding
from frugalctl.report.html.sections import Card, Chart, Section
from frugalctl.report.layout import find_worst_quality, lay_out_each_lever
from frugalctl.report.model import Interval, Report
from frugalctl.report.tables import UNKNOWN, Table

_LEVERS = {
    "semantic_cache": "Semantic cache",
    "compress": "Compression",
    "prompt_cache": "Prompt cache",
}


def page_rounding(report: Report) -> Rounding:
    """The decimals of all amounts that add up to the totals."""
    return Rounding.of(report.baseline.cost_usd, report.recipe.cost_usd)


def lay_out_cards(page: Page) -> tuple[Card, ...]:
    """Cost, quality and latency, each with interval and coverage."""
    return (_cost(page.report), _quality(page.report), _latency(page.report))


def _cost(report: Report) -> Card:
    delta, rounding = report.delta, page_rounding(report)
    baseline, recipe = report.baseline, report.recipe
    before, after = baseline.cost_usd, recipe.cost_usd
    change = None
    if before is not None and after is not None:
        change = rounding.to_units(after) - rounding.to_units(before)
    percent = ""
    if delta.cost_pct is not None:
        percent = f" ({show_number(delta.cost_pct, 1, sign=True)} %)"
    return _card(
        report,
        "Cost",
        [
            (rounding.show_usd(side.cost_usd), show_usd_interval(side.cost_usd_ci95, rounding))
            for side in (baseline, recipe)
        ],
        rounding.show(change, sign=True) + (percent if change is not None else ""),
        show_usd_interval(delta.cost_usd_ci95, rounding, sign=True),
        _tone(delta.cost_usd_ci95, more_is_good=False),
        f"{report.log.priced:,} of {report.log.requests:,} requests",
    )


def _quality(report: Report) -> Card:
    delta, sides = report.delta, (report.baseline, report.recipe)
    card = _card(
        report,
        "Quality, mean",
        [
            (show_number(side.quality.mean, 4), show_interval(side.quality.ci95, 4))
            for side in sides
        ],
        show_number(delta.quality, 4, sign=True),
        show_interval(delta.quality_ci95, 4, sign=True),
        _tone(delta.quality_ci95, more_is_good=True),
        _coverage(report, [side.quality.n for side in sides]),
    )
    worst = find_worst_quality(report)
    return card if worst is None else replace(card, caveat=f"{worst[0]}: {worst[1]:.4f}")


def _latency(report: Report) -> Card:
    delta, sides = report.delta, (report.baseline, report.recipe)
    return _card(
        report,
        "Latency, mean",
        [
            (show_ms(side.latency_ms.mean), show_interval(side.latency_ms.ci95, 0, unit=" ms"))
            for side in sides
        ],
        show_ms(delta.latency_ms_mean, sign=True),
        show_interval(delta.latency_ms_mean_ci95, 0, sign=True, unit=" ms"),
        _tone(delta.latency_ms_mean_ci95, more_is_good=False),
        _coverage(report, [side.latency_ms.n for side in sides]),
    )


def _card(
    report: Report,
    title: str,
    figures: list[tuple[str, str]],
    change: str,
    change_interval: str,
    tone: str,
    coverage: str,
) -> Card:
    (before, before_interval), (after, interval) = figures
    if not report.levers:
        return Card(title, after, interval, "", "", "", "", coverage)
    was = f"{before} ({before_interval})" if before_interval else before
    return Card(title, after, interval, change, change_interval, tone, was, coverage)


def _coverage(report: Report, counts: list[int]) -> str:
    of_baseline, of_recipe = counts
    total = f"of {report.log.requests:,} requests"
    if not report.levers or of_baseline == of_recipe:
        return f"{of_recipe:,} {total}"
    return f"{of_recipe:,} (baseline {of_baseline:,}) {total}"


def _tone(interval: Interval | None, *, more_is_good: bool) -> str:
    """Good or bad only where the whole interval is."""
    if interval is None or interval[0] <= 0 <= interval[1]:
        return ""
    return "good" if (interval[0] > 0) == more_is_good else "bad"


def lay_out_levers(page: Page) -> Section | None:
    """The steps from the baseline's cost to the recipe's, which add up as shown."""
    report, rounding = page.report, page_rounding(page.report)
    before, after = report.baseline.cost_usd, report.recipe.cost_usd
    if not report.levers:
        return None
    saved = [item.saved_usd for item in report.levers]
    known = [amount for amount in saved if amount is not None]
    units: list[int | None] = [None] * len(saved)
    if len(known) == len(saved) and before is not None and after is not None:
        total = rounding.to_units(before) - rounding.to_units(after)
        units = list(rounding.apportion([round(amount * PICOS) for amount in known], total))
    table = _lever_table(report, rounding, units)
    lead = (
        "Each lever on top of those above it, so the order matters and nothing counts twice: "
        "the steps as shown add up to the change in cost as shown."
    )
    charts = (_waterfall(report, rounding, units),) if None not in units else ()
    return Section("levers", "What each lever saved", lead, charts, (table,), beside=True)


def lay_out_each(page: Page) -> list[Section]:
    """What each lever did, in the words of the text report."""
    return [
        Section(lever.replace("_", "-"), _LEVERS[lever], tables=tuple(tables))
        for lever, tables in lay_out_each_lever(page.report).items()
    ]


def _lever_table(report: Report, rounding: Rounding, units: list[int | None]) -> Table:
    left = None
    if report.baseline.cost_usd is not None:
        left = rounding.to_units(report.baseline.cost_usd)
    rows = [(f"baseline: {report.baseline.name}", "", "", rounding.show(left))]
    for item, step in zip(report.levers, units, strict=True):
        left = None if left is None or step is None else left - step
        interval = item.saved_usd_ci95
        change = None if interval is None else (-interval[1], -interval[0])
        rows.append(
            (
                item.name.replace("_", " "),
                rounding.show(None if step is None else -step, sign=True),
                show_usd_interval(change, rounding, sign=True),
                rounding.show(left),
            )
        )
    after = rounding.show_usd(report.recipe.cost_usd)
    rows.append((f"recipe: {report.recipe.name}", "", "", after))
    columns = ("step", "change>", "95 % interval>", "cost after>")
    return Table("From the baseline to the recipe", columns, tuple(rows))


def _waterfall(report: Report, rounding: Rounding, units: list[int | None]) -> Chart:
    before, after = report.baseline.cost_usd or 0.0, report.recipe.cost_usd or 0.0
    scale = 10**rounding.decimals
    bars = [Bar("baseline", 0.0, before, rounding.show_usd(before), svg.BASELINE)]
    left = rounding.to_units(before)
    for item, step in zip(report.levers, units, strict=True):
        now = left - (step or 0)
        colour = svg.LOSS if now > left else svg.SAVING
        shown = rounding.show(now - left, sign=True)
        bars.append(Bar(item.name.replace("_", " "), left / scale, now / scale, shown, colour))
        left = now
    bars.append(Bar("recipe", 0.0, after, rounding.show_usd(after), svg.RECIPE))
    text = "Bars from the top: " + "; ".join(f"{bar.name} {bar.shown}" for bar in bars) + "."
    return Chart("waterfall", "Cost, step by step", text, draw_waterfall(bars, "waterfall"))


def show_number(value: float | None, digits: int, *, sign: bool = False) -> str:
    """A number with thousands separated and a true minus."""
    if value is None:
        return UNKNOWN
    return f"{value:{'+' if sign else ''}z,.{digits}f}".replace("-", "\u2212")


def show_ms(value: float | None, *, sign: bool = False) -> str:
    """Milliseconds."""
    return UNKNOWN if value is None else f"{show_number(value, 0, sign=sign)} ms"


def show_interval(
    interval: Interval | None, digits: int, *, sign: bool = False, unit: str = ""
) -> str:
    """An interval, "" where there is none."""
    if interval is None:
        return ""
    low, high = (show_number(end, digits, sign=sign) for end in interval)
    return f"{low} to {high}{unit}"


def show_usd_interval(interval: Interval | None, rounding: Rounding, *, sign: bool = False) -> str:
    """An interval of dollars, "" where there is none."""
    if interval is None:
        return ""
    low, high = (rounding.show_usd(end, sign=sign) for end in interval)
    return f"{low} to {high}"
