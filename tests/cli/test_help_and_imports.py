import json
import subprocess
import sys

import pytest
from cli_cases import environment, run, write_log

from frugalctl import __version__

COMMANDS = [
    "replay",
    "optimize",
    "report",
    "diff",
    "check",
    "normalize",
    "compress eval",
    "compress restore",
    "compress exemplars",
    "compress batch",
    "cache build",
    "cache query",
    "cache add",
    "cache eval",
    "cache tune",
    "cache info",
    "cache prune",
    "cache export",
    "prices list",
    "prices show",
    "prices cache",
    "prices cost",
    "prices diff",
    "prefix report",
    "prefix advise",
    "log convert",
    "log validate",
    "log stats",
]
LIST_COMMANDS = """
import json, typer
from frugalctl.cli.app import app
def walk(command, path):
    inner = getattr(command, "commands", {})
    return [path] if not inner else [p for n, c in inner.items() for p in walk(c, path + [n])]
print(json.dumps([" ".join(path) for path in walk(typer.main.get_command(app), [])]))
"""
LIST_MODULES = """
import sys
sys.argv[0] = "frugalctl"
from frugalctl.cli.app import run_command
if sys.argv[1:]:
    code = run_command(sys.argv[1:])
    assert not code, code
import json
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})), file=sys.stderr)
"""
HEAVY = {
    "pandas",
    "litellm",
    "tiktoken",
    "duckdb",
    "torch",
    "sklearn",
    "tokenizers",
    "genai_prices",
}


def run_python(code, *arguments):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        env=environment(),
        timeout=60,
        check=True,
    )


def imported(*arguments):
    return set(json.loads(run_python(LIST_MODULES, *arguments).stderr.decode().splitlines()[-1]))


def test_every_command_is_listed_here():
    assert sorted(json.loads(run_python(LIST_COMMANDS).stdout)) == sorted(COMMANDS)


@pytest.mark.parametrize("command", [*COMMANDS, "compress"])
def test_the_help_of_every_command_has_an_example(command):
    result = run(*command.split(), "--help")
    text = result.stdout.decode()
    assert (result.returncode, result.stderr) == (0, b"")
    assert f"frugalctl {command}" in text.split("Example", 1)[1]
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_version():
    assert run("--version").stdout.decode() == f"frugalctl {__version__}\n"


def test_the_command_line_imports_nothing_heavy():
    assert not imported() & (HEAVY | {"numpy", "pyarrow"})
    assert not imported("--help") & (HEAVY | {"numpy", "pyarrow"})


def test_a_small_replay_imports_nothing_heavy(tmp_path):
    log = write_log(tmp_path / "log.jsonl")
    assert not imported("replay", log) & HEAVY
    assert not imported("replay", log, "-o", tmp_path / "run.parquet") & HEAVY
    assert not imported("report", tmp_path / "run.parquet", "--json") & HEAVY
