"""What a simulated prompt cache costs, worked out by hand in decimals."""

from decimal import Decimal

import pytest
from prompt_cache_cases import (
    FIRST,
    FLASH,
    GPT,
    OUTPUT_TOKENS,
    SECOND,
    SONNET,
    ask,
    check_tokens,
    cost,
    count,
    replay_rows,
    steps,
    usd_of,
    use,
)

from frugalctl.errors import ConfigError, InputError

OLD_DAY, NEW_DAY = "2026-12-31T23:50:00Z", "2027-01-01T00:10:00Z"


def classes_of(report):
    cache = report["prompt_cache"]
    return tuple(cache[f"{name}_tokens"] for name in ("read", "write", "fresh"))


@pytest.mark.parametrize(
    ("spec", "write_usd", "written"),
    [("anthropic", "3.75", "cache_write"), ("anthropic:1h", "6", "cache_write_1h")],
)
def test_anthropic_writes_and_then_reads(tmp_path, spec, write_usd, written):
    first, second = count(FIRST, SONNET)[-1], count(SECOND, SONNET)[-1]
    rows = [ask(0, FIRST, SONNET), ask(60, SECOND, SONNET)]
    report, _ = replay_rows(tmp_path, rows, spec)
    assert usd_of(report) == cost((second, write_usd), (first, "0.30"), (2 * OUTPUT_TOKENS, "15"))
    assert usd_of(report, "baseline") == cost((first + second, "3"), (2 * OUTPUT_TOKENS, "15"))
    assert classes_of(report) == (first, second, 0)
    assert report["recipe"]["tokens"][written] == second


@pytest.mark.parametrize(("spec", "hits"), [("anthropic:5m", 0), ("anthropic:1h", 1)])
def test_after_six_minutes_only_the_hour_is_still_there(tmp_path, spec, hits):
    rows = [ask(0, FIRST, SONNET), ask(360, SECOND, SONNET)]
    report, _ = replay_rows(tmp_path, rows, spec)
    assert report["prompt_cache"]["requests_with_hit"] == hits


def test_anthropic_bills_both_lifetimes_in_one_request(tmp_path):
    system, first = count(FIRST, SONNET)
    rows = [ask(0, FIRST, SONNET), ask(600, FIRST, SONNET)]
    report, _ = replay_rows(tmp_path, rows, "anthropic:breakpoints=system:1h+last:5m")
    rest = first - system
    assert usd_of(report) == cost(
        (system, "6"), (2 * rest, "3.75"), (system, "0.30"), (2 * OUTPUT_TOKENS, "15")
    )


def test_the_batch_tier_halves_what_anthropic_asks_for_cached_tokens_too(tmp_path):
    first, second = count(FIRST, SONNET)[-1], count(SECOND, SONNET)[-1]
    rows = [ask(at, text, SONNET, service_tier="batch") for at, text in ((0, FIRST), (9, SECOND))]
    report, _ = replay_rows(tmp_path, rows, "anthropic")
    assert usd_of(report) == cost((second, "1.875"), (first, "0.15"), (2 * OUTPUT_TOKENS, "7.5"))


@pytest.mark.parametrize(
    ("model", "input_usd", "read_usd", "output_usd", "relative"),
    [("gpt-4o", "2.50", "1.25", "10", 0.5), ("gpt-5.4", "2.50", "0.25", "15", 0.1)],
)
def test_openai_reads_whole_steps(tmp_path, model, input_usd, read_usd, output_usd, relative):
    prompt = count(FIRST, model)[-1]
    read = steps(prompt)
    assert 0 < prompt - read
    report, _ = replay_rows(tmp_path, [ask(at, FIRST, model) for at in (0, 60)], "openai")
    assert usd_of(report) == cost(
        (2 * prompt - read, input_usd), (read, read_usd), (2 * OUTPUT_TOKENS, output_usd)
    )
    expected = (2 * prompt - read + relative * read) / (2 * prompt)
    assert report["prompt_cache"]["relative_input_cost"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("day", "prices"),
    [
        ("2026-12-30T09:00:00Z", ("0.75", "0.075", "3.75", "0.50")),
        ("2027-01-02T09:00:00Z", ("1.50", "0.15", "7.50", "1.00")),
    ],
)
def test_gemini_stores_a_named_cache_for_its_hour(tmp_path, day, prices):
    system, prompt = count(FIRST, FLASH)
    times = (day, day.replace("09:00", "09:30"))
    rows = [ask(time, FIRST, FLASH, provider="google") for time in times]
    report, _ = replay_rows(tmp_path, rows, "gemini-explicit")
    fresh_usd, read_usd, output_usd, hour_usd = prices
    assert usd_of(report) == cost(
        (2 * prompt - system, fresh_usd),
        (system, read_usd),
        (2 * OUTPUT_TOKENS, output_usd),
        (system, hour_usd),
    )
    stored = report["token_classes"][-1]
    assert stored == {
        "class": "storage",
        "tokens": None,
        "cost_usd": cost((system, hour_usd)),
        "baseline_tokens": None,
        "baseline_cost_usd": 0.0,
    }
    total = sum(Decimal(str(item["cost_usd"])) for item in report["token_classes"])
    assert float(total) == usd_of(report)


