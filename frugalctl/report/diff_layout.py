"""Changes as tables for people, and as plain data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import frugalctl
from frugalctl.report.comment import Block, render_comment
from frugalctl.report.diff import (
    NO_PAIRS,
    Change,
    format_metric,
    format_metric_interval,
    format_pairs,
    note_pairs,
)
from frugalctl.report.metrics import quote_name
from frugalctl.report.tables import Table, clip, format_percent, render_csv

SCHEMA_VERSION = 1

_ALWAYS = ("metric", "old -> new>", "amount>", "percent>")
_CSV = (
    "section", "name", "metric", "base", "head", "amount", "percent", "noise", "pairs", "status",
)  # fmt: skip
_TITLES = {"recipe": "Totals of the recipe", "log": "The log", "baseline": "The baseline"}
_NOUNS = {"token_classes": "token class"}
MOST_ITEMS = 20


def lay_out_changes(changes: Sequence[Change], most: int | None = MOST_ITEMS) -> list[Table]:
    """The changes as a table a section.

    Args:
        changes: in their order, the sections together.
        most: how many items (models, tasks...) to show of a section; None for all.
    """
    return [
        _lay_out_section(section, list(items), most)
        for section, items in groupby(changes, lambda change: change.section)
    ]


def _lay_out_section(section: str, changes: list[Change], most: int | None) -> Table:
    names = list(dict.fromkeys(change.name for change in changes))
    shown = set(names[:most])
    kept = [change for change in changes if change.name in shown]
    rows = [_show(change) for change in kept]
    noun = _NOUNS.get(section, section.removesuffix("s").replace("_", " "))
    columns = (noun, "metric", "old -> new>", "amount>", "95 % interval>", "pairs>", "percent>")
    full = [
        at
        for at, column in enumerate(columns)
        if column in _ALWAYS or any(row[at] not in ("", NO_PAIRS) for row in rows)
    ]
    left_out = len(names) - len(shown)
    told = [change for change in kept if change.amount or change.partial]
    notes = note_pairs([(change.interval, change.pairs) for change in told])
    notes += tuple(
        f"The change of {_name_metric(change)} is {_tell_part(change)}, its values of all."
        for change in kept
        if change.partial
    )
    if left_out:
        notes += (f"{left_out:,} more have changed less; --all shows them.",)
    return Table(
        _TITLES.get(section, f"By {noun}" if names != [""] else noun.capitalize()),
        tuple(columns[at] for at in full),
        tuple(tuple(row[at] for at in full) for row in _fold(rows)),
        notes,
    )


def _fold(rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows, without a name that stands in the row above."""
    before = ["", *(row[0] for row in rows)]
    return [
        ("", *row[1:]) if row[0] == above else row for row, above in zip(rows, before, strict=False)
    ]


def _name_metric(change: Change) -> str:
    held = f"{change.section}.{quote_name(change.name)}." if change.name else f"{change.section}."
    return clip(change.metric.removeprefix(held))


def _tell_part(change: Change) -> str:
    return f"of {change.pairs:,} requests in both"


def _show(change: Change) -> tuple[str, ...]:
    amount, percent = "", ""
    if change.status in ("new", "gone"):
        amount = change.status
    elif change.amount is not None:
        amount = format_metric(change.metric, change.amount, sign=True)
        percent = "" if change.percent is None else format_percent(change.percent)
    return (
        clip(change.name),
        _name_metric(change),
        show_values(change),
        amount,
        _show_interval(change),
        format_pairs(change.interval, change.pairs) if change.amount or change.partial else "",
        percent,
    )


def _show_interval(change: Change) -> str:
    interval = format_metric_interval(change.metric, change.interval) if change.amount else ""
    return f"{interval} noise" if change.noise else interval


def show_values(change: Change) -> str:
    """`old -> new`, with "none" for what is not there."""
    old, new = (format_metric(change.metric, value) for value in (change.base, change.head))
    if change.status == "new":
        return f"none -> {new}"
    return f"{old} -> none" if change.status == "gone" else f"{old} -> {new}"


def block_changes(changes: Sequence[Change], most: int | None = MOST_ITEMS) -> list[Block]:
    """The changes as tables of a comment: the totals open, the rest folded."""
    return [
        Block(table, folded=bool(at), literal=tuple(range(table.headers.index("old -> new"))))
        for at, table in enumerate(lay_out_changes(changes, most))
    ]


def render_changes_markdown(
    changes: Sequence[Change], warnings: Sequence[str], most: int | None = MOST_ITEMS
) -> str:
    """The changes as a comment on a pull request."""
    cost = next(change for change in changes if change.metric == "recipe.cost_usd")
    percent = [] if cost.percent is None else [format_percent(cost.percent)]
    told = " ".join([*percent, *([_tell_part(cost)] if cost.partial else [])])
    heading = f"frugalctl: cost {show_values(cost)}" + (f" ({told})" if told else "")
    return render_comment(heading, block_changes(changes, most), warnings)


def render_changes_csv(changes: Sequence[Change]) -> str:
    """A line a change, the interval in two columns; unknown is empty."""
    columns = [*_CSV[:7], "amount_ci95_lo", "amount_ci95_hi", *_CSV[7:]]
    rows: list[list[object]] = []
    for change, record in zip(changes, encode_changes(changes), strict=True):
        low, high = change.interval or (None, None)
        record |= {"amount_ci95_lo": low, "amount_ci95_hi": high}
        rows.append([record[column] for column in columns])
    return render_csv(columns, rows)


def render_changes_json(changes: Sequence[Change], warnings: Sequence[str]) -> str:
    """One indented object; `schemas/diff.schema.json` describes it."""
    body = {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": frugalctl.__version__,
        "warnings": list(warnings),
        "changes": encode_changes(changes),
    }
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def render_changes_jsonl(changes: Sequence[Change]) -> str:
    """A line a change."""
    return "".join(
        json.dumps(record, ensure_ascii=False) + "\n" for record in encode_changes(changes)
    )


def encode_changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """The changes as plain data."""
    return [
        {
            "section": change.section,
            "name": change.name or None,
            "metric": change.metric,
            "base": change.base,
            "head": change.head,
            "amount": change.amount,
            "percent": change.percent,
            "amount_ci95": None if change.interval is None else list(change.interval),
            "noise": change.noise,
            "pairs": change.pairs,
            "status": change.status,
        }
        for change in changes
    ]
