"""Runs the command line as a user does, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-m", "frugalctl"]
_OURS = ("NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "COLUMNS")


def environment(**more):
    clean = {
        name: value
        for name, value in os.environ.items()
        if name not in _OURS and not name.startswith("FRUGALCTL_")
    }
    root = str(Path(__file__).resolve().parents[2])
    return clean | {"COLUMNS": "100", "PYTHONPATH": root, "PYTHONWARNINGS": "error"} | more


def run(*arguments, cwd=None, stdin=None, **env):
    """The finished process; its output as text."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env=environment(**env),
        timeout=60,
        check=False,
    )


def row(at, **more):
    return {
        "id": f"r{at}",
        "timestamp": f"2026-10-{1 + at % 5:02d}T09:15:04Z",
        "session": f"s{at // 3}",
        "tenant": "acme",
        "task": "faq",
        "model": "gpt-4o-mini",
        "usage": {"input_tokens": 1200 + at, "cache_read_tokens": 1024, "output_tokens": 150},
        "latency_ms": 100 + at,
        "cost_usd": 0.25,
        "quality": float(at % 2),
    } | more


def write_log(path, rows=30, **more):
    path.write_text("".join(json.dumps(row(at, **more)) + "\n" for at in range(rows)))
    return path


def complain_lines(result):
    """What stands on stderr, sure that it is no traceback."""
    text = result.stderr.decode()
    assert "Traceback" not in text
    return text.splitlines()
