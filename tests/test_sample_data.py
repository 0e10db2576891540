import json
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_data"
MILLION = 1_000_000

# USD per million tokens: fresh input, cache read, cache write, cache write 1h, output. Batch
# halves them; the log has no cached tokens in the batch tier.
PRICES = {
    "claude-opus-5": ("5", "0.5", "6.25", "10", "25"),
    "claude-haiku-4-5": ("1", "0.1", "1.25", "2", "5"),
    "gpt-5.4": ("2.5", "0.25", "0", "0", "15"),
    "gemini-2.5-flash": ("0.3", "0.03", "0", "0", "2.5"),
}


@pytest.fixture(scope="module")
def rows():
    text = (SAMPLES / "requests.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def run(*arguments):
    command = [sys.executable, "-m", "frugalctl", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def price(row):
    usage = row["usage"]
    read = usage["cache_read_tokens"]
    write = usage.get("cache_write_tokens", 0)
    write_1h = usage.get("cache_write_1h_tokens", 0)
    fresh = usage["input_tokens"] - read - write - write_1h
    tokens = (fresh, read, write, write_1h, usage["output_tokens"])
    rates = [Decimal(rate) for rate in PRICES[row["model"]]]
    cost = sum(count * rate for count, rate in zip(tokens, rates, strict=True)) / MILLION
    if row["service_tier"] == "batch":
        assert not (read or write or write_1h)
        return cost / 2
    return cost


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("make_requests.py", ("requests.jsonl", "broken.jsonl")),
        ("make_pairs.py", ("groups.jsonl", "pairs.jsonl")),
        ("make_answers.py", ("answers.jsonl",)),
    ],
)
def test_the_script_makes_the_same_bytes(tmp_path, script, names):
    subprocess.run([sys.executable, SAMPLES / script, tmp_path], check=True, capture_output=True)
    for name in names:
        assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes()


def test_the_log_is_valid():
    result = run("log", "validate", "sample_data/requests.jsonl", "--json")
    assert result.returncode == 0, result.stderr


def test_totals_are_those_of_plain_arithmetic(rows):
    report = json.loads(run("replay", "sample_data/requests.jsonl", "--json").stdout)
    found = {item["model"]: item for item in report["models"]}
    for model in PRICES:
        mine = [row for row in rows if row["model"] == model]
        assert found[model]["calls"] == len(mine)
        expected = sum(price(row) for row in mine)
        assert Decimal(str(found[model]["cost_usd"])) == expected.quantize(Decimal("1e-9"))
    total = sum(Decimal(str(item["cost_usd"])) for item in report["models"] if item["cost_usd"])
    assert Decimal(str(report["recipe"]["cost_usd"])) == total


def test_cached_tokens_keep_the_rules_of_the_providers(rows):
    smallest = {"gpt-5.4-mini": 1024, "gpt-5.4": 1024, "gemini-2.5-flash": 2048}
    smallest |= {"claude-haiku-4-5": 4096, "claude-opus-5": 512}
    hits = Counter()
    for row in rows:
        usage = row.get("usage", {})
        read = usage.get("cache_read_tokens", 0)
        write = usage.get("cache_write_tokens", 0) + usage.get("cache_write_1h_tokens", 0)
        if read:
            hits[row["tenant"], row["model"]] += 1
            assert read >= smallest[row["model"]]
        if read + write:
            assert smallest[row["model"]] <= read + write < usage["input_tokens"]
        if row["provider"] == "openai":
            assert read % 128 == 0
    assert {model for _, model in hits} == smallest.keys() - {"gpt-5.4"}
    assert not hits["birch-lane-bank", "gpt-5.4"]


def test_the_dearest_model_is_better_on_hard_tasks_and_confidence_goes_with_quality(rows):
    quality, confidence = {}, {}
    for row in rows:
        for outcome in row.get("outcomes", ()):
            key = (row["task"], outcome["model"])
            quality.setdefault(key, []).append(outcome.get("quality"))
            if outcome["confidence"] is not None and outcome.get("quality") is not None:
                good = outcome["quality"] >= 0.75
                confidence.setdefault(good, []).append(outcome["confidence"])
    known = {key: [v for v in values if v is not None] for key, values in quality.items()}
    mean = {key: sum(values) / len(values) for key, values in known.items()}
    for task in ("code", "summarise"):
        dear, middle, cheap = (
            mean[task, name] for name in ("claude-opus-5", "gpt-5.4-mini", "gemini-2.5-flash")
        )
        assert dear > middle > cheap
    good, bad = (sum(confidence[key]) / len(confidence[key]) for key in (True, False))
    assert good - bad > 0.1


