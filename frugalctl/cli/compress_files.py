"""`frugalctl compress FILE...`: shorter prompts, and what that saves."""

from __future__ import annotations

import time
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.compress_options import (
    DEFAULT_MODEL,
    AutoOption,
    CoarseOption,
    CompressFormat,
    CompressSeedOption,
    DayOption,
    DeviceOption,
    EmbedderChoice,
    EmbedderOption,
    LlmOption,
    MethodChoice,
    MethodOption,
    NeighboursOption,
    OffOption,
    OnOption,
    ProtectOption,
    ReorderChoice,
    ReorderOption,
    TargetModelOption,
    TiersOption,
    make_settings,
)
from frugalctl.cli.console import showing_progress
from frugalctl.errors import FrugalError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from frugalctl.cli.compress_read import Input, Item
    from frugalctl.cli.compress_show import Made
    from frugalctl.levers.compress.pipeline import CompressedPrompt
    from frugalctl.levers.compress.settings import CompressSettings


_REPORT_EXTENSIONS = (".txt", ".json", ".md", ".markdown", ".csv")


def compress_files(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Prompts: text, Markdown, chat JSON; or .jsonl (.gz, .zst) with a prompt or "
            "messages a line; - is stdin.",
        ),
    ],
    rate: Annotated[
        float | None,
        typer.Option("--rate", metavar="SHARE", help="Keep this share of the tokens: 0.5 is half."),
    ] = None,
    target_tokens: Annotated[
        int | None,
        typer.Option("--target-tokens", metavar="N", help="Keep at most so many tokens."),
    ] = None,
    question: Annotated[
        str | None,
        typer.Option("--question", help="What is asked. Default: what is found in the prompt."),
    ] = None,
    model: TargetModelOption = DEFAULT_MODEL,
    lossless: Annotated[
        bool, typer.Option("--lossless", help="Short for --tiers lossless: lose nothing.")
    ] = False,
    tiers: TiersOption = None,
    off: OffOption = None,
    on: OnOption = None,
    protect: ProtectOption = None,
    embedder: EmbedderOption = EmbedderChoice.static,
    neighbours: NeighboursOption = None,
    auto: AutoOption = False,
    reorder: ReorderOption = ReorderChoice.none,
    method: MethodOption = MethodChoice.extractive,
    llm: LlmOption = None,
    device: DeviceOption = "cpu",
    coarse: CoarseOption = False,
    seed: CompressSeedOption = 0,
    manifest: Annotated[
        str | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            help="Write what was done to each span, for `compress restore`; of several files, a "
            "folder.",
        ),
    ] = None,
    diff: Annotated[
        bool, typer.Option("--diff", help="Print what changed in place of the prompt.")
    ] = False,
    diff_html: Annotated[
        str | None, typer.Option("--diff-html", metavar="FILE", help="Write that as a web page.")
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Print every piece dropped, with its score and reason."),
    ] = False,
    report: Annotated[
        str | None,
        typer.Option(
            "--report", metavar="FILE", help="Write tokens and money (.txt, .json, .md, .csv)."
        ),
    ] = None,
    calls: Annotated[
        int | None,
        typer.Option(
            "--calls",
            metavar="N",
            min=1,
            help="How often each prompt is sent. Default: 1,000 times; once if there are several.",
        ),
    ] = None,
    cached_share: Annotated[
        float | None,
        typer.Option(
            "--cached-share",
            metavar="SHARE",
            help="The share of the prompt that all calls begin with. Default: up to the question.",
        ),
    ] = None,
    as_of: DayOption = None,
    chosen_format: Annotated[
        CompressFormat,
        typer.Option(
            "--format",
            "-f",
            help="text and jsonl print prompts; the others a report in place of them.",
        ),
    ] = CompressFormat.text,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write there; several to a folder."),
    ] = None,
) -> None:
    """Make prompts shorter and keep what matters; everything but a command's name is a file.

    Without --rate, --target-tokens or --auto nothing is dropped: white space, JSON, HTML, comments
    and logs are only written shorter. What is left goes to stdout or -o; with --diff, --explain or
    a report's format, that goes to stdout instead. A prompt that cannot keep its budget, or one
    broken file of several, fails and writes nothing; a line of a batch comes as near as can be and
    has a warning. For a file that is named like a command write ./eval.

    Examples:
      frugalctl compress prompt.txt --rate 0.5 -o short.txt --manifest m.json

      cat p.md | frugalctl compress - --target-tokens 300 --question "Who pays?"

      frugalctl compress prompts/*.json --lossless --diff

      frugalctl compress prompts.jsonl --rate 0.5 --format jsonl -o short.jsonl

      frugalctl compress prompt.txt --rate 0.25 --calls 1000 --format table
    """
    if question is not None and not question.strip():
        raise UsageError("--question is empty")
    _check_names(diff_html, report)
    if cached_share is not None and not 0 <= cached_share <= 1:
        raise UsageError(f"--cached-share {cached_share:g} is not a share from 0 to 1")
    settings = make_settings(
        tiers=tiers,
        lossless=lossless,
        off=off,
        on=on,
        method=method,
        protect=protect,
        embedder=embedder,
        reorder=reorder,
        rate=rate,
        target_tokens=target_tokens,
        model=model,
        neighbours=neighbours,
        auto=auto,
        llm=llm,
        device=device,
        coarse=coarse,
        seed=seed,
    )
    from frugalctl.cli.compress_read import read_inputs
    from frugalctl.cli.compress_write import plan_targets, write_results

    as_of_us = read_day(as_of)
    inputs = read_inputs(
        files,
        as_lines=chosen_format is CompressFormat.jsonl,
        patterns=settings.protect,
        question=question,
    )
    others = [name for name in (diff_html, report) if name is not None]
    targets = plan_targets(inputs, output, manifest, others)
    started = time.perf_counter()
    made = _compress_all(inputs, settings)
    seconds = time.perf_counter() - started
    from frugalctl.cli import compress_show as show

    times = calls or (1000 if sum(map(len, made)) == 1 else 1)
    shown = show.Shown(inputs, made, settings, times, cached_share, as_of_us, seconds)
    written = show.render_files(shown, targets, chosen_format, diff_html, report)
    told = show.render_shown(shown, diff=diff, explain=explain, chosen=chosen_format)
    if told or output in (None, "-"):
        written.append((told or show.join_prompts(shown, chosen_format), None))
    write_results(written)
    show.tell_result(shown, has_report=chosen_format in show.REPORTS)


