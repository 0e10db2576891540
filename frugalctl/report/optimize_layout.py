"""What `optimize` found, as tables for people."""

from __future__ import annotations

import math

import numpy as np

from frugalctl.levers.cascade.certificate import Certificate
from frugalctl.levers.cascade.heldout import HeldOut
from frugalctl.levers.cascade.judges import score_steps
from frugalctl.levers.cascade.policy import CascadePolicy, decide
from frugalctl.report.optimize import OptimizeReport
from frugalctl.report.tables import (
    UNKNOWN,
    Table,
    format_interval,
    format_number,
    format_usd,
    render_markdown,
)

_FRONT_ROWS = 14


def lay_out_optimize(report: OptimizeReport) -> list[Table]:
    """The tables, in reading order."""
    tables = [_policy(report), _figures(report)]
    if report.optimized.choice.tasks:
        tables.append(_tasks(report))
    if report.optimized.learned.validation:
        tables.append(_scorer(report))
    return [*tables, _baselines(report), _front(report), _metrics(report)]


def render_optimize_markdown(report: OptimizeReport) -> str:
    """The report in Markdown."""
    return render_markdown(lay_out_optimize(report))


def _policy(report: OptimizeReport) -> Table:
    found = report.optimized
    policy, judges = found.choice.policy, found.choice.learned.judge(found.table)
    at = [found.table.models.index(name) for name in policy.models]
    present = [found.table.present[:, model] for model in at]
    decided = decide(policy, present, score_steps(found.table, policy, judges))
    rows = tuple(
        (
            str(step + 1),
            model,
            _describe_step(policy, step),
            f"{decided.called[step].mean():.1%}",
            f"{(decided.answer == step).mean():.1%}",
        )
        for step, model in enumerate(policy.models)
    )
    return Table(
        "Policy",
        ("step>", "model", "what it does", "called>", "answers>"),
        rows,
        _certify(found.choice.chosen.certificate),
    )


def _describe_step(policy: CascadePolicy, step: int) -> str:
    if step == len(policy.thresholds):
        return "answers" if step == 0 else "answers the rest"
    threshold = f"{policy.thresholds[step]:.6g}"
    if policy.kinds[step] == "route":
        return f"answers if {policy.router} says {threshold} or more for the question"
    if policy.score == "agreement":
        return "asked" if step == 0 else f"stops if it agrees with {threshold} of those before"
    return f"stops if {policy.score} is {threshold} or more"


def _certify(certificate: Certificate | None) -> tuple[str, ...]:
    if certificate is None:
        return ("No certificate was asked for; --max-quality-loss asks for one.",)
    how = (
        f"Searched on {certificate.rows_search:,} rows, tested on {certificate.rows_test:,} "
        f"others: {certificate.tested:,} "
        f"{'policy' if certificate.tested == 1 else 'policies'} in a fixed sequence."
    )
    if certificate.granted:
        return (
            f"Certified: against {certificate.reference} {certificate.reason} (on the rows of "
            f"the test it loses {certificate.observed_loss:+.4f}, p = {certificate.p_value:.3g}).",
            how,
        )
    return (f"Not certified: {certificate.reason}. The best single model is kept.", how)


def _figures(report: OptimizeReport) -> Table:
    found, train = report.optimized, report.optimized.train
    heldout = found.heldout
    mean_ms, p95_ms = train.known_latency()
    columns = ("", "chosen on>", "held out>", f"{found.choice.reference}, held out>", "change>")
    rows = (
        (
            "cost of 1,000",
            format_usd(float(train.cost_usd.mean()) * 1000),
            *_paired_cost(heldout),
        ),
        ("quality", f"{train.quality.mean():.4f}", *_paired_quality(heldout)),
        (
            "latency mean ms",
            _ms(mean_ms),
            *_paired_ms(heldout, "latency_ms"),
        ),
        (
            "latency p95 ms",
            _ms(p95_ms),
            *_paired_ms(heldout, "latency_p95_ms"),
        ),
    )
    notes = [f"Chosen on {report.rows:,} requests."]
    if heldout is not None:
        notes[0] = (
            f"Chosen on {report.rows:,} requests; each of {heldout.rows:,} held out was judged by "
            f"a policy chosen without it ({heldout.clusters:,} sessions; 95 % intervals)."
        )
        notes.append(f"As good an answer as {found.choice.reference}: {heldout.same:.1%} of them.")
    return Table("What it does", columns, rows, (*notes, *found.notes))


def _paired_cost(found: HeldOut | None) -> tuple[str, str, str]:
    if found is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    low, high = found.saving_ci95
    each, base = found.cost_usd / found.rows, found.reference_cost_usd / found.rows
    # 0 - x, as -x of 0 is printed as -0
    ends = [f"{0 - value * 100:+.1f}" for value in (found.saving, high, low)]
    change = f"{ends[0]} % [{ends[1]}, {ends[2]}]"
    return format_usd(each * 1000), format_usd(base * 1000), change


