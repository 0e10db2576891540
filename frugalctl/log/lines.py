"""The exact reader: one line at a time, every format, every error with its line number.

A canonical line may write numbers as text ("12"), counts as whole floats (12.0) and texts as
numbers (17); `log.columnar` takes the same. Booleans are no numbers, and 1.5 is no count.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import msgspec

from frugalctl.errors import BadLine
from frugalctl.log.formats.base import FormatReader, Numbered, Record, RecordError
from frugalctl.log.lenient import decode_leniently
from frugalctl.log.schema import Outcome, Request, Usage
from frugalctl.log.stream import Block

_REQUEST = frozenset(Request.__struct_fields__)
_OUTCOME = frozenset(Outcome.__struct_fields__)
_USAGE = frozenset(Usage.__struct_fields__)
_SUBSTANCE = ("usage", "messages", "outcomes", "prefix_blocks")
_SAMPLE_LINES = 500


def _forbid_unknown(struct: type[Any], **fields: Any) -> Any:
    """The same struct, decoded only from objects without unknown fields."""
    return msgspec.defstruct(
        struct.__name__,
        [(name, kind, None) for name, kind in fields.items()],
        bases=(struct,),
        forbid_unknown_fields=True,
        gc=False,
    )


_PLAIN_USAGE = _forbid_unknown(Usage)
_PLAIN_OUTCOME = _forbid_unknown(Outcome, usage=_PLAIN_USAGE | None)
_PLAIN_REQUEST = _forbid_unknown(
    Request, usage=_PLAIN_USAGE | None, outcomes=list[_PLAIN_OUTCOME] | None
)

_decode_any = msgspec.json.Decoder().decode
_decode_request = msgspec.json.Decoder(Request).decode
_decode_plain = cast("Callable[[bytes], Request]", msgspec.json.Decoder(_PLAIN_REQUEST).decode)


class LineReader:
    """Reads the lines of one input, whatever their formats, and remembers what it met.

    Attributes:
        unknown_fields: name -> where it was first met ("log.jsonl:3").
        formats: names of the formats met, in the order met.
    """

    def __init__(self) -> None:
        self.source = ""
        self.unknown_fields: dict[str, str] = {}
        self.formats: dict[str, None] = {}
        self._readers: tuple[FormatReader, ...] = ()  # made when a line is not canonical
        self._current: FormatReader | None = None
        self._header: list[str] | None = None

    def start(self, source: str) -> None:
        """Go on with another file; what the formats hold back is kept."""
        self.source = source
        self._current = None
        self._header = None

    def sample(self, block: Block) -> bool:
        """Whether the first lines of a file are canonical; notes their unknown fields."""
        known: list[tuple[list[str], int]] = []
        for at, line in enumerate(block.data.split(b"\n", _SAMPLE_LINES)[:_SAMPLE_LINES]):
            if not line or line.isspace():
                continue
            try:
                record = _decode_any(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return False
            if not isinstance(record, dict):
                return False
            unknown = find_unknown_fields(cast(Record, record))
            if unknown and self._recognise(cast(Record, record)):
                return False
            known.append((unknown, at + 1))
        self.formats.setdefault("canonical")
        for unknown, number in known:
            self._note_unknown(unknown, number)
        return True

    def read_block(self, data: bytes, first_line: int) -> Iterator[Numbered | BadLine]:
        """Every request of a block of lines; a bad line comes as the error that says so."""
        for number, line in enumerate(data.split(b"\n"), first_line):
            if not line or line.isspace():
                continue
            # A foreign reader at work, or a table: no use in trying the canonical decoder first.
            request = None if self._current or self._header else _read_plain(line)
            if request is None:
                yield from self._read_guarded(line, number)
            else:
                self.formats.setdefault("canonical")
                yield number, request

    def finish(self) -> Iterator[Numbered]:
        """What the formats held back until the end of the input."""
        for reader in self._readers:
            yield from reader.finish()

    def notes(self) -> list[str]:
        """What the formats have to say about records that they left out."""
        return [note for reader in self._readers for note in getattr(reader, "notes", ())]

    def _read_guarded(self, line: bytes, number: int) -> Iterator[Numbered | BadLine]:
        try:
            yield from self._read_line(line, number)
        except RecordError as error:
            yield self._bad(str(error), error.line or number)
        except UnicodeDecodeError as error:
            yield self._bad(f"not UTF-8 (byte {error.start + 1} of the line)", number)
        except msgspec.ValidationError as error:
            yield self._bad(_plain(str(error)), number)
        except msgspec.DecodeError as error:
            yield self._bad(f"not JSON: {_explain(error, line)}", number)
        except RecursionError:
            yield self._bad("not JSON that we read: nested too deeply", number)

    def _read_line(self, line: bytes, number: int) -> Iterable[Numbered]:
        if not line.isascii():
            line.decode()
        if self._header is not None:
            return self._read_csv(self._header, line, number)
        if number == 1 and self._start_csv(line):
            return []
        record = _decode_any(line)
        if isinstance(record, list):
            raise RecordError("a JSON array, not JSON Lines (jq -c '.[]' makes one of the other)")
        if not isinstance(record, dict):
            raise RecordError("not a JSON object")
        return self.read_record(cast(Record, record), line, number)

    def read_record(self, record: Record, line: bytes, number: int) -> Iterable[Numbered]:
        """The requests of one decoded record (`line` is its text)."""
        unknown = find_unknown_fields(record)
        empty = all(record.get(name) is None for name in _SUBSTANCE)
        if unknown or empty:
            reader = self._recognise(record)
            if reader:
                self.formats.setdefault(reader.name)
                return reader.feed(record, number)
        if empty:
            raise RecordError("not a format that we know: no usage, messages or outcomes")
        self._current = None
        self.formats.setdefault("canonical")
        self._note_unknown(unknown, number)
        try:
            return [(number, _decode_request(line))]
        except msgspec.ValidationError:
            return [(number, decode_leniently(line))]

    def _note_unknown(self, names: list[str], number: int) -> None:
        for name in names:
            self.unknown_fields.setdefault(name, f"{self.source}:{number}")

    def _foreign_readers(self) -> tuple[FormatReader, ...]:
        if not self._readers:
            from frugalctl.log.formats.registry import readers

            self._readers = readers()
        return self._readers

    def _recognise(self, record: Record) -> FormatReader | None:
        if self._current is None or not self._current.matches(record):
            self._current = next((r for r in self._foreign_readers() if r.matches(record)), None)
        return self._current

    def _start_csv(self, line: bytes) -> bool:
        """Whether the first line is the header of a table in a format that we know."""
        if b"," not in line or line.lstrip().startswith((b"{", b"[")):
            return False
        names = _split_csv(line)
        if self._recognise(dict.fromkeys(names, "")):
            self._header = names
        return self._header is not None

    def _read_csv(self, header: list[str], line: bytes, number: int) -> Iterable[Numbered]:
        row = _split_csv(line)
        if len(row) != len(header):
            raise RecordError(f"{len(row)} fields where the header has {len(header)}")
        return self.read_record(dict(zip(header, row, strict=True)), line, number)

    def _bad(self, message: str, number: int) -> BadLine:
        return BadLine(message, source=self.source, line=number)


def find_unknown_fields(record: Record) -> list[str]:
    """Names in a record that the canonical log does not have, with their path."""
    unknown = [name for name in record if name not in _REQUEST]
    unknown += _unknown_in_usage(record, "usage.")
    outcomes = record.get("outcomes")
    if isinstance(outcomes, list):
        for item in cast(list[Any], outcomes):
            if isinstance(item, dict):
                outcome = cast(Record, item)
                unknown += [f"outcomes.{name}" for name in outcome if name not in _OUTCOME]
                unknown += _unknown_in_usage(outcome, "outcomes.usage.")
    return unknown


def _unknown_in_usage(record: Record, prefix: str) -> list[str]:
    usage = record.get("usage")
    if not isinstance(usage, dict):
        return []
    return [prefix + name for name in cast(Record, usage) if name not in _USAGE]


def _read_plain(line: bytes) -> Request | None:
    """The request of a canonical line without unknown fields; None for any other line."""
    try:
        if not line.isascii():
            line.decode()
        request = _decode_plain(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    whole = request.usage or request.outcomes or request.prefix_blocks or bytes(request.messages)
    return request if whole else None


def _split_csv(line: bytes) -> list[str]:
    try:
        return next(csv.reader([line.decode().rstrip("\r")]))
    except csv.Error as error:
        raise RecordError(f"not CSV: {error}") from None


def _explain(error: msgspec.DecodeError, line: bytes) -> str:
    message = _plain(str(error))
    if "truncated" in message and line.rstrip().endswith(b"}"):
        return "an escaped character is cut in half (unpaired surrogate)"
    return message


def _plain(message: str) -> str:
    """A message of msgspec without its markup, and without a path that names nothing."""
    what, at, path = message.replace("`", "").replace("$.", "").partition(" - at ")
    return what + at + path if at and "[...]" not in path else what
