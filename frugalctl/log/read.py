"""The log as a stream of batches: canonical or foreign, plain or compressed, any size.

Large canonical files go through `log.columnar`; everything else, and whatever that reader does
not take, is read line by line by `log.lines`, which is the authority on what is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal

import numpy as np
import xxhash

from frugalctl.errors import BadLine, InputError
from frugalctl.log.build import build_batch
from frugalctl.log.check import find_faults
from frugalctl.log.columnar import NotColumnar, read_columnar
from frugalctl.log.complete import complete
from frugalctl.log.formats.base import Numbered, RecordError
from frugalctl.log.ids import IdCheck
from frugalctl.log.lines import LineReader
from frugalctl.log.parquet import read_parquet
from frugalctl.log.schema import JSON_FIELDS, LogBatch
from frugalctl.log.stream import Block, Readable, Source, hash_source, open_input, read_blocks

OnError = Literal["fail", "skip"]
_BATCH_ROWS = 8192
_COLUMNAR_FROM_BYTES = 2 << 20


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How to read a log.

    Attributes:
        on_error: "fail" raises the first bad line, "skip" counts and lists them.
        without: fields that are not needed and may be left out of the batches.
        model: stands in where a request names no model and has no outcomes.
        estimate: count missing usage from the text.
        exact: read every line by itself, and so find the unknown fields of every line.
    """

    on_error: OnError = "fail"
    without: frozenset[str] = frozenset()
    model: str | None = None
    estimate: bool = True
    exact: bool = False


@dataclass(slots=True)
class ReadNotes:
    """What was met on the way; complete once the stream is exhausted.

    Attributes:
        bad_lines: the lines left out, with the reason (only with on_error="skip").
        unknown_fields: field -> where it was first met ("log.jsonl:3").
        formats: names of the formats met, in the order met.
        messages: what the formats have to say about records left out.
        input_xxh3: XXH3-128 of the files' bytes, in hexadecimal.
    """

    bad_lines: list[BadLine] = field(default_factory=list[BadLine])
    unknown_fields: dict[str, str] = field(default_factory=dict[str, str])
    formats: dict[str, None] = field(default_factory=dict[str, None])
    messages: list[str] = field(default_factory=list[str])
    input_xxh3: str = ""


def read_log(
    sources: Sequence[Source], options: ReadOptions, notes: ReadNotes | None = None
) -> Iterator[LogBatch]:
    """Stream the requests of one or more files.

    Several files are one log, in the order given: a batch API's input and output are joined
    across them, and ids must differ.

    Args:
        sources: the files, from `stream.on_disk`.
        options: how to read.
        notes: is filled on the way.

    Raises:
        InputError: a file that cannot be opened or decompressed, or holds no requests.
        BadLine: the first bad line, with on_error="fail".
    """
    notes = notes or ReadNotes()
    reader = _Reader(options, notes)
    rows = 0
    for batch in reader.read(sources):
        if batch.requests.num_rows:
            rows += batch.requests.num_rows
            yield batch
    if not rows:
        names = ", ".join(source.name for source in sources)
        hints = [str(error) for error in notes.bad_lines[:1]] + notes.messages
        raise InputError("no requests in the log", where=names, hint="; ".join(hints))


