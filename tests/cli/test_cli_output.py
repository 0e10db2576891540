import csv
import gzip
import io
import json
import os
import pty
import subprocess

import pytest
from cli_cases import COMMAND, complain_lines, environment, run, write_log


@pytest.fixture
def log(tmp_path):
    return write_log(tmp_path / "log.jsonl")


def load(result):
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def test_the_format_follows_the_extension(tmp_path, log):
    for name in ("x.json", "x.jsonl", "x.csv", "x.md", "x.txt", "x.parquet"):
        result = run("replay", log, "-o", name, cwd=tmp_path)
        assert result.returncode == 0
        assert bool(result.stdout) == (name == "x.parquet")
    report = json.loads((tmp_path / "x.json").read_text())
    assert json.loads((tmp_path / "x.jsonl").read_text()) == report
    assert (tmp_path / "x.jsonl").read_text().count("\n") == 1
    rows = dict(csv.reader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert float(rows["recipe.cost_usd"]) == report["recipe"]["cost_usd"]
    assert (tmp_path / "x.md").read_text().startswith("### 30 requests")
    assert (tmp_path / "x.txt").read_text().startswith("30 requests")
    assert load(run("report", "x.parquet", "--json", cwd=tmp_path)) == report
    assert run("replay", log, "--format", "markdown").stdout == (tmp_path / "x.md").read_bytes()
    assert {path.suffix for path in tmp_path.iterdir()} == {
        ".json", ".jsonl", ".csv", ".md", ".txt", ".parquet"
    }  # fmt: skip


def test_the_format_asked_for_comes_before_the_extension(tmp_path, log):
    assert run("replay", log, "-o", "x.csv", "--json", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "x.csv").read_text())["log"]["requests"] == 30


def test_a_parquet_output_still_prints_what_is_asked(tmp_path, log):
    found = load(run("replay", log, "-o", "x.parquet", "--json", cwd=tmp_path))
    assert found["log"]["requests"] == 30


def test_the_same_input_gives_the_same_bytes(log):
    first, second = (run("replay", log, "--json", PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first.stdout and first.stdout == second.stdout


def test_stdin_equals_the_file(log):
    text = log.read_bytes()
    by_name = run("replay", log, "--json").stdout
    assert run("replay", "-", "--json", stdin=text).stdout == by_name
    squeezed = load(run("replay", "-", "--json", stdin=gzip.compress(text)))
    expected = json.loads(by_name)
    assert squeezed["origin"].pop("input_xxh3") != expected["origin"].pop("input_xxh3")
    assert squeezed == expected


def test_convert_and_replay_is_replay(tmp_path, log):
    expected = load(run("replay", log, "--json"))
    for name in ("x.parquet", "x.jsonl.gz", "x.jsonl.zst"):
        assert run("log", "convert", log, "-o", name, cwd=tmp_path).returncode == 0
        found = load(run("replay", name, "--json", cwd=tmp_path))
        assert found | {"origin": None} == expected | {"origin": None}


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours_in_a_pipe(log, env, coloured):
    result = run("replay", log, TERM="xterm", **env)
    assert (b"\x1b[" in result.stdout) == coloured
    assert b"\x1b[" not in run("replay", log, "--json", TERM="xterm", **env).stdout


def test_files_have_no_colours(tmp_path, log):
    assert run("replay", log, "-o", "x.txt", cwd=tmp_path, FORCE_COLOR="1").returncode == 0
    assert b"\x1b" not in (tmp_path / "x.txt").read_bytes()


def read_terminal(arguments, **env):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdout=theirs,
        stderr=theirs,
        stdin=subprocess.DEVNULL,
        env=environment(TERM="xterm", **env),
    )
    os.close(theirs)
    chunks = []
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(ours)
    assert process.wait(timeout=30) == 0
    return b"".join(chunks)


def test_a_terminal_has_colours_unless_told_otherwise(log):
    assert b"\x1b[1m" in read_terminal(["replay", log])
    assert b"\x1b[1m" not in read_terminal(["replay", log, "-q"], NO_COLOR="1")


@pytest.mark.parametrize("at", [1, 3])
def test_quiet_before_and_behind_the_command(tmp_path, at):
    log = write_log(tmp_path / "log.jsonl", 3, odd=1)
    arguments = ["replay", str(log)]
    assert complain_lines(run(*arguments)) == [f"note: unknown fields ignored: odd ({log}:1)"]
    arguments.insert(at - 1, "-q")
    assert complain_lines(run(*arguments)) == []


def test_hostile_names_on_stderr(tmp_path):
    log = write_log(tmp_path / "log.jsonl", 2, **{"a\x1b[31m\n\u202eb": 1})
    (line,) = complain_lines(run("replay", log))
    assert "\\x1b[31m\\n\\u202eb" in line


def test_a_baseline_that_nobody_ran(log):
    result = run("replay", log, "--baseline", "gpt-4o-mni", "--json")
    assert (result.returncode, result.stdout) == (2, b"")
    assert complain_lines(result) == [
        "frugalctl: the log has no answer of gpt-4o-mni",
        "  hint: did you mean gpt-4o-mini?",
    ]


def test_diff(tmp_path, log):
    write_log(tmp_path / "more.jsonl", 60)
    for name in ("log", "more"):
        assert run("replay", f"{name}.jsonl", "-o", f"{name}.json", cwd=tmp_path).returncode == 0
    found = load(run("diff", "log.json", "more.json", "--json", cwd=tmp_path))
    change = next(item for item in found["changes"] if item["metric"] == "log.requests")
    expected = {"base": 30, "head": 60, "amount": 30, "percent": 100, "status": "changed"}
    assert expected.items() <= change.items()
    table = run("diff", "log.json", "more.json", cwd=tmp_path).stdout.decode()
    assert "30 -> 60" in table and "+100.0 %" in table


def test_names_that_are_not_utf8(tmp_path, log):
    name = b"\xff.json"
    assert run("replay", log, "-o", os.fsdecode(name), cwd=tmp_path).returncode == 0
    for output in ("x.md", "x.txt", "-"):
        command = ("diff", os.fsdecode(name), os.fsdecode(name), "-o", output)
        assert run(*command, cwd=tmp_path).returncode == 0


def test_a_log_that_begins_observed_tells_of_what_has_outcomes_only(tmp_path):
    usage = {"input_tokens": 10, "output_tokens": 5}
    observed, offline = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    observed.write_text(json.dumps({"id": "a", "model": "gpt-5.4", "usage": usage}) + "\n")
    outcome = {"model": "gpt-4o-mini", "usage": usage, "quality": 1.0}
    offline.write_text(json.dumps({"id": "b", "outcomes": [outcome]}) + "\n")
    result = run("replay", observed, offline, "--json")
    assert json.loads(result.stdout)["log"]["uncovered"] == 1
    assert b"--baseline MODEL" in result.stderr
    assert b"--baseline MODEL" not in run("replay", offline, "--json").stderr
