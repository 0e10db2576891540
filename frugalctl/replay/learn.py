"""What a search judges answers and questions by: as logged, or learned from the log's own rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from frugalctl.errors import InputError, UsageError
from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.policy import SCORER_SUFFIX
from frugalctl.levers.cascade.table import Floats, OutcomeTable

if TYPE_CHECKING:
    from frugalctl.levers.cascade.router import Router
    from frugalctl.levers.cascade.scorer import AnswerScorer

SCORE_CHOICES = ("auto", "confidence", "agreement", "learned")
ROUTER_CHOICES = ("none", "auto", "knn", "logistic", "boosting")


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """What to judge by.

    Attributes:
        score: see `SCORE_CHOICES`, or a scorer's file. "auto" is the logged confidence where
            any is logged, else a scorer learned from the texts.
        router: see `ROUTER_CHOICES`, or a router's file.
        score_ms: what scoring one answer takes; None is the scorer's own figure, 0 without one.
        score_usd: what scoring one answer costs.
        scorer_name: what a recipe calls a scorer that was learned.
        router_name: what a recipe calls a router that was learned.
        seed: of the training.
    """

    score: str = "auto"
    router: str = "none"
    score_ms: float | None = None
    score_usd: float = 0.0
    scorer_name: str = "cascade.scorer.npz"
    router_name: str = "cascade.router.npz"
    seed: int = 0

    def __post_init__(self) -> None:
        for option, value, known in (
            ("--score", self.score, SCORE_CHOICES),
            ("--router", self.router, ROUTER_CHOICES),
        ):
            if value not in known and not value.endswith(SCORER_SUFFIX):
                raise UsageError(
                    f"{option} {value} is not known", hint=f"{', '.join(known)}, or FILE.npz"
                )
        for option, value in (("--score-ms", self.score_ms), ("--score-usd", self.score_usd)):
            if value is not None and not 0 <= value < np.inf:
                raise UsageError(f"{option} {value:g} is not a number of at least 0")

    @property
    def needs_texts(self) -> bool:
        """Whether questions and responses have to be read."""
        return self.score != "confidence" or self.router != "none"


@dataclass(frozen=True, slots=True)
class Learned:
    """Judges of the rows that they were learned from, and what judges other rows.

    Attributes:
        judges: of the rows learned from; none is judged by what saw its own quality.
        scorer: the learned or given scorer, if there is one.
        router: the learned or given router, if there is one.
        fresh: which of the two were learned here, and have to be kept: "scorer", "router".
    """

    judges: Judges
    scorer: AnswerScorer | None = None
    router: Router | None = None
    fresh: tuple[str, ...] = ()

    def judge(self, table: OutcomeTable) -> Judges:
        """Judge other rows by what was learned."""
        return replace(
            self.judges,
            scores=table.confidence if self.scorer is None else self.scorer.score_table(table),
            routes=None if self.router is None else self.router.score(table.questions),
            answers=None if self.judges.answers is None else _code(table),
        )

    def save(self, folder: Path) -> None:
        """Write what was learned here into a folder, under the names that policies use.

        Raises:
            OutputError: a file cannot be written.
        """
        if self.scorer is not None and "scorer" in self.fresh:
            from frugalctl.levers.cascade.scorer import save_scorer

            save_scorer(self.scorer, str(folder / self.judges.score))
        if self.router is not None and "router" in self.fresh:
            from frugalctl.levers.cascade.router import save_router

            save_router(self.router, str(folder / (self.judges.router or "")))


def resolve_options(table: OutcomeTable, options: LearnOptions) -> LearnOptions:
    """The options without "auto" scores, once it is known what the log has.

    Raises:
        InputError: the log lacks what the options need.
    """
    score = options.score
    confident = bool((~np.isnan(table.confidence)).any())
    if score == "auto":
        score = "confidence" if confident or not _has_answers(table) else "learned"
    elif score == "confidence" and not confident:
        raise InputError(
            "no outcome has a confidence, so no cascade can stop on it",
            hint="--score learned or --score agreement judge the answers' texts",
        )
    if score in ("learned", "agreement") and not _has_answers(table):
        raise InputError(f"--score {score} needs the answers' texts, and the log has none")
    if options.router != "none" and not any(table.questions):
        raise InputError("--router needs the questions, and the log has no messages")
    return replace(options, score=score)


def learn(table: OutcomeTable, options: LearnOptions) -> Learned:
    """Learn what the options ask for from the rows of a table.

    Args:
        table: the rows; with texts, unless only the confidence is asked for.
        options: as `resolve_options` leaves them.
    """
    judges = Judges(table.confidence, score_usd=options.score_usd, score_ms=options.score_ms or 0.0)
    if options.score == "agreement":
        judges = replace(judges, answers=_code(table), score="agreement")
    learned = Learned(judges)
    if options.score not in SCORE_CHOICES or options.score == "learned":
        learned = _learn_scorer(learned, table, options)
    return learned if options.router == "none" else _learn_router(learned, table, options)


def _learn_scorer(learned: Learned, table: OutcomeTable, options: LearnOptions) -> Learned:
    from frugalctl.levers.cascade.scorer import (
        SCORE_MS,
        cross_fit_scores,
        fit_scorer,
        load_scorer,
    )

    score_ms = SCORE_MS if options.score_ms is None else options.score_ms
    if options.score == "learned":
        scorer = fit_scorer(table, seed=options.seed)
        scores = cross_fit_scores(table, scorer, seed=options.seed)
        name, fresh = options.scorer_name, ("scorer",)
    else:
        scorer = load_scorer(options.score)
        scores = scorer.score_table(table)
        name, fresh = options.score, ()
    judges = replace(learned.judges, scores=scores, score=name, score_ms=score_ms)
    return replace(learned, judges=judges, scorer=scorer, fresh=fresh)


def _learn_router(learned: Learned, table: OutcomeTable, options: LearnOptions) -> Learned:
    from frugalctl.levers.cascade.router import (
        ROUTE_MS,
        cross_fit_routes,
        fit_router,
        load_router,
    )

    fresh = learned.fresh
    routes: Floats
    if options.router in ROUTER_CHOICES:
        router = fit_router(table, options.router, seed=options.seed)
        if router.kind == "mean":
            return learned
        routes = cross_fit_routes(table, router.kind, seed=options.seed)
        name, fresh = options.router_name, (*fresh, "router")
    else:
        router = load_router(options.router)
        routes = router.score(table.questions)
        name = options.router
    judges = replace(learned.judges, routes=routes, router=name, route_ms=ROUTE_MS)
    return replace(learned, judges=judges, router=router, fresh=fresh)


def _has_answers(table: OutcomeTable) -> bool:
    return any(text for column in table.responses for text in column)


def _code(table: OutcomeTable) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    from frugalctl.levers.cascade.agreement import code_answers

    return code_answers(table.responses)
