"""`frugalctl check` and `frugalctl diff`, run in this process."""

import io
import json
import re
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import pytest
from cli_cases import environment, row, write_log

from frugalctl.cli.app import run_command
from frugalctl.report.metrics import list_metrics


@dataclass
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def run(tmp_path, monkeypatch):
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run_here(*arguments):
        out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
        source = patch("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
        with chdir(tmp_path), redirect_stdout(out), redirect_stderr(err), source:
            code = run_command(list(map(str, arguments)))
            out.flush()
        return Ran(code, out.buffer.getvalue().decode(), err.getvalue())

    return run_here


@pytest.fixture
def files(tmp_path, run):
    """The report base.json of a log, and head.jsonl, whose requests cost more."""
    write_log(tmp_path / "base.jsonl")
    lines = [
        row(at, usage={"input_tokens": 2400 + 10 * at, "output_tokens": 150}) for at in range(30)
    ]
    (tmp_path / "head.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert run("replay", "base.jsonl", "-o", "base.json").code == 0
    return tmp_path


DEARER = ("--baseline", "base.json", "--fail-if", "cost_usd > +5%")


def test_exit_codes(files, run):
    assert run("check", "head.jsonl", *DEARER).code == 1
    assert run("check", "base.jsonl", *DEARER).code == 0
    reported = run("check", "head.jsonl", *DEARER, "--exit-zero")
    assert (reported.code, "FAILED" in reported.out) == (0, True)
    assert "note: 1 of 1 gate failed: cost_usd > +5%" in reported.err
    for bad in (("--fail-if", "cost > 1"), ("--fail-if", "cost_usd > 5%"), ()):
        found = run("check", "head.jsonl", *bad, "--exit-zero")
        assert (found.code, found.out) == (2, "")


@pytest.mark.parametrize("extension", ["json", "parquet"])
def test_base_and_head_may_be_reports_or_ledgers(files, run, extension):
    for name in ("base", "head"):
        assert run("replay", f"{name}.jsonl", "-o", f"{name}.{extension}").code == 0
    base, head = f"base.{extension}", f"head.{extension}"
    gates = ("--fail-if", "cost_usd > +5%", "--fail-if", "latency_ms.p95 > 900", "--json")
    kept = run("check", head, "--baseline", base, *gates)
    fresh = run("check", "head.jsonl", "--baseline", base, *gates)
    assert (kept.code, kept.out) == (1, fresh.out)
    changed = run("diff", base, head, "--json")
    pairs = 30 if extension == "parquet" else None
    assert changed.code == 0 and json.loads(changed.out)["changes"][0]["pairs"] == pairs
    assert json.loads(kept.out)["gates"][0]["pairs"] == pairs
    assert ("the same requests by id" in kept.err) == (pairs is not None)


def test_ledgers_see_a_change_that_reports_take_for_noise(files, run):
    rows = [json.loads(line) for line in (files / "base.jsonl").read_text().splitlines()]
    for at, one in enumerate(rows):
        one["usage"]["input_tokens"] = 1_100 + 970 * (at * at % 31)
    write_rows(files / "base.jsonl", rows)
    for one in rows:
        one["usage"]["input_tokens"] += 1_000
    write_rows(files / "head.jsonl", rows)
    gate = ("--fail-if", "cost_usd > +2%", "--ignore-noise")
    for extension, code in (("json", 0), ("parquet", 1)):
        assert run("replay", "base.jsonl", "-o", f"base.{extension}").code == 0
        found = run("check", "head.jsonl", "--baseline", f"base.{extension}", *gate)
        assert found.code == code, found.out


def write_rows(path, rows):
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))


def test_a_first_run_has_nothing_to_compare_with(files, run):
    (files / "frugalctl.toml").write_text('[gates]\nrise = "cost_usd > +5%"\n')
    refused = run("check", "base.jsonl")
    assert refused.code == 2 and "--allow-new passes it" in refused.err
    first = run("check", "base.jsonl", "--allow-new", "--fail-if", "cost_usd > 9", "--json")
    assert first.code == 0
    assert [gate["status"] for gate in json.loads(first.out)["gates"]] == ["new", "passed"]
    missing = run("check", "base.jsonl", "--allow-new", "--baseline", "bsae.json")
    assert missing.code == 2 and "no such file" in missing.err


