"""What any policy has to beat: single models, random mixes of them, and what nobody can beat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from frugalctl.levers.cascade.front import hull
from frugalctl.levers.cascade.table import OutcomeTable

_ROUTED_ROWS = 20_000
_ROUTED_SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Baseline:
    """One point, with means over the complete rows.

    Attributes:
        name: "single", "random mix", "zero router", "oracle" or a router's.
        models: that it uses.
        cost_usd: mean of a request.
        quality: mean.
        latency_ms: mean, NaN where unknown.
        share: of the requests that the last of the models answers, in a mix; NaN elsewhere.
    """

    name: str
    models: tuple[str, ...]
    cost_usd: float
    quality: float
    latency_ms: float
    share: float = float("nan")


def single_models(table: OutcomeTable) -> list[Baseline]:
    """Every model alone, in the order of the table; all rows complete."""
    return [
        Baseline(
            "single",
            (name,),
            float(table.cost_usd[:, at].mean()),
            float(table.quality[:, at].mean()),
            float(table.latency_ms[:, at].mean()),
        )
        for at, name in enumerate(table.models)
    ]


def best_single(table: OutcomeTable) -> str:
    """The model of highest mean quality; of equals the cheapest, then the first by name."""
    ranked = min(single_models(table), key=lambda one: (-one.quality, one.cost_usd, one.models))
    return ranked.models[0]


def oracle(table: OutcomeTable) -> Baseline:
    """For each request the cheapest of the answers of highest quality: no policy can beat it.

    For answers that are right or wrong this is the cheapest right one, else the cheapest.
    """
    best = table.quality == table.quality.max(axis=1, keepdims=True)
    chosen = np.argmin(np.where(best, table.cost_usd, np.inf), axis=1)
    rows = np.arange(len(table))
    return Baseline(
        "oracle",
        table.models,
        float(table.cost_usd[rows, chosen].mean()),
        float(table.quality[rows, chosen].mean()),
        float(table.latency_ms[rows, chosen].mean()),
    )


def zero_router(table: OutcomeTable) -> list[Baseline]:
    """The corners of the hull of single models, between which one mixes at random.

    Source: Hu et al., "RouterBench" (2024), which calls it the Zero router.
    """
    singles = single_models(table)
    cost = np.array([one.cost_usd for one in singles])
    quality = np.array([one.quality for one in singles])
    corners: list[int] = hull(cost, quality).tolist()
    return [replace(singles[at], name="zero router") for at in corners]


def mix_at_quality(corners: list[Baseline], quality: float) -> Baseline | None:
    """The random mix of neighbouring corners that has a quality; None above the last."""
    if quality > corners[-1].quality:
        return None
    for low, high in zip(corners, corners[1:], strict=False):
        if low.quality <= quality <= high.quality:
            share = (quality - low.quality) / (high.quality - low.quality)
            return mix(low, high, share)
    return corners[0]


def random_mix(table: OutcomeTable, share: float = 0.5) -> Baseline:
    """Half of the requests to the cheapest model, half to the best one, drawn at random."""
    singles = single_models(table)
    best = best_single(table)
    low = min(singles, key=lambda one: (one.cost_usd, -one.quality, one.models))
    high = next(one for one in singles if one.models == (best,))
    return mix(low, high, share)


def mix(low: Baseline, high: Baseline, share: float) -> Baseline:
    """What drawing between two of them at random gives on average.

    Args:
        low: the one.
        high: the other.
        share: of the requests that go to `high`.
    """

    def between(name: str) -> float:
        return (1 - share) * getattr(low, name) + share * getattr(high, name)

    return Baseline(
        "random mix",
        (*low.models, *high.models),
        between("cost_usd"),
        between("quality"),
        between("latency_ms"),
        share,
    )


def route_by_neighbours(table: OutcomeTable, seed: int) -> Iterator[Baseline]:
    """The kNN router at parts of the best single model's cost, where the questions were read.

    Source: Hu et al., "RouterBench" (2024).
    """
    if not any(table.questions) or len(table) > _ROUTED_ROWS:
        return
    from frugalctl.levers.cascade.router import fit_router, trace_router

    curve = trace_router(fit_router(table, "knn", seed=seed).predicted, table)
    most = table.cost_usd[:, table.models.index(best_single(table))].mean()
    for share in _ROUTED_SHARES:
        allowed = curve.cost_usd <= most * share
        if allowed.any():
            at = int(np.argmax(np.where(allowed, curve.quality, -np.inf)))
            figures = (curve.cost_usd[at], curve.quality[at], curve.latency_ms[at])
            yield Baseline("knn router", table.models, *map(float, figures))
