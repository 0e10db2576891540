"""Odd files, odd names and outputs that fail: nothing lost, nothing half-written."""

import json
import subprocess
from contextlib import chdir
from pathlib import Path

import pytest
from cli_cases import COMMAND, environment
from compress_cli import RAG, compress, read_files, refused

from frugalctl.errors import FrugalError

CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi  there.   Ok?"}]
FULL = "/dev/full"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "p.txt").write_bytes(RAG.read_bytes())
    rows = [{"id": name, "input": f"{name} x", "output": "z"} for name in ("a", "b")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "pre.txt").write_text("Answer.")
    with chdir(tmp_path):
        yield tmp_path


def write_lines(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def ask_batch(folder, response):
    code, _, err = compress("batch", "rows.jsonl", "--prefix", "pre.txt", "-o", "asked.jsonl")
    assert code == 0, err
    asked = json.loads((folder / "asked.jsonl").read_text())
    write_lines(folder / "said.jsonl", {"id": asked["id"], "response": response})


@pytest.mark.parametrize(
    "arguments",
    [
        ("p.txt", "--rate", ".5", "-o", "s", "--manifest", FULL),
        ("p.txt", "--rate", ".5", "-o", "s", "--report", FULL),
        ("p.txt", "rows.txt", "-o", "new", "--report", FULL),
        ("exemplars", "rows.jsonl", "-o", "y", "--report", FULL),
        ("batch", "rows.jsonl", "--prefix", "pre.txt", "-o", "y", "--report", FULL),
        ("batch", "asked.jsonl", "--split", "said.jsonl", "--todo", "z", "-o", FULL),
    ],
)
def test_where_one_output_fails_none_is_written(folder, arguments):
    (folder / "rows.txt").write_text("One.\n\n\n\nTwo.")
    ask_batch(folder, '{"a": "1"}')
    before = read_files(folder)
    code, out, err = compress(*arguments)
    assert (code, out, read_files(folder)) == (2, b"", before)
    assert f"{FULL}: cannot be written: No space left" in err


def test_files_stay_unwritten_where_stdout_fails(folder):
    command = [*COMMAND, "compress", "p.txt", "--rate", ".5", "-o", "s", "--diff"]
    with Path(FULL).open("wb") as full:
        found = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert (found.returncode, (folder / "s").exists()) == (2, False)
    assert b"No space left" in found.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("exemplars", "rows.jsonl", "-o", "x", "--report", "./x"),
        ("batch", "asked.jsonl", "--split", "said.jsonl", "--todo", "x", "-o", "./x"),
        ("p.txt", "-o", "x", "--manifest", "./sub/../x"),
    ],
)
def test_two_names_of_one_output(folder, arguments):
    (folder / "sub").mkdir()
    ask_batch(folder, '{"a": "1"}')
    assert "written twice" in refused(folder, *arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        ("p.txt", "--manifest", ""),
        ("p.txt", "-o", ""),
        ("p.txt", "--llm", ""),
        ("p.txt", "--method", "llmlingua2", "--llm", ""),
        ("p.txt", "--report", ""),
        ("p.txt", "--report", "r.xyz"),
        ("",),
        ("exemplars", "rows.jsonl", "-o", ""),
        ("p.txt", "-o", "loop"),
        ("p.txt", "--protect", r"\b"),
        ("p.txt", "--protect", r"(?=T)"),
    ],
)
def test_names_and_patterns_that_mean_nothing(folder, arguments):
    (folder / "loop").symlink_to("loop")
    refused(folder, *arguments)


def test_a_pattern_without_an_end_is_given_up(folder, monkeypatch):
    monkeypatch.setattr("frugalctl.levers.compress.protect.MATCH_SECONDS", 0.2)
    (folder / "q.txt").write_text("Some words here. " * 9 + "a" * 60 + "!")
    assert "(a|aa)+$' takes too long" in refused(folder, "q.txt", "--protect", "(a|aa)+$")


@pytest.mark.parametrize("pattern", [r"\n", r"\s", r"\r\n", r"[^a]", "."])
def test_patterns_that_match_line_ends(folder, pattern):
    (folder / "q.txt").write_bytes(b"xa\r\n\r\n\r\n\r\ny  z   \r\n\n\n\nb\n" * 40)
    code, out, err = compress("q.txt", "--protect", pattern)
    assert code == 0, err
    assert out.count(b"\n") == (folder / "q.txt").read_bytes().count(b"\n") or pattern == r"\r\n"


def test_an_error_in_a_batch_says_its_line_and_its_part(folder, monkeypatch):
    def fail(*_, **__):
        raise FrugalError("is lost", where="messages[1].content")

    monkeypatch.setattr("frugalctl.levers.compress.pipeline.compress_prompt", fail)
    write_lines(folder / "b.jsonl", {"messages": CHAT})
    assert "b.jsonl:1: messages[1].content: is lost" in refused(folder, "b.jsonl", "-o", "s")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"messages": [], "messages": %s}', "the key 'messages' twice"),
        ('{"system": "a", "system": "b", "messages": %s}', "the key 'system' twice"),
        ('{"t": NaN, "messages": %s}', "NaN"),
    ],
)
def test_chats_that_would_lose_something(folder, text, says):
    (folder / "c.json").write_text(text % json.dumps(CHAT))
    said = refused(folder, "c.json", "-o", "s")
    assert says in said and "c.json" in said
    (folder / "c.jsonl").write_text(text % json.dumps(CHAT) + "\n")
    assert "c.jsonl:1: " in refused(folder, "c.jsonl", "-o", "s")


