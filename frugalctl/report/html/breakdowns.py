"""Where the money goes: by model, task, tenant and token class, and the dearest requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frugalctl.prices import TOKEN_CLASSES
from frugalctl.report.groups import PICOS
from frugalctl.report.html.model import Dear, ModelUse, Page
from frugalctl.report.html.money import Rounding
from frugalctl.report.html.overview import page_rounding, show_ms, show_number
from frugalctl.report.html.sections import Passage, Section
from frugalctl.report.layout import tell_quality_counts
from frugalctl.report.model import GroupSummary, Report
from frugalctl.report.tables import UNKNOWN, Table

MOST_ROWS = 20
_UNCOVERED = "uncovered"


@dataclass(frozen=True, slots=True)
class _Count:
    """Requests, calls or tokens; some of them may be uncovered, and some others unpriced."""

    all: int = 0
    uncovered: int = 0
    unpriced: int = 0

    def __add__(self, other: _Count) -> _Count:
        return _Count(
            self.all + other.all,
            self.uncovered + other.uncovered,
            self.unpriced + other.unpriced,
        )

    def show(self) -> str:
        """Such as "173 of 197, 1 unpriced"."""
        counted = f"{self.all - self.uncovered:,} of " if self.uncovered else ""
        unpriced = f", {self.unpriced:,} unpriced" if self.unpriced else ""
        return f"{counted}{self.all:,}{unpriced}"


@dataclass(frozen=True, slots=True)
class _Line:
    """A row before its amounts are rounded: cells on either side of them.

    Attributes:
        name: of the row.
        counts: right after the name.
        picos: baseline and recipe; None where unknown.
        more: cells at the end.
    """

    name: str
    counts: tuple[_Count, ...]
    picos: tuple[int | None, int | None]
    more: tuple[str, ...] = ()


def lay_out_breakdowns(page: Page) -> Section:
    """Tables that sum to the totals."""
    report = page.report
    tables = [_models(page), _token_classes(report)]
    for name in ("task", "tenant"):
        groups = report.groups.get(name, ())
        if groups:
            tables.append(_groups(report, name, groups))
    lead = (
        f"The {MOST_ROWS} largest of each, and the rest in one row; every column of costs adds up "
        "to the total as shown above. For that, amounts are rounded together, so the last digit "
        "of one may differ from the text report's. Uncovered requests are in no figure, unpriced "
        "ones in no cost."
    )
    if any(tell_quality_counts(one) for groups in report.groups.values() for one in groups):
        lead += (
            " Where two means of quality are over different numbers of requests, those stand in "
            "parentheses: the difference of such means is no gain or loss."
        )
    return Section("where", "Where it goes", lead, (), tuple(tables))


def _models(page: Page) -> Table:
    report = page.report
    lines = [
        _Line(
            use.model,
            _model_counts(use, bool(report.levers)),
            (use.baseline_picos, use.recipe_picos),
        )
        for use in page.models
    ]
    heads = ("answers>", "calls>") if report.levers else ("calls>",)
    fees = {item.token_class for item in report.token_classes if item.tokens is None}
    paid = " and ".join(sorted(fees & {"embedding", "scoring", "storage"}))
    rest = _Line(f"({paid or 'beside calls'})", (_Count(),) * len(heads), (0, 0))
    lines = _with_rest(report, _fold(lines), rest)
    return _table(report, "By model", "model", heads, lines, (), keep_rest=bool(paid))


def _model_counts(use: ModelUse, compare: bool) -> tuple[_Count, ...]:
    recipe = _Count(use.recipe_calls, unpriced=use.recipe_unpriced)
    return (_Count(use.baseline_calls, unpriced=use.baseline_unpriced), recipe)[not compare :]


def _token_classes(report: Report) -> Table:
    lines = [
        _Line(
            item.token_class.replace("_", " "),
            (_Count(item.baseline_tokens or 0), _Count(item.tokens or 0))[not report.levers :],
            (_picos(item.baseline_cost_usd), _picos(item.cost_usd)),
        )
        for item in report.token_classes
        if item.tokens or item.baseline_tokens or item.cost_usd
    ]
    heads = ("baseline tokens>", "recipe tokens>") if report.levers else ("tokens>",)
    rest = _Line("(not by class)", (_Count(),) * len(heads), (0, 0))
    return _table(report, "By token class", "class", heads, _with_rest(report, lines, rest), ())


def _groups(report: Report, name: str, groups: Sequence[GroupSummary]) -> Table:
    ranked = sorted(
        groups,
        key=lambda group: (-(group.baseline_cost_usd or 0) - (group.cost_usd or 0), group.name),
    )
    lines = _fold([_group_line(report, group) for group in ranked])
    rest = _Line(f"(no {name})", (_count_rest(report, groups),), (0, 0), ("", ""))
    lines = _with_rest(report, lines, rest)
    more = ("quality>", "latency, ms>")
    return _table(
        report, f"By {name}", name, ("requests>",), lines, more, keep_rest=bool(rest.counts[0].all)
    )


def _count_group(group: GroupSummary) -> _Count:
    unpriced = group.requests - group.uncovered - group.priced
    return _Count(group.requests, group.uncovered, unpriced)


def _count_rest(report: Report, groups: Sequence[GroupSummary]) -> _Count:
    """The requests that are in none of the groups."""
    log = report.log
    grouped = sum(map(_count_group, groups), _Count())
    unpriced = log.requests - log.uncovered - log.priced
    return _Count(
        log.requests - grouped.all, log.uncovered - grouped.uncovered, unpriced - grouped.unpriced
    )


def _group_line(report: Report, group: GroupSummary) -> _Line:
    counts = (_count_group(group),)
    if group.uncovered == group.requests:
        return _Line(group.name, counts, (None, None), (_UNCOVERED, _UNCOVERED))
    quality = [show_number(value, 4) for value in (group.baseline_quality, group.quality)]
    latency = [
        show_ms(value).removesuffix(" ms")
        for value in (group.baseline_latency_ms_mean, group.latency_ms_mean)
    ]
    means, times = (_before_after(pair, bool(report.levers)) for pair in (quality, latency))
    told = tell_quality_counts(group).replace("->", "\u2192")
    picos = (_picos(group.baseline_cost_usd), _picos(group.cost_usd))
    return _Line(group.name, counts, picos, (means + told, times))


def _before_after(pair: list[str], compare: bool) -> str:
    before, after = pair
    if not compare or before == after == UNKNOWN:
        return after
    return f"{before} \u2192 {after}"


def _fold(lines: list[_Line]) -> list[_Line]:
    """The first lines, and the others as one."""
    if len(lines) <= MOST_ROWS + 1:
        return lines
    kept, others = lines[:MOST_ROWS], lines[MOST_ROWS:]
    counts = _sum_counts(others)
    baseline, recipe = (
        sum(known)
        if (known := [pico for line in others if (pico := line.picos[at]) is not None])
        else None
        for at in (0, 1)
    )
    more = ("",) * len(kept[0].more)
    return [*kept, _Line(f"{len(others):,} others", counts, (baseline, recipe), more)]


def _sum_counts(lines: Sequence[_Line]) -> tuple[_Count, ...]:
    columns = zip(*(line.counts for line in lines), strict=True)
    return tuple(sum(column, _Count()) for column in columns)


def _with_rest(report: Report, lines: list[_Line], rest: _Line) -> list[_Line]:
    """The lines, and a last one with what is missing to the totals."""
    totals = [_picos(side.cost_usd) for side in (report.baseline, report.recipe)]
    missing = [
        None if total is None else total - sum(line.picos[at] or 0 for line in lines)
        for at, total in enumerate(totals)
    ]
    return [*lines, _Line(rest.name, rest.counts, (missing[0], missing[1]), rest.more)]


def _table(
    report: Report,
    title: str,
    name: str,
    heads: tuple[str, ...],
    lines: list[_Line],
    more: tuple[str, ...],
    *,
    keep_rest: bool = False,
) -> Table:
    """Lay out lines, the last of which holds what is missing to the total."""
    rounding, compare = page_rounding(report), bool(report.levers)
    if not keep_rest and not any(_matters(pico, rounding) for pico in lines[-1].picos):
        lines = lines[:-1]
    totals = [
        None if side.cost_usd is None else rounding.to_units(side.cost_usd)
        for side in (report.baseline, report.recipe)
    ]
    columns = [_round_column(lines, at, totals[at], rounding) for at in (0, 1)]
    rows: list[tuple[str, ...]] = []
    for line, before, after in zip(lines, *columns, strict=True):
        uncovered = line.more[:1] == (_UNCOVERED,)
        costs = _costs(before, after, rounding, compare, uncovered)
        rows.append((line.name, *(count.show() for count in line.counts), *costs, *line.more))
    costs = _costs(totals[0], totals[1], rounding, compare, False)
    shown = (count.show() for count in _sum_counts(lines))
    rows.append(("total", *shown, *costs, *("" for _ in more)))
    money = ("baseline>", "recipe>", "change>") if compare else ("cost>",)
    return Table(title, (name, *heads, *money, *more), tuple(rows))


def _matters(picos: int | None, rounding: Rounding) -> bool:
    """Whether an amount would show."""
    return picos is not None and 2 * abs(picos) * 10**rounding.decimals >= PICOS


def _round_column(
    lines: list[_Line], at: int, total: int | None, rounding: Rounding
) -> list[int | None]:
    """The amounts of one side in units, which sum to the total in units."""
    known = [place for place, line in enumerate(lines) if line.picos[at] is not None]
    column: list[int | None] = [None] * len(lines)
    if total is None:
        return column
    units = rounding.apportion([lines[place].picos[at] or 0 for place in known], total)
    for place, unit in zip(known, units, strict=True):
        column[place] = unit
    return column


def _costs(
    before: int | None, after: int | None, rounding: Rounding, compare: bool, uncovered: bool
) -> tuple[str, ...]:
    if uncovered:
        return (_UNCOVERED,) * 3 if compare else (_UNCOVERED,)
    if not compare:
        return (rounding.show(after),)
    change = None if before is None or after is None else after - before
    return (rounding.show(before), rounding.show(after), rounding.show(change, sign=True))


def _picos(usd: float | None) -> int | None:
    return None if usd is None else round(usd * PICOS)


def lay_out_dearest(page: Page) -> Section | None:
    """The requests that cost most, on either side; with their text only where it was given."""
    report = page.report
    if not page.dear_recipe:
        return None
    tables = [_dearest(page.dear_recipe, "recipe" if report.levers else "", "baseline")]
    if report.levers:
        tables.append(_dearest(page.dear_baseline, "baseline", "recipe"))
    shown = {dear.row: dear for dear in (*page.dear_recipe, *page.dear_baseline)}
    passages = tuple(
        Passage(_request(dear), dear.text) for dear in shown.values() if dear.text is not None
    )
    if passages:
        lead = "What was asked is shown below, the first 2,000 characters of each."
    else:
        lead = "What was asked is not in this page; --show-text puts it there."
    return Section("dearest", "Dearest requests", lead, (), tuple(tables), passages)


def _dearest(dears: Sequence[Dear], side: str, other: str) -> Table:
    usd = [amount for dear in dears for amount in (dear.usd, dear.other_usd)]
    rounding = Rounding.of(*usd)
    used = [name for name in TOKEN_CLASSES if any((dear.tokens or {}).get(name) for dear in dears)]
    rows = tuple(
        (
            _request(dear),
            dear.model or UNKNOWN,
            dear.task or "",
            *(UNKNOWN if dear.tokens is None else f"{dear.tokens[name]:,}" for name in used),
            rounding.show_usd(dear.usd),
            *((rounding.show_usd(dear.other_usd),) if side else ()),
        )
        for dear in dears
    )
    heads = (*(f"{name.replace('_', ' ')}>" for name in used), f"{side or 'cost'}>")
    title = f"By cost of the {side}" if side else "By cost"
    columns = ("request", "model", "task", *heads, *((f"{other}>",) if side else ()))
    return Table(title, columns, rows)


def _request(dear: Dear) -> str:
    return f"request {dear.row + 1:,}" if dear.request is None else dear.request
