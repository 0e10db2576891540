"""A hostile log through every command that prints its texts: all that reads the output is safe.

Values of CSV and JSON are data: they come back as they are in the log, with no quote or space put
before them. A spreadsheet that runs `=cmd|...` out of a file that it was only to open has to be told
to import text; a value that was changed to please it is wrong for every other reader.
"""

import csv
import io
import json
import os
import re
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from unittest.mock import patch
from xml.etree import ElementTree

import pytest

from frugalctl.cli.app import run_command

PARTS = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>&lt;b&gt;</td></table>",
    "ansi": "\x1b[31mred\x1b]8;;http://evil.test\x1b\\link\x1b]8;;\x1b\\\x9b2J\x07",
    "github": "::error file=a::pwned%0A::set-output name=a::b",
    "lines": "one\r\n::error::two\n##[error]three\u2028four\x85five",
    "table": "a|b`c`|[d](javascript:alert(1)) ![e](http://evil.test/x) **f** @all",
    "nothing": "\x00\ufeff\u200b\u200d\x7f",
    "right to left": "\u202egnp.exe\u2066x\u2069\u200f",
    "surrogate": "bell \ud800 half",
    "formula": "=cmd|' /C calc'!A0",
    "path": "../../../etc/passwd",
    "rich": "[bold red]x[/bold red] [link=http://evil.test]y[/link] :smile:",
    "entities": "]]>&amp;&#x3c;script&#x3e;<!--",
    "long": "\u202e|" + "Z" * 1_000_000,
}
MARK = "::"
BAD = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""What a terminal may obey, or what hides or turns text; a line feed is ours."""


def write_log(path, texts):
    lines = [
        {
            "id": f"{text[:2000]}#{at}",
            "session": text,
            "tenant": text,
            "task": text,
            "model": text if at % 3 else "gpt-4o-mini",
            "timestamp": 1_790_812_680 + at,
            "messages": [
                {"role": "system", "content": f"rules {text}"},
                {"role": "user", "content": f"What is {text} number {at % 2}?"},
            ],
            "response": f"It is {text}",
            "usage": {"input_tokens": 90, "output_tokens": 9},
            "cost_usd": 0.25,
            "quality": 1.0,
            "latency_ms": 8,
            "outcomes": [
                {"model": name, "usage": {"input_tokens": 90, "output_tokens": 5}, "quality": 1.0}
                | {"confidence": 0.5, "cost_usd": 0.125}
                for name in (("gpt-4o", f"{text[:500]}!") if at % 2 else ("gpt-4o",))
            ],
        }
        for at, text in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")


@dataclass
class Ran:
    code: int
    out: str
    err: str


def run(*arguments, given=b""):
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2))
    stdin = io.TextIOWrapper(io.BytesIO(given), "utf-8")
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", stdin):
        code = run_command(list(map(str, arguments)))
        out.flush(), err.flush()
    return Ran(code, *(stream.buffer.getvalue().decode("utf-8") for stream in (out, err)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A hostile log of every part, two with each, and one without the long ones."""
    found = tmp_path_factory.mktemp("hostile")
    sane = [text for name, text in PARTS.items() if name not in ("surrogate", "long")]
    write_log(found / "log.jsonl", [*sane, *sane, PARTS["long"]])
    write_log(found / "small.jsonl", [*sane, *sane])
    hidden = ("GITHUB", "FORCE_COLOR", "FRUGALCTL", "COLUMNS", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    with patch.dict(os.environ, kept | {"COLUMNS": "100"}, clear=True), chdir(found):
        for name in ("log", "small"):
            assert run("-q", "replay", f"{name}.jsonl", "-o", f"{name}.parquet").code == 0
            assert run("-q", "replay", f"{name}.jsonl", "--prices", "log", "-o", f"{name}.json").code == 0
        yield found


def check_terminal(text):
    """Nothing that a terminal obeys, no command to a CI server, no cell beyond reason."""
    assert not BAD.findall(text)
    assert "##[" not in text
    assert not [line for line in text.splitlines() if line.lstrip().startswith(MARK)]


COMMANDS = {
    "replay": ("replay", "log.jsonl"),
    "replay with a recipe": ("replay", "log.jsonl", "--prompt-cache", "blocks:unit=16"),
    "report": ("report", "log.parquet"),
    "diff": ("diff", "small.json", "log.json"),
    "check": ("check", "log.parquet", "--baseline", "small.json", "--fail-if", "cost_usd > +1%"),
    "log stats": ("log", "stats", "log.jsonl"),
    "prefix report": ("prefix", "report", "log.jsonl"),
    "prefix advise": ("prefix", "advise", "small.jsonl"),
    "normalize": ("normalize", "small.jsonl"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_obeys_nothing(folder, name):
    found = run(*COMMANDS[name])
    assert found.code in (0, 1), found.err
    check_terminal(found.out)
    check_terminal(found.err)
    assert len(found.err) < 20_000