def test_each_request_has_the_price_of_its_own_time(tmp_path):
    system, prompt = count(FIRST, FLASH)
    rows = [ask(day, FIRST, FLASH, provider="google") for day in (OLD_DAY, NEW_DAY)]
    report, _ = replay_rows(tmp_path, rows, "gemini-explicit")
    before = [(prompt, "0.75"), (OUTPUT_TOKENS, "3.75"), (system, "0.50")]
    after = [(prompt - system, "1.50"), (system, "0.15"), (OUTPUT_TOKENS, "7.50")]
    assert usd_of(report) == cost(*before, *after)
    report, _ = replay_rows(tmp_path, rows, "gemini-explicit", as_of=NEW_DAY)
    assert usd_of(report) == cost(
        (2 * prompt - system, "1.50"), (system, "0.15"), (2 * OUTPUT_TOKENS, "7.50"), (system, "1")
    )


def test_storage_without_a_price_leaves_the_request_unpriced(tmp_path):
    rows = [ask(at, FIRST, "claude-haiku-4-5") for at in (0, 60)]
    report, _ = replay_rows(tmp_path, rows, "gemini-explicit:model=gemini-2.5-pro")
    assert report["log"]["priced"] == 1
    assert report["log"]["unpriced"] == {"claude-haiku-4-5": 1}


@pytest.mark.parametrize("spec", ["gemini", "openai", "blocks:unit=64"])
def test_a_cache_that_stores_nothing_has_no_storage_class(tmp_path, spec):
    report, _ = replay_rows(tmp_path, [ask(at, FIRST, FLASH) for at in (0, 1)], spec)
    assert [item["class"] for item in report["token_classes"]][-1] == "reasoning"


def test_logged_input_takes_the_shares_of_counted_text(tmp_path):
    prompt = count(FIRST, GPT)[-1]
    usage = {"input_tokens": 3 * prompt, "output_tokens": OUTPUT_TOKENS}
    rows = [ask(at, FIRST, GPT, usage=usage) for at in (0, 60)]
    report, notes = replay_rows(tmp_path, rows, "openai")
    assert classes_of(report) == (3 * steps(prompt), 0, 6 * prompt - 3 * steps(prompt))
    assert f"{2 * prompt:,} input tokens counted, scaled to the log's {6 * prompt:,}" in notes


def test_a_huge_input_is_scaled_without_overflow(tmp_path):
    prompt, logged = count(FIRST, GPT)[-1], 2**53
    rows = [ask(at, FIRST, GPT, usage={"input_tokens": logged}) for at in (0, 60)]
    report, _ = replay_rows(tmp_path, rows, "openai")
    read = (2 * steps(prompt) * logged + prompt) // (2 * prompt)
    assert classes_of(report) == (read, 0, 2 * logged - read)


def test_logged_reads_are_replaced_by_simulated_ones(tmp_path):
    usage = use(FIRST, GPT) | {"cache_read_tokens": 1024}
    alone = [ask(0, FIRST, GPT, usage=usage)]
    report, _ = replay_rows(tmp_path, alone, "openai")
    assert report["baseline"]["tokens"]["cache_read"] == 1024
    assert report["recipe"]["tokens"]["cache_read"] == 0
    assert report["delta"]["cost_usd"] == cost((1024, "1.25"))


