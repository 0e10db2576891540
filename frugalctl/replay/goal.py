"""What a user wants of a cascade, and the choice on a front that meets it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.levers.cascade.front import SLACK, Front, choose_by_willingness
from frugalctl.levers.cascade.policy import CascadePolicy

_BUDGET = re.compile(r"\$?(?P<usd>[0-9.eE+-]+)\s*(?:/\s*(?P<per>[0-9]*)(?P<unit>[kKmM]?))?")
_UNITS = {"": 1, "k": 1_000, "m": 1_000_000}


@dataclass(frozen=True, slots=True)
class Goal:
    """What to optimise for.

    At most one of `max_quality_loss` and `usd_per_quality` chooses; the others are limits. With
    limits alone, the highest quality within them is chosen.

    Attributes:
        max_quality_loss: the cheapest policy that is certified to lose at most this of the
            reference's mean quality.
        confidence: of the certificate.
        budget_usd: the most that a request may cost on average.
        latency_p95_ms: the most that the 95th percentile of latency may be.
        usd_per_quality: the willingness to pay for one unit of mean quality, a request.
        reference: the model that the policy is compared with; None is the best single one.
    """

    max_quality_loss: float | None = None
    confidence: float = 0.95
    budget_usd: float | None = None
    latency_p95_ms: float | None = None
    usd_per_quality: float | None = None
    reference: str | None = None

    def __post_init__(self) -> None:
        if self.max_quality_loss is not None and self.usd_per_quality is not None:
            raise UsageError(
                "a bound on quality loss and a willingness to pay contradict each other",
                hint="the one asks for the cheapest policy, the other prices quality",
            )
        _require_between("--max-quality-loss", self.max_quality_loss, 0, 1)
        if not 0 < self.confidence < 1:
            raise UsageError(f"--confidence {self.confidence:g} is not between 0 and 1")
        for option, value in (
            ("--budget", self.budget_usd),
            ("--max-latency-p95", self.latency_p95_ms),
            ("--willingness-to-pay", self.usd_per_quality),
        ):
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{option} {value:g} is not above 0")


def _require_between(option: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value < high:
        raise UsageError(f"{option} {value:g} is not from {low} to below {high}")


def parse_budget(text: str) -> float:
    """USD a request, from "0.20/1k", "3/M" or "0.0002".

    Raises:
        UsageError: it is none of these.
    """
    match = _BUDGET.fullmatch(text.strip())
    try:
        assert match is not None
        per = int(match["per"] or 1) * _UNITS[(match["unit"] or "").lower()]
        return float(match["usd"]) / per
    except (AssertionError, ValueError, ZeroDivisionError):
        raise UsageError(
            f"--budget {text!r} is no budget", hint="such as 0.20/1k: USD for 1,000 requests"
        ) from None


def within_budget(front: Front, goal: Goal) -> Front:
    """The policies of a front that keep the budget.

    Raises:
        UsageError: none does.
    """
    if goal.budget_usd is None:
        return front
    allowed = np.flatnonzero(front.cost_usd <= goal.budget_usd * (1 + SLACK))
    if not len(allowed):
        limit = "" if goal.latency_p95_ms is None else " within the limit on latency"
        raise UsageError(
            f"no policy{limit} costs at most {goal.budget_usd * 1000:g} USD for 1,000 requests",
            hint=f"the cheapest costs {front.cost_usd.min() * 1000:.4g} USD",
        )
    return front.take(allowed)


def choose_policy(front: Front, goal: Goal) -> CascadePolicy:
    """The policy of a front that meets a goal without a certificate.

    With a willingness to pay the most quality less its price; else the highest quality within
    the limits, and the cheapest of equals.

    Raises:
        UsageError: no policy is within the limits.
    """
    allowed = within_budget(front, goal)
    if goal.usd_per_quality is not None:
        return allowed.policies[choose_by_willingness(allowed, goal.usd_per_quality)]
    return allowed.policies[int(np.argmax(allowed.quality))]
