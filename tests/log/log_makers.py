"""Canonical logs for the tests of the reader: strategies that make them, helpers that read them."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pyarrow as pa
from hypothesis import strategies as st

from frugalctl.errors import FrugalError
from frugalctl.log import read as reading
from frugalctl.log import schema
from frugalctl.log.columnar import NotColumnar
from frugalctl.log.read import ReadNotes, ReadOptions, read_log
from frugalctl.log.schema import SCHEMA
from frugalctl.log.stream import Source

JSON_FIELDS = frozenset(schema.JSON_FIELDS)
READ_BY_COLUMNS = pa.schema([column for column in SCHEMA if column.name not in JSON_FIELDS])
SUBSTANCE = ("usage", "messages", "outcomes", "prefix_blocks")
MODES = ("columnar", "lines")


@dataclass
class Reading:
    """What came out of a log: its rows, where they stood, and what went wrong."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)
    notes: ReadNotes = field(default_factory=ReadNotes)
    error: FrugalError | None = None
    columnar_rows: int = 0
    fell_back: bool = False

    @property
    def lines(self) -> list[int]:
        return [line for _, line in self.places]

    @property
    def bad(self) -> list[tuple[str, int]]:
        return [(error.source, error.line) for error in self.notes.bad_lines]


def read_all(
    *paths: Path | str,
    mode: str = "lines",
    on_error: str = "fail",
    model: str | None = None,
    without: frozenset[str] = JSON_FIELDS,
) -> Reading:
    """Read files to the end, or to their first error, by columns or line by line."""
    found = Reading()
    options = ReadOptions(on_error=on_error, without=without, model=model, exact=mode == "lines")  # type: ignore[arg-type]
    sources = [Source(str(path), Path(path).name) for path in paths]
    with patch.object(reading, "_COLUMNAR_FROM_BYTES", 0), watch_columns(found):
        try:
            for batch in read_log(sources, options, found.notes):
                batch.requests.validate(full=True)
                requests = batch.requests.select(
                    [name for name in batch.requests.schema.names if name not in without]
                )
                found.rows += to_rows(requests)
                found.places += [
                    (batch.source, int(batch.lines[row])) for row in range(requests.num_rows)
                ]
        except FrugalError as error:
            found.error = error
    return found


@contextmanager
def watch_columns(found: Reading) -> Iterator[None]:
    original = reading.read_columnar

    def watched(*arguments: Any) -> Iterator[Any]:
        try:
            for batch in original(*arguments):
                found.columnar_rows += batch.requests.num_rows
                yield batch
        except NotColumnar:
            found.fell_back = True
            raise

    with patch.object(reading, "read_columnar", watched):
        yield


def to_rows(requests: pa.RecordBatch) -> list[dict[str, Any]]:
    """Rows as Python values, timestamps as microseconds (datetime knows fewer years)."""
    at = requests.schema.get_field_index("timestamp")
    return requests.set_column(at, "timestamp", requests.column(at).cast(pa.int64())).to_pylist()


@contextmanager
def file_of(data: bytes, name: str = "log.jsonl") -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(data)
        yield path


def make_line(number: int, **fields: Any) -> bytes:
    """A plain canonical line with its newline."""
    record = {"id": f"r{number}", "model": "m1", "usage": {"input_tokens": number}}
    return json.dumps(record | fields).encode() + b"\n"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["한국어 텍스트", 'é😀\n\t"\\/', "a\x00b", "{", "[1]", "true", "null", "12", "1.5e3", "-", ""]
)
names = st.sampled_from(["gpt-4o", "claude-opus-5", "모델", "m", "1.5", "x" * 40])
loose_texts = texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
numbers = st.floats(0, 1e9) | st.integers(0, 10**9) | st.floats(0, 1e6).map(repr)
any_numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70)
qualities = st.floats(0, 1) | st.sampled_from([0, 1, "1", "0.25"])


def loosely(count: int) -> st.SearchStrategy[Any]:
    """A count as tools write it: mostly a number, now and then a whole float or text."""
    return st.sampled_from([count] * 8 + [float(count), str(count), f"{count}.0"])


@st.composite
def usages(draw: st.DrawFn) -> dict[str, Any]:
    tokens = st.integers(0, 10**6)
    parts = {
        name: draw(st.none() | tokens)
        for name in ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
    }
    counts: dict[str, int | None] = {"input_tokens": sum(map(int, filter(None, parts.values())))}
    counts["input_tokens"] += draw(tokens)
    counts |= parts
    counts["output_tokens"] = draw(st.none() | tokens)
    if counts["output_tokens"] is not None:
        counts["reasoning_tokens"] = draw(st.none() | st.integers(0, counts["output_tokens"]))
    kept = {
        name: count for name, count in counts.items() if count is not None or draw(st.booleans())
    }
    return {name: count and draw(loosely(count)) for name, count in kept.items()}


