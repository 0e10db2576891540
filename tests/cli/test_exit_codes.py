import gzip
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_cases import COMMAND, complain_lines, environment, row, run, write_log


@pytest.fixture
def log(tmp_path):
    return write_log(tmp_path / "log.jsonl")


def bad_inputs(folder):
    """Name -> the file, what is said about it."""
    good = write_log(folder / "good.jsonl").read_bytes()
    files = {
        "truncated.jsonl": (good[:-20], "truncated.jsonl:30: "),
        "utf8.jsonl": (good + b'{"model": "\xe9"}\n', "utf8.jsonl:31: not UTF-8"),
        "list.jsonl": (b"[]\n", "list.jsonl:1: a JSON array"),
        "nan.jsonl": (b'{"model": "a", "usage": {"input_tokens": NaN}}\n', "nan.jsonl:1: not JSON"),
        "negative.jsonl": (
            b'\n{"model": "a", "usage": {"input_tokens": -1}}\n',
            "negative.jsonl:2: usage.input_tokens is negative",
        ),
        "cached.jsonl": (
            b'{"model": "a", "usage": {"input_tokens": 1, "cache_read_tokens": 2}}\n',
            "cached.jsonl:1: usage: cached tokens exceed input_tokens",
        ),
        "twice.jsonl": (good.splitlines(True)[0] * 2, "twice.jsonl:2: duplicate id"),
        "empty.jsonl": (b"", "empty.jsonl: no requests in the log"),
        "blank.jsonl": (b"\n \n", "blank.jsonl: no requests in the log"),
        "broken.jsonl.gz": (
            gzip.compress(good)[:-30],
            "broken.jsonl.gz: cannot be decompressed",
        ),
        "fake.parquet": (b"PAR1 and nothing else", "fake.parquet: cannot be read as a parquet"),
        "text.txt": (b"hello\n", "text.txt:1: "),
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    (folder / "folder").mkdir()
    said = {name: message for name, (_, message) in files.items()}
    return said | {"folder": "folder: is a directory", "none": "none: no such file"}


def test_bad_inputs_end_in_2_with_one_line_that_says_where(tmp_path):
    for name, message in bad_inputs(tmp_path).items():
        result = run("replay", name, "-o", "out.json", cwd=tmp_path)
        lines = complain_lines(result)
        assert (result.returncode, result.stdout) == (2, b""), name
        assert lines[0].startswith(f"frugalctl: {message}"), lines
        assert all(line.startswith("  hint: ") for line in lines[1:])
        assert not (tmp_path / "out.json").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_bad_lines_can_be_skipped_and_are_counted(tmp_path, log):
    log.write_text(log.read_text() + "{\n" * 12)
    result = run("replay", log, "--on-error", "skip", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["log"]["skipped_lines"] == 12
    lines = complain_lines(result)
    assert lines[0].startswith(f"note: skipped {log}:31: not JSON")
    assert lines[10] == "note: skipped 2 more bad lines"


def test_gates(tmp_path, log):
    base = tmp_path / "base.json"
    assert run("replay", log, "-o", base).returncode == 0
    passed = run("check", log, "--baseline", base, "--fail-if", "cost_usd > +5%")
    assert (passed.returncode, complain_lines(passed)) == (0, [])
    failed = run("check", log, "--fail-if", "quality < 0.9", "--fail-if", "cost_usd < 0")
    assert failed.returncode == 1
    assert complain_lines(failed) == ["frugalctl: 1 of 2 gates failed: quality < 0.9"]
    assert b"FAILED   quality < 0.9" in failed.stdout


def test_gates_on_a_kept_ledger(tmp_path, log):
    ledger = tmp_path / "run.PARQUET"
    assert run("replay", log, "-o", ledger).returncode == 0
    result = run("check", ledger, "--fail-if", "log.requests != 30", "--json")
    assert result.returncode == 0
    assert json.loads(result.stdout)["gates"][0]["head"] == 30
    assert run("check", ledger, log, "--fail-if", "log.requests != 30").returncode == 2
    reported = run("replay", ledger)
    assert reported.returncode == 2
    assert complain_lines(reported)[1] == f"  hint: frugalctl report {ledger}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check", "log.jsonl"), "no gate to judge"),
        (("check", "log.jsonl", "--fail-if", "cost > 1"), "unknown metric 'cost'"),
        (("check", "log.jsonl", "--fail-if", "cost_usd > +1"), "compares with a base report"),
        (("check", "log.jsonl", "--fail-if", "nonsense"), "not a gate"),
        (("replay", "log.jsonl", "--what"), "No such option: --what"),
        (("replay",), "Missing argument 'LOG'"),
        (("replay", "-", "-"), "stdin (-) is given twice"),
        (("replay", "log.jsonl", "--as-of", "soon"), "--as-of 'soon' is not a date"),
        (("replay", "log.jsonl", "--json", "--format", "csv"), "contradict each other"),
        (("replay", "log.jsonl", "--format", "pdf"), "Invalid value for '--format'"),
        (("replay", "log.jsonl", "--recipe", "none.toml"), "none.toml: cannot be read"),
        (("replay", "log.jsonl", "--recipe", "bad.toml"), "bad.toml: [cascade] unknown key"),
        (("replay", "log.jsonl", "-o", "no/out.json"), "no/out.json: cannot be written"),
        (("replay", "log.jsonl", "-o", "."), ".: is a directory"),
        (("replay", "log.jsonl", "-o", "./log.jsonl"), "is both an input and the output"),
        (("report", "log.jsonl"), "log.jsonl: is not a ledger"),
        (("diff", "log.jsonl", "none.json"), "log.jsonl: not JSON"),
        (("log", "convert", "log.jsonl", "-o", "no/x.parquet"), "no/x.parquet: cannot be written"),
        (("log", "validate", "bad.toml"), "bad.toml: 2 bad lines"),
        (("replya",), "No such command 'replya'"),
    ],
)
def test_usage_errors_end_in_2(tmp_path, log, arguments, message):
    (tmp_path / "bad.toml").write_text("[cascade]\nmodls = ['a']\n")
    result = run(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert any(message in line for line in complain_lines(result)[:1]), complain_lines(result)
    assert log.read_text().count("\n") == 30


def test_an_unwritable_output_fails_before_the_work(tmp_path):
    result = run("replay", "none.jsonl", "-o", tmp_path / "no" / "out.json", cwd=tmp_path)
    assert "cannot be written" in complain_lines(result)[0]


def test_strict_refuses_what_has_no_price(tmp_path):
    log = write_log(tmp_path / "log.jsonl", 3, model="nobody-knows-it")
    assert run("replay", log).returncode == 0
    strict = run("replay", log, "--strict", "-q")
    assert strict.returncode == 2
    assert complain_lines(strict) == ["frugalctl: 3 requests could not be priced (--strict)"]


def test_debug_shows_where_and_keeps_the_code(log):
    result = run("replay", log, "--as-of", "soon", "--debug")
    assert result.returncode == 2
    text = result.stderr.decode()
    assert text.startswith("Traceback") and "hint: write it as 2026-11-20" in text


def test_a_full_disk_and_closed_streams(log):
    with Path("/dev/full").open("wb") as full:
        for arguments in (("replay", log), ("replay", log, "--json"), ("--help",)):
            command = [*COMMAND, *map(str, arguments)]
            found = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
            )
            assert found.returncode == 2
            assert b"No space left" in found.stderr and b"Traceback" not in found.stderr
    for closed, code in (("<&-", 2), (">&-", 2), ("2>&-", 0)):
        line = f'exec "$@" {closed}'
        path = "-" if closed == "<&-" else str(log)
        command = ["bash", "-c", line, "bash", *COMMAND, "replay", path]
        found = subprocess.run(command, capture_output=True, env=environment(), check=False)
        assert found.returncode == code, closed
        assert b"internal error" not in found.stderr


