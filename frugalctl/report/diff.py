"""What changed between two reports: old -> new, amount, percent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frugalctl.report.metrics import Body, Metrics, list_items, list_metrics
from frugalctl.report.model import Interval
from frugalctl.report.noise import Pairs, estimate_change, find_altered, is_partial, pair_reports
from frugalctl.report.tables import (
    format_interval,
    format_number,
    format_percent,
    format_usd,
    format_usd_interval,
)

_LEVER_DETAILS = {"semantic_cache", "compress", "prompt_cache"}
_ALWAYS = ("recipe.cost_usd", "recipe.quality.mean", "recipe.latency_ms.mean")
_FIRST = ("recipe.cost_usd", "recipe.quality", "recipe.latency_ms", "recipe.")
_OF_THE_BASELINE = ("baseline", "delta", "days")
_POPULATION = ("log.requests", "log.priced", "log.uncovered")
_SECTIONS = ("recipe", "levers", "models", "tasks", "tenants", "token_classes", "log")
NO_PAIRS = "none"
_WEIGHTS = ("cost_usd", "saved_usd", "tokens")


@dataclass(frozen=True, slots=True)
class Change:
    """One metric in two reports.

    Attributes:
        section: "recipe" for the totals, else "models", "tasks", "levers"...
        name: the model, task... that it is of, empty in sections without names.
        metric: its whole path.
        base: the old value; None is unknown, or not there.
        head: the new value, likewise.
        amount: new minus old; over the same requests where there are pairs.
        percent: the amount in percent of the old value; None for an old value of 0.
        interval: the 95 % interval of the amount, None where it is unknown.
        noise: whether the interval holds no change at all; None where there is no interval.
        pairs: over how many requests the amount is, each compared with itself; None where it is
            the difference of the two values.
        partial: whether these are fewer requests than one of the two values is over.
        status: "same", "changed", "new" or "gone".
    """

    section: str
    name: str
    metric: str
    base: float | None
    head: float | None
    amount: float | None
    percent: float | None
    interval: Interval | None
    noise: bool | None
    pairs: int | None
    partial: bool
    status: str


def compare_reports(
    base: Body, head: Body, pairs: Pairs | None = None, *, everything: bool = False
) -> list[Change]:
    """The metrics that differ: totals first, then section by section, the biggest first.

    Cost, quality and mean latency are there even where they are equal. Items of a section
    (models, tasks...) stand together, those whose cost changed most before the others.

    Args:
        base: the old report.
        head: the new one.
        pairs: changes that are known request by request; None takes what the reports know.
        everything: also what is equal, days, the baseline, the ends of intervals, and the inner
            figures of a lever that only one of them has.
    """
    old, new = list_metrics(base), list_metrics(head)
    pairs = pair_reports(base, head) if pairs is None else pairs
    names = list_items(base) | list_items(head)
    shown = [[path for path in one if everything or not _is_detail(path)] for one in (old, new)]
    changes = [
        _compare(path, names.get(_strip_end(path).rsplit(".", 1)[0]), old, new, pairs)
        for path in sorted(_merge(*shown), key=_rank)
    ]
    if not everything:
        whole = _LEVER_DETAILS - (base.keys() & head.keys())
        changes = [
            one
            for one in changes
            if one.metric in _ALWAYS or (one.status != "same" and one.section not in whole)
        ]
    return _sort(changes)


def _rank(path: str) -> int:
    """What matters most of the totals comes first."""
    ranks = [at for at, prefix in enumerate(_FIRST) if path.startswith(prefix)]
    return ranks[0] if ranks else len(_FIRST)


def _is_detail(path: str) -> bool:
    section, last = path.split(".", 1)[0], path.rsplit(".", 1)[-1]
    return (
        section in _OF_THE_BASELINE
        or last.startswith("baseline_")
        or path.endswith(("ci95.lo", "ci95.hi"))
    )


def _merge(old: list[str], new: list[str]) -> list[str]:
    """The new paths in their order; each old one that is gone behind its section's others."""
    present = set(new)
    by_section: dict[str, list[str]] = {}
    for path in (*new, *(path for path in old if path not in present)):
        by_section.setdefault(path.split(".", 1)[0], []).append(path)
    return [path for paths in by_section.values() for path in paths]


def _compare(path: str, name: str | None, old: Metrics, new: Metrics, pairs: Pairs) -> Change:
    base, head = old.get(path), new.get(path)
    found = estimate_change(path, old, new, pairs)
    status = "same" if base == head else "changed"
    if (path in old) != (path in new):
        status = "new" if path in new else "gone"
    return Change(
        section=path.split(".", 1)[0],
        name=name or "",
        metric=path,
        base=base,
        head=head,
        amount=found and found.amount,
        percent=found and found.percent,
        interval=found and found.interval,
        noise=found and found.noise,
        pairs=found and found.pairs,
        partial=found is not None and is_partial(path, found.pairs, old, new),
        status=status,
    )


