"""Small indexes for the tests."""

import hashlib

import numpy as np
import pyarrow as pa

from frugalctl.levers.semantic_cache.index import IndexSettings

DIMENSION = 8
MADE_WITH = {"fingerprint": "f1", "normalizer": "n1"}


def settings(dtype: str = "float32", **changes) -> IndexSettings:
    return IndexSettings(
        **{
            "embedder": "static",
            "fingerprint": "f1",
            "dimension": DIMENSION,
            "normalizer": "n1",
            "dtype": dtype,
            "settings": {"threshold": 0.9},
        }
        | changes
    )


def scope(name: str) -> str:
    return hashlib.md5(name.encode()).hexdigest()


def vectors(texts, dimension: int = DIMENSION) -> np.ndarray:
    """A direction for each text, the same each time."""
    rows = np.empty((len(texts), dimension), dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        seed = int.from_bytes(hashlib.md5(text.encode()).digest()[:8])
        row[:] = np.random.default_rng(seed).standard_normal(dimension)
        row /= np.linalg.norm(row)
    return rows


def entries(rows) -> pa.Table:
    """A table from dicts; what a row does not say is plain."""
    full = [
        {
            "text": row["key"] + "?",
            "response": "answer to " + row["key"],
            "tenant": row.get("tenant", "a"),
            **row,
            "scope": scope(row.get("tenant", "a")),
        }
        for row in rows
    ]
    names = list(dict.fromkeys(name for row in full for name in row))
    table = pa.table({name: [row.get(name) for row in full] for name in names})
    for name in ("created", "last_used"):
        if name in names:
            times = pa.array([row.get(name) for row in full], pa.int64())
            times = times.cast(pa.timestamp("us", tz="UTC"))
            table = table.set_column(names.index(name), name, times)
    return table


def make(rows) -> tuple[pa.Table, np.ndarray]:
    table = entries(rows)
    return table, vectors(table.column("text").to_pylist())


def keys(count: int, start: int = 0) -> list[dict]:
    return [{"key": f"question {number}"} for number in range(start, start + count)]
