"""`cache build` and `cache query`."""

import csv
import io
import json
import shutil
import subprocess

import pytest
from cache_cli import ROWS, build_once, run, write_log
from cli_cases import COMMAND, environment

CONTRACT = ["query", "hit", "score", "entry_id", "response", "guard", "reason"]
RESET = "how do i reset my password"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build_once(tmp_path_factory.mktemp("built"))


@pytest.fixture
def log(built):
    return built / "log.jsonl"


@pytest.fixture
def idx(built, tmp_path):
    return shutil.copytree(built / "idx", tmp_path / "idx")


def test_build_says_what_it_kept_and_what_not(log, tmp_path):
    result = run("cache", "build", log, "-o", tmp_path / "idx", "--min-quality", 0.5, "--json")
    facts = json.loads(result.out)
    assert (facts["requests"], facts["entries"], facts["scopes"]) == (6, 5, 3)
    assert facts["left_out"] == {"an answer below --min-quality": 1}
    assert (facts["dtype"], facts["embedding_usd"]) == ("float32", 0.0)
    shown = run("cache", "build", log, log.parent / "none.jsonl", "-o", tmp_path / "idx")
    shown.failed("none.jsonl: no such file")
    assert json.loads(run("cache", "info", tmp_path / "idx", "--json").out)["entries"] == 5


def test_build_keeps_the_newest_answer_and_the_rules_of_its_recipe(tmp_path):
    rows = [*ROWS, ("acme", "how do I reset my password", "acme: newer", "faq")]
    log = write_log(tmp_path / "log.jsonl", rows)
    recipe = tmp_path / "r.toml"
    recipe.write_text('[semantic_cache]\nttl = "3d"\nthreshold = 0.99\n', "utf-8")
    built = json.loads(
        run("cache", "build", log, "-o", tmp_path / "idx", "-r", recipe, "--json").out
    )
    assert (built["asked_again"], built["expired_or_evicted"], built["entries"]) == (1, 3, 3)
    asked = run("cache", "query", tmp_path / "idx", RESET, "--tenant", "acme", "--json")
    assert json.loads(asked.out)[0]["response"] == "acme: newer"
    below = run("cache", "query", tmp_path / "idx", "what is c", "--guards", "none", "--json")
    assert json.loads(below.out)[0]["reason"] == "below the threshold of 0.99"


@pytest.mark.parametrize("target", ["", "-", ".", "file", "folder", "none/idx"])
def test_build_replaces_nothing_but_an_index(log, tmp_path, target, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    assert run("cache", "build", log, "-o", target).failed()
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "notes.txt"]


@pytest.mark.parametrize("place", ["idx", "idx/", "link"])
def test_build_replaces_an_index_wherever_it_is_named(log, idx, tmp_path, place, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("idx")
    assert run("cache", "build", log, "-o", place, "--dtype", "int8").code == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads(run("cache", "info", idx, "--json").out)["dtype"] == "int8"


def test_query_prints_exactly_the_contract(idx):
    lines = f'{RESET}\n\n{{"query": "where is my invoice", "tenant": "globex"}}\r\nwhat is c#\n'
    options = ("--format", "jsonl", "--threshold", 0.5)
    found = run("cache", "query", idx, "-", *options, stdin=lines.encode()).records()
    assert [list(record) for record in found] == [CONTRACT] * 3
    assert [record["hit"] for record in found] == [True, True, False]
    assert [record["guard"] for record in found] == [None, None, "symbols"]
    assert found[0]["score"] == 1.0 and found[0]["reason"] == "exact key"
    assert found[1]["response"] == "globex: in your mail"
    assert found[2]["entry_id"] is None and found[2]["response"] is None


def test_every_format_of_a_query_says_the_same(idx, tmp_path):
    asked = ("cache", "query", idx, RESET, "zebra")
    records = json.loads(run(*asked, "--json").out)
    assert run(*asked, "--format", "jsonl").records() == records
    rows = list(csv.DictReader(io.StringIO(run(*asked, "--format", "csv").out)))
    assert [list(row) for row in rows] == [CONTRACT] * 2
    assert [row["query"] for row in rows] == [RESET, "zebra"]
    table = run(*asked).out
    assert table.startswith("1 of 2 answered") and "exact key" in table
    assert "| exact key |" in run(*asked, "--format", "markdown").out
    for name in ("out.json", "out.jsonl"):
        assert run(*asked, "-o", tmp_path / name).out == ""
    assert json.loads((tmp_path / "out.json").read_text("utf-8")) == records
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 2


def test_verbose_shows_the_nearest_question(idx):
    question = "where can one find a zebra"
    assert "C++" not in run("cache", "query", idx, question).out
    table = run("-v", "cache", "query", idx, question).out
    assert "nearest question" in table and ("C++" in table or "password" in table)


def test_a_byte_order_mark_does_not_hide_the_json(idx):
    line = b'\xef\xbb\xbf{"query": "where is my invoice", "tenant": "globex"}\n'
    for stdin in (line, line.strip()):
        assert run("cache", "query", idx, "-", "-f", "jsonl", stdin=stdin).records()[0]["hit"]


def test_lines_before_a_bad_one_are_answered(idx):
    result = run("cache", "query", idx, "-", "-f", "jsonl", stdin=b"what is c++\nx\n{\n")
    assert result.code == 2 and len(result.records()) == 2
    assert "<stdin>:3: not JSON" in result.err
    whole = run("cache", "query", idx, "-", "--json", stdin=b"what is c++\n{\n")
    assert whole.failed("<stdin>:2:")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\xff", "not UTF-8"),
        (b'{"query": 3}', "query is not text"),
        (b'{"messages": 3}', "messages is not a list"),
        (b'{"query": "x", "history": "y"}', "history is not a list"),
        (b'{"query": "x", "tenant": []}', "tenant is not text"),
        (b'{"query": "\\ud800"}', "not JSON"),
        (b'{"query": "x", "timestamp": NaN}', "not JSON"),
        (b'{"query": "x", "tools": ' + b"[" * 9999 + b"]" * 9999 + b"}", "nested too deeply"),
        (b"[1, 2]", "a JSON array"),
        (b"{}", "no question"),
    ],
)
def test_a_bad_line_of_stdin_is_named(idx, line, message):
    result = run("cache", "query", idx, "-", "--json", stdin=b"fine\n" + line + b"\n")
    assert result.failed("<stdin>:2: ", message)


