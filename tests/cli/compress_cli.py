"""Runs `frugalctl compress` in this process, on the prompts of sample_data."""

import io
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from frugalctl.cli.app import run_command

MODEL = "gpt-5.4-mini"
PROMPTS = Path(__file__).parents[2] / "sample_data" / "prompts"
RAG = PROMPTS / "rag.txt"
CHAT = PROMPTS / "support-chat.json"
LINES = PROMPTS / "prompts.jsonl"


def compress(*arguments, stdin=b""):
    """The exit code, stdout as bytes, stderr as text."""
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    source = patch("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    with redirect_stdout(out), redirect_stderr(err), source:
        code = run_command(["compress", *map(str, arguments)])
        out.flush()
    return code, out.buffer.getvalue(), err.getvalue()


def refused(folder, *arguments, stdin=b""):
    """Its error where it has to fail: exit 2, nothing on stdout, no file in the folder touched."""
    before = read_files(folder)
    with chdir(folder):
        code, out, err = compress(*arguments, stdin=stdin)
    assert (code, out) == (2, b"")
    assert err.startswith("frugalctl: ")
    assert "Traceback" not in err and "internal error" not in err
    assert read_files(folder) == before
    return err


def read_files(folder):
    return {path: path.read_bytes() if path.is_file() else None for path in Path(folder).rglob("*")}
