"""`frugalctl diff`: two reports, old and new."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from frugalctl.cli.options import FormatOption, JsonOption, OutputOption, prepare_output


def diff(
    base: Annotated[str, typer.Argument(metavar="BASE", help="The old report (JSON).")],
    head: Annotated[str, typer.Argument(metavar="HEAD", help="The new report (JSON).")],
    groups: Annotated[bool, typer.Option("--all", help="By task and tenant too.")] = False,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """What changed between two reports: old -> new, amount, percent.

    Example:
      frugalctl replay log.jsonl --json -o base.json

      frugalctl diff base.json head.json
    """
    from frugalctl.cli.console import note, print_rows
    from frugalctl.report.diff import compare_reports, lay_out_changes, warn_population
    from frugalctl.report.metrics import load_report

    chosen = prepare_output(chosen_format, as_json, output, [base, head])
    old, new = load_report(base), load_report(head)
    warning = warn_population(old, new)
    if warning:
        note(warning)
    changes = compare_reports(old, new, groups=groups)
    table = lay_out_changes(changes, base, head)
    print_rows(table, [asdict(change) for change in changes], chosen, output)
