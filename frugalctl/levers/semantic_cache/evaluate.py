"""Every threshold at once: what hits, what is wrong, what is missed, and what it saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.levers.semantic_cache.intervals import exact_interval
from frugalctl.levers.semantic_cache.protocols import Floats, Integers
from frugalctl.levers.semantic_cache.trials import Trials

ERROR_LEVELS = (0.01, 0.02, 0.05)
_MOST_POINTS = 200


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What a cache does at one threshold.

    Attributes:
        threshold: the least score of a hit.
        hits: questions answered from the cache.
        right_hits: of these, with a right answer.
        wrong_hits: with a wrong one; what is left is not known.
        hit_rate: hits of all questions.
        wrong_of_all: wrong hits of all questions.
        wrong_of_hits: wrong hits of those known to be right or wrong; None without one.
        wrong_of_hits_ci95: its exact interval, which takes hits for independent.
        recall: right hits of the questions that some entry answers rightly; None without one.
        saved_usd: what the hits with a known cost save; None without one.
    """

    threshold: float
    hits: int
    right_hits: int
    wrong_hits: int
    hit_rate: float
    wrong_of_all: float
    wrong_of_hits: float | None
    wrong_of_hits_ci95: tuple[float, float] | None
    recall: float | None
    saved_usd: float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """The counts at each of m thresholds, which are the distinct scores served, descending.

    Attributes:
        n: questions.
        possible: questions that some entry answers rightly.
        thresholds: float64[m].
        hits: int64[m].
        right: int64[m], right hits.
        wrong: int64[m], wrong hits.
        saved_usd: float64[m], over hits of known cost.
        priced: int64[m], hits of known cost.
    """

    n: int
    possible: int
    thresholds: Floats
    hits: Integers
    right: Integers
    wrong: Integers
    saved_usd: Floats
    priced: Integers

    @property
    def wrong_of_hits(self) -> Floats:
        """float64[m], NaN where no hit is known to be right or wrong."""
        judged = self.right + self.wrong
        return np.divide(self.wrong, judged, out=np.full(len(judged), np.nan), where=judged > 0)

    def find_level(self, wrong_of_hits: float) -> float | None:
        """The lowest threshold whose measured wrong-of-hits is at most a level, if there is one."""
        within = np.flatnonzero(self.wrong_of_hits <= wrong_of_hits)
        return float(self.thresholds[within[-1]]) if len(within) else None

    def points(self, thresholds: Sequence[float]) -> list[CurvePoint]:
        """The points at any thresholds, in their order."""
        rows = np.searchsorted(-self.thresholds, -np.asarray(thresholds), side="right") - 1
        hits, right, wrong, priced = (
            np.where(rows >= 0, counts[rows], 0) if len(counts) else np.zeros_like(rows)
            for counts in (self.hits, self.right, self.wrong, self.priced)
        )
        low, high = exact_interval(wrong, right + wrong)
        points: list[CurvePoint] = []
        for at, threshold in enumerate(thresholds):
            judged = int(right[at] + wrong[at])
            points.append(
                CurvePoint(
                    threshold=float(threshold),
                    hits=int(hits[at]),
                    right_hits=int(right[at]),
                    wrong_hits=int(wrong[at]),
                    hit_rate=int(hits[at]) / self.n,
                    wrong_of_all=int(wrong[at]) / self.n,
                    wrong_of_hits=int(wrong[at]) / judged if judged else None,
                    wrong_of_hits_ci95=(float(low[at]), float(high[at])) if judged else None,
                    recall=int(right[at]) / self.possible if self.possible else None,
                    saved_usd=float(self.saved_usd[rows[at]]) if priced[at] else None,
                )
            )
        return points

    def thin(self, asked: Sequence[float]) -> list[CurvePoint]:
        """About 200 points, evenly spaced in hits, with those asked for, descending."""
        chosen = set(asked)
        if len(self.hits):
            first, last = int(self.hits[0]), int(self.hits[-1])
            steps = first + np.arange(_MOST_POINTS) * (last - first) // (_MOST_POINTS - 1)
            chosen |= set(self.thresholds[np.searchsorted(self.hits, steps)].tolist())
        return self.points(sorted(chosen, reverse=True))


