"""A format whose records stand alone: one record, its requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from frugalctl.log.formats.base import Numbered, Record
from frugalctl.log.schema import Request


@dataclass(frozen=True, slots=True)
class Skipped:
    """Why a record of a known format is no request that was paid for.

    Attributes:
        one: the reason as a noun for a single record.
        many: the same for several.
    """

    one: str
    many: str


FAILED = Skipped("failed call (not billed)", "failed calls (not billed)")

Read = Iterable[Request | Skipped]


def write_notes(counts: Counter[Skipped]) -> list[str]:
    """One line a reason, with the number of records."""
    return [f"{n} {reason.one if n == 1 else reason.many}" for reason, n in counts.items()]


class RecordReader:
    """A `FormatReader` made of two functions.

    Args:
        name: the format's name.
        matches: whether a record is of the format.
        convert: the requests of a record, and the reasons for what it leaves out.
    """

    def __init__(
        self, name: str, matches: Callable[[Record], bool], convert: Callable[[Record], Read]
    ) -> None:
        self.name = name
        self._matches = matches
        self._convert = convert
        self._skipped: Counter[Skipped] = Counter()

    @property
    def notes(self) -> list[str]:
        """What was left out, and how often."""
        return write_notes(self._skipped)

    def matches(self, record: Record) -> bool:
        """Whether the record is of this format."""
        return self._matches(record)

    def feed(self, record: Record, line: int) -> Iterable[Numbered]:
        """The requests of one record."""
        requests: list[Numbered] = []
        for item in self._convert(record):
            if isinstance(item, Skipped):
                self._skipped[item] += 1
            else:
                requests.append((line, item))
        return requests

    def finish(self) -> Iterable[Numbered]:
        """Nothing: no record waits for another."""
        return ()
