"""`replay` and `report` as a page; `--show-text`."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from frugalctl.cli.app import run_command

SECRET = "the password is swordfish"


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [
        {
            "id": f"r{at}",
            "model": "gpt-5.4",
            "timestamp": f"2026-11-0{1 + at % 5}T10:00:00Z",
            "messages": [
                {"role": "system", "content": "answer\u202e <script>alert(1)</script>"},
                {"role": "user", "content": f"{SECRET} {at} {'y' * 5000}"},
            ],
            "usage": {"input_tokens": 1000 + at, "output_tokens": 10},
        }
        for at in range(30)
    ]
    Path("log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return "log.jsonl"


def ask(*arguments):
    return run_command(["-q", *arguments])


def complaint(capsys):
    return capsys.readouterr().err


def test_replay_and_report_give_the_same_page(log):
    assert ask("replay", log, "-o", "direct.html") == 0
    assert ask("replay", log, "-o", "run.parquet") == 0
    assert ask("report", "run.parquet", "-o", "later.html") == 0
    page = Path("direct.html").read_text("utf-8")
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n")
    assert page == Path("later.html").read_text("utf-8")


def test_text_is_shown_only_where_it_is_asked_for(log):
    assert ask("replay", log, "-o", "run.parquet") == 0
    assert SECRET.encode() not in Path("run.parquet").read_bytes()
    assert ask("report", "run.parquet", "-o", "plain.html") == 0
    assert SECRET not in Path("plain.html").read_text("utf-8")
    assert ask("report", "run.parquet", "--show-text", "-o", "shown.html") == 0
    assert ask("replay", log, "--show-text", "-o", "direct.html") == 0
    page = Path("shown.html").read_text("utf-8")
    assert page == Path("direct.html").read_text("utf-8")
    assert page.count(SECRET) == 20
    assert "answer\\u202e &lt;script&gt;" in page and "<script" not in page
    texts = re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert all(len(text) < 2100 and text.endswith("y\u2026") for text in texts)


def test_another_log_is_refused(log, capsys):
    assert ask("replay", log, "-o", "run.parquet") == 0
    Path(log).rename("moved.jsonl")
    assert ask("report", "run.parquet", "--show-text", "-o", "page.html") == 2
    assert "log.jsonl: no such file" in (said := complaint(capsys)) and "--log" in said
    assert ask("report", "run.parquet", "--show-text", "--log", "moved.jsonl", "-o", "p.html") == 0
    text = Path("moved.jsonl").read_text("utf-8")
    Path("moved.jsonl").write_text(text.replace("swordfish", "swordfisk"), "utf-8")
    arguments = ("--show-text", "--log", "moved.jsonl", "-o", "page.html")
    assert ask("report", "run.parquet", *arguments) == 2
    assert "moved.jsonl: is not the log that was replayed" in (said := complaint(capsys))
    assert "--log" in said
    assert not Path("page.html").exists()


def test_bad_lines_do_not_shift_the_texts(log):
    lines = Path(log).read_text("utf-8").splitlines()
    Path(log).write_text("\n".join(["{broken", *lines[:7], "[]", *lines[7:]]) + "\n", "utf-8")
    assert ask("replay", log, "--on-error", "skip", "-o", "run.parquet") == 0
    assert ask("report", "run.parquet", "--show-text", "-o", "page.html") == 0
    page = Path("page.html").read_text("utf-8")
    found = re.findall(r"<summary>r(\d+)</summary>.*?swordfish (\d+)", page, re.DOTALL)
    assert len(found) == 20 and all(name == number for name, number in found)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("replay", "log.jsonl", "--show-text"), "--show-text is for --format html"),
        (("replay", "-", "--show-text", "-f", "html"), "cannot be stdin"),
        (("report", "run.parquet", "--log", "log.jsonl", "-f", "html"), "--log is for --show-text"),
    ],
)
def test_options_that_do_not_fit_together(log, capsys, arguments, reason):
    assert ask(*arguments) == 2
    assert reason in complaint(capsys)


def test_a_ledger_of_stdin_needs_the_log_named(log, capsys):
    with Path(log).open("rb") as stdin:
        command = [sys.executable, "-m", "frugalctl", "-q", "replay", "-", "-o", "run.parquet"]
        root = str(Path(__file__).parents[2])
        subprocess.run(
            command,
            stdin=stdin,
            check=True,
            env=os.environ | {"PYTHONPATH": root},
            stdout=subprocess.DEVNULL,
        )
    assert ask("report", "run.parquet", "--show-text", "-f", "html") == 2
    assert "--log" in complaint(capsys)
    assert ask("report", "run.parquet", "--show-text", "--log", log, "-o", "page.html") == 0


def test_other_formats_do_not_load_what_draws(log):
    assert ask("replay", log, "-o", "run.parquet") == 0
    program = (
        "import sys; from frugalctl.cli.app import run_command\n"
        "run_command(['report', 'run.parquet', '-o', 'x.json'])\n"
        "print([m for m in ('matplotlib', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.stdout.strip() == "[]"
