import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from log_makers import JSON_FIELDS, MODES, file_of, logs, make_line, read_all

from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import Source
from frugalctl.log.write import write_log

quick = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
Log = tuple[list[dict[str, Any]], bytes]


@quick
@given(logs(loose=False))
def test_plain_logs_are_read_alike_by_columns_and_by_lines(log: Log):
    with file_of(log[1]) as path:
        by_lines, by_columns = read_all(path), read_all(path, mode="columnar")
    assert by_lines.error is None
    assert by_columns.rows == by_lines.rows
    assert by_columns.places == by_lines.places
    assert len(by_lines.rows) == len(log[0])
    assert by_columns.notes.input_xxh3 == by_lines.notes.input_xxh3
    assert by_columns.notes.formats == by_lines.notes.formats


@quick
@given(logs(with_usage=False))
def test_odd_logs_are_read_alike_by_columns_and_by_lines(log: Log):
    with file_of(log[1]) as path:
        for model in (None, "stand-in"):
            by_lines = read_all(path, model=model, on_error="skip")
            by_columns = read_all(path, mode="columnar", model=model, on_error="skip")
            assert by_columns.rows == by_lines.rows
            assert by_columns.places == by_lines.places
            assert by_columns.bad == by_lines.bad


@quick
@given(logs(with_usage=False))
def test_rows_hold_what_the_records_say(log: Log):
    records, data = log
    with file_of(data) as path:
        found = read_all(path, without=frozenset())
    assert found.error is None
    for record, row in zip(records, found.rows, strict=True):
        assert row["id"] == record.get("id")
        for name in ("session", "task", "response", "finish_reason", "reference", "region"):
            value = record.get(name)
            assert row[name] == (value if value is None else str(value))
        for name in ("latency_ms", "ttft_ms", "cost_usd", "quality", "confidence"):
            value = record.get(name)
            assert row[name] == (value if value is None else float(value))
        if record["usage"] is not None:
            for name, value in record["usage"].items():
                assert row["usage"][name] == (value if value is None else int(float(value)))
        assert (row["outcomes"] is None) == (record.get("outcomes") is None)
        for outcome, given_outcome in zip(
            row["outcomes"] or (), record.get("outcomes") or (), strict=True
        ):
            assert outcome["model"] == given_outcome["model"]
            for name in ("response", "finish_reason"):
                assert outcome[name] == given_outcome.get(name)
        assert row["prefix_blocks"] == record.get("prefix_blocks")
        for name in JSON_FIELDS:
            text = row[name]
            assert (None if text is None else json.loads(text)) == record.get(name)


@settings(quick, max_examples=25)
@given(logs(with_usage=False))
def test_nothing_is_lost_from_format_to_format(log: Log):
    with file_of(log[1]) as path:
        everything = frozenset[str]()
        first = read_all(path, without=everything)
        source = path
        for name in ("a.parquet", "b.jsonl", "c.jsonl.gz", "d.parquet", "e.jsonl.zst", "f.jsonl"):
            target = path.with_name(name)
            batches = read_log([Source(str(source), source.name)], ReadOptions())
            assert write_log(batches, str(target), name) == len(first.rows)
            source = target
        last = read_all(source, without=everything)
        assert last.rows == first.rows
        for name in ("a.parquet", "c.jsonl.gz", "e.jsonl.zst"):
            for mode in MODES:
                again = read_all(path.with_name(name), mode=mode)
                assert again.error is None
                assert again.rows == [_without_json(row) for row in first.rows]


def _without_json(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in JSON_FIELDS}


ROWS = 7000
NANOSECONDS = "2026-10-02T09:15:04.123456789Z"
BREAKS = {
    "foreign": b'{"model": "m1", "choices": [{"message": {"role": "assistant", "content": "hi"}}],'
    b' "usage": {"prompt_tokens": 3, "completion_tokens": 4}}\n',
    "usage to count": b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "a b"}],'
    b' "response": "c"}\n',
    "number for text": make_line(-5, usage={"input_tokens": 1}, session=17.5),
    "count as text": make_line(-5, usage={"input_tokens": "1e3"}),
    "nanoseconds": make_line(-5, usage={"input_tokens": 1}, timestamp=NANOSECONDS),
    "unknown field": make_line(-5, usage={"input_tokens": 1}, extra=[1]),
}
BAD = {
    "cut": b'{"id": "x", "usage": {"input_tok\n',
    "not UTF-8": b'{"id": "x", "usage": {"input_tokens": 1}, "tools": ["\xff"]}\n',
    "truth": make_line(-5, usage={"input_tokens": True}),
    "fraction": make_line(-5, usage={"input_tokens": 1.5}),
    "negative": make_line(-5, usage={"input_tokens": -1}),
    "object for text": make_line(-5, usage={"input_tokens": 1}, session={"a": 1}),
}