@pytest.mark.parametrize(
    "spec", ["openai", "anthropic:1h", "gemini", "gemini-explicit", "deepseek", "vllm", "modules"]
)
def test_the_report_says_what_the_cache_did(tmp_path, spec):
    rows = [ask(at * 40, FIRST if at % 3 else SECOND, SONNET) for at in range(9)]
    report, _ = replay_rows(tmp_path, rows, spec)
    assert set(report["prompt_cache"]) == {
        *("name", "read_share", "write_share", "fresh_share"),
        *("read_tokens", "write_tokens", "fresh_tokens"),
        *("requests", "requests_with_hit", "relative_input_cost", "bounds"),
    }
    assert report["prompt_cache"]["name"] == spec
    assert report["prompt_cache"]["requests"] == 9
    check_tokens(report)


def test_bounds_stand_around_what_is_not_guaranteed(tmp_path):
    rows = [ask(at * 400, FIRST, "gemini-2.5-flash") for at in range(4)]
    report, _ = replay_rows(tmp_path, [*rows, ask(1201, FIRST, "gemini-2.5-flash")], "gemini")
    cache = report["prompt_cache"]
    low, high = cache["bounds"]["pessimistic"], cache["bounds"]["optimistic"]
    assert low["read_share"] == 0 < cache["read_share"] < high["read_share"]
    assert low["relative_input_cost"] == 1
    assert 1 > cache["relative_input_cost"] > high["relative_input_cost"]


def test_a_recipe_without_a_cache_says_nothing_of_one(tmp_path):
    report, notes = replay_rows(tmp_path, [ask(0, FIRST, GPT)], None)
    assert "prompt_cache" not in report
    assert notes == ()


def test_a_request_without_a_prompt_is_fresh_and_said(tmp_path):
    silent = {"model": GPT, "usage": {"input_tokens": 5000, "cache_read_tokens": 4096}}
    report, notes = replay_rows(tmp_path, [ask(0, FIRST, GPT), silent], "openai")
    assert classes_of(report) == (0, 0, count(FIRST, GPT)[-1] + 5000)
    assert any("show neither messages nor blocks: all input is fresh" in note for note in notes)


def test_a_log_without_any_prompt_is_refused(tmp_path):
    with pytest.raises(InputError, match="no request shows its prompt") as caught:
        replay_rows(tmp_path, [{"model": GPT, "usage": {"input_tokens": 5000}}], "openai")
    assert "messages, or prefix_blocks" in caught.value.hint


def test_blocks_without_a_size_are_refused_unless_it_is_given(tmp_path):
    rows = [
        {"model": GPT, "prefix_blocks": [1, 2], "usage": {"input_tokens": 1000}, "timestamp": at}
        for at in (1_791_190_800, 1_791_190_801)
    ]
    with pytest.raises(InputError, match="prefix_blocks but no block_tokens"):
        replay_rows(tmp_path, rows, "openai")
    report, _ = replay_rows(tmp_path, rows, "blocks:unit=400")
    assert classes_of(report) == (800, 0, 1200)


def test_a_model_without_cache_rules_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="google has no prompt cache for gemini-1.5-pro"):
        replay_rows(tmp_path, [ask(0, FIRST, "gemini-1.5-pro")], "gemini")
    report, _ = replay_rows(
        tmp_path, [ask(0, FIRST, "gemini-1.5-pro")], "gemini:model=gemini-2.5-pro"
    )
    assert report["prompt_cache"]["read_tokens"] == 0


def test_tenants_share_nothing_unless_said(tmp_path):
    rows = [ask(at, FIRST, GPT, tenant=f"t{at}") for at in (0, 1)]
    apart, _ = replay_rows(tmp_path, rows, "openai")
    shared, _ = replay_rows(tmp_path, rows, "openai:tenants=shared")
    assert apart["prompt_cache"]["requests_with_hit"] == 0
    assert shared["prompt_cache"]["requests_with_hit"] == 1


@pytest.mark.parametrize(
    ("model", "spec", "read"),
    [
        ("claude-opus-5-5", "anthropic", 0.05),
        ("claude-opus-5", "anthropic", 0.1),
        ("gpt-4o", "openai", 0.5),
        ("gpt-4o", "anthropic", 0.1),
        ("gpt-4o", "openai:model=gpt-5.4", 0.1),
    ],
)
def test_relative_cost_is_by_own_prices_and_for_other_makers_by_their_rules(
    tmp_path, model, spec, read
):
    report, _ = replay_rows(tmp_path, [ask(at, FIRST, model) for at in (0, 60)], spec)
    cache = report["prompt_cache"]
    expected = read * cache["read_share"] + 1.25 * cache["write_share"] + cache["fresh_share"]
    assert cache["relative_input_cost"] == pytest.approx(expected, rel=1e-9)
