"""A policy of which it is certified that it loses no more quality than allowed.

Policies are searched on one part of the rows and tested on the other. The tests go from the
policy that seems safest to ever cheaper ones and stop at the first that fails: a fixed sequence,
each test of which may use the whole error probability (Bauer, "Multiple testing in clinical
trials", 1991; Angelopoulos et al., "Learn then Test", 2021). So with at least the confidence
asked for, the policy that passed last loses at most the bound, on the distribution that the log
was drawn from, however many policies were searched.

The reference model is chosen by all the rows. That flatters it on the rows of the tests if it
does anything, which makes them stricter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.levers.cascade.front import evaluate
from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.loss_test import lost_p_value, needed_rows
from frugalctl.levers.cascade.policy import CascadePolicy
from frugalctl.levers.cascade.table import Floats, Integers, OutcomeTable

SEARCH_SHARE = 0.3
"""Of the rows that policies are searched on: the tests need more of them than the search."""

MOST_TESTS = 20
MOST_CANDIDATES = 400
_RANKING_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was tested, and what came of it.

    Attributes:
        policy: the certified one; the reference model alone if none is.
        reference: the model that the loss is against.
        granted: whether a policy is certified.
        reason: in words, why or why not.
        max_loss: the bound on the loss of mean quality.
        confidence: that it holds.
        rows_search: rows that policies were searched on.
        rows_test: rows that they were tested on.
        tested: how many policies were tested.
        p_value: of the certified policy's test, or of the first one, which failed; NaN if no
            policy was tested.
        observed_loss: of that policy, on the rows of the test.
        rows_needed: about how many rows the log would need for the first policy to pass if its
            loss is what was observed; None where more rows would not help.
    """

    policy: CascadePolicy
    reference: str
    granted: bool
    reason: str
    max_loss: float
    confidence: float
    rows_search: int
    rows_test: int
    tested: int
    p_value: float
    observed_loss: float
    rows_needed: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows of the log, all complete, and their judges."""

    table: OutcomeTable
    judges: Judges


def certify(
    candidates: Sequence[CascadePolicy],
    search: Part,
    test: Part,
    reference: str,
    max_loss: float,
    confidence: float,
) -> Certificate:
    """The cheapest candidate whose loss against a model is certified.

    Args:
        candidates: policies found without the rows of the test.
        search: the rows that they were found on.
        test: rows that had no part in finding them.
        reference: a model of both.
        max_loss: the bound on mean quality lost, from 0 to below 1.
        confidence: in (0, 1).
    """
    chosen = order_candidates(candidates, search, len(test.table), reference, max_loss)
    error = 1 - confidence
    passed: tuple[CascadePolicy, float, float] | None = None
    tested, first = 0, (float("nan"), float("nan"))
    needed: int | None = None
    for policy in chosen:
        loss = loss_of(policy, test, reference)
        p_value = lost_p_value(loss, test.table.clusters, max_loss)
        tested += 1
        if tested == 1:
            first = (p_value, float(loss.mean()))
            if p_value > error:
                share = 1 + len(search.table) / len(test.table)
                rows = needed_rows(p_value, loss, test.table.clusters, max_loss, error)
                needed = None if rows is None else math.ceil(share * rows)
        if p_value > error:
            break
        passed = policy, p_value, float(loss.mean())
    return Certificate(
        policy=CascadePolicy((reference,), ()) if passed is None else passed[0],
        reference=reference,
        granted=passed is not None,
        reason=_explain(passed is not None, tested, first, max_loss, confidence, needed),
        max_loss=max_loss,
        confidence=confidence,
        rows_search=len(search.table),
        rows_test=len(test.table),
        tested=tested,
        p_value=first[0] if passed is None else passed[1],
        observed_loss=first[1] if passed is None else passed[2],
        rows_needed=needed,
    )


def _explain(
    granted: bool,
    tested: int,
    first: tuple[float, float],
    max_loss: float,
    confidence: float,
    needed: int | None,
) -> str:
    if granted:
        return f"the loss is at most {max_loss:g} with a confidence of {confidence:g}"
    if not tested:
        return (
            f"no policy searched is cheaper than the best single model and within {max_loss:g} of "
            "its quality"
        )
    if needed is not None and first[1] >= max_loss:
        return (
            f"the log is too thin: at least {needed:,} rows are needed even where nothing is lost, "
            f"and the safest policy found loses {first[1]:.4f} on the rows of its test"
        )
    thin = (
        f"the safest policy found loses {first[1]:.4f} on the rows of its test, which does not "
        f"prove at most {max_loss:g} with a confidence of {confidence:g}"
    )
    if needed is None:
        return (
            f"{thin}; as that is no less than the bound, more rows like these would not change it"
        )
    return f"{thin}: the log is too thin, about {needed:,} rows are needed"


def loss_of(policy: CascadePolicy, part: Part, reference: str) -> Floats:
    """float64[n], the reference's quality less the policy's, row by row."""
    found = evaluate(part.table, policy, part.judges)
    return part.table.quality[:, part.table.models.index(reference)] - found.quality


def order_candidates(
    candidates: Sequence[CascadePolicy],
    search: Part,
    rows_test: int,
    reference: str,
    max_loss: float,
) -> list[CascadePolicy]:
    """The sequence of the tests: from what is most likely to pass to what is cheapest.

    A candidate is left out if another is as likely to pass and costs less. How likely, is told
    by the distance of its loss from the bound in standard errors of the test, on the rows of the
    search, where a gain in quality counts as none: the best of many was lucky.
    """
    rows = np.arange(len(search.table))
    if len(rows) > _RANKING_ROWS:
        rows = np.sort(np.random.default_rng(0).choice(rows, _RANKING_ROWS, replace=False))
    part = Part(search.table.take(rows), search.judges.take(rows))
    base_usd = part.table.cost_usd[:, part.table.models.index(reference)].mean()
    ranked: list[tuple[float, float, CascadePolicy]] = []
    for policy in _thin_out(candidates):
        cost_usd = evaluate(part.table, policy, part.judges).cost_usd.mean()
        loss = loss_of(policy, part, reference)
        if cost_usd >= base_usd or loss.mean() > max_loss:
            continue
        # a loss that was never seen may still be there: one row's worth of variance is added
        deviation = np.sqrt((loss.var() + 1 / len(rows)) / rows_test)
        ranked.append(((max_loss - max(loss.mean(), 0.0)) / deviation, float(cost_usd), policy))
    ranked.sort(key=lambda one: (-one[0], one[1]))
    sequence: list[CascadePolicy] = []
    cheapest = np.inf
    for _, cost_usd, policy in ranked:
        if cost_usd < cheapest:
            cheapest = cost_usd
            sequence.append(policy)
    return [sequence[at] for at in _spread(len(sequence), MOST_TESTS)]


def _thin_out(candidates: Sequence[CascadePolicy]) -> list[CascadePolicy]:
    return [candidates[at] for at in _spread(len(candidates), MOST_CANDIDATES)]


def _spread(count: int, most: int) -> list[int]:
    """At most so many indices, evenly from the first to the last."""
    if count <= most:
        return list(range(count))
    at: Integers = np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))
    return at.tolist()
