"""Quality by number: what is compared, what is granted, and what a report says of batches."""

import json

import pytest

from frugalctl.errors import BadLine, InputError, PriceError
from frugalctl.levers.cascade.loss_test import exact_p_value
from frugalctl.levers.compress.concatenate import PromptTokens
from frugalctl.levers.compress.money import InputPrices
from frugalctl.report.batch import build_batch_report, encode_batch, lay_out_batch
from frugalctl.report.exemplars_curve import (
    SizeOutcome,
    build_curve,
    encode_curve,
    lay_out_curve,
    read_size_outcomes,
)


def outcomes(size, qualities, cost=None, start=0):
    return [SizeOutcome(f"r{at}", size, "", q, cost) for at, q in enumerate(qualities, start)]


def price(model, tokens):
    if model == "unknown":
        raise PriceError("unknown model")
    return tokens["fresh_input"] + 10 * tokens["output"]


def build(found, *, most_first=True, max_loss=0.1):
    return build_curve(found, most_first=most_first, max_loss=max_loss, confidence=0.95, seed=0)


def test_the_smallest_number_that_is_shown_to_lose_little():
    good, worse, bad = [1.0] * 200, [1.0] * 198 + [0.0] * 2, [0.0] * 100 + [1.0] * 100
    curve = build(outcomes(8, good, 3.0) + outcomes(4, worse, 2.0) + outcomes(0, bad))
    assert [point.size for point in curve.points] == [8, 4, 0]
    assert (curve.chosen.size, curve.chosen.loss, curve.chosen.cost_usd) == (4, 0.01, 2.0)
    assert curve.points[1].p_value == exact_p_value(2, 0, 200, 0.1)
    assert [point.granted for point in curve.points] == [False, True, False]
    assert curve.points[2].cost_usd is None
    assert "Chosen: 4 exemplars" in lay_out_curve(curve, "exemplars").notes[0]


def test_after_one_that_fails_none_is_tested():
    curve = build(outcomes(8, [1.0] * 99) + outcomes(4, [0.0] * 99) + outcomes(2, [1.0] * 99))
    assert curve.points[2].p_value is None
    assert curve.chosen.size == 8
    assert lay_out_curve(curve, "exemplars").rows[2][-1] == "not tested"


def test_only_shared_requests_are_compared():
    curve = build(outcomes(2, [1.0, 0.0, 1.0]) + outcomes(1, [0.0, 0.5], start=2))
    assert (curve.points[1].shared, curve.points[1].loss) == (1, 1.0)
    apart = build(outcomes(2, [1.0]) + outcomes(1, [1.0], start=9))
    assert not apart.points[1].granted
    assert encode_curve(apart)["points"][1]["loss"] is None


def test_batches_begin_with_the_smallest():
    curve = build(outcomes(4, [1.0] * 80) + outcomes(1, [1.0] * 80), most_first=False)
    assert (curve.points[0].size, curve.chosen.size) == (1, 4)


def test_lines_of_outcomes():
    usage = {"input_tokens": 12, "cache_read_tokens": 2, "output_tokens": 3, "reasoning_tokens": 1}
    lines = [
        {"id": 1, "exemplars": ["a", "b"], "quality": 1, "usage": usage},
        {"id": "1", "exemplars": 0, "quality": 0.5, "cost_usd": 0.25, "usage": usage},
        {"id": "2", "exemplars": [], "quality": 0, "model": "unknown", "usage": usage},
        {"id": "3", "exemplars": 1, "quality": 0, "selection": "mmr", "usage": {"input_tokens": 1}},
    ]
    found = read_size_outcomes(
        [json.dumps(line).encode() for line in lines], source="f", name="exemplars", price=price
    )
    assert [(one.id, one.size, one.selection) for one in found] == [
        ("1", 2, ""),
        ("1", 0, ""),
        ("2", 0, ""),
        ("3", 1, "mmr"),
    ]
    assert [one.cost_usd for one in found] == [10 + 10 * 2, 0.25, None, None]


@pytest.mark.parametrize(
    "line",
    [
        {"id": "a", "batch_size": 1, "quality": 1},
        {"id": "b", "batch_size": 0, "quality": 1},
        {"id": "b", "batch_size": [1], "quality": 1},
        {"id": "b", "batch_size": 2, "quality": 1.5},
        {"id": "b", "batch_size": 2},
        {"batch_size": 2, "quality": 1},
        {"id": "b", "batch_size": 2, "quality": 1, "cost_usd": -1},
        {"id": "b", "batch_size": 2, "quality": 1, "selection": 3},
        {"id": "b", "batch_size": 2, "quality": 1, "usage": 3},
        {"id": "b", "batch_size": 2, "quality": 1, "usage": {"input_tokens": 1.5}},
        {
            "id": "b",
            "batch_size": 2,
            "quality": 1,
            "usage": {"input_tokens": 1, "cache_read_tokens": 2, "output_tokens": 1},
        },
    ],
)
def test_bad_outcomes_name_their_line(line):
    lines = [{"id": "a", "batch_size": 1, "quality": 1}, line]
    with pytest.raises(BadLine, match="^f:2: "):
        read_size_outcomes(
            [json.dumps(one).encode() for one in lines], source="f", name="batch_size", price=price
        )


def test_no_outcomes():
    with pytest.raises(InputError, match="no outcomes"):
        read_size_outcomes([b""], source="f", name="exemplars", price=price)


TOKENS = PromptTokens(1000, 50, (20,) * 10, (25,) * 10, (4,) * 10, 3)


def make_report(prices, size=5):
    return build_batch_report(
        TOKENS, size, model="m", prices=prices, output_usd=8.0, unpriced="why", curve=None
    )


def prices(least, has_cache=True):
    return InputPrices(
        "m", "b", "2026-01-01", lambda f, r, w: f + 0.1 * r + 1.25 * w, least, 300, has_cache
    )


def test_batches_are_priced_by_hand():
    alone, *_, chosen, _ = make_report(prices(1024)).rows
    assert (alone.size, alone.input_tokens, alone.cost_usd) == (1, 10 * 1020, 10 * 1020)
    # The prefix alone is too short for the cache; with the rules it is long enough.
    assert alone.cached_usd == alone.cost_usd
    assert (chosen.size, chosen.requests) == (5, 2)
    assert chosen.input_tokens == 2 * (1000 + 50 + 3) + 10 * 25
    assert chosen.cost_usd == chosen.input_tokens + 40 * 8
    assert chosen.cached_usd == pytest.approx(1050 * 1.35 + 2 * 3 + 250 + 320)
    assert chosen.saved == pytest.approx(1 - 2356 / 10200)
    assert chosen.saved_by_rule == pytest.approx(1 - (1000 / 5 + 20) / 1020)


def test_what_a_cache_makes_of_it_is_said():
    long, short, none = (make_report(one) for one in (prices(1000), prices(2000), prices(0, False)))
    assert long.rows[0].cached_usd == pytest.approx(1000 * (1.25 + 0.9) + 200)
    said = [" ".join(lay_out_batch(one)[0].notes) for one in (long, short, none)]
    assert "A cached prefix alone brings the cost to $2,350.00" in said[0]
    assert "too short for the provider's cache, which begins at 2,000" in said[1]
    assert "does not cache" in said[2]
    assert all("72.8 %" in one for one in said)


def test_without_a_price_the_tokens_stay():
    report = make_report(None)
    assert encode_batch(report)["rows"][0]["cost_usd"] is None
    assert "No cost: why." in lay_out_batch(report)[0].notes
