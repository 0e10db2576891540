"""Alternatives and layouts against small logs whose best answer is known."""

import numpy as np
import pytest
from cache_helpers import (
    SECOND_US,
    Message,
    make_prompts,
    make_trace,
    read_file,
    read_requests,
    shared_file,
)

from frugalctl.levers.prompt_cache import parse_cache_spec, parse_cache_table, simulate
from frugalctl.levers.prompt_cache.advise import compare_model, list_alternatives
from frugalctl.levers.prompt_cache.auto import plan_caches, simulate_plan
from frugalctl.levers.prompt_cache.blame import find_misses
from frugalctl.levers.prompt_cache.describe import describe_settings, to_table
from frugalctl.levers.prompt_cache.layout import add_pings, move_volatile, order_stable_first
from frugalctl.levers.prompt_cache.texts import read_content
from frugalctl.prices import load_book

LONG = "The desk answers in one sentence and names the page of the handbook. " * 120


def advise(prompts, spec="auto", sessions=None):
    planned = simulate_plan(prompts, plan_caches(prompts, [None] * len(prompts), load_book(), spec))
    reads = planned.simulation.counted.read_tokens
    sessions = np.full(len(prompts), -1) if sessions is None else sessions
    blame = find_misses(prompts, sessions, reads, planned.rules)
    return list_alternatives(prompts, planned, blame), planned


def own(alternatives):
    return {one.name: one for one in alternatives if not one.elsewhere}


def talks(count, tokens=1500):
    """Conversations of one request each, with the same system message."""
    system = Message(range(tokens), "system")
    return [(at, 0, [system, Message([9000 + at] * 40)], None) for at in range(count)]


def test_a_breakpoint_after_the_system_message_lets_conversations_share_it():
    found, _ = advise(make_prompts(talks(3)), "anthropic")
    best = own(found)["breakpoints system + last"]
    assert own(found)["as it is"].outcome.read_tokens.tolist() == [0, 0, 0]
    assert best.outcome.read_tokens.tolist() == [0, 1500, 1500]
    assert best.outcome.write_tokens.tolist() == [1540, 40, 40]
    assert best.table == {"kind": "anthropic", "breakpoints": ["system", "last"]}
    assert best.change == "set cache_control after the system message and after the last message"
    assert parse_cache_table(best.table).name == "anthropic:breakpoints=system+last"


def test_alternatives_that_bill_the_same_are_listed_once():
    found, _ = advise(make_prompts(talks(3)), "anthropic")
    bills = [
        (one.outcome.read_tokens.sum(), one.outcome.write_tokens.sum(),
         one.outcome.write_1h_tokens.sum(), one.variant)
        for one in found
        if not one.elsewhere and not one.pings
    ]  # fmt: skip
    assert len(bills) == len(set(bills)) > 5


def test_an_hour_is_tried_against_five_minutes():
    system = Message(range(1500), "system")
    requests = [(at * 600, 0, [system, Message([at] * 10)], None) for at in range(1, 4)]
    found = own(advise(make_prompts(requests), "anthropic")[0])
    assert found["breakpoints system"].outcome.read_tokens.sum() == 0
    assert found["1h breakpoints system"].outcome.read_tokens.sum() == 3000
    assert found["1h breakpoints system"].outcome.write_1h_tokens.sum() == 1500
    mixed = found["5m breakpoints system:1h + last"].outcome
    assert (mixed.write_1h_tokens.sum(), mixed.write_tokens.sum()) == (1500, 30)


def stamped(count, step_s=5):
    return [
        {
            "timestamp": (1_790_000_000 + at * step_s) * SECOND_US,
            "model": "gpt-5.4",
            "messages": [
                {"role": "system", "content": f"Current time: 2026-10-28T09:00:{at:02d}Z\n{LONG}"},
                {"role": "user", "content": f"question {at}"},
            ],
        }
        for at in range(count)
    ]


