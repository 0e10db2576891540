"""A simulated prompt cache beside other levers, in any order, batch by batch, and kept."""

import json
import random
from decimal import Decimal

import pytest
from prompt_cache_cases import (
    FIRST,
    FLASH,
    GPT,
    OUTPUT_TOKENS,
    RULES,
    SONNET,
    ask,
    check_tokens,
    cost,
    count,
    make_options,
    replay_file,
    replay_rows,
    say,
    steps,
    usd_of,
    use,
)
from replay_cases import write_jsonl

from frugalctl.log import lines as by_line
from frugalctl.log import read as reading
from frugalctl.replay.ledger import open_ledger
from frugalctl.report.encode import render_json
from frugalctl.report.summary import summarise


def outcome(model, confidence, messages=FIRST):
    return {"model": model, "usage": use(messages, model), "confidence": confidence}


CASCADE = (("gpt-4o-mini", GPT), (0.0,))
MINI_USD, GPT_USD = ("0.15", "0.075", "0.60"), ("2.50", "1.25", "10")


def choose(at, confidence, *models, **fields):
    """A request that the small model answers for itself where its confidence is not below 0."""
    outcomes = [outcome(model, confidence) for model in models]
    return ask(at, FIRST, None, outcomes=outcomes) | fields


def test_a_cascade_has_a_cold_prefix_for_each_model(tmp_path):
    both = ("gpt-4o-mini", GPT)
    rows = [choose(at, sure, *both) for at, sure in ((0, 1), (10, -1), (20, -1), (30, 1))]
    report, _ = replay_rows(tmp_path, rows, "openai", cascade=CASCADE, baseline=GPT)
    prompt = count(FIRST, GPT)[-1]
    assert count(FIRST, "gpt-4o-mini")[-1] == prompt
    read = steps(prompt)
    mini = [(4 * prompt - 3 * read, MINI_USD[0]), (3 * read, MINI_USD[1])]
    large = [(2 * prompt - read, GPT_USD[0]), (read, GPT_USD[1])]
    output = [(4 * OUTPUT_TOKENS, MINI_USD[2]), (2 * OUTPUT_TOKENS, GPT_USD[2])]
    assert usd_of(report) == cost(*mini, *large, *output)
    assert report["prompt_cache"]["requests"] == 6
    assert report["prompt_cache"]["requests_with_hit"] == 4
    check_tokens(report)


def test_levers_save_one_after_the_other_and_together_the_whole(tmp_path):
    both = ("gpt-4o-mini", GPT)
    rows = [choose(at, sure, *both) for at, sure in ((0, 1), (10, -1), (20, -1))]
    report, _ = replay_rows(tmp_path, rows, "openai", cascade=CASCADE, baseline=GPT)
    alone, _ = replay_rows(tmp_path, rows, None, cascade=CASCADE, baseline=GPT)
    first, second = report["levers"]
    assert (first["name"], second["name"]) == ("cascade", "prompt_cache")
    assert first["saved_usd"] == alone["levers"][0]["saved_usd"] == -alone["delta"]["cost_usd"]
    assert second["saved_usd"] == pytest.approx(usd_of(alone) - usd_of(report), abs=1e-12)
    saved = sum(Decimal(str(item["saved_usd"])) for item in report["levers"])
    assert saved == -Decimal(str(report["delta"]["cost_usd"])) != 0


def test_an_uncovered_request_warms_nothing(tmp_path):
    rows = [
        choose(0, -1, "gpt-4o-mini"),  # the large model's answer is missing
        choose(10, 1, "gpt-4o-mini", GPT),
        choose(20, 1, "gpt-4o-mini", GPT),
    ]
    report, _ = replay_rows(tmp_path, rows, "openai", cascade=CASCADE, baseline="gpt-4o-mini")
    assert report["log"]["uncovered"] == 1
    assert report["prompt_cache"]["requests"] == 2
    assert report["prompt_cache"]["requests_with_hit"] == 1
    check_tokens(report)


def test_a_request_that_the_baseline_lacks_warms_nothing_either(tmp_path):
    rows = [choose(0, 1, "gpt-4o-mini"), choose(10, 1, "gpt-4o-mini", GPT)]
    report, _ = replay_rows(tmp_path, rows, "openai", cascade=CASCADE, baseline=GPT)
    assert report["log"]["uncovered"] == 1
    assert report["prompt_cache"]["requests_with_hit"] == 0
    check_tokens(report)


def test_the_logs_own_costs_pay_for_the_logs_own_cache_only(tmp_path):
    rows = [ask(at, FIRST, GPT, cost_usd=7.0) for at in (0, 60)]
    report, notes = replay_rows(tmp_path, rows, "openai", prices="log")
    by_book, _ = replay_rows(tmp_path, rows, "openai")
    assert usd_of(report, "baseline") == 14
    assert usd_of(report) == usd_of(by_book)
    assert any(note.startswith("the log's own costs") for note in notes)


@pytest.mark.parametrize(
    ("spec", "model", "said"),
    [
        ("anthropic", GPT, "rules of anthropic, but own prices, for gpt-4o"),
        ("anthropic", SONNET, None),
        ("bedrock", SONNET, None),
        ("azure", GPT, None),
        ("blocks", GPT, None),
        ("vllm", GPT, "vllm has no prices: reads cost what each model's provider asks"),
        ("openai", "orchid", None),
    ],
)
def test_the_reader_is_told_whose_prices_the_dollars_are(tmp_path, spec, model, said):
    _, notes = replay_rows(tmp_path, [ask(0, FIRST, model)], spec)
    assert [note for note in notes if "price" in note] == ([said] if said else [])


