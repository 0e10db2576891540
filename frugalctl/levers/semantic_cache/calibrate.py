"""The lowest threshold whose wrong-of-hits stays within a bound, at a confidence.

Thresholds are tested from high to low at sizes fixed before any label is seen: the fewest hits
that could show the bound, and then each time `GROWTH` times as many. A test is passed if the exact
upper bound of wrong-of-hits is within the bound, and if a sample to come of as many hits would
keep it too, so that what a user measures later holds and not only what is true on average. Hits
of one cluster are counted down by their design effect.

The search is corrected for by the fallback procedure (Wiens, "A fixed sequence Bonferroni
procedure for testing multiple endpoints", Pharmaceutical Statistics 2, 2003), as risk control by
testing uses it (Angelopoulos et al., "Learn then Test", 2021): each test has an equal share of the
error allowed, and hands all it had on to the next one if it is passed. So a run of passed tests
soon has the whole, and one unlucky hit at the top does not end the search.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from frugalctl.levers.semantic_cache.intervals import (
    bound_share,
    count_needed,
    count_needed_for_future,
    holds_in_future,
    measure_design_effect,
)
from frugalctl.levers.semantic_cache.protocols import Floats, Integers

GROWTH = 1.5
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Risk:
    """What a threshold must keep.

    Attributes:
        max_wrong_of_hits: the bound, in (0, 1).
        confidence: that it is kept, in (0, 1).
    """

    max_wrong_of_hits: float
    confidence: float = 0.95

    @property
    def needed_hits(self) -> int:
        """The fewest hits that could show the bound."""
        return count_needed_for_future(self.max_wrong_of_hits, self.confidence)

    @property
    def binomial_hits(self) -> int:
        """The fewest that the exact binomial bound alone asks for."""
        return count_needed(self.max_wrong_of_hits, self.confidence)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One threshold, tested.

    Attributes:
        threshold: the least score of a hit.
        hits: how many of the labelled questions hit.
        wrong_hits: of these.
        design_effect: how many hits say as much as one independent hit.
        confidence: what was left for this test.
        upper_bound: the exact bound of wrong-of-hits at that confidence.
        lasting: whether a sample to come, as large, would keep the bound.
        passed: whether the bound holds.
    """

    threshold: float
    hits: int
    wrong_hits: int
    design_effect: float
    confidence: float
    upper_bound: float
    lasting: bool
    passed: bool


@dataclass(frozen=True, slots=True)
class Search:
    """The thresholds that were tested, from high to low.

    Attributes:
        attempts: all of them; none where there are too few labels for one.
        chosen: the lowest that passed; None if none did.
    """

    attempts: tuple[Attempt, ...]
    chosen: Attempt | None

    @property
    def threshold(self) -> float | None:
        """The one to use."""
        return None if self.chosen is None else self.chosen.threshold


def search_threshold(scores: Floats, wrong: Floats, clusters: Integers, risk: Risk) -> Search:
    """Find the lowest threshold that passes.

    Args:
        scores: float64[n], of the candidates served, -inf where none is.
        wrong: float64[n], 1 where the answer served is wrong, 0 where it is right; NaN where that
            is not known, which is left out.
        clusters: int64[n], trials that may go wrong together.
        risk: the bound.
    """
    kept = np.isfinite(scores) & ~np.isnan(wrong)
    order = np.argsort(-scores[kept], kind="stable")
    scores, wrong, clusters = scores[kept][order], wrong[kept][order], clusters[kept][order]
    sizes = list_sizes(scores, risk)
    share = (1 - risk.confidence) / max(len(sizes), 1)
    carried = 0.0
    attempts: list[Attempt] = []
    for hits in sizes:
        level = min(share + carried, 1 - risk.confidence)
        attempt = _attempt(scores, wrong[:hits], clusters[:hits], risk, 1 - level)
        carried = level if attempt.passed else 0.0
        attempts.append(attempt)
    passed = [attempt for attempt in attempts if attempt.passed]
    return Search(tuple(attempts), passed[-1] if passed else None)


def _attempt(
    scores: Floats, wrong: Floats, clusters: Integers, risk: Risk, confidence: float
) -> Attempt:
    hits, bound = len(wrong), risk.max_wrong_of_hits
    effect = measure_design_effect(wrong, clusters)
    n, failures = hits / effect, float(wrong.sum()) / effect
    upper = bound_share(failures, n, confidence)
    lasting = n >= 1 and holds_in_future(math.ceil(failures), math.floor(n), bound, risk.confidence)
    return Attempt(
        threshold=_place_threshold(scores, hits),
        hits=hits,
        wrong_hits=int(wrong.sum()),
        design_effect=effect,
        confidence=confidence,
        upper_bound=upper,
        lasting=lasting,
        passed=lasting and upper <= bound,
    )


def list_sizes(scores: Floats, risk: Risk) -> list[int]:
    """The numbers of hits that are tested, ascending, each whole with its ties.

    Args:
        scores: float64[n], descending.
        risk: sets the fewest.
    """
    sizes: dict[int, None] = {}
    wanted = float(risk.needed_hits)
    while wanted <= len(scores):
        least = float(scores[math.ceil(wanted) - 1])
        sizes[int(np.count_nonzero(scores >= least))] = None
        wanted *= GROWTH
    return list(sizes)


def _place_threshold(scores: Floats, hits: int) -> float:
    """A round number between the last score that hits and the first that does not."""
    last = float(scores[hits - 1])
    below = float(scores[hits]) if hits < len(scores) else last - 10.0**-_DIGITS
    for digits in range(2, _DIGITS + 1):
        rounded = math.floor(last * 10**digits) / 10**digits
        if below < rounded <= last:
            return rounded
    return last if last - below < 10.0**-_DIGITS else (last + below) / 2
