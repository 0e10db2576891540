"""`frugalctl cache tune`: the threshold that keeps a bound on wrong answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.cache_options import (
    CacheRecipeOption,
    EmbedderOption,
    GuardsOption,
    NormalizeOption,
    describe_settings,
    make_cache_recipe,
)
from frugalctl.cli.cache_setup import (
    LabelledInput,
    LabelsArgument,
    describe_judged,
    load_matching,
    read_labelled,
    settings_of,
    translate_for,
)
from frugalctl.cli.console import note, print_text, render_tables
from frugalctl.cli.options import (
    Format,
    FormatOption,
    JsonOption,
    ModelOption,
    OnErrorChoice,
    OnErrorOption,
    prepare_output,
)
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import UsageError

if TYPE_CHECKING:
    from frugalctl.levers.semantic_cache.calibrate import Risk
    from frugalctl.levers.semantic_cache.ranking import Matching
    from frugalctl.levers.semantic_cache.tune import Tuned
    from frugalctl.replay.recipe import Recipe
    from frugalctl.report.cache_eval import CacheTune


def tune_cache(
    labels: LabelsArgument,
    max_wrong_hits: Annotated[
        float,
        typer.Option(
            "--max-wrong-hits", metavar="SHARE", help="The bound on wrong answers among hits."
        ),
    ] = 0.02,
    confidence: Annotated[
        float, typer.Option("--confidence", metavar="SHARE", help="That the bound holds.")
    ] = 0.95,
    embedder: EmbedderOption = None,
    recipe: CacheRecipeOption = None,
    scorer: Annotated[
        str,
        typer.Option(
            "--scorer",
            metavar="SPEC",
            help="cosine, learned (trained on a part of the labels), a learned scorer's .npz, or "
            "cross-encoder:PATH.",
        ),
    ] = "cosine",
    guards: GuardsOption = None,
    normalize: NormalizeOption = None,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out", metavar="SHARE", help="Of the labels, kept for the report alone."
        ),
    ] = 0.2,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of splits and training.")] = 0,
    model: ModelOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the recipe (.toml), and a trained scorer beside it.",
        ),
    ] = None,
) -> None:
    """The lowest threshold whose wrong answers among hits stay within a bound.

    The bound is exact, corrected for the search, and counts labels that hang together (pairs that
    share a text, a group) as what they are. Too few labels, or none that holds, is an error.

    Examples:
      frugalctl cache tune pairs.jsonl --max-wrong-hits 0.05 --confidence 0.95 -o cache.toml

      frugalctl cache tune groups.jsonl --max-wrong-hits 0.1 --scorer learned -o cache.toml
    """
    spare_pandas()
    from frugalctl.report.cache_eval import encode_tune, render_tune_csv
    from frugalctl.report.cache_layout import lay_out_tune, render_tune_markdown
    from frugalctl.report.prefix_layout import render_data

    risk = _check_risk(max_wrong_hits, confidence, held_out)
    _check_recipe_output(output, labels)
    chosen = prepare_output(chosen_format, as_json, None)
    learn = scorer == "learned"
    base = make_cache_recipe(
        recipe,
        embedder=embedder,
        normalize=normalize,
        scorer="cosine" if learn else scorer,
        guards=guards,
    )
    read = read_labelled(labels, base, model, on_error)
    matching = load_matching(base)
    tuned = _tune(read, matching, risk, learn, held_out, seed, labels)
    if tuned.untrained is not None and tuned.untrained.hit_rate > tuned.calibrated.hit_rate:
        note(
            f"training did not pay: {matching.scorer.name} hits {tuned.untrained.hit_rate:.1%} "
            f"within the same bound, the trained scorer {tuned.calibrated.hit_rate:.1%}"
        )
    report = _report_tuning(read, matching, base, tuned, seed, output)
    _write_recipe(report, base, output)
    renderers = {
        Format.table: lambda: render_tables(lay_out_tune(report), None),
        Format.markdown: lambda: render_tune_markdown(report),
        Format.json: lambda: render_data(encode_tune(report)),
        Format.jsonl: lambda: render_data(encode_tune(report), indent=None),
        Format.csv: lambda: render_tune_csv(report),
    }
    print_text(renderers[chosen](), None)


def _check_risk(max_wrong_hits: float, confidence: float, held_out: float) -> Risk:
    from frugalctl.levers.semantic_cache.calibrate import Risk

    for option, value in (("--max-wrong-hits", max_wrong_hits), ("--confidence", confidence)):
        if not 0 < value < 1:
            raise UsageError(f"{option} {value:g} is not between 0 and 1", hint="such as 0.02")
    if not 0 <= held_out < 1 / 2:
        raise UsageError(f"--held-out {held_out:g} is not from 0 to below 0.5")
    return Risk(max_wrong_hits, confidence)


def _check_recipe_output(output: str | None, labels: list[str]) -> None:
    if output is None:
        return
    if not output.endswith(".toml"):
        raise UsageError(f"{output} is no recipe", hint="-o takes a file that ends in .toml")
    prepare_output(None, False, output, labels)


def _tune(
    read: LabelledInput,
    matching: Matching,
    risk: Risk,
    learn: bool,
    held_out: float,
    seed: int,
    labels: list[str],
) -> Tuned:
    from frugalctl.levers.semantic_cache.tune import tune

    return tune(
        read.labels,
        matching,
        risk,
        learn=learn,
        held_out_share=held_out,
        seed=seed,
        source=", ".join("<stdin>" if name == "-" else name for name in labels),
    )


def _report_tuning(
    read: LabelledInput,
    matching: Matching,
    base: Recipe,
    tuned: Tuned,
    seed: int,
    output: str | None,
) -> CacheTune:
    from frugalctl.report.cache_eval import CacheTune

    matching = matching if tuned.scorer is None else replace(matching, scorer=tuned.scorer)
    count = tuned.train_rows + tuned.calibration_rows + tuned.held_out_rows
    given = settings_of(base).scorer
    scorer_file = None if given == "cosine" else given
    if tuned.scorer is not None and output is not None:
        scorer_file = _name_scorer(output).name
    return CacheTune(
        judged=describe_judged(read, matching, count),
        tuned=tuned,
        seed=seed,
        scorer_file=scorer_file,
        translations=translate_for(matching, tuned.threshold),
    )


def _name_scorer(output: str) -> Path:
    return Path(output).with_suffix(".scorer.npz")


def _write_recipe(report: CacheTune, base: Recipe, output: str | None) -> None:
    """The scorer first: a recipe never names one that is not there."""
    from frugalctl.levers.semantic_cache.settings import dump_semantic_cache_table
    from frugalctl.report.cache_eval import write_cache_recipe

    scorer = report.tuned.scorer
    if output is None:
        if scorer is not None:
            note("the trained scorer was not kept; -o cache.toml writes it beside the recipe")
        return
    if scorer is not None:
        from frugalctl.levers.semantic_cache.scorer_files import save_scorer

        save_scorer(scorer, str(_name_scorer(output)))
    table = dump_semantic_cache_table(settings_of(base))
    print_text(write_cache_recipe(report, table, describe_settings(base)["normalize"]), output)