def test_a_timestamp_at_the_head_is_found_and_moved():
    prompts = read_requests(*stamped(3))
    found, planned = advise(prompts)
    assert list(planned.plan.rows) == ["openai"]
    assert own(found)["as it is"].outcome.read_tokens.sum() == 0
    for place in ("system prompt", "prompt"):
        moved = own(found)[f"timestamp moved to the end of the {place}"]
        reads = moved.outcome.read_tokens
        assert reads[0] == 0 and (reads[1:] > 1024).all()
        assert moved.variant and moved.assumption
        assert "take the timestamp out of the system prompt" in moved.change


def test_text_is_moved_whole_and_no_token_is_lost():
    prompts = read_requests(*stamped(2))
    number = int(prompts.segments[0])
    for place in ("system", "prompt"):
        moved = move_volatile(prompts, {number: [(14, 34)]}, place)
        contents = [
            read_content(moved.texts.written[at])
            for at in moved.segments[: moved.segment_ends[1]].tolist()
        ]
        if place == "system":
            assert contents == [f"Current time: \n{LONG}\n2026-10-28T09:00:00Z", "question 0"]
        else:
            assert contents == [f"Current time: \n{LONG}", "question 0", "2026-10-28T09:00:00Z"]
        assert abs(moved.counted_tokens[0] - prompts.counted_tokens[0]) < 20
        assert moved.input_tokens[0] == moved.counted_tokens[0]
        assert moved.counted_tokens[1] == prompts.counted_tokens[1]


def test_logged_input_grows_as_the_counted_does():
    requests = [{**one, "usage": {"input_tokens": 20_000}} for one in stamped(1)]
    prompts = read_requests(*requests)
    moved = move_volatile(prompts, {int(prompts.segments[0]): [(14, 34)]}, "prompt")
    expected = 20_000 * moved.counted_tokens[0] / prompts.counted_tokens[0]
    assert moved.input_tokens[0] == pytest.approx(expected, abs=1)


def test_stable_messages_go_first_and_conversations_stay_as_they_are():
    shared, answer = Message(range(3000)), Message([1, 2], "assistant")
    own_words = [Message([5000 + at] * 20) for at in range(3)]
    single = [(at, 0, [own_words[at], shared, Message([at])], None) for at in range(3)]
    ordered = order_stable_first(make_prompts(single))
    assert ordered.texts.measure(ordered.segments[:3]).tolist() == [3000, 20, 1]
    reads = simulate(ordered, parse_cache_spec("openai")).outcome.read_tokens
    assert reads.tolist() == [0, 2944, 2944]
    talk = [(at, 0, [own_words[at], answer, shared, Message([at])], None) for at in range(3)]
    assert order_stable_first(make_prompts(talk)) is None
    assert order_stable_first(make_prompts(talks(3))) is None