@pytest.mark.parametrize(
    "text",
    ['{"prompt": "a", "input": "b"}', '{"prompt": "a", "messages": null}', '{"a": 1, "a": 2}'],
)
def test_json_that_is_no_chat_is_a_text(folder, text):
    (folder / "c.json").write_text(text)
    code, out, err = compress("c.json", "--tiers", "lossy")
    assert (code, out.decode()) == (0, text), err


NUMBERS = '0.10, 12345678901234567890.123456789, 1E5, 1e400, -0, "frugalctl-number"'


@pytest.mark.parametrize("depth", [1, 300, 500])
def test_numbers_and_deep_fields_of_chats_stay(folder, depth):
    inner = f"[{NUMBERS}, " + "[" * depth + "]" * depth + "]"
    source = f'{{"x": {inner}, "messages": {json.dumps(CHAT)}}}'
    (folder / "c.json").write_text(source)
    code, _, err = compress("c.json", "-o", "s", "--manifest", "m")
    assert code == 0, err
    assert "".join(inner.split()) in "".join((folder / "s").read_text().split())
    assert compress("restore", "s", "--manifest", "m", "-o", "again")[0] == 0
    assert (folder / "again").read_text() == source
    (folder / "c.jsonl").write_text(f'{{"id": "a", "x": {inner}, "messages": {json.dumps(CHAT)}}}')
    code, _, err = compress("c.jsonl", "-o", "s", "--manifest", "m")
    assert code == 0, err
    assert compress("restore", "s", "--manifest", "m", "-o", "again")[0] == 0
    assert json.loads((folder / "again").read_text())["messages"] == CHAT


@pytest.mark.parametrize("depth", [700, 850, 920, 950, 970, 990, 5000])
def test_chats_of_any_depth_end_without_a_defect(folder, depth):
    body = f'"x": {"[" * depth + "]" * depth}, "messages": {json.dumps(CHAT)}'
    (folder / "c.json").write_text(f"{{{body}}}")
    (folder / "c.jsonl").write_text(f'{{"id": "a", {body}}}\n')
    for name in ("c.json", "c.jsonl"):
        code, _, err = compress(name, "-o", "s", "--manifest", "m")
        assert code == 0 or (code == 2 and "nested too deeply" in err), err


def test_answers_of_a_batch_stay_as_they_were_written(folder):
    ask_batch(folder, '{"a": 1.10, "b": 1e400}')
    assert compress("batch", "asked.jsonl", "--split", "said.jsonl", "-o", "done")[0] == 0
    lines = [json.loads(line) for line in (folder / "done").read_text().splitlines()]
    assert [line["response"] for line in lines] == ["1.10", "1e400"]
    ask_batch(folder, '{"a": "l\\ud83d", "b": "1"}')
    assert compress("batch", "asked.jsonl", "--split", "said.jsonl", "-o", "done")[0] == 0
    first = json.loads((folder / "done").read_text().splitlines()[0])
    assert first["response"] == "l\ud83d"


def test_made_up_ids_meet_no_other(folder):
    write_lines(folder / "b.jsonl", {"id": "line 2", "prompt": "a"}, {"prompt": "b"})
    assert compress("b.jsonl", "-o", "s", "--manifest", "m")[0] == 0
    ids = [json.loads(line)["id"] for line in (folder / "s").read_text().splitlines()]
    assert len(set(ids)) == 2
    code, out, err = compress("restore", "s", "--manifest", "m")
    assert (code, [json.loads(line)["prompt"] for line in out.splitlines()]) == (0, ["a", "b"]), err
    (folder / "s").write_text((folder / "s").read_text() * 2)
    assert "was on line 1" in refused(folder, "restore", "s", "--manifest", "m")
    (folder / "s").write_text("")
    assert "s: is empty" in refused(folder, "restore", "s", "--manifest", "m")


@pytest.mark.parametrize("value", [True, [1], {}, 1.5])
def test_ids_and_questions_of_other_types(folder, value):
    write_lines(folder / "b.jsonl", {"id": value, "prompt": "a"})
    assert "b.jsonl:1: " in refused(folder, "b.jsonl")
    write_lines(folder / "b.jsonl", {"prompt": "a"}, {"id": "x", "prompt": "a", "question": value})
    assert "b.jsonl:2: question" in refused(folder, "b.jsonl")


def test_manifests_that_are_none(folder):
    assert compress("p.txt", "-o", "s", "--manifest", "m")[0] == 0
    for text in ("[" * 100_000, "", "[]", "null"):
        (folder / "bad").write_text(text)
        assert "bad" in refused(folder, "restore", "s", "--manifest", "bad")
    write_lines(folder / "b.jsonl", {"prompt": "a"})
    assert compress("b.jsonl", "-o", "s", "--manifest", "m")[0] == 0
    (folder / "s").write_text("[" * 100_000)
    assert "s:1: " in refused(folder, "restore", "s", "--manifest", "m")


def test_a_changed_layout(folder):
    (folder / "c.json").write_text(json.dumps(CHAT, indent=2))
    assert compress("c.json", "-o", "s", "--manifest", "m")[0] == 0
    manifest = json.loads((folder / "m").read_text())
    for change in ({"layout": {**manifest["layout"], "indent": 10**9}}, {"schema_version": True}):
        (folder / "bad").write_text(json.dumps({**manifest, **change}))
        assert "bad: " in refused(folder, "restore", "s", "--manifest", "bad")
