"""What a semantic cache did in a replay, as tables."""

from __future__ import annotations

from typing import Any

from frugalctl.report.model import Report
from frugalctl.report.tables import UNKNOWN, Table, format_interval, format_number, format_usd


def lay_out_reuse(report: Report) -> list[Table]:
    """The tables of a report's semantic cache, in reading order."""
    cache = report.semantic_cache or {}
    tables = [_overview(report, cache)]
    if cache["guards"]:
        rows = tuple((name, format_number(count)) for name, count in cache["guards"].items())
        tables.append(Table("Semantic cache: refused by a guard", ("guard", "refusals>"), rows))
    if cache["scope"]:
        names = ("key", "hits_gained", "crossing", "leaks", "unjudged")
        rows = tuple(
            (item["key"], *(format_number(item[k]) for k in names[1:])) for item in cache["scope"]
        )
        columns = ("must be equal", "hits more without>", "from another one>", "wrong>", "unknown>")
        note = (
            "Without a key there would be so many hits more; so many of all hits would give an "
            "answer of another tenant, model, prompt or conversation, wrong where the logged "
            "answers differ."
        )
        title = "Semantic cache: what the scope costs, and what it prevents"
        tables.append(Table(title, columns, rows, (note,)))
    return tables


def _overview(report: Report, cache: dict[str, Any]) -> Table:
    judged, wrong = cache["judged_hits"], cache["wrong_hits"]
    rows = [
        ("requests looked up", f"{cache['asked']:,} of {cache['requests']:,}"),
        ("answered from the cache", _share(cache["hits"], cache["requests"])),
        ("  by the exact key", format_number(cache["exact_hits"])),
        ("  by similarity", format_number(cache["near_hits"])),
        ("wrong, of the hits that can be judged", _share(wrong, judged) if judged else UNKNOWN),
    ]
    if judged:
        low, high = (100 * end for end in cache["wrong_of_hits_ci95"])
        rows.append(("  95 % interval, %", format_interval((low, high), 1)))
    rows += [
        ("stale: the same question, answered anew since", format_number(cache["stale_hits"])),
        ("age of an answer used again, median", _hours(cache["hit_age_s"]["p50"])),
        ("  95th percentile", _hours(cache["hit_age_s"]["p95"])),
        ("entries at the end", format_number(cache["entries"])),
        ("  expired, evicted, invalidated", _losses(cache)),
        ("break-even: what a wrong answer may cost", _break_even(report, cache)),
    ]
    return Table(f"Semantic cache: {cache['name']}", ("", ">"), tuple(rows), _notes(report, cache))


def _losses(cache: dict[str, Any]) -> str:
    return ", ".join(format_number(cache[key]) for key in ("expired", "evicted", "invalidated"))


def _notes(report: Report, cache: dict[str, Any]) -> tuple[str, ...]:
    notes: list[str] = []
    lost, quality = cache["hits_of_unknown_quality"], report.recipe.quality
    if lost and quality.mean is not None:
        worst = quality.mean * quality.n / (quality.n + lost)
        cause = "differ from the logged one"
        if report.compress is not None:
            cause += ", or were given to a compressed prompt"
        notes.append(
            f"{lost:,} reused answers {cause}, so their quality is unknown and "
            f"left out of the recipe's mean; counted as 0, the mean would be {worst:.4f}."
        )
    left_out = sum(cache["not_cacheable"].values())
    if left_out:
        reasons = ", ".join(f"{reason} ({n:,})" for reason, n in cache["not_cacheable"].items())
        notes.append(f"Never looked up nor kept: {left_out:,} requests: {reasons}.")
    if cache["hits"] and not cache["judged_hits"]:
        notes.append(
            "Whether the hits are right is unknown: a hit is judged by the logged answers of both "
            "requests, or by their references."
        )
    return tuple(notes)


def _break_even(report: Report, cache: dict[str, Any]) -> str:
    """Dollars saved for each wrong answer, from the rate among the judged hits."""
    saved = next((item.saved_usd for item in report.levers if item.name == "semantic_cache"), None)
    if saved is None or not cache["judged_hits"]:
        return UNKNOWN
    wrong = cache["hits"] * cache["wrong_hits"] / cache["judged_hits"]
    if not wrong:
        return "no wrong answer seen"
    return f"{format_usd(saved / wrong)} each"


def _share(count: int, total: int) -> str:
    return f"{count:,} ({100 * count / total:.1f} %)" if total else format_number(count)


def _hours(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
