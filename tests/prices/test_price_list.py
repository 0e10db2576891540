"""The prices that must be right, as US dollars per million tokens, on a day they held."""

from datetime import date
from decimal import Decimal

import pytest

from frugalctl.prices import load_book
from frugalctl.prices.schedule import choose_set

BOOK = load_book()
ORDER = ("input", "cache_write", "cache_read", "output")


def look_up(model, day, *, provider=None, tier="standard", above=0, window="", region=""):
    key = BOOK.resolve(model, provider)
    assert key is not None and key.origin == "book", model
    chosen = choose_set(BOOK.list_sets(key, tier, region), date.fromisoformat(day), above, [window])
    return chosen.usd_per_mtok if chosen else {}


def exactly(usd_per_mtok, line):
    expected = dict(zip(ORDER, line.split(), strict=True))
    for dimension, price in expected.items():
        assert usd_per_mtok.get(dimension) == (None if price == "-" else Decimal(price)), dimension


@pytest.mark.parametrize(
    ("model", "day", "line"),
    [
        ("gpt-4o-2024-08-06", "2024-11-01", "2.50 - 1.25 10"),
        ("gpt-4o-2024-05-13", "2024-11-01", "5 - - 15"),
        ("gpt-4o", "2024-10-01", "5 - - 15"),
        ("gpt-4o", "2024-10-02", "2.50 - 1.25 10"),
        ("gpt-4o-2024-11-20", "2026-11-20", "2.50 - 1.25 10"),
        ("ft:gpt-4o-2024-08-06:acme::x", "2024-11-01", "3.75 - 1.875 15"),
        ("gpt-4o-mini", "2024-11-01", ".15 - .075 .60"),
        ("gpt-4o-mini", "2024-09-30", ".15 - - .60"),
        ("ft:gpt-4o-mini-2024-07-18:acme::x", "2024-11-01", ".30 - .15 1.20"),
        ("o1-preview", "2024-11-01", "15 - 7.50 60"),
        ("o1-mini", "2024-11-01", "3 - 1.50 12"),
        ("o1-mini", "2025-03-01", "1.10 - .55 4.40"),
        ("o3", "2025-06-09", "10 - 2.50 40"),
        ("o3", "2025-06-10", "2 - .50 8"),
        ("claude-3.5-sonnet", "2024-11-01", "3 3.75 .30 15"),
        ("claude-3-5-sonnet-20241022", "2024-11-01", "3 3.75 .30 15"),
        ("claude-3-haiku-20240307", "2024-11-01", ".25 .30 .03 1.25"),
        ("claude-3-opus-20240229", "2024-11-01", "15 18.75 1.50 75"),
        ("claude-3-5-haiku-20241022", "2024-11-10", "1 1.25 .10 5"),
        ("claude-3-5-haiku-20241022", "2025-01-01", ".80 1 .08 4"),
        ("gemini-1.5-pro", "2024-09-30", "3.50 - .875 10.50"),
        ("gemini-1.5-pro", "2024-10-01", "1.25 - .3125 5"),
        ("gemini-1.5-flash", "2024-11-01", ".075 - .01875 .30"),
        ("claude-opus-5", "2026-11-20", "5 6.25 .50 25"),
        ("claude-fable-5-1", "2026-11-20", "10 12.5 .25 50"),
        ("claude-sonnet-5-5", "2026-11-20", "2 2.5 .10 10"),
        ("gpt-5.4", "2026-11-20", "2.50 - .25 15"),
        ("gpt-5.6", "2026-11-20", "4 5 .40 20"),
        ("gpt-5.6-sol", "2026-08-20", "5 6.25 .50 30"),
        ("gpt-6.1-sol", "2026-11-20", "2 2.5 .10 10"),
        ("gemini-2.5-pro", "2026-11-20", "1.25 - .125 10"),
        ("gemini-4-argon", "2026-11-30", "2 - .10 10"),
        ("gemini-4-argon", "2026-12-01", "4 - .20 20"),
        ("deepseek-chat", "2025-01-15", ".14 - .014 .28"),
        ("deepseek-chat", "2025-06-01", ".27 - .07 1.10"),
        ("deepseek-chat", "2026-01-01", ".28 - .028 .42"),
        ("deepseek-v4-pro", "2026-11-20", "1.32 - .044 3.96"),
        ("kimi-k3", "2026-11-20", "3 3 .30 15"),
        ("mistral-large-latest", "2026-11-20", ".50 - .05 1.50"),
    ],
)
def test_standard_prices(model, day, line):
    exactly(look_up(model, day), line)


