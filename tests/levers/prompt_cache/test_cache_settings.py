import pytest

from frugalctl.errors import ConfigError
from frugalctl.levers.prompt_cache import parse_cache_spec, parse_cache_table
from frugalctl.levers.prompt_cache.engine import Breakpoint
from frugalctl.levers.prompt_cache.settings import list_kinds, resolve_rules
from frugalctl.prices.cache_rules import list_modes, list_providers

S = 1_000_000


def rules_of(spec, model="", day=None):
    return resolve_rules(parse_cache_spec(spec), model, day).rules


@pytest.mark.parametrize("kind", list_kinds())
def test_every_kind_stands_alone(kind):
    settings = parse_cache_spec(kind)
    assert settings.name == kind
    assert resolve_rules(settings, "", None).rules.hits


def test_every_mode_of_every_provider_is_understood():
    for provider in list_providers():
        for mode in list_modes(provider):
            spec = f"{provider}:{mode}"
            found = resolve_rules(parse_cache_spec(spec), "", None)
            assert found.source.mode == mode, spec


def test_parameters_of_blocks():
    rules = rules_of("blocks:unit=512,ttl=300,min=1024,refresh=false,capacity=50000000")
    assert (rules.unit_tokens, rules.ttl_us, rules.min_tokens) == (512, 300 * S, 1024)
    assert (rules.sliding, rules.capacity_tokens) == (False, 50_000_000)


@pytest.mark.parametrize(
    ("spec", "field", "value"),
    [
        ("blocks:ttl=5m", "ttl_us", 300 * S),
        ("blocks:ttl=1.5h", "ttl_us", 5400 * S),
        ("blocks:ttl=2d", "ttl_us", 172_800 * S),
        ("blocks:ttl=inf", "ttl_us", None),
        ("vllm:capacity=50M", "capacity_tokens", 50_000_000),
        ("vllm:capacity=8k", "capacity_tokens", 8_000),
        ("vllm:unit=32", "step_tokens", 32),
        ("sglang:page=16,capacity=1G", "capacity_tokens", 10**9),
        ("llama.cpp:slots=4", "slots", 4),
        ("gemini-explicit:30m", "ttl_us", 1800 * S),
        ("gemini-explicit", "ttl_us", 3600 * S),
        ("anthropic:1h", "ttl_1h_us", 3600 * S),
        ("anthropic:1h,ttl=inf", "ttl_1h_us", None),
        ("anthropic:5m", "breakpoints", (Breakpoint("last", False),)),
        ("anthropic:1h", "breakpoints", (Breakpoint("last", True),)),
        (
            "anthropic:breakpoints=last+system:1h",
            "breakpoints",
            (Breakpoint("system", True), Breakpoint("last", False)),
        ),
        ("openai", "max_life_us", 3600 * S),
    ],
)
def test_parameters_and_defaults(spec, field, value):
    assert getattr(rules_of(spec), field) == value


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ("claude-opus-5", 512),
        ("claude-fable-5-1", 512),
        ("anthropic/claude-sonnet-4-5-20250929", 1024),
        ("claude-opus-4-8", 1024),
        ("claude-opus-4-20250514", 1024),
        ("claude-opus-4-7", 2048),
        ("claude-3-haiku-20240307", 2048),
        ("claude-opus-4-5-20251101", 4096),
        ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", 4096),
        ("gpt-4o", 1024),
    ],
)
def test_minimum_by_model(model, least):
    for mode in ("5m", "1h"):
        assert rules_of(f"anthropic:{mode}", model).min_tokens == least


@pytest.mark.parametrize(
    ("model", "engine", "mode"),
    [
        ("gpt-4o", "blocks", "in-memory"),
        ("gpt-5.4-mini", "blocks", "in-memory"),
        ("gpt-5.5", "blocks", "24h"),
        ("gpt-5.6-sol", "breakpoints", "implicit"),
        ("gpt-6.1-sol", "breakpoints", "implicit"),
        ("openai/gpt-4o-2024-08-06", "blocks", "in-memory"),
    ],
)
def test_engine_by_model(model, engine, mode):
    found = resolve_rules(parse_cache_spec("openai"), model, None)
    assert (found.rules.engine, found.source.mode) == (engine, mode)


