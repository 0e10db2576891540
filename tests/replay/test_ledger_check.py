"""Ledgers with our metadata whose columns are not what we write."""

import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from replay_cases import options_of, write_jsonl

from frugalctl.errors import InputError
from frugalctl.levers.cascade import CascadePolicy
from frugalctl.replay.ledger import open_ledger, writing_ledger
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import replaying

CASCADE = Recipe("both", CascadePolicy(("a", "b"), (0.5,)))


@pytest.fixture
def ledger(tmp_path):
    outcomes = [{"model": name, "usage": {"input_tokens": 9}, "cost_usd": 0.1} for name in "ab"]
    rows = [{"outcomes": outcomes, "timestamp": 1_790_000_000 + at} for at in range(3)]
    log = write_jsonl(tmp_path / "log.jsonl", [*rows, {"outcomes": outcomes[:1]}])
    path = tmp_path / "l.parquet"
    options = options_of(CASCADE, baseline="a", source="log")
    with replaying([log], options) as run, writing_ledger(str(path)) as writer:
        list(writer.keep(run.batches))
        writer.finish(run.finish())
    return path


def count_rows(path):
    return sum(map(len, open_ledger(str(path))[1]))


def write_again(path, table, packed=None):
    """Write a ledger with another table, or with other metadata of ours."""
    kept = pq.ParquetFile(path).metadata.metadata[b"frugalctl"]
    pq.write_table(table.replace_schema_metadata({"frugalctl": packed or kept}), path)


def with_column(path, name, column):
    table = pq.read_table(path)
    at = table.schema.get_field_index(name)
    write_again(path, table.set_column(at, name, column))


def filled(path, name, value):
    """A column of one value, of its own type where that holds it."""
    kind = pq.read_schema(path).field(name).type
    try:
        return pa.array([value] * 4, kind)
    except (TypeError, pa.ArrowException):
        return pa.array([value] * 4)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("covered", None, "covered has nulls"),
        ("covered", "yes", "covered is of type string, not bool"),
        ("usage_estimated", None, "usage_estimated has nulls"),
        ("usage_estimated", "x", "usage_estimated is of type string"),
        ("timestamp", 2**63 - 1, "timestamp is not from"),
        ("timestamp", "2026-10-01", "timestamp is of type string, not timestamp"),
        ("calls", None, "calls has nulls"),
        ("calls", 1.5, "calls is of type double"),
        ("calls", [{"model": "a", "cost_usd": math.inf}], "calls.cost_usd is not from 0 to 1e"),
        ("calls", [{"model": "a", "cost_usd": None}], "calls.cost_usd is unknown where all"),
        ("baseline_cost_usd", None, "baseline_cost_usd is unknown where all has a price"),
        ("baseline_cost_usd", math.nan, "baseline_cost_usd is unknown where all has a price"),
        ("recipe_cost_usd", math.inf, "recipe_cost_usd is not from 0 to 1e"),
        ("recipe_cost_usd", -1.0, "recipe_cost_usd is not from 0 to 1e"),
        ("after_cascade_usd", -math.inf, "after_cascade_usd is not from"),
        ("recipe_output_tokens", math.nan, "recipe_output_tokens is of type double, not int64"),
        ("recipe_output_tokens", -1, "recipe_output_tokens is not from 0"),
        ("baseline_output_usd", math.inf, "baseline_output_usd is not from"),
        ("baseline_latency_ms", math.inf, "baseline_latency_ms is not from"),
        ("baseline_quality", 1.5, "baseline_quality is not from 0 to 1"),
        ("recipe_model", 7, "recipe_model is of type int64, not string"),
    ],
)
def test_a_column_that_we_would_not_write(ledger, name, value, told):
    assert count_rows(ledger) == 4
    with_column(ledger, name, filled(ledger, name, value))
    with pytest.raises(InputError, match=f"a damaged ledger: {told}") as caught:
        count_rows(ledger)
    assert caught.value.where == str(ledger)


@pytest.mark.parametrize("name", ["baseline_quality", "recipe_latency_ms", "recipe_output_usd"])
@pytest.mark.parametrize("value", [None, math.nan])
def test_unknown_is_null_or_nan(ledger, name, value):
    with_column(ledger, name, filled(ledger, name, value))
    assert count_rows(ledger) == 4


def test_a_column_that_is_missing_or_there_twice(ledger):
    table = pq.read_table(ledger)
    for columns, count in (([*table.column_names, "covered"], 2), (["id"], 0)):
        write_again(ledger, table.select(columns))
        with pytest.raises(InputError, match=f"a damaged ledger: .* is there {count} times"):
            count_rows(ledger)


@pytest.mark.parametrize("packed", ['{"a":' * 5000, '{"schema_version":' + "9" * 5000 + "}"])
def test_metadata_that_is_too_deep_or_too_long(ledger, packed):
    write_again(ledger, pq.read_table(ledger), packed)
    with pytest.raises(InputError, match="a damaged ledger: "):
        open_ledger(str(ledger))
