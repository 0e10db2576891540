"""Routers: which model will do, from the question alone, before anything is called.

Kinds: the mean quality of the nearest questions (kNN, Hu et al., "RouterBench", 2024), logistic
regression and boosted trees on static vectors (in the place of RouteLLM's matrix factorisation
and classifiers, Ong et al., 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.embed.base import Embedder, load_embedder
from frugalctl.errors import InputError
from frugalctl.levers.cascade.features import describe_questions, embed, find_axes
from frugalctl.levers.cascade.predictors import Kind, Predictor, fit
from frugalctl.levers.cascade.splits import fold_rows
from frugalctl.levers.cascade.table import Floats, Integers, OutcomeTable

ROUTE_MS = 0.1
"""What routing one question takes on one core (`benchmarks/routers.py`)."""

EMBEDDER = "static"
AXES = 48
FOLDS = 5
ROUTERS: tuple[Kind, ...] = ("knn", "logistic", "boosting")


@dataclass(frozen=True, slots=True)
class Router:
    """Predicts what each model's answer to a question will be worth.

    A kNN router holds the vectors of the questions that it was fitted on; they are no texts, but
    say something of them.

    Attributes:
        models: m names.
        predictor: from the numbers of a question to m qualities.
        axes: float64[d, AXES], of the questions' vectors.
        fingerprint: of the embedder.
    """

    models: tuple[str, ...]
    predictor: Predictor
    axes: Floats
    fingerprint: str

    @property
    def kind(self) -> Kind:
        """How it predicts."""
        return self.predictor.kind

    def predict(self, questions: Sequence[str]) -> Floats:
        """float64[n, m], the predicted qualities.

        Raises:
            InputError: the router was fitted with another embedder than the one at hand.
        """
        embedder = load_embedder(EMBEDDER)
        if embedder.fingerprint != self.fingerprint:
            raise InputError(
                f"the router needs the vectors of {self.fingerprint}, not {embedder.fingerprint}",
                hint="fit it again with `frugalctl optimize --router auto`",
            )
        return self.predictor.predict(_describe(embedder, questions, self.axes))

    def score(self, questions: Sequence[str]) -> Floats:
        """float64[n, m], what a policy's routes compare: see `lead`."""
        return lead(self.predict(questions))

    def score_models(self, questions: Sequence[str], models: Sequence[str]) -> Floats:
        """float64[n, k], the scores of some models, NaN for those it does not know."""
        scores = self.score(questions)
        return np.stack(
            [
                scores[:, self.models.index(name)]
                if name in self.models
                else np.full(len(scores), np.nan)
                for name in models
            ],
            axis=1,
        )


def lead(predicted: Floats) -> Floats:
    """How much better a model is expected to do than the others do on average.

    With two models this is the difference that RouteLLM's routers compare.

    Args:
        predicted: float64[n, m].
    """
    others = max(predicted.shape[1] - 1, 1)
    return predicted - (predicted.sum(axis=1, keepdims=True) - predicted) / others


@dataclass(frozen=True, slots=True)
class FittedRouter:
    """A router, and what it says of the rows that it was fitted on.

    Attributes:
        router: fitted on all rows.
        predicted: float64[n, m]; each row is predicted by what was fitted without it.
        errors: kind -> mean squared error of such predictions, by which "auto" chooses.
    """

    router: Router
    predicted: Floats
    errors: dict[str, float]

    @property
    def routes(self) -> Floats:
        """float64[n, m], see `Router.score`."""
        return lead(self.predicted)


def fit_router(
    table: OutcomeTable, kind: str = "auto", *, seed: int = 0, folds: int = FOLDS
) -> FittedRouter:
    """Fit a router to the questions and qualities of a table.

    Args:
        table: requests with the texts of their questions.
        kind: one of `ROUTERS`, or "auto": the kind of the least error on held-out parts, and
            "mean", which routes nothing, where none is better by a standard error.
        seed: of the parts.
        folds: how many parts, of whole sessions.

    Raises:
        InputError: no texts, or fewer sessions than parts.
    """
    if not any(table.questions):
        raise InputError("a router needs the questions, and the log has no messages")
    embedder = load_embedder(EMBEDDER)
    vectors = embed(embedder, table.questions)
    axes = find_axes(vectors, AXES)
    numbers = _join(table.questions, vectors, axes)
    quality = np.where(table.present, table.quality, np.nan)
    fold = fold_rows(table, folds, seed)
    kinds: tuple[Kind, ...] = ROUTERS if kind == "auto" else (_known(kind),)
    predicted = {one: _cross_fit(one, numbers, quality, fold, seed) for one in ("mean", *kinds)}
    losses = {one: (found - quality) ** 2 for one, found in predicted.items()}
    errors = {one: float(np.nanmean(loss)) for one, loss in losses.items()}
    chosen: Kind = min(kinds, key=lambda one: errors[one])
    if kind == "auto":
        gain = np.nanmean(losses["mean"] - losses[chosen], axis=1)
        gain = gain[~np.isnan(gain)]
        if not gain.mean() > gain.std() / np.sqrt(len(gain)):
            chosen = "mean"
    router = Router(
        table.models, fit(chosen, numbers, quality, seed=seed), axes, embedder.fingerprint
    )
    return FittedRouter(router, predicted[chosen], errors)


