"""What a person wants to read first: the report as a few tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from frugalctl.report.compress_lever import lay_out_compression
from frugalctl.report.encode import encode_report
from frugalctl.report.model import GroupSummary, ModelSummary, Report, SideSummary
from frugalctl.report.reuse_layout import lay_out_reuse
from frugalctl.report.tables import (
    UNKNOWN,
    Table,
    format_interval,
    format_number,
    format_percent,
    format_usd,
    format_usd_interval,
    render_csv,
    render_markdown,
)

_MOST_ROWS = 20


def lay_out(report: Report) -> list[Table]:
    """The report's tables, in reading order."""
    compare = bool(report.levers)
    tables = [_overview(report, compare)]
    if len(report.levers) > 1:
        tables.append(_levers(report))
    for of_lever in lay_out_each_lever(report).values():
        tables += of_lever
    tables += [_models(report), _token_classes(report)]
    said: set[str] = set()
    for name, groups in report.groups.items():
        if groups:
            table = _groups(name, groups, compare)
            tables.append(replace(table, notes=tuple(n for n in table.notes if n not in said)))
            said.update(table.notes)
    return tables


def lay_out_each_lever(report: Report) -> dict[str, list[Table]]:
    """What each lever did, for those that have more to say than what they saved."""
    found: dict[str, list[Table]] = {}
    if report.semantic_cache is not None:
        found["semantic_cache"] = lay_out_reuse(report)
    if report.compress is not None:
        found["compress"] = [lay_out_compression(report.compress)]
    if report.prompt_cache is not None:
        found["prompt_cache"] = [_prompt_cache(report.prompt_cache)]
    return found


def _overview(report: Report, compare: bool) -> Table:
    requests = "request" if report.log.requests == 1 else "requests"
    title = f"{report.log.requests:,} {requests}{_days(report)}"
    if not compare:
        measured = ((label, show(report.baseline)) for label, show, _ in _MEASURES)
        header = "as logged" if report.baseline.name == "observed" else report.baseline.name
        told = tuple(row for row in measured if row[1])
        return Table(title, ("", f"{header}>"), told, tell_coverage(report))
    rows = [
        (label, show(report.baseline), show(report.recipe), change(report))
        for label, show, change in _MEASURES
    ]
    worst = find_worst_quality(report)
    if worst is not None:
        rows.insert(3, (f"  {worst[0]}", "", f"{worst[1]:.4f}", ""))
    columns = (
        "",
        f"baseline: {report.baseline.name}>",
        f"recipe: {report.recipe.name}>",
        "change>",
    )
    told = tuple(row for row in rows if any(row[1:]))
    return Table(title, columns, told, tell_coverage(report))


def find_worst_quality(report: Report) -> tuple[str, float] | None:
    """What is counted as 0, and the recipe's quality then; None where nothing was lost."""
    cache, compress = report.semantic_cache or {}, report.compress or {}
    worst = (cache | compress).get("quality_at_worst")
    if worst is None or not (cache.get("hits_of_unknown_quality") or compress.get("quality_lost")):
        return None
    return ("unknown as 0" if compress else "reused and unknown as 0", worst)


def _days(report: Report) -> str:
    first, last = report.log.first_day, report.log.last_day
    if first is None or last is None:
        return ""
    return f", {first}" if first == last else f", {first} to {last}"


def _cost_change(report: Report) -> str:
    delta = report.delta
    if delta.cost_usd is None:
        return UNKNOWN
    percent = "" if delta.cost_pct is None else f" ({format_percent(delta.cost_pct)})"
    return format_usd(delta.cost_usd, sign=True) + percent


def _quality(side: SideSummary) -> str:
    return UNKNOWN if side.quality.mean is None else f"{side.quality.mean:.4f}"


def _quality_change(report: Report) -> str:
    delta = report.delta
    if delta.quality is None:
        return UNKNOWN
    return f"{delta.quality:+.4f}"


def _latency_change(report: Report) -> str:
    return _ms(report.delta.latency_ms_mean, sign=True)


def _ms(value: float | None, *, sign: bool = False) -> str:
    return UNKNOWN if value is None else f"{format_number(value, 1, sign=sign)} ms"


def _tokens(*names: str) -> Callable[[SideSummary], str]:
    def show(side: SideSummary) -> str:
        counts = [side.tokens[name] for name in names]
        return format_number(None if None in counts else sum(count or 0 for count in counts))

    return show


def _nothing(report: Report) -> str:
    return ""


