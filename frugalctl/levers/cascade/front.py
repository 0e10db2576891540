"""The Pareto front of cascades in cost, quality and latency, and the choices on it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import UsageError
from frugalctl.levers.cascade.policy import CascadePolicy, decide
from frugalctl.levers.cascade.table import Floats, Integers, Mask, OutcomeTable

SLACK = 1e-12
"""What two ways to add the same numbers may differ by, relative: no constraint fails on it."""


@dataclass(frozen=True, slots=True)
class Front:
    """p policies of which no other is at least as good in everything and better in something.

    They are sorted by cost, then falling quality, then latency. All figures are means over rows.

    Attributes:
        models: names, that `orders` counts in.
        orders: int64[p, depth], the models that a policy calls; -1 after its last.
        thresholds: float64[p, depth - 1], NaN where a policy has none.
        cost_usd: float64[p].
        quality: float64[p].
        latency_ms: float64[p], NaN where the latency of a call is unknown; only if no policy's
            is, it counts in the choice of the front.
        score: what the thresholds are compared with.
        searched: how many policies were looked at.
        rows: requests that they were looked at on.
        skipped: requests left out, because an outcome, its quality or its cost is unknown.
    """

    models: tuple[str, ...]
    orders: Integers
    thresholds: Floats
    cost_usd: Floats
    quality: Floats
    latency_ms: Floats
    score: str
    searched: int
    rows: int
    skipped: int

    def __len__(self) -> int:
        return len(self.cost_usd)

    def policy(self, at: int) -> CascadePolicy:
        """The policy at an index."""
        order: list[int] = self.orders[at].tolist()
        models = tuple(self.models[model] for model in order if model >= 0)
        thresholds: list[float] = self.thresholds[at, : len(models) - 1].tolist()
        return CascadePolicy(models, tuple(thresholds), self.score)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a policy does with each of n requests.

    Attributes:
        cost_usd: float64[n], of all calls; NaN where not covered or unknown.
        quality: float64[n], of the answer that stands; NaN where not covered or unknown.
        latency_ms: float64[n], of all calls, one after the other; NaN likewise.
        calls: int64[n], how many models were called.
        covered: bool[n], false where an outcome that was needed is not in the log.
    """

    cost_usd: Floats
    quality: Floats
    latency_ms: Floats
    calls: Integers
    covered: Mask


def evaluate(
    table: OutcomeTable,
    policy: CascadePolicy,
    scores: Floats | None = None,
    *,
    score_ms: float = 0.0,
) -> Evaluation:
    """Follow a policy request by request; the one definition of what it costs.

    Args:
        table: what every model answered.
        policy: its models are looked up in the table's.
        scores: float64[n, m], what the thresholds are compared with; the confidence if None.
        score_ms: the time to score one answer, charged for each call but the last possible one.

    Raises:
        UsageError: the table does not have a model of the policy.
    """
    unknown = [name for name in policy.models if name not in table.models]
    if unknown:
        raise UsageError(
            f"no outcome of model {unknown[0]!r}", hint=f"known: {', '.join(table.models)}"
        )
    compared = table.confidence if scores is None else scores
    at = [table.models.index(name) for name in policy.models]
    followed = decide(
        policy, [table.present[:, model] for model in at], [compared[:, model] for model in at]
    )
    cost_usd, latency_ms = np.zeros(len(table)), np.zeros(len(table))
    quality = np.full(len(table), np.nan)
    for step, model in enumerate(at):
        called = followed.called[step]
        scored_ms = score_ms if step < len(policy.thresholds) else 0.0
        cost_usd += np.where(called, table.cost_usd[:, model], 0.0)
        latency_ms += np.where(called, table.latency_ms[:, model] + scored_ms, 0.0)
        quality = np.where(followed.answer == step, table.quality[:, model], quality)
    for column in (cost_usd, latency_ms, quality):
        column[~followed.covered] = np.nan
    return Evaluation(cost_usd, quality, latency_ms, followed.calls, followed.covered)


def latency_p95_ms(
    front: Front,
    at: int,
    table: OutcomeTable,
    scores: Floats | None = None,
    *,
    score_ms: float = 0.0,
) -> float:
    """The 95th percentile (as `numpy.percentile`) of a member's latency over complete rows.

    NaN if the latency of a call that it makes is unknown.
    """
    complete = table.complete
    found = evaluate(table, front.policy(at), scores, score_ms=score_ms)
    return float(np.percentile(found.latency_ms[complete], 95))