def test_pings_stand_in_the_gaps_and_stop():
    system = Message(range(1500), "system")
    requests = [(now, 0, [system, Message([now])], None) for now in (0, 100, 1000)]
    pings = add_pings(make_prompts(requests), 270 * SECOND_US, 2, 1024)
    assert pings.sources.tolist() == [1, 1, 2, 2]
    seconds = (pings.prompts.time_us[3:] // SECOND_US).tolist()
    assert seconds == [370, 640, 1270, 1540]
    assert pings.prompts.counted_tokens.tolist() == [1501] * 3 + [1500] * 4
    many = add_pings(make_prompts(requests), 270 * SECOND_US, 9, 1024)
    assert (many.sources == 1).sum() == 3


def test_what_cannot_be_pinged():
    requests = talks(2)
    assert add_pings(make_prompts(requests), SECOND_US, 2, 1501) is None
    assert add_pings(make_prompts(requests[:1]), SECOND_US, 2, 0) is None
    unknown = make_prompts(requests, time_us=np.full(2, -(2**63)))
    assert add_pings(unknown, SECOND_US, 2, 0) is None


def test_pings_keep_the_instructions_alive_and_are_counted():
    system = Message(range(1500), "system")
    requests = [(at * 400, 0, [system, Message([at] * 10)], None) for at in range(3)]
    found = own(advise(make_prompts(requests), "anthropic:breakpoints=system")[0])
    assert found["as it is"].outcome.read_tokens.tolist() == [0, 0, 0]
    pinged = found["up to 1 ping to keep the instructions alive"]
    assert pinged.outcome.read_tokens.tolist() == [0, 1500, 1500]
    assert pinged.pings.outcome.read_tokens.tolist() == [1500, 1500, 1500]
    assert pinged.pings.sources.tolist() == [0, 1, 2]


def test_a_named_cache_is_tried_with_its_storage():
    system = Message(range(5000), "system")
    requests = [(at * 60, 0, [system, Message([at])], None) for at in range(4)]
    prompts = make_prompts(requests, model_names=("gemini-2.5-flash",))
    found = own(advise(prompts)[0])
    stored = found["explicit for 5m"].outcome
    assert stored.read_tokens.tolist() == [0, 5000, 5000, 5000]
    assert stored.storage_token_hours.tolist() == pytest.approx([5000 / 12, 0, 0, 0])


def test_other_providers_and_another_model():
    prompts = make_prompts(talks(3))
    found, planned = advise(prompts, "anthropic")
    elsewhere = {one.name: one for one in found if one.elsewhere}
    assert elsewhere["openai's rules"].outcome.read_tokens.tolist() == [0, 1408, 1408]
    assert not any("anthropic" in name or "vllm" in name for name in elsewhere)
    (compared,) = compare_model(prompts, planned, "gpt-4o", "openai")
    assert compared.model == "gpt-4o"
    assert compared.outcome.read_tokens.tolist() == [0, 1408, 1408]


def test_a_trace_has_no_messages_to_lay_out():
    trace = make_trace([(0, 1024, [1, 2]), (1, 1024, [1, 3])])
    found = own(advise(trace, "blocks:ttl=300")[0])
    assert list(found) == ["as it is"]


def test_each_model_goes_through_its_own_providers_cache():
    requests = [(at, 0, [Message(range(1500))], None) for at in range(6)]
    prompts = make_prompts(
        requests,
        models=np.array([0, 1, 2, 0, 1, 2]),
        model_names=("claude-sonnet-4-5", "gpt-5.4", "nobodys-model"),
    )
    plan = plan_caches(prompts, [None] * 6, load_book())
    assert {name: rows.tolist() for name, rows in plan.rows.items()} == {
        "anthropic": [0, 3],
        "openai": [1, 4],
    }
    assert list(plan.without) == ["nobodys-model"]
    planned = simulate_plan(prompts, plan)
    outcome = planned.simulation.outcome
    assert outcome.read_tokens.tolist() == [0, 0, 0, 1500, 1408, 0]
    assert outcome.write_tokens.tolist() == [1500, 0, 0, 0, 0, 0]
    assert planned.simulation.covered.tolist() == [True, True, False] * 2
    assert [one is None for one in planned.rules] == [False, False, True]
    assert outcome.input_tokens.tolist() == [1500] * 6


def test_settings_as_tables_and_in_words():
    settings = parse_cache_spec("anthropic:1h,breakpoints=tools+0+last,tenants=shared")
    table = to_table(settings)
    assert table["breakpoints"] == ["tools", "0", "last"]
    again = parse_cache_table(table)
    assert (again.mode, again.overrides(), again.split_tenants) == (
        settings.mode,
        settings.overrides(),
        False,
    )
    assert describe_settings(table) == (
        "set cache_control after the tools and after message 0 and after the last message; "
        "use the 1h cache"
    )
    assert to_table(parse_cache_spec("blocks:ttl=300")) == {"kind": "blocks", "ttl": "300"}


def test_taubench_gets_its_breakpoint_after_the_system_message():
    path = shared_file("taubench_airline_sessions.jsonl.gz")
    found, _ = advise(read_file(path, estimate=False), "anthropic")

    def weigh(one):
        out = one.outcome
        spent = out.fresh_tokens + 0.1 * out.read_tokens + 1.25 * out.write_tokens
        return (spent + 2 * out.write_1h_tokens).sum() / out.input_tokens.sum()

    assert weigh(own(found)["as it is"]) == pytest.approx(0.221, abs=0.001)
    best = own(found)["breakpoints system + last"]
    assert weigh(best) == pytest.approx(0.186, abs=0.001)
    assert weigh(best) <= min(map(weigh, own(found).values())) + 0.0005
