"""`compress exemplars` and `compress batch`, called as the command line calls them."""

import csv
import io
import json

import pytest
import typer

from frugalctl.cli.compress_batch import batch
from frugalctl.cli.compress_exemplars import exemplars
from frugalctl.errors import EXIT_USAGE, FrugalError

app = typer.Typer(pretty_exceptions_enable=False)
app.command("exemplars")(exemplars)
app.command("batch")(batch)

POOL = [
    {"id": f"e{at}", "input": f"{verb} my {thing}", "output": thing}
    for at, (verb, thing) in enumerate(
        (verb, thing)
        for thing in ("invoice", "parcel", "password")
        for verb in ("where is", "lost")
    )
]
ITEMS = [{"id": f"m{at}", "input": f"my parcel number {at} is late"} for at in range(10)]


def write(path, records):
    path.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
    return str(path)


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    write(tmp_path / "pool.jsonl", POOL)
    write(tmp_path / "items.jsonl", ITEMS)
    (tmp_path / "prompt.txt").write_text("Say what the message is about, in one word.\n", "utf-8")
    return tmp_path


@pytest.fixture
def run(folder, capfdbinary):
    def call(*words):
        app([str(word) for word in words], standalone_mode=False)
        return capfdbinary.readouterr().out.decode()

    return call


def fail(run, folder, *words, says):
    before = sorted(folder.iterdir())
    with pytest.raises(FrugalError, match=says) as error:
        run(*words)
    assert error.value.exit_code == EXIT_USAGE
    assert sorted(folder.iterdir()) == before


def test_one_set(run, folder):
    printed = run("exemplars", "pool.jsonl", "--k", 3, "-o", "chosen.jsonl")
    chosen = read(folder / "chosen.jsonl")
    assert len({one["id"] for one in chosen}) == 3
    assert all(one in POOL for one in chosen)
    assert f"* is what was chosen: {', '.join(one['id'] for one in chosen)}." in printed
    assert "Quality is not known" in printed
    again = run("exemplars", "pool.jsonl", "--k", 3, "-o", "chosen.txt")
    assert again == printed
    text = (folder / "chosen.txt").read_text("utf-8")
    first = chosen[0]
    assert text.startswith(f"Input: {first['input']}\nOutput: {first['output']}\n\n")
    assert text.count("Input: ") == 3


def test_the_report_in_every_format(run, folder):
    report = json.loads(run("exemplars", "pool.jsonl", "--k", 2, "--json"))
    (chosen,) = [one for one in report["selections"] if one["is_chosen"]]
    assert (chosen["exemplars"], len(report["exemplars"]), report["quality"]) == (2, 2, None)
    assert chosen["cached_usd"] < chosen["cost_usd"]
    assert run("exemplars", "pool.jsonl", "--k", 2, "--report", "r.csv") == ""
    rows = list(csv.DictReader(io.StringIO((folder / "r.csv").read_text("utf-8"))))
    assert [row["name"] for row in rows] == [one["name"] for one in report["selections"]]
    assert run("batch", "items.jsonl", "--prefix", "prompt.txt", "--format", "markdown").startswith(
        "### 10 inputs"
    )
    assert run("exemplars", "pool.jsonl", "--k", 2, "-o", "-").count("\n") == 2


def test_what_a_log_asks_is_covered(run, folder):
    asked = [{"role": "user", "content": "lost my parcel"}]
    log = [{"id": str(at), "model": "gpt-5.4-mini", "messages": asked} for at in range(5)]
    write(folder / "log.jsonl", log)
    report = json.loads(run("exemplars", "pool.jsonl", "--log", "log.jsonl", "--k", 1, "--json"))
    assert report["exemplars"] == ["e3"]
    assert report["questions"] == "1 questions of 5 requests"
    assert any("worthless" in one for one in report["notes"])


def test_some_for_each_question(run, folder):
    queries = [{"id": "q", "question": "my password is gone"}, {"id": 2, "text": "parcel, where?"}]
    write(folder / "q.jsonl", queries)
    words = ("exemplars", "pool.jsonl", "--per-query", "q.jsonl", "--diversity", 0)
    report = json.loads(run(*words, "--max-tokens", 30, "-o", "out.jsonl", "--json"))
    found = read(folder / "out.jsonl")
    assert [one["id"] for one in found] == ["q", "2"]
    assert found[0]["exemplars"][-1] in ("e4", "e5")
    assert all(0 < one["tokens"] <= 30 for one in found)
    assert found[0]["text"].rstrip().endswith("Output: password")
    (chosen,) = [one for one in report["selections"] if one["is_chosen"]]
    assert chosen["most_tokens"] == max(one["tokens"] for one in found)
    assert chosen["cached_usd"] is None


def test_chats_stay_chats(run, folder):
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    write(folder / "chats.jsonl", [{"id": "c", "messages": chat}])
    write(folder / "q.jsonl", [{"text": "hi there"}])
    run("exemplars", "chats.jsonl", "--per-query", "q.jsonl", "-o", "out.jsonl")
    assert read(folder / "out.jsonl")[0]["messages"] == chat


