"""What predicts the quality of m models' answers from numbers, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from frugalctl.learned.trees import Forest, export_forest, predict_logits
from frugalctl.levers.cascade.table import Floats, Mask

Kind = Literal["mean", "logistic", "boosting", "knn"]
KINDS: tuple[Kind, ...] = ("mean", "logistic", "boosting", "knn")

_TREES = 60
_DEPTH = 3
_REGULARISATION = 0.1
_NEIGHBOURS = 40
_MOST_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Predictor:
    """Predicts m qualities from f numbers; fields that its kind does not need are empty.

    Attributes:
        kind: how.
        center: float64[f], what is subtracted from the numbers first.
        scale: float64[f], what they are then divided by.
        means: float64[m], mean qualities.
        weights: float64[m, f], of the logistic regressions.
        bias: float64[m], likewise.
        forests: m boosted forests.
        vectors: float16[k, f], the rows that neighbours are looked for among.
        qualities: float32[k, m], theirs; NaN is stored as -1.
    """

    kind: Kind
    center: Floats
    scale: Floats
    means: Floats
    weights: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    bias: Floats = field(default_factory=lambda: np.zeros(0))
    forests: tuple[Forest, ...] = ()
    vectors: NDArray[np.float16] = field(default_factory=lambda: np.zeros((0, 0), np.float16))
    qualities: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def predict(self, rows: Floats) -> Floats:
        """float64[n, m] in [0, 1] for rows float64[n, f]."""
        if self.kind == "mean" or not len(rows):
            return np.tile(self.means, (len(rows), 1))
        scaled = (rows - self.center) / self.scale
        if self.kind == "logistic":
            return _squash(scaled @ self.weights.T + self.bias)
        if self.kind == "boosting":
            return _squash(
                np.stack([predict_logits(forest, scaled) for forest in self.forests], axis=1)
            )
        return _ask_neighbours(self, scaled)


def fit(kind: Kind, rows: Floats, quality: Floats, *, seed: int = 0) -> Predictor:
    """Fit m predictors to rows and their qualities.

    Args:
        kind: of predictor.
        rows: float64[n, f].
        quality: float64[n, m] in [0, 1], NaN where unknown. A quality between 0 and 1 counts as
            right with that weight and as wrong with the rest.
        seed: of the draw of rows, where there are more than are used.
    """
    if len(rows) > _MOST_ROWS:
        at = np.sort(np.random.default_rng(seed).choice(len(rows), _MOST_ROWS, replace=False))
        rows, quality = rows[at], quality[at]
    known = ~np.isnan(quality)
    counts = known.sum(axis=0)
    means = np.where(known, quality, 0.0).sum(axis=0) / np.maximum(counts, 1)
    center, scale = rows.mean(axis=0), rows.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    plain = Predictor(kind, center, scale, means)
    if kind == "mean":
        return plain
    scaled = (rows - center) / scale
    if kind == "knn":
        return _keep_neighbours(plain, scaled, quality)
    if kind == "logistic":
        return _fit_logistic(plain, scaled, quality, known)
    return _fit_boosting(plain, scaled, quality, known, seed)


def _weigh(rows: Floats, quality: Floats, known: Mask) -> tuple[Floats, Floats, Floats]:
    """Rows once as right and once as wrong, with labels and weights."""
    rows, quality = rows[known], quality[known]
    right, wrong = quality > 0, quality < 1
    labels = np.concatenate([np.ones(right.sum()), np.zeros(wrong.sum())])
    weights = np.concatenate([quality[right], 1 - quality[wrong]])
    return np.concatenate([rows[right], rows[wrong]]), labels, weights


def _fit_logistic(plain: Predictor, rows: Floats, quality: Floats, known: Mask) -> Predictor:
    from sklearn.linear_model import LogisticRegression

    weights = np.zeros((quality.shape[1], rows.shape[1]))
    bias = _logit(plain.means)
    for model in range(quality.shape[1]):
        given = _weigh(rows, quality[:, model], known[:, model])
        if len(np.unique(given[1])) < 2:
            continue
        regression: Any = LogisticRegression(C=_REGULARISATION, max_iter=500)
        regression.fit(given[0], given[1], sample_weight=given[2])
        weights[model], bias[model] = regression.coef_[0], regression.intercept_[0]
    return Predictor(plain.kind, plain.center, plain.scale, plain.means, weights, bias)


def _fit_boosting(
    plain: Predictor, rows: Floats, quality: Floats, known: Mask, seed: int
) -> Predictor:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    forests: list[Forest] = []
    for model in range(quality.shape[1]):
        given = _weigh(rows, quality[:, model], known[:, model])
        if len(np.unique(given[1])) < 2:
            forests.append(_constant(float(_logit(plain.means[[model]])[0])))
            continue
        boosted: Any = HistGradientBoostingClassifier(
            max_iter=_TREES,
            max_depth=_DEPTH,
            learning_rate=0.08,
            min_samples_leaf=15,
            l2_regularization=5.0,
            early_stopping=False,
            random_state=seed,
        )
        # weights make binning fifty times slower, so there are none where all are 1; and with
        # several threads each column is binned in a job of its own, which waits 10 ms
        weights = None if (given[2] == 1).all() else given[2]
        with threadpool_limits(1, "openmp"):
            boosted.fit(given[0], given[1], sample_weight=weights)
        forests.append(export_forest(boosted, _DEPTH))
    return Predictor(plain.kind, plain.center, plain.scale, plain.means, forests=tuple(forests))


def _constant(value: float) -> Forest:
    inner, leaves = 2**_DEPTH - 1, 2**_DEPTH
    return Forest(
        np.zeros((_TREES, inner), np.uint8),
        np.zeros((_TREES, inner)),
        np.zeros((_TREES, leaves)),
        value,
    )


def _keep_neighbours(plain: Predictor, rows: Floats, quality: Floats) -> Predictor:
    vectors = _unit(rows).astype(np.float16)
    kept = np.where(np.isnan(quality), -1.0, quality).astype(np.float32)
    return Predictor(
        plain.kind, plain.center, plain.scale, plain.means, vectors=vectors, qualities=kept
    )


def _ask_neighbours(predictor: Predictor, rows: Floats) -> Floats:
    """The mean quality of the nearest rows by cosine (RouterBench's kNN router)."""
    stored = predictor.vectors.astype(np.float32)
    known = predictor.qualities >= 0
    nearest = min(_NEIGHBOURS, len(stored))
    found = np.empty((len(rows), len(predictor.means)))
    for start in range(0, len(rows), 1024):
        near = _unit(rows[start : start + 1024]).astype(np.float32) @ stored.T
        at = np.argpartition(-near, nearest - 1, axis=1)[:, :nearest]
        counts = known[at].sum(axis=1)
        sums = np.where(known[at], predictor.qualities[at], 0.0).sum(axis=1)
        mean = sums / np.maximum(counts, 1)
        found[start : start + 1024] = np.where(counts > 0, mean, predictor.means)
    return found


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(length > 0, length, 1.0)


def _squash(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-np.clip(logits, -40, 40)))


def _logit(chance: Floats) -> Floats:
    inner = np.clip(chance, 1e-3, 1 - 1e-3)
    return np.log(inner / (1 - inner))