def choose_by_budget(front: Front, usd: float) -> int:
    """The member of highest quality whose mean cost is at most `usd` a request.

    Raises:
        UsageError: every policy costs more.
    """
    allowed = front.cost_usd <= usd * (1 + SLACK)
    if not allowed.any():
        raise UsageError(
            f"no policy costs at most {usd:g} USD a request",
            hint=f"the cheapest costs {front.cost_usd.min():g} USD",
        )
    return _best(front, allowed)


def choose_cheapest_within(front: Front, least_quality: float) -> int:
    """The cheapest member whose mean quality is at least `least_quality`.

    Raises:
        UsageError: every policy's quality is lower.
    """
    enough = front.quality >= least_quality - SLACK
    if not enough.any():
        raise UsageError(
            f"no policy reaches a quality of {least_quality:g}",
            hint=f"the best reaches {front.quality.max():g}",
        )
    return int(np.argmax(enough))


def choose_by_willingness(front: Front, usd_per_quality: float) -> int:
    """The member with the most quality - cost / `usd_per_quality`; the cheaper one of equals.

    Raises:
        UsageError: `usd_per_quality` is not above 0.
    """
    if not usd_per_quality > 0:
        raise UsageError("the willingness to pay has to be above 0 USD for a unit of quality")
    return int(np.argmax(front.quality - front.cost_usd / usd_per_quality))


def choose_by_latency_p95(
    front: Front,
    limit_ms: float,
    table: OutcomeTable,
    scores: Floats | None = None,
    *,
    score_ms: float = 0.0,
) -> int:
    """The member of highest quality whose 95th percentile of latency is at most `limit_ms`.

    The best of all policies under that limit is found on a front that was searched with it
    (`search_front(..., latency_limit_ms=limit_ms)`): means alone may leave it out.

    Raises:
        UsageError: no member is within the limit, or the log lacks latencies.
    """
    for at in np.lexsort((front.cost_usd, -front.quality)).tolist():
        found_ms = latency_p95_ms(front, at, table, scores, score_ms=score_ms)
        if found_ms <= limit_ms * (1 + SLACK):
            return at
    raise no_policy_in_time(limit_ms)


def no_policy_in_time(limit_ms: float) -> UsageError:
    """The error when no policy answers quickly enough."""
    return UsageError(
        f"no policy answers 95 % of the requests within {limit_ms:g} ms",
        hint="allow more time; an unknown latency_ms counts as too long",
    )


def _best(front: Front, allowed: Mask) -> int:
    return int(np.argmax(np.where(allowed, front.quality, -math.inf)))


def hull(cost: Floats, quality: Floats) -> Integers:
    """The corners of the concave hull that random mixing of policies reaches.

    It starts at the cheapest point, ends at the cheapest of the best, and rises between; of
    equal points it takes the first.

    Args:
        cost: float64[p].
        quality: float64[p].

    Returns:
        int64[corners], indices in the order of rising cost.
    """
    corners: list[int] = []
    for point in np.lexsort((-quality, cost)).tolist():
        if corners and quality[point] <= quality[corners[-1]]:
            continue
        while len(corners) > 1 and not _turns_down(cost, quality, corners[-2:], point):
            corners.pop()
        corners.append(point)
    return np.array(corners, dtype=np.int64)


def _turns_down(cost: Floats, quality: Floats, last: list[int], point: int) -> bool:
    """Whether the slope after the last corner is below the slope before it."""
    first, second = last
    before = (quality[second] - quality[first]) * (cost[point] - cost[second])
    after = (quality[point] - quality[second]) * (cost[second] - cost[first])
    return bool(after < before)


@dataclass(frozen=True, slots=True)
class Mix:
    """A policy drawn at random for each request.

    Attributes:
        low: index of the cheaper policy.
        high: index of the dearer policy.
        share: of the requests that go to `high`.
    """

    low: int
    high: int
    share: float


def mix_by_budget(cost: Floats, quality: Floats, usd: float) -> Mix:
    """The random mix of two policies that has the most quality for a mean cost of `usd`.

    Args:
        cost: float64[p], USD a request.
        quality: float64[p].
        usd: the mean cost that is allowed.

    Raises:
        UsageError: every policy costs more.
    """
    corners = hull(cost, quality)
    heights: NDArray[np.float64] = cost[corners]
    after = int(np.searchsorted(heights, usd * (1 + SLACK), side="right"))
    if after == 0:
        raise UsageError(
            f"no policy costs at most {usd:g} USD a request",
            hint=f"the cheapest costs {heights[0]:g} USD",
        )
    low = int(corners[after - 1])
    if after == len(corners):
        return Mix(low, low, 0.0)
    share = (usd - heights[after - 1]) / (heights[after] - heights[after - 1])
    return Mix(low, int(corners[after]), max(float(share), 0.0))