@pytest.mark.parametrize(
    "text", ["", " ", "x" * 1_000_000, "a\0b", "🙂🙂", "\u202e", '"quoted" text', "[label] text"]
)
def test_any_question_has_an_answer_or_a_reason(idx, text):
    (record,) = run("cache", "query", idx, text, "-f", "jsonl").records()
    assert record["query"] == text and not record["hit"] and record["reason"]


@pytest.mark.parametrize(
    "options",
    [
        ("--threshold", "nan"),
        ("--threshold", "2"),
        ("--guards", "numbrs"),
        ("--at", "soon"),
        ("--wait", "nan"),
        ("--wait", "-1"),
        ("--scorer", "none.npz"),
        ("--scorer", "best"),
        ("--embedder", "lexical"),
        ("--embedder", "nowhere"),
        ("--recipe", "none.toml"),
        ("--format", "pdf"),
        ("--json", "--format", "csv"),
        ("-o", "no/such/place.json"),
        ("--no-such-option",),
        ("-",),
    ],
)
def test_options_that_make_no_sense_are_named(idx, options):
    assert run("cache", "query", idx, "x", *options).failed(
        *options[:1] if options[0] == "-" else ()
    )


@pytest.mark.parametrize("recipe", ["scope = []", 'scope = ["tenant"]', "threshold = 7"])
def test_a_recipe_that_does_not_fit_the_index_is_refused(idx, log, tmp_path, recipe):
    path = tmp_path / "r.toml"
    path.write_text(f"[semantic_cache]\n{recipe}\n", "utf-8")
    before = (idx / "manifest.json").read_bytes()
    assert run("cache", "query", idx, "x", "-r", path).failed()
    assert run("cache", "add", idx, log, "-r", path).failed()
    assert (idx / "manifest.json").read_bytes() == before


def test_many_candidates_are_as_many_as_there_are(idx, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(f"[semantic_cache]\ncandidates = {10**20}\n", "utf-8")
    assert run("cache", "query", idx, "what is c", "-r", path).code == 0


def test_an_index_without_a_scope_has_no_tenants_to_tell_apart(log, tmp_path):
    run("cache", "build", log, "-o", tmp_path / "idx", "--scope", "none")
    result = run("cache", "query", tmp_path / "idx", RESET, "-f", "jsonl")
    assert result.records()[0]["hit"] and result.err == ""


def test_who_does_not_say_a_tenant_is_told_of_them(built, tmp_path):
    log = write_log(tmp_path / "log.jsonl", ROWS[:4])
    run("cache", "build", log, "-o", tmp_path / "idx")
    asked = run("cache", "query", tmp_path / "idx", RESET, "-f", "jsonl")
    assert not asked.records()[0]["hit"]
    assert "every answer belongs to a tenant (acme, globex)" in asked.err
    assert run("-q", "cache", "query", tmp_path / "idx", RESET).err == ""
    assert run("cache", "query", built / "idx", RESET).err == ""


def test_a_missing_graph_is_said(idx):
    assert "has no graph" in run("cache", "query", idx, "x", "--graph").err


def test_record_prolongs_a_sliding_lifetime(log, tmp_path):
    recipe, idx = tmp_path / "r.toml", tmp_path / "idx"
    recipe.write_text('[semantic_cache]\nttl = "30d"\nsliding = true\n', "utf-8")
    run("cache", "build", log, "-o", idx, "-r", recipe)

    def ask(at, *options):
        line = json.dumps({"query": "what is c++", "timestamp": at}).encode()
        found = run("cache", "query", idx, "-", "-f", "jsonl", *options, stdin=line)
        return found.records()[0]["hit"]

    assert ask("2026-11-01") and not ask("2026-11-20")
    assert ask("2026-11-01", "--record")
    assert ask("2026-11-20") and not ask("2026-12-02")
    facts = json.loads(run("cache", "info", idx, "--json").out)
    assert facts["hits"] == 1 and facts["most_used"][0]["text"] == "What is C++?"
    pruned = json.loads(run("cache", "prune", idx, "--at", "2026-11-20", "--json").out)
    assert (pruned["expired"], pruned["remaining"]) == (5, 1)


def test_each_line_is_answered_as_it_comes(idx):
    arguments = [*COMMAND, "cache", "query", str(idx), "-", "--format", "jsonl"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(arguments, env=environment(), **pipes) as process:
        for part in (b"what is c++\n", b"how do i reset", b" my password\n"):
            process.stdin.write(part)
            process.stdin.flush()
            if part.endswith(b"\n"):
                assert json.loads(process.stdout.readline())["hit"]
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.returncode == 0


def test_a_reader_that_goes_away_ends_it_quietly(idx):
    arguments = [*COMMAND, "cache", "query", str(idx), "-", "--format", "jsonl"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(arguments, env=environment(), **pipes) as process:
        process.stdout.close()
        process.stdin.write(b"what is c++\n")
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
