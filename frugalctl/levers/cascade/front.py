"""The Pareto front of cascades in cost, quality and latency, and the choices on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import UsageError
from frugalctl.levers.cascade.judges import Judges, judge_by_log, score_steps
from frugalctl.levers.cascade.policy import CascadePolicy, decide
from frugalctl.levers.cascade.search_pareto import pareto
from frugalctl.levers.cascade.table import Floats, Integers, Mask, OutcomeTable

SLACK = 1e-12
"""What two ways to add the same numbers may differ by, relative: no constraint fails on it."""


@dataclass(frozen=True, slots=True)
class Front:
    """p policies of which no other is at least as good in everything and better in something.

    They are sorted by cost, then falling quality, then latency. All figures are means over rows.

    Attributes:
        policies: p policies.
        cost_usd: float64[p].
        quality: float64[p].
        latency_ms: float64[p], NaN where the latency of a call is unknown; only if no policy's
            is, it counts in the choice of the front.
        searched: how many policies were looked at.
        rows: requests that they were looked at on.
        skipped: requests left out, because an outcome, its quality or its cost is unknown.
    """

    policies: tuple[CascadePolicy, ...]
    cost_usd: Floats
    quality: Floats
    latency_ms: Floats
    searched: int
    rows: int
    skipped: int

    def __len__(self) -> int:
        return len(self.policies)

    def take(self, rows: Integers) -> Front:
        """Some of the policies, in the order of `rows`."""
        at: list[int] = rows.tolist()
        return replace(
            self,
            policies=tuple(self.policies[one] for one in at),
            cost_usd=self.cost_usd[rows],
            quality=self.quality[rows],
            latency_ms=self.latency_ms[rows],
        )


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

    def known_latency(self) -> tuple[float, float]:
        """Mean and 95th percentile of the latencies that are known; NaN without any."""
        known = self.latency_ms[~np.isnan(self.latency_ms)]
        if not len(known):
            return math.nan, math.nan
        return float(known.mean()), float(np.percentile(known, 95))

    def overlay(self, rows: Mask, other: Evaluation) -> Evaluation:
        """This one, but for the rows where another holds."""
        return Evaluation(
            np.where(rows, other.cost_usd, self.cost_usd),
            np.where(rows, other.quality, self.quality),
            np.where(rows, other.latency_ms, self.latency_ms),
            np.where(rows, other.calls, self.calls),
            np.where(rows, other.covered, self.covered),
        )


def evaluate(
    table: OutcomeTable, policy: CascadePolicy, judges: Judges | None = None
) -> Evaluation:
    """Follow a policy request by request; the one definition of what it costs.

    Args:
        table: what every model answered.
        policy: its models are looked up in the table's.
        judges: what the thresholds are compared with; the logged confidence if None.

    Raises:
        UsageError: the table does not have a model of the policy, or the judges lack what the
            policy needs.
    """
    unknown = [name for name in policy.models if name not in table.models]
    if unknown:
        raise UsageError(
            f"no outcome of model {unknown[0]!r}", hint=f"known: {', '.join(table.models)}"
        )
    at = [table.models.index(name) for name in policy.models]
    scores = score_steps(table, policy, judges or judge_by_log(table))
    followed = decide(policy, [table.present[:, model] for model in at], scores)
    scored = (*policy.asked, False)
    cost_usd = np.zeros(len(table))
    latency_ms = np.full(len(table), policy.route_ms)
    quality = np.full(len(table), np.nan)
    for step, model in enumerate(at):
        called = followed.called[step]
        extra_usd, extra_ms = (policy.score_usd, policy.score_ms) if scored[step] else (0.0, 0.0)
        cost_usd += np.where(called, table.cost_usd[:, model] + extra_usd, 0.0)
        latency_ms += np.where(called, table.latency_ms[:, model] + extra_ms, 0.0)
        quality = np.where(followed.answer == step, table.quality[:, model], quality)
    for column in (cost_usd, latency_ms, quality):
        column[~followed.covered] = np.nan
    return Evaluation(cost_usd, quality, latency_ms, followed.calls, followed.covered)


def latency_p95_ms(
    table: OutcomeTable, policy: CascadePolicy, judges: Judges | None = None
) -> float:
    """The 95th percentile (as `numpy.percentile`) of a policy's latency over complete rows.

    NaN if the latency of a call that it makes is unknown.
    """
    found = evaluate(table, policy, judges)
    return float(np.percentile(found.latency_ms[table.complete], 95))


def merge_fronts(fronts: Sequence[Front]) -> Front:
    """The policies of several sets over the same rows that none of the others beats.

    Of policies with equal figures the earlier one stays.
    """
    cost_usd, quality, latency_ms = (
        np.concatenate([getattr(front, name) for front in fronts])
        for name in ("cost_usd", "quality", "latency_ms")
    )
    whole = Front(
        policies=tuple(policy for front in fronts for policy in front.policies),
        cost_usd=cost_usd,
        quality=quality,
        latency_ms=latency_ms,
        searched=sum(front.searched for front in fronts),
        rows=fronts[0].rows,
        skipped=fronts[0].skipped,
    )
    timed = not np.isnan(latency_ms).any()
    small = (cost_usd, -quality, latency_ms if timed else np.zeros(len(whole)))
    ranks = [np.unique(column, return_inverse=True)[1] for column in small]
    return whole.take(pareto(np.stack([*ranks, np.arange(len(whole))], axis=1)))


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
