"""What a cache is judged by: labelled pairs, groups of questions, or a log with answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec
import numpy as np
import pyarrow as pa
import xxhash

from frugalctl.errors import BadLine, InputError
from frugalctl.levers.semantic_cache.protocols import Floats, Integers, Mask
from frugalctl.levers.semantic_cache.questions import Questions, read_questions
from frugalctl.levers.semantic_cache.settings import SCOPE_KEYS
from frugalctl.log.read import ReadNotes, ReadOptions, read_log
from frugalctl.log.schema import REQUEST_FIELDS, LogBatch
from frugalctl.log.stream import Source, hash_source, open_input, read_blocks
from frugalctl.log.times import RELATIVE_BEFORE_US, UNKNOWN_US
from frugalctl.log.usage import disjoint
from frugalctl.prices import Calls, load_book, price_calls

_PRICED = ("model", "provider", "service_tier", "region")
_SHAPES = {"pairs": "{a, b, same}", "groups": "{group, text}"}


@dataclass(frozen=True, slots=True)
class Pairs:
    """n pairs of questions, and whether the same answer serves both.

    Attributes:
        a: n texts.
        b: n texts.
        same: bool[n].
    """

    a: list[str]
    b: list[str]
    same: Mask


@dataclass(frozen=True, slots=True)
class Groups:
    """n questions; those of one group have the same answer.

    Attributes:
        texts: n texts.
        groups: int64[n], numbered from 0; -1 for what belongs to no group and must never hit.
    """

    texts: list[str]
    groups: Integers


@dataclass(frozen=True, slots=True)
class Logged:
    """The questions of a log, whose answers tell whether two of them agree.

    Attributes:
        questions: n requests.
        cost_usd: float64[n], what each cost: as logged, else by the price book; NaN if unknown.
    """

    questions: Questions
    cost_usd: Floats


Labels = Pairs | Groups | Logged


class _PairLine(msgspec.Struct, gc=False):
    a: str
    b: str
    same: bool | int


class _GroupLine(msgspec.Struct, gc=False):
    text: str
    group: str | int | None = None


def read_labels(
    sources: Sequence[Source],
    options: ReadOptions,
    notes: ReadNotes,
    scope: Sequence[str] = SCOPE_KEYS,
) -> Labels:
    """Labels of the kind that the first record is of; several files are one set.

    Args:
        sources: the files, from `log.stream.on_disk`.
        options: what to do with a bad line, and how to read a log.
        notes: is filled on the way, as by `log.read.read_log`.
        scope: what must be equal in a log for an answer to be used again.

    Raises:
        BadLine: a record of another kind than the first, or none that we know.
        InputError: a file that cannot be read, or without records.
    """
    kind = _find_kind(sources)
    if kind == "log":
        return _read_logged(sources, options, notes, scope)
    lines = _decode_lines(sources, options, notes, kind)
    digest = xxhash.xxh3_128()
    for source in sources:
        hash_source(source, digest)
    labels = _gather_pairs(lines) if kind == "pairs" else _gather_groups(lines)
    notes.input_xxh3 = digest.hexdigest()
    _check_whole(labels, ", ".join(source.name for source in sources))
    return labels


def name_kind(labels: Labels) -> str:
    """What kind of labels they are: "pairs", "groups" or "log"."""
    if isinstance(labels, Pairs):
        return "pairs"
    return "groups" if isinstance(labels, Groups) else "log"


def _find_kind(sources: Sequence[Source]) -> str:
    """What the first record is: "pairs", "groups", or a "log" if it is neither."""
    for source in sources:
        stream, codec = open_input(source)
        try:
            if codec == "parquet":
                return "log"
            for _, line in _split_lines(stream, source.name):
                return _kind_of(line)
        finally:
            stream.close()
    return "log"


def _kind_of(line: bytes) -> str:
    try:
        record = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "log"
    if not isinstance(record, dict):
        return "log"
    keys = set(cast("dict[str, Any]", record))
    if {"a", "b"} <= keys or "same" in keys:
        return "pairs"
    return "groups" if "text" in keys and not keys & {"messages", "usage", "outcomes"} else "log"


def _split_lines(stream: Any, name: str) -> Iterator[tuple[int, bytes]]:
    for block in read_blocks(stream, name):
        for number, line in enumerate(block.data.split(b"\n"), block.first_line):
            if line and not line.isspace():
                yield number, line


def _decode_lines(
    sources: Sequence[Source], options: ReadOptions, notes: ReadNotes, kind: str
) -> Iterator[Any]:
    shape: Any = _PairLine if kind == "pairs" else _GroupLine
    decode = msgspec.json.Decoder(shape).decode
    for source in sources:
        stream, _ = open_input(source)
        try:
            for number, line in _split_lines(stream, source.name):
                try:
                    yield _decode_line(decode, line)
                except ValueError as error:
                    bad = BadLine(
                        str(error),
                        source=source.name,
                        line=number,
                        hint=f"the first record makes this a file of {kind}: {_SHAPES[kind]}",
                    )
                    if options.on_error == "fail":
                        raise bad from None
                    notes.bad_lines.append(bad)
        finally:
            stream.close()


def _decode_line(decode: Callable[[bytes], Any], line: bytes) -> Any:
    try:
        line.decode()
        record = decode(line)
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 (byte {error.start + 1} of the line)") from None
    except msgspec.ValidationError as error:
        raise ValueError(str(error).replace("`", "").replace("$.", "")) from None
    except RecursionError:
        raise ValueError("not JSON that we read: nested too deeply") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    if isinstance(record, _PairLine) and record.same not in (0, 1):
        raise ValueError(f"same is {record.same}, not 0, 1, true or false")
    return record


def _gather_pairs(lines: Iterable[_PairLine]) -> Pairs:
    records = list(lines)
    same = np.array([bool(record.same) for record in records], dtype=np.bool_)
    return Pairs([record.a for record in records], [record.b for record in records], same)


def _gather_groups(lines: Iterable[_GroupLine]) -> Groups:
    records = list(lines)
    numbers: dict[str, int] = {}
    groups = [
        -1 if record.group is None else numbers.setdefault(str(record.group), len(numbers))
        for record in records
    ]
    return Groups([record.text for record in records], np.array(groups, dtype=np.int64))


def _check_whole(labels: Labels, names: str) -> None:
    if isinstance(labels, Pairs) and not labels.a:
        raise InputError("no pairs", where=names)
    if isinstance(labels, Groups) and not (labels.groups >= 0).any():
        raise InputError(
            "no text has a group", where=names, hint=f"groups are {_SHAPES['groups']}, one a line"
        )


def _read_logged(
    sources: Sequence[Source], options: ReadOptions, notes: ReadNotes, scope: Sequence[str]
) -> Logged:
    without = frozenset({"prefix_blocks", "block_tokens", "outcomes"})
    batches = read_log(sources, replace(options, without=without), notes)
    prices: list[Floats] = []
    questions = read_questions(_pricing(batches, prices), scope)
    priced = np.concatenate(prices)
    return Logged(questions, np.where(np.isnan(questions.cost_usd), priced, questions.cost_usd))


def _pricing(batches: Iterable[LogBatch], prices: list[Floats]) -> Iterator[LogBatch]:
    """The same batches; what their requests cost by the price book is added to `prices`."""
    book = load_book()
    for batch in batches:
        usage = disjoint(batch.column("usage"))
        time_us = batch.column("timestamp").cast(pa.int64()).fill_null(UNKNOWN_US).to_numpy()
        names = {name: batch.column(name).cast(REQUEST_FIELDS[name]) for name in _PRICED}
        times = np.where(time_us < RELATIVE_BEFORE_US, UNKNOWN_US, time_us)
        priced = price_calls(book, Calls(**names, timestamp_us=times, tokens=usage.tokens))
        prices.append(np.where(usage.known, priced.total_usd, np.nan))
        yield batch
