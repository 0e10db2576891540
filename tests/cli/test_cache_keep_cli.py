"""`cache add`, `prune`, `info` and `export`, and what all commands of the cache share."""

import csv
import io
import json
import re
import shlex
import shutil

import duckdb
import pytest
from cache_cli import ROWS, build_once, request, run, write_log
from cli_cases import run as run_process

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


def test_add_counts_what_came_and_what_went(idx, tmp_path):
    rows = [("acme", RESET, "acme: new", None), ("acme", "How do I pay?", "acme: by card", None)]
    more = write_log(tmp_path / "more.jsonl", rows, start=10)
    added = json.loads(run("cache", "add", idx, more, "--json").out)
    named = ("requests", "added", "replaced", "outdated", "expired", "evicted", "total")
    assert [added[name] for name in named] == [2, 1, 1, 0, 0, 0, 7]
    old = write_log(tmp_path / "old.jsonl", [("acme", RESET, "acme: old", None)])
    assert json.loads(run("cache", "add", idx, old, "--json").out)["outdated"] == 1
    found = run("cache", "query", idx, RESET, "--tenant", "acme", "-f", "jsonl").records()
    assert found[0]["response"] == "acme: new"


@pytest.mark.parametrize(
    ("options", "removed", "remaining"),
    [
        (("--tag", "faq"), "chosen", 2),
        (("--tag", "faq", "--tag", "code"), "chosen", 1),
        (("--tag", "tenant:globex"), "chosen", 4),
        (("--tag", "model:gpt-4o-mini"), "chosen", 0),
        (("--tag", "no such tag"), "chosen", 6),
        (("--before", "2026-10-03"), "chosen", 4),
        (("--entry", "0", "--entry", "99"), "chosen", 5),
        (("--ttl", "48h"), "expired", 2),
        (("--ttl", "1h", "--at", "now"), "expired", 0),
        (("--max-entries", "2"), "evicted", 2),
        (("--max-bytes", "1", "--eviction", "lfu"), "evicted", 0),
        ((), "evicted", 6),
    ],
)
def test_prune_takes_what_it_is_told_to(idx, options, removed, remaining):
    facts = json.loads(run("cache", "prune", idx, *options, "--json").out)
    assert (facts[removed], facts["remaining"]) == (6 - remaining, remaining)
    assert json.loads(run("cache", "info", idx, "--json").out)["entries"] == remaining
    assert run("cache", "query", idx, RESET).code == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--ttl", "0"),
        ("--ttl", "soon"),
        ("--before", "soon"),
        ("--max-entries", "0"),
        ("--max-bytes", "-1"),
        ("--eviction", "best"),
        ("--entry", "x"),
        ("--at", "soon"),
        ("--wait", "nan"),
    ],
)
def test_prune_refuses_nonsense_and_leaves_the_index_alone(idx, options):
    before = (idx / "manifest.json").read_bytes()
    assert run("cache", "prune", idx, *options).failed()
    assert (idx / "manifest.json").read_bytes() == before


def test_info_in_every_format(idx):
    facts = json.loads(run("cache", "info", idx, "--json").out)
    assert facts["tenants"] == {"": 2, "acme": 2, "globex": 2}
    assert facts["names"] == {"tenants": 2, "models": 1, "tasks": 3}
    assert facts["oldest"] == "2026-10-01T09:00:00.000Z"
    assert facts["bytes"].keys() == {"entries.parquet", "vectors.npy"}
    assert run("cache", "info", idx, "-f", "jsonl").records() == [facts]
    (row,) = csv.DictReader(io.StringIO(run("cache", "info", idx, "-f", "csv").out))
    assert json.loads(row["tenants"]) == facts["tenants"]
    table = run("cache", "info", idx).out
    assert " ".join(table.split()).startswith(f"{idx}: 6 entries") and "tenants: (none)" in table


def test_info_names_how_many_it_leaves_out(tmp_path):
    log = write_log(tmp_path / "log.jsonl", [(f"t{at:02d}", "x?", "y", None) for at in range(25)])
    run("cache", "build", log, "-o", tmp_path / "idx")
    facts = json.loads(run("cache", "info", tmp_path / "idx", "--json").out)
    assert len(facts["tenants"]) == 20 and facts["names"]["tenants"] == 25


def test_exports_are_read_by_others(idx, tmp_path):
    for name in ("e.parquet", "e.jsonl", "e.resp"):
        assert run("cache", "export", idx, "-o", tmp_path / name).code == 0
    found = duckdb.execute(
        "SELECT count(*), count(DISTINCT tenant) FROM read_parquet(?)",
        [str(tmp_path / "e.parquet")],
    )
    assert found.fetchone() == (6, 2)
    lines = (tmp_path / "e.jsonl").read_text("utf-8").splitlines()
    assert {json.loads(line)["response"] for line in lines} == {row[2] for row in ROWS}
    assert (tmp_path / "e.resp").read_bytes().startswith(b"*")
    assert "prompt_vector" in (tmp_path / "e.schema.yaml").read_text("utf-8")
    printed = run("cache", "export", idx, "-o", "-", "--to", "jsonl")
    assert printed.out == (tmp_path / "e.jsonl").read_text("utf-8")


