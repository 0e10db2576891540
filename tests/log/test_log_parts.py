import math
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from log_makers import file_of, logs, make_line, read_all, to_rows

from frugalctl.errors import BadLine, UsageError
from frugalctl.log import stream as streaming
from frugalctl.log.check import find_faults
from frugalctl.log.columnar import RowLines
from frugalctl.log.dedupe import HashPile, HashSet, hash_strings
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.schema import SCHEMA, LogBatch
from frugalctl.log.stats import collect_stats
from frugalctl.log.stream import Source, on_disk, read_blocks
from frugalctl.log.times import format_timestamp, parse_timestamp_us

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
hash_batches = st.lists(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 6), max_size=12), max_size=8
)


@given(hash_batches)
def test_hash_set_is_a_set(batches: list[list[int]]):
    seen: set[int] = set()
    ours = HashSet()
    for batch in batches:
        expected: list[bool] = []
        for value in batch:
            expected.append(value in seen)
            seen.add(value)
        assert ours.add(np.array(batch, dtype=np.int64)).tolist() == expected
        assert len(ours) == len(seen)


@given(hash_batches)
def test_hash_pile_counts_and_finds_what_a_list_does(batches: list[list[int]]):
    pile = HashPile()
    for batch in batches:
        pile.add(np.array(batch, dtype=np.int64))
    everything = [value for batch in batches for value in batch]
    assert pile.count_distinct() == len(set(everything))
    repeats = [at for at, value in enumerate(everything) if value in everything[:at]]
    first = repeats[0] if repeats else None
    expected = None if first is None else (first, everything.index(everything[first]))
    assert pile.find_repeated() == expected


def test_equal_strings_hash_alike():
    hashes = hash_strings(["a", "한국어", "a", ""])
    assert hashes[0] == hashes[2]
    assert len(set(hashes.tolist())) == 3


moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))
offsets = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(moments, offsets, st.sampled_from("T "))
def test_rfc_3339_agrees_with_datetime(moment: datetime, offset: timezone, separator: str):
    aware = moment.replace(tzinfo=offset)
    expected = (aware - EPOCH) // timedelta(microseconds=1)
    assert parse_timestamp_us(aware.isoformat(sep=separator)) == expected
    naive = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    assert parse_timestamp_us(moment.isoformat(sep=separator)) == naive
    assert parse_timestamp_us(moment.isoformat() + "Z") == naive


@given(moments, st.integers(0, 999))
def test_digits_beyond_the_microsecond_are_dropped(moment: datetime, rest: int):
    text = f"{moment.replace(microsecond=0).isoformat()}.{moment.microsecond:06d}"
    assert parse_timestamp_us(f"{text}{rest:03d}Z") == parse_timestamp_us(text)


