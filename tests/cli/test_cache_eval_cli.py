"""`frugalctl cache eval` and `cache tune` as a user runs them."""

import csv
import json
import tomllib

import pyarrow.parquet as pq
import pytest
from cli_cases import complain_lines, run

THINGS = ("invoice", "password", "parcel", "refund", "router", "passport", "ticket", "garden")
PLACES = ("Berlin", "Lima", "Oslo", "Cairo", "Quito", "Delhi", "Perth", "Kyoto", "Minsk", "Doha")
ASKED = (
    "where is my {thing} for the flat in {place}",
    "my {thing} for the flat in {place}: where is it",
    "where can my {thing} for the flat in {place} be",
)


def read_csv(text):
    return list(csv.DictReader(text.splitlines()))


def write(path, records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    return path


@pytest.fixture
def groups(tmp_path):
    records = [
        {"group": f"{thing} {place}", "text": text.format(thing=thing, place=place)}
        for thing in THINGS
        for place in PLACES
        for text in ASKED
    ]
    records += [{"text": f"sing me song number {at} of the {THINGS[at]}"} for at in range(8)]
    return write(tmp_path / "groups.jsonl", records)


@pytest.fixture
def pairs(tmp_path):
    records = [
        {"a": "reset my password", "b": "Reset my password?", "same": 1},
        {"a": "reset my password", "b": "reset my password please", "same": True},
        {"a": "enable the alarm", "b": "disable the alarm", "same": 0},
        {"a": "bake bread", "b": "file taxes", "same": False},
    ]
    return write(tmp_path / "pairs.jsonl", records)


def test_pairs_are_evaluated_at_every_threshold(pairs):
    result = run("cache", "eval", pairs, "--json", "--threshold", "-1")
    assert (result.returncode, result.stderr) == (0, b"")
    body = json.loads(result.stdout)
    assert (body["n"], body["kind"], body["auc"]) == (4, "pairs", 1.0)
    exact = next(point for point in body["curve"] if point["threshold"] == 1.0)
    assert exact["hits"] >= 1
    assert exact["wrong_of_hits"] == 0
    last = body["curve"][-1]
    assert last["recall"] == 1.0
    assert set(last) >= {
        "threshold", "hit_rate", "wrong_of_all", "wrong_of_hits", "wrong_of_hits_ci95", "recall",
    }  # fmt: skip
    assert body["translations"]["gptcache"] == 0.0
    refused = {one["guard"]: one["wrong_hits_refused"] for one in body["guard_reports"]}
    assert (refused["negation"], last["wrong_hits"]) == (1, 1)


def test_every_format_and_stdin(pairs, tmp_path):
    text = run("cache", "eval", pairs).stdout.decode()
    assert "AUC, before guards" in text
    assert "Operating points" in text
    piped = run("cache", "eval", "-", "--json", stdin=pairs.read_bytes())
    assert json.loads(piped.stdout) == json.loads(run("cache", "eval", pairs, "--json").stdout)
    rows = list(
        csv.DictReader(run("cache", "eval", pairs, "-f", "csv").stdout.decode().split("\n"))
    )
    assert float(rows[0]["threshold"]) >= float(rows[-1]["threshold"])
    target = tmp_path / "out.md"
    assert run("cache", "eval", pairs, "-o", target).returncode == 0
    assert target.read_text().startswith("### Semantic cache: 4 pairs")


def test_scores_in_input_order(pairs, tmp_path):
    asked = [json.loads(line) for line in pairs.read_text().splitlines()]
    for name in ("s.jsonl", "s.csv", "s.parquet"):
        target = tmp_path / name
        assert run("cache", "eval", pairs, "--scores", target).returncode == 0
        if name.endswith("jsonl"):
            rows = [json.loads(line) for line in target.read_text().splitlines()]
        elif name.endswith("csv"):
            rows = read_csv(target.read_text())
        else:
            rows = pq.read_table(target).to_pylist()
        assert [(row["a"], row["b"]) for row in rows] == [(one["a"], one["b"]) for one in asked]
        assert [int(row["same"]) for row in rows] == [int(one["same"]) for one in asked]
        assert float(rows[0]["score"]) == 1.0
        assert list(rows[0]) == ["a", "b", "same", "score", "guard", "right"]
    said = complain_lines(run("cache", "eval", pairs, "--scores", tmp_path / "s.txt"))
    assert "no extension that says how" in said[0]


def test_a_log_tells_dollars(tmp_path):
    def ask(at, text, answer):
        return {
            "timestamp": f"2026-10-02T09:15:{at:02d}Z",
            "model": "gpt-4o-mini",
            "messages": [{"role": "user", "content": text}],
            "response": answer,
            "usage": {"input_tokens": 10, "output_tokens": 10},
            "cost_usd": 0.25,
        }

    log = write(
        tmp_path / "log.jsonl",
        [
            ask(0, "how long is a day", "24 hours"),
            ask(1, "How long is a day?", "24  Hours"),
            ask(2, "how long is a day", "23 h 56 min"),
            ask(3, "who wrote Faust", "Goethe"),
        ],
    )
    body = json.loads(run("cache", "eval", log, "--json", "--wrong-answer-usd", "0.1").stdout)
    assert (body["kind"], body["n"], body["possible"]) == ("log", 4, 1)
    assert (body["at_threshold"]["hits"], body["at_threshold"]["wrong_hits"]) == (2, 1)
    assert body["break_even"]["saved_usd"] == 0.5
    assert body["break_even"]["net_usd"] == pytest.approx(0.4)


def test_a_tuned_recipe_replays(groups, tmp_path):
    recipe = tmp_path / "cache.toml"
    result = run(
        "cache", "tune", groups, "--max-wrong-hits", "0.1", "--seed", "3", "-o", recipe, "--json"
    )
    assert (result.returncode, result.stderr) == (0, b"")
    body = json.loads(result.stdout)
    text = recipe.read_text()
    table = tomllib.loads(text)["semantic_cache"]
    assert table["threshold"] == body["threshold"]
    assert (table["embedder"], table["scorer"]) == ("static", "cosine")
    assert body["input_xxh3"] in text
    assert "at confidence 0.95" in text
    assert body["calibration"]["wrong_of_hits"] <= 0.1
    assert body["held_out"]["hits"] > 0
    again = json.loads(run("cache", "eval", groups, "--recipe", recipe, "--json").stdout)
    assert again["at_threshold"]["threshold"] == body["threshold"]
    assert again["guards"] == body["guards"]


def test_a_scorer_is_trained_and_named(groups, tmp_path):
    recipe = tmp_path / "cache.toml"
    options = ("--max-wrong-hits", "0.2", "--confidence", "0.9", "--scorer", "learned")
    result = run("cache", "tune", groups, *options, "-o", recipe)
    assert result.returncode == 0, result.stderr.decode()
    assert tomllib.loads(recipe.read_text())["semantic_cache"]["scorer"] == "cache.scorer.npz"
    assert (tmp_path / "cache.scorer.npz").is_file()
    assert "other caches have nothing like it" in result.stdout.decode()
    body = json.loads(run("cache", "eval", groups, "--recipe", recipe, "--json").stdout)
    assert body["scorer"].startswith("learned:")
    assert body["translations"] is None


def test_vcache_is_compared(groups):
    body = json.loads(
        run("cache", "eval", groups, "--policy", "vcache", "--max-error", "0.1", "--json").stdout
    )
    ours, theirs = body["policies"]
    assert (ours["policy"], theirs["policy"]) == ("vcache", "threshold")
    assert ours["wrong_of_all"] <= 0.1
    assert theirs["wrong_hits"] <= ours["wrong_hits"]


def test_labels_that_are_one_set_are_refused(tmp_path):
    one = {"a": "reset my password", "b": "reset my password please", "same": 1}
    result = run("cache", "tune", write(tmp_path / "one.jsonl", [one] * 500))
    assert result.returncode == 2
    assert "hang together as 1 independent sets; at least 20" in complain_lines(result)[0]


def test_thin_labels_are_refused(pairs, tmp_path):
    recipe = tmp_path / "cache.toml"
    result = run("cache", "tune", pairs, "--max-wrong-hits", "0.02", "-o", recipe)
    assert result.returncode == 2
    assert "at least 149 hits are needed" in complain_lines(result)[0]
    assert str(pairs) in complain_lines(result)[0]
    assert not recipe.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tune", "--max-wrong-hits", "0"), "not between 0 and 1"),
        (("tune", "--confidence", "95"), "not between 0 and 1"),
        (("tune", "--held-out", "0.9"), "--held-out 0.9"),
        (("tune", "-o", "out.json"), "no recipe"),
        (("eval", "--guards", "numbrs"), "numbrs"),
        (("eval", "--policy", "vcache"), "no stream"),
        (("eval", "--policy", "vcache", "--max-error", "2"), "max_error"),
        (("eval", "--embedder", "nowhere-to-be-found"), "nowhere-to-be-found"),
    ],
)
def test_what_makes_no_sense_is_said(pairs, tmp_path, arguments, said):
    result = run("cache", arguments[0], pairs, *arguments[1:], cwd=tmp_path)
    assert result.returncode == 2
    assert said in " ".join(complain_lines(result))


def test_a_bad_record_has_its_line(tmp_path):
    path = write(tmp_path / "mixed.jsonl", [{"a": "x", "b": "y", "same": 1}, {"text": "t"}])
    result = run("cache", "eval", path)
    assert result.returncode == 2
    assert f"{path}:2" in complain_lines(result)[0]
    skipped = run("cache", "eval", path, "--on-error", "skip", "--json")
    assert json.loads(skipped.stdout)["n"] == 1
    assert "skipped" in skipped.stderr.decode()
