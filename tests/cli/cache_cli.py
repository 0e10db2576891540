"""Runs the commands of the cache in this process, on a small log."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from frugalctl.cli.app import run_command

ROWS = [
    ("acme", "How do I reset my password?", "acme: go to settings", "faq"),
    ("acme", "What is the refund policy?", "acme: 30 days", "faq"),
    ("globex", "How do I reset my password?", "globex: ask your admin", "faq"),
    ("globex", "Where is my invoice?", "globex: in your mail", "billing"),
    (None, "How do I  reset my password", "none: press reset", "faq"),
    (None, "What is C++?", "none: a language", "code"),
]


@dataclass
class Ran:
    code: int
    out: str
    err: str

    def records(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def failed(self, *words, code=2):
        """Ended in one clear line, and perhaps a hint."""
        assert (self.code, self.out) == (code, "")
        lines = self.err.splitlines()
        problems = [line for line in lines if line.startswith("frugalctl: ")]
        assert len(problems) == 1 and len(lines) <= 2 and "internal error" not in self.err
        for word in words:
            assert word in self.err
        return True


def run(*arguments, stdin=b""):
    """Run a command line in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
    given = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", given):
        code = run_command([str(argument) for argument in arguments])
    return Ran(code, out.buffer.getvalue().decode(), err.getvalue())


def request(at, tenant, question, response, task=None, *, before=(), **more):
    messages = [*before, {"role": "user", "content": question}]
    record = {
        "id": f"r{at}",
        "timestamp": f"2026-10-{at + 1:02d}T09:00:00Z",
        "tenant": tenant,
        "model": "gpt-4o-mini",
        "task": task,
        "messages": messages,
        "response": response,
        "usage": {"input_tokens": 100, "output_tokens": 20},
        "quality": 0.4 if at == 1 else 1.0,
    }
    return {name: value for name, value in record.items() if value is not None} | more


def write_log(path, rows=ROWS, start=0):
    records = [request(at, *row) for at, row in enumerate(rows, start)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def build_once(folder):
    """A folder with `log.jsonl` and its index `idx`."""
    log = write_log(folder / "log.jsonl")
    assert run("cache", "build", log, "-o", folder / "idx").code == 0
    return folder
