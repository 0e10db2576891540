"""`frugalctl compress`: prompts, and beside them its other commands."""

from __future__ import annotations

import typer

from frugalctl.cli import (
    compress_batch,
    compress_eval,
    compress_exemplars,
    compress_files,
    compress_restore,
)
from frugalctl.cli.compress_group import NAMELESS, DefaultCommand, DefaultGroup

app = typer.Typer(cls=DefaultGroup, help="Make prompts shorter, and keep what matters in them.")

app.command(NAMELESS, cls=DefaultCommand)(compress_files.compress_files)
app.command("eval")(compress_eval.eval_compression)
app.command("restore")(compress_restore.restore_prompt)
app.command("exemplars")(compress_exemplars.exemplars)
app.command("batch")(compress_batch.batch)