def conversations(requests, seed=1):
    """Rows of several conversations, whose gaps straddle the lifetimes."""
    draw = random.Random(seed)
    systems = [RULES, say("system", RULES["content"][:9000]), say("system", "short")]
    now, rows = 0, []
    for at in range(requests):
        now += draw.choice((1, 30, 200, 400))
        prompt = [systems[at % 3], say("user", f"q{draw.randrange(4)}")]
        model = draw.choice((SONNET, GPT))
        rows.append(ask(now, prompt, model, id=f"r{at}", tenant=draw.choice(("a", "b"))))
    return rows


SPECS = ["openai", "anthropic:breakpoints=system+last", "deepseek", "blocks:capacity=20k"]


def body(report):
    """What does not name the file."""
    return {name: value for name, value in report.items() if name != "origin"}


@pytest.mark.parametrize("spec", SPECS)
def test_order_of_the_log_does_not_matter_where_times_say_it(tmp_path, spec):
    rows = conversations(40)
    ordered, notes = replay_rows(tmp_path, rows, spec)
    assert not any("sorted" in note for note in notes)
    shuffled = random.Random(2).sample(rows, len(rows))
    mixed, notes = replay_rows(tmp_path, shuffled, spec)
    assert body(mixed) == body(ordered)
    assert any("out of order" in note and "sorted by time" in note for note in notes)
    assert 0 < ordered["prompt_cache"]["requests_with_hit"] < 40


@pytest.mark.parametrize("spec", SPECS)
def test_without_times_the_log_is_served_as_it_stands(tmp_path, spec):
    rows = conversations(12)
    for row in rows:
        del row["timestamp"]
    undated, notes = replay_rows(tmp_path, rows, spec)
    assert any(note.startswith("no request has a timestamp") for note in notes)
    packed, _ = replay_rows(tmp_path, [row | {"timestamp": 1_791_190_800} for row in rows], spec)
    assert undated["prompt_cache"] == packed["prompt_cache"]
    assert undated["log"]["undated"] == 12


@pytest.mark.parametrize("spec", ["openai", "blocks:unit=16,capacity=100k"])
def test_batches_and_readers_change_nothing(tmp_path, monkeypatch, spec):
    prompts = [[say("system", f"{name} " * 1100), say("user", "go")] for name in "abc"]
    usage = {"input_tokens": 1200, "output_tokens": 3}
    rows = [
        ask(at * 40, prompts[at // 5 % 3], None) | {"model": GPT, "usage": usage}
        for at in range(9000)
    ]
    path, ledger = write_jsonl(tmp_path / "log.jsonl", rows), str(tmp_path / "run.parquet")
    options, by_column, read_columnar = make_options(spec), [], reading.read_columnar

    def watch(*arguments):
        for batch in read_columnar(*arguments):
            by_column.append(batch.requests.num_rows)
            yield batch

    monkeypatch.setattr(reading, "read_columnar", watch)
    by_columns, _ = replay_file(path, options, ledger)
    assert sum(by_column) == 9000
    monkeypatch.setattr(reading, "_COLUMNAR_FROM_BYTES", 1 << 60)
    monkeypatch.setattr(reading, "_BATCH_ROWS", 1000)
    assert replay_file(path, options)[0] == by_columns
    meta, batches = open_ledger(ledger)
    assert render_json(summarise(batches, lambda: meta)) == by_columns
    report = json.loads(by_columns)
    assert report["log"]["requests"] == report["prompt_cache"]["requests"] == 9000
    check_tokens(report)


def test_a_line_that_only_one_reader_takes_shifts_no_decision(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "_COLUMNAR_FROM_BYTES", 1)
    monkeypatch.setattr(by_line, "_SAMPLE_LINES", 1)
    rows = conversations(12)
    path = tmp_path / "log.jsonl"
    lines = [json.dumps(row) for row in rows]
    path.write_text("\n".join([lines[0], lines[1][:-1] + ",}", *lines[2:]]) + "\n", "utf-8")
    report = json.loads(replay_file(path, make_options("openai", on_error="skip"))[0])
    good, _ = replay_rows(tmp_path, [rows[0], *rows[2:]], "openai")
    assert report["log"]["skipped_lines"] == 1
    assert report["prompt_cache"] == good["prompt_cache"]
    assert report["recipe"] == good["recipe"]


@pytest.mark.parametrize(
    ("spec", "cascade"),
    [("anthropic:1h", None), ("gemini-explicit", None), ("gemini", None), ("openai", CASCADE)],
)
def test_a_ledger_reports_the_same_to_the_byte(tmp_path, spec, cascade):
    rows = [ask(at * 40, FIRST, FLASH, provider="google") for at in range(5)]
    baseline = None
    if cascade:
        baseline = GPT
        rows = [choose(at * 40, at % 3 - 1, "gpt-4o-mini", GPT) for at in range(5)]
        rows.append(choose(999, -1, "gpt-4o-mini"))
    path, ledger = write_jsonl(tmp_path / "log.jsonl", rows), str(tmp_path / "run.parquet")
    options = make_options(spec, cascade=cascade, baseline=baseline)
    text, _ = replay_file(path, options, ledger)
    meta, batches = open_ledger(ledger)
    assert render_json(summarise(batches, lambda: meta)) == text
    assert json.loads(text)["prompt_cache"]["requests_with_hit"] > 0
