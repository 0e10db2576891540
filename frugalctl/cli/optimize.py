"""`frugalctl optimize`: the cheapest cascade that a log can vouch for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.console import note, print_text, render_tables, showing_progress
from frugalctl.cli.one_answer import has_one_answer, print_one_answer, study_log
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
from frugalctl.cli.replay import tell_notes
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import UsageError

if TYPE_CHECKING:
    from frugalctl.levers.cascade.table import OutcomeTable
    from frugalctl.log.read import ReadNotes
    from frugalctl.replay.goal import Goal
    from frugalctl.replay.learn import LearnOptions
    from frugalctl.replay.optimize import Optimized, OptimizeOptions
    from frugalctl.replay.outcomes import OutcomeOptions
    from frugalctl.report.optimize import OptimizeReport

_DEFAULT_LOSS = 0.01


class SplitChoice(StrEnum):
    """How rows are held out."""

    auto = "auto"
    folds = "folds"
    random = "random"
    time = "time"


def optimize(
    logs: LogArgument,
    max_quality_loss: Annotated[
        float | None,
        typer.Option(
            "--max-quality-loss",
            metavar="LOSS",
            help="The cheapest policy certified to lose at most this mean quality against the "
            f"best single model. Default, where nothing else is asked for: {_DEFAULT_LOSS}.",
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option("--confidence", metavar="SHARE", help="How sure a certificate is.")
    ] = 0.95,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget", metavar="USD/1k", help="The most that requests may cost: 0.20/1k, 3/M."
        ),
    ] = None,
    max_latency_p95: Annotated[
        float | None,
        typer.Option(
            "--max-latency-p95", metavar="MS", help="The most that 95 % of requests take."
        ),
    ] = None,
    willingness_to_pay: Annotated[
        float | None,
        typer.Option(
            "--willingness-to-pay",
            metavar="USD",
            help="For one more right answer (one unit of quality).",
        ),
    ] = None,
    models: Annotated[
        str | None, typer.Option("--models", metavar="A,B,...", help="Only these models.")
    ] = None,
    exclude: Annotated[
        str | None, typer.Option("--exclude", metavar="A,B,...", help="Not these models.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline",
            metavar="MODEL",
            help="Compare with this model, not with the best single one.",
        ),
    ] = None,
    score: Annotated[
        str,
        typer.Option(
            "--score",
            metavar="SPEC",
            help="What an answer stands by: auto, confidence (as logged), agreement, learned, or "
            "a scorer's .npz.",
        ),
    ] = "auto",
    router: Annotated[
        str,
        typer.Option(
            "--router",
            metavar="SPEC",
            help="Choose by the question too: none, auto, knn, logistic, boosting, or a router's "
            ".npz.",
        ),
    ] = "none",
    score_ms: Annotated[
        float | None,
        typer.Option("--score-ms", metavar="MS", help="What scoring one answer takes."),
    ] = None,
    score_usd: Annotated[
        float, typer.Option("--score-usd", metavar="USD", help="What scoring one answer costs.")
    ] = 0.0,
    depth: Annotated[
        int, typer.Option("--depth", metavar="N", help="The most models of a policy, 1 to 4.")
    ] = 3,
    bins: Annotated[
        int, typer.Option("--bins", metavar="N", help="The most thresholds of a model.")
    ] = 64,
    split: Annotated[
        SplitChoice,
        typer.Option(
            "--split",
            help="Hold out rows in turns (folds), 30 % at random, or the latest 30 %; auto: in "
            "turns, unless something is learned.",
        ),
    ] = SplitChoice.auto,
    folds: Annotated[int, typer.Option("--folds", metavar="N", help="In how many turns.")] = 5,
    by_task: Annotated[
        bool,
        typer.Option("--by-task", help="A policy of its own for each task where that pays."),
    ] = False,
    front: Annotated[
        str | None,
        typer.Option("--front", metavar="FILE", help="Write the whole front as CSV."),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option("--plot", metavar="FILE", help="Draw the front (.png, .svg)."),
    ] = None,
    prices: PricesOption = PriceChoice.book,
    as_of: AsOfOption = None,
    model: ModelOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of splits, fits, bootstrap.")] = 0,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the recipe (.toml, and a trained scorer beside it), or the report.",
        ),
    ] = None,
) -> None:
    """Which models to call in which order, and when to stop.

    Searches every cascade of a log's models exactly, chooses what the goal asks for, and measures
    it on rows that it was not chosen on. The log needs `outcomes` of several models.

    Examples:
      frugalctl optimize outcomes.jsonl --max-quality-loss 0.01 --confidence 0.95 -o best.toml

      frugalctl optimize outcomes.jsonl --budget 1.50/1k --max-latency-p95 4000

      frugalctl optimize outcomes.jsonl --willingness-to-pay 0.5 --front front.csv --plot front.png

      frugalctl replay tomorrow.jsonl --recipe best.toml
    """
    from frugalctl.replay.optimize import OptimizeOptions

    spare_pandas()
    is_recipe = output is not None and output.lower().endswith(".toml")
    chosen = prepare_output(chosen_format, as_json, None if is_recipe else output, logs)
    _check_targets([output if is_recipe else None, front, plot], logs)
    if front is not None and not front.lower().endswith(".csv"):
        raise UsageError(f"--front {front} is no .csv")
    if plot is not None:
        from frugalctl.report.front_plot import check_suffix

        check_suffix(plot)
    goal = make_goal(
        max_quality_loss, confidence, budget, max_latency_p95, willingness_to_pay, baseline
    )
    learn = _make_learn_options(
        score, router, score_ms, score_usd, output if is_recipe else None, seed
    )
    options = OptimizeOptions(goal, learn, split.value, folds, depth, bins, by_task, seed)
    table, notes = _read(logs, options, prices, as_of, model, on_error)
    tell_notes(notes)
    if has_one_answer(table):
        if is_recipe or front or plot:
            raise UsageError(
                "each request has one answer: there is no policy, front or picture to write",
                hint="-o FILE.json, or no -o, takes what can be said",
            )
        read = _outcome_options(options, prices, as_of, model, on_error)
        print_one_answer(
            study_log(logs, table, read, goal.budget_usd, _split_names(models), seed),
            {"input_xxh3": notes.input_xxh3, "prices": read.prices, "seed": seed},
            chosen,
            output,
        )
        return
    table = _pick(table, models, exclude)
    with showing_progress("policies searched"):
        found, report = _search(table, options, notes, prices, as_of)
    _write_files(found, report, output if is_recipe else None, front, plot)
    _print(report, chosen, None if is_recipe else output)


def make_goal(
    max_quality_loss: float | None,
    confidence: float,
    budget: str | None,
    max_latency_p95: float | None,
    willingness_to_pay: float | None,
    baseline: str | None,
) -> Goal:
    """The goal; a certificate where nothing is asked for."""
    from frugalctl.replay.goal import Goal, parse_budget

    wanted = (max_quality_loss, budget, max_latency_p95, willingness_to_pay)
    if all(one is None for one in wanted):
        max_quality_loss = _DEFAULT_LOSS
    return Goal(
        max_quality_loss=max_quality_loss,
        confidence=confidence,
        budget_usd=None if budget is None else parse_budget(budget),
        latency_p95_ms=max_latency_p95,
        usd_per_quality=willingness_to_pay,
        reference=baseline,
    )


def _make_learn_options(
    score: str,
    router: str,
    score_ms: float | None,
    score_usd: float,
    recipe: str | None,
    seed: int,
) -> LearnOptions:
    from frugalctl.replay.learn import LearnOptions

    stem = Path(recipe or "cascade.toml")
    return LearnOptions(
        score=score,
        router=router,
        score_ms=score_ms,
        score_usd=score_usd,
        scorer_name=stem.with_suffix(".scorer.npz").name,
        router_name=stem.with_suffix(".router.npz").name,
        seed=seed,
    )


def _check_targets(targets: list[str | None], logs: list[str]) -> None:
    given = [target for target in targets if target is not None]
    for target in given:
        prepare_output(None, False, target, logs)
    if len(set(given)) < len(given):
        raise UsageError(f"{given[0]} is to be written twice")


def _read(
    logs: list[str],
    options: OptimizeOptions,
    prices: PriceChoice,
    as_of: str | None,
    model: str | None,
    on_error: OnErrorChoice,
) -> tuple[OutcomeTable, ReadNotes]:
    from frugalctl.log.read import ReadNotes
    from frugalctl.replay.outcomes import read_outcomes

    notes = ReadNotes()
    wanted = _outcome_options(options, prices, as_of, model, on_error)
    return read_outcomes(logs, wanted, notes), notes


def _outcome_options(
    options: OptimizeOptions,
    prices: PriceChoice,
    as_of: str | None,
    model: str | None,
    on_error: OnErrorChoice,
) -> OutcomeOptions:
    from frugalctl.replay.outcomes import OutcomeOptions
    from frugalctl.replay.run import parse_as_of

    return OutcomeOptions(
        prices=prices.value,
        as_of_us=None if as_of is None else parse_as_of(as_of),
        on_error=on_error.value,
        model=model,
        texts=options.learn.needs_texts,
    )


def _pick(table: OutcomeTable, models: str | None, exclude: str | None) -> OutcomeTable:
    from frugalctl.replay.optimize_rows import pick_models, sparse_models

    names, excluded = _split_names(models), _split_names(exclude)
    for option, text, found in (("--models", models, names), ("--exclude", exclude, excluded)):
        if text is not None and not found:
            raise UsageError(f"{option} names no model")
    sparse = [name for name in sparse_models(table) if name not in excluded]
    if sparse and not names and len(table.models) - len(sparse) - len(excluded) > 1:
        note(
            f"left out, as few requests have their quality and cost: {', '.join(sparse)}; "
            "--models takes those that it names, --prices log the log's own costs"
        )
        excluded += sparse
    return pick_models(table, names, excluded)


def _split_names(text: str | None) -> list[str]:
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def _search(
    table: OutcomeTable,
    options: OptimizeOptions,
    notes: ReadNotes,
    prices: PriceChoice,
    as_of: str | None,
) -> tuple[Optimized, OptimizeReport]:
    from frugalctl.prices import load_book
    from frugalctl.replay.optimize import optimize as run
    from frugalctl.report.optimize import build_report

    found = run(table, options)
    origin = {
        "prices": prices.value,
        "price_book": load_book().book_id,
        "as_of": as_of,
        "input_xxh3": notes.input_xxh3,
        "score": found.learned.judges.score,
        "router": found.learned.judges.router,
        "split": options.split,
        "depth": options.depth,
        "bins": options.bins,
        "seed": options.seed,
    }
    return found, build_report(found, found.routers, origin)


def _write_files(
    found: Optimized,
    report: OptimizeReport,
    recipe: str | None,
    front: str | None,
    plot: str | None,
) -> None:
    """The scorer and the router first: a recipe never names one that is not there."""
    from frugalctl.report.optimize import render_front_csv, write_cascade_recipe

    if front is not None:
        print_text(render_front_csv(report), front)
    if plot is not None:
        from frugalctl.report.front_plot import draw_front, plot_of

        draw_front(plot_of(report), plot)
    learned, policies = found.choice.learned, found.choice.policies
    if recipe is None:
        if learned.fresh and any(learned.needs(policy) for policy in policies):
            note(f"the trained {' and '.join(learned.fresh)} was not kept; -o best.toml keeps it")
        return
    for name in learned.save(Path(recipe).parent, policies):
        note(f"wrote {name} beside the recipe, which needs it")
    print_text(write_cascade_recipe(report), recipe)


def _print(report: OptimizeReport, chosen: Format, output: str | None) -> None:
    from frugalctl.report.optimize import encode_optimize, render_front_csv
    from frugalctl.report.optimize_layout import lay_out_optimize, render_optimize_markdown
    from frugalctl.report.prefix_layout import render_data

    renderers = {
        Format.table: lambda: render_tables(lay_out_optimize(report), output),
        Format.markdown: lambda: render_optimize_markdown(report),
        Format.json: lambda: render_data(encode_optimize(report)),
        Format.jsonl: lambda: render_data(encode_optimize(report), indent=None),
        Format.csv: lambda: render_front_csv(report),
    }
    print_text(renderers[chosen](), output)
