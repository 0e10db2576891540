"""A cascade policy and what it decides for each request.

Models are called in order, and the first answer whose score reaches its threshold is the answer;
the last model always answers (Chen, Zaharia, Zou, "FrugalGPT", 2023). A step may also *route*:
a router scores the question before anything is called, and the model is called, and answers, only
where that score reaches the threshold (Ong et al., "RouteLLM", 2024). Both in one policy are
cascade routing (Dekoninck, Baader, Vechev, "A Unified Approach to Routing and Cascading for
LLMs", 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import ConfigError

Step = Literal["ask", "route"]

SCORES = ("confidence", "agreement")
"""Scores that need no file: an outcome's own, and how many earlier answers an answer equals."""

SCORER_SUFFIX = ".npz"


@dataclass(frozen=True, slots=True)
class CascadePolicy:
    """Which models to call, in which order, and when to stop.

    Attributes:
        models: names as the log's outcomes write them, tried in this order. A model may stand
            twice: first routed to, later asked.
        thresholds: one for each model but the last; an answer stands, or a route is taken, if
            its score is at least this. A missing score never stands.
        score: what an answer is judged by: "confidence", "agreement", or a scorer's file.
        router: the file of the router that `route` steps ask; None without such steps.
        steps: "ask" or "route" for each model but the last; empty if all are asked.
        score_ms: what scoring one answer takes; the last model's answer is not scored.
        score_usd: what scoring one answer costs.
        route_ms: what scoring one question takes.

    Raises:
        ConfigError: no model, a model twice, a wrong number of thresholds or steps, NaN, an
            unknown score or step, a route without a router or a router without a route.
    """

    models: tuple[str, ...]
    thresholds: tuple[float, ...]
    score: str = "confidence"
    router: str | None = None
    steps: tuple[Step, ...] = ()
    score_ms: float = 0.0
    score_usd: float = 0.0
    route_ms: float = 0.0

    def __post_init__(self) -> None:
        _check_models(self)
        if any(math.isnan(threshold) for threshold in self.thresholds):
            raise ConfigError("[cascade] a threshold is NaN")
        if self.score not in SCORES and not self.score.endswith(SCORER_SUFFIX):
            raise ConfigError(
                f"[cascade] unknown score {self.score!r}",
                hint=f"known: {', '.join(SCORES)}, or a scorer's file (*{SCORER_SUFFIX})",
            )
        if ("route" in self.steps) != (self.router is not None):
            raise ConfigError(
                "[cascade] a route step needs a router, and a router a route step",
                hint='router = "FILE.npz", steps = ["route", ...]',
            )
        for name in ("score_ms", "score_usd", "route_ms"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"[cascade] {name} is not a number of at least 0")

    @property
    def kinds(self) -> tuple[Step, ...]:
        """The step of each model but the last."""
        return self.steps or ("ask",) * len(self.thresholds)

    @property
    def asked(self) -> tuple[bool, ...]:
        """Whether each model but the last is asked and its answer scored."""
        return tuple(kind == "ask" for kind in self.kinds)


def _check_models(policy: CascadePolicy) -> None:
    models, thresholds, steps = policy.models, policy.thresholds, policy.steps
    if not models:
        raise ConfigError("[cascade] models is empty")
    if len(thresholds) != len(models) - 1:
        raise ConfigError(
            f"[cascade] {len(models)} models need {len(models) - 1} thresholds, "
            f"not {len(thresholds)}",
            hint="the last model always answers and has none",
        )
    if steps and len(steps) != len(thresholds):
        raise ConfigError(f"[cascade] {len(thresholds)} thresholds and {len(steps)} steps")
    unknown = [step for step in steps if step not in ("ask", "route")]
    if unknown:
        raise ConfigError(f"[cascade] unknown step {unknown[0]!r}", hint="known: ask, route")
    met = set[tuple[str, str]]()
    for model, kind in zip(models, (*policy.kinds, "ask"), strict=True):
        if (model, kind) in met or (model, "ask") in met:
            raise ConfigError(
                "[cascade] models names a model twice",
                hint="a model may be routed to first and asked later, once each",
            )
        met.add((model, kind))


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a policy of k models did with n requests.

    Attributes:
        called: bool[k, n], whether each step called its model.
        answer: int64[n], the step whose answer stands; -1 where not covered.
        covered: bool[n], false where an outcome that was needed is not in the log; `called` then
            counts the missing one, and nothing after it.
    """

    called: NDArray[np.bool_]
    answer: NDArray[np.int64]
    covered: NDArray[np.bool_]

    @property
    def calls(self) -> NDArray[np.int64]:
        """int64[n], how many models were called."""
        return self.called.sum(axis=0)


def decide(
    policy: CascadePolicy,
    present: Sequence[NDArray[np.bool_]],
    scores: Sequence[NDArray[np.float64]],
) -> Decisions:
    """Follow the policy over n requests.

    Args:
        policy: the policy, of k models.
        present: k arrays bool[n], whether the log has that model's outcome.
        scores: k - 1 or k arrays float64[n]: of an asked model that answer's score, of a routed
            one the question's score for it; NaN where there is none.
    """
    rows = len(present[0])
    called = np.zeros((len(policy.models), rows), dtype=np.bool_)
    answer = np.full(rows, -1, dtype=np.int64)
    covered = np.ones(rows, dtype=np.bool_)
    going = np.ones(rows, dtype=np.bool_)
    for step, kind in enumerate((*policy.kinds, "last")):
        stands = np.ones(rows, dtype=np.bool_)
        if kind != "last":
            with np.errstate(invalid="ignore"):
                stands = scores[step] >= policy.thresholds[step]
        called[step] = going & stands if kind == "route" else going
        covered &= ~called[step] | present[step]
        going &= covered
        answer[going & stands] = step
        going &= ~stands
    return Decisions(called, answer, covered)


def parse_steps(values: Sequence[str]) -> tuple[Step, ...]:
    """Steps as a recipe writes them; `CascadePolicy` refuses unknown ones."""
    return cast("tuple[Step, ...]", tuple(values))