def _known(kind: str) -> Kind:
    for one in ROUTERS:
        if one == kind:
            return one
    raise InputError(f"no router of kind {kind!r}", hint=f"known: auto, {', '.join(ROUTERS)}")


def _cross_fit(kind: Kind, numbers: Floats, quality: Floats, fold: Integers, seed: int) -> Floats:
    found = np.empty(quality.shape)
    for number in range(int(fold.max()) + 1):
        inside = fold == number
        fitted = fit(kind, numbers[~inside], quality[~inside], seed=seed)
        found[inside] = fitted.predict(numbers[inside])
    return found


def _describe(embedder: Embedder, questions: Sequence[str], axes: Floats) -> Floats:
    return _join(questions, embed(embedder, questions), axes)


def _join(questions: Sequence[str], vectors: Floats, axes: Floats) -> Floats:
    return np.concatenate([vectors @ axes, describe_questions(questions)], axis=1)


@dataclass(frozen=True, slots=True)
class RouterCurve:
    """What routing by predicted quality less price does, at every price that changes a choice.

    Attributes:
        usd_per_quality: float64[p], rising: the willingness to pay from which the choices hold.
        cost_usd: float64[p], mean of a request.
        quality: float64[p], mean.
        latency_ms: float64[p], mean, NaN where unknown.
    """

    usd_per_quality: Floats
    cost_usd: Floats
    quality: Floats
    latency_ms: Floats


def trace_router(predicted: Floats, table: OutcomeTable) -> RouterCurve:
    """Route each question to the model of the most predicted quality - mean cost / willingness.

    Exact: for each question the models that are ever chosen are the corners of the hull of its
    predictions over the models' mean costs, and its choice changes where the slope does.

    Args:
        predicted: float64[n, m].
        table: n complete requests.
    """
    price = table.cost_usd.mean(axis=0)
    by_price = np.lexsort((-predicted.mean(axis=0), price))
    changes: list[tuple[float, int, int, int]] = []
    first = np.empty(len(table), dtype=np.int64)
    for row in range(len(table)):
        corners = _climb(price[by_price], predicted[row, by_price])
        chosen = by_price[corners]
        first[row] = chosen[0]
        for low, high in zip(chosen[:-1].tolist(), chosen[1:].tolist(), strict=True):
            gained = predicted[row, high] - predicted[row, low]
            changes.append(((price[high] - price[low]) / gained, row, low, high))
    rows = np.arange(len(table))
    changes.sort()
    at = np.array([change[1:] for change in changes], dtype=np.int64).reshape(-1, 3)
    worth = np.array([change[0] for change in changes])
    ends = np.flatnonzero(np.diff(worth, append=np.inf) > 0)

    def follow(values: Floats) -> Floats:
        start = values[rows, first].sum()
        steps = np.cumsum(values[at[:, 0], at[:, 2]] - values[at[:, 0], at[:, 1]])
        return np.concatenate([[start], start + steps[ends]]) / len(table)

    return RouterCurve(
        np.concatenate([[0.0], worth[ends]]),
        follow(table.cost_usd),
        follow(table.quality),
        follow(table.latency_ms),
    )


def _climb(price: Floats, predicted: Floats) -> list[int]:
    """The corners, from the cheapest, of the hull that rises; prices rise already."""
    corners: list[int] = []
    for one in range(len(price)):
        if corners and predicted[one] <= predicted[corners[-1]]:
            continue
        if corners and price[one] == price[corners[-1]]:
            corners.pop()
        while len(corners) > 1:
            low, high = corners[-2:]
            before = (predicted[high] - predicted[low]) * (price[one] - price[high])
            after = (predicted[one] - predicted[high]) * (price[high] - price[low])
            if after < before:
                break
            corners.pop()
        corners.append(one)
    return corners
