import math
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from frugalctl.errors import PriceError
from frugalctl.prices import (
    TOKEN_CLASSES,
    UNKNOWN_TIME,
    Calls,
    explain_unpriced,
    load_book,
    price_calls,
    quote_call,
)

BOOK = load_book()


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


TODAY = at("2026-11-20T08:00")


def check_quote(model, time_us, place, as_of_us, tokens, total_usd):
    """A quote of the same call says the same."""
    provider, tier, region = place
    try:
        quote = quote_call(
            BOOK,
            model,
            tokens,
            provider=provider,
            tier=tier,
            region=region,
            timestamp_us=time_us,
            as_of_us=as_of_us,
        )
    except PriceError:
        assert math.isnan(total_usd)
    else:
        assert quote.cost_usd == pytest.approx(total_usd, rel=1e-12)


def one_call(
    model, *, time_us=TODAY, provider=None, tier=None, region=None, as_of_us=None, **tokens
):
    def column(value):
        return None if value is None else pa.array([value])

    calls = Calls(
        pa.array([model], pa.string()),
        column(provider),
        column(tier),
        column(region),
        np.array([time_us], dtype=np.int64),
        {name: np.array([tokens.get(name, 0)], dtype=np.int64) for name in TOKEN_CLASSES},
    )
    priced = price_calls(BOOK, calls, as_of_us=as_of_us)
    parts = [priced.usd[name][0] for name in TOKEN_CLASSES]
    total = float(priced.total_usd[0])
    check_quote(model or "", time_us, (provider, tier, region), as_of_us, tokens, total)
    if math.isnan(total):
        assert all(math.isnan(part) for part in parts)
    else:
        assert sum(parts) == pytest.approx(total, abs=1e-15)
    return total


def test_anthropic_reads_are_not_charged_twice():
    assert one_call("claude-sonnet-4-5", fresh_input=1000, cache_read=10_000) == 0.006


def test_a_batch_job_of_january_2026_is_half_price():
    when = at("2026-01-15T12:00")
    usage = {"fresh_input": 1_000_000, "output": 1_000_000}
    assert one_call("gpt-4o-mini", time_us=when, tier="batch", **usage) == 0.375
    assert one_call("gpt-4o-mini-2024-07-18", time_us=when, **usage) == 0.75
    assert one_call("claude-haiku-4-5", time_us=when, tier="batch", **usage) == 3.0


def test_batch_of_the_models_before_gpt_5_has_no_cached_rate():
    assert one_call("gpt-4.1", tier="batch", cache_read=1_000_000) == 1.0
    assert one_call("gpt-5", tier="batch", cache_read=1_000_000) == 0.0625


def test_anthropic_batch_halves_cache_rates():
    usage = {"cache_read": 1_000_000, "cache_write": 1_000_000, "cache_write_1h": 1_000_000}
    assert one_call("claude-opus-5", tier="batch", **usage) == 0.25 + 3.125 + 5


def test_the_long_price_starts_strictly_above_the_threshold():
    at_threshold = one_call("gemini-2.5-pro", fresh_input=100_000, cache_read=100_000)
    above = one_call("gemini-2.5-pro", fresh_input=100_001, cache_read=100_000)
    assert at_threshold == pytest.approx(0.125 + 0.0125)
    assert above == pytest.approx(0.2500025 + 0.025)


def test_all_input_counts_for_the_threshold_but_output_does_not():
    cheap = one_call("gemini-2.5-pro", fresh_input=200_000, output=100_000)
    assert cheap == pytest.approx(0.25 + 1.0)
    long = one_call("claude-haiku-5-5", cache_write=60_000, cache_write_1h=40_001)
    assert long == pytest.approx(0.0375 + 0.040001)


def test_xai_counts_200k_as_long():
    assert one_call("grok-4.3", fresh_input=199_999) == pytest.approx(1.25 * 0.199999)
    assert one_call("grok-4.3", fresh_input=200_000) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("when", "usd"),
    [
        ("2026-11-20T08:00", 1.32),
        ("2026-11-20T00:59:59", 0.66),
        ("2026-11-20T01:00", 1.32),
        ("2026-11-20T04:00", 0.66),
        ("2026-11-20T09:59:59", 1.32),
        ("2026-11-20T10:00", 0.66),
        ("2026-11-21T08:00", 0.66),
        ("2026-11-22T23:59", 0.66),
        ("2026-08-22T08:00", 1.32),
        ("2026-08-16T12:00", 0.435),
        ("2026-08-17T12:00", 0.66),
    ],
)
def test_off_peak_windows(when, usd):
    assert one_call("deepseek-v4-pro", time_us=at(when), fresh_input=1_000_000) == usd


@pytest.mark.parametrize(
    ("when", "usd"),
    [("2025-06-01T16:29", 0.27), ("2025-06-01T16:30", 0.135), ("2025-06-02T00:29", 0.135)],
)
def test_a_window_past_midnight(when, usd):
    assert one_call("deepseek-chat", time_us=at(when), fresh_input=1_000_000) == usd


def test_each_call_is_priced_at_its_own_time():
    calls = Calls(
        pa.array(["gpt-4o"] * 3),
        None,
        None,
        None,
        np.array([at("2024-10-01T23:59:59"), at("2024-10-02"), UNKNOWN_TIME]),
        {"fresh_input": np.full(3, 1_000_000)},
    )
    assert price_calls(BOOK, calls).total_usd.tolist() == [5.0, 2.5, 2.5]
    as_of = price_calls(BOOK, calls, as_of_us=at("2024-07-01")).total_usd
    assert as_of.tolist() == [5.0, 5.0, 5.0]


