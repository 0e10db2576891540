"""The pipelines of jq among the recipes, against the report and plain arithmetic."""

import json
import re

import pytest
from recipe_shell import RECIPES, SAMPLES, dump, needs_jq, read_head, replay, rows_of, shell

LOG = SAMPLES / "requests.jsonl"
SCRIPT = RECIPES / "pipelines.sh"
pytestmark = needs_jq


def lines_of(tmp_path, what, log=LOG):
    result = shell(tmp_path, SCRIPT, what, log)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_pipelines_of_money(tmp_path):
    head, report = read_head(SCRIPT), replay(LOG.read_bytes())
    bill = report["recipe"]["cost_usd"]
    spenders = [line.split("\t") for line in lines_of(tmp_path, "spenders")]
    expected = sorted(report["tenants"], key=lambda item: -item["cost_usd"])
    assert [(name, float(usd)) for name, usd, _ in spenders] == [
        (item["tenant"], item["cost_usd"]) for item in expected
    ]
    name, usd, share = spenders[0]
    assert float(share) == pytest.approx(100 * float(usd) / bill, abs=0.05)
    assert f"{name} comes first: ${float(usd):.4f}, {share} % of ${bill:.4f}" in head
    days = [line.split("\t") for line in lines_of(tmp_path, "days")]
    ordered = sorted(item["cost_usd"] for item in report["days"])
    day, usd, times = days[0]
    assert float(times) == pytest.approx(ordered[-1] / ordered[len(ordered) // 2], abs=0.005)
    assert f"{day} is the dearest: ${float(usd):.4f}, {times} times the median day" in head


def test_pipelines_of_answers_and_messages(tmp_path):
    head, rows = read_head(SCRIPT), rows_of(LOG)
    found = dict(line.split("\t") for line in lines_of(tmp_path, "answers"))
    for task, usd in found.items():
        judged = [row["quality"] for row in rows if row["task"] == task and "quality" in row]
        assert bool(usd) == bool(judged), "what nobody judged has no price"
        if task in ("faq", "code", "extract"):
            report = replay(dump([row for row in rows if row["task"] == task]))
            asked = report["log"]["requests"]
            right = asked * sum(judged) / len(judged)
            assert float(usd) == pytest.approx(report["recipe"]["cost_usd"] / right)
            assert f"${float(usd):.4f} in {task}" in head
    (line,) = lines_of(tmp_path, "chat")
    assert json.loads(line) == {
        "text": f"LLM: $1.57 for {len(rows)} requests, 2026-10-28 to 2026-11-03; 4 without a price"
    }


def test_pipeline_of_tickets(tmp_path):
    head, lines = read_head(SCRIPT), lines_of(tmp_path, "misses")
    assert "five tickets" in head and len(lines) == 5
    ticket = (
        r"- \[ \] (.+): \$(\d+(?:\.\d+)?) in (\d+) requests(; timestamp in the system message)?"
    )
    found = [re.fullmatch(ticket, line) for line in lines]
    assert all(found)
    lost = [float(match[2]) for match in found]
    assert lost == sorted(lost, reverse=True)
    assert f"lost ${found[0][2]} in {found[0][3]} requests" in head
    (stamped,) = (match for match in found if match[4])
    asked = [row for row in rows_of(LOG) if row["tenant"] == "birch-lane-bank"]
    assert int(stamped[3]) == len(asked) - 1, "all of the bank's but the first"


def test_pipelines_print_hostile_names_plainly(tmp_path):
    name = "a\tb\x1b[31m\u202e\n::error::x"
    usage = {"input_tokens": 10, "output_tokens": 1}
    row = {"id": "x", "tenant": name, "task": name, "model": "gpt-5.4", "usage": usage}
    log = tmp_path / "hostile.jsonl"
    log.write_bytes(dump([row]))
    for what, fields in (("spenders", 3), ("answers", 2)):
        (line,) = lines_of(tmp_path, what, log)
        assert line.split("\t")[0] == "a?b?[31m??::error::x"
        assert line.count("\t") == fields - 1
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", line)
    assert lines_of(tmp_path, "days", log) == []
    (line,) = lines_of(tmp_path, "chat", log)
    assert "? to ?" in line


def test_pipelines_fail_where_frugalctl_does(tmp_path):
    result = shell(tmp_path, SCRIPT, "spenders", "nowhere.jsonl")
    assert result.returncode == 2 and "nowhere.jsonl" in result.stderr
    result = shell(tmp_path, SCRIPT, "everything", LOG)
    assert (result.returncode, result.stdout) == (2, "")
