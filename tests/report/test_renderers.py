"""Golden files: `FRUGALCTL_REGENERATE=1 pytest tests/report` writes them anew, to be reviewed."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from report_cases import META, make_batch

import frugalctl
from frugalctl.cli.console import render_tables
from frugalctl.prices import TOKEN_CLASSES
from frugalctl.report.encode import encode_report, render_json, render_jsonl
from frugalctl.report.layout import lay_out, render_report_csv, render_report_markdown
from frugalctl.report.summary import summarise
from frugalctl.report.tables import (
    Table,
    format_number,
    format_percent,
    format_usd,
    render_markdown,
)

GOLDEN = Path(__file__).parents[1] / "golden"
HOSTILE = "a\x1b[31mred\x1b[0m [bold]b[/bold] | c\nd\r\x07 \u202eevil\u2066 <b>&amp;"


@pytest.fixture(autouse=True)
def fixed_surroundings(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(frugalctl, "__version__", "0.0.0")


def side(model, cost_usd, latency_ms, quality):
    usd = dict.fromkeys(TOKEN_CLASSES, 0.0) | {"fresh_input": cost_usd}
    tokens = dict.fromkeys(TOKEN_CLASSES, 0) | {"fresh_input": 1200, "output": 150}
    return {
        "model": model,
        "tokens": tokens,
        "usd": usd,
        "cost_usd": cost_usd,
        "latency_ms": latency_ms,
        "quality": quality,
    }


def sample_rows(name="faq", **more):
    return [
        {
            "session": f"s{at % 5}",
            "tenant": None,
            "task": (name, "안내")[at % 2],
            "day": 20_700 + at % 3,
            "covered": at != 7,
            "unpriced": "odd" if at == 5 else None,
            "estimated": at == 3,
            "baseline": side("large", 0.002, 800.0 + at, 1.0),
            "recipe": side("small", 0.0000005 * at, 100.0 + at, float(at % 4 > 0)),
            "calls": [("small", 0.0000005 * at)],
        }
        | more
        for at in range(12)
    ]


def report_of(rows, levers=True):
    return summarise([make_batch(rows, levers=levers)], lambda: META)


def render_table(report):
    return render_tables(lay_out(report), None)


RENDERERS = {
    "txt": render_table,
    "json": render_json,
    "jsonl": render_jsonl,
    "csv": render_report_csv,
    "md": render_report_markdown,
}


@pytest.mark.parametrize("extension", RENDERERS)
def test_golden(extension):
    text = RENDERERS[extension](report_of(sample_rows()))
    file = GOLDEN / f"report.{extension}"
    if os.environ.get("FRUGALCTL_REGENERATE"):
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")


def test_the_contract_of_the_json():
    found = encode_report(report_of(sample_rows()))
    assert list(found)[:2] == ["schema_version", "frugalctl_version"]
    log = ("requests", "sessions", "priced", "unpriced", "estimated_usage", "uncovered")
    assert set(log) <= set(found["log"])
    assert found["log"]["unpriced"] == {"odd": 1}
    for name in ("baseline", "recipe"):
        assert list(found[name]) == [
            "name",
            "cost_usd",
            "cost_usd_ci95",
            "tokens",
            "latency_ms",
            "quality",
        ]
        assert list(found[name]["tokens"]) == [
            "fresh_input",
            "cache_read",
            "cache_write",
            "cache_write_1h",
            "output",
            "reasoning",
        ]
        assert list(found[name]["latency_ms"]) == ["mean", "ci95", "p50", "p95", "p99", "n"]
        assert list(found[name]["quality"]) == ["mean", "ci95", "n"]
        assert len(found[name]["quality"]["ci95"]) == 2
    assert list(found["delta"]) == [
        *("cost_usd", "cost_usd_ci95", "cost_pct"),
        *("quality", "quality_ci95", "quality_n"),
        *("latency_ms_mean", "latency_ms_mean_ci95", "latency_ms_mean_n"),
    ]
    assert all({"model", "calls", "cost_usd"} <= set(item) for item in found["models"])
    assert [list(item) for item in found["levers"]] == [["name", "saved_usd", "saved_usd_ci95"]]
    assert json.loads(json.dumps(found)) == json.loads(render_json(report_of(sample_rows())))
    assert all(isinstance(count, int) for count in found["recipe"]["tokens"].values())


def unknown_rows():
    nothing = side("m", None, None, None) | {"tokens": None, "usd": None}
    more = {"unpriced": "m", "baseline": nothing, "recipe": nothing, "calls": []}
    return [row for row in sample_rows(**more) if row["covered"]]


def test_what_is_unknown_is_null_and_says_so():
    report = report_of(unknown_rows())
    found = encode_report(report)
    for name in ("baseline", "recipe"):
        assert found[name]["cost_usd"] is None
        nothing = dict.fromkeys(("mean", "ci95", "p50", "p95", "p99"))
        assert found[name]["latency_ms"] == nothing | {"n": 0}
        assert found[name]["quality"] == {"mean": None, "ci95": None, "n": 0}
        assert set(found[name]["tokens"].values()) == {None}
    counts = {found["delta"].pop(name) for name in ("quality_n", "latency_ms_mean_n")}
    assert counts == {0} and set(found["delta"].values()) == {None}
    assert found["levers"] == [{"name": "cascade", "saved_usd": None, "saved_usd_ci95": None}]
    lines = render_table(report).splitlines()
    for label in ("cost", "quality, mean", "latency, mean", "input tokens", "output tokens"):
        (line,) = [line for line in lines if line.startswith(label)]
        assert line.split(label)[1].split()[:2] == ["unknown", "unknown"]
    assert "| cost | unknown | unknown | unknown |" in render_report_markdown(report)


def hostile_report():
    return report_of(sample_rows(HOSTILE, unpriced=HOSTILE, calls=[(HOSTILE, 0.5)]))


def test_hostile_names_leave_the_table_unharmed():
    text = render_table(hostile_report())
    assert all(char.isprintable() for line in text.split("\n") for char in line)
    assert "[bold]" in text
    assert max(map(len, text.split("\n"))) <= 300


def test_hostile_names_leave_the_markdown_unharmed():
    text = render_report_markdown(hostile_report())
    assert all(char.isprintable() for line in text.split("\n") for char in line)
    assert "<b>" not in text and "\\[bold\\]" in text
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line.startswith("|")]
        counts = {len(line.replace("\\|", "").split("|")) for line in lines}
        assert len(counts) <= 1


def test_hostile_titles_and_notes_stay_on_their_line():
    text = render_markdown([Table("a\n# b", ("x",), (("1",),), ("n\n- m",))])
    assert text == "### a # b\n\n| x |\n| --- |\n| 1 |\n\nn - m\n"


def test_hostile_names_survive_json_and_csv_as_they_are():
    report = hostile_report()
    names = [item["model"] for item in json.loads(render_json(report))["models"]]
    assert names == [HOSTILE]
    rows = list(csv.reader(io.StringIO(render_report_csv(report), newline="")))
    assert all(len(row) == 2 for row in rows)
    assert ["models.0.model", HOSTILE] in rows
    assert render_jsonl(report).count("\n") == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (0, "$0.000000"),
        (0.0000004, "$0.00000040"),
        (0.00012345, "$0.000123"),
        (1.5, "$1.5000"),
        (-1234.567, "-$1,234.57"),
    ],
)
def test_dollars(value, text):
    assert format_usd(value) == text


def test_small_changes_have_no_negative_zero():
    assert format_number(-0.00001, 4, sign=True) == "+0.0000"
    assert format_percent(-0.01) == "+0.0 %"
    assert format_usd(0.5, sign=True) == "+$0.500000"
