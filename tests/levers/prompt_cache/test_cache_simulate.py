import pytest
from cache_helpers import read_requests

from frugalctl.errors import ConfigError, InputError
from frugalctl.levers.prompt_cache import parse_cache_spec, simulate

START_US = 1_790_000_000_000_000
LONG = {"role": "system", "content": " ".join(f"rule {number}" for number in range(900))}
SHORT = {"role": "system", "content": "Be brief."}


def ask(second, text="Hello", **fields):
    question = {"role": "user", "content": text}
    time_us = None if second is None else START_US + second * 1_000_000
    request = {"model": "gpt-4o", "messages": [LONG, question], "timestamp": time_us}
    return request | fields


def run(spec, *requests):
    return simulate(read_requests(*requests), parse_cache_spec(spec))


def hits(simulation):
    return (simulation.outcome.read_tokens > 0).tolist()


def test_requests_are_served_in_the_order_of_time():
    simulation = run("openai", ask(400), ask(0), ask(200))
    assert hits(simulation) == [True, False, True]
    assert any("sorted by time" in note for note in simulation.notes)


def test_equal_times_are_served_in_the_logs_order():
    simulation = run("openai", ask(0), ask(0, model="gpt-4.1"), ask(0))
    assert hits(simulation) == [False, False, True]
    assert simulation.notes == ()


def test_many_equal_times_out_of_order_keep_the_logs_order():
    simulation = run("openai", ask(100), *(ask(0) for _ in range(60)))
    assert hits(simulation) == [True, False, *[True] * 59]


def test_a_request_without_a_time_stands_beside_the_one_before():
    simulation = run("openai", ask(0), ask(1000), ask(None), ask(1200))
    assert hits(simulation) == [False, False, True, True]
    assert "1 requests have no timestamp" in simulation.notes[0]


def test_without_any_times_nothing_expires_and_that_is_said():
    simulation = run("anthropic:5m", ask(None), ask(None))
    assert hits(simulation) == [False, True]
    assert "nothing expires" in simulation.notes[0]


def test_lifetimes_and_their_bounds():
    simulation = run("openai", ask(0), ask(450))
    assert hits(simulation) == [False, False]
    assert (simulation.pessimistic.read_tokens > 0).tolist() == [False, False]
    assert (simulation.optimistic.read_tokens > 0).tolist() == [False, True]
    certain = run("anthropic", ask(0), ask(450))
    assert certain.pessimistic is None and certain.optimistic is None


