"""A learned scorer: the chance that an answer is right, from the question and the answer.

FrugalGPT's scorer is a language model fitted on question and answer; this one reads static
vectors, the form of the texts and the logged confidence, so that it needs no GPU and no call. It
sees nothing of other models' answers: a cascade would have to pay for them first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.embed.base import Embedder, load_embedder
from frugalctl.errors import InputError
from frugalctl.levers.cascade.calibrate import auroc
from frugalctl.levers.cascade.features import (
    describe_answers,
    describe_questions,
    embed,
    find_axes,
)
from frugalctl.levers.cascade.predictors import Kind, Predictor, fit
from frugalctl.levers.cascade.splits import fold_rows
from frugalctl.levers.cascade.table import Floats, Integers, OutcomeTable

SCORE_MS = 0.5
"""What scoring one answer takes on one core (`benchmarks/answer_scorer.py`)."""

EMBEDDER = "static"
AXES = 16
FOLDS = 5
CONFIDENCE_NUMBERS = 3
"""The confidence, whether it is missing, and the cosine of question and answer."""

LEARNED: tuple[Kind, ...] = ("logistic", "boosting")
_RESAMPLES = 200
_CERTAIN = 1.645
"""Standard errors: one side of 95 %."""


@dataclass(frozen=True, slots=True)
class AnswerScorer:
    """Scores answers of some models.

    Attributes:
        models: m names.
        predictors: one a model; None where the logged confidence is as good, and is taken.
        axes: float64[d, AXES], of the vectors of questions and answers.
        fingerprint: of the embedder.
    """

    models: tuple[str, ...]
    predictors: tuple[Predictor | None, ...]
    axes: Floats
    fingerprint: str

    def score(
        self,
        model: str,
        questions: Sequence[str],
        answers: Sequence[str | None],
        confidence: Floats,
    ) -> Floats:
        """float64[n], NaN where there is no answer to score.

        Args:
            model: whose answers they are; one of `models`.
            questions: n texts.
            answers: n texts, None where unknown.
            confidence: float64[n] as logged, NaN where unknown.

        Raises:
            InputError: the scorer was fitted with another embedder than the one at hand.
        """
        predictor = self.predictors[self.models.index(model)]
        if predictor is None:
            return confidence
        embedder = load_embedder(EMBEDDER)
        if embedder.fingerprint != self.fingerprint:
            raise InputError(
                f"the scorer needs the vectors of {self.fingerprint}, not {embedder.fingerprint}",
                hint="fit it again with `frugalctl optimize LOG --score learned`",
            )
        rows = [at for at, text in enumerate(answers) if text is not None]
        found = np.full(len(answers), np.nan)
        if rows:
            texts = [answers[at] or "" for at in rows]
            numbers = _describe(
                embedder, self.axes, [questions[at] for at in rows], texts, confidence[rows]
            )
            found[rows] = predictor.predict(numbers)[:, 0]
        return found

    def score_table(self, table: OutcomeTable) -> Floats:
        """float64[n, m] for all outcomes of a table; models it was not fitted on have NaN."""
        columns = [
            self.score(name, table.questions, table.responses[at], table.confidence[:, at])
            if name in self.models
            else np.full(len(table), np.nan)
            for at, name in enumerate(table.models)
        ]
        return np.where(table.present, np.stack(columns, axis=1), np.nan)


@dataclass(frozen=True, slots=True)
class Validation:
    """How well one model's answers are told apart, on rows that had no part in the fit.

    Attributes:
        model: the model.
        rows: how many answers.
        auroc_confidence: of the logged confidence; NaN where there is none.
        auroc_learned: of the better learned predictor.
        kind: "confidence" or the learned predictor, whichever is used.
    """

    model: str
    rows: int
    auroc_confidence: float
    auroc_learned: float
    kind: str


@dataclass(frozen=True, slots=True)
class FittedScorer:
    """A scorer, and what it says of the rows that it was fitted on.

    Attributes:
        scorer: fitted on all rows.
        scores: float64[n, m]; each row is scored by predictors that were fitted without it.
        validation: one a model.
    """

    scorer: AnswerScorer
    scores: Floats
    validation: tuple[Validation, ...]

    @property
    def pays(self) -> bool:
        """Whether a learned predictor is used for any model."""
        return any(one is not None for one in self.scorer.predictors)


def fit_scorer(table: OutcomeTable, *, seed: int = 0, folds: int = FOLDS) -> FittedScorer:
    """Fit a scorer, and take it only where it beats the logged confidence.

    Each model has predictors of its own, logistic and boosted; all are fitted in turns on all
    but one part of the sessions and judged on that part. A learned one is used where its AUROC is
    above the confidence's with a confidence of 95 %.

    Args:
        table: requests with the texts of questions and answers.
        seed: of the parts.
        folds: how many parts.

    Raises:
        InputError: no texts, or fewer sessions than parts.
    """
    if not table.responses or not any(text for column in table.responses for text in column):
        raise InputError("a scorer needs the answers' texts, and the log has none")
    embedder = load_embedder(EMBEDDER)
    fold = fold_rows(table, folds, seed)
    asked = embed(embedder, table.questions)
    answered = [embed(embedder, [text or "" for text in column]) for column in table.responses]
    axes = find_axes(np.concatenate([asked, *answered]), AXES)
    found = [
        _fit_model(table, model, (asked, answered[model], axes), fold, seed)
        for model in range(len(table.models))
    ]
    scores = np.stack([one[1] for one in found], axis=1)
    return FittedScorer(
        AnswerScorer(table.models, tuple(one[0] for one in found), axes, embedder.fingerprint),
        np.where(table.present, scores, np.nan),
        tuple(one[2] for one in found),
    )


def _fit_model(
    table: OutcomeTable,
    model: int,
    vectors: tuple[Floats, Floats, Floats],
    fold: Integers,
    seed: int,
) -> tuple[Predictor | None, Floats, Validation]:
    answers = table.responses[model]
    confidence, quality = table.confidence[:, model], table.quality[:, [model]]
    written = np.array([text is not None for text in answers])
    numbers = _join(table.questions, [text or "" for text in answers], confidence, *vectors)
    usable = np.where(written[:, None], quality, np.nan)
    tried: dict[str, Floats] = {}
    for kind in LEARNED:
        scores = np.full(len(table), np.nan)
        for number in range(int(fold.max()) + 1):
            inside = fold == number
            fitted = fit(kind, numbers[~inside], usable[~inside], seed=seed)
            scores[inside] = fitted.predict(numbers[inside])[:, 0]
        tried[kind] = np.where(written, scores, np.nan)
    judged = np.flatnonzero(written & ~np.isnan(quality[:, 0]))
    right = quality[judged, 0]
    learned = {kind: auroc(scores[judged], right) for kind, scores in tried.items()}
    best: Kind = max(LEARNED, key=lambda kind: np.nan_to_num(learned[kind], nan=-1.0))
    known = judged[~np.isnan(confidence[judged])]
    wins = not len(known) or _wins(
        tried[best][known], confidence[known], quality[known, 0], table.clusters[known], seed
    )
    raw = auroc(confidence[known], quality[known, 0]) if len(known) else float("nan")
    validation = Validation(
        table.models[model], len(judged), raw, learned[best], best if wins else "confidence"
    )
    if not wins:
        return None, confidence, validation
    return fit(best, numbers, usable, seed=seed), tried[best], validation


def _wins(
    learned: Floats, confidence: Floats, right: Floats, clusters: Integers, seed: int
) -> bool:
    """Whether the AUROC of the learned scores is higher, with a confidence of 95 %."""
    gain = auroc(learned, right) - auroc(confidence, right)
    if not gain > 0:
        return False
    draw = np.random.default_rng(seed)
    groups = np.unique(clusters, return_inverse=True)[1]
    order = np.argsort(groups, kind="stable")
    members: list[Integers] = np.split(order, np.cumsum(np.bincount(groups))[:-1])
    gains: list[float] = []
    for _ in range(_RESAMPLES):
        picked: list[int] = draw.integers(len(members), size=len(members)).tolist()
        at = np.concatenate([members[one] for one in picked])
        gains.append(auroc(learned[at], right[at]) - auroc(confidence[at], right[at]))
    return bool(gain > _CERTAIN * np.nanstd(gains))


def _describe(
    embedder: Embedder,
    axes: Floats,
    questions: Sequence[str],
    answers: Sequence[str],
    confidence: Floats,
) -> Floats:
    vectors = embed(embedder, questions), embed(embedder, answers)
    return _join(questions, answers, confidence, *vectors, axes)


def _join(
    questions: Sequence[str],
    answers: Sequence[str],
    confidence: Floats,
    asked: Floats,
    answered: Floats,
    axes: Floats,
) -> Floats:
    """float64[n, f], all that is known of n answers."""
    missing = np.isnan(confidence)
    return np.concatenate(
        [
            np.where(missing, 0.0, confidence)[:, None],
            missing[:, None],
            (asked * answered).sum(axis=1, keepdims=True),
            describe_questions(questions),
            describe_answers(questions, answers),
            asked @ axes,
            answered @ axes,
        ],
        axis=1,
    )
