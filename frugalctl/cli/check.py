"""`frugalctl check`: gates for CI."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from frugalctl.cli.options import (
    AsOfOption,
    FormatOption,
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
    SeedOption,
    prepare_output,
)
from frugalctl.cli.replay import make_options, replay_logs
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import GateFailed, UsageError


def check(
    logs: LogArgument,
    fail_if: Annotated[
        list[str],
        typer.Option("--fail-if", metavar="EXPRESSION", help="A gate; may be given many times."),
    ],
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="FILE", help="The report (JSON) to compare with."),
    ] = None,
    recipe: RecipeOption = None,
    prompt_cache: PromptCacheOption = None,
    baseline_model: Annotated[
        str | None,
        typer.Option("--baseline-model", metavar="MODEL", help="As `replay --baseline`."),
    ] = None,
    prices: PricesOption = PriceChoice.book,
    as_of: AsOfOption = None,
    model: ModelOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    seed: SeedOption = 0,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Fail (exit 1) if a log, or a kept ledger, breaks a gate.

    A gate is METRIC OP VALUE. A plain number is compared with the metric, a signed one with its
    change against the base report, a signed percentage with its change in percent. Metrics are
    the keys of the JSON report, below `recipe` unless written out.

    Example:
      frugalctl check log.jsonl --baseline base.json --fail-if 'cost_usd > +5%'
      --fail-if 'quality < 0.8' --fail-if 'latency_ms.p95 > 900'
    """
    from frugalctl.cli.console import note
    from frugalctl.report.diff import warn_population
    from frugalctl.report.gate import judge, parse_gate
    from frugalctl.report.metrics import load_report

    spare_pandas()
    chosen = prepare_output(chosen_format, as_json, output, logs)
    gates = [parse_gate(text) for text in fail_if]
    base_body = load_report(baseline) if baseline else None
    options = make_options(recipe, prompt_cache, baseline_model, prices, as_of, model, on_error)
    head = _summarise(logs, options, seed)
    if base_body and any(gate.relative for gate in gates):
        warning = warn_population(base_body, head)
        if warning:
            note(warning)
    verdicts = [judge(gate, head, base_body) for gate in gates]
    _print_verdicts(verdicts, chosen, output)
    failed = [verdict.gate.text for verdict in verdicts if verdict.failed]
    if failed:
        raise GateFailed(f"{len(failed)} of {len(verdicts)} gates failed: {'; '.join(failed)}")


def _summarise(logs: list[str], options: Any, seed: int) -> dict[str, Any]:
    from frugalctl.replay.ledger import is_ledger, open_ledger
    from frugalctl.report.encode import encode_report
    from frugalctl.report.summary import summarise

    ledgers = [path for path in logs if is_ledger(path)]
    if not ledgers:
        return encode_report(replay_logs(logs, options, seed)[0])
    if len(logs) > 1:
        raise UsageError("a ledger stands alone", hint="check one ledger, or logs, at a time")
    meta, batches = open_ledger(ledgers[0])
    return encode_report(summarise(batches, lambda: meta, seed=seed))


def _print_verdicts(verdicts: list[Any], chosen: Any, output: str | None) -> None:
    from frugalctl.cli.console import print_rows
    from frugalctl.report.gate import lay_out_verdicts

    table, records = lay_out_verdicts(verdicts)
    print_rows(table, records, chosen, output)
