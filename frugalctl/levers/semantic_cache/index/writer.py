"""Build an index from pieces that together need not fit into memory."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.levers.semantic_cache.index.entries import INPUT_SCHEMA
from frugalctl.levers.semantic_cache.index.folder import follow, locking, replacing_folder
from frugalctl.levers.semantic_cache.index.manifest import IndexSettings, Manifest
from frugalctl.levers.semantic_cache.index.plan import Rows, join_rows, lay_out, replace_equal
from frugalctl.levers.semantic_cache.index.sources import (
    SPOOL_ENTRIES,
    SPOOL_VECTORS,
    read_new_rows,
    take_in,
    take_spool,
)
from frugalctl.levers.semantic_cache.index.vectors import view_bytes
from frugalctl.levers.semantic_cache.index.writing import write_index


class IndexWriter:
    """Builds an index from pieces: `with IndexWriter(path, settings) as writer: writer.write(...)`.

    It holds the writers' lock; the index appears when the block succeeds. Only keys, scopes and a
    few numbers of each entry stay in memory.

    Args:
        path: the folder; another index or an empty folder is replaced, nothing else.
        settings: what entries and vectors are made with.
        graph: whether to add graphs of large scopes, as for `build_index`.
        wait_s: how long to wait for another writer, in seconds.

    Attributes:
        manifest: of the index, once it is written.

    Raises:
        OutputError: another process writes there, something else stands there, or it cannot be
            written.
    """

    def __init__(
        self, path: str | Path, settings: IndexSettings, *, graph: bool = False, wait_s: float = 0
    ) -> None:
        self.manifest: Manifest | None = None
        self._target = follow(path)
        self._settings = settings
        self._graph = graph
        self._wait_s = wait_s
        self._rows: list[Rows] = []
        self._norms: list[NDArray[np.float32]] = []

    def __enter__(self) -> IndexWriter:
        with ExitStack() as stack:
            stack.enter_context(locking(self._target, self._wait_s))
            self._folder = stack.enter_context(replacing_folder(self._target))
            self._spool = self._folder / "spool"
            self._spool.mkdir()
            self._vectors: Any = stack.enter_context((self._spool / SPOOL_VECTORS).open("wb"))
            out = stack.enter_context((self._spool / SPOOL_ENTRIES).open("wb"))
            self._table: Any = pa.ipc.new_file(out, INPUT_SCHEMA)
            self._out: Any = out
            self._stack = stack.pop_all()
        return self

    def write(self, entries: pa.Table, vectors: NDArray[np.float32]) -> None:
        """Add n entries with their vectors, as `build_index` takes them.

        Raises:
            InputError: entries or vectors are not what they should be.
        """
        table, source = take_in(entries, vectors, self._settings)
        if not table.num_rows:
            return
        self._table.write_batch(table.combine_chunks().to_batches()[0])
        self._vectors.write(view_bytes(source.vectors))
        self._rows.append(read_new_rows(table, self._settings))
        self._norms.append(source.norms)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._stack as stack:
            if error is not None:
                stack.__exit__(kind, error, traceback)
                return
            self._finish()

    def _finish(self) -> None:
        self._table.close()
        self._out.close()
        self._vectors.close()
        if not self._rows:
            self.manifest = _write_empty(self._folder, self._settings, self._graph)
        else:
            rows, stays = replace_equal(join_rows(self._rows))
            source = take_spool(self._spool, np.concatenate(self._norms), self._settings)
            plan = lay_out(rows, stays, 0)
            self.manifest = write_index(
                self._folder, [source], plan, self._settings, graph=self._graph
            )
        shutil.rmtree(self._spool)


def _write_empty(folder: Path, settings: IndexSettings, graph: bool) -> Manifest:
    table, source = take_in(
        pa.Table.from_batches([], schema=INPUT_SCHEMA),
        np.empty((0, settings.dimension), dtype=np.float32),
        settings,
    )
    rows, stays = replace_equal(read_new_rows(table, settings))
    return write_index(folder, [source], lay_out(rows, stays, 0), settings, graph=graph)
