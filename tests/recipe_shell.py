"""Runs recipes: the command line in this process, scripts in a shell as a user would."""

import io
import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from itertools import takewhile
from pathlib import Path
from unittest.mock import patch

import pytest

from frugalctl.cli.app import run_command

ROOT = Path(__file__).parents[1]
RECIPES = ROOT / "recipes"
SAMPLES = ROOT / "sample_data"

needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")


def run_in_process(*arguments, stdin=b""):
    """What a command that ends well prints."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
    given = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", given):
        code = run_command([str(argument) for argument in arguments])
    assert code == 0, err.getvalue()
    return out.buffer.getvalue().decode()


def replay(text, *more):
    return json.loads(run_in_process("replay", "-", "--json", *more, stdin=text))


def rows_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def dump(rows):
    """Rows as the bytes of a log."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def read_head(path):
    """The comment at the head of a recipe, in one line and without its marks."""
    lines = path.read_text("utf-8").removeprefix("#!/usr/bin/env bash\n").splitlines()
    comment = takewhile(lambda line: line.startswith("#"), lines)
    return " ".join(line.removeprefix("#").strip() for line in comment)


def write_program(folder, name, text):
    """A program of this name that comes first on the path of `shell`."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def shell(folder, *command, **env):
    """Run a command in a folder, with `frugalctl` on the path."""
    write_program(folder, "frugalctl", f'exec {shlex.quote(sys.executable)} -m frugalctl "$@"')
    ours = ("FRUGALCTL", "GITHUB", "GIT_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    clean |= {"PATH": f"{folder / 'bin'}:{clean['PATH']}", "PYTHONPATH": str(ROOT)}
    clean |= {"COLUMNS": "100", "NO_COLOR": "1", "LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    clean |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=clean | env,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
