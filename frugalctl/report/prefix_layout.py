"""The prefix report as tables, JSON and CSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, cast

from frugalctl.levers.prompt_cache.blame import CAUSES, Divergence
from frugalctl.report.prefix_model import CacheTotals, CauseSummary, PrefixReport
from frugalctl.report.tables import (
    UNKNOWN,
    Table,
    format_number,
    format_usd,
    render_csv,
    render_markdown,
)

MOST_ROWS = 10
_MONEY_DIGITS = 12
_OTHER_DIGITS = 9
_GROUP_COLUMNS = ("requests>", "with a hit>", "input tokens>", "read>", "uncached>", "cached>")


def encode_prefix_report(report: PrefixReport) -> dict[str, Any]:
    """The report as plain data: money in USD, unknown is None."""
    body = asdict(report)
    body["total"] = encode_totals(report.total)
    body["groups"] = {
        name: [{name: value, **encode_totals(total)} for value, total in groups.items()]
        for name, groups in report.groups.items()
    }
    body["causes"] = [
        {**asdict(cause), "description": CAUSES[cause.example.cause]} for cause in report.causes
    ]
    first = ("schema_version", "frugalctl_version")
    ordered = {name: body.pop(name) for name in first} | body
    return cast("dict[str, Any]", round_values(ordered))


def encode_totals(total: CacheTotals) -> dict[str, Any]:
    """Totals as plain data, with their shares."""
    whole = max(total.input_tokens, 1)
    return {
        **asdict(total),
        "input_tokens": total.input_tokens,
        "read_share": total.read_tokens / whole,
        "write_share": (total.write_tokens + total.write_1h_tokens) / whole,
        "fresh_share": total.fresh_tokens / whole,
        "relative_input_cost": total.relative_input_cost,
    }


def round_values(value: Any, name: str = "") -> Any:
    """The same data without the last bits of its floats, which depend on how sums were made."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: round_values(item, key) for key, item in items}
    if isinstance(value, (list, tuple)):
        return [round_values(item, name) for item in cast("Sequence[Any]", value)]
    if isinstance(value, float):
        return round(value, _MONEY_DIGITS if name.endswith("usd") else _OTHER_DIGITS)
    return value


def render_data(body: dict[str, Any], *, indent: int | None = 2) -> str:
    """Plain data as JSON; without indent as one line."""
    return json.dumps(body, indent=indent, ensure_ascii=False) + "\n"


def render_prefix_csv(report: PrefixReport) -> str:
    """The groups of the report, one line each, the whole log first."""
    total = cast("dict[str, Any]", round_values(encode_totals(report.total)))
    rows = [["total", "", *total.values()]]
    for name, groups in report.groups.items():
        for value, one in groups.items():
            rows.append([name, value, *round_values(encode_totals(one)).values()])
    return render_csv(["group", "name", *total], rows)


def render_prefix_markdown(report: PrefixReport) -> str:
    """The report in Markdown."""
    return render_markdown(lay_out_prefixes(report))


def lay_out_prefixes(report: PrefixReport) -> list[Table]:
    """The report as tables, for people."""
    tables = [_lay_out_total(report)]
    if report.causes:
        tables.append(_lay_out_causes(report.causes))
    if report.repetition:
        tables.append(_lay_out_repetition(report))
    if report.calibration:
        tables.append(_lay_out_calibration(report))
    for name, groups in report.groups.items():
        if groups:
            tables.append(_lay_out_group(name, groups))
    return tables


def _lay_out_total(report: PrefixReport) -> Table:
    total = report.total
    rows = [
        ("requests with a hit", _share(total.requests_with_hit, total.requests)),
        ("input tokens", format_number(total.input_tokens)),
        ("  read from the cache", _share(total.read_tokens, total.input_tokens)),
        ("  written", _share(total.write_tokens + total.write_1h_tokens, total.input_tokens)),
        ("  fresh", _share(total.fresh_tokens, total.input_tokens)),
        ("input cost uncached", format_usd(total.uncached_usd)),
        ("  as logged", format_usd(total.logged_usd)),
        ("  as simulated", format_usd(total.cost_usd)),
        ("  of uncached", format_number(total.relative_input_cost, 3)),
    ]
    if report.bounds:
        low, high = report.bounds.read_share
        rows.append(("read share, at the least and at best", f"{low:.1%} to {high:.1%}"))
        if report.bounds.cost_usd:
            dear, cheap = map(format_usd, report.bounds.cost_usd)
            rows.append(("input cost, at the most and at best", f"{dear} to {cheap}"))
    return Table(
        f"Prompt cache: {report.cache}", ("input", "value>"), tuple(rows), _describe(report)
    )