def test_quality_by_outcomes(run, folder):
    write(
        folder / "tried.jsonl",
        [
            {"id": at, "exemplars": size, "quality": 1.0, "cost_usd": 0.001 * size}
            for size in (4, 2)
            for at in range(100)
        ],
    )
    printed = run("exemplars", "pool.jsonl", "--outcomes", "tried.jsonl", "--max-quality-loss", 0.1)
    assert "Chosen: 2 exemplars" in printed
    assert "Quality is not known" not in printed


def test_batches_and_back(run, folder):
    printed = run("batch", "items.jsonl", "--prefix", "prompt.txt", "--k", 4, "-o", "b.jsonl")
    assert "72.8 %" in printed
    batches = read(folder / "b.jsonl")
    assert [len(one["items"]) for one in batches] == [4, 4, 2]
    assert [item for one in batches for item in one["items"]] == ITEMS
    answers = [
        {
            "id": one["id"],
            "response": json.dumps({item["id"]: "late" for item in reversed(one["items"])}),
        }
        for one in batches
    ]
    write(folder / "a.jsonl", answers)
    wanted = [{"id": item["id"], "response": "late"} for item in ITEMS]
    lines = run("batch", "b.jsonl", "--split", "a.jsonl").splitlines()
    assert [json.loads(line) for line in lines] == wanted
    run("batch", "items.jsonl", "--k", 4, "--split", "a.jsonl", "-o", "done.jsonl")
    assert read(folder / "done.jsonl") == wanted


def test_what_is_missing_is_batched_again(run, folder, capfdbinary):
    run("batch", "items.jsonl", "--prefix", "prompt.txt", "--k", 5, "-o", "b.jsonl")
    first = read(folder / "b.jsonl")[0]["id"]
    write(folder / "a.jsonl", [{"id": first, "response": '{"m0": "x", "m1": "y", "m9": "?"}'}])
    words = ("batch", "b.jsonl", "--split", "a.jsonl", "-o", "done.jsonl")
    fail(run, folder, *words, says="8 of 10 inputs have no answer")
    app([*words, "--todo", "todo.jsonl"], standalone_mode=False)
    said = capfdbinary.readouterr().err.decode()
    assert f"{first}: missing: m2, m3, m4" in said
    assert "unknown ids, left out: m9" in said
    assert "no answer for the batch: m5, m6, m7, m8, m9" in said
    assert read(folder / "done.jsonl") == [
        {"id": "m0", "response": "x"},
        {"id": "m1", "response": "y"},
    ]
    assert read(folder / "todo.jsonl") == ITEMS[2:]
    run("batch", "todo.jsonl", "--prefix", "prompt.txt", "-o", "again.jsonl")
    assert read(folder / "again.jsonl")[0]["items"] == ITEMS[2:]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("exemplars", "none.jsonl"), "none.jsonl: no such file"),
        (("exemplars", "."), "is a directory"),
        (("exemplars", "prompt.txt"), "prompt.txt:1: is not JSON"),
        (("exemplars", "items.jsonl"), "items.jsonl:1: output is missing"),
        (("exemplars", "empty"), "empty: has no exemplars"),
        (("exemplars", "pool.jsonl", "--max-tokens", "3", "-o", "x"), "fits in 3 tokens"),
        (("exemplars", "pool.jsonl", "--template", "{input}"), "lacks {output}"),
        (("exemplars", "pool.jsonl", "--embedder", "nothing"), "no embedder"),
        (("exemplars", "pool.jsonl", "-o", "pool.jsonl"), "both"),
        (("exemplars", "pool.jsonl", "-o", "x", "--report", "x"), "written twice"),
        (("exemplars", "pool.jsonl", "--log", "a", "--per-query", "b"), "give one"),
        (("exemplars", "pool.jsonl", "--as-of", "soon"), "not a date"),
        (("exemplars", "pool.jsonl", "--outcomes", "items.jsonl"), "items.jsonl:1: exemplars"),
        (("batch", "items.jsonl"), "--prefix is missing"),
        (("batch", "items.jsonl", "--prefix", "empty"), "nothing to share"),
        (("batch", "items.jsonl", "--prefix", "binary"), "binary:2: is binary"),
        (("batch", "items.jsonl", "--prefix", "prompt.txt", "--todo", "x"), "goes with --split"),
        (("batch", "items.jsonl", "--split", "pool.jsonl"), "pool.jsonl:1: needs the id"),
        (("batch", "items.jsonl", "--split", "other.jsonl"), "no answer to any"),
        (("batch", "items.jsonl", "--split", "other.jsonl", "--json"), "makes no report"),
        (("batch", "prompt.txt", "--split", "other.jsonl"), "prompt.txt:1: is not JSON"),
        (("batch", "-", "--prefix", "-"), "given twice"),
    ],
)
def test_bad_input(run, folder, words, says):
    (folder / "empty").write_bytes(b"\n")
    (folder / "binary").write_bytes(b"a\nb\0")
    write(folder / "other.jsonl", [{"id": "b1-00000000", "response": "{}"}])
    fail(run, folder, *words, says=says)


def test_a_model_without_a_price_keeps_its_tokens(run):
    printed = run("batch", "items.jsonl", "--prefix", "prompt.txt", "--model", "nobody-knows")
    assert "No cost: nobody-knows: unknown model" in printed
    assert "unknown" in printed
