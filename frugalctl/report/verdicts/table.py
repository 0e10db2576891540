"""Verdicts as tables for a person."""

from __future__ import annotations

from frugalctl.report.tables import Table
from frugalctl.report.verdicts.model import Judgement, lay_out_verdicts


def lay_out_judgement(judgement: Judgement) -> list[Table]:
    """What changes in prompts, if that was checked, then the verdicts."""
    tables = list(judgement.prompts.tables) if judgement.prompts else []
    return [*tables, lay_out_verdicts(judgement.verdicts)] if judgement.verdicts else tables
