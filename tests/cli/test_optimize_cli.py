"""`frugalctl optimize`: the whole command, and what users get wrong."""

import json
import tomllib

import pytest
from cli_cases import complain_lines, run

PRICES = {"small": 0.001, "middle": 0.004, "large": 0.02}


def lines_of(rows=240, **change):
    """Three models; a request is hard for all or for none; deterministic."""
    for at in range(rows):
        hard = (at * 37 % 101) / 101
        outcomes = [
            {
                "model": model,
                "response": f"It is {at}." if hard < skill else f"Perhaps {at * 7 % 13}?",
                "latency_ms": 10 * number + 5.0,
                "cost_usd": cost,
                "quality": float(hard < skill),
                "confidence": skill - hard + (at * 13 % 7 - 3) / 50,
            }
            | change
            for number, ((model, cost), skill) in enumerate(
                zip(PRICES.items(), (0.6, 0.8, 0.93), strict=True), 1
            )
        ]
        question = [{"role": "user", "content": f"Number {at}?"}]
        yield {"id": f"r{at}", "task": "faq", "messages": question, "outcomes": outcomes}


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write(tmp_path_factory.mktemp("log") / "log.jsonl", lines_of())


def optimize(*arguments, **more):
    result = run("optimize", *arguments, "--prices", "log", **more)
    assert result.returncode == 0, result.stderr.decode()
    return result


def test_json_has_the_keys_that_others_rely_on(log, tmp_path):
    recipe = tmp_path / "best.toml"
    goal = ("--max-quality-loss", "0.1", "--confidence", "0.9")
    body = json.loads(optimize(log, *goal, "--format", "json", "-o", recipe).stdout)
    assert {"models", "thresholds", "score"} <= body["policy"].keys()
    assert {"cost_usd", "quality", "latency_ms"} <= body["train"].keys()
    assert {
        "cost_usd",
        "quality",
        "latency_ms",
        "same",
        "delta_quality",
        "delta_quality_ci95",
        "saving",
    } <= body["heldout"].keys()
    assert {"max_loss", "confidence", "granted", "reason"} <= body["certificate"].keys()
    assert body["search"]["policies"] > 1000 and body["search"]["rows"] == 240
    names = {one["name"] for one in body["baselines"]}
    assert {"single", "random mix", "zero router", "knn router", "oracle"} <= names
    assert all({"models", "cost_usd", "quality"} <= one.keys() for one in body["front"])
    assert body["certificate"]["granted"] is True
    written = tomllib.loads(recipe.read_text())
    assert written["cascade"]["models"] == body["policy"]["models"]

    replayed = run("replay", log, "--prices", "log", "--recipe", recipe, "--json")
    side = json.loads(replayed.stdout)["recipe"]
    assert side["cost_usd"] == pytest.approx(body["train"]["cost_usd"], abs=1e-12)
    assert side["quality"]["mean"] == pytest.approx(body["train"]["quality"], abs=1e-9)
    assert side["latency_ms"]["mean"] == pytest.approx(body["train"]["latency_ms"], abs=1e-9)


def test_equal_runs_give_equal_bytes_but_for_the_clock(log):
    bodies = []
    for _ in range(2):
        body = json.loads(optimize(log, "--willingness-to-pay", "0.02", "--json").stdout)
        body["search"].pop("seconds")
        bodies.append(body)
    assert bodies[0] == bodies[1]


def test_the_table_says_what_a_reader_needs(log):
    text = optimize(log).stdout.decode()
    for words in (
        "Policy",
        "What it does",
        "Baselines",
        "Front",
        "Measures",
        "oracle",
        "In sample",
    ):
        assert words in text
    assert "ertified: " in text
    markdown = optimize(log, "--format", "markdown", "--budget", "4/1k").stdout.decode()
    assert markdown.startswith("### Policy")
    assert "No certificate was asked for" in markdown


def test_the_front_as_a_file_and_as_a_picture(log, tmp_path):
    front, plot, other = (tmp_path / name for name in ("f.csv", "p.svg", "q.svg"))
    for picture in (plot, other):
        optimize(log, "--max-latency-p95", "40", "--front", front, "--plot", picture)
    rows = front.read_text().splitlines()
    assert rows[0].startswith("kind,models,steps,thresholds,score,router,cost_usd_per_1k,quality")
    assert {line.split(",")[0] for line in rows[1:]} >= {"front", "single", "oracle"}
    assert b"<svg" in plot.read_bytes()
    assert plot.read_bytes() == other.read_bytes()
    png = tmp_path / "p.png"
    optimize(log, "--plot", png)
    assert png.read_bytes().startswith(b"\x89PNG")


def test_a_learned_scorer_lies_beside_the_recipe(tmp_path):
    log = write(tmp_path / "log.jsonl", lines_of(confidence=None))
    recipe = tmp_path / "mine.toml"
    optimize(log, "--score", "learned", "--willingness-to-pay", "0.05", "-o", recipe)
    written = tomllib.loads(recipe.read_text())["cascade"]
    assert written["score"] == "mine.scorer.npz"
    assert (tmp_path / "mine.scorer.npz").is_file()
    replayed = run("replay", log, "--prices", "log", "--recipe", recipe, "--json")
    assert json.loads(replayed.stdout)["recipe"]["quality"]["n"] == 240


