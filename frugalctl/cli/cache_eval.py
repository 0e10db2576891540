"""`frugalctl cache eval`: what a semantic cache does at every threshold."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.cache_options import (
    CacheRecipeOption,
    EmbedderOption,
    GuardsOption,
    NormalizeOption,
    ScorerOption,
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
from frugalctl.cli.console import print_text, render_tables
from frugalctl.cli.options import (
    Format,
    FormatOption,
    JsonOption,
    ModelOption,
    OnErrorChoice,
    OnErrorOption,
    OutputOption,
    prepare_output,
)
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import UsageError
from frugalctl.files import check_writable, replacing

if TYPE_CHECKING:
    from frugalctl.levers.semantic_cache.compare import PolicyResult
    from frugalctl.levers.semantic_cache.ranking import Matching
    from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
    from frugalctl.levers.semantic_cache.trials import Trials
    from frugalctl.report.cache_eval import CacheEval


class PolicyChoice(StrEnum):
    """What decides that a score is enough."""

    threshold = "threshold"
    vcache = "vcache"


def eval_cache(
    labels: LabelsArgument,
    embedder: EmbedderOption = None,
    scorer: ScorerOption = None,
    recipe: CacheRecipeOption = None,
    guards: GuardsOption = None,
    normalize: NormalizeOption = None,
    thresholds: Annotated[
        list[float] | None,
        typer.Option(
            "--threshold",
            metavar="SCORE",
            help="Report guards and dollars at this threshold; more of them join the curve. "
            "Default: the recipe's, or 0.9.",
        ),
    ] = None,
    scores: Annotated[
        str | None,
        typer.Option(
            "--scores", metavar="FILE", help="Write every score too (.jsonl, .csv, .parquet)."
        ),
    ] = None,
    policy: Annotated[
        PolicyChoice,
        typer.Option("--policy", help="vcache also compares a boundary for each entry."),
    ] = PolicyChoice.threshold,
    max_error: Annotated[
        float | None,
        typer.Option(
            "--max-error",
            metavar="SHARE",
            help="vCache's bound on wrong answers among all requests. Default: the recipe's, or "
            "0.02.",
        ),
    ] = None,
    wrong_answer_usd: Annotated[
        float | None,
        typer.Option("--wrong-answer-usd", metavar="USD", help="What a wrong answer costs you."),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of vCache's chances.")] = 0,
    model: ModelOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Hit rate, wrong answers and recall of a semantic cache at every threshold.

    The curve is after guards, the AUC before them. A log also tells the dollars that hits save.

    Examples:
      frugalctl cache eval pairs.jsonl --scores scores.csv

      frugalctl cache eval requests.jsonl --recipe cache.toml --wrong-answer-usd 0.5
    """
    spare_pandas()
    from frugalctl.report.cache_eval import (
        choose_scores_format,
        encode_eval,
        render_eval_csv,
        render_scores,
    )
    from frugalctl.report.cache_layout import lay_out_eval, render_eval_markdown
    from frugalctl.report.prefix_layout import render_data

    chosen = prepare_output(chosen_format, as_json, output, labels)
    if scores is not None:
        choose_scores_format(scores)
        check_writable(scores)
    chosen_recipe = make_cache_recipe(
        recipe,
        embedder=embedder,
        normalize=normalize,
        scorer=scorer,
        guards=guards,
        max_error=max_error,
        wrong_answer_usd=wrong_answer_usd,
    )
    cache = settings_of(chosen_recipe)
    read = read_labelled(labels, chosen_recipe, model, on_error)
    matching = load_matching(chosen_recipe)
    report, trials = _evaluate(read, matching, cache, thresholds or [])
    if PolicyChoice.vcache in (policy, cache.policy):
        compared = _compare(read, trials, matching, cache.max_error, seed)
        report = replace(report, policies=compared)
    if scores is not None:
        with replacing(scores) as temporary:
            temporary.write_bytes(render_scores(trials, scores))
    renderers = {
        Format.table: lambda: render_tables(lay_out_eval(report), output),
        Format.markdown: lambda: render_eval_markdown(report),
        Format.json: lambda: render_data(encode_eval(report)),
        Format.jsonl: lambda: render_data(encode_eval(report), indent=None),
        Format.csv: lambda: render_eval_csv(report),
    }
    print_text(renderers[chosen](), output)


def _evaluate(
    read: LabelledInput, matching: Matching, cache: SemanticCacheSettings, asked: list[float]
) -> tuple[CacheEval, Trials]:
    import numpy as np

    from frugalctl.levers.semantic_cache.evaluate import (
        ERROR_LEVELS,
        break_even,
        measure_auc,
        report_guards,
        trace_curve,
    )
    from frugalctl.levers.semantic_cache.trials import try_labels
    from frugalctl.report.cache_eval import CacheEval

    trials = try_labels(read.labels, matching)
    if not len(trials):
        raise UsageError("the log has no question that could be looked up")
    curve = trace_curve(trials)
    threshold = asked[0] if asked else cache.threshold
    levels = {level: curve.find_level(level) for level in ERROR_LEVELS}
    wanted = [*(asked or [threshold]), *(found for found in levels.values() if found is not None)]
    at = curve.points([threshold])[0]
    served = np.isfinite(trials.served_score)
    report = CacheEval(
        judged=describe_judged(read, matching, len(trials)),
        auc=measure_auc(trials),
        possible=curve.possible,
        unjudged_hits=int((served & np.isnan(trials.right)).sum()),
        at=at,
        operating={
            level: None if found is None else curve.points([found])[0]
            for level, found in levels.items()
        },
        curve=tuple(curve.thin(wanted)),
        guards=tuple(report_guards(trials, threshold)),
        balance=break_even(trials, at, cache.wrong_answer_usd),
        translations=translate_for(matching, threshold),
    )
    return report, trials


def _compare(
    read: LabelledInput, trials: Trials, matching: Matching, max_error: float, seed: int
) -> tuple[PolicyResult, ...]:
    from frugalctl.levers.semantic_cache.compare import compare_policies

    return tuple(compare_policies(read.labels, trials, matching, max_error, seed))
