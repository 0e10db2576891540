"""The pages of the documentation: their fenced blocks, their headings, and a shell to run them."""

import io
import os
import re
import runpy
import shlex
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import typer

from frugalctl.cli.app import app, run_command

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "recipes" / "README.md"]
CUT = "[...]"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Step:
    """A command that a page shows, what it shows of the output, and the exit code if it does."""

    command: str
    shown: str
    code: int | None


def name_of(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    """The text of each fenced block of a language, in the page's order."""
    return [body for name, body in _FENCE.findall(page.read_text("utf-8")) if name == language]


def prose(page):
    """A page without fenced blocks and code spans."""
    return re.sub(r"`[^`\n]+`", "", _FENCE.sub("", page.read_text("utf-8")))


def steps(block):
    found = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        if command == "echo $?":
            found[-1] = Step(found[-1].command, found[-1].shown, int(output))
        else:
            found.append(Step(command, output, None))
    return found


def matches(shown, printed):
    """Whether the parts around the cuts stand in the output in this order, at both its ends."""
    parts = [re.escape(_trim(part)) for part in _trim(shown).split(CUT)]
    return re.fullmatch(".*".join(parts), _trim(printed), re.DOTALL) is not None


def _trim(text):
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    found = []
    for heading in re.findall(r"^#+ +(.*?) *$", _FENCE.sub("", page.read_text("utf-8")), re.M):
        plain = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(plain if plain not in found else f"{plain}-{found.count(plain)}")
    return found


def open_shell(folder):
    """A function that runs a script where a reader would, but in a folder to write to.

    Lines that need no shell are run in this process, which is faster.
    """
    for name in ("sample_data", "recipes"):
        (folder / name).symlink_to(ROOT / name)
    program = folder / "bin" / "frugalctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m frugalctl "$@"\n')
    program.chmod(0o755)
    hidden = ("FRUGALCTL", "GITHUB", "FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    kept |= {"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    kept |= {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8"}
    kept |= {"HOME": str(folder)}

    def run(script):
        lines = script.strip().split("\n")
        if len(lines) > 1 and all(line.startswith(("frugalctl ", *_STARTS)) for line in lines):
            results = []
            for line in lines:
                results.append(run(line))
                if results[-1].code:
                    break
            return Ran(results[-1].code, "".join(one.printed for one in results))
        if len(lines) == 1 and _needs_no_shell(script):
            return _run_here(shlex.split(script)[1:], folder, kept)
        return _run_in_bash(script, folder, kept)

    return run


@dataclass(frozen=True, slots=True)
class Ran:
    """How a script ended, and what it printed on stdout and stderr."""

    code: int
    printed: str


_STARTS = ("cat ", "echo ", "grep ", "gzip ", "zcat ")


def _needs_no_shell(line):
    bare = re.sub(r"'[^']*'|\"[^\"$`]*\"", "", line)
    return line.startswith("frugalctl ") and not re.search(r"[|<>;&*?$`\\~\n]", bare)


def _run_here(words, folder, environment):
    printed = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    given = io.TextIOWrapper(io.BytesIO(), "utf-8")
    with (
        redirect_stdout(printed),
        redirect_stderr(printed),
        chdir(folder),
        patch.dict(os.environ, environment, clear=True),
        patch.object(sys, "stdin", given),
    ):
        code = run_command(words)
    return Ran(code, printed.buffer.getvalue().decode())


def _run_in_bash(script, folder, environment):
    result = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return Ran(result.returncode, result.stdout)


def commands():
    """Each command of the program with its path, the groups among them."""
    listed = runpy.run_path(str(ROOT / "docs" / "make_pages.py"))["list_commands"]
    root = typer.main.get_command(app)
    return [(context.command_path, command) for command, context in listed(root)]
