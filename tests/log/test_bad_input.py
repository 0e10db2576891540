import gzip
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from log_makers import MODES, make_line, read_all

from frugalctl.errors import BadLine, InputError


def usage(value: str) -> bytes:
    return b'{"id": "x", "model": "m", "usage": {"input_tokens": %s}}\n' % value.encode()


def with_field(name: str, value: str | bytes) -> bytes:
    text = value if isinstance(value, bytes) else value.encode()
    return b'{"id": "x", "usage": {"input_tokens": 9}, "%s": %s}\n' % (name.encode(), text)


def with_usage(**counts: int) -> bytes:
    return make_line(0, usage=counts)


TWICE = [{"model": "m", "usage": {"input_tokens": 1}}] * 2
DEEP = "[" * 100_000 + "]" * 100_000

BAD_LINES = {
    "truncated": (b'{"id": "x", "usage": {"input_\n', "not JSON"),
    "cut string": (b'{"id": "x\n', "not JSON"),
    "more than one value": (usage("1").rstrip() + b" 12\n", "not JSON"),
    "two on a line": (usage("1").rstrip() * 2 + b"\n", "not JSON"),
    "comment": (with_field("task", "/* no */ 1"), "not JSON"),
    "control character": (with_field("task", '"\x01"'), "not JSON"),
    "NUL bytes": (b"\x00\x00\x00\n", "not JSON"),
    "not UTF-8": (with_field("session", b'"\xff"'), "not UTF-8"),
    "not UTF-8, unread": (with_field("messages", b'["\xff"]'), "not UTF-8"),
    "not UTF-8, unknown": (with_field("extra", b'"\xc3"'), "not UTF-8"),
    "lone surrogate": (with_field("session", r'"\ud800"'), "unpaired surrogate"),
    "lone surrogate, unread": (with_field("messages", r'["\udc00"]'), "surrogate"),
    "null": (b"null\n", "not a JSON object"),
    "number": (b"17\n", "not a JSON object"),
    "text": (b'"usage"\n', "not a JSON object"),
    "array": (b'[{"usage": {"input_tokens": 1}}]\n', "JSON array"),
    "nothing known": (b'{"id": "x"}\n', "not a format that we know"),
    "nothing but nulls": (b'{"id": "x", "usage": null, "outcomes": null}\n', "not a format"),
    "NaN": (usage("NaN"), "not JSON"),
    "Infinity": (usage("-Infinity"), "not JSON"),
    "negative": (usage("-1"), "input_tokens is negative"),
    "fraction": (usage("1.5"), "usage.input_tokens"),
    "fraction as text": (usage('"1.5"'), "usage.input_tokens"),
    "words": (usage('"many"'), "usage.input_tokens"),
    "hexadecimal": (usage('"0x10"'), "usage.input_tokens"),
    "truth": (usage("true"), "usage.input_tokens"),
    "no count": (usage("null"), "input_tokens"),
    "beyond 2**53": (usage(str(2**53 + 1)), "input_tokens is too large"),
    "beyond 64 bits": (usage("9" * 20), "64 bits"),
    "endless digits": (usage("9" * 5000), "out of range"),
    "beyond doubles": (usage("1e400"), "out of range"),
    "usage is text": (with_field("usage", '"none"'), "usage"),
    "usage is a list": (with_field("usage", "[1]"), "usage"),
    "cached over input": (
        with_usage(input_tokens=9, cache_read_tokens=5, cache_write_tokens=5),
        "cached tokens exceed input_tokens",
    ),
    "reasoning over output": (
        with_usage(input_tokens=9, output_tokens=4, reasoning_tokens=5),
        "reasoning_tokens exceed output_tokens",
    ),
    "quality 1.5": (with_field("quality", "1.5"), "quality is outside"),
    "quality -0.5": (with_field("quality", "-0.5"), "quality is outside"),
    "quality NaN as text": (with_field("quality", '"nan"'), "quality is not a finite number"),
    "quality is truth": (with_field("quality", "true"), "quality"),
    "latency is negative": (with_field("latency_ms", "-1"), "latency_ms is negative"),
    "latency is infinite": (with_field("latency_ms", '"inf"'), "latency_ms is not a finite"),
    "latency is truth": (with_field("latency_ms", "false"), "latency_ms"),
    "cost is negative": (with_field("cost_usd", "-0.01"), "cost_usd is negative"),
    "session is an object": (with_field("session", '{"a": 1}'), "session"),
    "session is truth": (with_field("session", "true"), "session"),
    "model is a list": (with_field("model", "[]"), "model"),
    "timestamp": (with_field("timestamp", '"soon"'), "not a timestamp"),
    "timestamp is truth": (with_field("timestamp", "true"), "timestamp"),
    "timestamp too early": (with_field("timestamp", '"0000-01-01T00:00:00Z"'), "timestamp"),
    "timestamp too late": (with_field("timestamp", "1e18"), "outside the years"),
    "same model twice": (make_line(0, outcomes=TWICE), "outcomes: 'm' is there twice"),
    "outcome is null": (with_field("outcomes", "[null]"), "outcomes"),
    "outcome without model": (with_field("outcomes", '[{"usage": {"input_tokens": 1}}]'), "model"),
    "outcomes is an object": (with_field("outcomes", '{"m": 1}'), "outcomes"),
    "outcome quality": (with_field("outcomes", '[{"model": "m", "quality": 2}]'), "outcomes: qual"),
    "block is null": (with_field("prefix_blocks", "[1, null]"), "prefix_blocks"),
    "block is truth": (with_field("prefix_blocks", "[true]"), "prefix_blocks"),
    "block is hexadecimal": (with_field("prefix_blocks", '["0x1"]'), "prefix_blocks"),
    "estimated is a number": (with_field("usage_estimated", "1"), "usage_estimated"),
    "messages to count are text": (b'{"model": "m", "messages": "hi", "response": "a"}\n', "list"),
    "deep": (b'{"usage": %s}\n' % DEEP.encode(), ""),
    "deep, unread by columns": (b'{"extra": %s}\n' % DEEP.encode(), ""),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_named(name: str, mode: str, tmp_path: Path):
    line, message = BAD_LINES[name]
    path = tmp_path / "some log.jsonl"
    path.write_bytes(make_line(1) + b"\n" + line + make_line(2))
    found = read_all(path, mode=mode)
    assert isinstance(found.error, BadLine)
    assert str(found.error).startswith("some log.jsonl:3: ")
    assert message in found.error.message
    assert len(str(found.error)) < 250
    skipped = read_all(path, mode=mode, on_error="skip")
    assert skipped.error is None
    assert skipped.bad == [("some log.jsonl", 3)]
    assert skipped.places == [("some log.jsonl", 1), ("some log.jsonl", 4)]


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_after_the_sampled_ones_is_named(name: str, tmp_path: Path):
    path = tmp_path / "log.jsonl"
    before = b"".join(make_line(number) for number in range(600))
    path.write_bytes(before + BAD_LINES[name][0] + make_line(601))
    found = read_all(path, mode="columnar", on_error="skip")
    assert found.error is None
    assert found.bad == [("log.jsonl", 601)]
    assert found.lines == [*range(1, 601), 602]


NO_OBJECTS = ["[]", "1", '"temperature=0"', "true"]


@pytest.mark.parametrize("value", NO_OBJECTS)
def test_sampling_that_is_no_object_is_named(value: str, tmp_path: Path):
    path = tmp_path / "log.jsonl"
    good = with_field("sampling", '{"temperature": 0}').replace(b'"x"', b'"y"')
    path.write_bytes(good + make_line(1) + with_field("sampling", value))
    found = read_all(path)
    assert str(found.error) == "log.jsonl:3: sampling is not a JSON object"
    assert read_all(path, on_error="skip").bad == [("log.jsonl", 3)]


@pytest.mark.parametrize("value", [*NO_OBJECTS, "{", "", "null"])
def test_sampling_in_parquet_that_is_no_object_is_named(value: str, tmp_path: Path):
    path = tmp_path / "log.parquet"
    texts = ['{"seed": 1}', None, value]
    pq.write_table(pa.table({"usage": [{"input_tokens": 1}] * 3, "sampling": texts}), path)
    found = read_all(path, without=frozenset())
    assert str(found.error) == "log.parquet:3: sampling is not a JSON object"
    assert read_all(path, without=frozenset(), on_error="skip").bad == [("log.parquet", 3)]


LENIENT = {
    "count as text": (usage('"12"'), usage("12")),
    "count with spaces": (usage('" 12 "'), usage("12")),
    "count as a whole float": (usage("12.0"), usage("12")),
    "count in powers of ten": (usage("1.2e1"), usage("12")),
    "number as text": (with_field("latency_ms", '"0.5"'), with_field("latency_ms", "0.5")),
    "session 17": (with_field("session", "17"), with_field("session", '"17"')),
    "session 1.50": (with_field("session", "1.50"), with_field("session", '"1.5"')),
    "session 30 digits": (with_field("session", "9" * 30), with_field("session", f'"{"9" * 30}"')),
    "epoch as text": (
        with_field("timestamp", '"1760000000"'),
        with_field("timestamp", "1760000000"),
    ),
    "truth as text": (
        with_field("usage_estimated", '"true"'),
        with_field("usage_estimated", "true"),
    ),
    "block as text": (
        with_field("prefix_blocks", '["7", 8.0]'),
        with_field("prefix_blocks", "[7, 8]"),
    ),
    "last of two keys": (with_field("id", '"y"'), usage("9").replace(b'"x", "model": "m"', b'"y"')),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", LENIENT)
def test_values_of_a_neighbouring_type_are_understood(name: str, mode: str, tmp_path: Path):
    paths = [tmp_path / "loose.jsonl", tmp_path / "exact.jsonl"]
    for path, line in zip(paths, LENIENT[name], strict=True):
        path.write_bytes(make_line(1) + line)
    loose, exact = (read_all(path, mode=mode) for path in paths)
    assert loose.error is None
    assert loose.rows == exact.rows
    assert len(loose.rows) == 2


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("second", [2, 700, 9000])
def test_duplicate_ids_within_and_across_batches(
    second: int, mode: str, on_error: str, tmp_path: Path
):
    lines = [make_line(number) for number in range(second)]
    path = tmp_path / "log.jsonl"
    path.write_bytes(b"".join([*lines, make_line(0), make_line(second)]))
    found = read_all(path, mode=mode, on_error=on_error)
    if on_error == "fail":
        assert found.error is not None
        assert found.error.where == f"log.jsonl:{second + 1}"
        assert "duplicate id" in found.error.message
    else:
        assert found.bad == [("log.jsonl", second + 1)]
        assert found.lines == [*range(1, second + 1), second + 2]


@pytest.mark.parametrize("on_error", ["fail", "skip"])
@pytest.mark.parametrize("mode", MODES)
def test_duplicate_ids_across_files(mode: str, on_error: str, tmp_path: Path):
    first, second, third = (tmp_path / f"{name}.jsonl" for name in "abc")
    first.write_bytes(make_line(1) + make_line(2))
    second.write_bytes(b'\n{"usage": {"input_tokens": 1}}\n' + make_line(3) + make_line(2))
    third.write_bytes(b'{"usage": {"input_tokens": 1}}\n' + make_line(4))
    found = read_all(first, second, third, mode=mode, on_error=on_error)
    if on_error == "fail":
        assert found.error is not None
        assert found.error.where == "b.jsonl:4"
        return
    assert found.bad == [("b.jsonl", 4)]
    assert found.places == [
        *(("a.jsonl", line) for line in (1, 2)),
        *(("b.jsonl", line) for line in (2, 3)),
        *(("c.jsonl", line) for line in (1, 2)),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_unknown_fields_are_noted_with_their_first_line(mode: str, tmp_path: Path):
    path = tmp_path / "log.jsonl"
    outcome = {"model": "m", "usage": {"input_tokens": 1, "odd": 1}, "score": 1}
    path.write_bytes(
        make_line(1)
        + b"\n"
        + make_line(2, extra={"a": 1}, usage={"input_tokens": 1, "thinking": 2})
        + make_line(3, extra=2, outcomes=[outcome])
    )
    found = read_all(path, mode=mode)
    assert found.error is None
    assert len(found.rows) == 3
    assert found.notes.unknown_fields == {
        "extra": "log.jsonl:3",
        "usage.thinking": "log.jsonl:3",
        "outcomes.score": "log.jsonl:4",
        "outcomes.usage.odd": "log.jsonl:4",
    }


LINES = b"".join(make_line(number) for number in range(3000))
# Noise does not compress, so that the break comes after the first blocks of the columnar reader.
NOISE = b"".join(make_line(n, task=os.urandom(600).hex()) for n in range(6000))
ZSTD = pa.Codec("zstd").compress(LINES, asbytes=True)
BIG_GZIP = gzip.compress(NOISE, 1)
BIG_ZSTD = pa.Codec("zstd").compress(NOISE, asbytes=True)


def flip(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 0xFF
    return bytes(changed)


def parquet_bytes(**columns: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


GOOD_PARQUET = parquet_bytes(id=["a"], usage=[{"input_tokens": 5}])
USAGE = [{"input_tokens": 5}]
BAD_FILES = {
    "empty.jsonl": (b"", "no requests"),
    "blank.jsonl": (b"\n \r\n\t\n", "no requests"),
    "bom.jsonl": (b"\xef\xbb\xbf", "no requests"),
    "truncated.gz": (gzip.compress(LINES)[:-12], "cannot be decompressed"),
    "no-trailer.gz": (gzip.compress(LINES)[:-3], "cannot be decompressed"),
    "crc.gz": (flip(gzip.compress(LINES), -7), "cannot be decompressed"),
    "big-truncated.gz": (BIG_GZIP[:-5000], "cannot be decompressed"),
    "big-no-trailer.gz": (BIG_GZIP[:-3], "cannot be decompressed"),
    "big-crc.gz": (flip(BIG_GZIP, -7), "cannot be decompressed"),
    "big-length.gz": (flip(BIG_GZIP, -2), "cannot be decompressed"),
    "tail.gz": (gzip.compress(LINES) + b"more", "cannot be decompressed"),
    "head.gz": (b"\x1f\x8b", "cannot be decompressed"),
    "truncated.zst": (ZSTD[:-5], "cannot be decompressed"),
    "damaged.zst": (flip(ZSTD, len(ZSTD) // 2), "cannot be decompressed"),
    "big-truncated.zst": (BIG_ZSTD[:-5000], "cannot be decompressed"),
    "head.parquet": (b"PAR1", "cannot be read as a parquet log"),
    "cut.parquet": (GOOD_PARQUET[:-9], "cannot be read as a parquet log"),
    "damaged.parquet": (
        GOOD_PARQUET[:-60] + b"\xff" * 52 + GOOD_PARQUET[-8:],
        "cannot be read as a parquet log",
    ),
    "other.parquet": (parquet_bytes(city=["Seoul"]), "not a request log"),
    "text-usage.parquet": (parquet_bytes(usage=["many"]), "cannot be read as a parquet log"),
    "number-time.parquet": (parquet_bytes(usage=USAGE, timestamp=[1.5]), "timestamp is double"),
    "int-time.parquet": (parquet_bytes(usage=USAGE, timestamp=[1]), "timestamp is int64"),
    "word-time.parquet": (parquet_bytes(usage=USAGE, timestamp=["soon"]), "cannot be read"),
    "truth.parquet": (parquet_bytes(usage=[{"input_tokens": True}]), "usage is struct"),
    "truth-quality.parquet": (parquet_bytes(usage=USAGE, quality=[True]), "quality is bool"),
    "fraction.parquet": (parquet_bytes(usage=[{"input_tokens": 1.5}]), "cannot be read"),
    "list.parquet": (parquet_bytes(usage=USAGE, model=[["m"]]), "model is list"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_log(name: str, mode: str, tmp_path: Path):
    data, message = BAD_FILES[name]
    path = tmp_path / name
    path.write_bytes(data)
    for on_error in ("fail", "skip"):
        found = read_all(path, mode=mode, on_error=on_error)
        assert isinstance(found.error, InputError)
        assert found.error.where == name
        assert message in found.error.message
        assert len(set(found.lines)) == len(found.lines)


FIRST_LINES = {
    "array.json": (b'[\n {"usage": {"input_tokens": 1}}\n]\n', "not JSON"),
    "array-in-one-line.json": (b'[{"usage": {"input_tokens": 1}}]', "JSON array"),
    "pretty.json": (json.dumps({"usage": {"input_tokens": 1}}, indent=1).encode(), "not JSON"),
    "table.csv": (b"id,model,input_tokens\na,m,5\n", "not JSON"),
    "quoted.csv": (b'"id","usage"\n"a","5"\n', "not JSON"),
    "prose.txt": (b"Hello, world\nand more\n", "not JSON"),
    "utf16.jsonl": (LINES.decode().encode("utf-16"), "not UTF-8"),
    "utf16-bare.jsonl": (LINES.decode().encode("utf-16-le"), "not JSON"),
    "utf32.jsonl": (LINES.decode().encode("utf-32"), "not UTF-8"),
    "old-mac.jsonl": (LINES.replace(b"\n", b"\r"), "not JSON"),
    "zip.jsonl": (b"PK\x03\x04" + bytes(range(128, 256)), "not UTF-8"),
    "nul.jsonl": (b"\x00" * 5000, "not JSON"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", FIRST_LINES)
def test_a_file_of_another_kind_fails_on_its_first_line(name: str, mode: str, tmp_path: Path):
    data, message = FIRST_LINES[name]
    path = tmp_path / name
    path.write_bytes(data)
    found = read_all(path, mode=mode)
    assert isinstance(found.error, BadLine)
    assert found.error.where == f"{name}:1"
    assert message in found.error.message


def test_a_table_of_a_known_format_keeps_its_line_numbers(tmp_path: Path):
    path = tmp_path / "azure.csv"
    path.write_bytes(
        b"TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46,4,5\r\n"
        b'2023-11-16 18:15:47,4\r\n2023-11-16 18:15:48,"6",7\r\n'
    )
    found = read_all(path, on_error="skip")
    assert found.lines == [2, 4]
    assert found.bad == [("azure.csv", 3)]
    assert [row["usage"]["output_tokens"] for row in found.rows] == [5, 7]


def test_missing_and_forbidden_files(tmp_path: Path):
    for path, message in (
        (tmp_path / "none.jsonl", "no such file"),
        (tmp_path, "is a directory"),
        (tmp_path / ("x" * 300), "cannot be read"),
    ):
        found = read_all(path)
        assert isinstance(found.error, InputError)
        assert message in found.error.message
        assert found.error.where == path.name


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path):
    path = tmp_path / "secret.jsonl"
    path.write_bytes(make_line(1))
    path.chmod(0)
    found = read_all(path)
    assert found.error is not None
    assert "Permission denied" in found.error.message


@pytest.mark.parametrize("mode", MODES)
def test_a_line_of_50_mb(mode: str, tmp_path: Path):
    long = "가 나 다 " * 5_000_000
    path = tmp_path / "long.jsonl"
    line = make_line(2, messages=[{"role": "user", "content": long}])
    assert len(line) > 50 << 20
    path.write_bytes(make_line(1) + line + make_line(3))
    found = read_all(path, mode=mode)
    assert found.error is None
    assert [row["id"] for row in found.rows] == ["r1", "r2", "r3"]
    path.write_bytes(make_line(1) + line[:-3] + b"\n" + make_line(3))
    found = read_all(path, mode=mode, on_error="skip")
    assert found.lines == [1, 3]
    [error] = found.notes.bad_lines
    assert (error.line, len(str(error)) < 250) == (2, True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "shape",
    [
        '{"id": "%s", "usage": {"input_tokens": 1}}\n{"id": "%s", "usage": {"input_tokens": 1}}\n',
        '{"outcomes": [{"model": "%s", "usage": {"input_tokens": 1}}, {"model": "%s"}]}\n',
        '{"usage": {"input_tokens": "%s"}, "task": "%s"}\n',
        '{"usage": {"input_tokens": 1}, "timestamp": "%s", "task": "%s"}\n',
        "%s %s\n",
        '{"%s": 1, "b": "%s"}\n',
    ],
)
def test_errors_do_not_repeat_a_long_line(shape: str, mode: str, tmp_path: Path):
    path = tmp_path / "long.jsonl"
    path.write_text(shape % ("x" * 100_000, "x" * 100_000))
    found = read_all(path, mode=mode)
    assert found.error is not None
    assert len(str(found.error)) < 250
    assert len(found.error.hint) < 250
