"""A report in the format asked for."""

from __future__ import annotations

from collections.abc import Callable

from frugalctl.cli.console import print_text, render_tables
from frugalctl.cli.options import Format
from frugalctl.report.encode import render_json, render_jsonl
from frugalctl.report.layout import lay_out, render_report_csv, render_report_markdown
from frugalctl.report.model import Report

_RENDERERS: dict[Format, Callable[[Report], str]] = {
    Format.json: render_json,
    Format.jsonl: render_jsonl,
    Format.csv: render_report_csv,
    Format.markdown: render_report_markdown,
}


def print_report(report: Report, chosen: Format, output: str | None) -> None:
    """Print a report to stdout or into a file."""
    if chosen is Format.table:
        text = render_tables(lay_out(report), output)
    else:
        text = _RENDERERS[chosen](report)
    print_text(text, output)
