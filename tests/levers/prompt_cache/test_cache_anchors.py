"""Published traces and the providers' own worked cases."""

import numpy as np
import pytest
from cache_helpers import (
    SECOND_US,
    TOOL_RESULT,
    Message,
    make_prompts,
    make_trace,
    read_file,
    shared_file,
)

from frugalctl.levers.prompt_cache import parse_cache_spec, simulate
from frugalctl.levers.prompt_cache.engine import Breakpoint, MatchRules
from frugalctl.levers.prompt_cache.simulate import match


@pytest.fixture(scope="module")
def mooncake():
    return read_file(shared_file("mooncake_conversation.jsonl.gz"))


@pytest.fixture(scope="module")
def taubench():
    return read_file(shared_file("taubench_airline_sessions.jsonl.gz"))


def share(tokens, outcome):
    return tokens.sum() / outcome.input_tokens.sum()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("blocks", 0.373624),
        ("blocks:ttl=300", 0.293387),
        ("blocks:unit=512,ttl=5m,refresh=false", 0.256980),
        ("blocks:ttl=60", 0.105371),
        ("blocks:ttl=10m", 0.350122),
        ("blocks:ttl=300,min=1024", 0.263668),
    ],
)
def test_mooncake_to_six_digits(mooncake, spec, expected):
    outcome = simulate(mooncake, parse_cache_spec(spec)).outcome
    assert outcome.input_tokens.sum() == 144_793_823
    assert round(share(outcome.read_tokens, outcome), 6) == expected


@pytest.mark.parametrize(
    "spec", ["blocks:capacity=50M", "vllm:capacity=50M", "sglang:capacity=50M"]
)
def test_mooncake_in_50m_tokens_keeps_nearly_all_hits(mooncake, spec):
    most = simulate(mooncake, parse_cache_spec("blocks")).outcome.read_tokens.sum()
    held = simulate(mooncake, parse_cache_spec(spec)).outcome.read_tokens.sum()
    assert held / most == pytest.approx(0.992, abs=0.001)


@pytest.mark.parametrize(
    ("spec", "read", "write"),
    [
        ("openai", 0.9065, 0.0),
        ("anthropic", 0.8948, 0.1052),
        ("anthropic:breakpoints=system+last", 0.9256, 0.0744),
        ("anthropic:min=4096", 0.4235, 0.0752),
        ("anthropic:model=claude-haiku-4-5", 0.4235, 0.0752),
    ],
)
def test_taubench_shares(taubench, spec, read, write):
    counted = simulate(taubench, parse_cache_spec(spec)).counted
    assert counted.input_tokens.sum() == 8_287_343
    assert share(counted.read_tokens, counted) == pytest.approx(read, abs=1e-4)
    assert share(counted.write_tokens, counted) == pytest.approx(write, abs=1e-4)


@pytest.mark.parametrize(
    ("spec", "read_price", "expected"),
    [
        ("openai", 0.5, 0.547),
        ("openai", 0.1, 0.184),
        ("anthropic", 0.1, 0.221),
        ("anthropic:breakpoints=system+last", 0.1, 0.186),
        ("anthropic:min=4096", 0.1, 0.638),
    ],
)
def test_taubench_relative_cost(taubench, spec, read_price, expected):
    counted = simulate(taubench, parse_cache_spec(spec)).counted
    cost = (
        read_price * counted.read_tokens + 1.25 * counted.write_tokens + counted.fresh_tokens
    ).sum()
    assert cost / counted.input_tokens.sum() == pytest.approx(expected, abs=0.001)


def grow(*lengths, tokens=100):
    """Requests of one conversation, each with so many messages of one block."""
    messages = [Message(range(at * tokens, (at + 1) * tokens)) for at in range(max(lengths))]
    return [(now, 0, messages[:length], None) for now, length in enumerate(lengths)]


ANTHROPIC = MatchRules("breakpoints", min_tokens=1024, ttl_us=300 * SECOND_US, written_as="write")


def test_a_conversation_that_grows_by_more_than_20_blocks_misses():
    outcome = match(make_prompts(grow(15, 35)), ANTHROPIC)
    assert outcome.read_tokens.tolist() == [0, 0]
    assert outcome.write_tokens.tolist() == [1500, 3500]


def test_a_conversation_that_grows_by_19_blocks_hits():
    outcome = match(make_prompts(grow(15, 34)), ANTHROPIC)
    assert outcome.read_tokens.tolist() == [0, 1500]
    assert outcome.write_tokens.tolist() == [1500, 1900]


def test_a_run_of_tool_results_counts_as_one_block():
    past = [Message(range(1500))]
    results = [
        Message(range(at * 9, at * 9 + 9), "tool", 1, TOOL_RESULT, TOOL_RESULT) for at in range(35)
    ]
    requests = [(0, 0, past, None), (1, 0, [*past, *results], None)]
    assert match(make_prompts(requests), ANTHROPIC).read_tokens.tolist() == [0, 1500]


