"""`frugalctl prefix`: what repeats at the front of prompts, what breaks it, what to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    OutputOption,
    prepare_output,
)
from frugalctl.cli.startup import spare_pandas

if TYPE_CHECKING:
    from frugalctl.log.read import ReadNotes
    from frugalctl.log.schema import LogBatch
    from frugalctl.report.advice import AdviceReport
    from frugalctl.report.prefix_cost import PrefixLog, Pricer

app = typer.Typer(
    help="Prompt caches: what they read, what breaks a prefix, what to change.",
)

CacheOption = Annotated[
    str,
    typer.Option(
        "--prompt-cache",
        metavar="SPEC",
        help="A cache for all requests, such as anthropic:1h or blocks:ttl=300; auto takes that "
        "of each model's own provider. `frugalctl prices cache` lists the rules.",
    ),
]


@app.command("report")
def report_prefix(
    logs: LogArgument,
    cache: CacheOption = "auto",
    model: ModelOption = None,
    as_of: AsOfOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """What a prompt cache reads of a log, and why it does not read more.

    Hit rates by tenant, model, session and day; input cost uncached, as logged and as simulated;
    predicted against logged cached tokens; what broke the prefix of each request that missed.

    Examples:
      frugalctl prefix report requests.jsonl

      frugalctl prefix report trace.jsonl.gz --prompt-cache blocks:ttl=300 --json
    """
    from frugalctl.report.prefix import report_prefixes, run_caches
    from frugalctl.report.prefix_layout import (
        encode_prefix_report,
        lay_out_prefixes,
        render_data,
        render_prefix_csv,
        render_prefix_markdown,
    )

    spare_pandas()
    chosen = prepare_output(chosen_format, as_json, output, logs)
    log, pricer, notes = _read(logs, model, as_of, on_error)
    planned = run_caches(log, pricer.book, cache)
    report = report_prefixes(log, planned, pricer, as_of=as_of, input_xxh3=notes.input_xxh3)
    renderers = {
        Format.table: lambda: render_tables(lay_out_prefixes(report), output),
        Format.markdown: lambda: render_prefix_markdown(report),
        Format.json: lambda: render_data(encode_prefix_report(report)),
        Format.jsonl: lambda: render_data(encode_prefix_report(report), indent=None),
        Format.csv: lambda: render_prefix_csv(report),
    }
    print_text(renderers[chosen](), output)


@app.command("advise")
def advise_prefix(
    logs: LogArgument,
    cache: CacheOption = "auto",
    compare: Annotated[
        list[str] | None,
        typer.Option(
            "--compare",
            metavar="MODEL",
            help="Also price the traffic as this model's, by its provider's rules; repeatable.",
        ),
    ] = None,
    model: ModelOption = None,
    as_of: AsOfOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """The cheapest layout, breakpoints and lifetime for a log, each tried on the log itself.

    Every alternative says what to change, what that assumes, what it reads and writes, and what
    it saves. With `-o best.toml` the best that a recipe can express is written as one.

    Examples:
      frugalctl prefix advise requests.jsonl

      frugalctl prefix advise chats.jsonl.gz --model claude-sonnet-4-5 -o best.toml
    """
    from frugalctl.report.advice import advise_prefixes, encode_advice
    from frugalctl.report.advice_layout import (
        lay_out_advice,
        render_advice_csv,
        render_advice_markdown,
    )
    from frugalctl.report.prefix import run_caches
    from frugalctl.report.prefix_layout import render_data, round_values

    spare_pandas()
    chosen = prepare_output(chosen_format, as_json, output, logs)
    log, pricer, notes = _read(logs, model, as_of, on_error)
    planned = run_caches(log, pricer.book, cache)
    report = advise_prefixes(
        log,
        planned,
        pricer,
        models=compare or (),
        as_of=as_of,
        input_xxh3=notes.input_xxh3,
    )
    if output is not None and output.endswith(".toml"):
        _write_recipe(report, output)
        output = None
    renderers = {
        Format.table: lambda: render_tables(lay_out_advice(report), output),
        Format.markdown: lambda: render_advice_markdown(report),
        Format.json: lambda: render_data(round_values(encode_advice(report))),
        Format.jsonl: lambda: render_data(round_values(encode_advice(report)), indent=None),
        Format.csv: lambda: render_advice_csv(report),
    }
    print_text(renderers[chosen](), output)


def _write_recipe(report: AdviceReport, output: str) -> None:
    """Write the best of the cache that saves the most."""
    from frugalctl.report.advice import write_recipe

    caches = list(report.models)
    cache = max(caches, key=lambda name: report.best(name).saving_usd or 0.0)
    print_text(write_recipe(report, cache), output)
    if len(caches) > 1:
        note(
            f"{output} is for {', '.join(report.models[cache])} alone: a recipe has one prompt "
            "cache, and this log's models have several"
        )


def _read(
    logs: list[str], model: str | None, as_of: str | None, on_error: OnErrorChoice
) -> tuple[PrefixLog, Pricer, ReadNotes]:
    """The log in memory, and what prices it."""
    from frugalctl.cli.replay import tell_notes
    from frugalctl.log.read import ReadNotes, ReadOptions, read_log
    from frugalctl.log.stream import on_disk
    from frugalctl.prices import load_book
    from frugalctl.replay.run import parse_as_of
    from frugalctl.report.prefix import read_prefix_log
    from frugalctl.report.prefix_cost import Pricer

    as_of_us = None if as_of is None else parse_as_of(as_of)
    notes = ReadNotes()
    options = ReadOptions(on_error=on_error.value, model=model, estimate=False)
    with showing_progress("requests read") as tick, on_disk(logs) as sources:
        log = read_prefix_log(_count_rows(read_log(sources, options, notes), tick))
    tell_notes(notes)
    return log, Pricer(log, load_book(), as_of_us), notes


def _count_rows(batches: Iterator[LogBatch], tick: Callable[[int], None]) -> Iterator[LogBatch]:
    for batch in batches:
        yield batch
        tick(batch.requests.num_rows)