_INPUT = ("fresh_input", "cache_read", "cache_write", "cache_write_1h")
_MEASURES: tuple[tuple[str, Callable[[SideSummary], str], Callable[[Report], str]], ...] = (
    ("cost", lambda side: format_usd(side.cost_usd), _cost_change),
    (
        "  95 % interval",
        lambda side: format_usd_interval(side.cost_usd_ci95),
        lambda report: format_usd_interval(report.delta.cost_usd_ci95, sign=True),
    ),
    ("quality, mean", _quality, _quality_change),
    (
        "  95 % interval",
        lambda side: format_interval(side.quality.ci95, 4),
        lambda report: format_interval(report.delta.quality_ci95, 4, sign=True),
    ),
    ("  requests with a quality", lambda side: format_number(side.quality.n), _nothing),
    ("latency, mean", lambda side: _ms(side.latency_ms.mean), _latency_change),
    (
        "  95 % interval",
        lambda side: format_interval(side.latency_ms.ci95, 1),
        lambda report: format_interval(report.delta.latency_ms_mean_ci95, 1, sign=True),
    ),
    ("  median", lambda side: _ms(side.latency_ms.p50), _nothing),
    ("  95th percentile", lambda side: _ms(side.latency_ms.p95), _nothing),
    ("  99th percentile", lambda side: _ms(side.latency_ms.p99), _nothing),
    ("  requests with a latency", lambda side: format_number(side.latency_ms.n), _nothing),
    ("input tokens", _tokens(*_INPUT), _nothing),
    ("output tokens", _tokens("output", "reasoning"), _nothing),
)


def tell_coverage(report: Report) -> tuple[str, ...]:
    """What the figures leave out, or guess, in sentences."""
    log = report.log
    notes: list[str] = []
    if report.levers:
        notes.append("Changes in quality and latency are paired: of requests where both are known.")
    unpriced = sum(log.unpriced.values())
    if unpriced:
        names = ", ".join(f"{name} ({count:,})" for name, count in list(log.unpriced.items())[:5])
        more = f" and {len(log.unpriced) - 5} more" if len(log.unpriced) > 5 else ""
        notes.append(
            f"Unpriced: {unpriced:,} of {log.requests:,} requests, left out of all costs: "
            f"{names}{more}."
        )
    if log.uncovered:
        notes.append(
            f"Uncovered: {log.uncovered:,} of {log.requests:,} requests "
            f"({100 * (log.uncovered_share or 0):.1f} %) lack an outcome that is needed; they are "
            "left out of everything above."
        )
    if log.estimated_usage:
        notes.append(
            f"Estimated: the tokens of {log.estimated_usage:,} requests were counted from text."
        )
    if log.undated and report.origin.as_of is None and report.origin.prices == "book":
        book_day = report.origin.price_book[:10]
        notes.append(f"Undated: {log.undated:,} requests were priced as of {book_day}.")
    if log.skipped_lines:
        notes.append(f"Skipped: {log.skipped_lines:,} bad lines of the log.")
    return tuple(notes)


def _levers(report: Report) -> Table:
    rows = tuple(
        (
            item.name,
            format_usd(item.saved_usd, sign=True),
            format_usd_interval(item.saved_usd_ci95, sign=True),
        )
        for item in report.levers
    )
    note = "Each lever on top of those above it; together they are the change in cost."
    return Table("Saved by lever", ("lever", "saved>", "95 % interval>"), rows, (note,))


def _prompt_cache(cache: dict[str, Any]) -> Table:
    bounds: dict[str, Any] = cache["bounds"] or {}
    columns = {"simulated": cache, **bounds}
    measures = (
        ("input tokens read", "read_share"),
        ("written", "write_share"),
        ("fresh", "fresh_share"),
    )
    rows = [
        (label, *(f"{100 * values[key]:.2f} %" for values in columns.values()))
        for label, key in measures
    ]
    relative = [format_number(values["relative_input_cost"], 4) for values in columns.values()]
    rows.append(("input cost, uncached = 1", *relative))
    hits = f"{cache['requests_with_hit']:,} of {cache['requests']:,}"
    rows.append(("calls with a hit", hits, *("" for _ in bounds)))
    notes = ("The rules are not certain: the bounds are the least and the best to hope for.",)
    headers = ("", *(f"{name}>" for name in columns))
    return Table(f"Prompt cache: {cache['name']}", headers, tuple(rows), notes if bounds else ())


def _models(report: Report) -> Table:
    rows = [
        (item.model, format_number(item.calls), _model_cost(item))
        for item in report.models[:_MOST_ROWS]
    ]
    title = f"By model{_whose(report)}"
    return Table(title, ("model", "calls>", "cost>"), tuple(rows), _rest(report.models, "models"))


