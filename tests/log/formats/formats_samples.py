"""Records of every format, with numbers of our own, and what they must be read as.

A line of `samples.jsonl` holds the records that make one request. `usage` is (input, cache
read, cache write, cache write 1h, output, reasoning), `classes` the disjoint (fresh, read,
write, write 1h, output, reasoning); both were worked out by hand.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sample:
    format: str
    records: list[dict[str, Any]]
    usage: list[int | None] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    messages: list[Any] | None = None


_FILE = Path(__file__).with_name("samples.jsonl")
_ALL = [Sample(**json.loads(line)) for line in _FILE.read_text(encoding="utf-8").splitlines()]

SAMPLES = [sample for sample in _ALL if sample.usage]


def records_of(name: str) -> list[dict[str, Any]]:
    """The records of the first sample of a format."""
    return next(sample.records for sample in _ALL if sample.format == name)


[CHAT] = records_of("chat session")
