"""`frugalctl report`: a ledger, printed again."""

from __future__ import annotations

from typing import Annotated

import typer

from frugalctl.cli.options import FormatOption, JsonOption, OutputOption, SeedOption, prepare_output
from frugalctl.cli.startup import spare_pandas


def report(
    ledger: Annotated[
        str, typer.Argument(metavar="LEDGER", help="Written by `replay -o run.parquet`.")
    ],
    seed: SeedOption = 0,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Print the report of a replay that was kept, without the log.

    Example:
      frugalctl report run.parquet --format markdown -o report.md
    """
    from frugalctl.cli.render import print_report
    from frugalctl.replay.ledger import open_ledger
    from frugalctl.report.summary import summarise

    spare_pandas()
    chosen = prepare_output(chosen_format, as_json, output, [ledger])
    meta, batches = open_ledger(ledger)
    print_report(summarise(batches, lambda: meta, seed=seed), chosen, output)