def test_questions_come_again_word_for_word_and_in_other_words(rows):
    asked = Counter(row["messages"][-1]["content"] for row in rows if row["task"] == "faq")
    answered = {
        row["reference"]: row["messages"][-1]["content"] for row in rows if row["task"] == "faq"
    }
    assert len(answered) < len(asked) < asked.total() / 2


def test_the_readme_counts_the_flaws(rows):
    said = (SAMPLES / "README.md").read_text("utf-8")
    known = [row for row in rows if "outcomes" in row]
    outcomes = [outcome for row in known for outcome in row["outcomes"]]
    own = [row for row in rows if row["model"] == "orchid-7b-internal"]
    for count, text in (
        (len(rows), "requests\nin English and Korean"),
        (sum("usage" not in row for row in rows), "chat requests have no `usage`"),
        (len(own), "requests went to `orchid-7b-internal`"),
        (sum("cost_usd" in row for row in rows), "of them have their own `cost_usd`"),
        (len(rows) - len(known), "requests have no `outcomes`"),
        (sum(len(row["outcomes"]) == 2 for row in known), "lack that of claude-opus-5"),
        (sum(item["confidence"] is None for item in outcomes), "outcomes have a null"),
        (sum("quality" not in row for row in known), "evaluated requests have no observed"),
        (sum("latency_ms" not in row for row in rows), "requests have no `latency_ms`"),
        (sum(row["service_tier"] == "batch" for row in rows), "of the batch tier"),
        (sum("trace_id" in row for row in rows), "request has a field that the format"),
    ):
        assert f"{count} {text}" in said


def test_every_bad_line_of_the_broken_log_is_named():
    result = run("log", "validate", "sample_data/broken.jsonl")
    assert result.returncode == 2
    shown = result.stdout + result.stderr
    for line, reason in (
        (2, "truncated"),
        (3, "negative"),
        (4, "exceed"),
        (5, "duplicate"),
    ):
        said = next(text for text in shown.splitlines() if f"broken.jsonl:{line} " in text)
        assert reason in said
    assert "broken.jsonl:1 " not in shown
    assert "broken.jsonl:6 " not in shown


def read_lines(name):
    return [json.loads(line) for line in (SAMPLES / name).read_text("utf-8").splitlines()]


def test_the_labels_of_the_pairs_are_those_of_the_groups():
    groups, pairs = read_lines("groups.jsonl"), read_lines("pairs.jsonl")
    group = {row["text"]: row["group"] for row in groups}
    assert len(group) == len(groups), "a question belongs to one group"
    for pair in pairs:
        assert pair["same"] == (group[pair["a"]] == group[pair["b"]])
    assert len({frozenset((pair["a"], pair["b"])) for pair in pairs}) == len(pairs)
    same = sum(pair["same"] for pair in pairs)
    said = (SAMPLES / "README.md").read_text("utf-8")
    assert f"{len(groups)} questions to a help desk in {len(set(group.values()))} groups" in said
    assert f"{len(pairs)} pairs of them, {same} with the same answer" in said
    korean = sum(any("가" <= letter <= "힣" for letter in text) for text in group)
    assert f"{korean} of the\nquestions are Korean" in said


def test_the_pairs_hang_together_in_small_parts():
    part = {row["text"]: row["group"] for row in read_lines("groups.jsonl")}
    for pair in read_lines("pairs.jsonl"):
        old, new = part[pair["b"]], part[pair["a"]]
        part = {text: new if name == old else name for text, name in part.items()}
    groups = {row["text"]: row["group"] for row in read_lines("groups.jsonl")}
    joined = Counter(name for name, _ in {(part[text], groups[text]) for text in part})
    assert max(joined.values()) <= 3
    assert len(joined) > 150


def test_the_labelled_pairs_allow_one_wrong_hit_in_twenty_but_not_in_fifty(tmp_path):
    recipe = tmp_path / "cache.toml"
    tune = ("cache", "tune", "sample_data/pairs.jsonl", "--max-wrong-hits")
    result = run(*tune, "0.05", "-o", str(recipe))
    assert result.returncode == 0, result.stderr
    result = run("cache", "eval", "sample_data/pairs.jsonl", "--recipe", str(recipe), "--json")
    measured = json.loads(result.stdout)["at_threshold"]
    assert measured["wrong_of_hits"] <= 0.05
    assert measured["hit_rate"] > 0.2
    refused = run(*tune, "0.02")
    assert refused.returncode == 2
    assert "no threshold" in refused.stderr
