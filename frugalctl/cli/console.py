"""Printing: data on stdout or into a file, everything else on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TextIO, TypeVar

from frugalctl.cli.options import Format
from frugalctl.errors import EXIT_BROKEN_PIPE, OutputError
from frugalctl.files import replacing
from frugalctl.report.tables import Table, clip, printable, render_csv, render_markdown

_UNFOLDED = 10_000
_LONGEST_CELL = 4_000
_OBEYED = re.compile(  # by terminals: all but line ends, tabs, and our own bold and plain
    r"\x1b(?!\[[01]m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)
_WORKFLOW_COMMAND = re.compile(r"^(\s*)::")  # GitHub obeys a line that begins so


@dataclass(slots=True)
class Verbosity:
    """How much to say on stderr: -1 only errors, 0 notes, 1 more."""

    level: int = 0
    debug: bool = False


verbosity = Verbosity()


def note(message: str) -> None:
    """Say something on stderr, unless told to be quiet."""
    if verbosity.level >= 0:
        _write_stderr(f"note: {_show(message)}\n")


def detail(message: str) -> None:
    """Say something on stderr that only -v asks for."""
    if verbosity.level > 0:
        _write_stderr(f"{_show(message)}\n")


def complain(message: str, hint: str = "") -> None:
    """An error in one line, and what to do about it in another."""
    _write_stderr(f"frugalctl: {_show(message)}\n")
    if hint:
        _write_stderr(f"  hint: {_show(hint)}\n")


def _show(text: str) -> str:
    return printable(clip(text, _LONGEST_CELL))


def show_traceback() -> None:
    """Show where the current error arose, if --debug asks for it."""
    if verbosity.debug:
        import traceback

        _write_stderr(traceback.format_exc())


def _write_stderr(text: str) -> None:
    """Write to stderr, or to nowhere from the first failure on: it decides no exit code."""
    try:
        sys.stderr.write(text.encode("utf-8", "replace").decode("utf-8"))
        sys.stderr.flush()
    except OSError:
        _drop(sys.stderr)


def print_text(text: str, output: str | None) -> None:
    """Print to stdout ("-" too) or write a file, whole or not at all.

    What a terminal would obey is escaped there, and stands as it is in a file or a pipe. A reader
    of stdout that went away ends the program quietly.

    Raises:
        OutputError: the file, or stdout, cannot be written.
    """
    if output not in (None, "-"):
        with replacing(output) as temporary:
            temporary.write_bytes(_encode(text))
        return
    if getattr(sys.stdout, "name", "") == os.devnull:  # as the start of the program replaces it
        raise OutputError("cannot be written: it is closed", where="<stdout>")
    if sys.stdout.isatty():
        text = _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    try:
        sys.stdout.buffer.write(_encode(text))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _drop(sys.stdout)
        raise SystemExit(EXIT_BROKEN_PIPE) from None
    except OSError as error:
        _drop(sys.stdout)
        raise OutputError(f"cannot be written: {error.strerror}", where="<stdout>") from None


def print_all(texts: Iterable[tuple[str, str | None]]) -> None:
    """Print or write each text to its output as `print_text` does: all of them, or none.

    What goes to stdout or a device comes first, for it cannot be taken back. Where the reader of
    stdout went away the files are written none the less.

    Raises:
        OutputError: one of the outputs cannot be written.
    """
    known = list(texts)
    ended: SystemExit | None = None
    with ExitStack() as files:
        for text, output in known:
            if output not in (None, "-"):
                files.enter_context(replacing(output)).write_bytes(_encode(text))
        try:
            for text, output in known:
                if output in (None, "-"):
                    print_text(text, None)
        except SystemExit as end:
            ended = end
    if ended is not None:
        raise ended


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _drop(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, so that Python's last flush does not fail too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_tables(tables: Sequence[Table], output: str | None) -> None:
    """Print tables for a person."""
    print_text(render_tables(tables, output), output)


def render_tables(tables: Sequence[Table], output: str | None) -> str:
    """The tables as text, with colours where stdout is a terminal that wants them."""
    from io import StringIO

    from rich.console import Console

    terminal = output in (None, "-") and wants_colour()
    text = StringIO()
    width = None if output in (None, "-") and sys.stdout.isatty() else _plain_width()
    console = Console(
        file=text, force_terminal=terminal, no_color=not terminal, width=width, highlight=False
    )
    for at, table in enumerate(tables):
        if at:
            console.print()
        _print_table(console, table)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "".join(_WORKFLOW_COMMAND.sub(r"\1\\x3a:", line) + "\n" for line in lines)


def _plain_width() -> int:
    """The width of text that goes to a file or a pipe: as asked for, else nothing is folded."""
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdigit() and int(columns) > 0 else _UNFOLDED


def _print_table(console: Any, table: Table) -> None:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    console.print(Text(_show(table.title), style="bold"))
    grid = RichTable(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_header=any(table.headers)
    )
    for header, right in zip(table.headers, table.right, strict=True):
        grid.add_column(Text(_show(header)), justify="right" if right else "left", overflow="fold")
    for row in table.rows:
        grid.add_row(*(Text(_show(cell)) for cell in row))
    console.print(grid)
    for line in table.notes:
        console.print(Text(_show(line)))


def wants_colour() -> bool:
    """Whether stdout should carry colours: FORCE_COLOR, NO_COLOR, else a terminal."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or sys.stdout.isatty()


def print_rows(
    table: Table, records: Sequence[dict[str, Any]], chosen: Format, output: str | None
) -> None:
    """Print one table of records in any format; `records` are its rows as plain data."""
    renderers: dict[Format, Callable[[], str]] = {
        Format.table: lambda: render_tables([table], output),
        Format.markdown: lambda: render_markdown([table]),
        Format.json: lambda: json.dumps(records, indent=2, ensure_ascii=False) + "\n",
        Format.jsonl: lambda: "".join(
            json.dumps(record, ensure_ascii=False) + "\n" for record in records
        ),
        Format.csv: lambda: render_csv(
            list(records[0]) if records else table.headers,
            [list(record.values()) for record in records],
        ),
    }
    print_text(renderers[chosen](), output)


@contextmanager
def showing_progress(what: str) -> Generator[Callable[[int], None]]:
    """A count of work done, shown while stderr is a terminal.

    Yields:
        A function to call with each amount of work done.
    """
    if verbosity.level < 0 or not sys.stderr.isatty():
        yield lambda amount: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn(f"{what}: {{task.completed:,}}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda amount: progress.advance(task, amount)


class _Sized(Protocol):
    def __len__(self) -> int: ...


Item = TypeVar("Item", bound=_Sized)


def ticking(items: Iterable[Item], tick: Callable[[int], None]) -> Iterator[Item]:
    """The items, the size of each counted as it passes."""
    for item in items:
        yield item
        tick(len(item))
