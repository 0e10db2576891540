"""What changed between two ledgers of the same requests, request by request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from frugalctl.log.dedupe import hash_strings
from frugalctl.replay.ledger import Floats, Integers, LedgerBatch
from frugalctl.report.bootstrap import Clusters, ClusterSums, bootstrap_means
from frugalctl.report.groups import PICOS
from frugalctl.report.model import Interval
from frugalctl.report.noise import Estimate

_SIDES = ("recipe", "baseline")
_FIGURES = ("cost_usd", "quality.mean", "latency_ms.mean")
_DIGITS = 12
_INTERVAL_DIGITS = 9


@dataclass(frozen=True, slots=True)
class _Requests:
    """A ledger's n requests.

    Attributes:
        ids: int64[n], hashes of their ids.
        clusters: int64[n], those of their sessions.
        values: metric -> float64[n], NaN where unknown; money in pico-dollars.
    """

    ids: Integers
    clusters: Integers
    values: Mapping[str, Floats]


def pair_ledgers(
    base: Iterable[LedgerBatch], head: Iterable[LedgerBatch], *, seed: int = 0
) -> dict[str, Estimate]:
    """The changes of cost, quality and latency, of the requests where both ledgers know them.

    Those of the recipe and of the baseline. Sessions are drawn as `report.bootstrap` says; 64 bytes
    a request are held of each ledger.

    Args:
        base: the old ledger.
        head: the new one.
        seed: of the bootstrap.

    Returns:
        The changes by metric; none at all unless both ledgers have the same requests, by id.
    """
    old = _gather(base)
    new = None if old is None else _gather(head)
    if old is None or new is None:
        return {}
    order, other = np.argsort(old.ids), np.argsort(new.ids)
    if not np.array_equal(old.ids[order], new.ids[other]):
        return {}
    found: dict[str, Estimate] = {}
    for side in _SIDES:  # each with draws of its own
        sides = (
            (path, values[order], new.values[path][other])
            for path, values in old.values.items()
            if path.startswith(side)
        )
        found |= estimate_pairs(old.clusters[order], sides, seed)
    return found


def _gather(batches: Iterable[LedgerBatch]) -> _Requests | None:
    """The requests of a ledger; None if one of them has no id."""
    clusters = Clusters()
    parts: list[tuple[Integers, ...]] = []
    values: list[tuple[Floats, ...]] = []
    for batch in batches:
        ids = batch.columns["id"]
        if ids.null_count:
            return None
        parts.append((hash_strings(ids.to_pylist()), clusters.assign(batch.columns["session"])))
        values.append(_take_values(batch))
    if not parts:
        return None
    known = [np.concatenate(column) for column in zip(*values, strict=True)]
    names = [f"{side}.{figure}" for side in _SIDES for figure in _FIGURES]
    return _Requests(
        *(np.concatenate(column) for column in zip(*parts, strict=True)),
        values=dict(zip(names, known, strict=True)),
    )


def _take_values(batch: LedgerBatch) -> tuple[Floats, ...]:
    covered = batch.covered
    priced = covered & batch.unpriced.is_null().to_numpy(zero_copy_only=False)
    return tuple(
        values
        for side in (batch.recipe, batch.baseline)
        for values in (
            np.where(priced, np.rint(side.cost_usd * PICOS), np.nan),
            np.where(covered, side.quality, np.nan),
            np.where(covered, side.latency_ms, np.nan),
        )
    )


def estimate_pairs(
    clusters: Integers, sides: Iterable[tuple[str, Floats, Floats]], seed: int
) -> dict[str, Estimate]:
    """The changes of metrics of n requests.

    Args:
        clusters: int64[n], as `report.bootstrap.Clusters` assigns them.
        sides: each metric with its values before and after, float64[n], NaN where unknown. Money
            is in pico-dollars, and is summed; of all others the mean is taken.
        seed: of the bootstrap.

    Returns:
        The changes by metric; none of a metric that no request has on both sides.
    """
    sums: list[ClusterSums] = []
    found: dict[str, Estimate] = {}
    for path, before, after in sides:
        change = after - before
        known = ~np.isnan(change)
        pairs = int(np.count_nonzero(known))
        if not pairs:
            continue
        unit = _find_unit(path, pairs)
        amount, base = (
            round(float(values[known].mean(dtype=np.longdouble)) * unit, _DIGITS)
            for values in (change, before)
        )
        found[path] = Estimate(amount, base, None, pairs)
        sums.append(ClusterSums())
        sums[-1].add(clusters, change)
    intervals = bootstrap_means(sums, seed) if sums else []
    return {
        path: replace(one, interval=interval and _round(interval, _find_unit(path, one.pairs or 0)))
        for (path, one), interval in zip(found.items(), intervals, strict=True)
    }


def _find_unit(path: str, pairs: int) -> float:
    """What the mean over so many pairs is multiplied by."""
    return pairs / PICOS if path.endswith("cost_usd") else 1.0


def _round(interval: Interval, unit: float) -> Interval:
    """To as many digits as do not depend on the order of sums."""
    low, high = (float(f"{end * unit:.{_INTERVAL_DIGITS}g}") for end in interval)
    return low, high
