"""What other models would have been worth, from a log with one answer a request.

Such a log does not say what another model would have answered. Where the model was chosen at
random, with a known chance, the mean of each model can still be estimated, by giving each request
the weight that makes up for those that went elsewhere. Nothing can be said of cascades: what comes
after a bad answer was never drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frugalctl.errors import InputError
from frugalctl.levers.cascade.heldout import bootstrap, sum_clusters
from frugalctl.levers.cascade.splits import fold_rows
from frugalctl.levers.cascade.table import Floats, Mask, OutcomeTable

FOLDS = 5


@dataclass(frozen=True, slots=True)
class Estimate:
    """What one model would be worth if it answered every request.

    Attributes:
        model: its name.
        rows: requests that it did answer, with a known quality and chance.
        effective_rows: how many requests of equal weight would tell as much (Kish, 1965).
        ips: mean quality by inverse propensity (Horvitz and Thompson, 1952).
        snips: the same over the sum of the weights (Swaminathan and Joachims, 2015).
        quality: doubly robust (Dudik, Langford, Li, 2011): a guess, mended by the weighted errors
            of the guess on the answers that are known.
        quality_ci95: its interval, by session.
        cost_usd: mean cost of a request, by the same estimator; NaN where costs are unknown.
    """

    model: str
    rows: int
    effective_rows: float
    ips: float
    snips: float
    quality: float
    quality_ci95: tuple[float, float]
    cost_usd: float


def estimate_models(table: OutcomeTable, *, seed: int = 0) -> tuple[Estimate, ...]:
    """Estimate every model of a log with one answer a request.

    Args:
        table: requests with an observed model each; those without a chance or a quality count
            for nothing.
        seed: of the parts and the bootstrap.

    Raises:
        InputError: no request says with which chance its model was chosen, or some say that
            there was no choice.
    """
    row = np.arange(len(table))
    seen = (table.observed >= 0) & ~np.isnan(table.propensity)
    seen[seen] &= ~np.isnan(table.quality[row[seen], table.observed[seen]])
    if not seen.any():
        raise InputError(
            "no request has a propensity and a quality",
            hint="log `propensity`, the chance with which a random choice fell on the model",
        )
    if (table.propensity[seen] == 1).all() and len(set(table.observed[seen].tolist())) > 1:
        raise InputError(
            "all propensities are 1: the models were not chosen at random, so that requests that "
            "went to one say nothing of another",
            hint="send a share of the requests to a model drawn at random, and log its chance",
        )
    part = table.take(np.flatnonzero(seen))
    return tuple(_estimate(part, model, seed) for model in range(len(table.models)))


def _estimate(part: OutcomeTable, model: int, seed: int) -> Estimate:
    drawn = part.observed == model
    weight = np.where(drawn, 1 / part.propensity, 0.0)
    total = float(weight.sum())
    quality = np.where(drawn, part.quality[:, model], 0.0)
    terms = _robust_terms(part, weight, quality, drawn, seed)
    groups = np.unique(part.clusters, return_inverse=True)[1]
    sums = sum_clusters([terms, np.ones(len(part))], groups)
    [interval] = bootstrap(sums, [lambda one: one[0] / one[1]], seed)
    cost = np.where(drawn, part.cost_usd[:, model], 0.0)
    nothing = not drawn.any()
    unknown = float("nan")
    return Estimate(
        model=part.models[model],
        rows=int(drawn.sum()),
        effective_rows=0.0 if nothing else total**2 / float((weight**2).sum()),
        ips=unknown if nothing else float((weight * quality).mean()),
        snips=unknown if nothing else float((weight * quality).sum()) / total,
        quality=unknown if nothing else float(terms.mean()),
        quality_ci95=(unknown, unknown) if nothing else interval,
        cost_usd=unknown
        if nothing
        else float(_robust_terms(part, weight, cost, drawn, seed).mean()),
    )


def _robust_terms(
    part: OutcomeTable, weight: Floats, value: Floats, drawn: Mask, seed: int
) -> Floats:
    """float64[n] whose mean is the doubly robust estimate.

    The guess is the weighted mean of other sessions' answers, so no row's guess has seen it.
    """
    count = len(np.unique(part.clusters))
    guess = np.empty(len(part))
    fold = fold_rows(part, min(FOLDS, count), seed) if count > 1 else np.zeros(len(part), int)
    for number in range(int(fold.max()) + 1):
        inside = fold == number
        others = ~inside & drawn if count > 1 else drawn
        base = others if others.any() else drawn
        sums = float(weight[base].sum())
        guess[inside] = float((weight[base] * value[base]).sum()) / sums if sums else 0.0
    return guess + weight * (value - np.where(drawn, guess, 0.0)) * drawn


@dataclass(frozen=True, slots=True)
class BudgetFit:
    """Which models a budget pays for, by price alone: what quality that costs is unknown.

    Attributes:
        cost_usd: model -> mean cost of a request if it answered all of them.
        observed_usd: mean cost as observed.
        cheapest: the cheapest model.
        kept_share: the largest share of the requests that may stay where they were sent, drawn
            at random, if the rest go to the cheapest; NaN if even that costs too much.
    """

    cost_usd: dict[str, float]
    observed_usd: float
    cheapest: str
    kept_share: float


def fit_budget(cost_usd: dict[str, float], observed_usd: float, budget_usd: float) -> BudgetFit:
    """Fit a budget by price alone.

    Args:
        cost_usd: model -> mean cost of a request.
        observed_usd: mean cost of a request as observed.
        budget_usd: what it may be.
    """
    cheapest = min(cost_usd, key=lambda model: (cost_usd[model], model))
    low = cost_usd[cheapest]
    if observed_usd <= budget_usd:
        share = 1.0
    elif low > budget_usd:
        share = float("nan")
    else:
        share = (budget_usd - low) / (observed_usd - low)
    return BudgetFit(cost_usd, observed_usd, cheapest, share)
