"""Ids that come twice."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import BadLine
from frugalctl.log.dedupe import HashPile, HashSet, hash_strings
from frugalctl.log.schema import Lines, LogBatch


class IdCheck:
    """Looks for ids that come twice in a log; requests without an id are let pass.

    Args:
        at_once: say of each batch which rows repeat an id, so that they can be left out. Else
            the ids are put aside, which is cheaper, and `finish` raises for the first repeat.
    """

    def __init__(self, *, at_once: bool) -> None:
        self._seen = HashSet() if at_once else None
        self._pile = HashPile()
        self._starts: list[int] = []
        self._places: list[tuple[str, Lines, NDArray[np.int64] | None]] = []
        self._count = 0

    def add(self, batch: LogBatch) -> NDArray[np.int64]:
        """The rows of a batch that repeat an id; none if that is left to `finish`."""
        ids = batch.column("id")
        hashes = hash_strings(ids.drop_null().to_pylist())
        rows = None
        if ids.null_count:
            rows = np.flatnonzero(ids.is_valid().to_numpy(zero_copy_only=False))
        if self._seen is None:
            self._pile.add(hashes)
            self._starts.append(self._count)
            self._places.append((batch.source, batch.lines, rows))
            self._count += len(hashes)
            return np.empty(0, dtype=np.int64)
        repeated = np.flatnonzero(self._seen.add(hashes))
        return repeated if rows is None else rows[repeated]

    def finish(self) -> None:
        """Raise for the first id that came twice, if that was left to the end.

        Raises:
            BadLine: at the second of the two lines.
        """
        found = self._pile.find_repeated()
        if found is None:
            return
        (source, line), (first_source, first_line) = map(self._locate, found)
        where = f"line {first_line}" if first_source == source else f"{first_source}:{first_line}"
        raise BadLine(f"duplicate id, the same as on {where}", source=source, line=line)

    def _locate(self, position: int) -> tuple[str, int]:
        at = bisect_right(self._starts, position) - 1
        source, lines, rows = self._places[at]
        offset = position - self._starts[at]
        row = offset if rows is None else int(rows[offset])
        return source, int(lines[row])
