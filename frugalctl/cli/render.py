"""A report in the format asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from frugalctl.cli.console import print_text, render_tables
from frugalctl.cli.options import Format, ReportFormat
from frugalctl.errors import UsageError
from frugalctl.report.encode import render_json, render_jsonl
from frugalctl.report.layout import lay_out, render_report_csv, render_report_markdown
from frugalctl.report.model import Report

if TYPE_CHECKING:
    from frugalctl.report.html.collect import PageTotals

_RENDERERS: dict[str, Callable[[Report], str]] = {
    Format.json: render_json,
    Format.jsonl: render_jsonl,
    Format.csv: render_report_csv,
    Format.markdown: render_report_markdown,
}


def print_report(report: Report, chosen: Format | ReportFormat, output: str | None) -> None:
    """Print a report to stdout or into a file; a page goes through `print_page`."""
    if chosen == Format.table:
        text = render_tables(lay_out(report), output)
    else:
        text = _RENDERERS[chosen](report)
    print_text(text, output)


def start_page(chosen: ReportFormat, show_text: bool) -> PageTotals | None:
    """What gathers the figures of a page while the ledger passes; None for other formats.

    Raises:
        UsageError: text is to be shown, but not in a page.
    """
    if chosen is not ReportFormat.html:
        if show_text:
            raise UsageError("--show-text is for --format html")
        return None
    from frugalctl.report.html.collect import PageTotals

    return PageTotals()


def print_page(
    totals: PageTotals,
    report: Report,
    output: str | None,
    *,
    show_text: bool,
    logs: Sequence[str] = (),
) -> None:
    """Print a report as a page.

    Args:
        totals: what was gathered.
        report: the report of the same ledger.
        output: the file.
        show_text: whether the dearest requests are shown with their text.
        logs: where the log is now, if it moved.

    Raises:
        InputError: the log is not where it was, or not as it was.
    """
    from frugalctl.report.html.render import render_html

    page = totals.page(report)
    if show_text:
        from frugalctl.report.html.texts import add_texts

        page = add_texts(page, logs)
    print_text(render_html(page), output)
