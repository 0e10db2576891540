"""Lifetimes of chained blocks by sorting, for caches without capacity: no loop over blocks.

A visit to a block finds it dead if it was never there, if it was not used for its lifetime, if
it was written too long ago, or if a block before it is dead; it is then written anew.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.prompt_cache.hashing import Counts, Hashes

_ROW_BITS = 32
_ROW_MASK = (1 << _ROW_BITS) - 1


def count_live(
    keys: Hashes, ends: Counts, times_us: Counts, idle_us: int | None, life_us: int | None
) -> Counts:
    """How many leading blocks each prompt finds alive.

    Args:
        keys: uint64[b], the blocks of all prompts, keyed by all tokens up to their end.
        ends: int64[n + 1], where each prompt's blocks end in `keys`.
        times_us: int64[n], not falling.
        idle_us: a block dies when it is not used for longer than this; None for never.
        life_us: a block dies longer than this after it was written; None for never.
    """
    dead = np.ones(len(keys), dtype=np.bool_)
    if not len(keys):
        return np.zeros(len(times_us), dtype=np.int64)
    order, starts = group_in_order(keys)
    rows = np.repeat(np.arange(len(times_us), dtype=np.int32), np.diff(ends))[order]
    groups = None
    if life_us is not None:
        groups = np.cumsum(starts, dtype=np.int64)
        groups <<= _ROW_BITS
        groups |= rows
    if idle_us is not None:
        used_us = times_us[rows]
        starts[1:] |= used_us[1:] - used_us[:-1] > idle_us
        del used_us
    del rows
    dead[order] = starts
    if life_us is not None and groups is not None:
        by_depth, bounds = _sort_by_depth(order, ends)
        order = order[by_depth]
        groups = groups[by_depth]
        del by_depth
        last_rows = np.searchsorted(times_us, times_us + life_us, side="right")
        _expire_by_depth(dead, bounds, order, groups, last_rows)
    return _count_leading(dead, ends)


def group_in_order(keys: Hashes) -> tuple[Counts, NDArray[np.bool_]]:
    """Bring equal keys together, in the order in which they stand.

    Sorting plain integers is ten times faster than argsort: the high bits of the key and the
    position share one. Keys that agree in the high bits alone are rare and sorted again.

    Args:
        keys: uint64[n], evenly spread, n > 0.

    Returns:
        A permutation, int64[n], and where in it a new key begins, bool[n].
    """
    position_bits = np.uint64(max(len(keys) - 1, 1).bit_length())
    low = (np.uint64(1) << position_bits) - np.uint64(1)
    packed = np.arange(len(keys), dtype=np.uint64)
    packed |= keys & ~low
    packed.sort()
    order = (packed & low).view(np.int64)
    packed >>= position_bits
    grouped = keys[order]
    is_new = np.ones(len(keys), dtype=np.bool_)
    np.not_equal(grouped[1:], grouped[:-1], out=is_new[1:])
    clash = np.flatnonzero(is_new[1:] & (packed[1:] == packed[:-1]))
    for high in np.unique(packed[clash]):
        run = slice(*np.searchsorted(packed, [high, high + np.uint64(1)]))
        order[run] = order[run][np.argsort(grouped[run], kind="stable")]
        grouped[run].sort()
    if len(clash):
        np.not_equal(grouped[1:], grouped[:-1], out=is_new[1:])
    return order, is_new


def _sort_by_depth(order: Counts, ends: Counts) -> tuple[Counts, Counts]:
    """A permutation that brings blocks of one depth together, and where each depth begins."""
    depths = np.arange(len(order), dtype=np.int32)
    depths -= np.repeat(ends[:-1].astype(np.int32), np.diff(ends))
    bounds = np.concatenate(([0], np.cumsum(np.bincount(depths))))
    # numpy sorts 16-bit numbers in linear time
    narrow = np.uint16 if len(bounds) <= 1 << 16 else np.int32
    return np.argsort(depths[order].astype(narrow), kind="stable"), bounds


def _expire_by_depth(
    dead: NDArray[np.bool_], bounds: Counts, order: Counts, groups: Counts, last_rows: Counts
) -> None:
    """Add to the dead what was written too long ago, or stands behind what is dead.

    Blocks are taken by their depth in the prompt, so that those before are done.

    Args:
        dead: bool[b], in the order of the blocks; is changed.
        bounds: int64[d + 1], where each depth begins in `order`.
        order: int64[b], blocks by depth; equal ones together, in the order of their prompts.
        groups: int64[b], in that order: a number for the block, and in the low bits the prompt.
        last_rows: int64[n], the first prompt that is too late for what this one writes.
    """
    for depth in range(len(bounds) - 1):
        level = slice(bounds[depth], bounds[depth + 1])
        visits = order[level]
        starts = dead[visits]
        if depth:
            starts |= dead[visits - 1]
        dead[visits] = _expire(starts, groups[level], last_rows)


def _expire(starts: NDArray[np.bool_], groups: Counts, last_rows: Counts) -> NDArray[np.bool_]:
    """Dead visits: those given, and the first too late after each writing, and so on from there.

    A block's first visit is always given, so the search ends with the block.
    """
    writings = np.flatnonzero(starts)
    limits = np.append(writings[1:], len(starts))
    while len(writings):
        written = groups[writings]
        late = np.searchsorted(groups, written & ~_ROW_MASK | last_rows[written & _ROW_MASK])
        is_within = late < limits
        writings, limits = late[is_within], limits[is_within]
        starts[writings] = True
    return starts


def _count_leading(dead: NDArray[np.bool_], ends: Counts) -> Counts:
    """How many blocks of each prompt stand before its first dead one."""
    positions = np.append(np.flatnonzero(dead), len(dead))
    first = positions[np.searchsorted(positions, ends[:-1])]
    return np.minimum(first, ends[1:]) - ends[:-1]