@given(moments)
def test_written_timestamps_are_read_back(moment: datetime):
    time_us = (moment.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
    assert parse_timestamp_us(format_timestamp(time_us)) == time_us


@given(st.integers(0, 99_999_999_999))
def test_epoch_seconds_and_milliseconds(seconds: int):
    expected = seconds * 1_000_000
    assert parse_timestamp_us(seconds) == expected
    assert parse_timestamp_us(float(seconds)) == expected
    if seconds >= 10**8:
        assert parse_timestamp_us(str(seconds)) == expected
        assert parse_timestamp_us(f"{seconds}.5") == expected + 500_000
        assert parse_timestamp_us(seconds * 1000) == expected


@pytest.mark.parametrize(
    "value",
    ["", "soon", "2026-13-01", "12", "0000-01-01", math.nan, -math.inf, 1e18, -1e14, "9" * 16],
)
def test_what_is_no_time_is_refused(value: Any):
    with pytest.raises(ValueError, match="timestamp"):
        parse_timestamp_us(value)


def test_eight_digits_are_a_date():
    assert format_timestamp(parse_timestamp_us("20261002")) == "2026-10-02T00:00:00.000Z"


counts = st.none() | st.integers(-1, 4) | st.sampled_from([2**53, 2**53 + 1, 2**62])
floats = st.none() | st.sampled_from(
    [-1.0, -0.0, 0.5, 1.0, 1.5, 2e9, 2e12, math.inf, -math.inf, math.nan]
)
usages = st.none() | st.fixed_dictionaries(
    {
        name: counts
        for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    }
    | {"cache_write_1h_tokens": st.none(), "reasoning_tokens": counts}
)
measures = {"usage": usages} | {
    name: floats for name in ("latency_ms", "cost_usd", "quality", "confidence")
}
outcome_rows = st.none() | st.fixed_dictionaries(
    {"model": st.none() | st.sampled_from("ab")} | measures
)
rows = st.fixed_dictionaries(
    {
        "ttft_ms": floats,
        "timestamp": st.none() | st.sampled_from([0, -(2**62), 2**62]),
        "prefix_blocks": st.none() | st.lists(st.none() | st.integers(0, 3), max_size=2),
        "outcomes": st.none() | st.lists(outcome_rows, max_size=3),
    }
    | measures
)


LIMITS = {"quality": 1, "cost_usd": 1e9, "latency_ms": 1e12, "ttft_ms": 1e12}


def breaks_a_rule(row: dict[str, Any]) -> bool:
    """The rules of `find_faults`, for one row or one outcome."""
    for name in ("latency_ms", "ttft_ms", "cost_usd", "quality", "confidence"):
        value = row.get(name)
        if value is not None and not math.isfinite(value):
            return True
        if value is not None and name != "confidence" and value < 0:
            return True
        if value is not None and value > LIMITS.get(name, math.inf):
            return True
    usage = row["usage"]
    if usage is not None:
        known = {name: count or 0 for name, count in usage.items()}
        if usage["input_tokens"] is None or not all(0 <= n <= 2**53 for n in known.values()):
            return True
        cached = known["cache_read_tokens"] + known["cache_write_tokens"]
        if cached > known["input_tokens"] or known["reasoning_tokens"] > known["output_tokens"]:
            return True
    if abs(row.get("timestamp") or 0) > 2**60 or None in (row.get("prefix_blocks") or ()):
        return True
    outcomes = row.get("outcomes") or []
    if any(outcome is None or outcome["model"] is None for outcome in outcomes):
        return True
    models = [outcome["model"] for outcome in outcomes]
    return len(set(models)) < len(models) or any(map(breaks_a_rule, outcomes))


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rows, max_size=5), st.integers(0, 2))
def test_find_faults_agrees_with_a_scalar_reference(given_rows: list[dict[str, Any]], cut: int):
    table = pa.Table.from_pylist([dict.fromkeys(SCHEMA.names) | row for row in given_rows], SCHEMA)
    batch = pa.RecordBatch.from_struct_array(table.to_struct_array().combine_chunks())[cut:]
    faults = find_faults(LogBatch(batch, "log", range(batch.num_rows)))
    assert all(faults.values())
    broken = [at for at, row in enumerate(given_rows[cut:]) if breaks_a_rule(row)]
    assert sorted(faults) == broken


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(logs(with_usage=False))
def test_stats_agree_with_a_recount(log: tuple[list[dict[str, Any]], bytes]):
    with file_of(log[1]) as path:
        batches = list(read_log([Source(str(path), "log")], ReadOptions()))
    found = [row for batch in batches for row in to_rows(batch.requests)]
    stats = collect_stats(batches)
    assert stats.requests == len(log[0])
    assert stats.sessions == len({row["session"] for row in found} - {None})
    times = [row["timestamp"] for row in found if row["timestamp"] is not None]
    assert stats.first == (format_timestamp(min(times)) if times else None)
    assert stats.last == (format_timestamp(max(times)) if times else None)
    for name, count in stats.fields.items():
        assert count == sum(row[name] is not None for row in found)
    outcomes = [outcome for row in found for outcome in row["outcomes"] or ()]
    assert stats.outcomes == Counter(outcome["model"] for outcome in outcomes)
    for model, counted in stats.models.items():
        known = None if model == "(no model)" else model
        mine = [row for row in found if row["model"] == known and (known or row["usage"])]
        usages = [row["usage"] for row in mine if row["usage"]]
        assert counted["requests"] == len(mine)
        inputs = ("fresh_input", "cache_read", "cache_write", "cache_write_1h")
        assert sum(counted[key] for key in inputs) == sum(u["input_tokens"] for u in usages)
        output = sum(u["output_tokens"] or 0 for u in usages)
        assert counted["output"] + counted["reasoning"] == output
    assert sum(entry["requests"] for entry in stats.models.values()) == sum(
        bool(row["model"] is not None or row["usage"]) for row in found
    )


