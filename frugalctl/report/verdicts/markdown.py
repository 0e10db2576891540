"""Verdicts as a comment on a pull request."""

from __future__ import annotations

import json
from typing import Any

from frugalctl.report.comment import Block, render_comment
from frugalctl.report.diff_layout import block_changes
from frugalctl.report.tables import UNKNOWN, Table
from frugalctl.report.verdicts.model import Judgement, lay_out_verdicts, tell_outcome

_NAMES = {"gate", "fails if"}


def render_markdown(judgement: Judgement) -> str:
    """The outcome, the gates, what changed, and folded away what it is about."""
    prompts, changes = judgement.prompts, block_changes(judgement.changes)
    gates = lay_out_verdicts(judgement.verdicts)
    literal = tuple(at for at, name in enumerate(gates.headers) if name in _NAMES)
    blocks = [Block(gates, literal=literal)] if gates.rows else []
    if prompts:
        blocks += [Block(table) for table in prompts.tables]
    blocks = [*blocks, *changes, Block(_lay_out_origins(judgement), folded=True, literal=(1, 2))]
    remarks = (*(prompts.remarks if prompts else ()), *judgement.warnings)
    return render_comment(f"frugalctl: {tell_outcome(judgement.verdicts)}", blocks, remarks)


def _lay_out_origins(judgement: Judgement) -> Table:
    head, base = judgement.head, judgement.base
    rows = tuple(
        (key, _show(base[key]), _show(value)) if base else (key, _show(value))
        for key, value in head.items()
    )
    columns = ("", "base", "this report") if base else ("", "this report")
    return Table("How the reports were made", columns, rows)


def _show(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return UNKNOWN if value is None else str(value)
