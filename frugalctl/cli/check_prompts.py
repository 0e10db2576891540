"""`frugalctl check PROMPTS --against LOG`: what a change of prompt templates will cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frugalctl.replay.run import ReplayOptions
    from frugalctl.report.metrics import Body
    from frugalctl.report.noise import Estimate
    from frugalctl.report.tables import Table


@dataclass(frozen=True, slots=True)
class PromptReplay:
    """What gates, tables and files need of a change of prompts.

    Attributes:
        base: the report of the log with the prompts as logged, as plain data.
        head: the same with the prompts as they will ship.
        tables: for people.
        pairs: changes of metrics that are known request by request.
        remarks: what a reader should know.
        records: the prompts as plain data.
    """

    base: Body
    head: Body
    tables: list[Table]
    pairs: dict[str, Estimate]
    remarks: list[str]
    records: list[dict[str, Any]]


def replay_prompts(
    paths: list[str],
    against: list[str],
    base: str | None,
    options: ReplayOptions,
    seed: int,
    requests_per_month: int | None = None,
) -> PromptReplay:
    """Render a log's requests with changed prompts, and price both.

    Args:
        paths: folders of templates, or templates.
        against: the log.
        base: a folder with the old templates, or a git revision.
        options: how to replay.
        seed: of the bootstrap.
        requests_per_month: scale to so many, instead of by the log's days.

    Raises:
        FrugalError: see `load_prompts`, `take_old_templates` and `price_prompt_change`.
    """
    from frugalctl.cli.replay import tell_notes
    from frugalctl.log.stream import on_disk
    from frugalctl.replay.templates.base import take_old_templates
    from frugalctl.replay.templates.files import load_prompts
    from frugalctl.report.noise import pair_reports
    from frugalctl.report.prompt_change import price_prompt_change
    from frugalctl.report.prompt_change_layout import (
        encode_sides,
        lay_out_prompts,
        list_records,
    )

    specs, remarks = load_prompts(paths), list[str]()
    if base is not None:
        specs, missing = take_old_templates(specs, paths, base)
        remarks = [f"{file} is not in --base {base}: looked for in the log" for file in missing]
    with on_disk(against) as sources:
        change = price_prompt_change(
            sources, specs, options, seed=seed, requests_per_month=requests_per_month
        )
    tell_notes(change.notes)
    before, after = encode_sides(change)
    tables, records = lay_out_prompts(change), list_records(change)
    pairs = pair_reports(before, after) | change.pairs
    return PromptReplay(before, after, tables, pairs, [*remarks, *change.remarks], records)
