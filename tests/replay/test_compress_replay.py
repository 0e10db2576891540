"""Compression as a lever, against the price of every call worked out on its own."""

import json
import math
from decimal import Decimal
from pathlib import Path

import pytest
from compress_replay_cases import (
    CASCADE,
    HALF,
    RULES,
    SAFE,
    TOPICS,
    WHITE,
    WIDE,
    Slow,
    chat,
    document,
    layered,
    make_options,
    price,
    question,
    read_notes,
    replay_rows,
    rows_of_text,
    shorten,
    sizes,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from prompt_cache_cases import GPT, SONNET, ask, check_tokens, count, replay_file, say
from replay_cases import write_jsonl

from frugalctl.errors import BadLine, ConfigError, InputError
from frugalctl.levers.compress.prompt import build_prompt
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import on_disk
from frugalctl.replay.ledger import open_ledger
from frugalctl.replay.prompt_cache import plan_prompt_cache
from frugalctl.replay.recipe import Recipe, load_recipe, parse_recipe
from frugalctl.replay.run import ReplayOptions, replaying
from frugalctl.report.compress_lever import lay_out_compression
from frugalctl.report.diff import compare_reports
from frugalctl.report.encode import render_json
from frugalctl.report.gate import judge_gates, parse_gate
from frugalctl.report.layout import lay_out
from frugalctl.report.summary import summarise


@settings(max_examples=40, deadline=None)
@given(st.lists(rows_of_text(), min_size=1, max_size=5), st.sampled_from((HALF, SAFE, WHITE)))
def test_every_call_costs_what_its_scaled_usage_costs(tmp_path_factory, rows, tried):
    folder = tmp_path_factory.mktemp("log")
    path = write_jsonl(folder / "log.jsonl", rows)
    slow = Slow(rows, tried)
    with replaying([path], make_options(tried, ms=2.0)) as run:
        (batch,) = list(run.batches)
        summary = run.finish().compress
    after = [slow.shrink(row, made) for row, made in zip(rows, slow.after, strict=True)]
    names = ("fresh_input", "cache_read", "cache_write", "cache_write_1h")
    found = [[int(batch.recipe.tokens[name][at]) for name in names] for at in range(len(rows))]
    assert found == after
    assert all(count >= 0 for tokens in found for count in tokens)
    for at, (row, tokens) in enumerate(zip(rows, after, strict=True)):
        assert batch.recipe.cost_usd[at] == pytest.approx(price(row, tokens), rel=1e-12)
        waited = sum(sizes(row["messages"], None)[1:]) / 1000 * 2.0
        assert batch.recipe.latency_ms[at] == pytest.approx(100 + waited, rel=1e-12)
        lossless = slow.after[at] == shorten(row["messages"], WHITE)
        expected = row["quality"] if lossless else None
        quality = batch.recipe.quality[at]
        assert (None if math.isnan(quality) else quality) == expected
    whole = sum(row["usage"]["input_tokens"] for row in rows)
    saved = whole - sum(map(sum, after))
    assert summary["tokens_saved"] == saved == sum(summary["saved_by"].values())
    assert summary["requests_changed"] == sum(
        row["messages"] != made for row, made in zip(rows, slow.after, strict=True)
    )


def test_dollars_by_hand(tmp_path):
    messages = [RULES, question(*TOPICS)]
    row = ask(0, messages, GPT) | {"usage": {"input_tokens": 4000, "output_tokens": 70}}
    report = replay_rows(tmp_path, [row])
    left = 4000 * sum(sizes(shorten(messages, HALF), None)) / sum(sizes(messages, None))
    assert 1900 < left < 2100
    usd = (round(left) * Decimal("2.50") + 70 * Decimal(10)) / 1_000_000
    assert report["recipe"]["cost_usd"] == float(usd)
    (lever,) = report["levers"]
    assert lever["name"] == "compress"
    assert lever["saved_usd"] == pytest.approx(report["baseline"]["cost_usd"] - float(usd))


def test_what_all_share_is_still_read_from_the_cache(tmp_path):
    """Minified records are the same for all, so the prefix lasts, shorter than before."""
    whole = [chat(at, WIDE, say("user", f"Which is crate {at}?"), read=10**6) for at in range(3)]
    report = replay_rows(tmp_path, whole, SAFE)
    compress = report["compress"]
    assert compress["read_tokens_broken"] == 0
    assert compress["read_tokens_after"] == compress["input_tokens_after"]
    assert 0 < compress["input_tokens_after"] < compress["input_tokens_before"]
    assert not any("cache" in note for note in read_notes(tmp_path, whole, SAFE))


def test_what_the_question_decides_breaks_the_prefix(tmp_path):
    """The same documents, cut by two questions: what was read is paid in full."""
    texts = say("user", "\n\n".join(document(topic) for topic in TOPICS))
    asked = [say("user", f"What is item 3 of the {topic} list?") for topic in ("violin", "bakery")]
    rows = [chat(at, RULES, texts, ask_for, read=10**6) for at, ask_for in enumerate(asked)]
    cut = [shorten(row["messages"], HALF)[1] for row in rows]
    assert cut[0] != cut[1], "or the test shows nothing"
    report = replay_rows(tmp_path, rows)
    compress = report["compress"]
    head = sum(count([RULES], SONNET))
    assert 0 < compress["read_tokens_after"] < 2 * 2 * head
    assert compress["read_tokens_broken"] > 0.8 * compress["input_tokens_after"]
    (note,) = [one for one in read_notes(tmp_path, rows) if "priced as fresh" in one]
    assert "[prompt_cache]" in note


def test_a_simulated_cache_sees_the_compressed_prompts(tmp_path):
    """Against a replay of a log that was compressed by hand, with the same total."""
    shared = say("system", " ".join(f"rule {number}." for number in range(1500)))
    rows = [ask(at * 10, [shared, WIDE, question(*TOPICS, asked=TOPICS[at])], GPT) for at in (0, 1)]
    report = replay_rows(tmp_path, rows, cache="openai")
    by_hand = []
    for row in rows:
        short = shorten(row["messages"], HALF)
        ratio = sum(sizes(short, None)) / sum(sizes(row["messages"], None))
        usage = row["usage"] | {"input_tokens": round(row["usage"]["input_tokens"] * ratio)}
        by_hand.append(row | {"messages": short, "usage": usage})
    expected = replay_rows(tmp_path, by_hand, None, cache="openai")
    assert report["prompt_cache"] == expected["prompt_cache"]
    assert report["recipe"]["cost_usd"] == expected["recipe"]["cost_usd"]
    assert report["prompt_cache"]["requests_with_hit"] == 1
    check_tokens(report)
    first, second = report["levers"]
    assert (first["name"], second["name"]) == ("compress", "prompt_cache")
    saved = first["saved_usd"] + second["saved_usd"]
    assert saved == pytest.approx(-report["delta"]["cost_usd"], abs=1e-12)
    assert report["compress"]["read_tokens_before"] is None


def test_all_levers_together_sum_to_the_whole(tmp_path):
    report = replay_rows(
        tmp_path,
        layered(),
        cache="openai",
        cascade=CASCADE,
        reuse=SemanticCacheSettings(),
        baseline=GPT,
    )
    names = ["semantic_cache", "cascade", "compress", "prompt_cache"]
    assert [item["name"] for item in report["levers"]] == names
    saved = sum(Decimal(str(item["saved_usd"])) for item in report["levers"])
    assert saved == -Decimal(str(report["delta"]["cost_usd"]))
    assert report["semantic_cache"]["hits"] == 1
    assert report["compress"]["requests"] == 3, "what is answered from the cache is not sent"
    assert report["compress"]["tokens_saved"] > 0
    check_tokens(report)


def test_a_cascade_pays_less_for_every_call_and_waits_once(tmp_path):
    report = replay_rows(tmp_path, layered(), cascade=CASCADE, baseline=GPT, ms=0.0)
    slow = 0.0
    for row in layered():
        ratio = sum(sizes(shorten(row["messages"], HALF), None)) / sum(sizes(row["messages"], None))
        small, large = row["outcomes"]
        for made in (small,) if small["confidence"] >= 0 else (small, large):
            left = round(made["usage"]["input_tokens"] * ratio)
            whole = {"model": made["model"], "usage": made["usage"], "timestamp": row["timestamp"]}
            slow += price(whole, [left, 0, 0, 0])
    assert report["recipe"]["cost_usd"] == pytest.approx(slow, rel=1e-9)
    waits = replay_rows(tmp_path, layered(), cascade=CASCADE, baseline=GPT, ms=1000.0)
    added = waits["recipe"]["latency_ms"]["mean"] - report["recipe"]["latency_ms"]["mean"]
    tokens = [sum(sizes(row["messages"], None)[1:]) for row in layered()]
    assert added == pytest.approx(sum(tokens) / len(tokens), rel=1e-9)
    assert any("whole prompts" in note for note in read_notes(tmp_path, layered(), cascade=CASCADE))


def test_a_reused_answer_of_a_compressed_prompt_is_of_unknown_quality(tmp_path):
    arguments = {"cascade": CASCADE, "reuse": SemanticCacheSettings(), "baseline": GPT}
    cut = replay_rows(tmp_path, layered(), **arguments)
    whole = replay_rows(tmp_path, layered(), None, **arguments)
    assert whole["semantic_cache"]["hits_of_unknown_quality"] == 0
    assert cut["semantic_cache"]["hits_of_unknown_quality"] == 1
    assert cut["recipe"]["quality"]["n"] == 0 and whole["recipe"]["quality"]["n"] == 4
    assert cut["recipe"]["quality"]["mean"] is None


def test_only_the_lossless_tier_leaves_the_quality_as_logged(tmp_path):
    spaced = say("user", "Which one?   \n\n\n\n\nThe one   \n\n\n\n\nwith the long handle.  \n")
    rows = [ask(at, [one], GPT, quality=0.5) for at, one in enumerate((spaced, WIDE, RULES))]
    safe = replay_rows(tmp_path, rows, SAFE)
    assert safe["compress"]["changed_by"] == {"lossless": 1, "structural": 1, "lossy": 0}
    assert safe["compress"]["quality_assumed"] == 1
    assert safe["compress"]["quality_unknown"] == safe["compress"]["quality_lost"] == 1
    assert safe["recipe"]["quality"]["n"] == 2
    assert safe["compress"]["quality_at_worst"] == pytest.approx(1 / 3)
    notes = lay_out_compression(safe["compress"]).notes
    assert any(note.startswith("Assumed: 1 prompts") for note in notes)
    assert any("quality is unknown" in note for note in notes)


def test_requests_without_text_stay_as_they_are_and_are_named(tmp_path):
    bare = {"model": GPT, "usage": {"input_tokens": 900, "output_tokens": 5}}
    rows = [bare, ask(0, [question(*TOPICS)], GPT)]
    report = replay_rows(tmp_path, rows)
    alone = replay_rows(tmp_path, rows[1:])
    assert report["compress"]["requests_without_text"] == 1
    assert report["compress"]["input_tokens_after"] == alone["compress"]["input_tokens_after"] + 900
    notes = lay_out_compression(report["compress"]).notes
    assert any("1 requests that show no text" in note for note in notes)
    with pytest.raises(InputError, match="nothing can be compressed"):
        replay_rows(tmp_path, [bare])


def test_messages_that_are_no_list_name_their_line(tmp_path):
    rows = [ask(0, [RULES], GPT), {"model": GPT, "usage": {"input_tokens": 3}, "messages": ["x"]}]
    with pytest.raises(BadLine, match=r"log\.jsonl:2.*not a JSON list of objects"):
        replay_rows(tmp_path, rows)


def test_a_model_that_is_not_there_is_named_and_no_line_is_blamed(tmp_path):
    tried = CompressSettings(method="llmlingua2", llm=str(tmp_path / "nowhere"), rate=0.5)
    with pytest.raises(InputError, match="no such folder") as caught:
        replay_rows(tmp_path, [ask(0, [question(*TOPICS)], GPT)], tried)
    assert not isinstance(caught.value, BadLine)
    assert "nowhere" in str(caught.value)


def test_broken_markup_is_left_as_it_is_with_a_warning(tmp_path):
    broken = say("user", f"<!-- compress: novel -->{document('violin')}<!-- /compress -->")
    with pytest.raises(InputError, match="unknown kind"):
        build_prompt([broken])
    rows = [ask(0, [broken], GPT), ask(1, [question(*TOPICS)], GPT)]
    report = replay_rows(tmp_path, rows)
    assert report["compress"]["requests_changed"] == 1
    assert report["compress"]["requests_with_warnings"] == 1


def test_the_logs_own_costs_stand_where_nothing_changed(tmp_path):
    rows = [ask(0, [RULES], GPT, cost_usd=7.0), ask(1, [question(*TOPICS)], GPT, cost_usd=5.0)]
    report = replay_rows(tmp_path, rows, prices="log")
    by_book = replay_rows(tmp_path, rows[1:])
    assert report["baseline"]["cost_usd"] == 12
    assert report["recipe"]["cost_usd"] == 7 + by_book["recipe"]["cost_usd"]
    assert any("by the book" in note for note in read_notes(tmp_path, rows, prices="log"))


def test_llmlingua_without_a_time_has_an_unknown_latency(tmp_path):
    """Its own tiers change nothing here, so that no model is needed."""
    tried = CompressSettings(method="llmlingua2", llm="nowhere", rate=1.0)
    rows = [ask(0, [RULES], GPT, latency_ms=100.0)]
    assert replay_rows(tmp_path, rows, tried)["recipe"]["latency_ms"]["mean"] is None
    assert any("ms_per_1k_tokens" in note for note in read_notes(tmp_path, rows, tried))
    assert replay_rows(tmp_path, rows, tried, ms=50.0)["recipe"]["latency_ms"]["n"] == 1


def test_a_ledger_reports_the_same_to_the_byte_and_twice(tmp_path):
    path, ledger = write_jsonl(tmp_path / "log.jsonl", layered()), str(tmp_path / "run.parquet")
    options = make_options(
        cache="anthropic", cascade=CASCADE, reuse=SemanticCacheSettings(), baseline=GPT
    )
    text, _ = replay_file(path, options, ledger)
    meta, batches = open_ledger(ledger)
    assert render_json(summarise(batches, lambda: meta)) == text == replay_file(path, options)[0]
    assert json.loads(text)["origin"]["recipe"]["compress"]["rate"] == 0.5


def test_batches_change_nothing(tmp_path, monkeypatch):
    from frugalctl.log import read as reading

    rows = layered() * 3
    rows = [row | {"id": f"q{at}", "timestamp": at * 50} for at, row in enumerate(rows)]
    path = write_jsonl(tmp_path / "log.jsonl", rows)
    options = make_options(cache="openai", cascade=CASCADE, baseline=GPT)
    whole = replay_file(path, options)[0]
    monkeypatch.setattr(reading, "_BATCH_ROWS", 5)
    assert replay_file(path, options)[0] == whole


def test_diff_and_gates_know_its_metrics(tmp_path):
    rows = [ask(at, [RULES, question(*TOPICS)], GPT) for at in range(2)]
    base, head = replay_rows(tmp_path, rows, SAFE), replay_rows(tmp_path, rows)
    changed = {change.metric for change in compare_reports(base, head, everything=True)}
    assert {"compress.tokens_saved", "compress.saved_by.lossy", "levers.compress.saved_usd"} <= (
        changed
    )
    (verdict,) = judge_gates([parse_gate("compress.tokens_saved < 100")], head, None)
    assert not verdict.failed and verdict.head == head["compress"]["tokens_saved"] > 100


def test_the_report_shows_what_was_cut(tmp_path):
    path = write_jsonl(tmp_path / "log.jsonl", [ask(0, [RULES, question(*TOPICS)], GPT, quality=1)])
    with replaying([path], make_options()) as run:
        report = summarise(run.batches, run.finish)
    tables = {table.title: table for table in lay_out(report)}
    shown = tables["Compression: lossless, structural, extractive to 50 %"]
    assert ("requests whose quality is unknown now", "1") in shown.rows
    assert report.recipe.quality.mean is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"rat": 0.5}, "unknown key 'rat'"),
        ({"rate": 0}, "rate 0 is not above 0"),
        ({"ms_per_1k_tokens": -1}, "ms_per_1k_tokens is not a number"),
        ({"ms_per_1k_tokens": "5"}, "ms_per_1k_tokens is not a number"),
        ({"ms_per_1k_tokens": True}, "ms_per_1k_tokens is not a number"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(table, said):
    with pytest.raises(ConfigError, match=said):
        parse_recipe({"compress": table}, "x")


def test_the_time_it_takes_is_a_key_that_is_suggested():
    with pytest.raises(ConfigError) as caught:
        parse_recipe({"compress": {"ms_per_1k_token": 5}}, "x")
    assert caught.value.hint == "did you mean 'ms_per_1k_tokens'?"


def test_a_recipe_finds_its_model_beside_itself(tmp_path):
    (tmp_path / "tiny").mkdir()
    table = {"method": "llmlingua2", "llm": "tiny", "ms_per_1k_tokens": 40}
    recipe = parse_recipe({"compress": table}, "x", tmp_path)
    assert recipe.levers == ("compress",)
    assert recipe.compress.llm == str(tmp_path / "tiny")
    assert recipe.settings()["compress"]["ms_per_1k_tokens"] == 40.0


def test_the_prompt_cache_is_planned_on_what_is_left(tmp_path):
    """Nothing is simulated on text that compression has taken away."""
    path = write_jsonl(tmp_path / "log.jsonl", [ask(0, [WIDE], GPT)])
    options = make_options(SAFE, cache="openai")
    with replaying([path], options) as run, on_disk([path]) as sources:
        planned = plan_prompt_cache(
            read_log(sources, ReadOptions()),
            run.setup,
            options.recipe.prompt_cache,
            None,
            run.compressed,
        )
        assert int(planned.outcome.input_tokens.sum()) < count([WIDE], GPT)[-1]


def test_the_head_of_the_recipe_by_task_and_without_a_rate(tmp_path):
    root = Path(__file__).parents[2]
    path = root / "recipes" / "prompt-compression.toml"
    head, log = path.read_text("utf-8"), str(root / "sample_data" / "requests.jsonl")
    report, bare = (
        json.loads(replay_file(log, ReplayOptions(recipe=recipe))[0])
        for recipe in (load_recipe(str(path)), Recipe("bare", compress=CompressSettings()))
    )
    tasks, plain = (
        {
            task["task"]: f"${task['baseline_cost_usd']:.4f} -> ${task['cost_usd']:.4f}"
            for task in one["tasks"]
        }
        for one in (report, bare)
    )
    assert f"summarise {tasks['summarise']}, faq {tasks['faq']}" in head
    assert f"without rate {bare['delta']['cost_pct']:+.1f} %: agent {plain['agent']}" in head
    assert f"with it {tasks['agent']}" in head
    compress = report["compress"]
    assert f"unknown for all {compress['quality_unknown']} prompts" in head
    worst = compress["quality_at_worst"]
    assert f"from {report['baseline']['quality']['mean']:.4f} to {worst:.4f}" in head
