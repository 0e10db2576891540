import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from replay_cases import logs, options_of, prices, read_batches, recipes, write_jsonl

from frugalctl.errors import InputError, OutputError
from frugalctl.levers.cascade import CascadePolicy
from frugalctl.prices import load_book
from frugalctl.replay.answers import collect_answers
from frugalctl.replay.engine import Setup, replay_batch
from frugalctl.replay.ledger import LedgerMeta, is_ledger, open_ledger, writing_ledger
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import replaying
from frugalctl.report.encode import render_json
from frugalctl.report.summary import summarise

ROWS = [
    {
        "id": f"r{at}",
        "model": "gpt-4o-mini",
        "usage": {"input_tokens": 1000 + at, "output_tokens": 5},
        "quality": at % 2,
        "session": f"s{at % 4}",
    }
    for at in range(9)
]


def keep(log, ledger, options):
    """Replay a log into a ledger; the report as JSON."""
    with replaying([log], options) as run, writing_ledger(ledger) as writer:

        def pass_on(batch):
            writer.write(batch)
            return batch

        def finish():
            meta = run.finish()
            writer.finish(meta)
            return meta

        return render_json(summarise(map(pass_on, run.batches), finish))


def print_again(ledger):
    meta, batches = open_ledger(ledger)
    return render_json(summarise(batches, lambda: meta))


META = LedgerMeta("gpt-4o", "r", (), {"x": [1.5]}, "book", "b", "2026-10-01", "0" * 32, 3)


@settings(deadline=None, max_examples=60)
@given(logs, st.none() | recipes(), prices)
def test_a_ledger_reports_the_same_to_the_byte(tmp_path_factory, rows, recipe, source):
    folder = tmp_path_factory.mktemp("ledger")
    log, ledger = write_jsonl(folder / "log.jsonl", rows), str(folder / "run.parquet")
    setup = Setup(load_book(), recipe or Recipe(), "gpt-4o", prices=source)
    found = [
        replay_batch(batch, collect_answers(batch, setup.book, source, None), setup)
        for batch in read_batches(log)
    ]
    with writing_ledger(ledger) as writer:
        for batch in found:
            writer.write(batch)
        writer.finish(META)
    assert print_again(ledger) == render_json(summarise(found, lambda: META))
    assert open_ledger(ledger)[0] == META
    assert is_ledger(ledger) and not is_ledger(log)


@pytest.mark.parametrize("recipe", [Recipe(), Recipe("both", CascadePolicy(("a", "b"), (0.5,)))])
def test_a_whole_replay_is_kept(tmp_path, recipe):
    usage = {"input_tokens": 9}
    outcomes = [{"model": name, "usage": usage, "cost_usd": 0.1} for name in ("a", "b")]
    log = write_jsonl(tmp_path / "log.jsonl", [{"outcomes": outcomes, "task": "t"}] * 5)
    ledger = str(tmp_path / "run.parquet")
    kept = keep(log, ledger, options_of(recipe, baseline="a", source="log"))
    assert print_again(ledger) == kept
    assert json.loads(kept)["recipe"]["cost_usd"] == (1.0 if recipe.levers else 0.5)


def test_rows_that_are_not_covered_hold_nothing_of_their_neighbours(tmp_path):
    rows = [{"outcomes": [{"model": name, "usage": {"input_tokens": 1}}]} for name in ("a", "b")]
    log = write_jsonl(tmp_path / "log.jsonl", rows)
    keep(log, str(tmp_path / "run.parquet"), options_of(Recipe(), baseline="a"))
    table = pq.read_table(tmp_path / "run.parquet")
    assert table["covered"].to_pylist() == [True, False]
    assert table["baseline_model"].to_pylist() == ["a", None]
    assert table["baseline_fresh_input_tokens"].to_pylist() == [1, None]
    assert table["calls"].to_pylist() == [[{"model": "a", "cost_usd": None}], []]


def test_an_interrupt_leaves_the_old_ledger_and_nothing_else(tmp_path):
    log, ledger = write_jsonl(tmp_path / "log.jsonl", ROWS), tmp_path / "run.parquet"
    keep(log, str(ledger), options_of(Recipe(), baseline=None))
    before = ledger.read_bytes()
    with pytest.raises(KeyboardInterrupt), writing_ledger(str(ledger)) as writer:
        with replaying([log], options_of(Recipe(), baseline=None)) as run:
            writer.write(next(iter(run.batches)))
        raise KeyboardInterrupt
    assert ledger.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.jsonl", "run.parquet"]


def test_an_unwritable_ledger_fails_before_the_work(tmp_path):
    with (
        pytest.raises(OutputError, match="No such file"),
        writing_ledger(str(tmp_path / "no" / "run.parquet")),
    ):
        raise AssertionError("the block must not start")


def metadata_of(ledger):
    return pq.ParquetFile(ledger).metadata.metadata[b"frugalctl"]


def rewrite(ledger, packed, without=()):
    """Write a ledger again with other metadata, or without some columns."""
    table = pq.read_table(ledger).drop_columns(list(without))
    pq.write_table(table.replace_schema_metadata({"frugalctl": packed}), ledger)


@pytest.fixture
def ledger(tmp_path):
    log, path = write_jsonl(tmp_path / "log.jsonl", ROWS), str(tmp_path / "run.parquet")
    keep(log, path, options_of(Recipe(), baseline=None))
    return path


def test_a_newer_ledger_is_refused_but_known_for_one(ledger):
    body = json.loads(metadata_of(ledger)) | {"schema_version": 99}
    rewrite(ledger, json.dumps(body))
    with pytest.raises(InputError, match="ledger of schema 99; this frugalctl reads 1"):
        open_ledger(ledger)
    assert is_ledger(ledger)


@pytest.mark.parametrize("packed", [b"{", b"[]", b'{"schema_version": 1}'])
def test_damaged_metadata(ledger, packed):
    rewrite(ledger, packed)
    with pytest.raises(InputError, match="damaged ledger"):
        open_ledger(ledger)


def test_a_ledger_that_lacks_a_column(ledger):
    rewrite(ledger, metadata_of(ledger), without=["covered"])
    with pytest.raises(InputError, match="damaged ledger.*covered"):
        print_again(ledger)


def test_damaged_pages(ledger):
    with Path(ledger).open("r+b") as file:
        file.seek(4)
        file.write(b"\xff" * 400)
    with pytest.raises(InputError, match="damaged ledger"):
        print_again(ledger)


def test_what_is_no_ledger(tmp_path):
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(InputError, match="is not a frugalctl ledger") as caught:
        open_ledger(str(other))
    assert "frugalctl replay" in caught.value.hint
    text = tmp_path / "log.jsonl"
    text.write_text("{}\n" * 9)
    for path, message in ((text, "is not a ledger"), (tmp_path / "none", "no such file")):
        with pytest.raises(InputError, match=message):
            open_ledger(str(path))
        assert not is_ledger(str(path))
    with pytest.raises(InputError):
        open_ledger(str(tmp_path))
