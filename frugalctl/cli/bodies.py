"""Reports to compare or to judge: kept as JSON, or summed up from a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frugalctl.report.noise import Estimate


def load_body(path: str, seed: int) -> dict[str, Any]:
    """A report as plain data, from its JSON or from a ledger.

    Raises:
        InputError: it is neither.
    """
    from frugalctl.report.metrics import load_report

    return _sum_up(path, seed) if _is_parquet(path) else load_report(path)


def is_kept(path: str) -> bool:
    """Whether a file holds a replay, as a report or as a ledger, and no log."""
    from frugalctl.report.metrics import is_report

    return Path(path).is_file() and (is_report(path) or is_ledger_file(path))


def pair_files(base: str, head: str, seed: int) -> dict[str, Estimate] | None:
    """The changes between two ledgers of the same requests, by metric; None of anything else.

    Raises:
        InputError: a ledger is damaged.
    """
    if not (is_ledger_file(base) and is_ledger_file(head)):
        return None
    from frugalctl.replay.ledger import open_ledger
    from frugalctl.report.pairs import pair_ledgers

    return pair_ledgers(open_ledger(base)[1], open_ledger(head)[1], seed=seed) or None


def is_ledger_file(path: str) -> bool:
    """Whether a file is a ledger; looks at it without what reads parquet first."""
    if not _is_parquet(path):
        return False
    from frugalctl.replay.ledger import is_ledger

    return is_ledger(path)


def _is_parquet(path: str) -> bool:
    """Whether a file says that it is parquet; it may be damaged. A pipe can be read but once."""
    if not Path(path).is_file():
        return False
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError:
        return False


def _sum_up(path: str, seed: int) -> dict[str, Any]:
    from frugalctl.cli.startup import spare_pandas
    from frugalctl.replay.ledger import open_ledger
    from frugalctl.report.encode import encode_report
    from frugalctl.report.summary import summarise

    spare_pandas()
    meta, batches = open_ledger(path)
    return encode_report(summarise(batches, lambda: meta, seed=seed))