def _check_names(diff_html: str | None, report: str | None) -> None:
    for option, name in (("--diff-html", diff_html), ("--report", report)):
        if name == "":
            raise UsageError(f"{option} names no file")
    extension = PurePath(report or "").suffix
    if extension and extension.lower() not in _REPORT_EXTENSIONS:
        raise UsageError(
            f"--report: {extension} is no format of a report",
            hint=f"known: {', '.join(_REPORT_EXTENSIONS)}",
        )


def _compress_all(inputs: Sequence[Input], settings: CompressSettings) -> list[list[Made]]:
    """What every prompt of every input becomes."""
    from frugalctl.cli.compress_show import Made

    with showing_progress("prompts compressed") as tick:
        made: list[list[Made]] = []
        for one in inputs:
            made.append([])
            for item in one.items:
                made[-1].append(Made(item, _compress(item, settings, strict=not one.is_batch)))
                tick(1)
        return made


def _compress(item: Item, settings: CompressSettings, *, strict: bool) -> CompressedPrompt:
    from frugalctl.levers.compress.pipeline import compress_prompt

    try:
        return compress_prompt(item.prompt, settings, item.question, strict=strict)
    except FrugalError as error:
        error.where = ": ".join(part for part in (item.where, error.where) if part)
        raise


def read_day(as_of: str | None) -> int | None:
    """The start of a day, in microseconds since 1970; None for no day."""
    if as_of is None:
        return None
    from frugalctl.replay.run import parse_as_of

    return parse_as_of(as_of)
