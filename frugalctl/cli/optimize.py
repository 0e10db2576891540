"""`frugalctl optimize`: the cheapest cascade that a log can vouch for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.console import note, print_text, render_tables, showing_progress
from frugalctl.cli.options import (
    AsOfOption,
    Format,
    FormatOption,
    JsonOption,
    LogArgument,
    ModelOption,
    OnErrorChoice,
    OnErrorOption,
    PriceChoice,
    PricesOption,
    prepare_output,
)
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import UsageError

if TYPE_CHECKING:
    from frugalctl.replay.goal import Goal
    from frugalctl.replay.learn import LearnOptions
    from frugalctl.report.optimize_model import OptimizeReport

_GOAL = "Goal"
_SEARCH = "Search"


class SplitChoice(StrEnum):
    """How rows are held out."""

    folds = "folds"
    random = "random"
    time = "time"
