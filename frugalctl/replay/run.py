"""One replay from files to ledger batches, with what is to be said about it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.log.read import OnError, ReadNotes, ReadOptions, read_log
from frugalctl.log.schema import TEXT_FIELDS, LogBatch
from frugalctl.log.stream import Source, on_disk
from frugalctl.log.times import parse_timestamp_us
from frugalctl.prices import load_book
from frugalctl.replay.answers import PriceSource
from frugalctl.replay.decisions import ReusedAnswers
from frugalctl.replay.engine import OBSERVED, Setup, choose_baseline, replay
from frugalctl.replay.judge import load_judge, needs_texts
from frugalctl.replay.ledger import LedgerBatch, LedgerMeta
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.singles import SingleModels

if TYPE_CHECKING:
    from frugalctl.replay.compress import CompressedPrompts
    from frugalctl.replay.prompt_cache import SimulatedCache
    from frugalctl.replay.semantic_cache import SimulatedReuse

_JUDGED = frozenset({"messages", "response"})
_WITHOUT = TEXT_FIELDS | {"prefix_blocks", "block_tokens", "ttft_ms", "finish_reason", "propensity"}


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How to replay a log.

    Attributes:
        recipe: the levers.
        baseline: a model to compare with; None takes the observed answers, and where the log
            has none the single model of highest quality.
        prices: "book", or "log" for the log's own costs where it has them.
        as_of: a day or time (RFC 3339) to take all prices of; None takes each request's own.
        on_error: "fail" or "skip" bad lines.
        model: stands in where a request names no model.
    """

    recipe: Recipe = field(default_factory=Recipe)
    baseline: str | None = None
    prices: PriceSource = "book"
    as_of: str | None = None
    on_error: OnError = "fail"
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """A replay under way.

    Attributes:
        batches: the ledger, to be exhausted once.
        notes: what the reader met; complete once the batches are exhausted.
        setup: what the batches are made with.
        options: as given.
        logs: the names of the log's files.
        singles: what the log's single models take.
        reuse: the simulated semantic cache, if the recipe has one.
        cache: the simulated prompt cache, if the recipe has one.
        compressed: the compressed prompts, if the recipe compresses them.
    """

    batches: Iterator[LedgerBatch]
    notes: ReadNotes
    setup: Setup
    options: ReplayOptions
    logs: tuple[str, ...]
    singles: SingleModels
    reuse: SimulatedReuse | None
    cache: SimulatedCache | None
    compressed: CompressedPrompts | None = None

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the levers say that a reader should know, once the batches are exhausted."""
        levers = (self.reuse, self.compressed, self.cache)
        return tuple(note for lever in levers if lever is not None for note in lever.notes)

    def finish(self) -> LedgerMeta:
        """The ledger's metadata, once the batches are exhausted."""
        return LedgerMeta(
            baseline=self.setup.baseline,
            recipe=self.setup.recipe.name,
            levers=self.setup.recipe.levers,
            settings=self.setup.recipe.settings(),
            prices=self.setup.prices,
            book=self.setup.book.book_id,
            as_of=self.options.as_of,
            input_xxh3=self.notes.input_xxh3,
            skipped_lines=len(self.notes.bad_lines),
            semantic_cache=None if self.reuse is None else self.reuse.summary,
            prompt_cache=None if self.cache is None else self.cache.summary,
            compress=None if self.compressed is None else self.compressed.summary,
            logs=self.logs,
            singles=self.singles.summaries(),
        )


@contextmanager
def replaying(paths: Sequence[str], options: ReplayOptions) -> Generator[ReplayRun]:
    """Replay the log in these files.

    Where the log observed nothing and no baseline is named, it is read once more to choose the
    baseline, and once more for each cache that is to be simulated.

    Raises:
        UsageError: stdin given twice, `as_of` is not a time, no baseline can be chosen.
        InputError, BadLine: see `log.read.read_log`.
    """
    as_of_us = None if options.as_of is None else parse_as_of(options.as_of)
    # a cache decides over lines read whole, one by one; the same must be left out here
    recipe = options.recipe
    simulated = (recipe.prompt_cache, recipe.semantic_cache, recipe.compress)
    exact = any(lever is not None for lever in simulated) and options.on_error == "skip"
    texts = recipe.cascade is not None and needs_texts(recipe.policies)
    without = frozenset[str]() if exact else _WITHOUT - _JUDGED if texts else _WITHOUT
    read = ReadOptions(options.on_error, without, options.model, exact=exact)
    with on_disk(paths) as sources:
        log = _open_log(sources, read)
        if options.baseline is not None:
            yield _start(log, sources, options, options.baseline, False, as_of_us)
            return
        first = next(log.batches)
        baseline = OBSERVED
        if _lacks_observed(first):
            baseline = choose_baseline(read_log(sources, read))
            log = _open_log(sources, read)
        else:
            log = _Log(_telling(chain([first], log.batches), log.notes), log.notes)
        yield _start(log, sources, options, baseline, True, as_of_us)


