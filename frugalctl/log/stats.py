"""What a log holds: counts, without any price."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from frugalctl.log.dedupe import HashPile, hash_strings
from frugalctl.log.schema import REQUEST_FIELDS, LogBatch
from frugalctl.log.times import format_timestamp
from frugalctl.log.usage import disjoint

_NO_MODEL = "(no model)"


@dataclass(slots=True)
class LogStats:
    """Counts over a log.

    Attributes:
        requests: rows.
        sessions: distinct sessions.
        first: earliest timestamp (RFC 3339), None without any.
        last: latest timestamp.
        fields: field -> number of requests that have it.
        models: observed model -> its requests and tokens by disjoint class.
        outcomes: model -> number of outcomes.
        estimated_usage: requests whose tokens were counted from text.
    """

    requests: int = 0
    sessions: int = 0
    first: str | None = None
    last: str | None = None
    fields: dict[str, int] = field(default_factory=lambda: dict.fromkeys(REQUEST_FIELDS, 0))
    models: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    outcomes: Counter[str] = field(default_factory=Counter[str])
    estimated_usage: int = 0


def collect_stats(batches: Iterable[LogBatch]) -> LogStats:
    """Count what is in a log."""
    stats = LogStats()
    sessions = HashPile()
    times_us: list[int] = []
    for batch in batches:
        stats.requests += batch.requests.num_rows
        for name in stats.fields:
            column = batch.column(name)
            stats.fields[name] += len(column) - column.null_count
        estimated = batch.column("usage_estimated").fill_null(False)
        stats.estimated_usage += int(np.count_nonzero(estimated.to_numpy(zero_copy_only=False)))
        known = batch.column("session").unique().drop_null().to_pylist()
        sessions.add(hash_strings(known))
        dated = batch.column("timestamp").cast(pa.int64()).drop_null().to_numpy()
        if len(dated):
            times_us += [int(dated.min()), int(dated.max())]
        _count_models(batch, stats)
    stats.sessions = sessions.count_distinct()
    if times_us:
        stats.first = format_timestamp(min(times_us))
        stats.last = format_timestamp(max(times_us))
    return stats


def _count_models(batch: LogBatch, stats: LogStats) -> None:
    outcomes = batch.column("outcomes").flatten()
    if len(outcomes):
        stats.outcomes.update(outcomes.field("model").to_pylist())
    usage = disjoint(batch.column("usage"))
    models: Any = batch.column("model").dictionary_encode()
    names = [*models.dictionary.to_pylist(), _NO_MODEL]
    codes = models.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
    answered = usage.known | batch.column("model").is_valid().to_numpy(zero_copy_only=False)
    for code, name in enumerate(names):
        mine = (codes == code) & answered
        if mine.any():
            entry = stats.models.setdefault(name, dict.fromkeys(("requests", *usage.tokens), 0))
            entry["requests"] += int(np.count_nonzero(mine))
            for key, tokens in usage.tokens.items():
                entry[key] += int(tokens[mine].sum())
