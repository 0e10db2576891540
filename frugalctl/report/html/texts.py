"""What the dearest requests asked, from the log: the ledger never holds it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from frugalctl.errors import InputError
from frugalctl.log.read import ReadNotes, ReadOptions, read_log
from frugalctl.log.schema import LogBatch
from frugalctl.log.stream import on_disk
from frugalctl.log.texts import read_prompt
from frugalctl.report.html.model import Dear, Page

_STDIN = "<stdin>"
_HINT = "--log LOG says where the log is that was replayed"
_NO_PROMPT = "(the log has no messages for this request)"


def add_texts(page: Page, logs: Sequence[str] = ()) -> Page:
    """The page with the texts of its dearest requests.

    Args:
        page: as collected.
        logs: where the log is now; without any, where it was.

    Raises:
        InputError: the log was stdin, is gone, or is not the one that was replayed.
    """
    paths = tuple(logs) or page.meta.logs
    if not paths or _STDIN in paths:
        raise InputError("where the log is was not kept, so its text cannot be shown", hint=_HINT)
    wanted = {dear.row: dear for dear in (*page.dear_baseline, *page.dear_recipe)}
    notes = ReadNotes()
    on_error = "skip" if page.meta.skipped_lines else "fail"
    try:
        with on_disk(paths) as sources:
            texts = _read_texts(
                read_log(sources, ReadOptions(on_error, estimate=False), notes), wanted
            )
    except InputError as error:
        raise InputError(error.message, where=error.where, hint=_HINT) from None
    if notes.input_xxh3 != page.meta.input_xxh3 or texts.keys() != wanted.keys():
        raise InputError("is not the log that was replayed", where=", ".join(paths), hint=_HINT)

    def fill(dears: tuple[Dear, ...]) -> tuple[Dear, ...]:
        return tuple(replace(dear, text=texts[dear.row]) for dear in dears)

    return replace(page, dear_baseline=fill(page.dear_baseline), dear_recipe=fill(page.dear_recipe))


def _read_texts(batches: Iterable[LogBatch], wanted: dict[int, Dear]) -> dict[int, str]:
    """The texts of the wanted rows whose id is the one expected."""
    found: dict[int, str] = {}
    first = 0
    for batch in batches:
        rows = batch.requests.num_rows
        for row in wanted.keys() & range(first, first + rows):
            at = row - first
            if batch.column("id")[at].as_py() == wanted[row].request:
                found[row] = read_prompt(batch.column("messages")[at].as_py()) or _NO_PROMPT
        first += rows
    return found
