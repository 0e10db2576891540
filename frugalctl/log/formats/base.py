"""The seam between the log reader and a foreign format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from frugalctl.log.schema import Request

Record = dict[str, Any]
Numbered = tuple[int, Request]
"""A request and the number of the line that it came from."""


class FormatReader(Protocol):
    """Turns the records of one foreign format into requests.

    A reader may hold records back (to join a batch's input with its output, to keep the last of
    repeated lines); `finish` gives what is left at the end of the input.
    """

    name: str

    def matches(self, record: Record) -> bool:
        """Whether the record is of this format, judged by its keys alone."""
        ...

    def feed(self, record: Record, line: int) -> Iterable[Numbered]:
        """The requests that this record completes; none for records that are not requests.

        Raises:
            RecordError: the record is of this format and says something impossible.
        """
        ...

    def finish(self) -> Iterable[Numbered]:
        """The requests held back until the end."""
        ...


class RecordError(ValueError):
    """A record that cannot be read; the caller knows the file, `line` overrides its line."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line
