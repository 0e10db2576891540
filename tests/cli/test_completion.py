"""Completion: what --install-completion writes, and what a shell then gets to hear."""

import os
import shutil
import subprocess
import sys

import pytest
from cli_cases import COMMAND, environment

# asks for a completion in the way that typer's script of the shell does
PROTOCOLS = {
    "bash": lambda words: {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)},
    "zsh": lambda words: {"_TYPER_COMPLETE_ARGS": " ".join(words)},
    "fish": lambda words: {
        "_TYPER_COMPLETE_ARGS": " ".join(words),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    },
}
WRITTEN = {
    "bash": (".bash_completions/frugalctl.sh", ".bashrc"),
    "zsh": (".zfunc/_frugalctl", ".zshrc"),
    "fish": (".config/fish/completions/frugalctl.fish",),
}


def call(home, *arguments, **env):
    env = environment(HOME=str(home), **env)
    return subprocess.run(
        [*COMMAND, *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def complete(home, shell, *words):
    """The proposals for the last word, one a line."""
    asked = PROTOCOLS[shell](["frugalctl", *words])
    result = call(home, **asked, _FRUGALCTL_COMPLETE=f"complete_{shell}")
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("shell", PROTOCOLS)
def test_a_shell_gets_commands_options_and_values(tmp_path, shell):
    commands = complete(tmp_path, shell, "re")
    assert "replay" in commands
    assert "report" in commands
    assert "check" not in commands
    assert "validate" in complete(tmp_path, shell, "log", "")
    assert "restore" in complete(tmp_path, shell, "compress", "r")
    assert "--target-tokens" in complete(tmp_path, shell, "compress", "--t")
    assert "--target-tokens" in complete(tmp_path, shell, "compress", "a.txt", "--t")
    assert "--prompt-cache" in complete(tmp_path, shell, "replay", "--pr")
    formats = complete(tmp_path, shell, "replay", "log.jsonl", "--format", "")
    assert "json" in formats
    assert "markdown" in formats
    assert "replay" not in formats
    assert "skip" in complete(tmp_path, shell, "log", "stats", "--on-error", "s")


@pytest.mark.parametrize(
    ("instruction", "more"),
    [
        ("complete_bash", {}),
        ("complete_bash", {"COMP_WORDS": "frugalctl re", "COMP_CWORD": "abc"}),
        ("bogus", {}),
        ("complete_nosuch", {}),
    ],
)
def test_a_question_that_no_shell_asks_fails_in_1(tmp_path, instruction, more):
    result = call(tmp_path, _FRUGALCTL_COMPLETE=instruction, **more)
    assert (result.returncode, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) <= 1


def test_the_first_word_is_completed_without_importing_the_commands(tmp_path):
    code = """
import sys
from frugalctl.cli.app import run_command
run_command([])
print(*[name for name in sys.modules if name.startswith("frugalctl.cli.")], file=sys.stderr)
"""
    asked = PROTOCOLS["zsh"](["frugalctl", "re"])
    env = environment(HOME=str(tmp_path), **asked, _FRUGALCTL_COMPLETE="complete_zsh")
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "What a log cost and, with a recipe, what it would have cost" in result.stdout
    assert not {"frugalctl.cli.replay", "frugalctl.cli.report"} & set(result.stderr.split())


@pytest.mark.parametrize("shell", WRITTEN)
def test_completion_installs_for_the_shell_that_runs(tmp_path, shell):
    """A stand-in by the shell's name is the parent, as shells are found by their processes."""
    stand_in = tmp_path / "bin" / shell
    stand_in.parent.mkdir()
    shutil.copy2(shutil.which("bash"), stand_in)
    script = f'"{sys.executable}" -m frugalctl --install-completion; exit $?'
    env = environment(HOME=str(tmp_path), SHELL=str(stand_in))
    result = subprocess.run(
        [stand_in, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert f"{shell} completion installed" in result.stdout
    for name in WRITTEN[shell]:
        assert "frugalctl" in (tmp_path / name).read_text("utf-8") or name == ".zshrc"
    assert f"complete_{shell}" in (tmp_path / WRITTEN[shell][0]).read_text("utf-8")
    again = subprocess.run(
        [stand_in, "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert again.returncode == 0
    for name in WRITTEN[shell][1:]:
        lines = [one for one in (tmp_path / name).read_text("utf-8").splitlines() if one]
        assert len(lines) == len(set(lines))


def test_bash_completes_what_is_typed(tmp_path):
    program = tmp_path / "frugalctl"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m frugalctl "$@"\n')
    program.chmod(0o755)
    script = """
set -e
eval "$(frugalctl --show-completion)"
COMP_WORDS=(frugalctl prefix "") COMP_CWORD=2
_frugalctl_completion frugalctl
printf '%s\\n' "${COMPREPLY[@]}"
"""
    env = environment(HOME=str(tmp_path), PATH=f"{tmp_path}:{os.environ['PATH']}")
    result = subprocess.run(
        ["bash", "-c", script], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stderr == ""
    assert result.stdout.split() == ["report", "advise"]
