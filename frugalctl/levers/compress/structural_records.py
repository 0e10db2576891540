"""JSON arrays of records as tables: one header, one row a record."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from frugalctl.errors import InputError
from frugalctl.levers.compress.lossless_json import find_values, is_json, minify_text
from frugalctl.levers.compress.pieces import Part, Piece
from frugalctl.levers.compress.runs import Run

RECORDS = "JSON records as a table"
MIN_RECORDS = 3
MAX_DEPTH = 4

_SPACE = re.compile(r"[ \t\r\n]*")
_SPECIAL = re.compile(r'[\x00-\x1f\x7f-\xa0\u2028\u2029\ufeff\ud800-\udfff]|^[\s"\[{]|\s$|^$')
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_DECODER = json.JSONDecoder(parse_int=len, parse_float=len)


@dataclass(frozen=True, slots=True)
class _Record:
    """One object of an array: its bounds, and the cell of each key."""

    start: int
    end: int
    cells: Mapping[str, str]


def find_record_runs(part: Part) -> Iterator[Run]:
    """Arrays of three or more flat enough objects, and JSON Lines, as tab-separated tables.

    An array inside an object stands in its place, the rest of the object around it. A table is
    made only where it is shorter than the JSON without its white space.
    """
    for segment in part.segments:
        if segment.locked or not is_json(segment) or segment.kind == "tool_call":
            continue
        try:
            yield from list(_tabulate_segment(part.text, segment.start, segment.end))
        except RecursionError:
            continue


def read_table(text: str) -> list[dict[str, Any]]:
    """The records of a table as this module writes it: equal to those of the original JSON.

    Raises:
        InputError: a row has another number of cells than the header.
    """
    header, *rows = [line.split("\t") for line in text.strip("\n").split("\n")]
    keys = [_read_key(cell) for cell in header]
    records: list[dict[str, Any]] = []
    for row in rows:
        if len(row) != len(keys):
            raise InputError(f"a row of {len(row)} cells in a table of {len(keys)} columns")
        records.append({k: _read_cell(c) for k, c in zip(keys, row, strict=True) if c})
    return records


def _tabulate_segment(text: str, start: int, end: int) -> Iterator[Run]:
    values = find_values(text, start, end)
    if len(values) > 1:
        yield from _tabulate_records(text, values, values[0][0], values[-1][1], False)
    elif values:
        yield from _tabulate_value(text, *values[0], MAX_DEPTH)


def _tabulate_value(text: str, start: int, end: int, depth: int) -> Iterator[Run]:
    """The tables in a valid JSON value."""
    if text[start] == "[":
        items = list(_find_items(text, start))
        yield from _tabulate_records(text, items, start, end, depth < MAX_DEPTH)
    if text[start] == "{" and depth:
        for _, first, last in _find_pairs(text, start):
            if text[first] in "[{":
                yield from _tabulate_value(text, first, last, depth - 1)


def _tabulate_records(
    text: str, bounds: list[tuple[int, int]], start: int, end: int, nested: bool
) -> Iterator[Run]:
    records = _read_records(text, bounds)
    run = _tabulate(text, records, start, end, nested) if records else None
    if run:
        yield run


def _read_records(text: str, bounds: list[tuple[int, int]]) -> list[_Record]:
    """The records, or none where an item is not an object, or has a key twice."""
    if len(bounds) < MIN_RECORDS or any(text[start] != "{" for start, _ in bounds):
        return []
    records: list[_Record] = []
    for start, end in bounds:
        pairs = list(_find_pairs(text, start))
        cells = {key: _write_cell(text, first, last) for key, first, last in pairs}
        if len(cells) < len(pairs) or not cells:
            return []
        records.append(_Record(start, end, cells))
    return records


def _tabulate(
    text: str, records: list[_Record], start: int, end: int, nested: bool
) -> list[Piece] | None:
    """Header and rows in place of the array from `start` to `end`; None if that saves nothing."""
    keys = list(dict.fromkeys(key for record in records for key in record.cells))
    if len(keys) * len(records) > 3 * sum(len(record.cells) for record in records):
        return None
    begins = not nested and (start == 0 or text[start - 1] == "\n")
    header = "\t".join(_write_text(key) for key in keys)
    run = [Piece(start, records[0].start, ("" if begins else "\n") + header, RECORDS)]
    for record in records:
        at = run[-1].end
        if at < record.start:
            run.append(Piece(at, record.start, "", RECORDS))
        row = "\t".join(record.cells.get(key, "") for key in keys)
        run.append(Piece(record.start, record.end, "\n" + row, RECORDS))
    if run[-1].end < end:
        after = _SPACE.match(text, end)
        ends = not nested and (end == len(text) or bool(after and "\n" in after[0]))
        run.append(Piece(run[-1].end, end, "" if ends else "\n", RECORDS))
    became = sum(len(piece.text) for piece in run)
    return run if became < len(minify_text(text, start, end)) else None


def _find_items(text: str, start: int) -> Iterator[tuple[int, int]]:
    """The bounds of the items of a valid array."""
    at = _skip(text, start + 1)
    while text[at] != "]":
        end = _DECODER.raw_decode(text, at)[1]
        yield at, end
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at


def _find_pairs(text: str, start: int) -> Iterator[tuple[str, int, int]]:
    """The keys of a valid object, each with the bounds of its value."""
    at = _skip(text, start + 1)
    while text[at] != "}":
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        end = _DECODER.raw_decode(text, at)[1]
        yield key, at, end
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at


def _skip(text: str, at: int) -> int:
    if text[at] not in " \t\r\n":
        return at
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _write_cell(text: str, start: int, end: int) -> str:
    """A value as a cell: strings bare where they cannot be taken for anything else."""
    if text[start] == '"':
        return _write_text(_DECODER.raw_decode(text, start)[0])
    return minify_text(text, start, end) if text[start] in "[{" else text[start:end]


def _write_text(value: str) -> str:
    if _SPECIAL.search(value) or _is_json(value):
        return json.dumps(value, ensure_ascii=bool(_SURROGATE.search(value)))
    return value


def _is_json(text: str) -> bool:
    if text[0] not in "-0123456789tfnNI":
        return False
    try:
        _DECODER.decode(text)
    except ValueError:
        return False
    return True


def _read_cell(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell


def _read_key(cell: str) -> str:
    return json.loads(cell) if cell.startswith('"') else cell
