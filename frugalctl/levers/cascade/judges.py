"""What answers and questions are judged by, for every request and model at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.levers.cascade.policy import CascadePolicy
from frugalctl.levers.cascade.table import Floats, Integers, OutcomeTable


@dataclass(frozen=True, slots=True)
class Judges:
    """Scores of n requests and m models, and what it takes to have them.

    Attributes:
        scores: float64[n, m], of the answers: the logged confidence or a scorer's; NaN where
            there is none.
        routes: float64[n, m], a router's score of each question for each model; None without
            a router.
        answers: int64[n, m], equal numbers within a row are equal answers, -1 is no answer;
            None where the texts were not read.
        score: what a policy calls `scores`: "confidence" or a scorer's file.
        router: what a policy calls `routes`.
        score_ms: what scoring one answer takes.
        score_usd: what scoring one answer costs.
        route_ms: what scoring one question takes.
    """

    scores: Floats
    routes: Floats | None = None
    answers: Integers | None = None
    score: str = "confidence"
    router: str | None = None
    score_ms: float = 0.0
    score_usd: float = 0.0
    route_ms: float = 0.0

    def take(self, rows: Integers) -> Judges:
        """The same of some of the requests, in the order of `rows`."""
        return replace(
            self,
            scores=self.scores[rows],
            routes=None if self.routes is None else self.routes[rows],
            answers=None if self.answers is None else self.answers[rows],
        )


def judge_by_log(table: OutcomeTable) -> Judges:
    """The logged confidence, and nothing else."""
    return Judges(table.confidence)


def score_steps(table: OutcomeTable, policy: CascadePolicy, judges: Judges) -> list[Floats]:
    """What `decide` compares at each step but the last, float64[n] each.

    Raises:
        UsageError: the policy needs routes or answers that are not there.
    """
    at = [table.models.index(name) for name in policy.models]
    if policy.router is not None and judges.routes is None:
        raise UsageError("the policy routes, but no router is given")
    agreement: list[Floats] = []
    if policy.score == "agreement":
        if judges.answers is None:
            raise UsageError("agreement needs the text of the answers")
        agreement = score_agreement([judges.answers[:, model] for model in at], policy.asked)
    found: list[Floats] = []
    for step, asked in enumerate(policy.asked):
        if not asked:
            assert judges.routes is not None
            found.append(judges.routes[:, at[step]])
        else:
            found.append(agreement[step] if agreement else judges.scores[:, at[step]])
    return found


def score_agreement(answers: Sequence[Integers], asked: Sequence[bool]) -> list[Floats]:
    """The share of the earlier answers of a cascade that each answer equals.

    Args:
        answers: for each step int64[n], see `Judges.answers`.
        asked: for each step but the last whether its model is asked; a route's answer, which
            ends the cascade, is no earlier answer of another.

    Returns:
        For each step but the last float64[n]; NaN before there is an earlier answer, or where
        the answer is unknown.
    """
    found: list[Floats] = []
    for step, is_asked in enumerate(asked):
        earlier = [answers[other] for other in range(step) if asked[other]] if is_asked else []
        if not earlier:
            found.append(np.full(len(answers[step]), np.nan))
            continue
        known = answers[step] >= 0
        equal = np.mean([(other == answers[step]) & known for other in earlier], axis=0)
        found.append(np.where(known, equal, np.nan))
    return found
