"""The scripts among the recipes, run as a user runs them, and what their heads say."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from recipe_shell import RECIPES, SAMPLES, dump, needs_jq, read_head, replay, rows_of, shell

SCRIPTS = sorted(RECIPES.glob("*.sh"))
LOG = SAMPLES / "requests.jsonl"


def write_rows(path, rows):
    path.write_bytes(dump(rows))
    return path


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_strict_and_sound(script, tmp_path):
    assert "\nset -euo pipefail\n" in script.read_text("utf-8")
    result = shell(tmp_path, script)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"usage: {script.name} ")
    beside = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shellcheck = shutil.which("shellcheck", path=beside)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    checked = shell(tmp_path, shellcheck, script)
    assert checked.returncode == 0, checked.stdout


@needs_jq
def test_the_night_job_halves_what_was_sent_by_day(tmp_path):
    result = shell(tmp_path, RECIPES / "batch-night.sh", LOG, "summarise", "extract")
    assert result.returncode == 0, result.stderr
    head = read_head(RECIPES / "batch-night.sh")
    tasks = ("summarise", "extract")
    moved = [row for row in rows_of(LOG) if row["task"] in tasks]
    by_day = [row for row in moved if row["service_tier"] == "standard"]
    assert 0 < len(by_day) < len(moved)
    saved_usd = replay(dump(by_day))["recipe"]["cost_usd"] / 2
    whole_usd = replay(LOG.read_bytes())["recipe"]["cost_usd"]
    change = f"${whole_usd:.4f} -> ${whole_usd - saved_usd:.4f}"
    assert change in head and change in result.stdout
    percent = f"{-100 * saved_usd / whole_usd:+.1f} %"
    assert f"({percent})" in head and percent in result.stdout
    totals = result.stdout.split("\n\n")[0]
    assert "Pairs: " in totals and "noise" not in totals, "the same requests, so surely a saving"
    for task in tasks:
        usd = replay(dump([row for row in moved if row["task"] == task]))["recipe"]["cost_usd"]
        day = replay(dump([row for row in by_day if row["task"] == task]))["recipe"]["cost_usd"]
        assert f"{task} ${usd:.4f} -> ${usd - day / 2:.4f}" in head
        if task == "summarise":
            table = (RECIPES / "README.md").read_text("utf-8")
            assert f"| {50 * day / usd:.1f} % of the summaries |" in table


@needs_jq
def test_the_night_job_takes_names_of_tasks_for_names(tmp_path):
    names = ('--arg"; halt_error', "$(id)", "-n")
    rows = [row | {"task": names[at % 3], "id": None} for at, row in enumerate(rows_of(LOG)[:20])]
    log = write_rows(tmp_path / "small.jsonl", rows)
    result = shell(tmp_path, RECIPES / "batch-night.sh", log, *names)
    assert result.returncode == 0, result.stderr
    cost = next(line for line in result.stdout.splitlines() if line.startswith("cost_usd"))
    assert " -$" in cost and cost.split()[-3] == "20", "paired, though the log has no ids"


@needs_jq
def test_the_night_job_refuses_a_task_that_no_request_has(tmp_path):
    result = shell(tmp_path, RECIPES / "batch-night.sh", LOG, "summarize", "faq", "\x1b[31m")
    assert (result.returncode, result.stdout) == (2, "")
    assert 'no request has the task "summarize", "\\u001b[31m"; there are: "agent"' in result.stderr


def test_the_cascade_is_judged_on_requests_that_it_was_not_chosen_on(tmp_path):
    log = SAMPLES / "answers.jsonl"
    result = shell(tmp_path, RECIPES / "cascade-by-optimize.sh", log)
    assert result.returncode == 0, result.stdout + result.stderr
    head, rows = read_head(RECIPES / "cascade-by-optimize.sh"), rows_of(log)
    later = rows[1120:]
    assert f"chosen on 1,120 requests and judged on {len(later)} others" in head
    report = replay(dump(later), "--recipe", tmp_path / "cascade.toml")
    base, new, delta = (report[key] for key in ("baseline", "recipe", "delta"))
    low, high = delta["quality_ci95"]
    slower = new["latency_ms"]["p95"] - base["latency_ms"]["p95"]
    for figure in (
        f"${base['cost_usd']:.4f} -> ${new['cost_usd']:.4f} ({delta['cost_pct']:+.1f} %)",
        f"{delta['quality']:+.4f}, 95 % interval [{low:+.4f}, {high:+.4f}]",
        f"{delta['latency_ms_mean']:+.0f} ms on the mean, {slower:+.0f} ms at the 95th",
    ):
        assert figure in head
    table = (RECIPES / "README.md").read_text("utf-8")
    row = f"{-delta['cost_pct']:.1f} % | {delta['quality']:+.4f} [{low:+.4f}, {high:+.4f}]"
    assert row in table
    assert f"{delta['cost_pct']:+.1f} %" in result.stdout


def test_a_cascade_that_loses_too_much_is_an_error_of_its_own(tmp_path):
    """The loss that is allowed is also the gate: the second part of this log is spoilt."""
    rows = rows_of(SAMPLES / "answers.jsonl")
    for row in rows[1120:]:
        for outcome in row["outcomes"][:2]:
            outcome["quality"] = 0.0
    log = write_rows(tmp_path / "spoilt.jsonl", rows)
    result = shell(tmp_path, RECIPES / "cascade-by-optimize.sh", log, "0.02", "mine.toml")
    assert result.returncode == 1, result.stderr
    assert "delta.quality < -0.02" in result.stderr
    assert (tmp_path / "mine.toml").exists()


def test_the_budget_in_plain_shell(tmp_path):
    script, head = RECIPES / "ci-budget.sh", read_head(RECIPES / "ci-budget.sh")
    alone = shell(tmp_path, script, "check", LOG)
    assert alone.returncode == 0, alone.stderr
    assert "no llm-budget.parquet to compare with" in alone.stderr
    kept = shell(tmp_path, script, "keep", LOG)
    assert kept.returncode == 0, kept.stderr
    same = shell(tmp_path, script, "check", LOG)
    assert same.returncode == 0, same.stderr
    rows = rows_of(LOG)
    for row in (row for row in rows if row["task"] == "faq"):
        row |= {"model": "claude-opus-5", "provider": "anthropic"}
        row.pop("outcomes", None)
    dearer = write_rows(tmp_path / "dearer.jsonl", rows)
    red = shell(tmp_path, script, "check", dearer)
    assert red.returncode == 1, red.stderr
    assert "cost_usd > +5%" in red.stderr and "quality < 0.8" not in red.stderr
    old, new = (replay(path.read_bytes())["recipe"]["cost_usd"] for path in (LOG, dearer))
    change = f"${old:.4f} -> ${new:.4f} ({100 * (new - old) / old:+.1f} %)"
    assert change in head, change
    assert f"${old:.4f} -> ${new:.4f}" in red.stdout
    wrong = shell(tmp_path, script, "look", LOG)
    assert (wrong.returncode, wrong.stdout) == (2, "")
    missing = shell(tmp_path, script, "check", "nowhere.jsonl")
    assert missing.returncode == 2 and "nowhere.jsonl" in missing.stderr
