"""Each cause of a miss, in a small log where it is the only one."""

import numpy as np
import pytest
from cache_helpers import make_trace, read_requests

from frugalctl.levers.prompt_cache import parse_cache_spec, simulate
from frugalctl.levers.prompt_cache.blame import count_by_cause, find_misses
from frugalctl.levers.prompt_cache.settings import resolve_rules
from frugalctl.levers.prompt_cache.volatile import (
    cut_spans,
    find_divergence,
    find_varying,
    name_kind,
    widen_spans,
)

LONG = "The desk answers in one sentence and names the page of the handbook. " * 120
OTHER = "Every parcel is weighed twice before it is sealed and handed on. " * 120


def say(role, text):
    return {"role": role, "content": text}


def request(*messages, at=0, session="s", model="claude-sonnet-4-5", **more):
    return {
        "timestamp": 1_790_000_000_000_000 + at * 1_000_000,
        "session": session,
        "model": model,
        "messages": list(messages),
        **more,
    }


def blame(*requests, spec="anthropic"):
    prompts = read_requests(*requests)
    settings = parse_cache_spec(spec)
    reads = simulate(prompts, settings).counted.read_tokens
    names = {}
    sessions = [
        names.setdefault(one["session"], len(names)) if one["session"] else -1 for one in requests
    ]
    rules = [resolve_rules(settings, name, None).rules for name in prompts.model_names]
    return find_misses(prompts, np.array(sessions), reads, rules), prompts


def causes(*requests, **options):
    found, _ = blame(*requests, **options)
    return [(miss.row, miss.cause) for miss in found.misses]


SYSTEM = say("system", LONG)
TALK = [SYSTEM, say("user", "hello"), say("assistant", "good day"), say("user", "and now?")]


def test_a_conversation_that_grows_has_only_its_beginning_to_answer_for():
    assert causes(request(*TALK[:2]), request(*TALK, at=9)) == [(0, "first_of_its_kind")]


def test_what_expired_is_told_from_what_changed():
    assert causes(request(*TALK[:2]), request(*TALK, at=301))[1:] == [(1, "expired")]
    assert causes(request(*TALK[:2]), request(*TALK, at=301), spec="anthropic:1h")[1:] == []


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("2026-10-28T00:35:51Z", "2026-10-28T00:38:00Z", "timestamp"),
        ("Mon, 28 Oct 2026 10:05 AM", "Tue, 1 Nov 2026 9:05 PM", "timestamp"),
        ("1790000000", "1790000060", "timestamp"),
        ("123e4567-e89b-12d3-a456-426614174000", "223e4567-e89b-12d3-a456-426614174999", "uuid"),
        ("req_9f1a77", "req_aa1b08", "id"),
        ("17", "18", "counter"),
    ],
)
def test_a_value_that_varies_in_the_system_prompt(old, new, kind):
    heads = [say("system", f"For {value} only.\n{LONG}") for value in (old, new)]
    found, prompts = blame(
        request(heads[0], say("user", "a"), session=None),
        request(heads[1], say("user", "b"), session=None, at=5),
    )
    miss = found.misses[1]
    same = next(at for at in range(99) if old[at] != new[at])
    assert (miss.cause, miss.against, miss.divergence.kind) == ("volatile_text", 0, kind)
    assert (miss.divergence.message, miss.divergence.character) == (0, len("For ") + same)
    assert (miss.divergence.old[:4], miss.divergence.new[:4]) == ("For ", "For ")
    number = int(prompts.segments[prompts.segment_ends[1]])
    assert found.varying[number] == [(4, 4 + len(new))]
    head_tokens = int(prompts.texts.measure(np.array([number]))[0])
    assert miss.missed_tokens == head_tokens


def test_a_system_prompt_that_was_rewritten_within_a_session():
    changed = [say("system", OTHER), *TALK[1:]]
    assert causes(request(*TALK[:2]), request(*changed, at=5))[1:] == [(1, "system_changed")]


def test_another_application_of_the_same_tenant_is_no_fault():
    other = request(say("system", OTHER), say("user", "x"), session="t", at=5)
    assert causes(request(*TALK[:2]), other)[1:] == [(1, "first_of_its_kind")]


def test_tools_in_another_order_and_other_tools():
    tools = [{"name": name, "description": LONG} for name in ("find", "book")]
    first = request(*TALK[:2], tools=tools)
    again = request(*TALK, at=5, tools=tools[::-1])
    fewer = request(*TALK, at=5, tools=tools[:1])
    assert causes(first, again)[1:] == [(1, "tools_reordered")]
    found, _ = blame(first, fewer)
    assert found.misses[1].cause == "tools_changed"
    assert found.misses[1].divergence.message == -1