def _paired_quality(found: HeldOut | None) -> tuple[str, str, str]:
    if found is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    interval = format_interval(found.delta_quality_ci95, 4, sign=True)
    change = f"{found.delta_quality:+.4f} {interval}"
    return f"{found.quality:.4f}", f"{found.reference_quality:.4f}", change


def _paired_ms(found: HeldOut | None, name: str) -> tuple[str, str, str]:
    if found is None:
        return UNKNOWN, UNKNOWN, UNKNOWN
    own, base = getattr(found, name), getattr(found, f"reference_{name}")
    change = UNKNOWN if math.isnan(own - base) else f"{own - base:+,.0f}"
    return _ms(own), _ms(base), change


def _ms(value: float) -> str:
    return UNKNOWN if math.isnan(value) else format_number(value)


def _tasks(report: OptimizeReport) -> Table:
    found = report.optimized.choice
    named = [("(other tasks)", found.chosen), *found.tasks]
    rows = tuple(
        (
            task,
            *_name_policy(one.policy),
            "" if one.certificate is None else "yes" if one.certificate.granted else "no",
        )
        for task, one in named
    )
    return Table("Policies by task", ("task", "models", "thresholds", "certified"), rows)


def _scorer(report: OptimizeReport) -> Table:
    rows = tuple(
        (
            one.model,
            format_number(one.rows),
            UNKNOWN if math.isnan(one.auroc_confidence) else f"{one.auroc_confidence:.3f}",
            UNKNOWN if math.isnan(one.auroc_learned) else f"{one.auroc_learned:.3f}",
            one.kind,
        )
        for one in report.optimized.learned.validation
    )
    notes = (
        "AUROC of right against wrong answers, of rows that had no part in the fit. The learned "
        "score is used where it wins with a confidence of 95 %.",
    )
    columns = ("model", "rows>", "confidence>", "learned>", "used")
    return Table("Scorer", columns, rows, notes)


def _name_policy(policy: CascadePolicy) -> tuple[str, str]:
    kinds = (*policy.kinds, "ask")
    models = [
        f"{model} (routed)" if kind == "route" else model
        for model, kind in zip(policy.models, kinds, strict=True)
    ]
    return " > ".join(models), ", ".join(f"{threshold:.4g}" for threshold in policy.thresholds)


def _baselines(report: OptimizeReport) -> Table:
    rows = tuple(
        (
            one.name if math.isnan(one.share) else f"{one.name}, {one.share:.0%} of the last",
            " + ".join(one.models) if len(one.models) < 4 else f"all {len(one.models)}",
            format_usd(one.cost_usd * 1000),
            f"{one.quality:.4f}",
            _ms(one.latency_ms),
        )
        for one in report.baselines
    )
    columns = ("baseline", "models", "cost of 1,000>", "quality>", "latency ms>")
    notes = (
        f"Over the {report.rows:,} requests that the policy was chosen on. A zero router mixes "
        "its corners at random; the oracle knows the qualities, and nobody can beat it.",
    )
    return Table("Baselines", columns, rows, notes)


def _front(report: OptimizeReport) -> Table:
    front, corners = report.front, report.hull
    spread = np.linspace(0, len(corners) - 1, _FRONT_ROWS).round().astype(np.int64)
    shown: list[int] = corners[np.unique(spread)].tolist()
    rows = tuple(
        (
            *_name_policy(front.policies[one]),
            format_usd(float(front.cost_usd[one]) * 1000),
            f"{front.quality[one]:.4f}",
            _ms(float(front.latency_ms[one])),
        )
        for one in shown
    )
    columns = ("policy", "thresholds", "cost of 1,000>", "quality>", "latency ms>")
    notes = (
        f"{len(rows)} of {len(corners):,} policies on the hull, of {len(front):,} on the front of "
        f"cost, quality and latency, of {front.searched:,} searched on {front.rows:,} rows.",
        "In sample: what is best of so many looks better than it is. --front FILE.csv has them "
        "all, --plot FILE.png draws them.",
    )
    return Table("Front", columns, rows, notes)


_METRICS = {
    "aiq": ("AIQ of the front", "RouterBench: mean quality of the hull over cost"),
    "aiq_zero_router": ("AIQ of the zero router", "the same of single models mixed at random"),
    "apgr": ("APGR", "RouteLLM: mean share of the quality gap recovered; random is 0.5"),
    "cpt_50": ("CPT(50 %)", "RouteLLM: share of calls to the best model for half of the gap"),
    "cpt_80": ("CPT(80 %)", "the same for 80 %"),
    "ibc_lift": (
        "IBC lift",
        "AutoMix: benefit per cost over the cheapest model, policy against best",
    ),
    "saving_at_parity": ("saving at parity", "cheapest policy as good as the best single model"),
}


def _metrics(report: OptimizeReport) -> Table:
    rows = tuple(
        (name, UNKNOWN if math.isnan(report.metrics[key]) else f"{report.metrics[key]:.4f}", what)
        for key, (name, what) in _METRICS.items()
    )
    return Table(
        "Measures", ("measure", "value>", "what it is"), rows, ("In sample, as the front is.",)
    )
