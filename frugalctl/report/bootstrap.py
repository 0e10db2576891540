"""Bootstrap intervals of mean quality, clustered by session.

Requests of one session are not independent, so whole sessions are drawn with replacement (the
cluster bootstrap; Davison and Hinkley, "Bootstrap Methods and their Application", 1997, 3.8).
Above `MAX_CLUSTERS` sessions, sessions share clusters by hash: each cluster is then a random
group of sessions, which leaves the interval's coverage intact and its memory bounded (the
random groups of Wolter, "Introduction to Variance Estimation", 2007, chapter 2).
"""

from __future__ import annotations

from itertools import repeat

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.log.dedupe import Hashes, HashPile, hash_strings

MAX_CLUSTERS = 8_192
REPLICATES = 1_000
_AT_ONCE = 16

Floats = NDArray[np.float64]


class Clusters:
    """Assigns each request to a cluster: its session's, or one of its own.

    Attributes:
        sessions: the hashes of the sessions met.
    """

    def __init__(self) -> None:
        self.sessions = HashPile()
        self._of_session: dict[str, int] = {}
        self._taken = self._alone = 0

    def assign(self, sessions: pa.Array) -> NDArray[np.int64]:
        """Cluster numbers in [0, MAX_CLUSTERS) for a batch of sessions (null: no session)."""
        encoded = sessions.dictionary_encode()
        names = encoded.dictionary.to_pylist()
        hashes = hash_strings(names)
        self.sessions.add(hashes)
        known = self._of_names(names, hashes)
        if not encoded.null_count:
            return known[encoded.indices.to_numpy(zero_copy_only=False)]
        missing = encoded.indices.is_null().to_numpy(zero_copy_only=False)
        clusters = np.empty(len(sessions), dtype=np.int64)
        clusters[~missing] = known[encoded.indices.drop_null().to_numpy(zero_copy_only=False)]
        alone = int(missing.sum())
        # from the other end, so that it does not matter how the log is cut into batches
        clusters[missing] = MAX_CLUSTERS - 1 - (self._alone + np.arange(alone)) % MAX_CLUSTERS
        self._alone += alone
        return clusters

    def _of_names(self, names: list[str], hashes: Hashes) -> NDArray[np.int64]:
        known = self._of_session
        for name in names if self._taken < MAX_CLUSTERS else ():
            if name not in known and self._taken < MAX_CLUSTERS:
                known[name] = self._taken
                self._taken += 1
        found = np.fromiter(map(known.get, names, repeat(-1)), np.int64, len(names))
        return np.where(found < 0, hashes % MAX_CLUSTERS, found)


class ClusterSums:
    """The sum and the count of a quantity in each cluster."""

    def __init__(self) -> None:
        self.sums: Floats = np.zeros(MAX_CLUSTERS)
        self.counts: Floats = np.zeros(MAX_CLUSTERS)

    def add(self, clusters: NDArray[np.int64], values: Floats) -> None:
        """Add the known (not NaN) values of a batch to their clusters."""
        known = ~np.isnan(values)
        if not known.any():
            return
        at = clusters[known]
        self.sums += np.bincount(at, weights=values[known], minlength=MAX_CLUSTERS)
        self.counts += np.bincount(at, minlength=MAX_CLUSTERS)


def bootstrap_means(
    groups: list[ClusterSums], seed: int, replicates: int = REPLICATES
) -> list[tuple[float, float] | None]:
    """The 95 % percentile interval of the mean of each quantity, from common draws.

    Args:
        groups: the quantities, in the same clusters.
        seed: of the draws, which do not depend on the order of the requests (up to
            `MAX_CLUSTERS` clusters: beyond, the order decides which sessions share one).
        replicates: number of draws.

    Returns:
        For each quantity its interval; None with fewer than two clusters that have it.
    """
    used = np.flatnonzero(np.sum([group.counts for group in groups], axis=0) > 0)
    if len(used) < 2:
        return [None for _ in groups]
    sums = np.stack([group.sums[used] for group in groups], axis=1)
    counts = np.stack([group.counts[used] for group in groups], axis=1)
    order = np.lexsort(np.concatenate((np.round(sums, 9), counts), axis=1).T)
    columns = np.concatenate((sums, counts), axis=1)[order]
    rng = np.random.default_rng(seed)
    parts = [
        _draw_times(rng, len(used), min(_AT_ONCE, replicates - done)) @ columns
        for done in range(0, replicates, _AT_ONCE)
    ]
    drawn_sums, drawn_counts = np.split(np.concatenate(parts), 2, axis=1)
    with np.errstate(invalid="ignore"):
        means = drawn_sums / drawn_counts
    return [
        _interval(means[:, at]) if np.count_nonzero(counts[:, at]) > 1 else None
        for at in range(len(groups))
    ]


def _draw_times(rng: np.random.Generator, clusters: int, replicates: int) -> Floats:
    """How often each cluster is drawn in each of a few replicates."""
    drawn = rng.integers(0, clusters, (replicates, clusters), dtype=np.int32)
    places = (drawn + np.arange(replicates, dtype=np.int64)[:, None] * clusters).ravel()
    times = np.bincount(places, minlength=replicates * clusters)
    return times.reshape(replicates, clusters).astype(np.float64)


def _interval(means: Floats) -> tuple[float, float]:
    low, high = np.nanpercentile(means, (2.5, 97.5))
    return float(low), float(high)