def test_as_of_keeps_each_call_in_its_window():
    million = {"fresh_input": 1_000_000, "as_of_us": at("2026-11-20")}
    peak, off_peak = at("2026-02-03T08:00"), at("2026-02-03T12:00")
    assert one_call("deepseek-v4-pro", time_us=peak, **million) == 1.32
    assert one_call("deepseek-v4-pro", time_us=off_peak, **million) == 0.66
    assert one_call("deepseek-v4-pro", time_us=UNKNOWN_TIME, **million) == 1.32


def test_missing_cache_prices_are_input():
    assert one_call("gpt-4o", cache_write=1_000_000) == 2.5
    assert one_call("gpt-4o", cache_write_1h=1_000_000) == 2.5
    assert one_call("gpt-4o-2024-05-13", cache_read=1_000_000) == 5.0


def test_a_one_hour_write_is_not_priced_as_a_short_one():
    assert math.isnan(one_call("gpt-5.6-sol", cache_write_1h=1))
    assert one_call("gpt-5.6-sol", cache_write=100_000) == 0.5


def test_reasoning_costs_what_output_costs_unless_it_differs():
    assert one_call("gpt-5", reasoning=1_000_000) == 10.0
    assert one_call("gemini-2.5-flash-preview-05-20", reasoning=1_000_000, output=1_000_000) == 4.1


def test_a_missing_output_price_matters_only_with_output():
    assert one_call("text-embedding-3-small", fresh_input=1_000_000) == 0.02
    assert math.isnan(one_call("text-embedding-3-small", fresh_input=1_000_000, output=1))


@pytest.mark.parametrize("tier", [None, "", "default", "auto", "standard", "on_demand", "DEFAULT"])
def test_names_of_the_standard_tier(tier):
    assert one_call("gpt-4o", tier=tier, fresh_input=1_000_000) == 2.5


@pytest.mark.parametrize("region", [None, "", "global", "not_available", "us-east-1"])
def test_regions_without_a_price_of_their_own(region):
    assert one_call("claude-opus-5", region=region, fresh_input=1_000_000) == 5.0


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ({"model": "gpt-9"}, "unknown model"),
        ({"model": "llama3.1-8b"}, "unknown model"),
        ({"model": None}, "unknown model"),
        ({"model": "gpt-4o", "provider": "nobody"}, "unknown model"),
        ({"model": "gpt-4o", "tier": "gold"}, "no price for tier gold"),
        ({"model": "gpt-4o", "tier": "flex"}, "no price for tier flex"),
        ({"model": "claude-opus-5", "tier": "batch", "time_us": 0}, "no price on 1970-01-01"),
        ({"model": "text-embedding-3-small"}, "no price for output"),
        ({"model": "gpt-5.6-sol", "cache_write_1h": 1}, "no price for one-hour cache writes"),
        ({"model": "gpt-5.4", "tier": "priority", "fresh_input": 272_001}, "so long an input"),
    ],
    ids=str,
)
def test_unknown_is_not_zero(call, reason):
    assert math.isnan(one_call(**{"fresh_input": 10, "output": 1} | call))
    time_us = call.get("time_us", TODAY)
    model, provider, tier = (call.get(name) for name in ("model", "provider", "tier"))
    assert reason in explain_unpriced(BOOK, model or "", provider, tier, time_us)


def test_no_tokens_cost_nothing_but_stay_unknown_for_an_unknown_model():
    assert one_call("gpt-4o") == 0
    assert one_call("gpt-5.6-sol") == 0
    assert math.isnan(one_call("gpt-9"))


def test_columns_in_any_arrow_form():
    names = ["gpt-4o", None, "gpt-4o-mini", "gpt-9", "gpt-4o"]
    tiers = [None, "batch", "batch", None, "batch"]
    expected = [2.5, np.nan, 0.075, np.nan, 1.25]
    plain, tier = pa.array(names), pa.array(tiers)
    forms = [
        (plain, tier),
        (plain.dictionary_encode(), tier.dictionary_encode()),
        (pa.chunked_array([plain[:2], plain[2:]]), tier),
        (pa.concat_arrays([pa.array(["x"]), plain]).dictionary_encode()[1:], tier),
    ]
    for model, service_tier in forms:
        calls = Calls(
            model,
            pa.nulls(5),
            service_tier,
            pa.nulls(5, pa.string()),
            np.full(5, TODAY),
            {"fresh_input": np.full(5, 1_000_000)},
        )
        priced = price_calls(BOOK, calls)
        np.testing.assert_array_equal(priced.total_usd, expected)
        assert set(priced.usd) == set(TOKEN_CLASSES)
        assert not priced.fallback.any()


def test_no_calls():
    empty = np.array([], dtype=np.int64)
    priced = price_calls(BOOK, Calls(pa.array([], pa.string()), None, None, None, empty, {}))
    assert len(priced.total_usd) == 0


def test_very_many_distinct_names():
    names = [f"gpt-4o-{number}" for number in range(300)] + ["gpt-4o"] * 300
    tiers = [f"tier-{number}" for number in range(599)] + ["batch"]
    calls = Calls(
        pa.array(names),
        None,
        pa.array(tiers),
        None,
        np.full(600, TODAY),
        {"fresh_input": np.full(600, 1_000_000)},
    )
    total = price_calls(BOOK, calls).total_usd
    assert np.isnan(total[:-1]).all() and total[-1] == 1.25


def test_the_callers_arrays_are_left_alone():
    tokens = {name: np.array([3], dtype=np.int64) for name in TOKEN_CLASSES}
    when = np.array([UNKNOWN_TIME])
    price_calls(BOOK, Calls(pa.array(["gpt-9"]), None, None, None, when, tokens))
    assert all(column.tolist() == [3] for column in tokens.values())
    assert when.tolist() == [UNKNOWN_TIME]
