"""Every engine against its plain slow reference, on generated conversations."""

from dataclasses import replace

import numpy as np
from cache_helpers import SECOND_US, TOOL_RESULT, TOOL_USE, Message, make_prompts, make_trace
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_engines import (
    slow_blocks,
    slow_breakpoints,
    slow_modules,
    slow_named,
    slow_radix,
    slow_slot,
    slow_units,
)

from frugalctl.levers.prompt_cache.engine import Breakpoint, MatchRules
from frugalctl.levers.prompt_cache.lifetimes import group_in_order
from frugalctl.levers.prompt_cache.simulate import match

TOOLS = st.sampled_from([Message(range(5), "tools"), Message(range(1, 9), "tools")])
SYSTEM = st.sampled_from([Message(range(20, 31), "system"), Message(range(20, 25), "system")])
TURNS = st.one_of(
    st.builds(Message, st.lists(st.integers(0, 2), min_size=1, max_size=9)),
    st.builds(
        lambda tokens: Message(tokens, "assistant", 2, 0, TOOL_USE),
        st.lists(st.integers(0, 2), min_size=1, max_size=4),
    ),
    st.builds(
        lambda tokens: Message(tokens, "tool", 1, TOOL_RESULT, TOOL_RESULT),
        st.lists(st.integers(0, 2), min_size=1, max_size=4),
    ),
)


@st.composite
def conversations(draw):
    """Requests that begin alike, go on from each other, or differ early."""
    requests, now = [], 0
    for _ in range(draw(st.integers(1, 9))):
        now += draw(st.integers(0, 4))
        scope = draw(st.integers(0, 1))
        past = draw(st.sampled_from(requests))[2] if requests and draw(st.booleans()) else None
        if past is None:
            past = [*draw(st.lists(TOOLS, max_size=1)), *draw(st.lists(SYSTEM, max_size=2))]
        else:
            past = past[: draw(st.integers(0, len(past)))]
        messages = [*past, *draw(st.lists(TURNS, max_size=4))]
        messages = messages or [draw(TURNS)]
        answer = draw(st.one_of(st.none(), TURNS))
        requests.append((now, scope, messages, answer))
    return requests


TTL = st.one_of(st.none(), st.integers(1, 6))
MANY = settings(max_examples=300, deadline=None)


def check(requests, rules, expected, **columns):
    prompts = make_prompts(requests, **columns)
    outcome = match(prompts, rules)
    found = list(
        zip(
            outcome.read_tokens.tolist(),
            outcome.write_tokens.tolist(),
            outcome.write_1h_tokens.tolist(),
            strict=True,
        )
    )
    assert found == expected
    assert outcome.input_tokens.tolist() == prompts.counted_tokens.tolist()
    assert (outcome.fresh_tokens >= 0).all()
    return outcome


def to_us(seconds):
    return None if seconds is None else seconds * SECOND_US


@MANY
@given(
    conversations(),
    st.integers(1, 5),
    TTL,
    st.booleans(),
    TTL,
    st.one_of(st.none(), st.integers(1, 60)),
    st.integers(0, 12),
    st.integers(0, 1),
)
def test_blocks(requests, unit, ttl, sliding, life, capacity, least, fresh):
    rules = MatchRules(
        "blocks",
        unit_tokens=unit,
        ttl_us=to_us(ttl),
        sliding=sliding,
        max_life_us=to_us(life),
        capacity_tokens=capacity,
        min_tokens=least,
        fresh_min_tokens=fresh,
    )
    expected = slow_blocks(requests, unit, ttl, sliding, life, capacity, least, fresh)
    check(requests, rules, expected)


@MANY
@given(
    conversations(),
    st.lists(st.sampled_from(["tools", "system", "last"]), unique=True, min_size=1, max_size=3),
    st.integers(0, 3),
    st.integers(0, 20),
    st.integers(1, 6),
    TTL,
    TTL,
    st.data(),
)
def test_breakpoints(requests, places, hours, least, lookback, ttl, ttl_1h, data):
    ordered = [place for place in ("tools", "system", "last") if place in places]
    points = [(place, at < hours) for at, place in enumerate(ordered)]
    delays = data.draw(st.lists(st.integers(0, 3), min_size=len(requests), max_size=len(requests)))
    rules = MatchRules(
        "breakpoints",
        breakpoints=tuple(Breakpoint(*point) for point in points),
        min_tokens=least,
        lookback_blocks=lookback,
        ttl_us=to_us(ttl),
        ttl_1h_us=to_us(ttl_1h),
        visible="response_start",
        written_as="write",
    )
    expected = slow_breakpoints(requests, points, least, lookback, ttl, ttl_1h, delays)
    begun_us = np.array(delays, dtype=np.int64) * SECOND_US
    check(requests, rules, expected, begun_us=begun_us)