class Dribble(BytesIO):
    """A stream that gives back fewer bytes than it is asked for."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        super().__init__(data)
        self._sizes = iter(sizes)

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(next(self._sizes, size))


@given(
    st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"", b"\xef\xbb\xbf"])).map(b"".join),
    st.lists(st.integers(1, 4)),
)
def test_blocks_join_to_the_input(data: bytes, sizes: list[int]):
    blocks = list(read_blocks(Dribble(data, sizes), "log"))
    assert b"".join(block.data for block in blocks) == data.removeprefix(b"\xef\xbb\xbf")
    line = 1
    for block in blocks:
        assert block.first_line == line
        line += block.data.count(b"\n")
    assert all(block.data.endswith(b"\n") for block in blocks[:-1])


def test_a_line_beyond_the_limit_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(streaming, "MAX_LINE_BYTES", 100)
    monkeypatch.setattr(streaming, "BLOCK_BYTES", 16)
    blocks = read_blocks(BytesIO(b"short\n\nlines\n" + b"x" * 500 + b"\n"), "log")
    with pytest.raises(BadLine, match="longer than") as raised:
        list(blocks)
    assert (raised.value.source, raised.value.line) == ("log", 4)


@given(st.lists(st.sampled_from([b"", b" \t\r", b"x"]), max_size=30), st.integers(0, 5))
def test_row_lines_are_those_that_are_not_blank(lines: list[bytes], first_row: int):
    filled = [number for number, line in enumerate(lines, start=1) if line == b"x"]
    assume(len(filled) >= first_row)
    with file_of(b"\n".join(lines)) as path:
        found = RowLines(Source(str(path), "log"), first_row, len(filled) - first_row)
        assert [found[row] for row in range(len(found))] == filled[first_row:]


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd")
def test_stdin_and_pipes_can_be_read_more_than_once():
    code = (
        "import sys; from frugalctl.log.stream import on_disk, hash_source\n"
        "with on_disk(sys.argv[1:]) as sources:\n"
        "    for source in [*sources, *sources]:\n"
        "        print(source.name, len(open(source.path, 'rb').read()))\n"
    )
    data = make_line(1) * 500
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    pipe = f"/dev/fd/{reading}"
    done = subprocess.run(
        [sys.executable, "-c", code, "-", pipe], input=b"abc", stdout=subprocess.PIPE,
        pass_fds=[reading], timeout=60, check=True,
    )  # fmt: skip
    os.close(reading)
    assert done.stdout.decode() == f"<stdin> 3\n{pipe} {len(data)}\n" * 2
    with pytest.raises(UsageError, match="twice"), on_disk(["-", "-"]):
        pass


def test_the_hash_of_the_input_is_that_of_its_bytes(tmp_path: Path):
    import xxhash

    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for number, path in enumerate(paths):
        path.write_bytes(make_line(number))
    expected = xxhash.xxh3_128(b"".join(path.read_bytes() for path in paths)).hexdigest()
    for mode in ("columnar", "lines"):
        assert read_all(*paths, mode=mode).notes.input_xxh3 == expected
