import subprocess
import sys
from decimal import Decimal

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from frugalctl.prices import Calls, fallback, load_book, price_calls
from frugalctl.prices.fallback import LitellmMap, load_litellm_map, read_entry

BOOK = load_book()


@pytest.fixture
def entry(monkeypatch):
    """Put one entry into an otherwise empty map, and read it."""

    def read(name="acme/model", **fields):
        raw = {name: msgspec.Raw(msgspec.json.encode(fields))}
        monkeypatch.setattr(fallback, "load_litellm_map", lambda: LitellmMap("9.9", raw))
        sets, rules = read_entry(name, "acme")
        return {(s.tier, s.above_input_tokens, s.window): s.usd_per_mtok for s in sets}, rules

    return read


def usd(**prices):
    return {name: Decimal(price) for name, price in prices.items()}


BASE = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}


def price_one(model, provider, **tokens):
    calls = Calls(
        pa.array([model]),
        pa.array([provider], pa.string()),
        None,
        None,
        np.array([1_790_000_000_000_000]),
        {name: np.array([count]) for name, count in tokens.items()},
    )
    priced = price_calls(BOOK, calls)
    return priced.total_usd[0], bool(priced.fallback[0])


def test_a_model_that_only_litellm_knows_is_labelled():
    key = BOOK.resolve("llama3.1-8b", "cerebras")
    assert key is not None and (key.model, key.origin) == ("cerebras/llama3.1-8b", "litellm")
    (one,) = BOOK.list_sets(key)
    assert one.source == f"litellm {load_litellm_map().version}"
    assert one.checked_on is None
    assert price_one("llama3.1-8b", "cerebras", fresh_input=1_000_000) == (0.1, True)
    assert price_one("gpt-4o", "openai", fresh_input=1_000_000) == (2.5, False)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("gpt-4o-2099-01-01-preview", None),
        ("ollama/llama3.1", None),
        ("llama3.1", "ollama"),
        ("gemini-exp-1114", "gemini"),
        ("lyria-3-pro-preview", "gemini"),
    ],
)
def test_never_zero_dollars(model, provider):
    cost_usd, _ = price_one(model, provider, fresh_input=1_000_000)
    assert np.isnan(cost_usd)


def test_no_entry_of_the_whole_map_is_free_by_omission():
    names = load_litellm_map().entries
    priced = 0
    for name in names:
        for one in read_entry(name, "x")[0]:
            priced += 1
            assert 0 not in one.usd_per_mtok.values(), name
            assert all(price.is_finite() and price > 0 for price in one.usd_per_mtok.values())
    assert priced > 3000


def test_a_name_that_says_free_may_be_free(entry):
    zero = {"input_cost_per_token": 0, "output_cost_per_token": 0.0}
    assert entry("acme/model:free", **zero)[0] == {("standard", 0, ""): usd(input=0, output=0)}
    assert entry("acme/freedom", **zero)[0] == {}


def test_zero_in_a_paid_model_is_unknown(entry):
    sets, _ = entry(**BASE, cache_creation_input_token_cost=0.0, cache_read_input_token_cost=0)
    assert sets == {("standard", 0, ""): usd(input=1, output=2)}


def test_every_field_of_an_entry(entry):
    sets, rules = entry(
        **BASE,
        output_cost_per_reasoning_token=3e-6,
        cache_read_input_token_cost=1e-7,
        cache_creation_input_token_cost=1.25e-6,
        cache_creation_input_token_cost_above_1hr=2e-6,
        input_cost_per_token_batches=5e-7,
        output_cost_per_token_batches=1e-6,
        input_cost_per_token_flex=6e-7,
        input_cost_per_token_priority=3e-6,
        regional_processing_uplift_multiplier_eu=1.1,
        provider_specific_entry={"us": 1.2, "fast": 2.0},
        input_cost_per_audio_token=1,
        output_cost_per_token_ultrafast=1,
    )
    assert sets == {
        ("standard", 0, ""): usd(
            input=1, output=2, reasoning=3, cache_read="0.1", cache_write="1.25", cache_write_1h=2
        ),
        ("batch", 0, ""): usd(input="0.5", output=1),
        ("flex", 0, ""): usd(input="0.6"),
        ("priority", 0, ""): usd(input=3),
    }
    assert {rule.value: rule.multiplier for rule in rules} == {
        "eu": Decimal("1.1"),
        "us": Decimal("1.2"),
    }


def test_context_tiers(entry):
    sets, _ = entry(
        **BASE,
        cache_read_input_token_cost=1e-7,
        input_cost_per_token_above_200k_tokens=4e-6,
        cache_creation_input_token_cost_above_1hr_above_200k_tokens=8e-6,
        input_cost_per_token_batches=5e-7,
        input_cost_per_token_flex=5e-7,
        input_cost_per_token_above_200k_tokens_flex=2e-6,
    )
    assert sets["standard", 200_000, ""] == usd(
        input=4, output=2, cache_read="0.1", cache_write_1h=8
    )
    assert sets["batch", 200_000, ""] == {}
    assert sets["flex", 200_000, ""] == usd(input=2)


def test_tiered_pricing(entry):
    sets, _ = entry(
        tiered_pricing=[
            {**BASE, "range": [0, 256000.0]},
            {"input_cost_per_token": 3e-6, "output_cost_per_token": 6e-6, "range": [256000.0, 1e6]},
        ]
    )
    assert sets == {
        ("standard", 0, ""): usd(input=1, output=2),
        ("standard", 256_000, ""): usd(input=3, output=6),
    }


def test_off_peak_pricing(entry):
    sets, _ = entry(
        **BASE,
        off_peak_pricing={
            "input_cost_per_token": 5e-7,
            "output_cost_per_token": 1e-6,
            "windows": [
                {"hours_utc": ["00:00-01:00", "10:00-00:00"], "weekdays": [1]},
                {"hours_utc": "00:00-00:00", "weekdays": [6, 7]},
            ],
        },
    )
    window = "mon 00:00-01:00 10:00-00:00; sat 00:00-00:00; sun 00:00-00:00"
    assert sets["standard", 0, window] == usd(input="0.5", output=1)


def test_the_book_and_litellm_agree_on_deepseeks_windows():
    from frugalctl.prices.windows import parse_window

    (ours,) = {
        one.window
        for one in BOOK.sets["deepseek", "deepseek-flash"]
        if one.window and one.valid_to is None
    }
    theirs = [one.window for one in read_entry("deepseek-flash", "deepseek")[0] if one.window]
    np.testing.assert_array_equal(parse_window(ours), parse_window(theirs[0]))


def test_entries_that_are_not_priced_by_tokens(entry):
    assert entry(output_cost_per_image=0.04) == ({}, [])
    assert entry(input_cost_per_second=0.01) == ({}, [])


def test_without_litellm_nothing_falls_back():
    book = load_book(use_litellm=False)
    assert book.resolve("llama3.1-8b", "cerebras") is None
    assert book.resolve("gpt-4o") is not None


def test_reading_the_map_does_not_import_litellm():
    code = (
        "import sys; from frugalctl.prices import load_book; b = load_book();"
        "assert b.resolve('llama3.1-8b', 'cerebras'); b.book_id;"
        "heavy = {'litellm', 'genai_prices', 'pandas', 'tiktoken', 'pyarrow'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
