"""Prompts from the batches of a log."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frugalctl.errors import BadLine, InputError
from frugalctl.levers.prompt_cache.hashing import Counts
from frugalctl.levers.prompt_cache.prompts import Prompts
from frugalctl.levers.prompt_cache.texts import TextBuilder
from frugalctl.log.schema import LogBatch
from frugalctl.log.times import UNKNOWN_US

_Columns = dict[str, list[Any]]


def read_prompts(
    batches: Iterable[LogBatch],
    *,
    tokens_of: str | None = None,
    with_answers: bool = True,
) -> Prompts:
    """The prompts of a log, in its order.

    A request with messages is simulated by its text, one with `prefix_blocks` alone by these,
    one with neither stays uncovered. Text is counted with the vocabulary of the request's model
    (o200k_base where that is unknown); shares are later scaled to the logged total.

    Args:
        batches: the log, with messages, tools and response.
        tokens_of: count all text with this model's vocabulary.
        with_answers: also tokenise the responses, which caches of outputs need.

    Raises:
        BadLine: messages that are not a list of objects.
        FrugalError: the vocabulary is not installed.
    """
    gatherer = _Gatherer(TextBuilder(tokens_of), with_answers)
    for batch in batches:
        gatherer.add(batch)
    return gatherer.build()


@dataclass(slots=True)
class _Gatherer:
    texts: TextBuilder
    with_answers: bool
    columns: _Columns = field(default_factory=_Columns)
    models: dict[str, int] = field(default_factory=dict[str, int])
    tenants: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, batch: LogBatch) -> None:
        models = [name or "" for name in batch.column("model").to_pylist()]
        tenants = [name or "" for name in batch.column("tenant").to_pylist()]
        usage = batch.column("usage")
        blocks = batch.column("prefix_blocks")
        rows = len(models)
        added: dict[str, Any] = {
            "time_us": _to_ints(batch.column("timestamp").cast(pa.int64()), UNKNOWN_US),
            "begun_us": _read_delay(batch.column("ttft_ms")),
            "done_us": _read_delay(batch.column("latency_ms")),
            "models": [self.models.setdefault(name, len(self.models)) for name in models],
            "tenants": [self.tenants.setdefault(name, len(self.tenants)) for name in tenants],
            "input_tokens": _to_ints(_child(usage, "input_tokens", rows), -1),
            "output_tokens": _to_ints(_child(usage, "output_tokens", rows), 0),
            "blocks": _to_ints(blocks.flatten(), 0),
            "block_counts": _to_ints(blocks.value_lengths(), 0),
            "block_tokens": _to_ints(batch.column("block_tokens"), 0),
            **self._add_texts(batch, models),
        }
        for name, values in added.items():
            self.columns.setdefault(name, []).append(np.asarray(values, dtype=np.int64))

    def build(self) -> Prompts:
        texts = self.texts.build()
        joined = {name: np.concatenate(parts) for name, parts in self.columns.items()}
        empty = np.zeros(0, dtype=np.int64)
        taken = {name: joined.get(name, empty) for name in _PLAIN}
        prompts = Prompts(
            **taken,
            segment_ends=_to_ends(joined.get("segment_counts", empty)),
            block_ends=_to_ends(joined.get("block_counts", empty)),
            model_names=tuple(self.models),
            texts=texts,
        )
        _fill_input_tokens(prompts)
        return prompts

    def _add_texts(self, batch: LogBatch, models: list[str]) -> dict[str, list[int]]:
        segments: list[int] = []
        marks: list[int] = []
        counts: list[int] = []
        answers: list[int] = []
        tools = batch.column("tools").to_pylist()
        responses = batch.column("response").to_pylist()
        for row, messages in enumerate(batch.column("messages").to_pylist()):
            model = models[row]
            try:
                found = self.texts.add_messages(messages, tools[row], model) if messages else []
            except InputError as error:
                line = batch.lines[row]
                raise BadLine(error.message, source=batch.source, line=line) from None
            segments += [number for number, _ in found]
            marks += [mark for _, mark in found]
            counts.append(len(found))
            answered = self.with_answers and found and responses[row] is not None
            answers.append(self.texts.add_answer(responses[row], model) if answered else -1)
        return {
            "segments": segments,
            "marks": marks,
            "segment_counts": counts,
            "answers": answers,
        }


_PLAIN = (
    "time_us",
    "begun_us",
    "done_us",
    "tenants",
    "models",
    "input_tokens",
    "output_tokens",
    "segments",
    "marks",
    "answers",
    "blocks",
    "block_tokens",
)


def _fill_input_tokens(prompts: Prompts) -> None:
    """Count the input of requests without usage."""
    missing = prompts.input_tokens < 0
    spanned = np.diff(prompts.block_ends) * prompts.block_tokens
    counted = np.where(prompts.has_text, prompts.counted_tokens, spanned)
    prompts.input_tokens[missing] = counted[missing]


def _child(usage: Any, name: str, rows: int) -> Any:
    if pa.types.is_struct(usage.type):
        return pc.struct_field(usage, name)
    return pa.nulls(rows, pa.int64())


def _read_delay(delay_ms: Any) -> Counts:
    values = delay_ms.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
    return np.rint(np.maximum(values, 0) * 1000).astype(np.int64)


def _to_ints(column: Any, missing: int) -> Counts:
    return column.cast(pa.int64()).fill_null(missing).to_numpy(zero_copy_only=False)


def _to_ends(counts: Counts) -> Counts:
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))