def test_a_stderr_that_cannot_be_written_changes_no_exit_code(tmp_path, log):
    noted = write_log(tmp_path / "noted.jsonl", 3, colour="red")
    cases = {
        0: ("check", noted, "--fail-if", "cost_usd > 5"),
        1: ("check", noted, "--fail-if", "cost_usd >= 0"),
        2: ("check", "nofile", "--fail-if", "cost_usd > 5", "--debug"),
    }
    for code, arguments in cases.items():
        for stderr in ("2>/dev/full", "2> >(exec true)", "2>&-"):
            line = f'exec "$@" {stderr}'
            command = ["bash", "-c", line, "bash", *COMMAND, *map(str, arguments)]
            found = subprocess.run(
                command, stdout=subprocess.PIPE, env=environment(), check=False, timeout=60
            )
            assert found.returncode == code, (code, stderr)
            assert bool(found.stdout) == (code < 2)


@pytest.mark.parametrize("group", [(), ("cache",), ("prices",), ("log",), ("prefix",)])
def test_a_group_alone_prints_its_help_and_is_wrong_use(group):
    bare = run(*group)
    assert (bare.returncode, bare.stderr) == (2, b"")
    assert bare.stdout == run(*group, "--help").stdout


def test_a_summary_that_is_no_file_is_not_waited_for(tmp_path, log):
    os.mkfifo(tmp_path / "pipe")
    check = ("check", log, "--fail-if", "cost_usd > 5", "--format", "github")
    for target in (tmp_path / "pipe", tmp_path):
        result = run(*check, GITHUB_STEP_SUMMARY=str(target))
        assert result.returncode == 0
        assert complain_lines(result) == ["note: the job summary cannot be written: it is no file"]
    assert run(*check, GITHUB_STEP_SUMMARY=str(tmp_path / "new.md")).returncode == 0
    assert "cost_usd" in (tmp_path / "new.md").read_text()


