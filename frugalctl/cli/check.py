"""`frugalctl check`: gates for CI."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.config import name_source
from frugalctl.cli.options import (
    AsOfOption,
    CheckFormat,
    CheckFormatOption,
    JsonOption,
    ModelOption,
    OnErrorChoice,
    OnErrorOption,
    OutputOption,
    PriceChoice,
    PricesOption,
    PromptCacheOption,
    RecipeOption,
    SeedOption,
    prepare_output_of,
)
from frugalctl.cli.replay import make_options, refuse_kept, replay_logs
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import GateFailed, InputError, UsageError

if TYPE_CHECKING:
    from frugalctl.replay.run import ReplayOptions
    from frugalctl.report.gate import Gate
    from frugalctl.report.metrics import Body
    from frugalctl.report.noise import Estimate
    from frugalctl.report.verdicts.model import Judgement, PromptFindings

_OF_THE_REPLAY = (
    "--recipe", "--prompt-cache", "--baseline-model", "--prices", "--as-of", "--model",
    "--on-error",
)  # fmt: skip
_SUMMARY_BYTES = 1_000_000


def check(
    context: typer.Context,
    logs: Annotated[
        list[str],
        typer.Argument(
            metavar="LOG",
            help="Request logs, or one kept report or ledger; with --against, prompt templates.",
        ),
    ],
    fail_if: Annotated[
        list[str] | None,
        typer.Option("--fail-if", metavar="GATE", help="A gate; may be given many times."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="FILE", help="What to compare with: a report (JSON) or a ledger."
        ),
    ] = None,
    allow_new: Annotated[
        bool,
        typer.Option(
            "--allow-new", help="Pass gates on changes of what the baseline, if any, lacks."
        ),
    ] = False,
    ignore_noise: Annotated[
        bool, typer.Option("--ignore-noise", help="Pass changes that are within noise.")
    ] = False,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="Report alone: exit 0 if a gate fails.")
    ] = False,
    no_config_gates: Annotated[
        bool,
        typer.Option("--no-config-gates", help="Leave out the gates of the configuration file."),
    ] = False,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="LOG",
            help="Price a change of prompt templates on the requests of this log.",
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(
            "--base", metavar="DIR|REV", help="For --against: where the old templates are."
        ),
    ] = None,
    requests_per_month: Annotated[
        int | None,
        typer.Option(
            "--requests-per-month",
            metavar="N",
            min=1,
            help="For --against: scale costs to so many, not by the log's days.",
        ),
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
    chosen_format: CheckFormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Fail (exit 1) if a log, or a kept report or ledger, breaks a gate.

    A gate is METRIC OP VALUE, OP one of < <= > >= == !=. It fails if it comes true.

    \b
      quality < 0.8          the metric itself
      cost_usd > +0.50       its change against --baseline, in its own unit
      cost_usd > +5%         its change in percent
      quality.ci95.lo < 0.8  the lower end of its 95 % interval
      delta.cost_pct > -10   recipe against baseline of one replay, no --baseline needed
      tasks.faq.cost_usd, models.gpt-4o.calls, tenants."a b".quality
                             by group; other names than letters, digits and _.:/@+- in quotes

    Metrics are the keys of the JSON report, below `recipe` unless written out. More gates may
    stand in [tool.frugalctl.gates] of pyproject.toml, or [gates] of frugalctl.toml. Exit 2 if a
    gate cannot be judged.

    Examples:
      frugalctl check log.jsonl --baseline base.json --fail-if 'cost_usd > +5%'

      frugalctl check log.jsonl --recipe recipe.toml --fail-if 'quality < 0.8' --format github

      frugalctl check base.json --fail-if 'latency_ms.p95 > 900' --exit-zero -o comment.md

      frugalctl check prompts/ --against support.jsonl --fail-if 'cost_usd > +5%'
    """  # noqa: D301
    folders = [*logs, *([base] if base else [])] if against else []
    chosen = prepare_output_of(CheckFormat, chosen_format, as_json, output, folders=folders)
    source = name_source(context, "fail_if")
    gates = _gather_gates(fail_if or [], source, with_configured=not no_config_gates)
    options = partial(
        make_options, recipe, prompt_cache, baseline_model, prices, as_of, model, on_error
    )
    said = _name_flags(context)
    if against:
        refuse_kept(against)
        _refuse(said, ("--baseline",), "--base says where the old templates are")
        gates = _skip_answers(gates, len(fail_if or []))
        reports = _replay_prompts(logs, against, base, options, seed, requests_per_month)
    else:
        _refuse(said, ("--base", "--requests-per-month"), "it goes with --against LOG")
        _require(gates, logs, needs_base=not (baseline or allow_new))
        reports = _read_reports(logs, baseline, options, seed, said)
    judgement = _judge(gates, reports, allow_new, ignore_noise)
    _print_judgement(judgement, chosen, output)
    _end(judgement, exit_zero)