def _sort(changes: list[Change]) -> list[Change]:
    """Totals first; within a section the items whose weight changed most."""
    sections: dict[str, dict[str, list[Change]]] = {name: {} for name in _SECTIONS}
    for change in changes:
        sections.setdefault(change.section, {}).setdefault(change.name, []).append(change)
    return [
        change
        for items in sections.values()
        for group in sorted(items.values(), key=_weigh)
        for change in group
    ]


def _weigh(group: list[Change]) -> tuple[float, ...]:
    """Negative sizes of what changed in an item: money before tokens before counts."""
    sizes = dict.fromkeys((*_WEIGHTS, ""), 0.0)
    for change in group:
        key = change.metric.rsplit(".", 1)[-1]
        key = key if key in _WEIGHTS else ""
        sizes[key] = max(sizes[key], abs((change.head or 0) - (change.base or 0)))
    return tuple(-size for size in sizes.values())


def warn_differences(base: Body, head: Body, pairs: Pairs | None = None) -> list[str]:
    """Sentences on what else than the recipe differs between two reports.

    Args:
        base: the old report.
        head: the new one.
        pairs: changes that are known request by request, from ledgers.
    """
    old, new = base.get("origin", {}), head.get("origin", {})
    found = [_warn_requests(base, head, bool(pairs))]
    for name, body in (("base", base), ("new", head)):
        altered = ", ".join(find_altered(body))
        if altered:
            found.append(
                f"the {name} report does not add up: {altered} is not its baseline plus its delta; "
                "it is compared as it stands"
            )
    prices = _name_differences(old, new, ("prices", "price_book", "as_of"))
    if prices:
        found.append(f"prices changed between the reports ({prices}): part of the change is theirs")
    versions = _name_differences(base, head, ("frugalctl_version",))
    if versions:
        found.append(f"the reports are of different versions ({versions})")
    seeds = _name_differences(old, new, ("seed",))
    if seeds:
        found.append(f"the reports draw their intervals differently ({seeds})")
    return [sentence for sentence in found if sentence]


def _warn_requests(base: Body, head: Body, paired: bool) -> str:
    old, new = (list_metrics({"log": body.get("log")}) for body in (base, head))
    counts = [
        f"{path.removeprefix('log.')} {format_metric(path, old.get(path))} -> "
        f"{format_metric(path, new.get(path))}"
        for path in _POPULATION
        if old.get(path) != new.get(path)
    ]
    if counts:
        told = ", ".join(counts)
        but = "; paired changes are" if paired else ""
        return f"the reports cover different requests ({told}): totals are not like for like{but}"
    inputs = [body.get("origin", {}).get("input_xxh3") for body in (base, head)]
    if None in inputs or inputs[0] == inputs[1]:
        return ""
    if paired:
        return "the logs differ, and have the same requests by id: changes are paired"
    return "the reports are of different logs with as many requests"


def _name_differences(old: dict[str, Any], new: dict[str, Any], keys: tuple[str, ...]) -> str:
    return ", ".join(
        f"{key} {_show(old.get(key))} -> {_show(new.get(key))}"
        for key in keys
        if old.get(key) != new.get(key)
    )


def _show(value: Any) -> str:
    return "none" if value is None else str(value)


def format_metric(path: str, value: float | None, *, sign: bool = False) -> str:
    """A metric's value, written as its path suggests."""
    if _is_money(path):
        return format_usd(value, sign=sign)
    if _strip_end(path).endswith(("_pct", "_pct_ci95")):
        return format_percent(value)
    digits = 0 if isinstance(value, int) else 1 if "latency" in path else 4
    return format_number(value, digits, sign=sign)


def _is_money(path: str) -> bool:
    return "usd" in _strip_end(path).rsplit(".", 1)[-1]


def _strip_end(path: str) -> str:
    return path.removesuffix(".lo").removesuffix(".hi")


def note_pairs(pairs: Sequence[tuple[Interval | None, int | None]]) -> tuple[str, ...]:
    """What a table says below of changes, each with its interval and its pairs."""
    notes: list[str] = []
    if any(count is not None for _, count in pairs):
        notes.append("Pairs: the change is of so many requests, compared one by one.")
    if any(interval and count is None for interval, count in pairs):
        notes.append("Without pairs, an interval is that of independent samples.")
    return tuple(notes)


def format_pairs(interval: Interval | None, pairs: int | None) -> str:
    """How many pairs a change is over; empty where it has no interval either."""
    if pairs is not None:
        return f"{pairs:,}"
    return NO_PAIRS if interval else ""


def format_metric_interval(path: str, interval: Interval | None) -> str:
    """The interval of a metric's change, in brackets."""
    if interval is None:
        return ""
    if _is_money(path):
        return format_usd_interval(interval, sign=True)
    return format_interval(interval, 1 if "latency" in path else 4, sign=True)
