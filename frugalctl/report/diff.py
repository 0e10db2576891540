"""What changed between two reports: old -> new, amount, percent."""

from __future__ import annotations

from dataclasses import dataclass

from frugalctl.report.metrics import Body, list_metrics
from frugalctl.report.tables import Table, format_number, format_percent, format_usd

_ALWAYS = ("recipe.cost_usd", "recipe.quality.mean", "recipe.latency_ms.mean")
_LEFT_OUT = ("baseline.", "delta.", "days.")


@dataclass(frozen=True, slots=True)
class Change:
    """One metric in two reports; None is unknown, or not there.

    Attributes:
        metric: its path.
        base: the old value.
        head: the new value.
        amount: new minus old.
        percent: the amount in percent of the old value; None for an old value of 0.
    """

    metric: str
    base: float | None
    head: float | None
    amount: float | None
    percent: float | None


def compare_reports(base: Body, head: Body) -> list[Change]:
    """The metrics of the recipe, by model, task, tenant and token class, that differ.

    Cost, quality and mean latency are there even where they are equal.
    """
    old, new = list_metrics(base), list_metrics(head)
    paths = [path for path in (*new, *(p for p in old if p not in new)) if _shown(path)]
    return [
        _change(path, old.get(path), new.get(path))
        for path in paths
        if path in _ALWAYS or old.get(path) != new.get(path)
    ]


def _shown(path: str) -> bool:
    return not path.startswith(_LEFT_OUT)


def _change(path: str, base: float | None, head: float | None) -> Change:
    if base is None or head is None:
        return Change(path, base, head, None, None)
    amount = head - base
    return Change(path, base, head, amount, 100 * amount / abs(base) if base else None)


def lay_out_changes(changes: list[Change], base_name: str, head_name: str) -> Table:
    """The changes as a table."""
    rows = tuple(
        (
            change.metric,
            f"{format_metric(change.metric, change.base)} -> "
            f"{format_metric(change.metric, change.head)}",
            "" if change.amount is None else format_metric(change.metric, change.amount, sign=True),
            "" if change.percent is None else format_percent(change.percent),
        )
        for change in changes
    )
    columns = ("metric", "old -> new>", "amount>", "percent>")
    return Table(f"{base_name} -> {head_name}", columns, rows)


def format_metric(path: str, value: float | None, *, sign: bool = False) -> str:
    """A metric's value, written as its path suggests."""
    name = path.rsplit(".", 1)[-1]
    if "usd" in name:
        return format_usd(value, sign=sign)
    if value is not None and isinstance(value, int):
        return format_number(value, 0, sign=sign)
    return format_number(value, 1 if "latency" in path else 4, sign=sign)
