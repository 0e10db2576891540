"""Build an index, add to it, take from it: always a new folder in the place of the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.index.folder import (
    follow,
    locking,
    refuse_missing,
    replacing_folder,
)
from frugalctl.levers.semantic_cache.index.index import Index, open_index
from frugalctl.levers.semantic_cache.index.manifest import GRAPH, IndexSettings, Manifest
from frugalctl.levers.semantic_cache.index.plan import (
    evict,
    expire,
    join_rows,
    lay_out,
    replace_equal,
)
from frugalctl.levers.semantic_cache.index.sources import (
    read_new_rows,
    read_old_rows,
    take_from,
    take_in,
)
from frugalctl.levers.semantic_cache.index.writing import write_index
from frugalctl.levers.semantic_cache.retention import Retention
from frugalctl.log.times import UNKNOWN_US

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Added:
    """What became of added entries.

    Attributes:
        added: entries of a key that was not there.
        replaced: entries that took the place of an older one of equal scope and key.
        outdated: entries left out, since a newer one of equal scope and key is there.
        expired: entries, old and new, past their lifetime.
        evicted: entries, old and new, for which there was no room.
        total: entries in the index now.
    """

    added: int
    replaced: int
    outdated: int
    expired: int
    evicted: int
    total: int


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was taken from an index.

    Attributes:
        expired: entries past their lifetime.
        chosen: entries named by tag, age or id.
        evicted: entries for which there was no room.
        remaining: entries in the index now.
    """

    expired: int
    chosen: int
    evicted: int
    remaining: int


def build_index(
    path: str | Path,
    entries: pa.Table,
    vectors: NDArray[np.float32],
    settings: IndexSettings,
    *,
    graph: bool = False,
    wait_s: float = 0,
) -> Manifest:
    """Build an index from entries in memory, in the place of an older one.

    Args:
        path: the folder; another index or an empty folder is replaced, nothing else.
        entries: n rows with columns of `INPUT_SCHEMA`, in the order in which they came.
        vectors: float32[n, d] of length 1 or 0, of their texts.
        settings: what they were made with.
        graph: whether to add graphs of large scopes for approximate search (extra `ann`). Later
            changes make them anew, which takes about a millisecond a row.
        wait_s: how long to wait for another writer, in seconds.

    Raises:
        InputError: entries or vectors are not what they should be.
        OutputError: another process writes there, something else stands there, or it cannot be
            written.
    """
    table, source = take_in(entries, vectors, settings)
    rows, stays = replace_equal(read_new_rows(table, settings))
    target = follow(path)
    with locking(target, wait_s), replacing_folder(target) as folder:
        return write_index(folder, [source], lay_out(rows, stays, 0), settings, graph=graph)


def add_entries(
    path: str | Path,
    entries: pa.Table,
    vectors: NDArray[np.float32],
    *,
    fingerprint: str,
    normalizer: str,
    retention: Retention | None = None,
    now_us: int | None = None,
    wait_s: float = 0,
) -> Added:
    """Add entries to an index; of equal scope and key the newest answer stays.

    Args:
        path: the index.
        entries: n rows with columns of `INPUT_SCHEMA`, in the order in which they came.
        vectors: float32[n, d] of length 1 or 0, of their texts.
        fingerprint: of the embedder that made the vectors.
        normalizer: of what made the keys and the embedded text.
        retention: lifetime and room; None keeps all.
        now_us: at which time the lifetime is looked at; None not at all.
        wait_s: how long to wait for another writer, in seconds.

    Raises:
        InputError: there is no index, it is damaged, or it was made with another embedder,
            dimension or normaliser.
        OutputError: another process writes it, or it cannot be written.
    """
    target = follow(path)
    limits = retention or Retention()
    with locking(target, wait_s):
        refuse_missing(target)
        index = open_index(target)
        _check_made_with(index, fingerprint, vectors, normalizer)
        table, source = take_in(entries, vectors, index.manifest)
        old = len(index)
        rows = join_rows([read_old_rows(index), read_new_rows(table, index.manifest)])
        rows, stays = replace_equal(rows)
        replaced = old - int(stays[:old].sum())
        newcomers = int(stays[old:].sum())
        expired = expire(rows, stays, limits, now_us)
        evicted = evict(rows, stays, limits)
        plan = lay_out(rows, stays, index.manifest.next_id)
        with replacing_folder(target) as folder:
            sources = [take_from(index), source]
            write_index(folder, sources, plan, index.manifest, graph=GRAPH in index.manifest.files)
    return Added(
        newcomers - replaced,
        replaced,
        table.num_rows - newcomers,
        expired,
        evicted,
        len(plan.order),
    )


def prune_index(
    path: str | Path,
    retention: Retention | None = None,
    *,
    now_us: int | None = None,
    tags: Sequence[str] = (),
    before_us: int | None = None,
    entry_ids: Sequence[int] = (),
    wait_s: float = 0,
) -> Pruned:
    """Take entries from an index: past their lifetime, named, or without room, in this order.

    Args:
        path: the index.
        retention: lifetime and room; None for neither.
        now_us: at which time the lifetime is looked at; None not at all.
        tags: entries with any of these tags leave.
        before_us: entries made before leave; not those of unknown time.
        entry_ids: entries of these ids leave.
        wait_s: how long to wait for another writer, in seconds.

    Raises:
        InputError: there is no index, or it is damaged.
        OutputError: another process writes it, or it cannot be written.
    """
    target = follow(path)
    limits = retention or Retention()
    with locking(target, wait_s):
        refuse_missing(target)
        index = open_index(target)
        rows = read_old_rows(index)
        stays = np.ones(len(index), dtype=np.bool_)
        expired = expire(rows, stays, limits, now_us)
        chosen = stays & (_have_tags(index, tags) | np.isin(rows.entry_id, [*entry_ids]))
        if before_us is not None:
            chosen |= stays & (rows.created_us < before_us) & (rows.created_us != UNKNOWN_US)
        stays &= ~chosen
        evicted = evict(rows, stays, limits)
        plan = lay_out(rows, stays, index.manifest.next_id)
        with replacing_folder(target) as folder:
            sources = [take_from(index)]
            write_index(folder, sources, plan, index.manifest, graph=GRAPH in index.manifest.files)
    return Pruned(expired, int(chosen.sum()), evicted, len(plan.order))


def _check_made_with(
    index: Index, fingerprint: str, vectors: NDArray[np.float32], normalizer: str
) -> None:
    manifest = index.manifest
    for what, theirs, ours in (
        ("embedder", manifest.fingerprint, fingerprint),
        ("dimension", manifest.dimension, vectors.shape[-1]),
        ("normaliser", manifest.normalizer, normalizer),
    ):
        if theirs != ours:
            raise InputError(
                f"was built with the {what} {theirs}, not {ours}",
                where=index.path,
                hint="rebuild it with `frugalctl cache build`",
            )


def _have_tags(index: Index, tags: Sequence[str]) -> Mask:
    """bool[n], which entries have any of the tags."""
    found = np.zeros(len(index), dtype=np.bool_)
    if not tags:
        return found
    column = index.read_table(["tags"]).column("tags").combine_chunks()
    matches = pc.is_in(pc.list_flatten(column), value_set=pa.array([*tags], pa.string()))
    parents = pc.list_parent_indices(column)
    found[pc.filter(parents, matches).to_numpy()] = True
    return found
