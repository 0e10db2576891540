"""`frugalctl replay`: what was paid, and what a recipe would have cost."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.console import note, showing_progress, ticking
from frugalctl.cli.options import (
    AsOfOption,
    BaselineModelOption,
    JsonOption,
    LogArgument,
    ModelOption,
    OnErrorChoice,
    OnErrorOption,
    OutputOption,
    PriceChoice,
    PricesOption,
    PromptCacheOption,
    RecipeOption,
    ReportFormat,
    ReportFormatOption,
    SeedOption,
    ShowTextOption,
    prepare_output_of,
)
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import InputError, PriceError, UsageError

if TYPE_CHECKING:
    from frugalctl.log.read import ReadNotes
    from frugalctl.replay.run import ReplayOptions, ReplayRun
    from frugalctl.report.html.collect import PageTotals
    from frugalctl.report.model import Report

_MOST_LINES = 10


def replay(
    logs: LogArgument,
    recipe: RecipeOption = None,
    prompt_cache: PromptCacheOption = None,
    baseline: BaselineModelOption = None,
    prices: PricesOption = PriceChoice.book,
    as_of: AsOfOption = None,
    model: ModelOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit 2 if a request could not be priced.")
    ] = False,
    seed: SeedOption = 0,
    show_text: ShowTextOption = False,
    chosen_format: ReportFormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """What a log cost and, with a recipe, what it would have cost.

    Prints cost by model, token class, task, day and tenant, latency and quality. With
    `-o run.parquet` the ledger is kept, one row a request, for `report` and `check`; with
    `-o report.html` it is a page for the browser.

    Examples:
      frugalctl replay requests.jsonl

      frugalctl replay mmlu.jsonl.gz --recipe cascade.toml --prices log

      frugalctl replay requests.jsonl --prompt-cache anthropic:1h

      frugalctl replay requests.jsonl --recipe cascade.toml -o report.html

      zcat log.gz | frugalctl replay - --format json | jq .recipe.cost_usd
    """
    from frugalctl.cli.render import print_page, print_report, start_page

    spare_pandas()
    chosen = prepare_output_of(ReportFormat, chosen_format, as_json, output)
    totals = start_page(chosen, show_text)
    if show_text and "-" in logs:
        raise UsageError("--show-text reads the log a second time, so it cannot be stdin")
    options = make_options(recipe, prompt_cache, baseline, prices, as_of, model, on_error)
    ledger = output if output is not None and output.lower().endswith(".parquet") else None
    refuse_kept(logs)
    result, unpriced = replay_logs(logs, options, seed, ledger, totals)
    target = None if ledger else output
    if totals is None:
        print_report(result, chosen, target)
    else:
        print_page(totals, result, target, show_text=show_text, logs=logs)
    if unpriced and strict:
        raise PriceError(f"{unpriced:,} requests could not be priced (--strict)")


def refuse_kept(logs: list[str]) -> None:
    """Refuse replays that were kept where logs are wanted.

    Raises:
        InputError: one of them is a ledger or a report.
    """
    from frugalctl.cli.bodies import is_kept, is_ledger_file

    for path in logs:
        if is_ledger_file(path):
            raise InputError("is a ledger, not a log", where=path, hint=f"frugalctl report {path}")
        if is_kept(path):
            raise InputError("is a report, not a log", where=path, hint="give the log itself")


def make_options(
    recipe: str | None,
    prompt_cache: str | None,
    baseline: str | None,
    prices: PriceChoice,
    as_of: str | None,
    model: str | None,
    on_error: OnErrorChoice,
) -> ReplayOptions:
    """The options of a replay from those of the command line."""
    from frugalctl.replay.recipe import Recipe, load_recipe
    from frugalctl.replay.run import ReplayOptions

    levers = load_recipe(recipe) if recipe else Recipe()
    if levers.normalize is not None and levers.semantic_cache is None:
        note("[normalize] makes the keys of a semantic cache; without one it changes nothing")
    if prompt_cache is not None:
        from frugalctl.levers.prompt_cache.settings import parse_cache_spec

        name = levers.name if recipe else prompt_cache
        levers = replace(levers, name=name, prompt_cache=parse_cache_spec(prompt_cache))
    return ReplayOptions(
        recipe=levers,
        baseline=baseline,
        prices=prices.value,
        as_of=as_of,
        on_error=on_error.value,
        model=model,
    )


def replay_logs(
    logs: list[str],
    options: ReplayOptions,
    seed: int,
    ledger: str | None = None,
    page: PageTotals | None = None,
) -> tuple[Report, int]:
    """Replay logs, say on stderr what was met, and keep the ledger if asked to.

    Args:
        logs: the files.
        options: how to replay them.
        seed: of the bootstrap.
        ledger: a file to keep the ledger in.
        page: gathers what a page shows.

    Returns:
        The report and the number of unpriced requests.
    """
    from frugalctl.replay.ledger import LedgerMeta, writing_ledger
    from frugalctl.replay.run import replaying
    from frugalctl.report.summary import summarise

    with ExitStack() as stack:
        writer = stack.enter_context(writing_ledger(ledger)) if ledger else None
        tick = stack.enter_context(showing_progress("requests replayed"))
        run = stack.enter_context(replaying(logs, options))

        def finish() -> LedgerMeta:
            meta = run.finish()
            if writer:
                writer.finish(meta)
            return page.keep(meta) if page else meta

        batches = ticking(run.batches, tick)
        batches = writer.keep(batches) if writer else batches
        result = summarise(page.watch(batches) if page else batches, finish, seed=seed)
    _tell_remarks(run, result)
    return result, sum(result.log.unpriced.values())


def _tell_remarks(run: ReplayRun, result: Report) -> None:
    tell_notes(run.notes)
    for message in run.remarks:
        note(message)
    _suggest(result)


def tell_notes(notes: ReadNotes) -> None:
    """Say on stderr what the reader met: bad lines, unknown fields, records left out."""
    for error in notes.bad_lines[:_MOST_LINES]:
        note(f"skipped {error}")
    if len(notes.bad_lines) > _MOST_LINES:
        note(f"skipped {len(notes.bad_lines) - _MOST_LINES:,} more bad lines")
    if notes.unknown_fields:
        names = ", ".join(f"{name} ({where})" for name, where in notes.unknown_fields.items())
        note(f"unknown fields ignored: {names}")
    for message in notes.messages:
        note(message)


def _suggest(result: Report) -> None:
    from frugalctl.replay.engine import NO_MODEL

    reused = result.semantic_cache and result.semantic_cache["hits"]
    if reused and not result.prompt_cache and result.baseline.tokens["cache_read"]:
        note(
            "the calls that are left keep the cache reads that were logged, though reused answers "
            "no longer warm a prefix; [prompt_cache] in the recipe prices that too"
        )

    if result.log.uncovered == result.log.requests:
        note(
            f"no request has all the outcomes needed (baseline {result.baseline.name}, recipe "
            f"{result.recipe.name}); `frugalctl log stats` lists the models of the log"
        )
    if result.log.unpriced and result.origin.prices == "book":
        name = next(iter(result.log.unpriced))
        if name == NO_MODEL:
            note("requests that name no model have no price; `--model MODEL` says which was meant")
        else:
            instead = "; `--prices log` takes the log's own cost_usd"
            note(f"{name} has no price in the book{'' if result.prompt_cache else instead}")