@pytest.mark.parametrize(
    ("model", "day", "above", "line"),
    [
        ("gemini-1.5-pro", "2024-09-30", 128_000, "7 - 1.75 21"),
        ("gemini-1.5-flash", "2024-11-01", 128_000, ".15 - .0375 .60"),
        ("gemini-2.5-pro", "2026-11-20", 200_000, "2.50 - .25 15"),
        ("gpt-5.4", "2026-11-20", 272_000, "5 - .50 22.50"),
        ("claude-sonnet-4-5", "2026-04-29", 200_000, "6 7.5 .60 22.50"),
        ("claude-sonnet-4-5", "2026-04-30", 200_000, "3 3.75 .30 15"),
        ("claude-haiku-5-5", "2026-11-20", 100_000, ".50 .625 .05 2.50"),
        ("grok-4.3", "2026-11-20", 199_999, "2.50 - .40 5"),
    ],
)
def test_long_context_prices(model, day, above, line):
    exactly(look_up(model, day, above=above), line)


@pytest.mark.parametrize(
    ("model", "tier", "line"),
    [
        ("gpt-4o-mini", "batch", ".075 - - .30"),
        ("gpt-5.4", "batch", "1.25 - .13 7.50"),
        ("gpt-5.4", "flex", "1.25 - .13 7.50"),
        ("gpt-5.4", "priority", "5 - .50 30"),
        ("gpt-5-mini", "flex", ".125 - .0125 1"),
        ("claude-haiku-4-5", "batch", ".50 .625 .05 2.50"),
        ("claude-opus-5", "batch", "2.50 3.125 .25 12.50"),
        ("gemini-2.5-pro", "batch", ".625 - .125 5"),
        ("gemini-3.8-flash", "batch", ".375 - .0375 1.875"),
        ("grok-4.3", "batch", "1 - .16 2"),
        ("mistral-large-2512", "batch", ".25 - .025 .75"),
    ],
)
def test_tier_prices(model, tier, line):
    exactly(look_up(model, "2026-11-20", tier=tier), line)


def test_gemini_batch_above_200k_is_half_the_long_price():
    exactly(look_up("gemini-2.5-pro", "2026-11-20", tier="batch", above=200_000), "1.25 - .25 7.50")


def test_a_tier_without_a_published_long_price_has_none():
    assert look_up("gpt-5.4", "2026-11-20", tier="priority", above=272_000) == {}


def test_one_hour_writes_cost_twice_the_input():
    for (provider, model), sets in BOOK.sets.items():
        if provider == "anthropic":
            for one in sets:
                if "cache_write_1h" in one.usd_per_mtok:
                    assert one.usd_per_mtok["cache_write_1h"] == 2 * one.usd_per_mtok["input"], (
                        model
                    )


def test_anthropic_in_the_us_costs_a_tenth_more():
    usd = look_up("claude-opus-5", "2026-11-20", region="us")
    exactly(usd, "5.5 6.875 .55 27.5")
    exactly(look_up("claude-opus-4-5", "2026-11-20", region="us"), "5 6.25 .50 25")
    exactly(
        look_up("claude-opus-5", "2026-11-20", region="us", tier="batch"), "2.75 3.4375 .275 13.75"
    )


@pytest.mark.parametrize(
    ("model", "day", "usd"),
    [
        ("gemini-1.5-pro", "2024-09-30", "4.50"),
        ("gemini-1.5-flash", "2024-11-01", "1"),
        ("gemini-2.5-pro", "2026-11-20", "4.50"),
        ("gemini-2.5-flash", "2026-11-20", "1"),
        ("gemini-3.8-flash", "2026-12-31", ".50"),
        ("gemini-3.8-flash", "2027-01-01", "1"),
    ],
)
def test_storage_per_mtok_hour(model, day, usd):
    assert look_up(model, day)["storage_hour"] == Decimal(usd)


OFF_PEAK = "mon-fri 00:00-01:00 04:00-06:00 10:00-24:00; sat-sun 00:00-24:00"


def test_off_peak_prices():
    exactly(look_up("deepseek-v4-pro", "2026-11-20", window=OFF_PEAK), ".66 - .022 1.98")
    exactly(look_up("deepseek-flash", "2026-11-20", window=OFF_PEAK), ".15 - .003 .60")


def test_doubtful_prices_say_so():
    for model in ("gemini-1.5-pro", "gemini-1.5-flash"):
        assert all("secondary sources" in one.note for one in BOOK.sets["google", model])


def test_thinking_of_the_flash_preview_is_dearer():
    usd = look_up("gemini-2.5-flash-preview-05-20", "2025-06-01")
    assert (usd["output"], usd["reasoning"]) == (Decimal("0.6"), Decimal("3.5"))