def test_mixed_lifetimes_are_billed_by_the_last_breakpoint_of_each():
    system, first, second = Message(range(2000), "system"), Message(range(300)), Message(range(50))
    rules = MatchRules(
        "breakpoints",
        min_tokens=1024,
        ttl_us=300 * SECOND_US,
        ttl_1h_us=3600 * SECOND_US,
        breakpoints=(Breakpoint("system", True), Breakpoint("last", False)),
        written_as="write",
    )
    requests = [
        (0, 0, [system, first], None),
        (60, 0, [system, first, second], None),
        (1000, 0, [system, first, second], None),
        (9000, 0, [system], None),
    ]
    outcome = match(make_prompts(requests), rules)
    assert outcome.read_tokens.tolist() == [0, 2300, 2000, 0]
    assert outcome.write_1h_tokens.tolist() == [2000, 0, 0, 2000]
    assert outcome.write_tokens.tolist() == [300, 50, 350, 0]


def test_what_is_being_written_cannot_be_read_yet():
    requests = [(now, 0, [Message(range(1500))], None) for now in (0, 1, 3)]
    begun_us = np.array([2, 2, 2]) * SECOND_US
    prompts = make_prompts(requests, begun_us=begun_us)
    waiting = MatchRules("breakpoints", written_as="write", visible="response_start")
    assert match(prompts, waiting).read_tokens.tolist() == [0, 0, 1500]
    at_once = MatchRules("breakpoints", written_as="write")
    assert match(prompts, at_once).read_tokens.tolist() == [0, 1500, 1500]


def test_deepseek_stores_a_common_prefix_only_when_it_is_seen_twice():
    shared = Message(range(640), "system")
    tails = [Message(range(at * 1000, at * 1000 + 130)) for at in range(1, 4)]
    requests = [(at, 0, [shared, tail], None) for at, tail in enumerate(tails)]
    outcome = simulate(make_prompts(requests), parse_cache_spec("deepseek")).outcome
    assert outcome.read_tokens.tolist() == [0, 0, 640]


def test_deepseek_stores_the_end_of_the_output():
    first, answer, more = Message(range(640)), Message(range(128), "assistant"), Message([5, 6, 7])
    requests = [(0, 0, [first], answer), (1, 0, [first, answer, more], None)]
    outcome = simulate(make_prompts(requests), parse_cache_spec("deepseek")).outcome
    assert outcome.read_tokens.tolist() == [0, 768]


def test_openai_reads_1408_of_a_repeated_prompt_of_1500():
    requests = [(now, 0, [Message(range(1500))], None) for now in (0, 1)]
    outcome = simulate(make_prompts(requests), parse_cache_spec("openai")).outcome
    assert outcome.read_tokens.tolist() == [0, 1408]


def test_openai_reads_nothing_of_a_short_prompt():
    requests = [(now, 0, [Message(range(1023))], None) for now in (0, 1)]
    outcome = simulate(make_prompts(requests), parse_cache_spec("openai")).outcome
    assert outcome.read_tokens.tolist() == [0, 0]


def test_vllm_computes_at_least_one_token():
    requests = [(now, 0, [Message(range(1600))], None) for now in (0, 1)]
    outcome = simulate(make_prompts(requests), parse_cache_spec("vllm")).outcome
    assert outcome.read_tokens.tolist() == [0, 1584]


def test_gemini_bills_storage_for_the_whole_lifetime():
    system = Message(range(5000), "system")
    times = (0, 600, 3601)
    requests = [(now, 0, [system, Message([now, 1])], None) for now in times]
    outcome = simulate(make_prompts(requests), parse_cache_spec("gemini-explicit:1h")).outcome
    assert outcome.read_tokens.tolist() == [0, 5000, 0]
    assert outcome.storage_token_hours.tolist() == [5000, 0, 5000]


def test_two_tenants_never_share():
    requests = [(0, scope, [Message(range(1500))], None) for scope in (0, 1, 0)]
    for spec in ("openai", "anthropic", "deepseek", "sglang", "llama.cpp:slots=2", "modules"):
        reads = simulate(make_prompts(requests), parse_cache_spec(spec)).outcome.read_tokens
        assert reads[0] == 0 and reads[1] == 0 and reads[2] > 1300, spec


def test_breakpoints_in_a_trace_stand_after_the_last_full_block():
    blocks = list(range(12))
    rows = [(0, 5 * 512 + 100, blocks[:6]), (1, 9 * 512, blocks[:5] + [20, 21, 22, 23])]
    outcome = match(make_trace(rows), ANTHROPIC)
    assert outcome.read_tokens.tolist() == [0, 5 * 512]
    assert outcome.write_tokens.tolist() == [5 * 512, 4 * 512]
    assert outcome.fresh_tokens.tolist() == [100, 0]


def test_a_radix_tree_evicts_the_leaf_that_was_used_longest_ago():
    a, b, c = (Message(range(at, at + 10)) for at in (0, 100, 200))
    requests = [(at, 0, [message], None) for at, message in enumerate([a, b, a, c, a, b])]
    rules = MatchRules("radix", unit_tokens=1, capacity_tokens=20)
    assert match(make_prompts(requests), rules).read_tokens.tolist() == [0, 0, 10, 0, 10, 0]


def test_a_radix_tree_keeps_a_shared_stem_while_a_leaf_hangs_on_it():
    stem, a, b, c = (Message(range(at, at + 10)) for at in (0, 100, 200, 300))
    listed = [[stem, a], [stem, b], [c], [stem, b], [stem, a]]
    requests = [(at, 0, messages, None) for at, messages in enumerate(listed)]
    rules = MatchRules("radix", unit_tokens=1, capacity_tokens=30)
    assert match(make_prompts(requests), rules).read_tokens.tolist() == [0, 10, 0, 20, 10]
