import math
from dataclasses import replace

import numpy as np
import pytest
from cascade_tables import make_table

from frugalctl.errors import InputError
from frugalctl.levers.cascade.offpolicy import estimate_models, fit_budget

TRUTH = (0.3, 0.8)


def observe(rows, seed, chance_of_hard=0.8, chance_of_easy=0.2):
    """Hard requests go to the large model more often, with the chance that is logged."""
    draw = np.random.default_rng(seed)
    hard = draw.random(rows) < 0.5
    right = np.stack(
        [
            draw.random(rows) < np.where(hard, 0.1, 0.5),
            draw.random(rows) < np.where(hard, 0.7, 0.9),
        ],
        axis=1,
    ).astype(float)
    large = np.where(hard, chance_of_hard, chance_of_easy)
    observed = (draw.random(rows) < large).astype(int)
    present = np.zeros((rows, 2), dtype=bool)
    present[np.arange(rows), observed] = True
    quality = np.where(present, right, np.nan)
    cost = np.where(present, [1.0, 10.0], np.nan)
    table = make_table(quality, cost, models=("small", "large"), present=present)
    chance = np.where(observed == 1, large, 1 - large)
    return replace(table, observed=observed, propensity=chance)


def test_estimates_are_unbiased_where_plain_means_are_not():
    errors, plain = [], []
    for seed in range(60):
        table = observe(400, seed)
        for one, truth in zip(estimate_models(table), TRUTH, strict=True):
            errors.append([one.ips - truth, one.snips - truth, one.quality - truth])
        plain.append(np.nanmean(table.quality[:, 0]) - TRUTH[0])
    assert np.abs(np.mean(errors, axis=0)).max() < 0.02
    assert np.mean(plain) > 0.05
    spread = np.std(errors, axis=0)
    assert spread[2] < spread[0], "doubly robust is steadier than plain weights"


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    covered = []
    for seed in range(80):
        for one, truth in zip(estimate_models(observe(300, seed)), TRUTH, strict=True):
            low, high = one.quality_ci95
            covered.append(low <= truth <= high)
    assert 0.88 <= np.mean(covered) <= 0.99


def test_estimates_equal_sums_over_rows():
    table = observe(50, 1)
    for model, one in enumerate(estimate_models(table)):
        rows = [at for at in range(50) if table.observed[at] == model]
        weights = [1 / table.propensity[at] for at in rows]
        won = sum(w * table.quality[at, model] for w, at in zip(weights, rows, strict=True))
        assert one.rows == len(rows)
        assert one.ips == pytest.approx(won / 50)
        assert one.snips == pytest.approx(won / sum(weights))
        effective = sum(weights) ** 2 / sum(w * w for w in weights)
        assert one.effective_rows == pytest.approx(effective)


def test_a_model_that_was_never_drawn_is_unknown():
    table = observe(40, 0)
    table = replace(table, observed=np.zeros(40, int), quality=np.tile([1.0, np.nan], (40, 1)))
    small, large = estimate_models(table)
    assert small.quality == pytest.approx(1.0, abs=0.3)
    assert large.rows == 0 and math.isnan(large.quality) and math.isnan(large.cost_usd)


def test_logs_without_a_random_choice_are_refused():
    table = observe(40, 0)
    with pytest.raises(InputError, match="no request has a propensity"):
        estimate_models(replace(table, propensity=np.full(40, np.nan)))
    with pytest.raises(InputError, match="all propensities are 1"):
        estimate_models(replace(table, propensity=np.ones(40)))


@pytest.mark.parametrize(
    ("budget", "share"), [(10.0, 1.0), (5.0, 0.5), (1.0, 0.0), (0.5, math.nan)]
)
def test_a_budget_by_price_alone(budget, share):
    found = fit_budget({"small": 1.0, "large": 9.0}, 9.0, budget)
    assert found.cheapest == "small"
    assert found.kept_share == pytest.approx(share, nan_ok=True)
