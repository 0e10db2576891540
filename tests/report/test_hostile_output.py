"""A hostile log through every command that prints its texts: all that reads the output is safe.

Values of CSV and JSON are data: they come back as they are in the log, with no quote or space put
before them. A spreadsheet that would run `=cmd|...` has to be told to import text: a value that was
changed to please it is wrong for every other reader.
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
BAD_LINES = "\n".join(
    (
        json.dumps({"model": "\u202ex\n::error::", "usage": {"input_tokens": -1}}),
        json.dumps({"\x1b[31m\n::error::k": 1, "model": "a", "usage": {"input_tokens": 1}}),
        json.dumps({"model": "b", "usage": {"input_tokens": 1}, "timestamp": "\x1b]\n::error::"}),
        json.dumps({"model": "c", "usage": {"input_tokens": 1}, "quality": "\u202e" * 300_000}),
        '{"id": "\x1b[31m',
        '{"id": "\\ud800", "model": "d", "usage": {"input_tokens": 1}}',
    )
)
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


class Terminal(io.TextIOWrapper):
    """A stream that says it is one."""

    def isatty(self):
        return True


def run(*arguments, given=b"", stream=io.TextIOWrapper):
    out, err = (stream(io.BytesIO(), "utf-8", newline="") for _ in range(2))
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
    (found / "prompt.txt").write_text(
        "\n\n".join(text for text in sane if "\0" not in text) + "\n\nQuestion: who?", "utf-8"
    )
    (found / "bad.jsonl").write_text(BAD_LINES, "utf-8")
    hidden = ("GITHUB", "FORCE_COLOR", "FRUGALCTL", "COLUMNS", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    with patch.dict(os.environ, kept | {"COLUMNS": "100"}, clear=True), chdir(found):
        for name in ("log", "small"):
            assert run("-q", "replay", f"{name}.jsonl", "-o", f"{name}.parquet").code == 0
            assert (
                run("-q", "replay", f"{name}.jsonl", "--prices", "log", "-o", f"{name}.json").code
                == 0
            )
        yield found


def check_terminal(text):
    """Nothing that a terminal obeys, no command to a CI server, no cell beyond reason."""
    assert not BAD.findall(text)
    assert "##[" not in text
    assert not [line for line in text.splitlines() if line.lstrip().startswith(MARK)]


COMMANDS = {
    "replay": ("replay", "log.jsonl"),
    "replay with a recipe": ("replay", "small.jsonl", "--prompt-cache", "blocks"),
    "report": ("report", "log.parquet"),
    "diff": ("diff", "small.json", "log.json"),
    "check": ("check", "log.parquet", "--baseline", "small.json", "--fail-if", "cost_usd > +1%"),
    "log stats": ("log", "stats", "small.jsonl"),
    "prefix report": ("prefix", "report", "log.jsonl"),
    "prefix advise": ("prefix", "advise", "small.jsonl"),
    "optimize": ("optimize", "small.jsonl", "--models", "gpt-4o,gpt-4o-mini"),
    "cache build": ("cache", "build", "small.jsonl", "-o", "idx", "--embedder", "lexical"),
    "cache eval": ("cache", "eval", "small.jsonl", "--embedder", "lexical"),
    "compress": ("compress", "small.jsonl", "--lossless", "--format", "table"),
    "compress --diff": ("compress", "prompt.txt", "--rate", "0.5", "--diff"),
    "no such file": ("replay", "\x1b[31m\n::error::x"),
    "no such baseline": ("replay", "small.jsonl", "--baseline", "\x1b[31m\n::error::x"),
    "no such metric": ("check", "small.json", "--fail-if", 'tasks."\x1b\n::error::".cost_usd > 1'),
    "bad lines": ("log", "validate", "bad.jsonl"),
    "skipped lines": ("replay", "bad.jsonl", "--on-error", "skip"),
}
REFUSED = ("no such", "bad lines")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_terminal_obeys_nothing(folder, name):
    found = run(*COMMANDS[name])
    assert found.code in ((2,) if name.startswith(REFUSED) else (0, 1)), found.err
    check_terminal(found.out)
    check_terminal(found.err)
    assert len(found.err) < 20_000
    assert len(found.out) < 200_000


def test_an_index_gives_answers_that_a_terminal_does_not_obey(folder):
    assert run("cache", "build", "small.jsonl", "-o", "asked", "--embedder", "lexical").code == 0
    question = ("asked", f"What is {PARTS['ansi']} number 1?", "--tenant", PARTS["ansi"])
    for words in (question, ("asked", "\x1b[31m unheard of", "--tenant", PARTS["lines"])):
        found = run("-v", "cache", "query", *words)
        assert found.code == 0, found.err
        check_terminal(found.out + found.err)
    (hit,) = json.loads(run("cache", "query", *question, "--json").out)
    assert PARTS["ansi"] in hit["query"]


def test_half_a_character_is_refused_with_its_line(tmp_path):
    write_log(tmp_path / "log.jsonl", [PARTS["surrogate"]])
    found = run("replay", tmp_path / "log.jsonl")
    assert (found.code, found.out) == (2, "")
    assert "log.jsonl:1: not JSON" in found.err


def cells(line):
    return len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))


@pytest.mark.parametrize(
    "name", ["replay", "report", "diff", "check", "log stats", "prefix report"]
)
def test_markdown_keeps_its_columns_and_holds_no_markup(folder, name):
    text = run("-q", *COMMANDS[name], "--format", "markdown").out
    check_terminal(text)
    plain = re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", text)
    plain = re.sub("</?(details|summary)>|<!-- (frugalctl )?-->", "", plain)
    assert not re.findall(r"<[a-zA-Z/!]|(?<!\\)\[[^\n\]\\]*(?<!\\)\]\(", plain)
    columns = None
    for line in text.splitlines():
        if not line.startswith("|"):
            columns = None
            continue
        columns = columns or cells(line)
        assert cells(line) == columns, line[:300]
    assert name == "diff" or "evil.test" in text


def test_commands_to_github_are_ours_alone(folder):
    gates = [f"tasks.{json.dumps(text)}.cost_usd > 0" for text in (PARTS["lines"], PARTS["github"])]
    words = [word for gate in gates for word in ("--fail-if", gate)]
    found = run("check", "small.json", *words, "--format", "github")
    assert found.code == 1, found.err
    lines = found.out.splitlines()
    assert len(lines) == found.out.count("\n") == 2
    for line in lines:
        command, properties, message = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line).groups()
        assert command == "error" and properties.startswith("title=") and "," not in properties
        assert "cost_usd" in message and "##[" not in line
    check_terminal(found.err)


def test_junit_is_xml_of_ours(folder):
    gate = f"tasks.{json.dumps(PARTS['entities'])}.cost_usd > 0"
    found = run("check", "small.json", "--fail-if", gate, "--format", "junit")
    assert found.code == 1
    assert not BAD.findall(found.out)
    tags = {element.tag for element in ElementTree.fromstring(found.out).iter()}
    assert tags <= {"testsuites", "testsuite", "testcase", "failure", "properties", "property"}
    assert "<script>" in ElementTree.tostring(ElementTree.fromstring(found.out), "unicode") or (
        "&amp;" in found.out
    )


def test_csv_and_json_give_back_what_was_logged(folder):
    body = json.loads(run("-q", "report", "small.parquet", "--json").out)
    logged = {text for name, text in PARTS.items() if name not in ("surrogate", "long")}
    for key in ("task", "tenant"):
        assert {item[key] for item in body[f"{key}s"]} == logged
    text = run("-q", "report", "small.parquet", "--format", "csv").out
    rows = list(csv.reader(io.StringIO(text, newline="")))
    assert {len(row) for row in rows} == {2}
    found = {row[1] for row in rows if re.fullmatch(r"tasks\.\d+\.task", row[0])}
    assert found == logged and PARTS["formula"] in found


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "table", "markdown"])
def test_a_terminal_obeys_no_data(folder, form):
    found = run("-q", "report", "small.parquet", "--format", form, stream=Terminal)
    text = found.out.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert not re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    if form == "json":
        assert PARTS["ansi"] in {item["task"] for item in json.loads(text)["tasks"]}


THEIRS = {"script", "img", "iframe", "object", "embed", "base", "form"}


class Elements(HTMLParser):
    """The elements of a page, and what would act."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.names, self.acts, self.texts = set(), [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        self.acts += [
            (tag, name, value)
            for name, value in attrs
            if name.startswith("on")
            or (name in ("href", "src", "action") and not (value or "").startswith(("#", "data:,")))
        ]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("more", [(), ("--show-text",)])
def test_a_page_holds_no_element_of_theirs(folder, more):
    assert run("-q", "report", "log.parquet", *more, "-o", "page.html").code == 0
    text = Path("page.html").read_text("utf-8")
    page = Elements(text)
    assert not page.names & THEIRS, page.names & THEIRS
    assert page.acts == []
    assert not BAD.findall(text)
    assert len(text) < 1_000_000
    assert "<script>alert(1)</script>" in "".join(page.texts)