def test_an_error_of_the_system_names_the_file(monkeypatch, capsys):
    from frugalctl.cli import app

    def deny(*_arguments, **_options):
        raise PermissionError(13, "Permission denied", "twd/x.jsonl")

    monkeypatch.setattr(app, "app", deny)
    assert app.run_command(["check", "twd/x.jsonl"]) == 2
    assert capsys.readouterr().err == "frugalctl: twd/x.jsonl: Permission denied\n"


def test_ctrl_c_while_reading_a_slow_pipe(tmp_path):
    out = tmp_path / "out.json"
    process = subprocess.Popen(
        [*COMMAND, "replay", "-", "-o", str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(TMPDIR=str(tmp_path)),
    )
    process.stdin.write(json.dumps(row(0)).encode() + b"\n")
    process.stdin.flush()
    for _ in range(400):
        if any(path.name.startswith("frugalctl-") for path in tmp_path.iterdir()):
            break
        time.sleep(0.02)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stdout, stderr) == (130, b"", b"")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def big_log(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("big") / "big.jsonl", 20_000, response="x" * 300)


@pytest.mark.parametrize(
    ("arguments", "reader", "code"),
    [
        ("log convert {log}", "head -1", 141),
        ("log convert {log}", "true", 141),
        ("replay {log}", "true", 141),
        ("replay {log} --json", "true", 141),
        ("--help", "true", 141),
        ("replay --help", "true", 141),
        ("prices list", "true", 141),
        ("replay {log}", "cat", 0),
    ],
)
def test_a_reader_that_goes_away_ends_it_quietly(big_log, arguments, reader, code):
    command = " ".join(COMMAND) + " " + arguments.format(log=big_log)
    script = f"{command} | {reader} > /dev/null; echo ${{PIPESTATUS[0]}}"
    found = subprocess.run(
        ["bash", "-c", script], capture_output=True, env=environment(), timeout=60, check=False
    )
    assert found.stderr == b""
    assert int(found.stdout) == code