def test_a_kept_report_stands_alone_and_is_not_replayed_again(files, run):
    gate = ("--fail-if", "cost_usd > 1")
    assert "stands alone" in run("check", "base.json", "head.jsonl", *gate).err
    for flag in ("--prompt-cache=openai", "--prices=log", "--model=gpt-4o", "--on-error=skip"):
        found = run("check", "base.json", flag, *gate)
        assert found.code == 2 and flag.split("=")[0] in found.err
    (files / "frugalctl.toml").write_text('[check]\nprompt-cache = "openai"\n')
    assert run("check", "base.json", *gate).code == 0


def test_a_newer_schema_is_refused_on_both_sides(files, run):
    body = json.loads((files / "base.json").read_text()) | {"schema_version": 2}
    (files / "new.json").write_text(json.dumps(body))
    for command in (
        ("check", "new.json", "--fail-if", "cost_usd > 1"),
        ("check", "base.jsonl", "--baseline", "new.json", "--fail-if", "cost_usd > +1%"),
        ("diff", "new.json", "base.json"),
        ("diff", "base.json", "new.json"),
    ):
        found = run(*command)
        assert (found.code, found.out) == (2, "")
        assert "new.json: report of schema 2; this frugalctl reads 1" in found.err


def test_a_base_is_asked_for_before_the_work(run):
    found = run("check", "none.jsonl", "--fail-if", "cost_usd > +5%")
    assert "compares with a base report" in found.err


def test_what_the_base_lacks_needs_leave(files, run):
    gates = ("--baseline", "base.json", "--fail-if", "tasks.new.cost_usd > +5%")
    write_log(files / "more.jsonl", task="new")
    refused = run("check", "more.jsonl", *gates)
    assert refused.code == 2 and "--allow-new" in refused.err
    allowed = run("check", "more.jsonl", *gates, "--allow-new")
    assert allowed.code == 0 and allowed.out.splitlines()[3].startswith("new ")
    gone = run(
        "check", "more.jsonl", "--baseline", "base.json", "--fail-if", "tasks.faq.quality < -1"
    )
    assert gone.code == 2 and "is in the base report base.json, and not in the report" in gone.err


@pytest.mark.parametrize(
    ("path", "factor", "gate"),
    [
        (("cost_usd",), 0.5, "cost_usd > +5%"),
        (("quality", "mean"), 1.05, "quality < -0.01"),
        (("latency_ms", "mean"), 0.5, "latency_ms > +5%"),
    ],
)
def test_a_base_that_was_changed_by_hand_is_compared_as_it_stands(files, run, path, factor, gate):
    body = json.loads((files / "base.json").read_text())
    *inner, last = path
    side = body["recipe"][inner[0]] if inner else body["recipe"]
    side[last] *= factor
    (files / "hand.json").write_text(json.dumps(body))
    found = run("check", "base.json", "--baseline", "hand.json", "--fail-if", gate)
    assert found.code == 1
    assert f"note: the base report does not add up: recipe.{'.'.join(path)}" in found.err
    same = run("check", "base.json", "--baseline", "base.json", "--fail-if", gate)
    assert same.code == 0 and "add up" not in same.err


def test_other_requests_and_prices_are_named(files, run):
    found = run("check", "head.jsonl", *DEARER)
    assert "note: the reports are of different logs with as many requests" in found.err
    body = json.loads((files / "base.json").read_text())
    body["origin"]["price_book"] = "2025-01-01"
    (files / "old.json").write_text(json.dumps(body))
    found = run("diff", "old.json", "base.json")
    assert "note: prices changed between the reports (price_book 2025-01-01 -> " in found.err


CONFIGS = {
    "pyproject.toml": "[tool.frugalctl.gates]\n",
    "frugalctl.toml": "[gates]\n",
    "frugalctl.toml, long": "[tool.frugalctl.gates]\n",
}


@pytest.mark.parametrize("where", CONFIGS)
def test_gates_of_the_configuration(files, run, where):
    text = CONFIGS[where] + 'budget = "cost_usd > 0.001"\nfail_if = ["quality < 0.1"]\n'
    (files / where.split(",")[0]).write_text(text)
    found = json.loads(run("check", "base.jsonl", "--json").out)
    assert [(gate["name"], gate["gate"], gate["status"]) for gate in found["gates"]] == [
        ("budget", "cost_usd > 0.001", "failed"),
        (None, "quality < 0.1", "passed"),
    ]
    more = json.loads(run("check", "base.jsonl", "--fail-if", "cost_usd > 9", "--json").out)
    assert [gate["gate"] for gate in more["gates"]][2:] == ["cost_usd > 9"]
    alone = run("check", "base.jsonl", "--no-config-gates", "--fail-if", "cost_usd > 9", "--json")
    assert (alone.code, len(json.loads(alone.out)["gates"])) == (0, 1)
    assert run("replay", "base.jsonl").code == 0


