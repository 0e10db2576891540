"""What a cascade's steps are judged by while a log is replayed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.errors import ConfigError
from frugalctl.levers.cascade import CascadePolicy
from frugalctl.levers.cascade.judges import score_agreement
from frugalctl.levers.cascade.policy import SCORES
from frugalctl.log.schema import LogBatch
from frugalctl.log.texts import read_asked
from frugalctl.replay.answers import Answers
from frugalctl.replay.ledger import Floats, Integers

if TYPE_CHECKING:
    from frugalctl.levers.cascade.router import Router
    from frugalctl.levers.cascade.scorer import AnswerScorer


@dataclass(frozen=True, slots=True)
class Judge:
    """The scorers and routers of a recipe, by their files' names.

    Attributes:
        scorers: file -> scorer.
        routers: file -> router.
    """

    scorers: dict[str, AnswerScorer] = field(default_factory=dict[str, "AnswerScorer"])
    routers: dict[str, Router] = field(default_factory=dict[str, "Router"])

    def score_steps(
        self,
        batch: LogBatch,
        answers: Answers,
        policy: CascadePolicy,
        index: Sequence[Integers],
    ) -> list[Floats]:
        """What `decide` compares at each step of a policy but the last.

        Args:
            batch: n requests, with their texts where the policy needs them.
            answers: their answers.
            policy: the policy, of k models.
            index: k arrays int64[n], each request's answer of that model, -1 without one.

        Returns:
            k - 1 arrays float64[n], NaN where there is no score.
        """
        if policy.score == "agreement":
            found = _score_agreement(batch, index, policy.asked)
        elif policy.score in SCORES:
            found = [
                np.where(at >= 0, answers.confidence[at], np.nan)
                for at in index[: len(policy.thresholds)]
            ]
        else:
            found = self._score_answers(batch, answers, policy, index)
        if policy.router is None:
            return found
        routes = self._score_routes(batch, policy)
        return [
            score if is_asked else route
            for score, route, is_asked in zip(found, routes, policy.asked, strict=True)
        ]

    def _score_answers(
        self,
        batch: LogBatch,
        answers: Answers,
        policy: CascadePolicy,
        index: Sequence[Integers],
    ) -> list[Floats]:
        scorer = self.scorers[policy.score]
        questions = read_asked(batch.column("messages"))
        texts = response_texts(batch)
        found: list[Floats] = []
        for model, at, is_asked in zip(policy.models, index, policy.asked, strict=False):
            scores = np.full(len(at), np.nan)
            rows = np.flatnonzero(at >= 0) if is_asked else np.empty(0, dtype=np.int64)
            picked = at[rows]
            scores[rows] = scorer.score(
                model,
                [questions[row] for row in rows.tolist()],
                texts[picked].tolist(),
                answers.confidence[picked],
            )
            found.append(scores)
        return found

    def _score_routes(self, batch: LogBatch, policy: CascadePolicy) -> list[Floats]:
        assert policy.router is not None
        router = self.routers[policy.router]
        scores = router.score(read_asked(batch.column("messages")))
        return [scores[:, router.models.index(model)] for model in policy.models[:-1]]


NO_JUDGE = Judge()


def load_judge(policies: Iterable[CascadePolicy]) -> Judge:
    """Read the scorers and routers that policies name.

    Raises:
        InputError: a file that is not what it should be.
        ConfigError: a scorer or router that does not know a model of its policy.
    """
    judge = Judge()
    for policy in policies:
        if policy.score not in SCORES and policy.score not in judge.scorers:
            from frugalctl.levers.cascade.model_files import load_scorer

            judge.scorers[policy.score] = load_scorer(policy.score)
        if policy.router is not None and policy.router not in judge.routers:
            from frugalctl.levers.cascade.model_files import load_router

            judge.routers[policy.router] = load_router(policy.router)
        _refuse_strangers(policy, judge)
    return judge


def _refuse_strangers(policy: CascadePolicy, judge: Judge) -> None:
    steps = list(zip(policy.models, policy.kinds, strict=False))
    asked = [model for model, step in steps if step == "ask"]
    routed = [model for model, step in steps if step == "route"]
    for name, files, models in (
        (policy.score, judge.scorers, asked),
        (policy.router or "", judge.routers, routed),
    ):
        known = files[name].models if name in files else models
        unknown = [model for model in models if model not in known]
        if unknown:
            raise ConfigError(
                f"{name} was not made for {', '.join(unknown)}", hint=f"it knows {', '.join(known)}"
            )


def needs_texts(policies: Iterable[CascadePolicy]) -> bool:
    """Whether replaying the policies needs the log's questions or responses."""
    return any(policy.score != "confidence" or policy.router is not None for policy in policies)


def _score_agreement(
    batch: LogBatch, index: Sequence[Integers], asked: Sequence[bool]
) -> list[Floats]:
    from frugalctl.levers.cascade.agreement import code_answers

    texts = response_texts(batch)
    # numpy's -1 is the last text, and an answer that is not there has none.
    responses = [
        [texts[one] if one >= 0 else None for one in cast("list[int]", at.tolist())] for at in index
    ]
    codes = code_answers(responses)
    return score_agreement([codes[:, step] for step in range(len(index))], asked)


def response_texts(batch: LogBatch) -> NDArray[np.object_]:
    """The texts of all answers of a batch, in the order of `Answers`; None where unknown."""
    known = [batch.column("response")]
    outcomes = batch.column("outcomes")
    if outcomes.null_count < len(outcomes):
        known.append(outcomes.flatten().field("response"))
    return pa.concat_arrays(known).to_numpy(zero_copy_only=False)
