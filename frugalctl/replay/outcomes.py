"""A log as one table of what every model answered, priced: what a cascade is learned from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.errors import InputError
from frugalctl.levers.cascade.table import OutcomeTable
from frugalctl.log.read import OnError, ReadNotes, ReadOptions, read_log
from frugalctl.log.schema import LogBatch
from frugalctl.log.stream import on_disk
from frugalctl.log.texts import read_asked
from frugalctl.log.times import UNKNOWN_US
from frugalctl.prices import PriceBook, load_book
from frugalctl.replay.answers import Answers, PriceSource, collect_answers, floats
from frugalctl.replay.judge import response_texts
from frugalctl.replay.ledger import Floats, Integers

_WITHOUT = frozenset({"tools", "sampling", "reference", "prefix_blocks", "block_tokens", "ttft_ms"})
_TEXTS = frozenset({"messages", "response"})
_FIGURES = ("quality", "cost_usd", "latency_ms", "confidence")


@dataclass(frozen=True, slots=True)
class OutcomeOptions:
    """How to read a log's outcomes.

    Attributes:
        prices: "book", or "log" for the log's own costs where it has them.
        as_of_us: a time to take all prices of, in microseconds since 1970.
        on_error: "fail" or "skip" bad lines.
        model: stands in where a request names no model.
        texts: whether questions and responses are read too.
    """

    prices: PriceSource = "book"
    as_of_us: int | None = None
    on_error: OnError = "fail"
    model: str | None = None
    texts: bool = False


def read_outcomes(
    paths: Sequence[str], options: OutcomeOptions | None = None, notes: ReadNotes | None = None
) -> OutcomeTable:
    """Read and price all outcomes of the log in these files.

    Models stand in the order in which the log first names them. An observed answer counts as its
    model's outcome where the log has no other.

    Raises:
        InputError: the log has no request; and see `log.read.read_log`.
        BadLine: see `log.read.read_log`.
    """
    chosen = OutcomeOptions() if options is None else options
    without = _WITHOUT if chosen.texts else _WITHOUT | _TEXTS
    read = ReadOptions(chosen.on_error, without, chosen.model)
    with on_disk(paths) as sources:
        return collect_outcomes(read_log(sources, read, notes), load_book(), chosen)


def collect_outcomes(
    batches: Iterable[LogBatch], book: PriceBook, options: OutcomeOptions
) -> OutcomeTable:
    """The outcomes of batches of a log, see `read_outcomes`."""
    gatherer = _Gatherer(options.texts)
    for batch in batches:
        gatherer.add(batch, collect_answers(batch, book, options.prices, options.as_of_us))
    return gatherer.build()


@dataclass(frozen=True, slots=True)
class _Part:
    """The cells of one batch: a row and a model each, with its figures."""

    rows: int
    row: Integers
    model: Integers
    figures: dict[str, Floats]
    responses: NDArray[np.object_] | None


@dataclass(slots=True)
class _Gatherer:
    texts: bool
    models: dict[str, int] = field(default_factory=dict[str, int])
    parts: list[_Part] = field(default_factory=list[_Part])
    sessions: list[pa.Array] = field(default_factory=list[pa.Array])
    times_us: list[Integers] = field(default_factory=list[Integers])
    ids: list[str | None] = field(default_factory=list[str | None])
    tasks: list[str | None] = field(default_factory=list[str | None])
    observed: list[Integers] = field(default_factory=list[Integers])
    propensity: list[Floats] = field(default_factory=list[Floats])
    questions: list[str] = field(default_factory=list[str])

    def add(self, batch: LogBatch, answers: Answers) -> None:
        encoded = answers.side.model.dictionary_encode()
        names: list[str] = encoded.dictionary.to_pylist()
        numbers = np.array([self.models.setdefault(name, len(self.models)) for name in names])
        at = np.flatnonzero(encoded.indices.is_valid().to_numpy(zero_copy_only=False))
        index = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
        side = answers.side
        figures = {
            "quality": side.quality[at],
            "cost_usd": side.cost_usd[at],
            "latency_ms": side.latency_ms[at],
            "confidence": answers.confidence[at],
        }
        model = numbers[index] if len(names) else np.empty(0, dtype=np.int64)
        responses = response_texts(batch)[at] if self.texts else None
        self.parts.append(_Part(answers.requests, answers.row[at], model, figures, responses))
        self.sessions.append(batch.column("session"))
        times_us = batch.column("timestamp").cast(pa.int64()).fill_null(UNKNOWN_US)
        self.times_us.append(times_us.to_numpy(zero_copy_only=False))
        observed = np.full(answers.requests, -1, dtype=np.int64)
        own = at < answers.requests
        observed[at[own]] = model[own]
        self.observed.append(observed)
        self.propensity.append(floats(batch.column("propensity")))
        self.ids += batch.column("id").to_pylist()
        self.tasks += batch.column("task").to_pylist()
        if self.texts:
            self.questions += read_asked(batch.column("messages"))

    def build(self) -> OutcomeTable:
        rows = sum(part.rows for part in self.parts)
        if not rows:
            raise InputError("the log has no request")
        shape = (rows, len(self.models))
        present = np.zeros(shape, dtype=np.bool_)
        figures = {name: np.full(shape, np.nan) for name in _FIGURES}
        responses = np.full(shape if self.texts else (0, 0), None, dtype=np.object_)
        first = 0
        for part in self.parts:
            # outcomes come after observed answers, so they are what stays
            cell = part.row + first, part.model
            present[cell] = True
            for name, values in part.figures.items():
                figures[name][cell] = values
            if part.responses is not None:
                responses[cell] = part.responses
            first += part.rows
        return OutcomeTable(
            models=tuple(self.models),
            present=present,
            **figures,
            clusters=number_clusters(pa.chunked_array(self.sessions)),
            time_us=np.concatenate(self.times_us),
            ids=tuple(self.ids),
            tasks=tuple(self.tasks),
            observed=np.concatenate(self.observed),
            propensity=np.concatenate(self.propensity),
            questions=tuple(self.questions),
            responses=tuple(tuple(column) for column in responses.T.tolist()),
        )


def number_clusters(sessions: pa.ChunkedArray) -> Integers:
    """Requests of one session share a number; one without a session has a number of its own."""
    encoded = sessions.combine_chunks().dictionary_encode()
    missing = encoded.indices.is_null().to_numpy(zero_copy_only=False)
    numbers = np.empty(len(missing), dtype=np.int64)
    numbers[~missing] = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
    numbers[missing] = len(encoded.dictionary) + np.arange(int(missing.sum()))
    return numbers
