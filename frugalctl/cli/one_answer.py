"""What `frugalctl optimize` says of a log with one answer a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frugalctl.cli.console import print_text, render_tables
from frugalctl.cli.options import Format

if TYPE_CHECKING:
    from frugalctl.levers.cascade.table import OutcomeTable
    from frugalctl.replay.one_answer import OneAnswer
    from frugalctl.replay.outcomes import OutcomeOptions


def has_one_answer(table: OutcomeTable) -> bool:
    """Whether no request has answers of two models."""
    return bool((table.present.sum(axis=1) <= 1).all())


def study_log(
    logs: list[str],
    table: OutcomeTable,
    read: OutcomeOptions,
    budget_usd: float | None,
    models: list[str],
    seed: int,
) -> OneAnswer:
    """See `replay.one_answer.study`."""
    from frugalctl.replay.one_answer import study

    return study(logs, table, read, budget_usd=budget_usd, models=models, seed=seed)


def print_one_answer(
    found: OneAnswer, origin: dict[str, Any], chosen: Format, output: str | None
) -> None:
    """Print it in the format asked for."""
    from frugalctl.prices import load_book
    from frugalctl.report.one_answer import (
        encode_one_answer,
        lay_out_one_answer,
        render_one_answer_csv,
    )
    from frugalctl.report.prefix_layout import render_data
    from frugalctl.report.tables import render_markdown

    body = encode_one_answer(found, {"price_book": load_book().book_id, **origin})
    renderers = {
        Format.table: lambda: render_tables(lay_out_one_answer(found), output),
        Format.markdown: lambda: render_markdown(lay_out_one_answer(found)),
        Format.json: lambda: render_data(body),
        Format.jsonl: lambda: render_data(body, indent=None),
        Format.csv: lambda: render_one_answer_csv(found),
    }
    print_text(renderers[chosen](), output)
