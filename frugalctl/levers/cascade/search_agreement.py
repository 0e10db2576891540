"""Cascades that stop when two models say the same."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from frugalctl.levers.cascade.front import Front, evaluate, merge_fronts
from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.policy import CascadePolicy
from frugalctl.levers.cascade.table import OutcomeTable

ALL_EQUAL = 1.0


def search_agreement(
    table: OutcomeTable,
    judges: Judges,
    *,
    depth: int = 3,
    latency_limit_ms: float | None = None,
) -> Front | None:
    """The Pareto front of cascades whose answers stand by agreement; None if there is none.

    The first model is always followed by a second one, so cascades have three models or more.
    There are few of them, so each is followed row by row.

    Args:
        table: what every model answered; all rows complete.
        judges: with the codes of the answers.
        depth: the most models that a policy calls.
        latency_limit_ms: as in `search_front`.
    """
    policies: list[CascadePolicy] = []
    for calls in range(3, depth + 1):
        for models in permutations(sorted(table.models), calls):
            policies += [
                CascadePolicy(
                    models,
                    (ALL_EQUAL, ALL_EQUAL, *shares),
                    "agreement",
                    score_ms=judges.score_ms,
                    score_usd=judges.score_usd,
                )
                for shares in product(*map(_shares, range(2, calls - 1)))
            ]
    means: list[tuple[float, float, float]] = []
    kept: list[CascadePolicy] = []
    for policy in policies:
        found = evaluate(table, policy, judges)
        late = 0
        if latency_limit_ms is not None:
            late = int((~(found.latency_ms <= latency_limit_ms)).sum())
        if latency_limit_ms is None or 20 * late <= len(table) - 1:
            cost, quality, latency = found.cost_usd, found.quality, found.latency_ms
            kept.append(policy)
            means.append((float(cost.mean()), float(quality.mean()), float(latency.mean())))
    if not kept:
        return None
    cost_usd, quality, latency_ms = np.array(means, dtype=np.float64).T
    whole = Front(tuple(kept), cost_usd, quality, latency_ms, len(policies), len(table), 0)
    return merge_fronts([whole])


def _shares(earlier: int) -> list[float]:
    """What share of so many earlier answers an answer can equal, from one of them on."""
    return [count / earlier for count in range(1, earlier + 1)]
