"""The policies among the recipes: what their heads say is what they do to the samples."""

import json
import re
import tomllib
from functools import cache

import pytest
from recipe_shell import RECIPES, ROOT, SAMPLES, read_head, replay, run_in_process

from frugalctl.errors import ConfigError
from frugalctl.replay.recipe import parse_recipe

POLICIES = sorted(RECIPES.glob("*.toml"))
CASCADES = [path for path in POLICIES if "cascade" in tomllib.loads(path.read_text("utf-8"))]
SAMPLE = re.compile(r"On sample_data/(\w+\.jsonl)(?:, task (\w+) alone)?")


def read_log(name, task=None):
    lines = (SAMPLES / name).read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if task in (None, json.loads(line)["task"]))


@cache
def measure(recipe, text=None):
    """The head of a recipe, and the report of the sample that it names, or of another log."""
    path = RECIPES / f"{recipe}.toml"
    head = read_head(path)
    found = SAMPLE.search(head)
    return head, replay(read_log(*found.groups()) if text is None else text, "--recipe", path)


def interval(delta):
    low, high = delta["quality_ci95"]
    return f"[{low:+.4f}, {high:+.4f}]"


def follow(policy, row):
    """The answers that a cascade buys, by hand; None where one is missing.

    The observed answer stands in for a missing outcome of the observed model.
    """
    outcomes = {outcome["model"]: outcome for outcome in [row, *row.get("outcomes", ())]}
    bought = []
    for model, threshold in zip(policy["models"], [*policy["thresholds"], None], strict=True):
        if model not in outcomes:
            return None
        bought.append(outcomes[model])
        score = outcomes[model].get("confidence")
        if threshold is None or (score is not None and score >= threshold):
            break
    return bought


@pytest.mark.parametrize("recipe", [path.stem for path in POLICIES])
def test_the_head_of_a_recipe_says_what_it_does_to_its_sample(recipe):
    head, report = measure(recipe)
    base, new, delta, log = (report[key] for key in ("baseline", "recipe", "delta", "log"))
    assert report["recipe"]["name"] == recipe
    assert delta["cost_usd"] < 0
    assert f"${base['cost_usd']:.4f} -> ${new['cost_usd']:.4f} ({delta['cost_pct']:+.1f} %)" in head
    assert f"({log['requests'] - log['uncovered']} of {log['requests']})" in head
    if delta["quality"] is None:
        assert "quality unknown" in re.sub(" +", " ", head)
    else:
        assert f"{delta['quality']:+.4f}, 95 % interval {interval(delta)}" in head
    assert f"{delta['latency_ms_mean']:+.0f} ms on the mean" in head
    slower = new["latency_ms"]["p95"] - base["latency_ms"]["p95"]
    assert f"{slower:+.0f} ms at the 95th percentile" in head


def test_the_faq_cascade_on_questions_alone():
    head, report = measure("faq-cascade", read_log("requests.jsonl", "faq"))
    base, new, delta = (report[key] for key in ("baseline", "recipe", "delta"))
    assert f"faq ${base['cost_usd']:.4f} -> ${new['cost_usd']:.4f}" in head
    assert f"faq alone {delta['quality']:+.4f} {interval(delta)}" in head


def test_the_faq_cascade_harms_what_its_head_warns_of():
    _, report = measure("faq-cascade")
    tasks = {item["task"]: item for item in report["tasks"]}
    code, extract = tasks["code"], tasks["extract"]
    assert code["cost_usd"] > code["baseline_cost_usd"]
    assert extract["cost_usd"] > 4 * extract["baseline_cost_usd"]
    observed = [json.loads(line) for line in read_log("requests.jsonl", "code").splitlines()]
    assert code["requests"] == len(observed), "all of it is covered"
    qualities = [row["quality"] for row in observed if "quality" in row]
    latencies = [row["latency_ms"] for row in observed if "latency_ms" in row]
    assert code["quality"] < sum(qualities) / len(qualities)
    assert code["latency_ms_mean"] > sum(latencies) / len(latencies)


