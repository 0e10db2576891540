"""The prefix report and the priced advice, by hand on small logs."""

import json

import numpy as np
import pyarrow as pa
import pytest

from frugalctl.errors import ConfigError, InputError
from frugalctl.levers.prompt_cache import parse_cache_table
from frugalctl.log.schema import SCHEMA, LogBatch
from frugalctl.prices import load_book
from frugalctl.report.advice import advise_prefixes, encode_advice, find_closest, write_recipe
from frugalctl.report.advice_layout import lay_out_advice, render_advice_csv
from frugalctl.report.prefix import compare_reads, read_prefix_log, report_prefixes, run_caches
from frugalctl.report.prefix_cost import Pricer, find_storage_price
from frugalctl.report.prefix_layout import (
    encode_prefix_report,
    lay_out_prefixes,
    render_prefix_csv,
    round_values,
)

LONG = "The desk answers in one sentence and names the page of the handbook. " * 200
BOOK = load_book()


def read(requests):
    rows = [dict(request) for request in requests]
    for row in rows:
        for name in ("messages", "tools"):
            if name in row:
                row[name] = json.dumps(row[name])
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in SCHEMA
    }
    batch = LogBatch(pa.RecordBatch.from_pydict(columns), "log", range(1, len(rows) + 1))
    return read_prefix_log([batch])


def request(at, text=LONG, *, model="claude-sonnet-4-5", **more):
    usage = more.pop("usage", {"input_tokens": 10_000})
    return {
        "timestamp": (1_790_000_000 + at) * 1_000_000,
        "tenant": "acme",
        "session": f"s{at}",
        "model": model,
        "usage": usage,
        "messages": [
            {"role": "system", "content": text},
            {"role": "user", "content": f"question {at}"},
        ],
    } | more


def make(requests, spec="auto", **options):
    log = read(requests)
    planned = run_caches(log, BOOK, spec)
    return report_prefixes(log, planned, Pricer(log, BOOK), **options)


def advise(requests, spec="auto", **options):
    log = read(requests)
    return advise_prefixes(log, run_caches(log, BOOK, spec), Pricer(log, BOOK), **options)


REPEATED = [request(0, session="s"), request(0, session="s")]


def test_two_equal_requests_by_hand():
    """Sonnet 4.5: 3 dollars a million of input, 3.75 to write, 0.30 to read."""
    total = make(REPEATED).total
    assert (total.requests, total.requests_with_hit) == (2, 1)
    assert (total.read_tokens, total.write_tokens, total.fresh_tokens) == (10_000, 10_000, 0)
    assert total.uncached_usd == pytest.approx(0.06)
    assert total.cost_usd == pytest.approx(0.0375 + 0.003)
    assert total.relative_input_cost == pytest.approx(0.675)
    assert total.logged_usd is None


def test_what_was_logged_is_priced_and_compared():
    usage = {"input_tokens": 10_000, "cache_write_tokens": 10_000, "cache_read_tokens": 0}
    hit = {"input_tokens": 10_000, "cache_write_tokens": 0, "cache_read_tokens": 9_000}
    report = make([request(0, session="s", usage=usage), request(0, session="s", usage=hit)])
    assert report.total.logged_usd == pytest.approx(0.0375 + 0.0027 + 0.003)
    everything, model = report.calibration
    assert (everything.requests, everything.logged_tokens, everything.predicted_tokens) == (
        2,
        9_000,
        10_000,
    )
    assert everything.mean_absolute_tokens == everything.bias_tokens == 500
    assert (everything.close_share, everything.correlation) == (0.5, pytest.approx(1.0))
    assert model.model == "claude-sonnet-4-5"


def test_a_request_without_usage_counts_as_uncached_in_what_was_logged():
    hit = {"input_tokens": 10_000, "cache_read_tokens": 9_000}
    report = make([request(0, usage=hit), request(5, usage=None)])
    counted = report.total.input_tokens - 10_000
    assert report.total.logged_usd == pytest.approx(0.0027 + 0.003 + counted * 3 / 1e6)
    assert any(note.startswith("1 requests log no usage") for note in report.notes)


def test_calibration_where_nothing_varies():
    same = compare_reads("", np.array([0, 0]), np.array([127, 0]))
    assert (same.correlation, same.close_share, same.bias_tokens) == (None, 1.0, -63.5)


def test_a_cause_costs_what_a_read_would_have_saved():
    """Both prompts are written whole; 10,000 tokens scaled, of which the head was missed."""
    heads = [f"It is 10:0{at}.\n{LONG}" for at in range(2)]
    report = make([request(at, text) for at, text in enumerate(heads)])
    cause = next(one for one in report.causes if one.cause == "volatile_text")
    assert (cause.requests, cause.expired_requests) == (1, 0)
    assert 9_900 < cause.missed_tokens < 10_000
    assert cause.lost_usd == pytest.approx(cause.missed_tokens * (3.75 - 0.30) / 1e6)
    assert cause.example.divergence.character == len("It is 10:0")


