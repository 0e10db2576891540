"""`frugalctl report`: a ledger, printed again."""

from __future__ import annotations

from typing import Annotated

import typer

from frugalctl.cli.options import (
    JsonOption,
    OutputOption,
    ReportFormat,
    ReportFormatOption,
    SeedOption,
    ShowTextOption,
    prepare_output_of,
    refuse_inputs,
)
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import UsageError


def report(
    ledger: Annotated[
        str, typer.Argument(metavar="LEDGER", help="Written by `replay -o run.parquet`.")
    ],
    show_text: ShowTextOption = False,
    logs: Annotated[
        list[str] | None,
        typer.Option(
            "--log", metavar="LOG", help="For --show-text: where the log is, if it moved."
        ),
    ] = None,
    seed: SeedOption = 0,
    chosen_format: ReportFormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Print the report of a replay that was kept, without the log.

    With `-o report.html` it is a page for the browser: one file with pictures that loads nothing.
    What was asked is not in it, unless --show-text asks for it, which reads the log again.

    Examples:
      frugalctl report run.parquet --format markdown -o report.md

      frugalctl report run.parquet -o report.html

      frugalctl report run.parquet -o report.html --show-text --log logs/requests.jsonl
    """
    from frugalctl.cli.render import print_page, print_report, start_page
    from frugalctl.replay.ledger import open_ledger
    from frugalctl.report.summary import summarise

    spare_pandas()
    chosen = prepare_output_of(ReportFormat, chosen_format, as_json, output)
    totals = start_page(chosen, show_text)
    if logs and not show_text:
        raise UsageError("--log is for --show-text")
    meta, batches = open_ledger(ledger)
    if show_text and output is not None:
        refuse_inputs(output, logs or meta.logs)
    if totals is None:
        print_report(summarise(batches, lambda: meta, seed=seed), chosen, output)
        return
    result = summarise(totals.watch(batches), lambda: totals.keep(meta), seed=seed)
    print_page(totals, result, output, show_text=show_text, logs=logs or ())