@dataclass(frozen=True, slots=True)
class _Log:
    batches: Iterator[LogBatch]
    notes: ReadNotes


def _open_log(sources: Sequence[Source], read: ReadOptions) -> _Log:
    notes = ReadNotes()
    return _Log(read_log(sources, read, notes), notes)


def _start(
    log: _Log,
    sources: Sequence[Source],
    options: ReplayOptions,
    baseline: str,
    prefer_observed: bool,
    as_of_us: int | None,
) -> ReplayRun:
    setup = Setup(
        book=load_book(),
        recipe=options.recipe,
        baseline=baseline,
        prefer_observed=prefer_observed,
        prices=options.prices,
        as_of_us=as_of_us,
        judge=load_judge(options.recipe.policies),
    )
    reuse = _plan_reuse(sources, setup, options)
    given = None if reuse is None else reuse.answers
    compressed = _plan_compression(sources, setup, options, given)
    if reuse is not None and compressed is not None:
        reuse = _spoil(reuse, compressed)
        given = reuse.answers
    cache = _plan_cache(sources, setup, options, given, compressed)
    singles = SingleModels()
    batches = replay(log.batches, setup, cache, given, compressed, singles)
    names = tuple(source.name for source in sources)
    return ReplayRun(batches, log.notes, setup, options, names, singles, reuse, cache, compressed)


def _plan_reuse(
    sources: Sequence[Source], setup: Setup, options: ReplayOptions
) -> SimulatedReuse | None:
    """Simulate the recipe's semantic cache in a pass of its own over the log."""
    if setup.recipe.semantic_cache is None:
        return None
    from frugalctl.replay.semantic_cache import plan_reuse

    return plan_reuse(read_log(sources, _read_whole(options)), setup, setup.recipe.semantic_cache)


def _plan_compression(
    sources: Sequence[Source], setup: Setup, options: ReplayOptions, reuse: ReusedAnswers | None
) -> CompressedPrompts | None:
    """Compress the prompts of the calls in a pass of its own over the log."""
    recipe = setup.recipe
    if recipe.compress is None:
        return None
    from frugalctl.replay.compress import plan_compression

    log = read_log(sources, _read_whole(options))
    return plan_compression(log, setup, recipe.compress, recipe.compress_ms_per_1k_tokens, reuse)


def _spoil(reuse: SimulatedReuse, compressed: CompressedPrompts) -> SimulatedReuse:
    """The answers that are used again, where compressed prompts would have given them."""
    known = int(np.isnan(reuse.answers.quality).sum())
    answers = compressed.spoil(reuse.answers)
    lost = int(np.isnan(answers.quality).sum()) - known
    unknown = reuse.summary["hits_of_unknown_quality"] + lost
    return replace(
        reuse, answers=answers, summary=reuse.summary | {"hits_of_unknown_quality": unknown}
    )


def _plan_cache(
    sources: Sequence[Source],
    setup: Setup,
    options: ReplayOptions,
    reuse: ReusedAnswers | None,
    compressed: CompressedPrompts | None,
) -> SimulatedCache | None:
    """Simulate the recipe's prompt cache in a pass of its own over the log."""
    settings = setup.recipe.prompt_cache
    if settings is None:
        return None
    from frugalctl.replay.prompt_cache import plan_prompt_cache

    log = read_log(sources, _read_whole(options))
    return plan_prompt_cache(log, setup, settings, reuse, compressed)


def _read_whole(options: ReplayOptions) -> ReadOptions:
    """Every field, so that all passes over a log find the same bad lines."""
    return ReadOptions(options.on_error, model=options.model)


def _telling(batches: Iterator[LogBatch], notes: ReadNotes) -> Iterator[LogBatch]:
    """The batches; a note where a later one has what the first made no baseline for."""
    told = False
    for batch in batches:
        if not told and _lacks_observed(batch):
            told = True
            notes.messages.append(
                "the log begins with observed answers, so requests with outcomes only are "
                "uncovered; --baseline MODEL compares them with that model"
            )
        yield batch


def _lacks_observed(batch: LogBatch) -> bool:
    """Whether some request was not answered in the log, but has outcomes."""
    unanswered = batch.column("model").is_null().to_numpy(zero_copy_only=False)
    return bool((unanswered & batch.column("outcomes").is_valid().to_numpy(False)).any())


def parse_as_of(text: str) -> int:
    """Microseconds since 1970 of a day or time.

    Raises:
        UsageError: it is neither.
    """
    try:
        return parse_timestamp_us(text)
    except ValueError:
        raise UsageError(
            f"--as-of {text!r} is not a date", hint="write it as 2026-11-20, or RFC 3339"
        ) from None
