"""Verdicts as comma-separated values."""

from __future__ import annotations

from frugalctl.report.tables import render_csv
from frugalctl.report.verdicts.json import encode_verdict
from frugalctl.report.verdicts.model import Judgement

_COLUMNS = (
    "gate", "name", "metric", "base", "head", "compared", "compared_ci95_lo", "compared_ci95_hi",
    "noise", "pairs", "status", "failed",
)  # fmt: skip


def render_verdicts_csv(judgement: Judgement) -> str:
    """A line a gate, the interval in two columns; unknown is empty."""
    rows: list[list[object]] = []
    for verdict in judgement.verdicts:
        record = encode_verdict(verdict)
        low, high = verdict.interval or (None, None)
        record |= {"compared_ci95_lo": low, "compared_ci95_hi": high}
        rows.append([record[column] for column in _COLUMNS])
    return render_csv(_COLUMNS, rows)
