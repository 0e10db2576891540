"""Golden files: `FRUGALCTL_REGENERATE=1 pytest tests/report` writes them anew, to be reviewed."""

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

import frugalctl
from frugalctl.cli.console import render_tables
from frugalctl.report.comment import MARKER, Block, render_comment
from frugalctl.report.diff import compare_reports, warn_differences
from frugalctl.report.diff_layout import (
    lay_out_changes,
    render_changes_csv,
    render_changes_json,
    render_changes_jsonl,
    render_changes_markdown,
)
from frugalctl.report.gate import parse_gate
from frugalctl.report.metrics import quote_name
from frugalctl.report.noise import Estimate
from frugalctl.report.tables import Table
from frugalctl.report.verdicts.csv import render_verdicts_csv
from frugalctl.report.verdicts.github import render_github
from frugalctl.report.verdicts.json import render_json, render_jsonl
from frugalctl.report.verdicts.junit import render_junit
from frugalctl.report.verdicts.markdown import render_markdown
from frugalctl.report.verdicts.model import PromptFindings, judge_reports, tell_outcome
from frugalctl.report.verdicts.table import lay_out_judgement

GOLDEN = Path(__file__).parents[1] / "golden"
HOSTILE = "a|b\n::error::x\r\x1b[31m<script>`%0A ##[add-mask]@all \u202eevil\u2066 ]]> &amp; \x00"