def test_the_prompt_cache_by_task_and_with_other_breakpoints():
    head, report = measure("prompt-cache")
    for task in (item for item in report["tasks"] if item["task"] in ("agent", "faq")):
        change = f"${task['baseline_cost_usd']:.4f} -> ${task['cost_usd']:.4f}"
        assert f"{task['task']} {change}" in head
    text = read_log("requests.jsonl")
    for spec, said in (("anthropic:5m", "alone"), ("anthropic:1h,breakpoints=system+last", "hour")):
        assert f"{said} {replay(text, '--prompt-cache', spec)['delta']['cost_pct']:+.1f} %" in head


def test_long_documents_with_other_lifetimes_and_breakpoints():
    head, _ = measure("long-documents")
    text = read_log("documents.jsonl")
    sizes = [json.loads(line)["usage"]["input_tokens"] for line in text.splitlines()]
    assert {round(size, -2) for size in sizes} == {1800} and "of 1,800 tokens" in head
    for spec, said in (
        ("anthropic:1h,breakpoints=system", "at twice the price {:+.1f} %"),
        ("anthropic:5m", "as automatic caching sets it, {:+.1f} %"),
    ):
        delta = replay(text, "--prompt-cache", spec)["delta"]
        assert said.format(delta["cost_pct"]) in head


def test_the_agent_by_lever_and_with_other_settings(tmp_path):
    head, report = measure("agent-sessions")
    saved = {lever["name"]: lever["saved_usd"] for lever in report["levers"]}
    said = f"saves ${saved['compress']:.4f}, the cache ${saved['prompt_cache']:.4f} on top"
    assert said in head
    compress, requests = report["compress"], report["log"]["requests"]
    assert f"{compress['quality_unknown']} of the {requests} prompts are changed" in head
    text = read_log("requests.jsonl", "agent")
    alone = replay(text, "--prompt-cache", "anthropic:5m,breakpoints=system+last")
    assert f"the cache alone {alone['delta']['cost_pct']:+.1f} %" in head
    other = tmp_path / "half.toml"
    plain = (RECIPES / "agent-sessions.toml").read_text("utf-8")
    other.write_text(plain.replace("[compress]\n", "[compress]\nrate = 0.5\n"), "utf-8")
    half = replay(text, "--recipe", other)
    assert f"With rate = 0.5 it would be {half['delta']['cost_pct']:+.1f} %" in head
    assert half["compress"]["requests_with_warnings"] == requests


def test_what_survives_of_the_retrieved_passages():
    head, _ = measure("rag-compression")
    rows = [json.loads(line) for line in read_log("passages.jsonl").splitlines()]
    cases = [
        {"id": row["id"], "messages": row["messages"], "answers": [row["reference"]]}
        for row in rows
    ]
    given = "".join(json.dumps(case) + "\n" for case in cases).encode()
    arguments = ("compress", "eval", "-", "--rates", "1.5,2,3", "--json")
    found = {
        rate["rate"]: rate for rate in json.loads(run_in_process(*arguments, stdin=given))["rates"]
    }
    for rate in (1.5, 2.0, 3.0):
        assert f"{found[rate]['kept']} of {len(rows)}" in head
        low, high = (f"{100 * end:.1f} %" for end in found[rate]["retention_ci95"])
        assert f"[{low}, {high}]" in head
    table = (RECIPES / "README.md").read_text("utf-8")
    assert f"survive in {found[2.0]['kept']} of {len(rows)} |" in table


def test_prompt_compression_of_tasks_and_without_a_rate(tmp_path):
    head, report = measure("prompt-compression")
    tasks = {item["task"]: item for item in report["tasks"]}
    for name in ("summarise", "faq"):
        task = tasks[name]
        said = f"{name} ${task['baseline_cost_usd']:.4f} -> ${task['cost_usd']:.4f}"
        assert said in head
    assert f"for all {report['compress']['quality_unknown']} prompts that are changed" in head
    lossless = tmp_path / "lossless.toml"
    lossless.write_text("[compress]\n", "utf-8")
    other = replay(read_log("requests.jsonl"), "--recipe", lossless)
    assert f"without rate {other['delta']['cost_pct']:+.1f} %" in head
    for result in (report, other):
        (agent,) = (task for task in result["tasks"] if task["task"] == "agent")
        assert f"${agent['baseline_cost_usd']:.4f} -> ${agent['cost_usd']:.4f}" in head


