"""Recorded hits that no writer has folded into the table yet: `usage.log`.

A record is 24 bytes: entry_id, time in microseconds, and a check of the two. Records are only
appended, under the writers' lock. A process that dies leaves at most a part of one at the end,
which is ignored, and dropped by the next one; any other damage is an error. Records outlive the
process, but the last ones not a machine that stops at once: they are worth no wait for the disk.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import InputError, OutputError
from frugalctl.levers.semantic_cache.index.folder import follow, locking, refuse_missing
from frugalctl.levers.semantic_cache.index.manifest import USAGE

Integers = NDArray[np.int64]

_RECORD = np.dtype([("entry_id", "<i8"), ("at_us", "<i8"), ("check", "<u8")])
# odd numbers: a change of either field alone always changes the check
_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))


def record_hits(
    path: str | Path, entry_ids: Sequence[int] | Integers, at_us: int, *, wait_s: float = 0
) -> None:
    """Remember that entries were used.

    Args:
        path: the index.
        entry_ids: whose answers were used, as often as they were.
        at_us: when, in microseconds since 1970 UTC.
        wait_s: how long to wait for another writer, in seconds.

    Raises:
        InputError: there is no index.
        OutputError: another process writes the index, or it cannot be written.
    """
    target = follow(path)
    records = np.empty(len(entry_ids), dtype=_RECORD)
    records["entry_id"] = entry_ids
    records["at_us"] = at_us
    records["check"] = _check(records["entry_id"], records["at_us"])
    with locking(target, wait_s):
        refuse_missing(target)
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            handle = os.open(target / USAGE, flags, 0o666)
            with os.fdopen(handle, "wb") as file:
                size = os.fstat(handle).st_size
                whole = size - size % _RECORD.itemsize
                file.truncate(whole)
                file.seek(whole)
                file.write(records.tobytes())
        except OSError as error:
            raise OutputError(f"cannot be written: {error.strerror}", where=str(path)) from None


def read_usage(data: bytes, where: str) -> tuple[Integers, Integers]:
    """The entry ids and the times in microseconds that were recorded.

    Raises:
        InputError: a record is damaged.
    """
    count = len(data) // _RECORD.itemsize
    records = np.frombuffer(data, dtype=_RECORD, count=count)
    entry_ids = records["entry_id"].astype(np.int64)
    times_us = records["at_us"].astype(np.int64)
    bad = np.flatnonzero(_check(entry_ids, times_us) != records["check"])
    if len(bad):
        raise InputError(
            f"{USAGE}: the record at byte {bad[0] * _RECORD.itemsize} is damaged",
            where=where,
            hint=f"remove {USAGE}: only the hits recorded since the last writing are lost",
        )
    return entry_ids, times_us


def fold_usage(
    recorded: tuple[Integers, Integers], entry_ids: Integers, hits: Integers, last_used_us: Integers
) -> tuple[Integers, Integers]:
    """Hits and times of last use with what was recorded.

    Args:
        recorded: ids and times, as `read_usage` returns them; unknown ids are those of entries
            that have left.
        entry_ids: int64[n], of the rows.
        hits: int64[n].
        last_used_us: int64[n], UNKNOWN_US for never.

    Returns:
        int64[n] and int64[n], new ones.
    """
    ids, times_us = recorded
    hits, last_used_us = hits.copy(), last_used_us.copy()
    if not len(ids) or not len(entry_ids):
        return hits, last_used_us
    order = np.argsort(entry_ids)
    places = np.minimum(np.searchsorted(entry_ids, ids, sorter=order), len(order) - 1)
    rows = order[places]
    known = entry_ids[rows] == ids
    np.add.at(hits, rows[known], 1)
    np.maximum.at(last_used_us, rows[known], times_us[known])
    return hits, last_used_us


def _check(entry_ids: Integers, times_us: Integers) -> NDArray[np.uint64]:
    ids, times = entry_ids.astype(np.uint64), times_us.astype(np.uint64)
    return (ids + np.uint64(1)) * _FACTORS[0] + times * _FACTORS[1]