def _describe(report: PrefixReport) -> tuple[str, ...]:
    said = list(report.notes)
    if len(report.caches) > 1:
        used = (f"{name} ({count:,} requests)" for name, count in report.caches.items())
        said.append(f"caches: {', '.join(used)}")
    said += [f"no cache simulated for {name}: {why}" for name, why in report.without_cache.items()]
    if report.unpriced:
        names = ", ".join(f"{name} ({count:,})" for name, count in report.unpriced.items())
        said.append(f"without a price, and not in any cost: {names}")
    return tuple(said)


def _lay_out_causes(causes: Sequence[CauseSummary]) -> Table:
    rows = tuple(
        (
            CAUSES[cause.example.cause],
            format_number(cause.requests),
            format_number(cause.expired_requests),
            format_number(cause.missed_tokens),
            format_usd(cause.lost_usd),
        )
        for cause in causes
    )
    notes = [_show_example(cause) for cause in causes if cause.example.divergence]
    notes.append(
        "Tokens and dollars are of requests that would have hit but for the cause; where the "
        "lifetime had passed as well, they are not counted. Dollars are beyond the price of a read."
    )
    columns = ("what broke the prefix", "requests>", "also expired>", "tokens missed>", "lost>")
    return Table("Why requests missed", columns, rows, tuple(notes))


def _show_example(cause: CauseSummary) -> str:
    where = cause.example.divergence
    assert where is not None
    return f"{CAUSES[cause.example.cause]}: {describe_divergence(where)}"


def describe_divergence(where: Divergence) -> str:
    """Where two prompts part, in words."""
    place = "tools" if where.message < 0 else f"message {where.message} ({where.role})"
    what = f"a {where.kind} at " if where.kind else ""
    return f"{what}{place}, character {where.character:,}: {where.old!r} -> {where.new!r}"


def _lay_out_repetition(report: PrefixReport) -> Table:
    whole = sum(one.tokens for one in report.repetition)
    rows = tuple(
        (
            one.part,
            _share(one.tokens, whole),
            _share(one.as_prefix_tokens, one.tokens),
            _share(one.anywhere_tokens, one.tokens),
        )
        for one in report.repetition
    )
    columns = ("part", "counted tokens>", "sent before as a prefix>", "sent before anywhere>")
    note = "Sent before: to the same model, by the same tenant, however long ago."
    return Table("Where the tokens repeat", columns, rows, (note,))


def _lay_out_calibration(report: PrefixReport) -> Table:
    rows = tuple(
        (
            one.model or "all",
            format_number(one.requests),
            format_number(one.logged_tokens),
            format_number(one.predicted_tokens),
            format_number(one.mean_absolute_tokens, 1),
            format_number(one.bias_tokens, 1, sign=True),
            UNKNOWN if one.correlation is None else f"{one.correlation:.3f}",
            f"{one.close_share:.1%}",
        )
        for one in report.calibration[: MOST_ROWS + 1]
    )
    columns = (
        "model",
        "requests>",
        "logged>",
        "predicted>",
        "mean distance>",
        "bias>",
        "correlation>",
        "within 128>",
    )
    note = (
        "Cached tokens that the provider reported, against those predicted for the same requests."
    )
    return Table("Can the simulation be trusted?", columns, rows, (note,))


def _lay_out_group(name: str, groups: dict[str, CacheTotals]) -> Table:
    shown = list(groups.items())
    if name != "day":
        shown.sort(key=lambda item: (-(item[1].cost_usd or 0.0), -item[1].input_tokens, item[0]))
    rows = tuple(
        (
            value,
            format_number(total.requests),
            _share(total.requests_with_hit, total.requests),
            format_number(total.input_tokens),
            _share(total.read_tokens, total.input_tokens),
            format_usd(total.uncached_usd),
            format_usd(total.cost_usd),
        )
        for value, total in shown[:MOST_ROWS]
    )
    more = len(shown) - MOST_ROWS
    notes = (f"{more:,} more {name}s; --format json has them all.",) if more > 0 else ()
    return Table(f"By {name}", (name, *_GROUP_COLUMNS), rows, notes)


def _share(part: int, whole: int) -> str:
    return f"{part:,} ({part / whole:.1%})" if whole else f"{part:,}"