def test_gates_in_one_file_and_options_in_the_other(files, run):
    (files / "pyproject.toml").write_text('[tool.frugalctl.gates]\nbudget = "cost_usd > 1"\n')
    (files / "frugalctl.toml").write_text('[check]\nprices = "log"\n')
    found = json.loads(run("check", "base.jsonl", "--json").out)
    assert (found["gates_failed"], found["gates"][0]["head"]) == (1, 7.5)
    (files / "pyproject.toml").write_text('[tool.frugalctl.check]\nprices = "log"\n')
    (files / "frugalctl.toml").write_text('[gates]\nbudget = "cost_usd > 1"\n')
    assert json.loads(run("check", "base.jsonl", "--json").out)["gates_failed"] == 1


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("frugalctl.toml", "[gates]\nbudget = 5", "frugalctl.toml: gates.budget is no expression"),
        ("frugalctl.toml", "[gates]\nfail_if = [5]", "gates.fail_if is no expression"),
        ("frugalctl.toml", "gates = 'cost_usd > 1'", "gates is not a table"),
        ("frugalctl.toml", "[gates]\na = 'cost_usd >'", "gates.a: not a gate: 'cost_usd >'"),
        ("pyproject.toml", "[tool.frugalctl.gates]\nfail_if = ['x']", "gates.fail_if: not a gate"),
        ("frugalctl.toml", "[gates.a]\nb = 1", "gates.a is no expression"),
        ("frugalctl.toml", "[gates]\n[tool.frugalctl.gates]", "both [gates] and [tool."),
        ("frugalctl.toml", "tool = 1", "tool is not a table"),
        ("pyproject.toml", "[tool.frugalctl.gate]\na = 'x'", "did you mean 'gates'?"),
    ],
)
def test_bad_gates_of_the_configuration_name_file_and_key(files, run, file, text, message):
    (files / file).write_text(text)
    found = run("check", "base.jsonl", "--fail-if", "cost_usd > 1")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith(f"frugalctl: {file}: ") and message in found.err


def test_no_gate_at_all(files, run):
    found = run("check", "base.jsonl")
    assert found.code == 2 and "no gate to judge" in found.err and "gates]" in found.err


def test_the_formats_of_ci_servers(files, run):
    found = run("check", "head.jsonl", *DEARER, "-o", "junit.xml")
    assert (found.code, found.out) == (1, "")
    assert ElementTree.parse(files / "junit.xml").getroot().attrib["failures"] == "1"
    github = run("check", "head.jsonl", *DEARER, "--format", "github").out.splitlines()
    assert github[0].startswith("::error title=cost_usd > +5%25::recipe.cost_usd: $")
    for command in (("replay", "base.jsonl"), ("diff", "base.json", "base.json")):
        assert run(*command, "--format", "github").code == 2
    assert run("check", "base.jsonl", *DEARER, "--format", "html").code == 2


def test_the_summary_of_a_job_is_added_to(files, run, monkeypatch):
    summary = files / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert run("check", "head.jsonl", *DEARER).code == 1
    assert summary.read_text() == "before\n"
    assert run("check", "head.jsonl", *DEARER, "--format", "github").code == 1
    comment = run("check", "head.jsonl", *DEARER, "--format", "markdown").out
    assert summary.read_text() == f"before\n{comment}"
    summary.write_bytes(b"x" * 999_000)
    full = run("check", "head.jsonl", *DEARER, "--format", "github")
    assert full.code == 1 and "the job summary is full" in full.err
    assert summary.stat().st_size == 999_000
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(files))
    lost = run("check", "head.jsonl", *DEARER, "--format", "github")
    assert lost.code == 1 and "the job summary cannot be written" in lost.err


def test_the_baseline_is_not_overwritten(files, run):
    before = (files / "base.json").read_bytes()
    assert run("check", "head.jsonl", *DEARER, "-o", "base.json").code == 2
    assert (files / "base.json").read_bytes() == before


def test_same_input_same_bytes(files, run):
    for chosen in ("table", "json", "jsonl", "csv", "markdown", "github", "junit"):
        first, second = (run("check", "head.jsonl", *DEARER, "-f", chosen) for _ in range(2))
        assert first.out and first.out == second.out


def test_folders_and_options_of_prompts_need_against(files, run):
    (files / "prompts").mkdir()
    gate = ("--fail-if", "cost_usd > 1")
    found = run("check", "prompts", *gate)
    assert found.code == 2 and "--against LOG" in found.err
    for flag in ("--base=main", "--requests-per-month=5"):
        found = run("check", "base.jsonl", flag, *gate)
        assert found.code == 2 and f"{flag.split('=')[0]} does not belong here" in found.err
    found = run("check", "prompts", "--against", "base.jsonl", "--baseline", "base.json")
    assert found.code == 2 and "--baseline does not belong here" in found.err