@dataclass(frozen=True, slots=True)
class GuardReport:
    """What a guard does at one threshold, asked without the other guards.

    Attributes:
        guard: its name.
        right_hits_lost: best candidates over the threshold that it refuses, and were right.
        wrong_hits_refused: those that were wrong.
    """

    guard: str
    right_hits_lost: int
    wrong_hits_refused: int

    @property
    def precision(self) -> float | None:
        """Wrong hits of all that it refuses; None where it refuses none."""
        refused = self.right_hits_lost + self.wrong_hits_refused
        return self.wrong_hits_refused / refused if refused else None


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Dollars saved against what wrong answers cost, at one threshold.

    Attributes:
        saved_per_hit_usd: over hits of known cost.
        saved_usd: what those hits save.
        wrong_cost_usd: what the wrong hits cost; None if the cost of one is not said.
        net_usd: saved less lost; None likewise.
        wrong_answer_usd: the cost of a wrong answer at which nothing is left; None without one.
    """

    saved_per_hit_usd: float
    saved_usd: float
    wrong_cost_usd: float | None
    net_usd: float | None
    wrong_answer_usd: float | None


def trace_curve(trials: Trials) -> Curve:
    """All thresholds in one pass over the sorted scores, after guards."""
    order = np.argsort(-trials.served_score, kind="stable")
    order = order[np.isfinite(trials.served_score[order])]
    score, right = trials.served_score[order], trials.right[order]
    cost_usd = trials.cost_usd[order]
    last = np.flatnonzero(np.diff(score, append=-np.inf))
    known = ~np.isnan(cost_usd)

    def count(chosen: Floats) -> Integers:
        return np.cumsum(chosen, dtype=np.int64)[last]

    return Curve(
        n=len(trials),
        possible=int(trials.possible.sum()),
        thresholds=score[last],
        hits=last + 1,
        right=count(right == 1),
        wrong=count(right == 0),
        saved_usd=np.cumsum(np.where(known, cost_usd, 0.0))[last],
        priced=count(known),
    )


def measure_auc(trials: Trials) -> float | None:
    """The chance that a right candidate outscores a wrong one, before guards; ties count half.

    By ranks (Hanley and McNeil, Radiology 143, 1982). None where all are right or all wrong.
    """
    known = ~np.isnan(trials.same) & ~np.isnan(trials.score)
    right = trials.same[known] == 1
    positives, negatives = int(right.sum()), int((~right).sum())
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(trials.score[known], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    above = float(ranks[right].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)


def report_guards(trials: Trials, threshold: float) -> list[GuardReport]:
    """What each guard refuses among the best candidates from a threshold on."""
    over = trials.score >= threshold
    return [
        GuardReport(
            guard=guard,
            right_hits_lost=int((over & refused & (trials.same == 1)).sum()),
            wrong_hits_refused=int((over & refused & (trials.same == 0)).sum()),
        )
        for guard, refused in zip(trials.guards, trials.refusals.T, strict=True)
    ]


def break_even(trials: Trials, point: CurvePoint, wrong_usd: float | None) -> BreakEven | None:
    """The balance at a point of the curve; None where no hit's cost is known.

    Args:
        trials: with what each hit saves.
        point: of their curve.
        wrong_usd: what a wrong answer costs the user; None if not said.
    """
    if point.saved_usd is None:
        return None
    hits = trials.served_score >= point.threshold
    priced = int((hits & ~np.isnan(trials.cost_usd)).sum())
    lost = None if wrong_usd is None else wrong_usd * point.wrong_hits
    return BreakEven(
        saved_per_hit_usd=point.saved_usd / priced,
        saved_usd=point.saved_usd,
        wrong_cost_usd=lost,
        net_usd=None if lost is None else point.saved_usd - lost,
        wrong_answer_usd=point.saved_usd / point.wrong_hits if point.wrong_hits else None,
    )
