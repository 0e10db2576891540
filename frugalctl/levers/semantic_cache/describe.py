"""What an index holds, in a few figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc

from frugalctl.levers.semantic_cache.index import Index
from frugalctl.levers.semantic_cache.protocols import Integers
from frugalctl.log.times import UNKNOWN_US, format_timestamp

_MOST_NAMES = 20
_MOST_USED = 5


def describe_index(index: Index) -> dict[str, Any]:
    """What an index holds and what it was made with, as plain data.

    `tenants`, `models` and `tasks` count the entries of the 20 most frequent names, "" for those
    without, and `names` how many there are; `most_used` names the entries that were used most.
    """
    manifest = index.manifest
    known_us = index.created_us[index.created_us != UNKNOWN_US]
    counted = {f"{column}s": _count(index, column) for column in ("tenant", "model", "task")}
    used = np.lexsort((index.entry_ids, -index.hits))[:_MOST_USED]
    return {
        "index": index.path,
        "entries": len(index),
        "scopes": manifest.scopes,
        "embedder": manifest.embedder,
        "fingerprint": manifest.fingerprint,
        "dimension": manifest.dimension,
        "dtype": manifest.dtype,
        "normalizer": manifest.normalizer,
        "settings": manifest.settings,
        "oldest": _show_time(known_us, np.min),
        "newest": _show_time(known_us, np.max),
        "hits": int(index.hits.sum()),
        "bytes": {name: file.size_bytes for name, file in sorted(manifest.files.items())},
        "names": {name: len(counts.keys() - {""}) for name, counts in counted.items()},
        **{name: dict(list(counts.items())[:_MOST_NAMES]) for name, counts in counted.items()},
        "most_used": [
            {"entry_id": entry["entry_id"], "hits": entry["hits"], "text": entry["text"]}
            for entry in map(index.entry, used.tolist())
            if entry["hits"]
        ],
    }


def _show_time(times_us: Integers, choose: Any) -> str | None:
    return format_timestamp(int(choose(times_us))) if len(times_us) else None


def _count(index: Index, column: str) -> dict[str, int]:
    counted = pc.value_counts(index.read_table([column]).column(column)).to_pylist()
    names = [(item["values"] or "", item["counts"]) for item in counted]
    return dict(sorted(names, key=lambda item: (-item[1], item[0])))
