"""Rows to choose by and rows to judge by; requests of one session are never on both sides."""

from __future__ import annotations

import numpy as np

from frugalctl.errors import InputError, UsageError
from frugalctl.levers.cascade.table import Integers, OutcomeTable


def fold_rows(table: OutcomeTable, folds: int, seed: int) -> Integers:
    """A fold for each request, of nearly equal numbers of sessions.

    Returns:
        int64[n] in [0, folds).

    Raises:
        UsageError: fewer than 2 folds.
        InputError: fewer sessions than folds.
    """
    if folds < 2:
        raise UsageError(f"{folds} folds", hint="2 or more")
    clusters, of_row = np.unique(table.clusters, return_inverse=True)
    if len(clusters) < folds:
        raise InputError(
            f"too few sessions for {folds} folds: {len(clusters)}",
            hint="log more requests, of other sessions; those of one are not independent",
        )
    order = np.random.default_rng(seed).permutation(len(clusters))
    fold = np.empty(len(clusters), dtype=np.int64)
    fold[order] = np.arange(len(clusters)) % folds
    return fold[of_row]


def split_rows(table: OutcomeTable, seed: int, share: float = 0.5) -> tuple[Integers, Integers]:
    """A random part of the sessions, and the others.

    Args:
        table: the requests.
        seed: of the draw.
        share: of the sessions that the first part has, at least one and not all.

    Returns:
        The rows of both parts, in the order of the log.

    Raises:
        InputError: there is only one session.
    """
    clusters, of_row = np.unique(table.clusters, return_inverse=True)
    if len(clusters) < 2:
        raise InputError(
            "the log has one session, which cannot be split",
            hint="log more requests, of other sessions; those of one are not independent",
        )
    count = min(max(round(share * len(clusters)), 1), len(clusters) - 1)
    chosen = np.zeros(len(clusters), dtype=np.bool_)
    chosen[np.random.default_rng(seed).permutation(len(clusters))[:count]] = True
    return np.flatnonzero(chosen[of_row]), np.flatnonzero(~chosen[of_row])


def split_by_time(
    table: OutcomeTable, unknown_us: int, share: float = 0.7
) -> tuple[Integers, Integers]:
    """The sessions that began early, and the later ones.

    A session that began early and goes on late is on the early side alone.

    Args:
        table: the requests.
        unknown_us: what stands for an unknown time.
        share: of the sessions on the early side.

    Raises:
        InputError: a request has no time, or all sessions begin at once.
    """
    if (table.time_us == unknown_us).any():
        raise InputError(
            "not every request has a timestamp, so the log cannot be split by time",
            hint="--split folds or --split random do without",
        )
    clusters, of_row = np.unique(table.clusters, return_inverse=True)
    begin_us = np.full(len(clusters), np.iinfo(np.int64).max)
    np.minimum.at(begin_us, of_row, table.time_us)
    count = min(max(round(share * len(clusters)), 1), len(clusters) - 1)
    last_us = np.sort(begin_us)[count - 1] if count else 0
    early = begin_us <= last_us
    if early.all() or not count:
        raise InputError("the log has no later session to hold out", hint="--split random")
    return np.flatnonzero(early[of_row]), np.flatnonzero(~early[of_row])
