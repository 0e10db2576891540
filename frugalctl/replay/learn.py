"""What a search judges answers and questions by: as logged, or learned from the log's own rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.table import OutcomeTable

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

    @property
    def needs_texts(self) -> bool:
        """Whether questions and responses have to be read."""
        return self.score != "confidence" or self.router != "none"


@dataclass(frozen=True, slots=True)
class Learned:
    """Judges of the rows that they were learned from, and how to judge other rows.

    Attributes:
        judges: of the rows learned from; no row is judged by what saw its own quality.
        agreement: whether cascades may also stop on agreement.
        scorer: the learned or given scorer, if there is one.
        router: the learned or given router, if there is one.
        fresh: the names of those of the two that were learned here and have to be kept.
    """

    judges: Judges
    agreement: bool = False
    scorer: AnswerScorer | None = None
    router: Router | None = None
    fresh: tuple[str, ...] = ()

    def judge(self, table: OutcomeTable) -> Judges:
        """Judge other rows, by what was learned."""
        ...