@dataclass(frozen=True, slots=True)
class _Reports:
    """The report to judge, what it is compared with, and what else is known of the two.

    Attributes:
        pairs: changes that are known request by request.
        prompts: what was found about prompts.
        names: what messages call the two.
    """

    head: Body
    base: Body | None
    names: tuple[str, str]
    pairs: dict[str, Estimate] | None = None
    prompts: PromptFindings | None = None


def _name_flags(context: typer.Context) -> frozenset[str]:
    """The options that stand on the command line, and not only in a file or a variable."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    said = [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]
    return frozenset(f"--{name.replace('_', '-')}" for name in said)


def _refuse(said: frozenset[str], options: Iterable[str], hint: str) -> None:
    for option in options:
        if option in said:
            raise UsageError(f"{option} does not belong here", hint=hint)


def _gather_gates(texts: list[str], source: str, *, with_configured: bool) -> list[Gate]:
    """The gates of the configuration file, then those of the option, and where these are from."""
    from frugalctl.cli.config import load_gates
    from frugalctl.report.gate import parse_gate

    configured = load_gates() if with_configured else []
    found = [parse_gate(one.text, one.name, one.where) for one in configured]
    return found + [parse_gate(text, where=source) for text in texts]


def _skip_answers(gates: list[Gate], of_flags: int) -> list[Gate]:
    """The gates, those of the configuration that need new answers marked as not to be judged."""
    from dataclasses import replace

    from frugalctl.cli.console import note
    from frugalctl.report.metrics import is_of_answers

    configured = len(gates) - of_flags
    found = [
        replace(gate, skipped=at < configured and is_of_answers(gate.metric))
        for at, gate in enumerate(gates)
    ]
    skipped = [gate.text for gate in found if gate.skipped]
    if skipped:
        note(f"not judged, for nobody has answered the new prompts yet: {'; '.join(skipped)}")
    return found


def _require(gates: list[Gate], logs: list[str], *, needs_base: bool) -> None:
    """Refuse what cannot be judged, before the work."""
    from frugalctl.report.gate import require_base

    if not gates:
        hint = "--fail-if 'cost_usd > +5%', or [tool.frugalctl.gates] in pyproject.toml"
        raise UsageError("no gate to judge", hint=hint)
    if needs_base:
        require_base(gates)
    for path in logs:
        if path and Path(path).is_dir():
            hint = "to price a change of prompt templates, add --against LOG"
            raise InputError("is a directory", where=path, hint=hint)


def _read_reports(
    logs: list[str],
    baseline: str | None,
    options: Callable[[], ReplayOptions],
    seed: int,
    said: frozenset[str],
) -> _Reports:
    from frugalctl.cli.bodies import is_kept, is_ledger_file, load_body, pair_files

    base = load_body(baseline, seed) if baseline else None
    kept = [path for path in logs if is_kept(path)]
    names = (f"the report {kept[0]}" if kept else "the report", f"the base report {baseline}")
    if not kept and baseline and is_ledger_file(baseline):
        with TemporaryDirectory(prefix="frugalctl-") as folder:
            ledger = str(Path(folder) / "run.parquet")
            head = _replay(logs, options, seed, ledger)
            return _Reports(head, base, names, pair_files(baseline, ledger, seed))
    if not kept:
        return _Reports(_replay(logs, options, seed), base, names)
    if len(logs) > 1:
        raise UsageError(f"{kept[0]} is a replay that was kept, and stands alone")
    _refuse(said, _OF_THE_REPLAY, f"{kept[0]} was replayed already; give the log")
    pairs = pair_files(baseline, kept[0], seed) if baseline else None
    return _Reports(load_body(kept[0], seed), base, names, pairs)


def _replay(
    logs: list[str], options: Callable[[], ReplayOptions], seed: int, ledger: str | None = None
) -> Body:
    from frugalctl.report.encode import encode_report

    spare_pandas()
    return encode_report(replay_logs(logs, options(), seed, ledger)[0])


def _replay_prompts(
    paths: list[str],
    against: list[str],
    base: str | None,
    options: Callable[[], ReplayOptions],
    seed: int,
    requests_per_month: int | None,
) -> _Reports:
    from frugalctl.cli.check_prompts import replay_prompts
    from frugalctl.report.verdicts.model import PromptFindings

    spare_pandas()
    found = replay_prompts(paths, against, base, options(), seed, requests_per_month)
    prompts = PromptFindings(tuple(found.tables), tuple(found.remarks), tuple(found.records))
    names = ("the report with the new prompts", "that with the prompts as logged")
    return _Reports(found.head, found.base, names, found.pairs, prompts)


def _judge(gates: list[Gate], reports: _Reports, allow_new: bool, ignore_noise: bool) -> Judgement:
    from frugalctl.cli.console import note
    from frugalctl.report.verdicts.model import judge_reports

    judgement = judge_reports(
        gates,
        reports.head,
        reports.base,
        pairs=reports.pairs,
        allow_new=allow_new,
        ignore_noise=ignore_noise,
        prompts=reports.prompts,
        names=reports.names,
    )
    for message in (*judgement.warnings, *(reports.prompts.remarks if reports.prompts else ())):
        note(message)
    return judgement


def _print_judgement(judgement: Judgement, chosen: CheckFormat, output: str | None) -> None:
    from frugalctl.cli.console import print_text, render_tables
    from frugalctl.report.verdicts.csv import render_verdicts_csv
    from frugalctl.report.verdicts.github import render_github
    from frugalctl.report.verdicts.json import render_json, render_jsonl
    from frugalctl.report.verdicts.junit import render_junit
    from frugalctl.report.verdicts.markdown import render_markdown
    from frugalctl.report.verdicts.table import lay_out_judgement

    renderers: dict[CheckFormat, Callable[[Judgement], str]] = {
        CheckFormat.table: lambda found: render_tables(lay_out_judgement(found), output),
        CheckFormat.json: render_json,
        CheckFormat.jsonl: render_jsonl,
        CheckFormat.csv: render_verdicts_csv,
        CheckFormat.markdown: render_markdown,
        CheckFormat.github: render_github,
        CheckFormat.junit: render_junit,
    }
    print_text(renderers[chosen](judgement), output)
    if chosen is CheckFormat.github:
        _append_summary(render_markdown(judgement))


def _append_summary(text: str) -> None:
    """Add to the summary of GitHub's job, which holds no more than 1 MiB a step."""
    from frugalctl.cli.console import note

    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    file = Path(target)
    try:
        if file.exists() and not file.is_file():  # a pipe without a reader would wait for one
            note("the job summary cannot be written: it is no file")
            return
        written = file.stat().st_size if file.exists() else 0
        if written + len(text.encode("utf-8", "replace")) > _SUMMARY_BYTES:
            note("the job summary is full; the verdicts are not in it")
            return
        with file.open("a", encoding="utf-8", errors="replace") as summary:
            summary.write(text)
    except OSError as error:
        note(f"the job summary cannot be written: {error.strerror}")


def _end(judgement: Judgement, exit_zero: bool) -> None:
    from frugalctl.cli.console import note
    from frugalctl.report.verdicts.model import tell_outcome

    failed = [verdict.gate.text for verdict in judgement.verdicts if verdict.failed]
    if not failed:
        return
    told = f"{tell_outcome(judgement.verdicts)}: {'; '.join(failed)}"
    if not exit_zero:
        raise GateFailed(told)
    note(told)
