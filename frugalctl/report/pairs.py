"""What changed between two ledgers of the same requests, request by request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

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
    before = {path: values[order] for path, values in old.values.items()}
    changes = {path: values[other] - before[path] for path, values in new.values.items()}
    return _estimate(old.clusters[order], before, changes, seed)


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


def _estimate(
    clusters: Integers, before: Mapping[str, Floats], changes: Mapping[str, Floats], seed: int
) -> dict[str, Estimate]:
    found: dict[str, Estimate] = {}
    for side in _SIDES:
        paths = [f"{side}.{figure}" for figure in _FIGURES]
        sums = [ClusterSums() for _ in paths]
        for path, one in zip(paths, sums, strict=True):
            one.add(clusters, changes[path])
        for path, interval in zip(paths, bootstrap_means(sums, seed), strict=True):
            known = ~np.isnan(changes[path])
            if known.any():
                found[path] = _sum_up(path, before[path][known], changes[path][known], interval)
    return found


def _sum_up(path: str, before: Floats, change: Floats, interval: Interval | None) -> Estimate:
    # money is a sum, the others are means
    unit = len(change) / PICOS if path.endswith("cost_usd") else 1.0
    return Estimate(
        amount=round(float(change.mean(dtype=np.longdouble)) * unit, _DIGITS),
        base=round(float(before.mean(dtype=np.longdouble)) * unit, _DIGITS),
        interval=None if interval is None else _round(interval[0] * unit, interval[1] * unit),
        pairs=len(change),
    )


def _round(low: float, high: float) -> Interval:
    """To as many digits as do not depend on the order of sums."""
    return float(f"{low:.{_INTERVAL_DIGITS}g}"), float(f"{high:.{_INTERVAL_DIGITS}g}")
