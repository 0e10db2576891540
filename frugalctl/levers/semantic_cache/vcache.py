"""Each entry decides for itself: the policy of vCache, written from its paper.

Schroeder et al., "vCache: Verified Semantic Prompt Caching", 2025 (arXiv 2502.03771). For each
entry it keeps the similarities at which its answer was tried and whether that was right, fits
P(right | similarity s) = 1 / (1 + exp(-gamma (s - t))), and asks the model anew ("explores") with
just the chance that keeps the share of wrong answers among **all requests** within the bound.

Little was tried of most entries, so t is not taken as fitted but from the careful end of its
confidence interval; and as the likelihood has no maximum where one similarity parts right from
wrong, it is fitted with Firth's penalty (Biometrika 80, 1993).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.levers.semantic_cache.protocols import Floats

_EPSILONS = tuple(0.5 * 0.75**step for step in range(24))
_QUANTILES = tuple(NormalDist().inv_cdf(1 - epsilon) for epsilon in _EPSILONS)
_ANCHORS = ((0.0, 0.0), (1.0, 1.0))
_MOST_STEPS = 60
_MOST_LOGIT = 30.0
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Boundary:
    """Where an entry's answers turn right.

    Attributes:
        middle: the similarity t at which right is as likely as wrong.
        slope: gamma; not above 0 where the similarity tells nothing.
        middle_error: the standard error of t.
    """

    middle: float
    slope: float
    middle_error: float


def fit_boundary(similarities: Floats, right: Floats) -> Boundary:
    """Fit the logistic model of one entry.

    That the answer is right at similarity 1 and wrong at 0 counts as tried once each.

    Args:
        similarities: float64[n].
        right: float64[n], 1 where the answer was right, else 0.
    """
    anchors = np.array(_ANCHORS)
    s = np.concatenate((anchors[:, 0], similarities))
    y = np.concatenate((anchors[:, 1], right))
    design = np.stack((np.ones(len(s)), s), axis=1)
    weights, covariance = _fit_firth(design, y)
    offset, slope = float(weights[0]), float(weights[1])
    if slope <= 0:
        return Boundary(math.nan, slope, math.nan)
    middle = -offset / slope
    gradient = np.array((-1 / slope, -middle / slope))
    return Boundary(middle, slope, math.sqrt(max(float(gradient @ covariance @ gradient), 0.0)))


def _fit_firth(design: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Weights of a logistic regression with Firth's penalty, and their covariance."""
    weights = np.zeros(design.shape[1])
    likelihood, p, covariance = _weigh(design, y, weights)
    for _ in range(_MOST_STEPS):
        leverage = p * (1 - p) * ((design @ covariance) * design).sum(axis=1)
        step = covariance @ (design.T @ (y - p + leverage * (0.5 - p)))
        found, p, covariance = _weigh(design, y, weights + step)
        while found < likelihood and float(np.abs(step).max()) > _TOLERANCE:
            step = step / 2
            found, p, covariance = _weigh(design, y, weights + step)
        weights, likelihood = weights + step, found
        if float(np.abs(step).max()) <= _TOLERANCE:
            break
    return weights, covariance


def _weigh(design: Floats, y: Floats, weights: Floats) -> tuple[float, Floats, Floats]:
    """The penalised log likelihood of weights, the chances they give, and their covariance."""
    p = 1 / (1 + np.exp(-np.clip(design @ weights, -_MOST_LOGIT, _MOST_LOGIT)))
    information = design.T @ (design * (p * (1 - p))[:, None])
    logarithm = float(np.linalg.slogdet(information)[1])
    likelihood = float(np.log(np.where(y == 1, p, 1 - p)).sum()) + logarithm / 2
    return likelihood, p, np.linalg.inv(information).astype(np.float64)


def explore_chance(boundary: Boundary, similarity: float, max_error: float) -> float:
    """The chance with which the model must be asked although there is a candidate.

    Answering from the cache with chance 1 - x is wrong with chance (1 - x)(1 - P(right)), which
    must not pass `max_error`. P(right) is at least (1 - epsilon) times its value at the upper end
    of the interval that t is above with chance epsilon, whatever epsilon; the best one counts.

    Args:
        boundary: of the entry.
        similarity: of the question to it.
        max_error: the bound on wrong answers among all requests.
    """
    least_right = 0.0
    if boundary.slope > 0:
        for epsilon, quantile in zip(_EPSILONS, _QUANTILES, strict=True):
            late = boundary.middle + quantile * boundary.middle_error
            logit = boundary.slope * (similarity - late)
            logit = min(max(logit, -_MOST_LOGIT), _MOST_LOGIT)
            least_right = max(least_right, (1 - epsilon) / (1 + math.exp(-logit)))
    wrong = 1 - least_right
    return 0.0 if wrong <= max_error else 1 - max_error / wrong


@dataclass(slots=True)
class _Tried:
    similarities: list[float] = field(default_factory=list[float])
    right: list[float] = field(default_factory=list[float])
    boundary: Boundary | None = None


@lru_cache(maxsize=4096)
def _fit(similarities: tuple[float, ...], right: tuple[float, ...]) -> Boundary:
    return fit_boundary(np.array(similarities), np.array(right))


class VCachePolicy:
    """A `protocols.Policy` with a boundary for each entry.

    Args:
        max_error: the bound on wrong answers among all requests, in (0, 1).
        seed: of the chances; the same requests in the same order are decided alike.

    Raises:
        UsageError: a bound that is none.
    """

    def __init__(self, max_error: float, seed: int = 0) -> None:
        if not 0 < max_error < 1:
            raise UsageError(f"the bound on errors is {max_error:g}, not between 0 and 1")
        self.max_error = max_error
        self._rng = np.random.default_rng(seed)
        self._tried: dict[int, _Tried] = {}

    def accept(self, entry: int, score: float) -> bool:
        """Whether this entry's answer is used again at this score."""
        tried = self._tried.setdefault(entry, _Tried())
        if tried.boundary is None:
            tried.boundary = _fit(tuple(tried.similarities), tuple(tried.right))
        chance = explore_chance(tried.boundary, score, self.max_error)
        return bool(self._rng.random() >= chance)

    def observe(self, entry: int, score: float, correct: bool) -> None:
        """Learn whether the entry's answer would have been right, where it was not used."""
        tried = self._tried.setdefault(entry, _Tried())
        tried.similarities.append(score)
        tried.right.append(float(correct))
        tried.boundary = None