moments = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))


@st.composite
def timestamps(draw: st.DrawFn) -> Any:
    moment = draw(moments)
    shape = draw(st.sampled_from(["naive", "zulu", "offset", "nano", "day", "s", "s text", "ms"]))
    if shape == "naive":
        return moment.isoformat(sep=draw(st.sampled_from("T ")))
    if shape == "offset":
        offset = timezone(timedelta(minutes=draw(st.integers(-1439, 1439))))
        return moment.replace(tzinfo=offset).isoformat()
    if shape == "nano":
        digits = draw(st.integers(0, 10**9 - 1))
        return f"{moment.replace(microsecond=0).isoformat()}.{digits:09d}Z"
    if shape == "day":
        return moment.date().isoformat()
    seconds = draw(st.integers(10**9, 10**10 - 1) | st.floats(1e9, 9.9e9))
    if shape == "ms":
        return draw(st.integers(10**12, 10**13 - 1))
    numbers_or_text = {"s": seconds, "s text": str(seconds)}
    return numbers_or_text.get(shape, moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z"))


@st.composite
def outcomes(draw: st.DrawFn, with_usage: bool) -> list[dict[str, Any]]:
    models = draw(st.lists(names, unique=True, max_size=3))
    optional = {
        "provider": st.none() | texts,
        "response": st.none() | texts,
        "finish_reason": st.none() | texts,
        "latency_ms": st.none() | numbers,
        "cost_usd": st.none() | numbers,
        "quality": st.none() | qualities,
        "confidence": st.none() | any_numbers,
        "usage_estimated": st.none() | st.booleans(),
    }
    usage = {"usage": usages()} if with_usage else {"usage": st.none() | usages()}
    return [
        {"model": model} | draw(st.fixed_dictionaries(usage, optional=optional)) for model in models
    ]


def requests(*, with_usage: bool = True, loose: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Canonical records without an id; `loose` writes numbers for text and the like."""
    words = st.none() | (loose_texts if loose else texts)
    optional = dict.fromkeys(
        (
            "session",
            "tenant",
            "task",
            "provider",
            "service_tier",
            "region",
            "response",
            "finish_reason",
            "reference",
        ),
        words,
    )
    optional |= dict.fromkeys(("latency_ms", "ttft_ms", "cost_usd"), st.none() | numbers)
    optional |= {
        "timestamp": st.none() | timestamps(),
        "model": st.none() | names,
        "quality": st.none() | qualities,
        "confidence": st.none() | any_numbers,
        "propensity": st.none() | st.integers(1, 8).map(lambda eighths: eighths / 8),
        "messages": st.none() | messages,
        "tools": st.none() | st.lists(json_values, max_size=2),
        "sampling": st.none() | st.dictionaries(texts, json_values, max_size=2),
        "outcomes": st.none() | outcomes(with_usage),
        "prefix_blocks": st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
        "block_tokens": st.none() | st.integers(1, 4096).flatmap(loosely),
        "usage_estimated": st.none() | st.booleans() | st.sampled_from(["true", "false"]),
    }
    usage = usages() if with_usage else st.none() | usages()
    records = st.fixed_dictionaries({"usage": usage}, optional=optional)
    return records.filter(lambda record: any(record.get(name) is not None for name in SUBSTANCE))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
).filter(lambda value: "Infinity" not in json.dumps(value))
messages = st.lists(st.fixed_dictionaries({"role": texts, "content": texts}), max_size=3)


@st.composite
def logs(
    draw: st.DrawFn, *, with_usage: bool = True, loose: bool = True
) -> tuple[list[dict[str, Any]], bytes]:
    """Records, and a file of them with the line ends, blanks and escapes that occur."""
    records = draw(st.lists(requests(with_usage=with_usage, loose=loose), min_size=1, max_size=6))
    ids = draw(st.lists(st.none() | texts, min_size=len(records), max_size=len(records)))
    taken: set[str] = set()
    for record, name in zip(records, ids, strict=True):
        if name is not None and name not in taken:
            taken.add(name)
            record["id"] = name
    end = draw(st.sampled_from(["\n", "\r\n"]))
    blanks = st.sampled_from(["", "", end, f"  \t{end}", end * 2])
    text = "".join(draw(blanks) + _dump(draw, record) + end for record in records)
    if draw(st.booleans()):
        text = text.removesuffix(end)
    return records, (b"\xef\xbb\xbf" if draw(st.booleans()) else b"") + text.encode()


def _dump(draw: st.DrawFn, record: dict[str, Any]) -> str:
    keys = draw(st.permutations(list(record)))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\t", " :  ")]))
    return json.dumps(
        {key: record[key] for key in keys},
        ensure_ascii=draw(st.booleans()),
        separators=separators,
    )