def test_at_most_an_hour_in_openais_memory():
    simulation = run("openai", *(ask(second) for second in range(0, 4200, 240)))
    assert hits(simulation).count(False) == 2
    assert hits(simulation)[3840 // 240] is False


def test_each_model_has_its_own_rules_and_cache():
    simulation = run(
        "openai",
        *(ask(at, model=model) for at, model in enumerate(["gpt-4o", "gpt-5.6-sol", "gpt-4o"])),
        ask(3, model="gpt-5.6-sol"),
    )
    assert hits(simulation) == [False, False, True, True]
    writes = simulation.outcome.write_tokens.tolist()
    assert writes[0] == writes[2] == 0 and writes[1] > 1024
    modes = {model: rule.engine for model, rule in simulation.rules.items()}
    assert modes == {"gpt-4o": "blocks", "gpt-5.6-sol": "breakpoints"}


def test_tenants_share_only_where_that_is_asked_for():
    requests = [ask(at, tenant=tenant) for at, tenant in enumerate("aba")]
    assert hits(run("openai", *requests)) == [False, False, True]
    assert hits(run("openai:tenants=shared", *requests)) == [False, True, True]


def test_rules_are_those_of_the_day():
    early = ask(0) | {"timestamp": 1_760_000_000_000_000}
    found = run("qwen", early, early).rules["gpt-4o"]
    assert found.min_tokens == 256
    assert run("qwen", ask(0)).rules["gpt-4o"].min_tokens == 1024


def test_the_logged_total_is_kept():
    usage = {"input_tokens": 1000}
    simulation = run("anthropic", ask(0, usage=usage), ask(1, "Bye", usage=usage))
    assert simulation.outcome.input_tokens.tolist() == [1000, 1000]
    counted = simulation.counted
    ratio = counted.read_tokens[1] / counted.input_tokens[1]
    assert simulation.outcome.read_tokens[1] == pytest.approx(1000 * ratio, abs=1)
    assert any("scaled to the log's 2,000" in note for note in simulation.notes)


def test_what_shows_no_prefix_is_not_covered():
    bare = {"model": "gpt-4o", "usage": {"input_tokens": 2000}, "timestamp": START_US}
    simulation = run("openai", bare, bare)
    assert simulation.covered.tolist() == [False, False]
    assert simulation.outcome.fresh_tokens.tolist() == [2000, 2000]
    assert any("neither messages nor blocks" in note for note in simulation.notes)


def test_breakpoints_of_the_log_itself():
    marked = LONG | {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    question = {"role": "user", "content": "Hello"}
    requests = [ask(0, messages=[marked, question]), ask(900, messages=[marked, question])]
    simulation = run("anthropic:breakpoints=logged", *requests)
    assert hits(simulation) == [False, True]
    assert simulation.outcome.write_tokens.tolist() == [0, 0]
    assert simulation.outcome.write_1h_tokens[0] == simulation.outcome.read_tokens[1] > 1024
    assert (simulation.outcome.fresh_tokens > 0).all()
    unmarked = run("anthropic:breakpoints=logged", ask(0), ask(1))
    assert unmarked.outcome.fresh_tokens.tolist() == unmarked.outcome.input_tokens.tolist()


def test_nothing_read_is_said():
    simulation = run("anthropic", *(ask(at, messages=[SHORT]) for at in range(3)))
    assert hits(simulation) == [False] * 3
    assert any("minimum of 1,024" in note for note in simulation.notes)


@pytest.mark.parametrize(
    ("spec", "shared", "every_s", "words"),
    [
        ("openai", LONG, 86_400, ["every repeated prefix of 1,024 tokens or more has expired"]),
        ("blocks:unit=16,ttl=60", SHORT, 61, ["every repeated prefix has expired"]),
        ("openai:min=100000", LONG, 86_400, ["no repeated prefix reaches the minimum of 100,000"]),
        ("blocks:unit=16,capacity=16", LONG, 1, []),
    ],
)
def test_nothing_read_has_its_true_cause(spec, shared, every_s, words):
    text = "Which of all these rules is it that I have to follow here, and why is it that one?"
    shared = {"role": "system", "content": f"{shared['content']} {text}"}
    question = {"role": "user", "content": text}
    requests = (ask(at * every_s, messages=[shared, question]) for at in range(3))
    told = [note for note in run(spec, *requests).notes if note.startswith("nothing is read")]
    assert len(told) == len(words)
    assert all(word in note for word, note in zip(words, told, strict=True))


def test_blocks_without_a_size_are_refused_unless_it_is_given():
    rows = [{"usage": {"input_tokens": 1000}, "prefix_blocks": [1, 2]}] * 2
    for spec in ("openai", "blocks", "vllm"):
        with pytest.raises(InputError, match="no block_tokens"):
            run(spec, *rows)
    assert run("blocks:unit=512", *rows).outcome.read_tokens.tolist() == [0, 1000]


@pytest.mark.parametrize("spec", ["modules", "gemini-explicit"])
def test_what_a_trace_cannot_show_is_refused(spec):
    rows = [{"usage": {"input_tokens": 1000}, "prefix_blocks": [1, 2], "block_tokens": 512}]
    with pytest.raises(ConfigError):
        run(spec, *rows)


def test_a_model_without_a_cache_is_refused():
    with pytest.raises(ConfigError, match="no prompt cache for gpt-4"):
        run("openai", ask(0, model="gpt-4"))


def test_an_empty_log():
    simulation = run("anthropic")
    assert simulation.outcome.input_tokens.tolist() == []


@pytest.mark.parametrize(
    "spec",
    [
        "openai",
        "anthropic:1h",
        "gemini",
        "gemini-explicit",
        "deepseek",
        "vllm:capacity=2k",
        "sglang:capacity=2k",
        "llama.cpp:slots=2",
        "modules:capacity=3k",
        "kimi:1h",
        "blocks:unit=64,ttl=60,max_life=90",
    ],
)
def test_classes_sum_to_the_input_whatever_the_cache(spec):
    requests = [ask(at * 50, "Hello " * at, usage={"input_tokens": 777 * at}) for at in range(9)]
    simulation = run(spec, *requests)
    outcomes = [simulation.outcome, simulation.pessimistic, simulation.optimistic]
    for outcome in filter(None, outcomes):
        assert outcome.input_tokens.tolist() == [777 * at for at in range(9)]
        for name in ("read_tokens", "write_tokens", "write_1h_tokens", "fresh_tokens"):
            assert (getattr(outcome, name) >= 0).all()
