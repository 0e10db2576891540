"""Advice as tables and CSV."""

from __future__ import annotations

from frugalctl.levers.prompt_cache.settings import parse_cache_table
from frugalctl.report.advice import Advice, AdviceReport, find_closest
from frugalctl.report.prefix_layout import describe_divergence
from frugalctl.report.tables import Table, format_number, format_usd, render_csv, render_markdown

_MOST_OF = {True: 8, False: 2}
_COLUMNS = ("", "alternative", "read>", "write>", "fresh>", "of uncached>", "input cost>", "saves>")


def lay_out_advice(report: AdviceReport) -> list[Table]:
    """The alternatives of each cache, those of its own provider first."""
    tables: list[Table] = []
    for cache, models in report.models.items():
        advice = [one for one in report.advice if one.cache == cache]
        own = [one for one in advice if not one.elsewhere]
        title = f"{cache}: {advice[0].requests:,} requests to {', '.join(models)}"
        tables.append(_lay_out(title, _choose(own), len(own)))
        others = [one for one in advice if one.elsewhere]
        if others:
            tables.append(_lay_out(f"{cache}: the same traffic elsewhere", others, len(others)))
    said = [f"varies in the system prompt: {describe_divergence(one)}" for one in report.varying]
    said += [_name_closest(report, cache) for cache in report.models]
    said += report.notes
    said += [f"no cache simulated for {name}: {why}" for name, why in report.without_cache.items()]
    last = tables[-1]
    notes = (*last.notes, *filter(None, said))
    tables[-1] = Table(last.title, last.columns, last.rows, notes)
    return tables


def _name_closest(report: AdviceReport, cache: str) -> str:
    closest = find_closest(report, cache)
    if closest is None or closest.prompt_cache is None:
        return ""
    spec = parse_cache_table(closest.prompt_cache).name
    return (
        f"{cache}: the cached tokens of the log look like {closest.name!r} "
        f"({closest.logged_distance_tokens:,.0f} tokens apart on average): if that is what is "
        f"done now, compare with it by --prompt-cache {spec}"
    )


def _choose(own: list[Advice]) -> list[Advice]:
    """The cheapest of each variant that pays, and what is done now wherever it stands."""
    by_variant: dict[str, list[Advice]] = {}
    for one in own:
        if one.pays:
            by_variant.setdefault(one.variant, []).append(one)
    first = [
        one for group in by_variant.values() for one in group[: _MOST_OF[not group[0].variant]]
    ]
    return [one for one in own if one in first or one.change == "nothing"]


def _lay_out(title: str, shown: list[Advice], count: int) -> Table:
    rows = tuple(
        (
            f"{one.rank}",
            one.name,
            f"{one.read_share:.1%}",
            f"{one.write_share:.1%}",
            f"{one.fresh_share:.1%}",
            format_number(one.relative_input_cost, 3),
            format_usd(one.cost_usd),
            format_usd(one.saving_usd, sign=True),
        )
        for one in shown
    )
    notes = [f"{one.rank}. {one.change}" + _assume(one) for one in shown if not one.elsewhere]
    notes += dict.fromkeys(f"Elsewhere: {one.assumption}." for one in shown if one.elsewhere)
    if count > len(shown):
        notes.append(
            f"{count - len(shown):,} more are dearer, or do not pay; --format json has all."
        )
    return Table(title, _COLUMNS, rows, tuple(notes))


def _assume(one: Advice) -> str:
    return f" (if: {one.assumption})" if one.assumption else ""


def render_advice_csv(report: AdviceReport) -> str:
    """One line an alternative."""
    names = [name for name in Advice.__dataclass_fields__ if name != "prompt_cache"]
    return render_csv(names, [[getattr(one, name) for name in names] for one in report.advice])


def render_advice_markdown(report: AdviceReport) -> str:
    """The tables in Markdown."""
    return render_markdown(lay_out_advice(report))