def test_a_change_of_prompts_needs_no_baseline_and_no_gate(files, run):
    rules = "You are the assistant of a shop. " + "Be kind, be brief. " * 200
    messages = [{"role": "system", "content": rules}, {"role": "user", "content": "Hello?"}]
    write_log(files / "chat.jsonl", messages=messages, response="Yes.")
    (files / "prompts").mkdir()
    (files / "prompts" / "shop.md").write_text(f"It is {{now}}.\n{rules}")
    command = ("check", "prompts", "--against", "chat.jsonl")
    told = run(*command)
    assert told.code == 0 and "shop" in told.out and "Gates" not in told.out
    assert run(*command, "--fail-if", "cost_usd > +0.1%").code == 1
    assert run(*command, "--fail-if", "cost_usd > +900%").code == 0
    found = json.loads(run(*command, "--fail-if", "cost_usd > +0.1%", "--json").out)
    assert found["prompts"][0]["prompt"] == "shop" and found["gates_failed"] == 1
    (files / "frugalctl.toml").write_text(
        '[gates]\na = "quality < -0.01"\nb = "latency_ms.p95 > 1"\nc = "cost_usd > +900%"\n'
    )
    skipped = run(*command, "--json")
    assert [gate["status"] for gate in json.loads(skipped.out)["gates"]] == [
        "not judged", "not judged", "passed",
    ]  # fmt: skip
    assert skipped.code == 0 and "not judged, for nobody has answered" in skipped.err
    asked = run(*command, "--fail-if", "quality < 0.5")
    assert asked.code == 2 and "recipe.quality.mean is unknown" in asked.err
    assert run("check", "chat.jsonl", "--allow-new").code == 1, "a log has latencies"
    (files / "frugalctl.toml").write_text('[check]\nbaseline = "base.json"\n')
    assert run(*command).code == 0


def test_diff_shows_sections_and_everything_where_asked_for(files, run):
    assert run("replay", "head.jsonl", "-o", "head.json").code == 0
    brief = run("diff", "base.json", "head.json").out
    titles = ("Totals of the recipe", "By model", "By task", "By tenant", "By token class")
    assert [brief.index(title) for title in titles] == sorted(map(brief.index, titles))
    assert "2026-10-01" not in brief
    assert "2026-10-01" in run("diff", "base.json", "head.json", "--all").out
    comment = run("diff", "base.json", "head.json", "-f", "markdown").out
    assert comment.startswith("<!-- frugalctl -->\n## frugalctl: cost $")
    records = [
        json.loads(line)
        for line in run("diff", "base.json", "head.json", "-f", "jsonl").out.splitlines()
    ]
    body = json.loads(run("diff", "base.json", "head.json", "--json").out)
    assert body["changes"] == records and body["warnings"]


def test_a_kept_report_is_judged_without_what_reads_logs(files):
    code = (
        "import sys; from frugalctl.cli.app import run_command;"
        "assert run_command(['check', 'base.json', '--fail-if', 'cost_usd > 9']) == 0;"
        "assert not {'numpy', 'pyarrow', 'duckdb'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code]
    subprocess.run(command, cwd=files, env=environment(), capture_output=True, check=True)


PAGE = (Path(__file__).parents[2] / "docs" / "gates.md").read_text("utf-8")


def test_the_configuration_of_the_page_is_taken(files, run):
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (files / "pyproject.toml").write_text(example, "utf-8")
    found = run("check", "base.jsonl", "--baseline", "base.json", "--json")
    assert found.code == 0
    names = [gate["name"] for gate in json.loads(found.out)["gates"]]
    assert names == ["budget", "quality", None, None]


def test_the_page_names_every_metric(files, run):
    known = set(list_metrics(json.loads((files / "base.json").read_text())))
    keys = {key for path in known for key in path.split(".")[1:]} - {"lo", "hi"}
    named = set(re.findall(r"\w+", PAGE))
    items = {"gpt-4o-mini", "faq", "acme"} | {key for key in keys if key.startswith("2026")}
    classes = {key.split(".")[1] for key in known if key.startswith("token_classes.")}
    intervals = {key for key in keys if key.endswith("ci95")}
    assert (
        keys - items - classes - intervals - {"baseline_quality", "baseline_latency_ms_mean"}
        <= named
    )