def test_a_named_model_goes_before_the_logs():
    assert rules_of("anthropic:model=claude-haiku-4-5", "claude-opus-5").min_tokens == 4096


def test_bounds_of_what_is_not_certain():
    found = resolve_rules(parse_cache_spec("gemini"), "gemini-2.5-pro", None)
    assert not found.is_certain
    assert (found.pessimistic.hits, found.rules.hits) == (False, True)
    assert found.optimistic.ttl_us == 3600 * S
    given = resolve_rules(parse_cache_spec("gemini:ttl=60"), "gemini-2.5-pro", None)
    assert given.optimistic.ttl_us == 60 * S
    assert resolve_rules(parse_cache_spec("anthropic"), "claude-opus-5", None).is_certain


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("antropic", "did you mean 'anthropic'"),
        ("", "unknown kind"),
        ("blocks:ttl=0", "above 0"),
        ("blocks:ttl=-5", "above 0"),
        ("blocks:ttl=soon", "duration"),
        ("blocks:capacity=-1", "negative"),
        ("blocks:capacity=0", "above 0"),
        ("blocks:capacity=1.5", "whole"),
        ("blocks:capacity=1e999", "tokens"),
        ("blocks:unit=0", "above 0"),
        ("blocks:unit=512,unit=16", "cannot read"),
        ("blocks:capcity=5", "did you mean 'capacity'"),
        ("blocks:refresh=maybe", "neither true nor false"),
        ("blocks:slots=2", "unknown parameter"),
        ("anthropic:7q", "no mode"),
        ("anthropic:capacity=5", "unknown parameter"),
        ("anthropic:breakpoints=tools+system+0+1+last", "5 breakpoints, but a request may have 4"),
        ("anthropic:breakpoints=middle", "middle"),
        ("anthropic:breakpoints=last+last", "twice"),
        ("anthropic:breakpoints=system:5m+last:1h", "must stand before"),
        ("anthropic:breakpoints=system:2h", "neither 5m nor 1h"),
        ("gemini-explicit:1h,ttl=2h", "two lifetimes"),
        ("openai:model=gpt-4", "no prompt cache for gpt-4"),
        ("anthropic:model=claude-3-sonnet-20240229", "no prompt cache"),
        ("gemini:model=gemini-1.5-pro", "no prompt cache"),
        ("openai:tenants=some", "neither split nor shared"),
        ("llama.cpp:similarity=2", "between 0 and 1"),
        ("moonshot:5m,1h", "cannot read"),
    ],
)
def test_nonsense_is_refused_in_clear_words(spec, words):
    with pytest.raises(ConfigError) as caught:
        settings = parse_cache_spec(spec)
        resolve_rules(settings, "", None)
    assert words in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize(
    ("table", "spec"),
    [
        ({"kind": "anthropic", "mode": "1h"}, "anthropic:1h"),
        ({"kind": "blocks", "ttl": 300, "refresh": False}, "blocks:ttl=300,refresh=false"),
        (
            {"kind": "anthropic", "breakpoints": ["system", "last"]},
            "anthropic:breakpoints=system+last",
        ),
        ({"kind": "openai", "model": "gpt-5.5"}, "openai:model=gpt-5.5"),
    ],
)
def test_a_table_says_the_same_as_a_line(table, spec):
    one, other = parse_cache_table(table), parse_cache_spec(spec)
    assert one.name == other.name == spec
    assert resolve_rules(one, "", None) == resolve_rules(other, "", None)


@pytest.mark.parametrize(
    "table",
    [{}, {"kind": 3}, {"kind": "openai", "mode": 5}, {"kind": "blocks", "ttl": True}],
)
def test_a_table_that_makes_no_sense(table):
    with pytest.raises(ConfigError):
        parse_cache_table(table)
