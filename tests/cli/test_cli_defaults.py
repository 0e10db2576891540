import json

import pytest
from cli_cases import complain_lines, run, write_log

BOOK = 0.00586125  # 30 requests of row(), by the price book
LOG = 7.5


@pytest.fixture
def log(tmp_path):
    return write_log(tmp_path / "log.jsonl")


def cost(result):
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["recipe"]["cost_usd"]


def test_flag_before_variable_before_file_before_default(tmp_path, log):
    arguments = ("replay", log, "--json")
    assert cost(run(*arguments, cwd=tmp_path)) == pytest.approx(BOOK)
    (tmp_path / "pyproject.toml").write_text('[tool.frugalctl.replay]\nprices = "log"\n')
    assert cost(run(*arguments, cwd=tmp_path)) == LOG
    (tmp_path / "frugalctl.toml").write_text('[replay]\nprices = "book"\n')
    assert cost(run(*arguments, cwd=tmp_path)) == pytest.approx(BOOK)
    assert cost(run(*arguments, cwd=tmp_path, FRUGALCTL_REPLAY_PRICES="log")) == LOG
    flag = (*arguments, "--prices", "book")
    found = run(*flag, cwd=tmp_path, FRUGALCTL_REPLAY_PRICES="log")
    assert cost(found) == pytest.approx(BOOK)


def test_a_pyproject_of_others_is_left_alone(tmp_path, log):
    (tmp_path / "pyproject.toml").write_text("[tool.black]\nline-length = 1\n")
    assert run("replay", log, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('[replay]\npricse = "log"', "unknown key 'replay.pricse'", "did you mean 'prices'?"),
        ('[replya]\nprices = "log"', "unknown key 'replya'", "did you mean 'replay'?"),
        ("[log.convrt]", "unknown key 'log.convrt'", "did you mean 'convert'?"),
        ('prices = "log"', "prices is a command", "write [prices]"),
        ("[replay]\nlogs = ['a']", "unknown key 'replay.logs'", None),
        ("[replay]\nseed = [1]", "replay.seed takes one value", None),
        ("[check]\nfail-if = 'a < 1'", "check.fail-if takes a list", None),
        ("[replay.seed]", "replay.seed is an option, not a table", None),
        ("\n[replay", "2: not TOML: Expected ']'", None),
        (b"\n\n\xff", "3: not UTF-8", None),
        ("replay = " + "[" * 9999, "not TOML: nested too deeply", None),
    ],
)
def test_errors_of_the_file_name_the_key_and_the_nearest_one(tmp_path, log, text, message, hint):
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "frugalctl.toml").write_bytes(content)
    result = run("replay", log, cwd=tmp_path)
    lines = complain_lines(result)
    assert result.returncode == 2
    assert lines[0].startswith("frugalctl: frugalctl.toml:")
    assert lines[0].partition("frugalctl.toml:")[2].lstrip().startswith(message)
    assert hint is None or lines[1] == f"  hint: {hint}"


def test_keys_may_have_dashes_or_underscores(tmp_path, log):
    for key in ("as-of", "as_of"):
        (tmp_path / "frugalctl.toml").write_text(f'[replay]\n{key} = "2026-10-01"\n')
        found = run("replay", log, "--json", cwd=tmp_path)
        assert json.loads(found.stdout)["origin"]["as_of"] == "2026-10-01"


def test_gates_from_the_file(tmp_path, log):
    (tmp_path / "frugalctl.toml").write_text("[check]\nfail-if = ['quality < 0.9']\n")
    assert run("check", log, cwd=tmp_path).returncode == 1
    assert run("check", log, "--fail-if", "quality < 0.1", cwd=tmp_path).returncode == 0


def test_bad_values_say_where_they_come_from(tmp_path, log):
    variable = run("replay", log, cwd=tmp_path, FRUGALCTL_REPLAY_FORMAT="pdf")
    assert "FRUGALCTL_REPLAY_FORMAT" in complain_lines(variable)[0]
    (tmp_path / "frugalctl.toml").write_text('[replay]\nprices = "free"\n')
    file = run("replay", log, cwd=tmp_path)
    told = "frugalctl: frugalctl.toml: replay.prices: Invalid value for '--prices'"
    assert complain_lines(file)[0].startswith(told)
    (tmp_path / "frugalctl.toml").write_text('[check]\nfail-if = ["cost"]\n')
    gate = run("check", log, cwd=tmp_path)
    assert complain_lines(gate)[0] == "frugalctl: frugalctl.toml: check.fail-if: not a gate: 'cost'"
    (tmp_path / "frugalctl.toml").write_text("[compress]\nrate = 'half'\n")
    nameless = run("compress", log, cwd=tmp_path)
    assert complain_lines(nameless)[0].startswith("frugalctl: frugalctl.toml: compress.rate: ")
    assert (variable.returncode, file.returncode) == (2, 2)


@pytest.mark.parametrize("default", ['format = "csv"', "json = true"])
@pytest.mark.parametrize(
    ("flags", "start"),
    [
        (("--json",), "{"),
        (("--format", "markdown"), "###"),
        (("-o", "out.md"), "###"),
    ],
)
def test_a_format_on_the_command_line_wins(tmp_path, log, default, flags, start):
    (tmp_path / "frugalctl.toml").write_text(f"[replay]\n{default}\n")
    result = run("replay", log, *flags, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    written = tmp_path / "out.md"
    text = written.read_text() if written.exists() else result.stdout.decode()
    assert text.startswith(start)


def test_a_format_from_the_variable(log):
    result = run("replay", log, FRUGALCTL_REPLAY_FORMAT="csv")
    assert result.stdout.startswith(b"metric,value\n")
    assert run("replay", log, FRUGALCTL_REPLAY_JSON="1").stdout.startswith(b"{")


def test_a_variable_has_a_value_a_line(tmp_path, log):
    lines = "cost_usd > 5\r\n\nquality < 0.9\n"
    result = run("check", log, FRUGALCTL_CHECK_FAIL_IF=lines)
    assert complain_lines(result) == ["frugalctl: 1 of 2 gates failed: quality < 0.9"]
    bad = run("check", log, FRUGALCTL_CHECK_FAIL_IF="cost_usd > 5\nquality")
    told = "frugalctl: the variable FRUGALCTL_CHECK_FAIL_IF: not a gate: 'quality'"
    assert (bad.returncode, complain_lines(bad)[0]) == (2, told)


@pytest.mark.parametrize("option", ["HELP", "CHECK_HELP", "SHOW_COMPLETION", "INSTALL_COMPLETION"])
def test_what_prints_and_exits_has_no_variable(tmp_path, log, option):
    home = {"HOME": str(tmp_path), f"FRUGALCTL_{option}": "1"}
    failed = run("check", log, "--fail-if", "quality < 0.9", cwd=tmp_path, **home)
    assert failed.returncode == 1
    assert b"FAILED" in failed.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
    assert run("check", log, "--fail-if", "x", FRUGALCTL_DEBUG="1").stderr.startswith(b"Traceback")


def test_a_variable_that_means_something_else_is_left_alone(tmp_path):
    command = ("prices", "cost", "--model", "gpt-4o-mini", "--input", 10)
    result = run(
        *command, cwd=tmp_path, FRUGALCTL_VERSION="1.2", FRUGALCTL_PRICES_COST_OUTPUT="150"
    )
    assert (result.returncode, result.stderr) == (0, b"")
    assert "150" in result.stdout.decode().split("output")[1].split("\n")[0]
    assert not list(tmp_path.iterdir())
