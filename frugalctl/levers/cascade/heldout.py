"""What a policy does on rows that had no part in choosing it, paired with one model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.levers.cascade.front import Evaluation
from frugalctl.levers.cascade.table import Floats, Integers

REPLICATES = 2_000
MAX_CLUSTERS = 4_096

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A policy against a reference model, over the rows of which both are known.

    Attributes:
        rows: how many there are.
        clusters: how many sessions they are of.
        cost_usd: of the policy, over all rows.
        quality: mean of the policy.
        latency_ms: mean of the policy, NaN where a call's latency is unknown.
        latency_p95_ms: 95th percentile, likewise.
        reference_cost_usd: of the reference model.
        reference_quality: likewise.
        reference_latency_ms: likewise.
        reference_latency_p95_ms: likewise.
        delta_quality: mean quality less the reference's.
        delta_quality_ci95: its interval.
        saving: share of the reference's cost that is saved.
        saving_ci95: its interval.
        same: share of the rows whose answer is as good as the reference's.
    """

    rows: int
    clusters: int
    cost_usd: float
    quality: float
    latency_ms: float
    latency_p95_ms: float
    reference_cost_usd: float
    reference_quality: float
    reference_latency_ms: float
    reference_latency_p95_ms: float
    delta_quality: float
    delta_quality_ci95: Interval
    saving: float
    saving_ci95: Interval
    same: float


def compare(
    policy: Evaluation, reference: Evaluation, clusters: Integers, *, seed: int = 0
) -> HeldOut | None:
    """Compare row by row; None if there is no row of which both are known.

    The intervals are percentiles of the paired cluster bootstrap: whole sessions are drawn with
    replacement (Davison and Hinkley, "Bootstrap Methods and their Application", 1997, 3.8).

    Args:
        policy: of n rows.
        reference: of the same rows.
        clusters: int64[n], equal within a session.
        seed: of the bootstrap.
    """
    columns = np.stack([policy.cost_usd, policy.quality, reference.cost_usd, reference.quality])
    known = np.flatnonzero(~np.isnan(columns).any(axis=0))
    if not len(known):
        return None
    usd, quality, base_usd, base = columns[:, known]
    groups = np.unique(clusters[known], return_inverse=True)[1]
    sums = sum_clusters([quality - base, usd, base_usd, np.ones(len(known))], groups)
    delta_ci, saving_ci = bootstrap(sums, [_mean_difference, _saving], seed)
    latency_ms, base_ms = policy.latency_ms[known], reference.latency_ms[known]
    return HeldOut(
        rows=len(known),
        clusters=int(groups.max()) + 1,
        cost_usd=float(usd.sum()),
        quality=float(quality.mean()),
        latency_ms=float(latency_ms.mean()),
        latency_p95_ms=float(np.percentile(latency_ms, 95)),
        reference_cost_usd=float(base_usd.sum()),
        reference_quality=float(base.mean()),
        reference_latency_ms=float(base_ms.mean()),
        reference_latency_p95_ms=float(np.percentile(base_ms, 95)),
        delta_quality=float((quality - base).mean()),
        delta_quality_ci95=delta_ci,
        saving=float(_saving(sums.sum(axis=1)[:, None])[0]),
        saving_ci95=saving_ci,
        same=float((quality == base).mean()),
    )


def _mean_difference(sums: Floats) -> Floats:
    return sums[0] / sums[3]


def _saving(sums: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - sums[1] / sums[2]


def sum_clusters(columns: Sequence[Floats], groups: Integers) -> Floats:
    """float64[columns, clusters]: the sum of each column over each cluster.

    Beyond `MAX_CLUSTERS`, clusters are added up into random groups of them, which leaves the
    interval's coverage intact (Wolter, "Introduction to Variance Estimation", 2007, chapter 2).

    Args:
        columns: arrays float64[n].
        groups: int64[n] from 0 up.
    """
    count = int(groups.max()) + 1
    if count > MAX_CLUSTERS:
        groups = np.random.default_rng(0).permutation(count)[groups] % MAX_CLUSTERS
        count = MAX_CLUSTERS
    sums = [np.bincount(groups, weights=one, minlength=count) for one in columns]
    return np.array(sums, dtype=np.float64)


def bootstrap(
    sums: Floats, statistics: Sequence[Callable[[Floats], Floats]], seed: int
) -> list[Interval]:
    """The 95 % interval of each statistic of resampled clusters.

    Args:
        sums: float64[columns, clusters].
        statistics: each from float64[columns, replicates] to float64[replicates].
        seed: of the draws.
    """
    count = sums.shape[1]
    draw = np.random.default_rng(seed)
    found = np.empty((len(sums), REPLICATES))
    step = max(1, (1 << 22) // count)
    for start in range(0, REPLICATES, step):
        end = min(start + step, REPLICATES)
        times = draw.multinomial(count, np.full(count, 1 / count), size=end - start)
        found[:, start:end] = sums @ times.T
    intervals: list[Interval] = []
    for statistic in statistics:
        low, high = np.percentile(statistic(found), (2.5, 97.5))
        intervals.append((float(low), float(high)))
    return intervals