@pytest.mark.parametrize("at", [0, 600, 5000, ROWS])
@pytest.mark.parametrize("name", BREAKS)
def test_every_row_once_where_a_file_turns(name: str, at: int, tmp_path: Path):
    path = _write_turning(tmp_path, BREAKS[name], at)
    found = read_all(path, mode="columnar", on_error="fail")
    assert found.error is None
    assert found.lines == [*range(2, ROWS + 3)]
    plain = [row for row in found.rows if row["id"] not in (None, "r-5")]
    assert [row["usage"]["input_tokens"] for row in plain] == [*range(1, ROWS + 1)]
    assert found.rows == read_all(path).rows


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("at", [0, 600, 5000, ROWS])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_in_a_large_file(name: str, at: int, on_error: str, tmp_path: Path):
    path = _write_turning(tmp_path, BAD[name], at)
    found = read_all(path, mode="columnar", on_error=on_error)
    if on_error == "fail":
        assert found.error is not None
        assert found.error.where == f"{path.name}:{at + 2}"
        assert found.lines == [*range(2, len(found.lines) + 2)]
        return
    assert found.bad == [(path.name, at + 2)]
    assert found.lines == [line for line in range(2, ROWS + 3) if line != at + 2]
    assert [row["usage"]["input_tokens"] for row in found.rows] == [*range(1, ROWS + 1)]


def _write_turning(folder: Path, odd: bytes, at: int) -> Path:
    """A file that begins with a blank line and has an odd line after `at` plain ones."""
    lines = [make_line(number) for number in range(1, ROWS + 1)]
    path = folder / "turns.jsonl"
    path.write_bytes(b"\n" + b"".join([*lines[:at], odd, *lines[at:]]))
    return path


def test_the_columnar_reader_reads_plain_files_by_itself(tmp_path: Path):
    lines = [
        make_line(
            number,
            session=f"세션 {number}",
            timestamp=f"2026-10-02T09:15:04.{number:03d}+09:00",
            latency_ms=number / 7,
            outcomes=[{"model": "m2", "usage": {"input_tokens": 3}, "quality": 1.0}],
        )
        for number in range(300)
    ]
    path = tmp_path / "plain.jsonl"
    path.write_bytes(b"".join(lines))
    for packed in (path, _gzip(path)):
        found = read_all(packed, mode="columnar")
        assert (found.columnar_rows, found.fell_back) == (300, False)
        assert found.rows == read_all(packed).rows


@pytest.mark.parametrize(
    "stamps",
    [
        [1_760_000_000, 1_760_000_000.5, 1_760_000_000_123],
        [NANOSECONDS, "2026-10-02T09:15:04Z", "1969-12-31T23:59:59.999999999Z"],
    ],
    ids=["epoch", "nanoseconds"],
)
def test_epochs_and_nanoseconds_stay_columnar(stamps: list[Any], tmp_path: Path):
    path = tmp_path / "stamps.jsonl"
    path.write_bytes(b"".join(make_line(n, timestamp=stamp) for n, stamp in enumerate(stamps)))
    found = read_all(path, mode="columnar")
    assert (found.columnar_rows, found.fell_back) == (3, False)
    assert found.rows == read_all(path).rows


def _gzip(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


NAMES = ["[1].jsonl", "*.jsonl", 'it\'s "here".jsonl', "a b?.jsonl", "{x,y}.jsonl", "로그.jsonl"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_odd_file_names(name: str, mode: str, tmp_path: Path):
    (tmp_path / "1.jsonl").write_bytes(make_line(99))
    (tmp_path / "other.jsonl").write_bytes(make_line(98))
    (tmp_path / name).write_bytes(make_line(1) + make_line(2))
    found = read_all(tmp_path / name, mode=mode)
    assert [row["id"] for row in found.rows] == ["r1", "r2"]
    assert found.places == [(name, 1), (name, 2)]
    assert found.columnar_rows == (2 if mode == "columnar" else 0)


@pytest.mark.parametrize("mode", MODES)
def test_columns_of_parquet_keep_their_meaning(mode: str, tmp_path: Path):
    path = tmp_path / "log.parquet"
    nanoseconds = pa.array([1_760_000_000_123_456_789], pa.timestamp("ns"))
    pq.write_table(
        pa.table(
            {
                "id": pa.array(["a"]).dictionary_encode(),
                "timestamp": nanoseconds,
                "usage": [{"input_tokens": 5.0, "output_tokens": 2.0}],
                "extra": [1],
            }
        ),
        path,
    )
    found = read_all(path, mode=mode)
    assert found.error is None
    assert found.rows[0]["timestamp"] == 1_760_000_000_123_456
    assert found.rows[0]["usage"]["input_tokens"] == 5
    assert found.rows[0]["usage"]["cache_read_tokens"] is None
    assert found.notes.unknown_fields == {"extra": "log.parquet"}
