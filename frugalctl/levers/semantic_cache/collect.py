"""From the questions of a log to the entries of an index."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields

import numpy as np
import pyarrow as pa

from frugalctl.embed import Embedder
from frugalctl.levers.semantic_cache.index import INPUT_SCHEMA
from frugalctl.levers.semantic_cache.protocols import Integers, Normalizer, Vectors
from frugalctl.levers.semantic_cache.questions import Questions, make_tags
from frugalctl.levers.semantic_cache.scope import ScopeParts
from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
from frugalctl.log.times import UNKNOWN_US

TOO_LONG = "longer than the embedder reads"
POOR = "an answer below --min-quality"


@dataclass(slots=True)
class Collected:
    """What was taken from a log, and what was not.

    Attributes:
        requests: read.
        entries: taken.
        left_out: reason -> requests.
        embedding_usd: what embedding cost; None if not known.
    """

    requests: int = 0
    entries: int = 0
    left_out: Counter[str] = field(default_factory=Counter[str])
    embedding_usd: float | None = 0.0


def collect_entries(
    questions: Questions,
    embedder: Embedder,
    normalizer: Normalizer,
    collected: Collected,
    *,
    settings: SemanticCacheSettings,
) -> tuple[pa.Table, Vectors]:
    """The entries of some questions, in their order, each with its vector.

    Args:
        questions: n requests with their answers.
        embedder: makes the vectors.
        normalizer: makes the keys and what is embedded.
        collected: is told what was taken and what was not.
        settings: answers below its `min_quality` are left out, and texts longer than its
            `max_chars` have a row of zeros: they are found by their exact key only.

    Returns:
        m rows with columns of `INPUT_SCHEMA`, and float32[m, d].
    """
    collected.requests += len(questions)
    collected.left_out.update(questions.unfit)
    poor = questions.cacheable & (questions.quality < (settings.min_quality or 0.0))
    collected.left_out[POOR] += int(poor.sum())
    rows = np.flatnonzero(questions.cacheable & ~poor)
    encoded = embedder.encode(normalizer.reduce([questions.texts[at] for at in rows.tolist()]))
    if collected.embedding_usd is not None and encoded.cost_usd is not None:
        collected.embedding_usd += encoded.cost_usd
    else:
        collected.embedding_usd = None
    collected.left_out[TOO_LONG] += int(encoded.truncated.sum())
    good = ~encoded.truncated
    kept = rows[good]
    collected.entries += len(kept)
    vectors = encoded.vectors[good]
    order: list[int] = kept.tolist()
    vectors[[len(questions.texts[at]) > settings.max_chars for at in order]] = 0
    return _make_table(questions, kept, normalizer), vectors


def _make_table(questions: Questions, rows: Integers, normalizer: Normalizer) -> pa.Table:
    order: list[int] = rows.tolist()
    texts = [questions.texts[at] for at in order]
    parts = [questions.parts[at] for at in order]
    tasks = [questions.tasks[at] for at in order]
    created_us = questions.done_us[rows]
    columns = {
        "text": texts,
        "key": normalizer.make_keys(texts),
        "response": [questions.responses[at] for at in order],
        "scope": [questions.scopes[at] for at in order],
        **{part.name: [getattr(one, part.name) for one in parts] for part in fields(ScopeParts)},
        "tags": [list(make_tags(task, one)) for task, one in zip(tasks, parts, strict=True)],
        "task": tasks,
        "source_id": [questions.ids[at] for at in order],
        "created": pa.array(created_us, mask=created_us == UNKNOWN_US),
    }
    for name in ("cost_usd", "latency_ms", "quality"):
        columns[name] = pa.array(getattr(questions, name)[rows], from_pandas=True)
    arrays = {
        name: pa.array(column, INPUT_SCHEMA.field(name).type)
        if isinstance(column, list)
        else column.cast(INPUT_SCHEMA.field(name).type)
        for name, column in columns.items()
    }
    return pa.table(arrays)
