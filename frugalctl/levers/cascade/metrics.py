"""What the literature measures routers and cascades by, one definition each."""

from __future__ import annotations

import numpy as np

from frugalctl.levers.cascade.front import hull
from frugalctl.levers.cascade.table import Floats


def recovered_gap(quality: Floats, weak: float, strong: float) -> Floats:
    """PGR, the share of the gap between two models that is recovered (Ong et al., RouteLLM, 2024).

    Args:
        quality: float64[p], of policies that use the two.
        weak: quality of the weak model.
        strong: quality of the strong model.

    Returns:
        float64[p], 0 at the weak model's quality, 1 at the strong one's; NaN without a gap.
    """
    gap = strong - weak
    return (quality - weak) / gap if gap else np.full(len(quality), np.nan)


def average_recovered_gap(share: Floats, quality: Floats, weak: float, strong: float) -> float:
    """APGR, the mean of PGR over the share of calls to the strong model, from 0 to 1.

    The curve is taken as linear between its points, which is what mixing two policies at random
    gives; its ends are the two models alone (RouteLLM, section 3; there a sum over ten shares).

    Args:
        share: float64[p] of calls that go to the strong model.
        quality: float64[p].
        weak: quality of the weak model.
        strong: quality of the strong model.
    """
    x, y = _curve(share, recovered_gap(quality, weak, strong))
    return float(np.trapezoid(y, x))


def call_share_for(share: Floats, quality: Floats, weak: float, strong: float, gap: float) -> float:
    """CPT(x), the least share of strong calls that recovers a part of the gap (RouteLLM).

    Args:
        share: float64[p], see `average_recovered_gap`.
        quality: float64[p].
        weak: quality of the weak model.
        strong: quality of the strong model.
        gap: the part, such as 0.5 for CPT(50 %).

    Returns:
        A share in [0, 1], on the line between the two points around it; NaN without a gap.
    """
    x, y = _curve(share, recovered_gap(quality, weak, strong))
    if np.isnan(y).any():
        return float("nan")
    at = int(np.argmax(y >= gap))
    if at == 0:
        return float(x[0])
    rise = (gap - y[at - 1]) / (y[at] - y[at - 1])
    return float(x[at - 1] + rise * (x[at] - x[at - 1]))


def _curve(share: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """The points by share, with both models alone at its ends; the best of those at one share."""
    x = np.concatenate([[0.0], share, [1.0]])
    y = np.concatenate([[0.0], gap, [1.0]])
    distinct, at = np.unique(x, return_inverse=True)
    if np.isnan(y).any():
        return distinct, np.full(len(distinct), np.nan)
    best = np.full(len(distinct), -np.inf)
    np.maximum.at(best, at, y)
    return distinct, best


def average_quality(cost: Floats, quality: Floats, low: float, high: float) -> float:
    """AIQ, the mean height of the non-decreasing concave hull between two costs.

    Hu et al., "RouterBench" (2024), equation 4. The paper's code takes the hull's area by the
    trapezoid rule over its corners only; here the hull also goes on flat to `high`, and has a
    height of 0 below its cheapest point, as the definition says.

    Args:
        cost: float64[p].
        quality: float64[p].
        low: the least cost.
        high: the highest; NaN comes back where it is not above `low`.
    """
    if not low < high:
        return float("nan")
    corners = hull(cost, quality)
    x, y = cost[corners], quality[corners]
    inner = x[(x > low) & (x < high)]
    grid = np.concatenate([[low], inner, [high]])
    height = np.interp(grid, x, y)
    known = grid >= x[0]
    if known.all():
        return float(np.trapezoid(height, grid) / (high - low))
    start = min(max(float(x[0]), low), high)
    return float(np.trapezoid(height[known], grid[known]) / (high - low)) if start < high else 0.0


def benefit_lift(
    cost: float,
    quality: float,
    weak: tuple[float, float],
    strong: tuple[float, float],
) -> float:
    """IBC lift: how much steeper quality rises with cost than from the weak to the strong model.

    Aggarwal et al., "AutoMix" (2023): the incremental benefit per cost of a policy over the weak
    model, relative to the strong model's; 0 is on the line between the two.

    Args:
        cost: of the policy.
        quality: of the policy.
        weak: cost and quality of the weak model.
        strong: cost and quality of the strong model.

    Returns:
        The lift, NaN where either benefit is not defined.
    """
    if cost == weak[0] or strong[0] == weak[0] or strong[1] == weak[1]:
        return float("nan")
    base = (strong[1] - weak[1]) / (strong[0] - weak[0])
    return ((quality - weak[1]) / (cost - weak[0]) - base) / base


def saving_at_parity(cost: Floats, quality: Floats, best_cost: float, best: float) -> float:
    """The share of the best single model's cost that the cheapest policy of its quality saves.

    Args:
        cost: float64[p].
        quality: float64[p].
        best_cost: cost of the best single model.
        best: its quality.

    Returns:
        NaN where no policy reaches its quality.
    """
    enough = cost[quality >= best - 1e-12]
    return 1 - float(enough.min()) / best_cost if len(enough) and best_cost else float("nan")
