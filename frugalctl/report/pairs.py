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

_COST = "recipe.cost_usd"
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
    """The changes of cost, quality and latency, of the requests where both sides know them.

    Sessions are drawn as `report.bootstrap` says; 32 bytes a request are held of each ledger.

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
    names = (_COST, "recipe.quality.mean", "recipe.latency_ms.mean")
    return _Requests(
        *(np.concatenate(column) for column in zip(*parts, strict=True)),
        values=dict(zip(names, known, strict=True)),
    )


def _take_values(batch: LedgerBatch) -> tuple[Floats, ...]:
    recipe, covered = batch.recipe, batch.covered
    priced = covered & batch.unpriced.is_null().to_numpy(zero_copy_only=False)
    return (
        np.where(priced, np.rint(recipe.cost_usd * PICOS), np.nan),
        np.where(covered, recipe.quality, np.nan),
        np.where(covered, recipe.latency_ms, np.nan),
    )


def _estimate(
    clusters: Integers, before: Mapping[str, Floats], changes: Mapping[str, Floats], seed: int
) -> dict[str, Estimate]:
    sums = {path: ClusterSums() for path in changes}
    for path, change in changes.items():
        sums[path].add(clusters, change)
    means = bootstrap_means(list(sums.values()), seed)
    found: dict[str, Estimate] = {}
    for (path, change), interval in zip(changes.items(), means, strict=True):
        known = ~np.isnan(change)
        pairs = int(np.count_nonzero(known))
        if not pairs:
            continue
        unit = pairs / PICOS if path == _COST else 1.0  # money is a sum, the others are means
        found[path] = Estimate(
            amount=round(float(change[known].mean(dtype=np.longdouble)) * unit, _DIGITS),
            base=round(float(before[path][known].mean(dtype=np.longdouble)) * unit, _DIGITS),
            interval=None if interval is None else _round(interval[0] * unit, interval[1] * unit),
            pairs=pairs,
        )
    return found


def _round(low: float, high: float) -> Interval:
    """To as many digits as do not depend on the order of sums."""
    return float(f"{low:.{_INTERVAL_DIGITS}g}"), float(f"{high:.{_INTERVAL_DIGITS}g}")