@pytest.fixture(autouse=True)
def fixed_surroundings(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(frugalctl, "__version__", "0.0.0")


def body(cost_usd, quality, task="faq", **more):
    """A report as `replay --format json` writes it, of a few figures."""
    return {
        "schema_version": 1,
        "frugalctl_version": "0.0.0",
        "origin": {
            "prices": "book", "price_book": "2026-11-20-test", "as_of": None,
            "input_xxh3": f"{int(cost_usd * 100):032x}", "recipe": {}, "seed": 0,
        },
        "log": {"requests": 10, "priced": 10, "uncovered": 0},
        "recipe": {
            "cost_usd": cost_usd,
            "cost_usd_ci95": [cost_usd - 0.25, cost_usd + 0.25],
            "latency_ms": {"mean": 100.0 * cost_usd, "ci95": [90.0, 700.0], "p95": 900.0},
            "quality": {"mean": quality, "ci95": [quality - 0.1, quality + 0.1]},
        },
        "delta": {"cost_pct": 10.0, "quality": -0.02, "quality_ci95": [-0.05, 0.01]},
        "models": [{"model": "gpt-4o", "calls": 10, "cost_usd": cost_usd}],
        "tasks": [{"task": task, "requests": 10, "cost_usd": cost_usd}],
    } | more  # fmt: skip


def judgement(task="faq", name="budget", prompts=None):
    gates = [
        parse_gate("cost_usd > 4.5", name),
        parse_gate("cost_usd > +5%"),
        parse_gate("quality < -0.001"),
        parse_gate(f"tasks.{quote_name(task)}.cost_usd > +0.50"),
        parse_gate("delta.quality < 0"),
        parse_gate("latency_ms.p95 > 900"),
        parse_gate("levers.cascade.saved_usd < +0"),
    ]
    head = body(5.0, 0.8, task, levers=[{"name": "cascade", "saved_usd": 1.0}])
    return judge_reports(gates, head, body(4.0, 0.85, task), allow_new=True, prompts=prompts)


def prompts_of(text):
    table = Table("What the prompts cost", ("prompt", "cost>"), ((text, "$1 -> $2"),))
    return PromptFindings((table,), (f"remark {text}",), ({"prompt": text, "why": f"why {text}"},))


def render_table(found):
    return render_tables(lay_out_judgement(found), None)


RENDERERS = {
    "txt": render_table,
    "json": render_json,
    "jsonl": render_jsonl,
    "csv": render_verdicts_csv,
    "md": render_markdown,
    "github": render_github,
    "xml": render_junit,
}


def changes_between(task="faq"):
    head = body(5.0, 0.8, task, levers=[{"name": "cascade", "saved_usd": 1.0}])
    old = body(4.0, 0.85, task, frugalctl_version="0.0.1")
    return compare_reports(old, head), warn_differences(old, head)


DIFF_RENDERERS = {
    "txt": lambda found: render_tables(lay_out_changes(found[0]), None),
    "json": lambda found: render_changes_json(*found),
    "jsonl": lambda found: render_changes_jsonl(found[0]),
    "csv": lambda found: render_changes_csv(found[0]),
    "md": lambda found: render_changes_markdown(*found),
}


def compare_with_golden(text, name):
    file = GOLDEN / name
    if os.environ.get("FRUGALCTL_REGENERATE"):
        file.write_bytes(text.encode())
    assert text == file.read_bytes().decode()


@pytest.mark.parametrize("extension", RENDERERS)
def test_golden_of_verdicts(extension):
    compare_with_golden(RENDERERS[extension](judgement()), f"check.{extension}")


@pytest.mark.parametrize("extension", DIFF_RENDERERS)
def test_golden_of_changes(extension):
    compare_with_golden(DIFF_RENDERERS[extension](changes_between()), f"diff.{extension}")


@pytest.mark.parametrize("extension", RENDERERS)
def test_golden_of_a_hostile_name(extension):
    found = judgement(HOSTILE, HOSTILE, prompts_of(HOSTILE))
    compare_with_golden(RENDERERS[extension](found), f"check-hostile.{extension}")


def test_the_statuses_of_the_sample():
    found = judgement()
    assert [one.status for one in found.verdicts] == [
        "failed", "failed", "failed", "failed", "failed", "passed", "new",
    ]  # fmt: skip
    assert [one.noise for one in found.verdicts] == [None, False, True, None, True, None, None]
    assert tell_outcome(found.verdicts) == "5 of 7 gates failed, 2 within noise"
    counts = {"gates_passed": 1, "gates_failed": 5, "gates_new": 1, "gates_ignored": 0}
    assert counts.items() <= json.loads(render_json(found)).items()


def test_what_is_said_where_nothing_failed():
    def told(*texts, **how):
        gates = list(map(parse_gate, texts))
        return tell_outcome(judge_reports(gates, body(5.0, 0.8), body(4.0, 0.85), **how).verdicts)

    assert told("cost_usd > 9") == "1 gate passed"
    assert told("cost_usd > 9", "quality < 0.1") == "2 gates passed"
    noise = told("quality < -0.01", "cost_usd > 9", ignore_noise=True)
    assert noise == "2 gates passed (1 within noise)"


def test_gates_that_are_not_judged_are_counted_apart():
    gates = [
        replace(parse_gate("quality < 0.9", "good"), skipped=True),
        parse_gate("cost_usd > 9"),
        parse_gate("cost_usd > 4"),
    ]
    green = judge_reports(gates[:2], body(5.0, 0.8), None)
    assert tell_outcome(green.verdicts) == "1 gate passed (1 not judged)"
    red = judge_reports(gates, body(5.0, 0.8), None)
    assert tell_outcome(red.verdicts) == "1 of 2 gates failed, 1 not judged"
    assert json.loads(render_json(red))["gates_not_judged"] == 1
    assert json.loads(render_json(red))["gates"][0]["head"] is None
    assert "::notice title=good%3A quality < 0.9::recipe.quality.mean: not judged" in render_github(
        red
    )
    assert ElementTree.fromstring(render_junit(red)).attrib["skipped"] == "1"
    assert "| not judged | `good` | `quality < 0.9` |  |" in render_markdown(red)


def test_notes_on_prompts_stand_in_their_files():
    text = "a,b:c%.md"
    why = f"{text}:12: changed\n{text}: grown\nsomething else"
    record = {"prompt": "p", "file": text, "why": why}
    found = judge_reports([], body(5.0, 0.8), None, prompts=PromptFindings((), (), (record,)))
    name = "a%2Cb%3Ac%25.md"
    assert render_github(found).splitlines() == [
        f"::notice file={name},line=12,title=prompts::a,b:c%25.md:12: changed",
        f"::notice file={name},title=prompts::a,b:c%25.md: grown",
        f"::notice file={name},title=prompts::something else",
    ]


def test_paired_changes_say_so():
    pairs = {"recipe.cost_usd": Estimate(0.5, 4.0, (0.25, 0.75), 7)}
    gates = [parse_gate("cost_usd > +20%"), parse_gate("quality < -0.01")]
    head, base = body(5.0, 0.8), body(4.0, 0.85)
    found = judge_reports(gates, head, base, pairs=pairs)
    cost, quality = found.verdicts
    assert (cost.status, cost.compared, cost.interval) == ("passed", 12.5, (6.25, 18.75))
    assert (cost.pairs, cost.noise, quality.pairs, quality.noise) == (7, False, None, True)
    (table,) = lay_out_judgement(found)
    assert table.headers[-1] == "pairs" and [row[-1] for row in table.rows] == ["7", "none"]
    assert [note.split()[0] for note in table.notes] == ["Pairs:", "Without"]
    assert found.changes[0].amount == 0.5 and "| +$0.500000 | " in render_markdown(found)
    assert found.warnings == (
        "the logs differ, and have the same requests by id: changes are paired",
    )


def test_hostile_names_leave_github_unharmed():
    text = render_github(judgement(HOSTILE, HOSTILE, prompts_of(HOSTILE)))
    lines = text.split("\n")
    assert lines.pop() == ""
    for line in lines:
        assert line.isprintable() and "##[" not in line
        assert re.fullmatch(r"::(error|warning|notice) title=[^:,;]*::.+", line)
    assert len(lines) == 10
    title = unquote(lines[0].split("title=")[1].split("::")[0])
    assert title.startswith("a|b\\n::error::x\\r\\x1b[31m<script>`%0A \\x23#[add-mask]")


def test_no_more_than_ten_annotations_and_the_last_counts_the_rest():
    gates = [parse_gate(f"cost_usd > {at}") for at in range(4)] * 5
    lines = render_github(judge_reports(gates, body(9.0, 0.8), None)).splitlines()
    assert len(lines) == 10 and all(line.startswith("::error ") for line in lines[:9])
    assert lines[9] == (
        "::notice title=frugalctl::11 more, which --format markdown shows: 20 of 20 gates failed"
    )
    ten = render_github(judge_reports(gates[:10], body(9.0, 0.8), None)).splitlines()
    assert len(ten) == 10 and ten[9].startswith("::error ")


def test_github_hears_of_gates_that_passed_once():
    passed = judge_reports([parse_gate("cost_usd > 9")] * 3, body(5.0, 0.8), None)
    assert render_github(passed) == "::notice title=frugalctl::3 gates passed\n"


def test_hostile_names_leave_junit_unharmed():
    root = ElementTree.fromstring(render_junit(judgement(HOSTILE, HOSTILE, prompts_of(HOSTILE))))
    cases = root.findall("./testsuite/testcase")
    assert len(cases) == int(root.attrib["tests"]) == 7
    assert len(root.findall(".//failure")) == int(root.attrib["failures"]) == 5
    assert len(root.findall(".//skipped")) == int(root.attrib["skipped"]) == 1
    assert (
        cases[0]
        .attrib["name"]
        .startswith("a|b\\n::error::x\\r\\x1b[31m<script>`%0A \\x23#[add-mask]")
    )


def test_hostile_names_leave_markdown_unharmed():
    text = render_markdown(judgement(HOSTILE, HOSTILE, prompts_of(HOSTILE)))
    assert text.startswith(f"{MARKER}\n## frugalctl: 5 of 7 gates failed, 2 within noise\n")
    assert all(line.isprintable() for line in text.split("\n"))
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", text).replace("\\`", "")
    tags = {"<!-- frugalctl -->", "<!-- -->", "<details>", "</details>", "<summary>", "</summary>"}
    assert set(re.findall(r"<[^>]*>", outside)) == tags
    assert not re.search(r"[@#](?!<!-- -->|#*\s)", outside)
    widths = [line.count("|") - line.count("\\|") for line in text.split("\n") if line[:1] == "|"]
    assert len(widths) > 20 and max(widths) <= 8


def test_csv_and_json_keep_hostile_names_whole():
    found = judgement(HOSTILE, HOSTILE)
    rows = list(csv.DictReader(io.StringIO(render_verdicts_csv(found), newline="")))
    records = json.loads(render_json(found))["gates"]
    assert rows[0]["name"] == records[0]["name"] == HOSTILE
    assert [row["gate"] for row in rows] == [record["gate"] for record in records]
    assert [json.loads(line) for line in render_jsonl(found).splitlines()] == records


def test_a_comment_is_cut_to_its_limit_with_a_line_that_says_so():
    rows = tuple((f"row {at} {'안' * 50}", "x") for at in range(2_000))
    blocks = [
        Block(Table("Open", ("a", "b"), rows[:5])),
        Block(Table("Folded", ("a", "b"), rows), folded=True, literal=(0,)),
        Block(Table("Lost", ("a", "b"), rows[:7]), folded=True),
    ]
    text = render_comment("heading", blocks, ["a remark"])
    assert 64_000 < len(text.encode()) < 65_536
    shown = text.count("row ")
    assert text.endswith(
        f"\n{2_012 - shown:,} rows are left out: a comment holds no more than 65,536 characters. "
        "`--format json` has them all.\n"
    )
    assert text.count("<details>") == text.count("</details>") == 1
    assert "### Open" in text and "Lost" not in text


def test_many_remarks_leave_room_for_the_gates():
    prompts = PromptFindings((), tuple("r" * 900 for _ in range(600)), ())
    gates = [parse_gate("cost_usd > 4.5")]
    text = render_markdown(judge_reports(gates, body(5.0, 0.8), None, prompts=prompts))
    assert len(text.encode()) < 65_536
    assert "580 more" in text and "| FAILED | `cost_usd > 4.5` |" in text


def test_no_line_of_junit_is_a_command_to_github():
    text = render_junit(judgement(prompts=prompts_of("::error::x")))
    assert not [line for line in text.splitlines() if line.lstrip().startswith("::")]


def test_requests_that_no_gate_sees_are_told():
    log = {"requests": 10, "priced": 3, "uncovered": 5, "unpriced": {"a": 1, "b": 1}}
    found = judge_reports([parse_gate("cost_usd > 9")], body(5.0, 0.8, log=log), None)
    assert [sentence.split(" (")[0] for sentence in found.warnings] == [
        "5 of 10 requests",
        "2 of 10 requests",
    ]
    assert "(50.0%) lack an outcome" in found.warnings[0] and found.warnings[1].endswith(": a, b")
    assert "::warning title=frugalctl::5 of 10 requests" in render_github(found)


def test_a_paired_change_of_nothing_tells_its_pairs():
    pairs = {"recipe.cost_usd": Estimate(0.0, 2.0, (0.0, 0.0), 7)}
    gates = [parse_gate("cost_usd > +5%")]
    found = judge_reports(gates, body(2.0, 0.8), body(4.0, 0.8), pairs=pairs)
    (table,) = lay_out_judgement(found)
    assert table.headers[-1] == "pairs" and table.rows[0][-1] == "7"


def test_long_names_are_cut_in_comments_and_annotations():
    found = judgement("n" * 1_000_000, "g" * 1_000_000, prompts_of("p" * 1_000_000))
    assert len(render_markdown(found).encode()) < 65_536
    assert max(map(len, render_github(found).splitlines())) < 3_000
    assert len(render_junit(found)) < 100_000


@given(st.text(max_size=30))
def test_code_in_a_cell_is_closed(name):
    table = Table("T", ("name", "x"), ((name, "y"),))
    row = render_comment("h", [Block(table, literal=(0,))]).split("\n")[-2]
    cells = re.split(r"(?<!\\)\|", row)
    assert len(cells) == 4 and cells[2] == " y "
    if name:
        fence = re.match(r" (`+)", cells[1])[1]
        assert cells[1].endswith(f"{fence} ")
        assert fence not in cells[1][1 + len(fence) : -1 - len(fence)]


