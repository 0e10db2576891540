"""A cascade policy and what it decides for each request.

Source: Chen, Zaharia, Zou, "FrugalGPT" (2023): models are called in order, and the first answer
whose score reaches its threshold is the answer; the last model always answers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import ConfigError

SCORES = ("confidence",)
"""The fields of an outcome that a cascade can stop on."""


@dataclass(frozen=True, slots=True)
class CascadePolicy:
    """Which models to call, in which order, and when to stop.

    Attributes:
        models: names as the log's outcomes write them, called in this order.
        thresholds: one for each model but the last; an answer stands if its score is at least
            this. A missing score never stands.
        score: the outcome's field that is compared.

    Raises:
        ConfigError: no model, a model twice, a wrong number of thresholds, NaN, unknown score.
    """

    models: tuple[str, ...]
    thresholds: tuple[float, ...]
    score: str = "confidence"

    def __post_init__(self) -> None:
        if not self.models:
            raise ConfigError("[cascade] models is empty")
        if len(set(self.models)) != len(self.models):
            raise ConfigError("[cascade] models names a model twice")
        if len(self.thresholds) != len(self.models) - 1:
            raise ConfigError(
                f"[cascade] {len(self.models)} models need {len(self.models) - 1} thresholds, "
                f"not {len(self.thresholds)}",
                hint="the last model always answers and has none",
            )
        if any(math.isnan(threshold) for threshold in self.thresholds):
            raise ConfigError("[cascade] a threshold is NaN")
        if self.score not in SCORES:
            raise ConfigError(
                f"[cascade] unknown score {self.score!r}", hint=f"known: {', '.join(SCORES)}"
            )


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a cascade did with n requests.

    Attributes:
        calls: int64[n], how many models were called (they are the first so many).
        covered: bool[n], false where an outcome that was needed is not in the log; `calls` then
            counts up to and including the missing one.
    """

    calls: NDArray[np.int64]
    covered: NDArray[np.bool_]


def decide(
    policy: CascadePolicy,
    present: Sequence[NDArray[np.bool_]],
    scores: Sequence[NDArray[np.float64]],
) -> Decisions:
    """Follow the policy over n requests.

    Args:
        policy: the policy, of m models.
        present: m arrays bool[n], whether the log has that model's outcome.
        scores: m arrays float64[n], that outcome's score, NaN where it has none.
    """
    rows = len(present[0])
    calls = np.zeros(rows, dtype=np.int64)
    covered = np.ones(rows, dtype=np.bool_)
    going = np.ones(rows, dtype=np.bool_)
    for step in range(len(policy.models)):
        calls[going] += 1
        covered &= ~going | present[step]
        going &= present[step]
        if step < len(policy.thresholds):
            with np.errstate(invalid="ignore"):
                going &= ~(scores[step] >= policy.thresholds[step])
    return Decisions(calls, covered)
