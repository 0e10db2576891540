"""The page as HTML: one file that fetches nothing and runs no script."""

from __future__ import annotations

from functools import cache
from typing import Any

from frugalctl.replay.engine import OBSERVED
from frugalctl.report.html.breakdowns import lay_out_breakdowns, lay_out_dearest
from frugalctl.report.html.model import Page
from frugalctl.report.html.origin import lay_out_origin
from frugalctl.report.html.over_time import lay_out_caches, lay_out_costs
from frugalctl.report.html.overview import lay_out_cards, lay_out_each, lay_out_levers
from frugalctl.report.html.sections import Chart
from frugalctl.report.html.spread import lay_out_front, lay_out_latency
from frugalctl.report.layout import tell_coverage
from frugalctl.report.model import Report
from frugalctl.report.tables import printable

TEXT_LIMIT = 2_000
_NAME_LIMIT = 120
_SENTENCE_LIMIT = 1_000


def render_html(page: Page) -> str:
    """The page; the same page gives the same bytes."""
    sections = [
        lay_out_levers(page),
        *lay_out_each(page),
        lay_out_costs(page),
        lay_out_breakdowns(page),
        lay_out_front(page),
        lay_out_latency(page),
        lay_out_caches(page),
        lay_out_dearest(page),
        lay_out_origin(page),
    ]
    report = page.report
    return _template().render(
        report=report,
        title=_title(report),
        subtitle=_subtitle(report),
        cards=lay_out_cards(page),
        notes=tell_coverage(report),
        sections=[section for section in sections if section is not None],
    )


def _title(report: Report) -> str:
    if not report.levers:
        return "What the log cost"
    return f"{report.recipe.name} against {_baseline(report)}"


def _baseline(report: Report) -> str:
    name = report.baseline.name
    return "what was paid" if name == OBSERVED else name


def _subtitle(report: Report) -> str:
    log = report.log
    days = "" if log.first_day is None else f", {log.first_day} to {log.last_day}"
    return f"{log.requests:,} requests in {log.sessions:,} sessions{days}"


def _with_text(drawn: str, chart: Chart) -> Any:
    """The picture, with its title and what one sees in it for those who do not see it."""
    from markupsafe import Markup

    start, rest = drawn.split(">", 1)
    named = Markup('<title id="{0}-title">{1}</title><desc id="{0}-desc">{2}</desc>')
    text = named.format(chart.name, chart.title, _show(chart.text, _SENTENCE_LIMIT))
    return Markup(f"{start}>") + text + Markup(rest)


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("frugalctl.report.html", "."),
        autoescape=True,
        finalize=_finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Any] = environment.filters  # jinja2 types only its own
    filters.update(passage=_to_passage, name=_to_name, with_text=_with_text)
    return environment.get_template("page.html.j2")


def _finalize(value: Any) -> Any:
    """Every text that the template prints, safe to look at: visible controls, bounded length.

    Markup is ours and passes as it is.
    """
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return _show(value, _SENTENCE_LIMIT)
    return value


def _to_name(text: str) -> str:
    """A cell of a table, which may be a name out of the log."""
    return _show(text, _NAME_LIMIT)


def _show(text: str, limit: int) -> str:
    shown = printable(" ".join(text[: limit + 1].split()))
    return shown if len(text) <= limit else f"{shown[:limit]}\u2026"


def _to_passage(text: str) -> Any:
    """What was asked, line by line, as long as it may be."""
    from markupsafe import escape

    lines = text[:TEXT_LIMIT].splitlines()
    more = "\u2026" if len(text) > TEXT_LIMIT else ""
    return escape("\n".join(map(printable, lines)) + more)