def test_a_table_has_no_empty_columns():
    found = judge_reports([parse_gate("cost_usd > 4.5")], body(5.0, 0.8), None)
    (table,) = lay_out_judgement(found)
    assert table.headers == ("", "fails if", "value", "change")
    assert table.rows == (("FAILED", "cost_usd > 4.5", "$5.0000", ""),)


def test_prompts_come_before_the_gates():
    found = judgement(prompts=prompts_of("support"))
    assert [table.title for table in lay_out_judgement(found)] == ["What the prompts cost", "Gates"]
    assert json.loads(render_json(found))["prompts"] == [
        {"prompt": "support", "why": "why support"}
    ]
    assert "::notice title=prompts::why support\n" in render_github(found)
    alone = judge_reports([], body(5.0, 0.8), body(4.0, 0.8), prompts=prompts_of("support"))
    assert [table.title for table in lay_out_judgement(alone)] == ["What the prompts cost"]
    assert "frugalctl: no gates" in render_markdown(alone)


def test_tables_hold_no_workflow_commands():
    text = render_tables([Table("::error::t", ("::a", "b"), (("::error::x", "##[group]y"),))], None)
    assert not re.search(r"^\s*::|##\[", text, re.MULTILINE)
    assert "\\x3a:error::x" in text and "\\x23#[group]y" in text
