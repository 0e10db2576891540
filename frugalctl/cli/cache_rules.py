"""`frugalctl prices cache`: the rules of prompt caches, with their sources."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugalctl.cli.console import print_rows
from frugalctl.cli.options import FormatOption, JsonOption, OutputOption, prepare_output
from frugalctl.errors import UsageError
from frugalctl.report.tables import Table

if TYPE_CHECKING:
    from frugalctl.prices.cache_rules import CacheRule

_COLUMNS = (
    "cache",
    "models",
    "engine",
    "unit>",
    "min>",
    "life>",
    "write>",
    "read>",
    "status",
    "source",
)
_LEGEND = (
    "Write and read are multiples of the input price; an empty cell is not known, or differs by "
    "model. The first row that names a model holds. What is unverified is simulated between "
    "bounds."
)


def show_cache_rules(
    provider: Annotated[
        str | None, typer.Argument(metavar="[PROVIDER]", help="Only this provider's rules.")
    ] = None,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """The rules of prompt caches: what matches, how long it lives, who says so.

    Examples:
      frugalctl prices cache anthropic

      frugalctl prices cache --format json
    """
    from frugalctl.prices.cache_rules import list_providers, load_cache_rules

    chosen = prepare_output(chosen_format, as_json, output)
    known = list_providers()
    if provider is not None and provider not in known:
        raise UsageError(f"no cache rules for {provider!r}", hint=f"known: {', '.join(known)}")
    rules = [rule for rule in load_cache_rules() if provider in (None, rule.provider)]
    remarks = list(dict.fromkeys(map(_remark, rules)))
    rows = [(*_describe(rule), f"[{remarks.index(_remark(rule)) + 1}]") for rule in rules]
    table = _hide_empty(rows)
    notes = [f"[{number}] {text}" for number, text in enumerate(remarks, start=1)]
    title = f"{len(rules)} rules of prompt caches" + (f", {provider}" if provider else "")
    records = [{name: _to_json(cell) for name, cell in asdict(rule).items()} for rule in rules]
    print_rows(Table(title, *table, (_LEGEND, *notes)), records, chosen, output)


def _describe(rule: CacheRule) -> tuple[str, ...]:
    return (
        f"{rule.provider} {rule.mode}",
        rule.models,
        rule.engine,
        _plain(rule.unit_tokens),
        _plain(rule.min_tokens),
        _duration(rule.ttl_s),
        rule.write_multiplier,
        rule.read_multiplier,
        rule.status,
    )


def _hide_empty(
    rows: list[tuple[str, ...]],
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """The columns in which some row has something, and the rows cut to these."""
    kept = [at for at in range(len(_COLUMNS)) if any(row[at] for row in rows)]
    cut = tuple(tuple(row[at] for at in kept) for row in rows)
    return tuple(_COLUMNS[at] for at in kept), cut


def _remark(rule: CacheRule) -> str:
    dates = ((rule.valid_from, "from"), (rule.valid_to, "until"), (rule.checked_on, "checked"))
    checked = ", ".join([rule.source, *(f"{what} {day}" for day, what in dates if day)])
    return f"{checked}: {rule.note}" if rule.note else checked


def _plain(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _duration(seconds: int | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds // 3600}h" if seconds % 3600 == 0 else f"{seconds // 60}m"


def _to_json(cell: Any) -> Any:
    return str(cell) if isinstance(cell, date) else cell