class _Reader:
    def __init__(self, options: ReadOptions, notes: ReadNotes) -> None:
        self._options = options
        self._notes = notes
        self._ids = IdCheck(at_once=options.on_error == "skip")

    def read(self, sources: Sequence[Source]) -> Iterator[LogBatch]:
        lines = LineReader()
        digest = xxhash.xxh3_128()
        with ThreadPoolExecutor(1) as pool:
            for source in sources:
                stream, kind = open_input(source)
                hashed = pool.submit(hash_source, source, digest)
                lines.start(source.name)
                yield from self._read_file(source, stream, kind, lines)
                hashed.result()
        yield from self._build_all(lines.finish(), lines.source)
        self._ids.finish()
        for name, where in lines.unknown_fields.items():
            self._notes.unknown_fields.setdefault(name, where)
        self._notes.formats.update(lines.formats)
        self._notes.messages.extend(lines.notes())
        self._notes.input_xxh3 = digest.hexdigest()

    def _read_file(
        self, source: Source, stream: Readable, kind: str, lines: LineReader
    ) -> Iterator[LogBatch]:
        try:
            if kind == "parquet":
                self._notes.formats.setdefault("parquet")
                found = read_parquet(source, self._options.without, self._notes.unknown_fields)
                yield from map(self._admit, found)
                return
            blocks = read_blocks(stream, source.name)
            first = next(blocks, None)
            if first is None:
                return
            rows = 0
            if self._suits_columns(first, lines):
                try:
                    for batch in read_columnar(
                        source, kind, self._options.without, self._options.model
                    ):
                        rows += batch.requests.num_rows
                        yield self._admit(batch)
                    return
                except NotColumnar:
                    pass  # the line reader goes on from here
            yield from self._read_lines(_skip_rows(chain([first], blocks), rows), lines)
        finally:
            stream.close()

    def _suits_columns(self, first: Block, lines: LineReader) -> bool:
        """Whether the file is canonical, as far as its first lines tell, and worth it."""
        if self._options.exact or len(first.data) < _COLUMNAR_FROM_BYTES:
            return False
        return self._options.without.issuperset(JSON_FIELDS) and lines.sample(first)

    def _read_lines(self, blocks: Iterable[Block], lines: LineReader) -> Iterator[LogBatch]:
        for block in blocks:
            found = lines.read_block(block.data, block.first_line)
            yield from self._build_all(found, lines.source)

    def _build_all(self, found: Iterator[Numbered | BadLine], source: str) -> Iterator[LogBatch]:
        pending: list[Numbered] = []
        for item in found:
            if isinstance(item, BadLine):
                if pending:
                    yield self._build(pending, source)
                    pending = []
                self._reject(item)
                continue
            pending.append(item)
            if len(pending) >= _BATCH_ROWS:
                yield self._build(pending, source)
                pending = []
        if pending:
            yield self._build(pending, source)

    def _build(self, numbered: list[Numbered], source: str) -> LogBatch:
        good: list[Numbered] = []
        for line, request in numbered:
            try:
                complete(request, self._options.model, estimate=self._options.estimate)
                good.append((line, request))
            except RecordError as error:
                self._reject(BadLine(str(error), source=source, line=line))
        try:
            requests = build_batch([request for _, request in good])
        except (ValueError, OverflowError):
            good = [item for item in good if self._can_build(item, source)]
            requests = build_batch([request for _, request in good])
        return self._admit(LogBatch(requests, source, np.array([line for line, _ in good])))

    def _can_build(self, item: Numbered, source: str) -> bool:
        try:
            build_batch([item[1]])
        except OverflowError:
            self._reject(BadLine("an integer beyond 64 bits", source=source, line=item[0]))
        except ValueError as error:
            self._reject(BadLine(str(error), source=source, line=item[0]))
        else:
            return True
        return False

    def _admit(self, batch: LogBatch) -> LogBatch:
        """Check the rows and the uniqueness of their ids; leave out what fails."""
        faults = find_faults(batch)
        for row in self._ids.add(batch):
            name = batch.column("id")[int(row)].as_py()
            faults.setdefault(int(row), f"duplicate id {name[:80]!r}")
        if not faults:
            return batch
        for row in sorted(faults):
            self._reject(BadLine(faults[row], source=batch.source, line=int(batch.lines[row])))
        keep = np.ones(batch.requests.num_rows, dtype=np.bool_)
        keep[list(faults)] = False
        kept = np.flatnonzero(keep)
        lines = np.array([batch.lines[int(row)] for row in kept], dtype=np.int64)
        return LogBatch(batch.requests.take(kept), batch.source, lines)

    def _reject(self, error: BadLine) -> None:
        if self._options.on_error == "fail":
            raise error
        self._notes.bad_lines.append(error)


def _skip_rows(blocks: Iterator[Block], rows: int) -> Iterator[Block]:
    """The blocks from the first row that was not read yet; blank lines are no rows."""
    for block in blocks:
        if not rows:
            yield block
            continue
        at = 0
        data = block.data.split(b"\n")
        while rows and at < len(data):
            rows -= bool(data[at] and not data[at].isspace())
            at += 1
        if at < len(data):
            yield Block(b"\n".join(data[at:]), block.first_line + at)