def _model_cost(item: ModelSummary) -> str:
    cost = format_usd(item.cost_usd)
    if item.cost_usd is None or not item.unpriced_calls:
        return cost
    return f"{cost} without {item.unpriced_calls:,} unpriced"


def _token_classes(report: Report) -> Table:
    from frugalctl.replay.ledger import FEES

    rows = tuple(
        (
            item.token_class.replace("_", " "),
            "" if item.token_class in FEES else format_number(item.tokens),
            format_usd(item.cost_usd),
        )
        for item in report.token_classes
        if item.tokens != 0
    )
    return Table(f"By token class{_whose(report)}", ("class", "tokens>", "cost>"), rows)


def _whose(report: Report) -> str:
    return f", recipe {report.recipe.name}" if report.levers else ""


def _groups(name: str, groups: Sequence[GroupSummary], compare: bool) -> Table:
    shown = groups
    if name != "day":
        shown = sorted(groups, key=lambda group: (-(group.cost_usd or 0.0), group.name))
    shown = shown[:_MOST_ROWS]
    rows = [(group.name, _count(group), *_group_values(group, compare)) for group in shown]
    change = " -> recipe" if compare else ""
    columns = (name, "requests>", f"cost{change}>", f"quality{change}>", f"latency{change}>")
    notes = (*_group_notes(shown, compare), *_rest(groups, f"{name}s"))
    return Table(f"By {name}", columns, tuple(rows), notes)


def _count(group: GroupSummary) -> str:
    counted = format_number(group.requests - group.uncovered)
    return f"{counted} of {group.requests:,}" if group.uncovered else counted


def _group_notes(groups: Sequence[GroupSummary], compare: bool) -> tuple[str, ...]:
    notes: list[str] = []
    if any(0 < group.uncovered < group.requests for group in groups):
        notes.append("Requests: the covered ones, which the figures are over, of all.")
    unpriced = [
        f"{group.name} ({missing:,})"
        for group in groups
        if (missing := group.requests - group.uncovered - group.priced)
    ]
    if unpriced:
        more = f" and {len(unpriced) - 5} more" if len(unpriced) > 5 else ""
        notes.append(f"Unpriced, in no cost: {', '.join(unpriced[:5])}{more}.")
    if compare and any(tell_quality_counts(group) for group in groups):
        notes.append(
            "Quality, in parentheses: over how many requests. Means of different requests, whose "
            "difference is no gain or loss."
        )
    return tuple(notes)


def tell_quality_counts(group: GroupSummary) -> str:
    """How many requests the two means of quality are over, "" where that is the same number."""
    before, after = group.baseline_quality_n, group.quality_n
    return "" if before == after or not (before and after) else f" ({before:,} -> {after:,})"


def _group_values(group: GroupSummary, compare: bool) -> tuple[str, str, str]:
    if group.uncovered == group.requests:
        return ("uncovered", "uncovered", "uncovered")
    now = (
        format_usd(group.cost_usd),
        format_number(group.quality, 4),
        _whole_ms(group.latency_ms_mean),
    )
    if not compare:
        return now
    before = (
        format_usd(group.baseline_cost_usd),
        format_number(group.baseline_quality, 4),
        _whole_ms(group.baseline_latency_ms_mean).removesuffix(" ms"),
    )
    cost, quality, latency = (
        new if old == new == UNKNOWN else f"{old} -> {new}"
        for old, new in zip(before, now, strict=True)
    )
    return (cost, quality + tell_quality_counts(group), latency)


def _whole_ms(value: float | None) -> str:
    return UNKNOWN if value is None else f"{format_number(value, 0 if value >= 100 else 1)} ms"


def _rest(items: Sequence[object], what: str) -> tuple[str, ...]:
    more = len(items) - _MOST_ROWS
    return (f"{more:,} more {what}; --format json has them all.",) if more > 0 else ()


def render_report_markdown(report: Report) -> str:
    """The report in Markdown."""
    return render_markdown(lay_out(report))


def render_report_csv(report: Report) -> str:
    """The report as metric,value lines, named by their path in the JSON."""
    return render_csv(("metric", "value"), list(_flatten("", encode_report(report)).items()))


def _flatten(prefix: str, value: object) -> dict[str, object]:
    if isinstance(value, dict):
        items = list(cast(dict[str, object], value).items())
    elif isinstance(value, list):
        items = [(str(at), item) for at, item in enumerate(cast(list[object], value))]
    else:
        return {prefix: value}
    found: dict[str, object] = {}
    for key, item in items:
        found |= _flatten(f"{prefix}.{key}" if prefix else key, item)
    return found
