"""What a change of prompts is said to cost and why: intervals, months, one change of several."""

import json
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from prompt_change_cases import change, price_each

from frugalctl.cli.check_prompts import replay_prompts
from frugalctl.levers.prompt_cache.settings import parse_cache_spec
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import ReplayOptions

RULES = "\n".join(
    f"Rule {at}: answer politely, in two sentences, and promise nothing." for at in range(120)
)
START = datetime(2026, 11, 9, tzinfo=UTC)


def row(at, system, second, user="Where is my order?", **more):
    return {
        "id": f"r{at}",
        "timestamp": (START + timedelta(seconds=second)).isoformat(),
        "model": "gpt-5.4-mini",
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": user}],
        "response": "It is on its way.",
        "usage": {"input_tokens": 2000, "output_tokens": 8},
    } | more


def write(path, rows):
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), "utf-8")
    return path


def check(tmp_path, rows, old, new, options=None):
    """The prompts as they will ship against those of the log, by file name."""
    for name, files in (("old", old), ("new", new)):
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text, "utf-8")
    log = str(write(tmp_path / "log.jsonl", rows))
    new, old = str(tmp_path / "new"), str(tmp_path / "old")
    return replay_prompts([new], [log], old, options or ReplayOptions(), 0)


def find_slow_interval(sessions, changes):
    """The total of changes, sessions drawn with replacement; the mean change times how many."""
    groups = defaultdict(list)
    for session, one in zip(sessions, changes, strict=True):
        groups[session].append(float(one))
    sums = [(sum(group), len(group)) for group in groups.values()]
    rng = random.Random(7)
    totals = []
    for _ in range(2_000):
        drawn = rng.choices(sums, k=len(sums))
        totals.append(sum(one for one, _ in drawn) / sum(n for _, n in drawn) * len(changes))
    totals.sort()
    return totals[49], totals[1949]


def test_the_interval_is_that_of_pairs(tmp_path):
    """Sessions of very different sizes, some of which read less: against a slow bootstrap."""
    rng = random.Random(3)
    rows, second = [], 0
    for at in range(120):
        second += rng.choice([20, 60, 250, 900])
        usage = {"input_tokens": 2000, "output_tokens": rng.randrange(4_000)}
        session = f"s{at // rng.choice([1, 2, 5])}"
        rows.append(row(at, RULES, second, usage=usage, session=session))
    found = check(tmp_path, rows, {"a.md": RULES}, {"a.md": f"{{now}} {RULES}"})
    new = [change(one, f"{one['timestamp'][:19]}Z {RULES}") for one in rows]
    costs = [[float(usd) for usd, _, _ in price_each(side)] for side in (rows, new)]
    changes = [after - before for before, after in zip(*costs, strict=True)]
    one = found.pairs["recipe.cost_usd"]
    assert (one.pairs, one.base) == (120, pytest.approx(sum(costs[0]), abs=1e-10))
    assert one.amount == pytest.approx(sum(changes), abs=1e-10)
    slow = find_slow_interval([one["session"] for one in rows], changes)
    assert one.interval == pytest.approx(slow, abs=0.1 * (slow[1] - slow[0]))
    assert found.pairs["prompts.a.cost_usd"] == one


def test_what_grows_every_request_alike_is_certain(tmp_path):
    rng = random.Random(4)
    rows = [
        row(
            at,
            RULES,
            at * 20,
            usage={"input_tokens": 2000, "output_tokens": rng.randrange(9_000)},
        )
        for at in range(60)
    ]
    for one in rows:
        one["messages"].pop(0)
        one["messages"][0]["content"] = "Answer in two sentences."
    grown = "Answer in three sentences. Be quick."
    declared = '[a]\nfile = "a.md"\nrole = "user"\n'
    new = {"a.md": grown, "prompts.toml": declared}
    found = check(tmp_path, rows, {"a.md": "Answer in two sentences."}, new)
    for path, amount in (("recipe.cost_usd", 60 * 3 * 0.75e-6), ("prompts.a.input_tokens_mean", 3)):
        one = found.pairs[path]
        assert one.amount == pytest.approx(amount)
        assert one.interval == pytest.approx((amount, amount))
        assert one.noise is False


