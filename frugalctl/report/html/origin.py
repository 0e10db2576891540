"""How the report was made, and what in it was observed, simulated, estimated or is unknown."""

from __future__ import annotations

import json
from typing import Any, cast

from frugalctl.report.html.model import Page
from frugalctl.report.html.sections import Section
from frugalctl.report.model import Report
from frugalctl.report.tables import UNKNOWN, Table

_MOST_NAMES = 20


def lay_out_origin(page: Page) -> Section:
    """Versions, inputs and settings; then what the figures rest on."""
    lead = "The same log, recipe, prices and version give this page again, byte for byte."
    tables = (_sources(page), _settings(page.report), _kinds(page))
    kept = tuple(table for table in tables if table.rows)
    return Section("made", "How this was made", lead, (), kept)


def _sources(page: Page) -> Table:
    report, meta = page.report, page.meta
    log, origin = report.log, report.origin
    prices = f"price book {origin.price_book}"
    if origin.prices == "log":
        prices = f"the log's own costs where it has them, else {prices}"
    days = UNKNOWN
    if log.first_day is not None:
        days = f"{log.first_day} to {log.last_day} (UTC)"
    rows: list[tuple[str, str]] = [
        ("frugalctl", report.frugalctl_version),
        ("log", ", ".join(meta.logs[:_MOST_NAMES]) or UNKNOWN),
        ("log, XXH3-128", origin.input_xxh3),
        ("days", days),
        ("sessions", f"{log.sessions:,}"),
        ("baseline", report.baseline.name),
        ("recipe", report.recipe.name),
        ("levers", ", ".join(item.name for item in report.levers) or "none"),
        ("prices", prices),
        ("prices of", origin.as_of or "each request's own day"),
        ("seed of the intervals", str(origin.seed)),
    ]
    return Table("Inputs", ("what", "value"), tuple(rows))


def _settings(report: Report) -> Table:
    rows = tuple(_flatten("", report.origin.recipe_settings))
    return Table("Settings of the recipe", ("key", "value"), rows)


def _flatten(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            row
            for key, inner in cast("dict[str, Any]", value).items()
            for row in _flatten(f"{prefix}.{key}" if prefix else key, inner)
        ]
    return [(prefix, json.dumps(value, ensure_ascii=False))]


def _kinds(page: Page) -> Table:
    report = page.report
    log = report.log
    unpriced = ", ".join(f"{name} ({count:,})" for name, count in list(log.unpriced.items())[:5])
    paid = "the log's own costs, or " if report.origin.prices == "log" else ""
    kinds: list[tuple[str, str, int]] = [
        ("observed", f"baseline cost: {paid}logged tokens at dated prices", log.priced),
        ("observed", "baseline quality", report.baseline.quality.n),
        ("observed", "baseline latency", report.baseline.latency_ms.n),
    ]
    if report.levers:
        kinds += [
            ("simulated", "recipe cost: the calls it makes, priced alike", log.priced),
            ("simulated", "recipe quality", report.recipe.quality.n),
            ("simulated", "recipe latency", report.recipe.latency_ms.n),
        ]
    kinds += [
        ("estimated", "tokens counted from text", log.estimated_usage),
        ("estimated", "no date: priced as of one day", log.undated),
        ("unknown", f"no price: {unpriced or 'none'}", sum(log.unpriced.values())),
        ("unknown", "uncovered: the log lacks an outcome that is needed", log.uncovered),
    ]
    rows = [(kind, what, f"{count:,} of {log.requests:,}") for kind, what, count in kinds]
    if log.skipped_lines:
        rows.append(("unknown", "bad lines of the log, skipped", f"{log.skipped_lines:,} lines"))
    columns = ("kind", "what", "requests>")
    return Table("What the figures rest on", columns, tuple(rows))
