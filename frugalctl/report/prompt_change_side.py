"""One side of a change of prompts: its requests through the provider's cache, priced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from frugalctl.levers.prompt_cache.auto import Plan, Planned, simulate_plan
from frugalctl.log.read import ReadNotes, ReadOptions, read_log
from frugalctl.log.schema import TEXT_FIELDS, LogBatch
from frugalctl.log.stream import Source
from frugalctl.prices import Calls
from frugalctl.prices.schedule import INPUT_CLASSES
from frugalctl.replay.engine import Setup, replay
from frugalctl.replay.ledger import Floats, Integers, LedgerBatch, LedgerMeta, Mask, Side
from frugalctl.replay.prompt_cache import SimulatedCache, make_cache, send_calls
from frugalctl.replay.templates.rewrite import Render, Renderer
from frugalctl.replay.templates.scan import CallRewriter, Scan
from frugalctl.report.bootstrap import Clusters
from frugalctl.report.model import Report
from frugalctl.report.prefix import read_prefix_log
from frugalctl.report.prefix_cost import PrefixLog, Pricer
from frugalctl.report.prompt_change_caches import choose_caches, name_caches
from frugalctl.report.prompt_change_model import PromptSide
from frugalctl.report.summary import summarise


@dataclass(frozen=True, slots=True)
class Inputs:
    """What both sides are made from.

    Attributes:
        sources: the log.
        read: how to read it.
        setup: the price book, the cache of the recipe, the baseline.
        scan: which requests have which prompt.
        as_of: as given, for the report.
        seed: of the bootstrap.
    """

    sources: tuple[Source, ...]
    read: ReadOptions
    setup: Setup
    scan: Scan
    as_of: str | None
    seed: int

    def open_log(self) -> Iterator[LogBatch]:
        """The log from its beginning."""
        return read_log(self.sources, self.read)

    def open_usage(self, notes: ReadNotes) -> Iterator[LogBatch]:
        """The log without its texts, as far as the same lines are left out."""
        exact = self.read.on_error == "skip"
        read = replace(self.read, exact=exact, without=frozenset() if exact else TEXT_FIELDS)
        return read_log(self.sources, read, notes)


@dataclass(frozen=True, slots=True)
class Sent:
    """The calls of one side, and what the cache does with them.

    Attributes:
        log: c calls, with their prompts.
        planned: what their caches do.
        rows: int64[c], the request of each.
    """

    log: PrefixLog
    planned: Planned
    rows: Integers


@dataclass(frozen=True, slots=True)
class Rows:
    """n requests, one by one.

    Attributes:
        cost_usd: float64[n], NaN where unknown.
        input_tokens: int64[n], 0 where the request is not compared.
        read_tokens: int64[n], likewise.
        clusters: int64[n], which are drawn together in a bootstrap.
    """

    cost_usd: Floats
    input_tokens: Integers
    read_tokens: Integers
    clusters: Integers

    def sum_up(self, rows: Integers) -> PromptSide:
        """What some of them take."""
        cost_usd = self.cost_usd[rows]
        priced = ~np.isnan(cost_usd)
        return PromptSide(
            requests=len(rows),
            priced=int(priced.sum()),
            input_tokens=int(self.input_tokens[rows].sum()),
            read_tokens=int(self.read_tokens[rows].sum()),
            cost_usd=float(cost_usd[priced].sum()) if priced.any() else None,
        )


def send_prompts(
    inputs: Inputs,
    renderer: Renderer | None,
    like: Sent | None = None,
    only: int | None = None,
) -> Sent:
    """Send the calls through their caches, with prompts as logged or as the renderer makes them.

    Args:
        inputs: the log and the rest.
        renderer: makes the prompts; None leaves them as logged.
        like: calls whose caches are taken, so that both sides have the same.
        only: the number of the one prompt to make, all others as logged; None makes all of them.
    """
    setup, picks = inputs.setup, inputs.scan.picks
    if only is not None:
        chosen = inputs.scan.uses[only].rows
        picks = {row: tuple(use for use in picks[row] if use.prompt == only) for row in chosen}
    rewriter = CallRewriter(picks, renderer)
    log = read_prefix_log(send_calls(inputs.open_log(), setup, None, rewriter))
    plan = choose_caches(log, setup) if like is None else like.planned.plan
    return Sent(log, simulate_plan(log.prompts, plan), np.array(rewriter.rows, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Replayed:
    """The log, replayed with the calls of one side.

    Attributes:
        report: what it took.
        rows: the same request by request.
        cache: the simulated cache.
        notes: what was met while reading the log.
    """

    report: Report
    rows: Rows
    cache: SimulatedCache
    notes: ReadNotes


def replay_side(inputs: Inputs, sent: Sent, name: str) -> Replayed:
    """Replay the log with the calls of one side.

    Quality is unknown wherever the prompts differ, on both sides, so that what is compared is
    over the same requests.
    """
    settings = inputs.setup.recipe.prompt_cache
    model = None if settings is None else settings.model
    cache = make_cache(sent.log.prompts, sent.planned.simulation, inputs.setup, model)
    changed = np.isin(sent.rows, sorted(inputs.scan.changed))
    notes = ReadNotes()
    gathered = _RowGatherer()
    batches = replay(inputs.open_usage(notes), inputs.setup, _ChangedPrompts(cache, changed))

    def finish() -> LedgerMeta:
        return LedgerMeta(
            baseline=inputs.setup.baseline,
            recipe=name,
            levers=("prompt_cache",),
            settings=_describe_settings(inputs, sent.planned.plan),
            prices=inputs.setup.prices,
            book=inputs.setup.book.book_id,
            as_of=inputs.as_of,
            input_xxh3=notes.input_xxh3,
            skipped_lines=len(notes.bad_lines),
            prompt_cache=cache.summary | {"name": name_caches(sent.planned.plan)},
            logs=tuple(source.name for source in inputs.sources),
        )

    report = summarise(gathered.watch(batches), finish, seed=inputs.seed)
    return Replayed(report, gathered.join(), cache, notes)


@dataclass(frozen=True, slots=True)
class Priced:
    """The calls of one side, and what its requests take."""

    sent: Sent
    rows: Rows


@dataclass(frozen=True, slots=True)
class Both:
    """Both sides.

    Attributes:
        inputs: the log and the rest.
        base: with prompts as logged.
        head: with all prompts as they will ship.
    """

    inputs: Inputs
    base: Priced
    head: Priced

    def sum_up(self, rows: Integers) -> tuple[PromptSide, PromptSide]:
        """What some requests take before and after."""
        return self.base.rows.sum_up(rows), self.head.rows.sum_up(rows)

    def change_alone(self, prompt: int) -> Priced:
        """One prompt as it will ship, all others as logged."""
        scan = self.inputs.scan
        changed = [
            at
            for at, (spec, uses) in enumerate(zip(scan.specs, scan.uses, strict=True))
            if spec.is_changed and uses.rows
        ]
        if prompt not in changed:
            return self.base
        return self.head if changed == [prompt] else self.make(prompt)

    def make(self, prompt: int, render: Render | None = None) -> Priced:
        """One prompt rendered otherwise, all others as logged; None renders it as it will ship."""
        specs, base = self.inputs.scan.specs, self.base
        renderer = Renderer(specs, {} if render is None else {prompt: render})
        sent = send_prompts(self.inputs, renderer, base.sent, prompt)
        return Priced(sent, _reprice(self.inputs, base, sent))


def _reprice(inputs: Inputs, base: Priced, sent: Sent) -> Rows:
    """What the requests take with other calls: all but the input is as before."""
    book, as_of_us = inputs.setup.book, inputs.setup.as_of_us
    before, after = (
        Pricer(side.log, book, as_of_us).price_outcome(side.planned.simulation.outcome)
        for side in (base.sent, sent)
    )
    old, outcome = base.rows, sent.planned.simulation.outcome
    cost_usd = old.cost_usd.copy()
    input_tokens, read_tokens = old.input_tokens.copy(), old.read_tokens.copy()
    cost_usd[sent.rows] += after - before
    input_tokens[sent.rows] = outcome.input_tokens
    read_tokens[sent.rows] = outcome.read_tokens
    return Rows(cost_usd, input_tokens, read_tokens, old.clusters)


def _describe_settings(inputs: Inputs, plan: Plan) -> dict[str, object]:
    """The recipe, and which prompts took the place of which."""
    prompts = {
        spec.name: {
            "file": spec.file,
            "version": spec.version or None,
            "was": spec.old_file or spec.old_from or None,
            "was_version": spec.old_version or None,
        }
        for spec in inputs.scan.specs
    }
    settings = inputs.setup.recipe.settings() or {"prompt_cache": {"name": name_caches(plan)}}
    return {**settings, "prompts": prompts}


@dataclass(slots=True)
class _ChangedPrompts:
    """A simulated cache in front of calls whose answers may be others; see `CachePlan`."""

    cache: SimulatedCache
    changed: Mask
    _next: int = 0

    def price(self, calls: Calls, answer: Integers, taken: Side, setup: Setup) -> Side:
        span = slice(self._next, self._next + len(answer))
        self._next = span.stop
        side = self.cache.price(calls, answer, taken, setup)
        return replace(side, quality=np.where(self.changed[span], np.nan, side.quality))


@dataclass(slots=True)
class _RowGatherer:
    cost_usd: list[Floats] = field(default_factory=list[Floats])
    input_tokens: list[Integers] = field(default_factory=list[Integers])
    read_tokens: list[Integers] = field(default_factory=list[Integers])
    clusters: list[Integers] = field(default_factory=list[Integers])
    sessions: Clusters = field(default_factory=Clusters)

    def watch(self, batches: Iterable[LedgerBatch]) -> Iterator[LedgerBatch]:
        for batch in batches:
            recipe, covered = batch.recipe, batch.covered
            priced = covered & batch.unpriced.is_null().to_numpy(zero_copy_only=False)
            total = np.sum([recipe.tokens[name] for name in INPUT_CLASSES], axis=0)
            self.cost_usd.append(np.where(priced, recipe.cost_usd, np.nan))
            self.input_tokens.append(np.where(covered, total, 0))
            self.read_tokens.append(np.where(covered, recipe.tokens["cache_read"], 0))
            self.clusters.append(self.sessions.assign(batch.columns["session"]))
            yield batch

    def join(self) -> Rows:
        return Rows(
            np.concatenate(self.cost_usd),
            np.concatenate(self.input_tokens),
            np.concatenate(self.read_tokens),
            np.concatenate(self.clusters),
        )