def test_history_cut_at_the_front():
    turns = [say("user" if at % 2 == 0 else "assistant", f"{at} {LONG}") for at in range(5)]
    cut = request(SYSTEM, *turns[2:], at=5)
    found, _ = blame(request(SYSTEM, *turns[:4]), cut)
    assert found.misses[1].cause == "history_truncated"
    assert found.misses[1].divergence.message == 1


def test_a_message_edited_afterwards():
    edited = request(SYSTEM, say("user", "hullo"), *TALK[2:], at=5)
    found, _ = blame(request(*TALK), edited, spec="anthropic:breakpoints=system+last")
    assert found.misses[1:] == ()  # all but some words was read
    longer = [say("user", f"{LONG}{end}") for end in "ab"]
    found, _ = blame(
        request(SYSTEM, longer[0], say("assistant", "yes")),
        request(SYSTEM, longer[1], say("assistant", "yes"), say("user", "so?"), at=5),
    )
    assert found.misses[1].cause == "message_edited"
    assert found.misses[1].divergence.character == len(LONG)


def test_another_model_begins_anew():
    switched = request(*TALK, at=5, model="claude-opus-5")
    assert causes(request(*TALK[:2]), switched)[1:] == [(1, "model_switch")]


def test_too_short_to_be_cached():
    short = [say("system", "Be brief."), say("user", "hello")]
    assert causes(request(*short), request(*short, say("user", "more"), at=5))[1:] == [
        (1, "below_minimum")
    ]


def test_no_breakpoint_where_two_sessions_part():
    requests = [
        request(SYSTEM, say("user", name), session=name, at=at) for at, name in enumerate("ab")
    ]
    assert causes(*requests)[1:] == [(1, "no_breakpoint")]
    assert causes(*requests, spec="anthropic:breakpoints=system+last")[1:] == []
    assert causes(*requests, spec="openai:hits=false,model=gpt-5.4")[1:] == [(1, "not_held")]


def test_a_fault_says_whether_the_lifetime_had_passed_too():
    heads = [say("system", f"It is {hour}:00.\n{LONG}") for hour in (10, 11)]
    found, _ = blame(
        request(heads[0], say("user", "a")), request(heads[1], say("user", "b"), at=3600)
    )
    assert (found.misses[1].cause, found.misses[1].expired) == ("volatile_text", True)


def test_requests_are_compared_in_the_order_of_their_times():
    found, _ = blame(request(*TALK, at=9), request(*TALK[:2]))
    assert [(miss.row, miss.cause) for miss in found.misses] == [(1, "first_of_its_kind")]


def test_hashes_and_models_without_a_cache_blame_nobody():
    trace = make_trace([(0, 1024, [1, 2]), (1, 1024, [3, 4])])
    rules = resolve_rules(parse_cache_spec("blocks"), "", None).rules
    none = np.full(2, -1)
    assert find_misses(trace, none, np.zeros(2, np.int64), [rules]).examined == 0
    prompts = read_requests(request(*TALK[:2]), request(*TALK, at=5))
    assert find_misses(prompts, none, np.zeros(2, np.int64), [None]).examined == 0


def test_causes_are_grouped_in_their_own_order():
    found, _ = blame(request(*TALK[:2]), request(*TALK, at=400), request(*TALK, at=900))
    grouped = count_by_cause(found)
    assert {cause: len(misses) for cause, misses in grouped.items()} == {
        "expired": 2,
        "first_of_its_kind": 1,
    }


def test_values_are_compared_until_the_words_differ():
    old, new = "a 1 b 2 c 3", "a 1 b 5 d 9"
    assert [new[slice(*span)] for _, span in find_varying(old, new)] == ["5"]
    assert find_varying("x 1 b", "y 2 b") == []
    assert find_divergence("abc", "abd") == 2
    assert find_divergence("ab", "abc") == 2
    assert [name_kind(value) for value in ("7", "a7")] == ["counter", "id"]


def test_all_of_a_date_is_cut_out():
    text = "Today is Tue, 1 Nov 2026 10:05 PM. Go on."
    at = text.index("1 Nov")
    assert cut_spans(text, widen_spans(text, [(at, at + 1)])) == (
        "Today is . Go on.",
        "Tue, 1 Nov 2026 10:05 PM",
    )
