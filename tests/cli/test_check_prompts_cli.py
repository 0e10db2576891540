import json
from pathlib import Path

import pytest
from cli_cases import complain_lines, run

SAMPLE = Path(__file__).parents[2] / "sample_data" / "prompts-ci"
LOG = SAMPLE / "log.jsonl"
GATE = ("--fail-if", "cost_usd > +5%")


def test_the_bad_change_turns_the_gate_red_with_the_reason():
    result = run("check", "v2", "--against", "log.jsonl", *GATE, cwd=SAMPLE)
    words = " ".join(result.stdout.decode().split())
    assert result.returncode == 1
    assert "v2/support.md:1: {now} changes with every request" in words
    assert "can no longer be read from the cache (cached share 81.1% -> 0.0%)" in words
    assert "put {now} at the end of v2/support.md" in words
    assert any("1 of 1 gate failed" in line for line in complain_lines(result))


def test_the_fix_turns_it_green():
    result = run("check", "v2-fixed", "--against", "log.jsonl", *GATE, cwd=SAMPLE)
    assert result.returncode == 0
    assert "passed" in result.stdout.decode()


def test_bad_lines_are_listed_where_they_are_skipped(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text("{bad\n" + LOG.read_text("utf-8"), "utf-8")
    arguments = ("check", "v2-fixed", "--against", log, *GATE)
    assert run(*arguments, cwd=SAMPLE).returncode == 2
    result = run(*arguments, "--on-error", "skip", cwd=SAMPLE)
    assert result.returncode == 0
    assert any("skipped" in line and "log.jsonl:1" in line for line in complain_lines(result))


def test_gates_may_name_a_prompt():
    gate = ("--fail-if", "prompts.support.cached_share < 0.5")
    result = run("check", SAMPLE / "v2", "--against", LOG, *gate, "--json")
    assert result.returncode == 1
    assert "prompts.support.cached_share" in json.dumps(json.loads(result.stdout))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("v9", "--against", "log.jsonl"), "v9: no such file or folder"),
        (("v2", "--against", "none.jsonl"), "none.jsonl: no such file"),
        (("v2", "--against", "log.jsonl", "--base", "v1-lost"), "neither a folder nor a revision"),
    ],
)
def test_bad_input_ends_in_two(arguments, words):
    result = run("check", *arguments, *GATE, cwd=SAMPLE)
    assert result.returncode == 2
    assert any(words in line for line in complain_lines(result))
