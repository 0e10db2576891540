import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))
CASCADES = [path for path in RECIPES if "cascade" in tomllib.loads(path.read_text("utf-8"))]
LOG = ROOT / "sample_data" / "requests.jsonl"


def replay(recipe, text, *more):
    command = [sys.executable, "-m", "frugalctl", "replay", "-", "--json", "--recipe", str(recipe)]
    command += more
    result = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def head_of(recipe):
    lines = recipe.read_text("utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


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


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_head_of_a_recipe_says_what_it_does_to_the_sample(recipe):
    text = LOG.read_bytes()
    report = replay(recipe, text)
    head = head_of(recipe)
    base, new, delta, log = (report[key] for key in ("baseline", "recipe", "delta", "log"))
    assert delta["cost_usd"] < 0
    assert f"${base['cost_usd']:.4f} -> ${new['cost_usd']:.4f} ({delta['cost_pct']:+.1f} %)" in head
    assert f"({log['requests'] - log['uncovered']} of {log['requests']})" in head
    assert f"{delta['quality']:+.4f}, 95 % interval {interval(delta)}" in head
    assert f"{delta['latency_ms_mean']:+.0f} ms on the mean" in head
    slower = new["latency_ms"]["p95"] - base["latency_ms"]["p95"]
    assert f"{slower:+.0f} ms at the 95th percentile" in head


def test_the_faq_cascade_on_questions_alone():
    recipe = ROOT / "recipes" / "faq-cascade.toml"
    lines = LOG.read_bytes().splitlines(keepends=True)
    questions = b"".join(line for line in lines if json.loads(line)["task"] == "faq")
    report = replay(recipe, questions)
    head = head_of(recipe)
    base, new, delta = (report[key] for key in ("baseline", "recipe", "delta"))
    assert f"faq ${base['cost_usd']:.4f} -> ${new['cost_usd']:.4f}" in head
    assert f"faq alone {delta['quality']:+.4f} {interval(delta)}" in head


def test_the_faq_cascade_harms_what_its_head_warns_of():
    text = LOG.read_bytes()
    report = replay(ROOT / "recipes" / "faq-cascade.toml", text)
    tasks = {item["task"]: item for item in report["tasks"]}
    code, extract = tasks["code"], tasks["extract"]
    assert code["cost_usd"] > code["baseline_cost_usd"]
    assert extract["cost_usd"] > 4 * extract["baseline_cost_usd"]
    observed = [row for line in text.splitlines() if (row := json.loads(line))["task"] == "code"]
    assert code["requests"] == len(observed), "all of it is covered"
    qualities = [row["quality"] for row in observed if "quality" in row]
    latencies = [row["latency_ms"] for row in observed if "latency_ms" in row]
    assert code["quality"] < sum(qualities) / len(qualities)
    assert code["latency_ms_mean"] > sum(latencies) / len(latencies)


def test_the_prompt_cache_by_task_and_with_other_breakpoints():
    recipe, text = ROOT / "recipes" / "prompt-cache.toml", LOG.read_bytes()
    head, report = head_of(recipe), replay(recipe, text)
    for task in (item for item in report["tasks"] if item["task"] in ("agent", "faq")):
        change = f"${task['baseline_cost_usd']:.4f} -> ${task['cost_usd']:.4f}"
        assert f"{task['task']} {change}" in head
    for spec, said in (("anthropic:5m", "alone"), ("anthropic:1h,breakpoints=system+last", "hour")):
        other = replay(recipe, text, "--prompt-cache", spec)
        assert f"{said} {other['delta']['cost_pct']:+.1f} %" in head


def test_the_semantic_cache_by_hits_and_task_and_with_other_settings(tmp_path):
    recipe, text = ROOT / "recipes" / "semantic-cache.toml", LOG.read_bytes()
    head, report = head_of(recipe), replay(recipe, text)
    cache = report["semantic_cache"]
    said = (
        f"{cache['hits']} hits of {cache['asked']} looked up, {cache['wrong_hits']} of them wrong"
    )
    assert said in head
    (faq,) = (task for task in report["tasks"] if task["task"] == "faq")
    assert f"faq ${faq['baseline_cost_usd']:.4f} -> ${faq['cost_usd']:.4f}" in head
    assert f"{cache['hits_of_unknown_quality']} reused answers are of unknown quality" in head
    old, new = report["baseline"]["quality"], report["recipe"]["quality"]
    known = new["n"] / (new["n"] + cache["hits_of_unknown_quality"])
    assert f"from {old['mean']:.4f} to {new['mean'] * known:.4f}" in head
    scope = '["tenant", "model", "tools", "sampling", "history"]'
    for line, words in (('ttl = "24h"', 'ttl = "24h"'), (f"scope = {scope}", "the scope")):
        other = tmp_path / "other.toml"
        other.write_text(f"{recipe.read_text('utf-8')}{line}\n", "utf-8")
        assert f"{words} {replay(other, text)['delta']['cost_pct']:+.1f} %" in head


def test_what_colder_prefixes_take_from_the_semantic_cache():
    recipe = ROOT / "recipes" / "semantic-and-prompt-cache.toml"
    head, report = head_of(recipe), replay(recipe, LOG.read_bytes())
    saved = {lever["name"]: lever["saved_usd"] for lever in report["levers"]}
    assert f"saves ${saved['semantic_cache']:.4f}" in head
    assert f"${-saved['prompt_cache']:.4f} of that is lost" in head


@pytest.mark.parametrize("recipe", CASCADES, ids=lambda path: path.stem)
def test_calls_and_quality_are_those_of_the_cascade_by_hand(recipe):
    policy = tomllib.loads(recipe.read_text("utf-8"))["cascade"]
    text = LOG.read_bytes()
    report = replay(recipe, text)
    bought = [follow(policy, json.loads(line)) for line in text.splitlines()]
    covered = [outcomes for outcomes in bought if outcomes is not None]
    assert report["log"]["uncovered"] == len(bought) - len(covered)
    calls = {item["model"]: item["calls"] for item in report["models"]}
    for model in policy["models"]:
        assert calls[model] == sum(o["model"] == model for call in covered for o in call)
    qualities = [q for call in covered if (q := call[-1].get("quality")) is not None]
    expected = sum(qualities) / len(qualities)
    assert report["recipe"]["quality"]["mean"] == pytest.approx(expected, abs=1e-9)