def refuse(*arguments, **more):
    result = run("optimize", *arguments, **more)
    assert result.returncode == 2, result.stdout
    assert not result.stdout
    return "\n".join(complain_lines(result))


def test_options_that_contradict_each_other(log, tmp_path):
    both = ("--max-quality-loss", "0.1", "--willingness-to-pay", "1")
    assert "contradict each other" in refuse(log, *both)
    assert "no policy costs at most" in refuse(log, "--prices", "log", "--budget", "0.01/1k")
    assert "no budget" in refuse(log, "--budget", "much")
    assert "the log has no outcome of lrge" in refuse(log, "--prices", "log", "--baseline", "lrge")
    assert "did you mean large" in refuse(log, "--prices", "log", "--models", "small,lrge")
    assert "--score guess is not known" in refuse(log, "--score", "guess")
    assert "a search depth of 7" in refuse(log, "--prices", "log", "--depth", "7")
    assert "is no picture" in refuse(log, "--plot", tmp_path / "p.pdf")
    assert "both an input and the output" in refuse(log, "--front", log)
    assert not list(tmp_path.iterdir())


def test_numbers_out_of_range(log, tmp_path):
    assert "--seed" in refuse(log, "--seed", "-1")
    assert "--score-usd 1e+308 is not from 0 to 1e+09" in refuse(log, "--score-usd", "1e308")
    assert "is no .csv" in refuse(log, "--front", tmp_path / "front.json")
    assert "--models names no model" in refuse(log, "--models", " ,")


def test_logs_that_nothing_can_be_learned_from(tmp_path):
    def said(lines, *options):
        return refuse(write(tmp_path / "log.jsonl", lines), "--prices", "log", *options)

    assert "no quality is known of" in said(lines_of(quality=None))
    assert "no cost is known of" in said(lines_of(cost_usd=None))
    assert "no outcome has a confidence" in said(lines_of(confidence=None), "--score", "confidence")
    one = [line | {"outcomes": line["outcomes"][:1]} for line in lines_of()]
    assert "each request has one answer" in said(one)
    recipe = str(tmp_path / "r.toml")
    assert "no policy, front or picture" in said(one, "--budget", "1/1k", "-o", recipe)
    alone = said(lines_of(), "--models", "small")
    assert "1 model is left, and two are needed" in alone
    assert "split by time" in said(lines_of(), "--split", "time")
    broken = tmp_path / "nan.jsonl"
    broken.write_text('{"outcomes": [{"model": "a", "quality": NaN}]}\n')
    assert "nan.jsonl:1" in refuse(broken)


def test_little_to_learn_is_a_note_not_an_error(tmp_path):
    def notes(lines):
        path = write(tmp_path / "log.jsonl", lines)
        return " ".join(json.loads(optimize(path, "--json").stdout)["notes"])

    assert "10 requests are few" in notes(lines_of(10))
    assert "same quality on every request" in notes(lines_of(60, quality=1.0))
    same = notes(lines_of(60, quality=1.0, cost_usd=0.5))
    assert "small and middle have the same quality and cost" in same


def test_one_answer_a_request_with_chances_is_estimated(tmp_path):
    lines = [
        {
            "model": "gpt-4o" if at % 3 else "gpt-4o-mini",
            "usage": {"input_tokens": 1000, "output_tokens": 100},
            "timestamp": "2026-10-02T00:00:00Z",
            "quality": float(at % 7 > (0 if at % 3 else 2)),
            "propensity": 2 / 3 if at % 3 else 1 / 3,
        }
        for at in range(210)
    ]
    log = write(tmp_path / "log.jsonl", lines)
    result = run("optimize", log, "--budget", "1/1k", "--json")
    body = json.loads(result.stdout)
    assert body["policy"] is None and "one answer" in body["reason"]
    known = {one["model"]: one for one in body["estimates"]}
    assert known["gpt-4o"]["quality"] == pytest.approx(6 / 7, abs=0.02)
    assert known["gpt-4o-mini"]["quality"] == pytest.approx(4 / 7, abs=0.02)
    low, high = known["gpt-4o"]["quality_ci95"]
    assert low < 6 / 7 < high
    fit = body["budget"]
    assert fit["models"] == {"gpt-4o": 3.5, "gpt-4o-mini": 0.21}
    assert fit["cheapest"] == "gpt-4o-mini" and fit["quality"] is None
    observed = (2 * 3.5 + 0.21) / 3
    assert fit["kept_share"] == pytest.approx((1 - 0.21) / (observed - 0.21))
    text = run("optimize", log, "--budget", "0.1/1k").stdout.decode()
    assert "No model fits." in text and "Estimated, not observed" in text
    lines[4]["propensity"] = 0
    bad = write(tmp_path / "bad.jsonl", lines)
    assert "bad.jsonl:5: propensity is not from 1e-09 to 1" in refuse(bad)