def test_the_semantic_cache_by_hits_and_task_and_with_other_settings(tmp_path):
    head, report = measure("semantic-cache")
    cache_report = report["semantic_cache"]
    hits, asked = cache_report["hits"], cache_report["asked"]
    assert f"{hits} hits of {asked} looked up, {cache_report['wrong_hits']} of them wrong" in head
    (faq,) = (task for task in report["tasks"] if task["task"] == "faq")
    assert f"faq ${faq['baseline_cost_usd']:.4f} -> ${faq['cost_usd']:.4f}" in head
    unknown = cache_report["hits_of_unknown_quality"]
    assert f"{unknown} reused answers are of unknown quality" in head
    old, new = report["baseline"]["quality"], report["recipe"]["quality"]
    known = new["n"] / (new["n"] + unknown)
    assert f"from {old['mean']:.4f} to {new['mean'] * known:.4f}" in head
    scope = '["tenant", "model", "tools", "sampling", "history"]'
    plain = (RECIPES / "semantic-cache.toml").read_text("utf-8")
    for line, words in (('ttl = "24h"', 'ttl = "24h"'), (f"scope = {scope}", "the scope")):
        other = tmp_path / "other.toml"
        other.write_text(f"{plain}{line}\n", "utf-8")
        delta = replay(read_log("requests.jsonl"), "--recipe", other)["delta"]
        assert f"{words} {delta['cost_pct']:+.1f} %" in head


def test_what_colder_prefixes_take_from_the_semantic_cache():
    head, report = measure("semantic-and-prompt-cache")
    saved = {lever["name"]: lever["saved_usd"] for lever in report["levers"]}
    assert f"saves ${saved['semantic_cache']:.4f}" in head
    assert f"${-saved['prompt_cache']:.4f} of that is lost" in head


@pytest.mark.parametrize("recipe", [path.stem for path in CASCADES])
def test_calls_and_quality_are_those_of_the_cascade_by_hand(recipe):
    policy = tomllib.loads((RECIPES / f"{recipe}.toml").read_text("utf-8"))["cascade"]
    _, report = measure(recipe)
    bought = [follow(policy, json.loads(row)) for row in read_log("requests.jsonl").splitlines()]
    covered = [outcomes for outcomes in bought if outcomes is not None]
    assert report["log"]["uncovered"] == len(bought) - len(covered)
    calls = {item["model"]: item["calls"] for item in report["models"]}
    for model in policy["models"]:
        assert calls[model] == sum(o["model"] == model for call in covered for o in call)
    qualities = [q for call in covered if (q := call[-1].get("quality")) is not None]
    expected = sum(qualities) / len(qualities)
    assert report["recipe"]["quality"]["mean"] == pytest.approx(expected, abs=1e-9)


def test_every_recipe_stands_in_the_table_with_what_it_saves():
    rows = dict(
        (name, line)
        for line in (RECIPES / "README.md").read_text("utf-8").splitlines()
        if line.startswith("|")
        for name in re.findall(r"\]\(([\w.-]+\.(?:toml|sh|yml))\)", line)
    )
    files = {path.name for path in RECIPES.iterdir() if path.name != "README.md"}
    assert rows.keys() == files
    for path in POLICIES:
        head, report = measure(path.stem)
        delta = report["delta"]
        assert f"| {-delta['cost_pct']:.1f} % |" in rows[path.name]
        if delta["quality"] is not None and delta["quality"]:
            assert f"{delta['quality']:+.4f} {interval(delta)}" in rows[path.name]


def test_every_key_of_a_recipe_is_documented():
    page = (ROOT / "docs" / "recipe-keys.md").read_text("utf-8")
    sections = dict(
        re.findall(r"^## `\[(\w+)\]`\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE)
    )
    for lever in ("normalize", "semantic_cache", "cascade", "compress"):
        with pytest.raises(ConfigError) as refused:
            parse_recipe({lever: {"qqqqqqqqqqqq": 1}}, "test")
        known = set(refused.value.hint.removeprefix("known: ").split(", "))
        known |= {"ms_per_1k_tokens"} if lever == "compress" else set()
        cells = re.findall(r"^\| (`.*?) \|", sections[lever], re.MULTILINE)
        assert {key for cell in cells for key in re.findall(r"`(\w+)`", cell)} == known
