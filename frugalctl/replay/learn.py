"""What a search judges answers and questions by: as logged, or learned from the log's own rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from frugalctl.errors import InputError, UsageError
from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.policy import SCORER_SUFFIX, CascadePolicy
from frugalctl.levers.cascade.table import Integers, OutcomeTable

if TYPE_CHECKING:
    from frugalctl.levers.cascade.router import Router
    from frugalctl.levers.cascade.scorer import AnswerScorer, Validation

SCORE_CHOICES = ("auto", "confidence", "agreement", "learned")
MOST_CHARGE = 1e9
ROUTER_CHOICES = ("none", "auto", "knn", "logistic", "boosting")


@dataclass(frozen=True, slots=True)
class LearnOptions:
    """What to judge by.

    Attributes:
        score: see `SCORE_CHOICES`, or a scorer's file. "auto" is the logged confidence where
            any is logged, else agreement, which needs nothing but the answers' texts.
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
            if value is not None and not 0 <= value <= MOST_CHARGE:
                raise UsageError(f"{option} {value:g} is not from 0 to {MOST_CHARGE:g}")

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
        validation: how a learned scorer compares with the logged confidence, model by model.
        routing: kind of router -> its squared error, by which one was chosen.
    """

    judges: Judges
    scorer: AnswerScorer | None = None
    router: Router | None = None
    fresh: tuple[str, ...] = ()
    validation: tuple[Validation, ...] = ()
    routing: dict[str, float] | None = None

    def judge(self, table: OutcomeTable) -> Judges:
        """Judge other rows by what was learned."""
        routes = None
        if self.router is not None:
            routes = self.router.score_models(table.questions, table.models)
        return replace(
            self.judges,
            scores=table.confidence if self.scorer is None else self.scorer.score_table(table),
            routes=routes,
            answers=None if self.judges.answers is None else _code(table),
        )

    def needs(self, policy: CascadePolicy) -> bool:
        """Whether a policy needs the scorer or the router."""
        return policy.router is not None or (
            self.scorer is not None and policy.score == self.judges.score
        )

    def settle(self, policy: CascadePolicy) -> CascadePolicy:
        """The policy without the scorer, where its models keep their logged confidence.

        It needs no file then, and takes no time.
        """
        scorer = self.scorer
        if scorer is None or policy.score != self.judges.score:
            return policy
        asked = [name for name, ask in zip(policy.models, policy.asked, strict=False) if ask]
        used = [scorer.predictors[scorer.models.index(name)] for name in asked]
        if any(one is not None for one in used):
            return policy
        return replace(policy, score="confidence", score_ms=0.0)

    def save(self, folder: Path, policies: Sequence[CascadePolicy]) -> list[str]:
        """Write what was learned here, and policies use, into a folder; the names of the files.

        Raises:
            OutputError: a file cannot be written.
        """
        from frugalctl.levers.cascade.model_files import save_router, save_scorer

        named = {name for policy in policies for name in (policy.score, policy.router)}
        saved: list[str] = []
        for what, name, model, save in (
            ("scorer", self.judges.score, self.scorer, save_scorer),
            ("router", self.judges.router, self.router, save_router),
        ):
            if what in self.fresh and name in named and name is not None:
                keep: Any = save
                keep(model, str(folder / name))
                saved.append(name)
        return saved


def resolve_options(table: OutcomeTable, options: LearnOptions) -> LearnOptions:
    """The options without "auto" scores, once it is known what the log has.

    Raises:
        InputError: the log lacks what the options need.
    """
    score = options.score
    confident = bool((~np.isnan(table.confidence)).any())
    if score == "auto":
        score = "confidence" if confident or not _has_answers(table) else "agreement"
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
    from frugalctl.levers.cascade.model_files import load_scorer
    from frugalctl.levers.cascade.scorer import SCORE_MS, fit_scorer

    score_ms = SCORE_MS if options.score_ms is None else options.score_ms
    judges = replace(learned.judges, score_ms=score_ms)
    if options.score != "learned":
        scorer = load_scorer(options.score)
        judges = replace(judges, scores=scorer.score_table(table), score=options.score)
        return replace(learned, judges=judges, scorer=scorer)
    fitted = fit_scorer(table, seed=options.seed)
    if not fitted.pays:
        # nothing beats the logged confidence, which needs no file and no time
        return replace(learned, validation=fitted.validation)
    judges = replace(judges, scores=fitted.scores, score=options.scorer_name)
    return replace(
        learned,
        judges=judges,
        scorer=fitted.scorer,
        fresh=("scorer",),
        validation=fitted.validation,
    )


def _learn_router(learned: Learned, table: OutcomeTable, options: LearnOptions) -> Learned:
    from frugalctl.levers.cascade.model_files import load_router
    from frugalctl.levers.cascade.router import ROUTE_MS, fit_router

    if options.router not in ROUTER_CHOICES:
        router = load_router(options.router)
        routes = router.score_models(table.questions, table.models)
        judges = replace(learned.judges, routes=routes, router=options.router, route_ms=ROUTE_MS)
        return replace(learned, judges=judges, router=router)
    fitted = fit_router(table, options.router, seed=options.seed)
    if fitted.router.kind == "mean":
        return replace(learned, routing=fitted.errors)
    judges = replace(
        learned.judges, routes=fitted.routes, router=options.router_name, route_ms=ROUTE_MS
    )
    fresh = (*learned.fresh, "router")
    return replace(learned, judges=judges, router=fitted.router, fresh=fresh, routing=fitted.errors)


def _has_answers(table: OutcomeTable) -> bool:
    return any(text for column in table.responses for text in column)


def _code(table: OutcomeTable) -> Integers:
    from frugalctl.levers.cascade.agreement import code_answers

    return code_answers(table.responses)