@pytest.mark.parametrize(
    ("hours", "count", "span", "factor"),
    [
        (26, 27, "The log stands for 1.1 days", 30.4375 / 27 * 24),
        (168, 15, "The log stands for 7.5 days", 30.4375 / 7.5),
        (23, 24, "The log is shorter than a day", 1000 / 24),
    ],
)
def test_a_month_is_so_many_times_the_span(tmp_path, hours, count, span, factor):
    """From 23:00, so that the dates that are touched are no measure."""
    step = hours / (count - 1)
    rows = [row(at, RULES, (23 + at * step) * 3600) for at in range(count)]
    found = check(tmp_path, rows, {"a.md": RULES}, {"a.md": f"{RULES} Be quick."})
    assert found.records[0]["span_factor"] == pytest.approx(factor)
    (note,) = found.tables[0].notes
    assert note.startswith(span)
    assert f"{factor:.2f}" in note or "1,000 requests" in note


def test_nights_belong_to_the_log(tmp_path):
    """Five days from 9:00 to 17:00, a request an hour: five days, not four and a third."""
    hours = [24 * day + 9 + hour for day in range(5) for hour in range(9)]
    rows = [row(at, RULES, hour * 3600) for at, hour in enumerate(hours)]
    found = check(tmp_path, rows, {"a.md": RULES}, {"a.md": f"{RULES} Be quick."})
    assert found.records[0]["span_factor"] == pytest.approx(30.4375 / 5)


TEAM_OLD = f"{RULES}\nFor team ${{team}}."
TEAM_NEW = f"For team ${{team}}.\n{RULES}"
ASK_OLD = "Answer briefly please.\nQuestion: ${question}"
ASK_NEW = "Question:\n${question}\nAnswer briefly now."


def two_teams(ask=ASK_OLD):
    """Bursts of four an hour, two teams in turn: a team reads what the other wrote, or not."""
    for at in range(60):
        burst, turn = divmod(at, 4)
        system = TEAM_OLD.replace("${team}", ["red", "blue"][at % 2])
        question = ask.replace("${question}", f"number {at} of them")
        yield row(at, system, burst * 3600 + turn * 20, question)


@pytest.mark.parametrize("ask", [ASK_OLD, ASK_NEW])
def test_each_change_is_blamed_for_its_own_effect(tmp_path, ask):
    old = {"ask.md": ASK_OLD, "sys.md": TEAM_OLD}
    declared = '[ask]\nfile = "ask.md"\nrole = "user"\n'
    new = {"ask.md": ask, "sys.md": TEAM_NEW, "prompts.toml": declared}
    found = check(tmp_path, list(two_teams()), old, new)
    asked, system = found.records
    assert asked["cached_share"] == pytest.approx(asked["base_cached_share"], abs=0.01)
    assert abs(asked["cost_pct"]) < 1
    assert "question" not in asked["why"]
    assert system["cost_pct"] > 30
    assert "sys.md:1: {team} stands further in front than before" in system["why"]
    assert "has 2 values in 60 requests" in system["why"]
    assert system["remedy"] == f"put team at the end of {tmp_path}/new/sys.md"
    assert system["remedy_cost_usd"] == pytest.approx(system["base_cost_usd"], abs=1e-10)
    whole = found.head["recipe"]["cost_usd"] / found.base["recipe"]["cost_usd"]
    assert whole == pytest.approx(1 + system["cost_pct"] / 100, abs=0.01)
    assert any("own change alone" in note for note in found.tables[0].notes) == (ask == ASK_NEW)


def test_of_two_new_placeholders_the_one_that_matters_is_blamed(tmp_path):
    rows = [row(at, RULES, at * 40) for at in range(40)]
    new = f"Today is {{today}}, now {{now}}.\n{RULES}"
    found = check(tmp_path, rows, {"a.md": RULES}, {"a.md": new})
    assert "{now} changes with every request" in found.records[0]["why"]
    assert "{today}" not in found.records[0]["why"]
    assert found.records[0]["remedy"].startswith("put now ")


