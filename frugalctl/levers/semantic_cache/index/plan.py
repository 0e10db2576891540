"""Which rows an index will hold, and in which order, without the replaced and the evicted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frugalctl.levers.semantic_cache.index.entries import (
    to_floats,
    to_numpy,
    to_scopes,
    to_times_us,
)
from frugalctl.levers.semantic_cache.retention import (
    Retention,
    choose_victims,
    is_expired,
    measure_bytes,
    rank,
)
from frugalctl.log.times import UNKNOWN_US

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

LIGHT_FIELDS = ("entry_id", "scope", "key", "created", "last_used", "hits", "cost_usd")
_NEVER_US = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Rows:
    """What decides over n rows: old ones first, then new ones as they came.

    Attributes:
        entry_id: int64[n], -1 for new ones.
        scope: bytes32[n].
        key: n texts, a chunked Arrow column.
        created_us: int64[n], UNKNOWN_US where not known.
        last_used_us: int64[n], UNKNOWN_US for never.
        hits: int64[n].
        cost_usd: float64[n], NaN where not known.
        size_bytes: int64[n], as `measure_bytes` counts.
    """

    entry_id: Integers
    scope: NDArray[np.bytes_]
    key: Any
    created_us: Integers
    last_used_us: Integers
    hits: Integers
    cost_usd: NDArray[np.float64]
    size_bytes: Integers


@dataclass(frozen=True, slots=True)
class Plan:
    """The m rows of the index to write, by (scope, entry_id).

    Attributes:
        order: int64[m], which row stands there.
        entry_id: int64[m].
        hits: int64[m].
        last_used_us: int64[m].
        scopes: the rows of each distinct scope.
        next_id: the id after all of these.
        newest_us: the last known time among them.
    """

    order: Integers
    entry_id: Integers
    hits: Integers
    last_used_us: Integers
    scopes: list[slice]
    next_id: int
    newest_us: int | None


def read_rows(table: pa.Table, vector_bytes: int) -> Rows:
    """What decides, of a table of entries with `text` and `response`, or their `size_bytes`.

    Args:
        table: with `LIGHT_FIELDS`, but `entry_id` for new ones.
        vector_bytes: of one stored vector.
    """
    entry_id = np.full(table.num_rows, -1, dtype=np.int64)
    if "entry_id" in table.column_names:
        entry_id[:] = to_numpy(table.column("entry_id"))
    return Rows(
        entry_id,
        to_scopes(table.column("scope")),
        table.column("key"),
        to_times_us(table.column("created")),
        to_times_us(table.column("last_used")),
        to_numpy(table.column("hits")),
        to_floats(table.column("cost_usd")),
        measure_bytes(
            _count_bytes(table.column("text")), _count_bytes(table.column("response")), vector_bytes
        ),
    )


def join_rows(parts: list[Rows]) -> Rows:
    """Rows one after the other."""
    return Rows(
        np.concatenate([part.entry_id for part in parts]),
        np.concatenate([part.scope for part in parts]),
        pa.chunked_array([chunk for part in parts for chunk in part.key.chunks], type=pa.string()),
        np.concatenate([part.created_us for part in parts]),
        np.concatenate([part.last_used_us for part in parts]),
        np.concatenate([part.hits for part in parts]),
        np.concatenate([part.cost_usd for part in parts]),
        np.concatenate([part.size_bytes for part in parts]),
    )


def replace_equal(rows: Rows) -> tuple[Rows, Mask]:
    """Of entries with the same scope and key keep the newest, with the hits of all.

    A new entry without a time is newer than all that have one, an old one without is older; of
    equally new ones the last stays.

    Returns:
        the rows with the hits and last uses of those that they replace, and bool[n], who stays.
    """
    count = len(rows.entry_id)
    unknown = rows.created_us == UNKNOWN_US
    age = np.where(unknown & (rows.entry_id < 0), _NEVER_US, rows.created_us)
    rank_of = np.empty(count, dtype=np.int64)
    by_age = np.lexsort((np.arange(count), age))
    rank_of[by_age] = np.arange(count)
    table = pa.table(
        {
            "scope": pa.array(_group(rows.scope)),
            "key": rows.key,
            "rank": rank_of,
            "hits": rows.hits,
            "last_used_us": rows.last_used_us,
        }
    )
    sums = table.group_by(["scope", "key"], use_threads=False).aggregate(
        [("rank", "max"), ("hits", "sum"), ("last_used_us", "max")]
    )
    winners = by_age[to_numpy(sums.column("rank_max"))]
    stays = np.zeros(count, dtype=np.bool_)
    stays[winners] = True
    hits, last_used_us = rows.hits.copy(), rows.last_used_us.copy()
    hits[winners] = to_numpy(sums.column("hits_sum"))
    last_used_us[winners] = to_numpy(sums.column("last_used_us_max"))
    return replace(rows, hits=hits, last_used_us=last_used_us), stays


def expire(rows: Rows, stays: Mask, retention: Retention, now_us: int | None) -> int:
    """Take out of `stays` who is past its lifetime at `now_us`; how many."""
    if now_us is None:
        return 0
    gone = stays & is_expired(retention, rows.created_us, rows.last_used_us, now_us)
    stays &= ~gone
    return int(gone.sum())


def evict(rows: Rows, stays: Mask, retention: Retention) -> int:
    """Take out of `stays` who has no room, new ones last; how many."""
    here = np.flatnonzero(stays)
    size_bytes = rows.size_bytes[here]
    worth = rank(
        retention,
        rows.created_us[here],
        rows.last_used_us[here],
        rows.hits[here],
        rows.cost_usd[here],
        size_bytes,
    )
    victims = choose_victims(retention, worth, size_bytes, rows.entry_id[here] < 0)
    stays[here[victims]] = False
    return int(victims.sum())


def lay_out(rows: Rows, stays: Mask, next_id: int) -> Plan:
    """Number the new ones of those who stay, and sort all by scope and id."""
    here = np.flatnonzero(stays)
    ids = rows.entry_id[here]
    is_new = ids < 0
    ids = ids.copy()
    ids[is_new] = next_id + np.arange(is_new.sum())
    groups = _group(rows.scope[here])
    by_scope = np.lexsort((ids, groups))
    order = here[by_scope]
    sizes = np.bincount(groups).tolist()
    times = np.concatenate((rows.created_us[here], rows.last_used_us[here]))
    newest = int(times.max()) if len(times) else UNKNOWN_US
    return Plan(
        order,
        ids[by_scope],
        rows.hits[order],
        rows.last_used_us[order],
        [
            slice(end - size, end)
            for size, end in zip(sizes, np.cumsum(sizes).tolist(), strict=True)
        ],
        next_id + int(is_new.sum()),
        None if newest == UNKNOWN_US else newest,
    )


def _group(scope: NDArray[np.bytes_]) -> Integers:
    """int64[n], the rank of each scope among the distinct ones."""
    changes = np.append(True, scope[1:] != scope[:-1])
    # runs of equal scopes are what logs and indexes have: sort one of each
    _, places = np.unique(scope[changes[: len(scope)]], return_inverse=True)
    return places[np.cumsum(changes[: len(scope)]) - 1].astype(np.int64)


def _count_bytes(column: Any) -> Integers:
    return to_numpy(pc.binary_length(column)).astype(np.int64)