def test_expired_faults_cost_nothing_of_their_own():
    heads = [f"It is 10:0{at}.\n{LONG}" for at in range(2)]
    report = make([request(at * 1000, text) for at, text in enumerate(heads)])
    cause = next(one for one in report.causes if one.cause == "volatile_text")
    assert (cause.expired_requests, cause.missed_tokens, cause.lost_usd) == (1, 0, 0.0)


def test_groups_by_tenant_model_session_and_day():
    groups = make([*REPEATED, request(86_400, model="gpt-5.4", tenant="birch")]).groups
    assert {name: list(found) for name, found in groups.items()} == {
        "tenant": ["acme", "birch"],
        "model": ["claude-sonnet-4-5", "gpt-5.4"],
        "session": ["s", "s86400"],
        "day": ["2026-09-21", "2026-09-22"],
    }
    assert groups["tenant"]["acme"].read_tokens == 10_000
    assert groups["model"]["gpt-5.4"].requests_with_hit == 0


def test_where_the_tokens_repeat():
    tools = [{"name": "find", "description": LONG}]
    first = request(0, tools=tools, session="s")
    talk = [*first["messages"], {"role": "assistant", "content": "yes"}]
    again = request(1, tools=tools, session="s") | {
        "messages": [*talk, {"role": "user", "content": "question 0"}]
    }
    found = {one.part: one for one in make([first, again]).repetition}
    assert list(found) == ["tools", "system", "history", "last message"]
    for part in ("tools", "system"):
        assert found[part].as_prefix_tokens == found[part].anywhere_tokens
        assert found[part].as_prefix_tokens * 2 == found[part].tokens
    assert found["history"].as_prefix_tokens < found["history"].tokens
    last = found["last message"]
    assert (last.as_prefix_tokens, last.anywhere_tokens) == (0, last.tokens // 2)


def test_models_without_rules_or_prices_are_named_and_never_zero():
    report = make([*REPEATED, request(5, model="orchid-7b-internal")])
    assert list(report.without_cache) == ["orchid-7b-internal"]
    assert report.total.requests == 2
    unpriced = make([request(0, model="orchid-7b-internal")], "anthropic")
    assert unpriced.unpriced == {"orchid-7b-internal": 1}
    assert unpriced.total.cost_usd is unpriced.total.relative_input_cost is None
    shown = lay_out_prefixes(unpriced)[0]
    assert dict(shown.rows)["  as simulated"] == "unknown"


def test_uncertain_rules_have_bounds():
    requests = [request(at, model="gemini-2.5-flash") for at in (0, 1)]
    report = make(requests)
    assert report.bounds.read_share[0] == 0 < report.bounds.read_share[1] < 0.5
    dear, cheap = report.bounds.cost_usd
    assert dear == pytest.approx(report.total.uncached_usd) and cheap < dear
    assert make(REPEATED).bounds is None


def test_no_cache_at_all_is_an_error():
    with pytest.raises(InputError, match="no prompt cache for any request"):
        make([request(0, model="orchid-7b-internal")])
    with pytest.raises(InputError, match="shows its prompt"):
        read([{"model": "gpt-5.4", "usage": {"input_tokens": 5}}])


def test_the_report_is_plain_data_and_csv():
    report = make(REPEATED, input_xxh3="ab", as_of="2026-11-20")
    body = json.loads(json.dumps(encode_prefix_report(report)))
    assert list(body)[:2] == ["schema_version", "frugalctl_version"]
    assert body["total"]["read_share"] == 0.5
    assert body["total"]["cost_usd"] == 0.0405
    assert body["groups"]["tenant"][0]["tenant"] == "acme"
    assert body["causes"][0]["cause"] == "first_of_its_kind"
    assert (body["input_xxh3"], body["as_of"]) == ("ab", "2026-11-20")
    lines = render_prefix_csv(report).splitlines()
    assert lines[0].startswith("group,name,requests,")
    assert [line.split(",")[0] for line in lines[1:]] == [
        "total",
        "tenant",
        "model",
        "session",
        "day",
    ]
    assert round_values({"a_usd": (0.1 + 0.2,), "b": [1 / 3]}) == {
        "a_usd": [0.3],
        "b": [0.333333333],
    }


def test_advice_is_ranked_by_cost_and_priced_by_hand():
    """Three conversations with one system message: written once and read twice."""
    report = advise([request(at) for at in range(3)])
    own = [one for one in report.advice if not one.elsewhere]
    assert [one.rank for one in own] == list(range(1, len(own) + 1))
    best, base = own[0], next(one for one in own if one.change == "nothing")
    assert best.name == "breakpoints system"  # what is after it is cheaper fresh than written
    assert base.cost_usd == pytest.approx(3 * 0.0375)
    assert base.saving_usd == 0
    by_name = {one.name: one for one in own}
    both = by_name["breakpoints system + last"]
    head = both.read_share * 30_000 / 2
    expected = 0.0375 + 2 * (head * 0.3 + (10_000 - head) * 3.75) / 1e6
    assert both.cost_usd == pytest.approx(expected)
    assert both.saving_usd == pytest.approx(3 * 0.0375 - expected)
    assert both.relative_input_cost == pytest.approx(expected / 0.09)


def test_a_timestamp_is_named_and_its_fix_priced():
    heads = [f"It is 10:0{at}.\n{LONG}" for at in range(4)]
    report = advise([request(at, text, model="gpt-5.4") for at, text in enumerate(heads)])
    (where,) = report.varying
    assert (where.kind, where.message, where.role) == ("timestamp", 0, "system")
    best = report.advice[0]
    assert best.variant.startswith("timestamp moved to the end of the")
    assert best.saving_usd > 0.5 * next(
        one.cost_usd for one in report.advice if one.change == "nothing"
    )
    text = str(lay_out_advice(report))
    assert "a timestamp at message 0 (system), character 10" in text


def test_pings_cost_their_reads_and_one_token_each():
    """One ping between two requests and one after: two reads of the head, two output tokens."""
    requests = [request(at) for at in (0, 400)]
    report = advise(requests, "anthropic:breakpoints=system")
    pinged = next(one for one in report.advice if one.name.startswith("up to 1 ping"))
    head = pinged.read_share * 20_000
    rest = 10_000 - head
    usd = head * 3.75 + head * 0.3 + 2 * rest * 3 + 2 * head * 0.3 + 2 * 15
    assert (pinged.pings, pinged.cost_usd) == (2, pytest.approx(usd / 1e6, rel=1e-3))
    assert pinged.variant == "pings" and pinged.pays


def test_storage_is_paid_and_its_break_even_said():
    rate = find_storage_price(BOOK, "gemini-2.5-flash", None, 1_790_000_000_000_000)
    assert rate == 1.0
    assert find_storage_price(BOOK, "gpt-5.4", None, 1_790_000_000_000_000) is None
    report = advise([request(at, model="gemini-2.5-flash") for at in (0, 60)])
    stored = next(one for one in report.advice if one.name == "explicit")
    assert "storage pays from 3.7 reads an hour" in stored.assumption
    head = stored.read_share * 20_000
    usd = (20_000 - head) * 0.3 + head * 0.03 + head * rate
    assert stored.cost_usd == pytest.approx(usd / 1e6, rel=1e-4)  # storage is not rounded


def test_other_providers_show_what_their_multipliers_say():
    report = advise([request(at) for at in range(3)], models=["gpt-4o"])
    elsewhere = {one.name: one for one in report.advice if one.elsewhere}
    groq = elsewhere["groq's rules"]
    assert groq.cost_usd is None
    assert groq.relative_input_cost == pytest.approx(groq.fresh_share + 0.5 * groq.read_share)
    assert elsewhere["openai's rules"].relative_input_cost is None
    named = elsewhere["gpt-4o (openai)"]
    usd = 30_000 * (named.fresh_share * 2.5 + named.read_share * 1.25) / 1e6
    assert named.cost_usd == pytest.approx(usd)
    with pytest.raises(ConfigError, match="no prompt cache for orchid"):
        advise(REPEATED, models=["orchid-7b-internal"])


def test_one_hour_writes_are_weighed_as_such_without_a_price():
    report = advise([request(at, model="claude-none-such") for at in range(3)], "anthropic")
    by_name = {one.name: one for one in report.advice}
    mixed = by_name["5m breakpoints system:1h + last"]
    assert mixed.cost_usd is None
    whole = by_name["1h breakpoints system + last"].relative_input_cost
    plain = by_name["breakpoints system + last"].relative_input_cost
    assert plain < mixed.relative_input_cost < whole


def test_unpriced_requests_are_in_no_cost_and_said():
    requests = [*(request(at) for at in range(3)), request(9, model="claude-none-such")]
    report = advise(requests, "anthropic")
    assert "without a price, and in no cost: claude-none-such" in report.notes
    base = next(one for one in report.advice if one.change == "nothing")
    assert base.cost_usd == pytest.approx(3 * 0.0375)


def test_the_layout_that_the_log_looks_like_is_named():
    head = 9_990
    logged = [{"input_tokens": 10_000, "cache_read_tokens": n} for n in (0, head, head)]
    report = advise([request(at, usage=usage) for at, usage in enumerate(logged)])
    closest = find_closest(report, "anthropic")
    assert "system" in closest.name and closest.logged_distance_tokens < 100
    base = next(one for one in report.advice if one.change == "nothing")
    assert base.logged_distance_tokens == pytest.approx(2 * head / 3)
    assert "the cached tokens of the log look like" in str(lay_out_advice(report))
    nothing = [request(at, usage={**logged[0]}) for at in range(3)]
    assert find_closest(advise(nothing), "anthropic") is None
    assert find_closest(advise(REPEATED), "anthropic") is None


def test_the_best_is_written_as_a_recipe():
    import tomllib

    report = advise([request(at) for at in range(3)])
    text = write_recipe(report, "anthropic")
    table = tomllib.loads(text)["prompt_cache"]
    assert parse_cache_table(table).name == "anthropic:breakpoints=system"
    assert text.startswith("# breakpoints system: set cache_control after the system message\n")
    body = json.loads(json.dumps(encode_advice(report)))
    assert body["advice"][0]["prompt_cache"] == table
    assert len(render_advice_csv(report).splitlines()) == len(report.advice) + 1