def test_a_placeholder_that_came_forward_for_a_shorter_text_is_not_blamed(tmp_path):
    """What is cut away in front of it makes the rest too short to be cached."""
    rows = [row(at, f"{RULES}\nFor team red{at % 2}.", at * 20) for at in range(40)]
    short = f"{RULES[:900]}\nFor team {{team}}."
    found = check(tmp_path, rows, {"a.md": f"{RULES}\nFor team {{team}}."}, {"a.md": short})
    (record,) = found.records
    assert "shorter than the provider's minimum of 1,024 tokens" in record["why"]
    assert "{team}" not in record["why"]
    assert record["remedy"] is None


def test_no_cause_is_named_where_none_is_known(tmp_path):
    """Two prompts share their beginning, until one of them is edited there."""
    ends = ["You are kind.", "You are quick and to the point."]
    rows = [row(at, f"{RULES}\n{ends[at % 2]}", at * 200) for at in range(40)]
    old = {f"{name}.md": f"{RULES}\n{end}" for name, end in zip("ab", ends, strict=True)}
    found = check(tmp_path, rows, old, old | {"a.md": f"Always: {old['a.md']}"})
    first, second = found.records
    assert first["cached_share"] < first["base_cached_share"]
    assert f"{tmp_path}/new/a.md: a smaller share of the input is cached" in first["why"]
    assert second["why"].endswith("as in the log; nothing changes")
    assert second["cost_usd"] == second["base_cost_usd"]


def test_a_change_of_neither_tokens_nor_cache_is_told(tmp_path):
    rows = [row(at, RULES, at * 20) for at in range(20)]
    new = RULES.replace("Rule 119", "Rule 118")
    found = check(tmp_path, rows, {"a.md": RULES}, {"a.md": new})
    assert found.records[0]["why"].endswith("other text; as many tokens, as much of them cached")


def test_more_tokens_are_told_beside_a_larger_cached_share(tmp_path):
    """A prompt that grows across a multiple of 128 tokens."""
    text = "\n".join(RULES.split("\n")[:93])
    rows = [row(at, text, 0) for at in range(20)]
    for one in rows:
        del one["timestamp"]
    more = " ".join(f"And {at} more." for at in range(7))
    found = check(tmp_path, rows, {"a.md": text}, {"a.md": f"{text} {more}"})
    (record,) = found.records
    assert record["cost_usd"] < record["base_cost_usd"]
    cache, grown = record["why"].split("\n")
    assert "a.md: a larger share of the input is cached" in cache
    assert grown.endswith(": +35 tokens of text a request")


def test_the_origin_says_which_cache_was_simulated(tmp_path):
    rows = [row(at, RULES, at * 20) for at in range(20)]
    found = check(tmp_path, rows, {"a.md": RULES}, {"a.md": f"{RULES} Be quick."})
    name = found.head["origin"]["recipe"]["prompt_cache"]["name"]
    assert name == found.head["prompt_cache"]["name"] == "openai"
    recipe = Recipe("again", prompt_cache=parse_cache_spec(name))
    path = tmp_path / "again"
    path.mkdir()
    given = check(
        path, rows, {"a.md": RULES}, {"a.md": f"{RULES} Be quick."}, ReplayOptions(recipe=recipe)
    )
    assert given.head["recipe"]["cost_usd"] == found.head["recipe"]["cost_usd"]


def test_several_caches_are_named_in_words(tmp_path):
    models = ["gpt-5.4-mini", "deepseek-v4-flash", "nobodys-model"]
    rows = [row(at, RULES, at * 20, model=models[at % 3]) for at in range(30)]
    found = check(tmp_path, rows, {"a.md": RULES}, {"a.md": f"{RULES} Be quick."})
    name = found.head["prompt_cache"]["name"]
    assert name == "each provider's own (deepseek, openai)"
