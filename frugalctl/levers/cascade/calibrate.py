"""How well a score tells right answers from wrong ones, and what probability it stands for.

A calibration that only rises changes no cascade: each step compares one model's score with a
threshold of its own, so thresholds stay on the score's scale. Calibration is for comparing
models, and for reports.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from frugalctl.levers.cascade.table import Floats

BINS = 15


def auroc(score: Floats, right: Floats) -> float:
    """The chance that a right answer scores above a wrong one, ties counting half.

    Args:
        score: float64[n], without NaN.
        right: float64[n], the weight in [0, 1] with which each row counts as right.

    Returns:
        NaN where all answers are right, or all are wrong.
    """
    order = np.argsort(score, kind="stable")
    _, first, of = np.unique(score[order], return_index=True, return_inverse=True)
    good = np.bincount(of, weights=right[order], minlength=len(first))
    bad = np.bincount(of, weights=1 - right[order], minlength=len(first))
    below = np.concatenate([[0.0], np.cumsum(bad)[:-1]])
    pairs = good.sum() * bad.sum()
    return float((good * (below + bad / 2)).sum() / pairs) if pairs > 0 else float("nan")


def calibration_error(chance: Floats, right: Floats, bins: int = BINS) -> float:
    """ECE: the mean distance of predicted and seen quality over bins of equal width.

    Source: Guo et al., "On Calibration of Modern Neural Networks" (2017).

    Args:
        chance: float64[n] in [0, 1].
        right: float64[n] in [0, 1].
        bins: how many.
    """
    at = np.minimum((chance * bins).astype(np.int64), bins - 1)
    gap = np.bincount(at, weights=chance - right, minlength=bins)
    return float(np.abs(gap).sum() / len(chance))


def brier_score(chance: Floats, right: Floats) -> float:
    """The mean squared distance of predicted and seen quality (Brier, 1950)."""
    return float(((chance - right) ** 2).mean())


def calibrate_isotonic(score: Floats, right: Floats) -> Any:
    """The rising step function from score to quality that fits best.

    Returns:
        A fitted `sklearn.isotonic.IsotonicRegression`; scores out of range are clipped.
    """
    from sklearn.isotonic import IsotonicRegression

    model: Any = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    return model.fit(score, right)
