"""`frugalctl compress eval`: how often what an answer needs survives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.compress_options import (
    DEFAULT_MODEL,
    CoarseOption,
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
from frugalctl.cli.console import note, print_text, render_tables
from frugalctl.cli.options import (
    Format,
    FormatOption,
    JsonOption,
    OutputOption,
    prepare_output,
)
from frugalctl.errors import UsageError

if TYPE_CHECKING:
    from frugalctl.levers.compress.evaluate import Case


def eval_compression(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="CASES",
            help="JSON lines {id, documents | prompt | messages, question, answers | evidence} "
            "(.gz, .zst); - is stdin.",
        ),
    ],
    rates: Annotated[
        str,
        typer.Option("--rates", metavar="N,N,...", help="How many times shorter: 4 is a quarter."),
    ] = "2,4,6",
    model: TargetModelOption = DEFAULT_MODEL,
    tiers: TiersOption = None,
    off: OffOption = None,
    on: OnOption = None,
    protect: ProtectOption = None,
    embedder: EmbedderOption = EmbedderChoice.static,
    neighbours: NeighboursOption = None,
    reorder: ReorderOption = ReorderChoice.none,
    method: MethodOption = MethodChoice.extractive,
    llm: LlmOption = None,
    device: DeviceOption = "cpu",
    coarse: CoarseOption = False,
    seed: CompressSeedOption = 0,
    as_of: DayOption = None,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """How often what an answer needs survives a compression, at several rates.

    It survives where an answer, or all of the evidence, stands in what is left letter for letter.
    That bounds what a model could still answer; it does not say what it would.

    Examples:
      frugalctl compress eval cases.jsonl --rates 2,4,6

      frugalctl compress eval cases.jsonl --embedder none --format csv
    """
    chosen = prepare_output(chosen_format, as_json, output, files)
    factors = _read_rates(rates)
    settings = make_settings(
        tiers=tiers,
        off=off,
        on=on,
        method=method,
        protect=protect,
        embedder=embedder,
        reorder=reorder,
        model=model,
        neighbours=neighbours,
        llm=llm,
        device=device,
        coarse=coarse,
        seed=seed,
    )
    from frugalctl.cli.compress_files import read_day
    from frugalctl.cli.compress_show import find_prices
    from frugalctl.errors import PriceError
    from frugalctl.levers.compress.evaluate import evaluate
    from frugalctl.report import compress_eval as layout

    prices = find_prices(model, read_day(as_of))
    usd = None if isinstance(prices, PriceError) else prices.price(1000, 0, 0) / 1000
    cases = _read_cases(files, settings.protect)
    found = evaluate(cases, factors, settings, usd_per_token=usd)
    if found.unanswerable:
        note(
            f"{len(found.unanswerable):,} cases are left out: what has to survive is not in their "
            f"prompt ({', '.join(found.unanswerable[:5])})"
        )
    report = layout.EvalReport(found, settings, prices)
    renderers = {
        Format.table: lambda: render_tables([layout.lay_out_retention(report)], output),
        Format.markdown: lambda: layout.render_retention_markdown(report),
        Format.json: lambda: layout.render_retention_json(report),
        Format.jsonl: lambda: layout.render_retention_json(report, indent=None),
        Format.csv: lambda: layout.render_retention_csv(report),
    }
    print_text(renderers[chosen](), output)


def _read_rates(text: str) -> list[float]:
    try:
        factors = [float(word) for word in text.split(",")]
    except ValueError:
        raise UsageError(f"--rates {text!r} is not a list of numbers", hint="as 2,4,6") from None
    for factor in factors:
        if not 1 < factor < float("inf"):
            raise UsageError(
                f"--rates: {factor:g} is not above 1", hint="2 keeps a half, 4 a quarter"
            )
    return list(dict.fromkeys(factors))


def _read_cases(files: list[str], patterns: tuple[str, ...]) -> list[Case]:
    from frugalctl.cli.compress_read import name_source, read_bytes
    from frugalctl.errors import InputError
    from frugalctl.levers.compress.evaluate import read_cases

    if files.count("-") > 1:
        raise UsageError("stdin (-) is given twice")
    cases: list[Case] = []
    for file in files:
        lines = read_bytes(file).split(b"\n")
        found = list(read_cases(lines, source=name_source(file), patterns=patterns))
        if not found:
            raise InputError("has no case", where=name_source(file))
        cases += found
    return cases
