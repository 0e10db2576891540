"""What `optimize` found, as plain data: the report, its JSON, its CSV and the recipe."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

import frugalctl
from frugalctl.levers.cascade.baselines import (
    Baseline,
    best_single,
    mix_at_quality,
    oracle,
    random_mix,
    single_models,
    zero_router,
)
from frugalctl.levers.cascade.front import Front, evaluate, hull
from frugalctl.levers.cascade.heldout import HeldOut
from frugalctl.levers.cascade.metrics import (
    average_quality,
    average_recovered_gap,
    benefit_lift,
    call_share_for,
    saving_at_parity,
)
from frugalctl.levers.cascade.policy import CascadePolicy
from frugalctl.levers.cascade.settings import dump_cascade_table
from frugalctl.levers.cascade.table import Floats, Integers
from frugalctl.replay.optimize import Optimized
from frugalctl.report.tables import render_csv
from frugalctl.report.toml import write_toml_value

SCHEMA_VERSION = "1.0"
_MOST_CURVE_POINTS = 200


@dataclass(frozen=True, slots=True)
class OptimizeReport:
    """Everything that the renderers print.

    Attributes:
        optimized: the result.
        baselines: what any policy has to beat, over the same rows.
        metrics: the literature's measures of the front, on the rows that it was searched on.
        hull: int64, the policies of the front that random mixing cannot beat.
        origin: prices, price book, input hash, seed and the options that matter.
    """

    optimized: Optimized
    baselines: tuple[Baseline, ...]
    metrics: dict[str, float]
    hull: Integers
    origin: dict[str, Any]

    @property
    def front(self) -> Front:
        """The whole front."""
        return self.optimized.front

    @property
    def rows(self) -> int:
        """Rows that the policy was chosen on."""
        return len(self.optimized.table)


def build_report(
    optimized: Optimized,
    routers: Sequence[Baseline],
    origin: dict[str, Any],
) -> OptimizeReport:
    """Put the baselines and measures beside a result.

    Args:
        optimized: the result.
        routers: points of routers, for the baselines.
        origin: see `OptimizeReport`.
    """
    table, front = optimized.table, optimized.front
    corners = zero_router(table)
    parity = mix_at_quality(corners, optimized.train.quality.mean())
    baselines = [*single_models(table), random_mix(table), *corners]
    if parity is not None:
        baselines.append(_named(parity, "mix of equal quality"))
    baselines += [*routers, oracle(table)]
    return OptimizeReport(
        optimized=optimized,
        baselines=tuple(baselines),
        metrics=_measure(optimized, corners),
        hull=hull(front.cost_usd, front.quality),
        origin=origin,
    )


def _named(baseline: Baseline, name: str) -> Baseline:
    return Baseline(
        name,
        baseline.models,
        baseline.cost_usd,
        baseline.quality,
        baseline.latency_ms,
        baseline.share,
    )


def _measure(optimized: Optimized, corners: Sequence[Baseline]) -> dict[str, float]:
    table, front = optimized.table, optimized.front
    singles = {one.models[0]: one for one in single_models(table)}
    strong = singles[best_single(table)]
    weak = min(singles.values(), key=lambda one: (one.cost_usd, -one.quality, one.models))
    low, high = weak.cost_usd, max(one.cost_usd for one in singles.values())
    share, quality = _strong_calls(optimized, strong.models[0])
    ends = (weak.quality, strong.quality)
    trained = optimized.train
    return {
        "aiq": average_quality(front.cost_usd, front.quality, low, high),
        "aiq_zero_router": average_quality(
            np.array([one.cost_usd for one in corners]),
            np.array([one.quality for one in corners]),
            low,
            high,
        ),
        "apgr": average_recovered_gap(share, quality, *ends),
        "cpt_50": call_share_for(share, quality, *ends, 0.5),
        "cpt_80": call_share_for(share, quality, *ends, 0.8),
        "ibc_lift": benefit_lift(
            float(trained.cost_usd.mean()),
            float(trained.quality.mean()),
            (weak.cost_usd, weak.quality),
            (strong.cost_usd, strong.quality),
        ),
        "saving_at_parity": saving_at_parity(
            front.cost_usd, front.quality, strong.cost_usd, strong.quality
        ),
    }


def _strong_calls(optimized: Optimized, strong: str) -> tuple[Floats, Floats]:
    """For policies of the hull, the share of requests that call the strong model; quality."""
    front = optimized.front
    corners = hull(front.cost_usd, front.quality)
    at = corners[np.unique(np.linspace(0, len(corners) - 1, _MOST_CURVE_POINTS).astype(int))]
    shares: list[float] = []
    for policy in front.take(at).policies:
        called = 0.0
        if strong in policy.models:
            called = _share_called(optimized, policy, strong)
        shares.append(called)
    return np.array(shares), front.quality[at]


def _share_called(optimized: Optimized, policy: CascadePolicy, model: str) -> float:
    """How often a policy calls a model: what its calls cost, if that model costs 1, others 0."""
    table = optimized.table
    ones = np.zeros_like(table.cost_usd)
    ones[:, table.models.index(model)] = 1.0
    free = replace(policy, score_usd=0.0)
    counted = evaluate(replace(table, cost_usd=ones), free, optimized.learned.judges)
    return float(counted.cost_usd.mean())


def encode_optimize(report: OptimizeReport) -> dict[str, Any]:
    """The report as plain data: money in USD over all rows, means elsewhere, unknown is None."""
    found, rows = report.optimized, report.rows
    train, certificate = found.train, found.choice.chosen.certificate
    mean_ms, p95_ms = train.known_latency()
    body = {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": frugalctl.__version__,
        "origin": report.origin,
        "policy": _encode_policy(found.choice.policy),
        "tasks": {task: _encode_policy(one.policy) for task, one in found.choice.tasks},
        "reference": found.choice.reference,
        "train": {
            "rows": rows,
            "cost_usd": float(train.cost_usd.sum()),
            "cost_usd_per_1k": float(train.cost_usd.mean()) * 1000,
            "quality": float(train.quality.mean()),
            "latency_ms": mean_ms,
            "latency_p95_ms": p95_ms,
        },
        "heldout": None if found.heldout is None else encode_heldout(found.heldout),
        "certificate": None
        if certificate is None
        else {
            "max_loss": certificate.max_loss,
            "confidence": certificate.confidence,
            "granted": certificate.granted,
            "reason": certificate.reason,
            "reference": certificate.reference,
            "observed_loss": certificate.observed_loss,
            "p_value": certificate.p_value,
            "rows_search": certificate.rows_search,
            "rows_test": certificate.rows_test,
            "policies_tested": certificate.tested,
            "rows_needed": certificate.rows_needed,
        },
        "baselines": [_encode_baseline(one, rows) for one in report.baselines],
        "metrics": report.metrics,
        "front": _encode_front(report),
        "search": {
            "policies": report.front.searched,
            "seconds": round(found.seconds, 3),
            "rows": report.front.rows,
        },
        "scorer": [
            {
                "model": one.model,
                "rows": one.rows,
                "auroc_confidence": one.auroc_confidence,
                "auroc_learned": one.auroc_learned,
                "used": one.kind,
            }
            for one in found.learned.validation
        ],
        "notes": list(found.notes),
    }
    return cast("dict[str, Any]", _clean(body))


def encode_heldout(found: HeldOut) -> dict[str, Any]:
    """The comparison on rows held out; `cost_usd` is the sum over them."""
    return {
        "rows": found.rows,
        "sessions": found.clusters,
        "cost_usd": found.cost_usd,
        "cost_usd_per_1k": found.cost_usd / found.rows * 1000,
        "quality": found.quality,
        "latency_ms": found.latency_ms,
        "latency_p95_ms": found.latency_p95_ms,
        "same": found.same,
        "delta_quality": found.delta_quality,
        "delta_quality_ci95": list(found.delta_quality_ci95),
        "saving": found.saving,
        "saving_ci95": list(found.saving_ci95),
        "reference": {
            "cost_usd": found.reference_cost_usd,
            "quality": found.reference_quality,
            "latency_ms": found.reference_latency_ms,
            "latency_p95_ms": found.reference_latency_p95_ms,
        },
    }


def _encode_policy(policy: CascadePolicy) -> dict[str, Any]:
    return {
        "models": list(policy.models),
        "thresholds": list(policy.thresholds),
        "score": policy.score,
        "steps": list(policy.kinds),
        "router": policy.router,
        "score_ms": policy.score_ms,
        "score_usd": policy.score_usd,
        "route_ms": policy.route_ms,
    }


def _encode_baseline(one: Baseline, rows: int) -> dict[str, Any]:
    return {
        "name": one.name,
        "models": list(one.models),
        "cost_usd": one.cost_usd * rows,
        "cost_usd_per_1k": one.cost_usd * 1000,
        "quality": one.quality,
        "latency_ms": one.latency_ms,
        "share": one.share,
    }


def _encode_front(report: OptimizeReport) -> list[dict[str, Any]]:
    front, corners = report.front, set(report.hull.tolist())
    return [
        {
            **_encode_policy(policy),
            "cost_usd": float(front.cost_usd[at]) * front.rows,
            "cost_usd_per_1k": float(front.cost_usd[at]) * 1000,
            "quality": float(front.quality[at]),
            "latency_ms": float(front.latency_ms[at]),
            "on_hull": at in corners,
        }
        for at, policy in enumerate(front.policies)
    ]


_EXACT = ("thresholds", "score_ms", "score_usd", "route_ms", "max_loss", "confidence")


def _clean(value: Any, name: str = "") -> Any:
    """The same data with None for what is unknown, and without the last bits of sums."""
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {key: _clean(item, key) for key, item in items}
    if isinstance(value, list):
        return [_clean(item, name) for item in cast("list[Any]", value)]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if name in _EXACT else round(value, 12 if "usd" in name else 9)


def render_front_csv(report: OptimizeReport) -> str:
    """The front and the baselines, one line each."""
    front, corners = report.front, set(report.hull.tolist())
    columns = (
        "kind",
        "models",
        "steps",
        "thresholds",
        "score",
        "router",
        "cost_usd_per_1k",
        "quality",
        "latency_ms",
        "on_hull",
    )
    lines: list[list[object]] = [
        [
            "front",
            " > ".join(policy.models),
            " ".join(policy.kinds),
            " ".join(map(repr, policy.thresholds)),
            policy.score,
            policy.router,
            float(front.cost_usd[at]) * 1000,
            float(front.quality[at]),
            _known(float(front.latency_ms[at])),
            at in corners,
        ]
        for at, policy in enumerate(front.policies)
    ]
    for one in report.baselines:
        figures = (one.cost_usd * 1000, one.quality, _known(one.latency_ms))
        lines.append([one.name, " > ".join(one.models), *[None] * 4, *figures, None])
    return render_csv(columns, lines)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def write_cascade_recipe(report: OptimizeReport) -> str:
    """The recipe of the chosen policy, with what it rests on."""
    found, origin = report.optimized, report.origin
    said = [
        f"Chosen by `frugalctl optimize` {frugalctl.__version__} on {report.rows:,} requests; "
        f"input xxh3 {origin['input_xxh3']}; seed {origin['seed']}.",
        f"On these rows: quality {found.train.quality.mean():.4f}, "
        f"{found.train.cost_usd.mean() * 1000:.6g} USD for 1,000 requests.",
    ]
    heldout, certificate = found.heldout, found.choice.chosen.certificate
    if heldout is not None:
        low, high = heldout.delta_quality_ci95
        said.append(
            f"Held out ({heldout.rows:,} rows): quality {heldout.delta_quality:+.4f} "
            f"[{low:+.4f}, {high:+.4f}] against {found.choice.reference}, "
            f"saving {heldout.saving:.1%}."
        )
    if certificate is not None:
        granted = "Certified" if certificate.granted else "Not certified"
        said.append(f"{granted}: {certificate.reason}.")
    lines = [f"# {_one_line(line)}" for line in said]
    tables = {"cascade": found.choice.policy}
    tables |= {
        f"cascade.tasks.{write_toml_value(task)}": one.policy for task, one in found.choice.tasks
    }
    for name, policy in tables.items():
        table = dump_cascade_table(policy)
        lines += ["", f"[{name}]"]
        lines += [f"{key} = {write_toml_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _one_line(text: str) -> str:
    """Names come from the log: nothing of them may end the comment."""
    return "".join(char if char.isprintable() else " " for char in text)
