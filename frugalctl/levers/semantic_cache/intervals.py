"""Exact bounds of a share, for independent and for clustered observations.

An observation here is a hit; the share is that of wrong hits. Hits on the questions of one group
go wrong together, so counts are divided by a design effect before an exact bound is taken of
them, with fewer degrees of freedom where there are few groups (Korn and Graubard, "Confidence
intervals for proportions with small expected number of positive counts estimated from survey
data", Survey Methodology 24, 1998).
"""

from __future__ import annotations

import math

import numpy as np

from frugalctl.levers.semantic_cache.protocols import Floats, Integers

_ROUNDING = 1e-9


def bound_share(successes: float, n: float, confidence: float) -> float:
    """The exact upper bound of a share, one-sided (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        successes: how many of n; need not be whole, and neither need n.
        n: how many observations.
        confidence: of the bound, in (0, 1).
    """
    from scipy.special import betaincinv

    return 1.0 if successes >= n else float(betaincinv(successes + 1, n - successes, confidence))


def exact_interval(
    successes: Integers, n: Integers, confidence: float = 0.95
) -> tuple[Floats, Floats]:
    """The exact two-sided interval of shares (Clopper and Pearson, Biometrika 26, 1934).

    Args:
        successes: int64[m], how many of each n.
        n: int64[m].
        confidence: of the interval, in (0, 1).

    Returns:
        Its two ends, float64[m]; NaN where n is 0.
    """
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    rest = n - successes
    low = np.where(successes > 0, betaincinv(np.maximum(successes, 1), rest + 1, tail), 0.0)
    high = np.where(rest > 0, betaincinv(successes + 1, np.maximum(rest, 1), 1 - tail), 1.0)
    nothing = n == 0
    return np.where(nothing, np.nan, low), np.where(nothing, np.nan, high)


def measure_design_effect(wrong: Floats, clusters: Integers) -> float:
    """How many clustered observations say as much as one independent observation; at least 1.

    The variance of the share by its linearisation over the clusters, divided by that of
    independent observations (Kish, "Survey Sampling", 1965, 8.2). Where nothing is wrong the
    variance is 0 and says nothing: then whole clusters are taken to go wrong together.

    Args:
        wrong: float64[n], 1 where a hit is wrong, else 0.
        clusters: int64[n], the cluster of each, numbered from 0.
    """
    sizes = np.bincount(clusters).astype(np.float64)
    share = float(wrong.mean())
    if share in (0.0, 1.0):
        return float((sizes**2).sum() / sizes.sum())
    residues = np.bincount(clusters, weights=wrong - share)
    used = int(np.count_nonzero(sizes))
    variance = float((residues**2).sum()) * used / max(used - 1, 1)
    return max(1.0, variance / (len(wrong) * share * (1 - share)) * _few_clusters(used))


def _few_clusters(clusters: int) -> float:
    """What a variance estimated from so few clusters is to be multiplied with."""
    from scipy.special import ndtri, stdtrit

    return float((stdtrit(max(clusters - 1, 1), 0.95) / ndtri(0.95)) ** 2)


def holds_in_future(successes: int, n: int, bound: float, confidence: float) -> bool:
    """Whether a sample to come of n too will keep its share at most the bound.

    Were both samples drawn from one, the successes of the two together would fall into the first
    as balls drawn from an urn; the statement fails if so few of them in the first, with just too
    many in the second, is less likely than 1 - confidence (Hahn and Meeker, "Statistical
    Intervals", 1991, 6.4).
    """
    too_many = math.floor(bound * n + _ROUNDING) + 1
    if too_many > n:
        return True
    return _chance_of_few(successes, successes + too_many, n) <= 1 - confidence


def _chance_of_few(few: int, together: int, n: int) -> float:
    """The chance that at most so few of `together` among 2 n fall into the first n."""
    from scipy.special import gammaln

    def log_ways(total: int, chosen: Floats) -> Floats:
        return gammaln(total + 1) - gammaln(chosen + 1) - gammaln(total - chosen + 1)

    first = np.arange(max(together - n, 0), few + 1, dtype=np.float64)
    logs = log_ways(together, first) + log_ways(2 * n - together, n - first)
    return float(np.exp(logs - log_ways(2 * n, np.array(float(n)))).sum())


def count_needed(bound: float, confidence: float) -> int:
    """The fewest observations that bound a share although none of them succeeds."""
    return math.ceil(math.log1p(-confidence) / math.log1p(-bound) - _ROUNDING)


def count_needed_for_future(bound: float, confidence: float) -> int:
    """The same where a sample to come, as large, is to keep the bound too."""
    n = count_needed(bound, confidence)
    while not holds_in_future(0, n, bound, confidence):
        n += 1
    return n
