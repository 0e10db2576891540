"""Tests of the hypothesis that a policy loses more quality than allowed.

Which test, depends on the rows:

- answers right or wrong, no sessions, at most `EXACT_ROWS` of them: the exact unconditional test
  of a difference of paired proportions, on the score statistic of Tango (Statistics in Medicine,
  1998), its p-value the largest over the nuisance parameter (Hsueh, Liu, Chen, Biometrics,
  2001). It needs far fewer rows than bounds that hold for any distribution.
- else: betting against the hypothesis (Waudby-Smith and Ramdas, "Estimating means of bounded
  random variables by betting", JRSS B, 2024), session by session.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.cascade.table import Floats, Integers

EXACT_ROWS = 1_500
_NUISANCE_POINTS = 200
_FIRST_VARIANCE = 1 / 4


def lost_p_value(loss: Floats, clusters: Integers, max_loss: float) -> float:
    """The p-value of the hypothesis that the mean loss is above a bound.

    Args:
        loss: float64[n] in [-1, 1].
        clusters: int64[n], equal within a session.
        max_loss: the bound, in [0, 1).
    """
    alone = len(np.unique(clusters)) == len(clusters)
    if alone and len(loss) <= EXACT_ROWS and bool(np.isin(loss, (-1.0, 0.0, 1.0)).all()):
        lost, gained = int((loss > 0).sum()), int((loss < 0).sum())
        return exact_p_value(lost, gained, len(loss), max_loss)
    groups = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(groups)
    excess = np.bincount(groups, weights=loss - max_loss) / sizes.max()
    order = np.random.default_rng(0).permutation(len(excess))
    return betting_p_value(excess[order], 1 - max_loss)


def exact_p_value(lost: int, gained: int, rows: int, max_loss: float) -> float:
    """The exact test for rows of which some are lost, some gained and the rest are alike.

    Args:
        lost: rows where the reference is right and the policy wrong.
        gained: rows the other way round.
        rows: all rows.
        max_loss: the bound on P(lost) - P(gained).

    Returns:
        The largest probability, over the hypothesis' boundary, of a statistic as small as this.
    """
    from scipy.stats import binom

    statistic = score_statistic(np.array(lost), np.array(gained), rows, max_loss)
    if statistic > 0:
        return 1.0
    table = _all_statistics(rows, max_loss)
    # rows that would speak as clearly: for each number gained, up to so many lost
    most_lost = (table <= statistic + 1e-12).sum(axis=0) - 1
    gains = np.flatnonzero(most_lost >= 0)
    most_lost = most_lost[gains]
    largest = 0.0
    for gain in np.linspace(0, (1 - max_loss) / 2, _NUISANCE_POINTS):
        loss = gain + max_loss
        chance = min(loss / (1 - gain), 1.0)
        mass = binom.pmf(gains, rows, gain) * binom.cdf(most_lost, rows - gains, chance)
        largest = max(largest, float(mass.sum()))
    return min(largest, 1.0)


@lru_cache(maxsize=4)
def _all_statistics(rows: int, max_loss: float) -> Floats:
    """float64[lost, gained] of every outcome of so many rows; infinite where there is none."""
    lost, gained = np.meshgrid(np.arange(rows + 1), np.arange(rows + 1), indexing="ij")
    found = score_statistic(lost, gained, rows, max_loss)
    found[lost + gained > rows] = np.inf
    return found


def score_statistic(
    lost: NDArray[np.int64], gained: NDArray[np.int64], rows: int, max_loss: float
) -> Floats:
    """Tango's score statistic of P(lost) - P(gained) = max_loss; small speaks against it.

    The variance is that of the most likely P(gained) under the hypothesis, the root of a
    quadratic equation.
    """
    b, c, d = lost.astype(np.float64), gained.astype(np.float64), max_loss
    alike = rows - b - c
    # b/(x + d) + c/x = 2 alike/(1 - 2x - d)
    square = -2.0 * rows
    linear = b * (1 - d) + c * (1 - 3 * d) - 2 * alike * d
    constant = c * d * (1 - d)
    root = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0.0))
    gain = np.clip((-linear - root) / (2 * square), 0.0, (1 - d) / 2)
    variance = rows * np.maximum(2 * gain + d - d * d, 1e-12)
    return (b - c - rows * d) / np.sqrt(variance)


def betting_p_value(excess: Floats, most: float) -> float:
    """The p-value of the hypothesis that the mean of bounded draws is at least 0.

    A gambler bets on small draws and cannot grow rich if the hypothesis holds: with probability
    p at most does the capital ever reach 1 / p.

    Args:
        excess: float64[n], in an order that has nothing to do with their values.
        most: the most that one can be; 0 < most.
    """
    count = np.arange(1, len(excess) + 1)
    sums, squares = np.cumsum(excess), np.cumsum(excess**2)
    # what is bet on a draw depends on earlier draws alone
    mean = np.concatenate([[0.0], sums[:-1] / count[:-1]])
    spread = np.concatenate([[0.0], squares[:-1]])
    variance = (_FIRST_VARIANCE + spread) / count
    edge = np.maximum(-mean, 0.0)
    bet = np.minimum(edge / (variance + edge**2), 0.5 / most)
    capital = np.cumsum(np.log1p(-bet * excess))
    return math.exp(-max(float(capital.max(initial=0.0)), 0.0))


def needed_rows(
    p_value: float, loss: Floats, clusters: Integers, max_loss: float, error: float
) -> int | None:
    """About how many rows a test needs to certify what these rows have nearly certified.

    By the normal approximation, with the variance between clusters, and as the quantile of the
    p-value grows with the root of the rows, whichever is more; and never fewer than a test needs
    that sees no loss at all, (1 - max_loss)^rows <= error.

    Args:
        p_value: of the test that failed.
        loss: float64[n] of its rows.
        clusters: int64[n], equal within a session.
        max_loss: the bound.
        error: the probability of error allowed.

    Returns:
        More than n; None where n rows are enough to see no loss, and the loss that was observed
        is not below the bound.
    """
    from scipy.stats import norm

    least = math.ceil(math.log(error) / math.log1p(-max_loss)) if max_loss else 0
    gap = max_loss - float(loss.mean())
    if gap <= 0:
        return least if least > len(loss) else None
    groups = np.unique(clusters, return_inverse=True)[1]
    sums = np.bincount(groups, weights=loss - loss.mean())
    deviation = math.sqrt(float((sums**2).sum()) / len(loss))
    wanted, seen = -float(norm.ppf(error)), -float(norm.ppf(p_value))
    likely = (wanted * deviation / gap) ** 2
    if seen > 0:
        likely = max(likely, len(loss) * (wanted / seen) ** 2)
    return max(math.ceil(likely), least, len(loss) + 1)