@pytest.mark.parametrize("name", ["vectors.npy", "new.jsonl"])
def test_no_output_is_written_into_the_index(idx, tmp_path, name):
    (tmp_path / "link").symlink_to(idx)
    before = {path.name: path.read_bytes() for path in idx.iterdir()}
    for folder in (idx, tmp_path / "link"):
        target = folder / name
        assert run("cache", "export", idx, "-o", target, "--to", "jsonl").failed("in the index")
        assert run("cache", "info", idx, "-o", target).failed("in the index")
        assert run("cache", "query", idx, "x", "-o", target).failed("in the index")
    assert {path.name: path.read_bytes() for path in idx.iterdir()} == before


def test_an_export_that_nobody_knows_is_refused(idx, tmp_path):
    assert run("cache", "export", idx, "-o", tmp_path / "x.foo").failed("--to")
    assert run("cache", "export", idx, "-o", tmp_path / "x", "--to", "foo").failed()
    assert run("cache", "export", idx, "-o", "-").failed("--to")
    assert run("cache", "export", idx, "-o", tmp_path, "--to", "jsonl").failed("directory")


@pytest.mark.parametrize("name", ["manifest.json", "entries.parquet", "vectors.npy"])
def test_a_damaged_index_is_named_by_each_command_and_can_be_rebuilt(idx, log, tmp_path, name):
    (idx / name).write_bytes((idx / name).read_bytes()[:-7])
    for arguments in (
        ("query", idx, "x"),
        ("info", idx),
        ("prune", idx),
        ("add", idx, log),
        ("export", idx, "-o", tmp_path / "x.jsonl"),
    ):
        assert run("cache", *arguments).failed(f"{name}: ", "hint: ")
    assert run("cache", "build", log, "-o", idx).code == 0
    assert run("cache", "info", idx).code == 0


@pytest.mark.parametrize("command", ["query", "info", "prune", "add", "export"])
def test_what_is_no_index_is_named(log, tmp_path, command):
    more = {"query": ["x"], "add": [log], "export": ["-o", tmp_path / "x.jsonl"]}
    for place in (tmp_path / "none", tmp_path, log):
        assert run("cache", command, place, *more.get(command, [])).failed(str(place))


def test_settings_that_no_index_can_remember_leave_the_old_one(idx, log, tmp_path):
    words = "\n".join(f'"word {at}" = ["another word {at}"]' for at in range(30_000))
    recipe = tmp_path / "r.toml"
    recipe.write_text(f'[normalize]\nsteps = ["synonyms"]\n[normalize.synonyms]\n{words}', "utf-8")
    assert run("cache", "build", log, "-o", idx, "-r", recipe).failed("more than an index can")
    assert run("cache", "query", idx, RESET, "--json").code == 0


def test_bad_logs_leave_no_index(tmp_path):
    log, idx = tmp_path / "log.jsonl", tmp_path / "idx"
    good = json.dumps(request(0, "a", "x?", "y"))
    for line in ("{", '{"model": "m", "messages": 3}', '{"model": "m", "messages": [3]}'):
        log.write_text(f"{good}\n{line}\n", "utf-8")
        assert run("cache", "build", log, "-o", idx).failed("log.jsonl:2: ")
    deep = json.dumps(request(1, "a", "x?", "y", tools=["deep"]))
    log.write_text(f"{good}\n" + deep.replace('"deep"', "[" * 800 + "]" * 800), "utf-8")
    assert run("cache", "build", log, "-o", idx).failed("log.jsonl:2: nested too deeply")
    log.write_text("", "utf-8")
    assert run("cache", "build", log, "-o", idx).failed("no requests")
    assert not idx.exists()
    log.write_text(json.dumps(request(0, "a", "x?", None)), "utf-8")
    facts = json.loads(run("cache", "build", log, "-o", idx, "--json").out)
    assert (facts["entries"], facts["left_out"]) == (0, {"no response": 1})
    assert run("cache", "query", idx, "x", "-f", "jsonl").records()[0]["hit"] is False


def test_the_examples_of_the_help_work(log, tmp_path):
    shutil.copy(log, tmp_path / "requests.jsonl")
    shutil.copy(log, tmp_path / "today.jsonl")
    (tmp_path / "questions.jsonl").write_text('{"query": "what is c++"}\n', "utf-8")
    for command in ("build", "query", "add", "info", "prune", "export"):
        text = run("cache", command, "--help").out
        examples = re.findall(rf"^ +(?:Examples: +)?(frugalctl cache {command} .*)$", text, re.M)
        assert examples
        for example in examples:
            words, _, source = example.split(" | ")[0].partition(" < ")
            stdin = (tmp_path / source).read_bytes() if source else None
            result = run_process(*shlex.split(words)[1:], cwd=tmp_path, stdin=stdin)
            assert result.returncode == 0, (example, result.stderr)
