"""`frugalctl diff`: two reports, old and new."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from frugalctl.cli.options import (
    Format,
    FormatOption,
    JsonOption,
    OutputOption,
    SeedOption,
    prepare_output,
)

_KEPT = "A report (JSON) or a ledger (parquet)"


def diff(
    base: Annotated[str, typer.Argument(metavar="BASE", help=f"{_KEPT}: the old one.")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help=f"{_KEPT}: the new one.")],
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is equal, every day, and the baseline.")
    ] = False,
    seed: SeedOption = 0,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """What changed between two reports: old -> new, amount, percent.

    Totals first, then by model, lever, token class, task and tenant: what changed, the biggest
    first. A change that may be none is said to be within noise. Two ledgers of the same requests
    are compared request by request. As Markdown it is a comment for a pull request.

    Examples:
      frugalctl replay log.jsonl --json -o base.json

      frugalctl diff base.json head.json

      frugalctl diff base.json head.json -o comment.md
    """
    from frugalctl.cli.bodies import load_body, pair_files
    from frugalctl.cli.console import note, print_text, render_tables
    from frugalctl.report import diff_layout
    from frugalctl.report.diff import compare_reports, warn_differences

    chosen = prepare_output(chosen_format, as_json, output, [base, head])
    old, new, pairs = load_body(base, seed), load_body(head, seed), pair_files(base, head, seed)
    changes = compare_reports(old, new, pairs, everything=everything)
    warnings = warn_differences(old, new, pairs)
    for warning in warnings:
        note(warning)
    most = None if everything else diff_layout.MOST_ITEMS
    renderers: dict[Format, Callable[[], str]] = {
        Format.table: lambda: render_tables(diff_layout.lay_out_changes(changes, most), output),
        Format.json: lambda: diff_layout.render_changes_json(changes, warnings),
        Format.jsonl: lambda: diff_layout.render_changes_jsonl(changes),
        Format.csv: lambda: diff_layout.render_changes_csv(changes),
        Format.markdown: lambda: diff_layout.render_changes_markdown(changes, warnings, most),
    }
    print_text(renderers[chosen](), output)
