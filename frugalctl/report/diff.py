"""What changed between two reports: old -> new, amount, percent."""

from __future__ import annotations

from dataclasses import dataclass

from frugalctl.report.metrics import Body, list_metrics
from frugalctl.report.tables import Table, format_number, format_percent, format_usd

_ALWAYS = ("recipe.cost_usd", "recipe.quality.mean", "recipe.latency_ms.mean")
_LEFT_OUT = ("baseline.", "delta.", "days.")
_GROUPS = ("tasks.", "tenants.")
_POPULATION = ("log.requests", "log.priced", "log.uncovered")


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


def warn_population(base: Body, head: Body) -> str | None:
    """A sentence, if the two reports are not about the same requests."""
    old, new = list_metrics(base), list_metrics(head)
    counts = [
        f"{path.removeprefix('log.')} {format_metric(path, old.get(path))} -> "
        f"{format_metric(path, new.get(path))}"
        for path in _POPULATION
        if old.get(path) != new.get(path)
    ]
    if not counts:
        return None
    return (
        f"the reports cover different requests ({', '.join(counts)}): totals are not like for like"
    )


def compare_reports(base: Body, head: Body, *, groups: bool = False) -> list[Change]:
    """The metrics of the recipe, by model and token class, that differ.

    Cost, quality and mean latency are there even where they are equal.

    Args:
        base: the old report.
        head: the new one.
        groups: also by task and tenant.
    """
    old, new = list_metrics(base), list_metrics(head)
    left_out = _LEFT_OUT if groups else _LEFT_OUT + _GROUPS
    paths = [path for path in _merge(list(old), list(new)) if not path.startswith(left_out)]
    return [
        _change(path, old.get(path), new.get(path))
        for path in paths
        if path in _ALWAYS or old.get(path) != new.get(path)
    ]


def _merge(old: list[str], new: list[str]) -> list[str]:
    """The new paths in their order; each old one that is gone behind its section's others."""
    gone = [path for path in old if path not in new]
    sections = dict.fromkeys(path.split(".", 1)[0] for path in (*new, *gone))
    return [
        path for section in sections for path in (*new, *gone) if path.split(".", 1)[0] == section
    ]


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