@MANY
@given(conversations(), st.integers(1, 5), TTL)
def test_units(requests, unit, ttl):
    rules = MatchRules("units", unit_tokens=unit, ttl_us=to_us(ttl))
    check(requests, rules, slow_units(requests, unit, ttl))


@MANY
@given(conversations(), st.integers(1, 6), st.integers(0, 14), st.booleans())
def test_named(requests, ttl, least, sliding):
    rules = MatchRules("named", ttl_us=to_us(ttl), min_tokens=least, sliding=sliding)
    expected, storage = slow_named(requests, ttl, least, sliding)
    outcome = check(requests, rules, expected)
    np.testing.assert_allclose(outcome.storage_token_hours, storage)


@MANY
@given(conversations(), st.integers(1, 3), st.one_of(st.none(), st.integers(1, 60)))
def test_radix(requests, page, capacity):
    rules = MatchRules("radix", unit_tokens=page, capacity_tokens=capacity, fresh_min_tokens=1)
    check(requests, rules, slow_radix(requests, page, capacity))


@MANY
@given(conversations(), st.integers(1, 3), st.sampled_from([0.0, 0.1, 0.5]))
def test_slot(requests, slots, similarity):
    rules = MatchRules("slot", slots=slots, similarity=similarity, fresh_min_tokens=1)
    check(requests, rules, slow_slot(requests, slots, similarity))


@MANY
@given(conversations(), TTL, st.one_of(st.none(), st.integers(1, 60)))
def test_modules(requests, ttl, capacity):
    rules = MatchRules("modules", ttl_us=to_us(ttl), capacity_tokens=capacity, fresh_min_tokens=1)
    check(requests, rules, slow_modules(requests, ttl, capacity))


@MANY
@given(conversations(), st.integers(1, 4), TTL, st.booleans())
def test_a_trace_of_block_ids_is_matched_like_its_text(requests, unit, ttl, sliding):
    numbers = {}
    rows = []
    for now, scope, messages, _ in requests:
        tokens = [token for message in messages for token in message.tokens]
        whole = len(tokens) // unit * unit
        prefixes = [(scope, tuple(tokens[:end])) for end in range(unit, whole + 1, unit)]
        ids = [numbers.setdefault(prefix, len(numbers)) for prefix in prefixes]
        rows.append((now, len(tokens), ids))
    rules = MatchRules("blocks", unit_tokens=unit, ttl_us=to_us(ttl), sliding=sliding)
    trace = match(make_trace(rows, unit), rules)
    text = match(make_prompts(requests), rules)
    assert trace.read_tokens.tolist() == text.read_tokens.tolist()


@MANY
@given(st.lists(st.integers(0, 6), min_size=1, max_size=40))
def test_equal_keys_come_together_even_where_high_bits_clash(values):
    keys = np.array(values, dtype=np.uint64)
    order, is_new = group_in_order(keys)
    assert sorted(order.tolist()) == list(range(len(values)))
    grouped = [values[at] for at in order]
    assert is_new.tolist() == [
        at == 0 or grouped[at] != grouped[at - 1] for at in range(len(order))
    ]
    assert is_new.sum() == len(set(values))
    for a, b in zip(order.tolist(), order.tolist()[1:], strict=False):
        assert values[a] != values[b] or a < b


def test_outcomes_scale_to_another_total_without_losing_a_token():
    from frugalctl.levers.prompt_cache.engine import Outcome, scale_outcome

    parts = [np.array(part, dtype=np.int64) for part in ([100, 3, 0], [0, 3, 0], [50, 0, 0])]
    outcome = Outcome(*parts, np.array([850, 1, 0]), np.array([2.0, 0.0, 0.0]))
    logged = np.array([500, 10, 7])
    scaled = scale_outcome(outcome, outcome.input_tokens, logged)
    assert scaled.input_tokens.tolist() == logged.tolist()
    assert scaled.read_tokens.tolist() == [50, 4, 0]
    assert scaled.write_1h_tokens.tolist() == [25, 0, 0]
    assert scaled.storage_token_hours.tolist() == [1.0, 0.0, 0.0]
    same = scale_outcome(outcome, outcome.input_tokens, outcome.input_tokens)
    for name in ("read_tokens", "write_tokens", "write_1h_tokens", "fresh_tokens"):
        assert getattr(same, name).tolist() == getattr(outcome, name).tolist()


def test_a_cache_that_never_hits_reads_nothing():
    requests = [(0, 0, [Message(range(9))], None)] * 2
    rules = MatchRules("blocks", unit_tokens=1)
    assert match(make_prompts(requests), rules).read_tokens.tolist() == [0, 9]
    never = replace(rules, hits=False)
    assert match(make_prompts(requests), never).read_tokens.tolist() == [0, 0]
