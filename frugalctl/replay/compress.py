"""Compressed prompts in a replay: what the calls that are made would have taken with them.

The log is read once more, to compress every prompt that is sent before the first is priced: a
cached prefix lasts only as far as its messages come out the same in all requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frugalctl.errors import BadLine, InputError
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.log.schema import LogBatch
from frugalctl.replay.answers import Answers, collect_answers, price_side, take_calls
from frugalctl.replay.compress_prompts import Shortener, ShortPrompt
from frugalctl.replay.compress_tokens import measure_shared, shrink_tokens
from frugalctl.replay.compress_totals import CompressTotals
from frugalctl.replay.decisions import Chosen, ReusedAnswers
from frugalctl.replay.engine import Setup, choose_calls
from frugalctl.replay.ledger import Floats, Integers, Mask, Side

__all__ = ["DEFAULT_MS_PER_1K_TOKENS", "CompressedPrompts", "plan_compression"]

DEFAULT_MS_PER_1K_TOKENS = 5.0
"""What our own tiers take on one core at 200,000 tokens a second; LLMLingua's have no default."""

_SAFE = (None, "lossless")


@dataclass(slots=True)
class CompressedPrompts:
    """The prompts of a log, compressed, and what that saves, handed out batch by batch.

    Attributes:
        prompts: of each request of the log; None where it is not sent, or shows no text.
        shared: of each, the tokens of its first messages that come out the same everywhere.
        ms_per_1k_tokens: how long compressing takes; NaN where unknown.
        changed_ids: the ids of requests whose answer is not known any more.
        shortener: which made the prompts.
        totals: of all calls priced so far.
    """

    prompts: list[ShortPrompt | None]
    shared: list[int]
    ms_per_1k_tokens: float
    changed_ids: pa.Array
    shortener: Shortener
    totals: CompressTotals
    _next: int = 0

    @property
    def summary(self) -> dict[str, Any]:
        """The report's `compress`, once all calls are priced."""
        return self.totals.sum_up(self.shortener.settings, self.ms_per_1k_tokens)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know, once all calls are priced."""
        return tuple(self.totals.describe(unknown_ms=bool(np.isnan(self.ms_per_1k_tokens))))

    def price(self, answers: Answers, chosen: Chosen, taken: Side, setup: Setup) -> Side:
        """Price the calls of the next batch, with the tokens of compressed prompts.

        The log's own costs stand only where a call's tokens are as they were.
        """
        prompts, tokens, broken = self.shrink(self._next, chosen.row, taken.tokens)
        self._next += answers.requests
        changed = np.zeros(len(chosen.row), dtype=np.bool_)
        for name, values in tokens.items():
            changed |= values != taken.tokens[name]
        unsafe = _find_unsafe(prompts)
        side = price_side(
            setup.book,
            take_calls(answers.calls, chosen.answer, tokens),
            taken.known,
            self._add_latency(chosen.row, prompts, taken.latency_ms),
            np.where(unsafe, np.nan, taken.quality),
            as_of_us=setup.as_of_us,
        )
        self.totals.add(chosen.row, prompts, taken, tokens, broken, unsafe)
        return replace(
            side,
            usd={name: np.where(changed, side.usd[name], taken.usd[name]) for name in side.usd},
            cost_usd=np.where(changed, side.cost_usd, taken.cost_usd),
        )

    def shrink(
        self, first: int, row: Integers, tokens: dict[str, Integers]
    ) -> tuple[list[ShortPrompt | None], dict[str, Integers], Integers]:
        """The prompts of calls, their tokens, and how many of their reads are fresh input now.

        Args:
            first: the number in the log of the batch's first request.
            row: int64[c], the request in the batch that each call serves.
            tokens: class -> int64[c], as logged.
        """
        at: list[int] = (row + first).tolist()
        prompts = [self.prompts[one] for one in at]
        return prompts, *shrink_tokens(prompts, [self.shared[one] for one in at], tokens)

    def rewrite(self, first: int, row: Integers, requests: pa.RecordBatch) -> pa.RecordBatch:
        """Calls as requests of their own, with the text and the input tokens of compressed prompts.

        Args:
            first: the number in the log of the batch's first request.
            row: int64[c], the request in the batch that each call serves.
            requests: the calls, with the messages and the usage that were logged.
        """
        usage = requests.column("usage")
        logged = usage.field(0).fill_null(0).to_numpy(zero_copy_only=False)
        prompts, tokens, _ = self.shrink(first, row, {"fresh_input": logged})
        total = pa.array(tokens["fresh_input"], mask=usage.field(0).is_null().to_numpy(False))
        children = [total, *(usage.field(at) for at in range(1, usage.type.num_fields))]
        names = [usage.type.field(at).name for at in range(usage.type.num_fields)]
        written = [None if one is None else self.shortener.join(one) for one in prompts]
        columns = {
            "usage": pa.StructArray.from_arrays(children, names, mask=usage.is_null()),
            "messages": pc.coalesce(pa.array(written, pa.string()), requests.column("messages")),
        }
        for name, column in columns.items():
            requests = requests.set_column(requests.schema.get_field_index(name), name, column)
        return requests

    def spoil(self, reuse: ReusedAnswers) -> ReusedAnswers:
        """Reused answers, of unknown quality where a compressed prompt would have given them."""
        lost = pc.is_in(reuse.source, value_set=self.changed_ids).to_numpy(zero_copy_only=False)
        return replace(reuse, quality=np.where(lost & reuse.hit, np.nan, reuse.quality))

    def _add_latency(
        self, row: Integers, prompts: Sequence[ShortPrompt | None], latency_ms: Floats
    ) -> Floats:
        """A prompt is compressed once, before the first of its calls."""
        latency_ms = latency_ms.copy()
        firsts: list[int] = np.unique(row, return_index=True)[1].tolist()
        for at in firsts:
            prompt = prompts[at]
            if prompt is not None:
                latency_ms[at] += sum(prompt.before[1:]) / 1000 * self.ms_per_1k_tokens
        return latency_ms


@dataclass(slots=True)
class _Gatherer:
    """Compresses what is sent of each batch, in their order."""

    setup: Setup
    reuse: ReusedAnswers | None
    shortener: Shortener
    prompts: list[ShortPrompt | None] = field(default_factory=list["ShortPrompt | None"])
    ids: list[pa.Array] = field(default_factory=list[pa.Array])

    def add(self, batch: LogBatch) -> None:
        setup, first = self.setup, len(self.prompts)
        answers = collect_answers(batch, setup.book, setup.prices, setup.as_of_us)
        reuse = None if self.reuse is None else self.reuse.take(first, answers.requests)
        sent = np.zeros(answers.requests, dtype=np.bool_)
        sent[choose_calls(batch, answers, setup, reuse).row] = True
        found: list[ShortPrompt | None] = [None] * answers.requests
        messages, tools = batch.column("messages"), batch.column("tools")
        for row in np.flatnonzero(sent).tolist():
            text: str | None = messages[row].as_py()
            if text is None:
                continue
            try:
                found[row] = self.shortener.shorten(text, tools[row].as_py())
            except ValueError as error:
                line = batch.lines[row]
                raise BadLine(str(error), source=batch.source, line=line) from None
        self.prompts += found
        self.ids.append(batch.column("id").filter(pa.array(_find_unsafe(found))))


def plan_compression(
    batches: Iterable[LogBatch],
    setup: Setup,
    settings: CompressSettings,
    ms_per_1k_tokens: float | None = None,
    reuse: ReusedAnswers | None = None,
) -> CompressedPrompts:
    """Compress the prompts of all calls of a log.

    Args:
        batches: the log, with its texts.
        setup: the recipe, whose other levers decide the calls.
        settings: the compression.
        ms_per_1k_tokens: how long it takes; None for the default of our own tiers.
        reuse: what a semantic cache answers, so that it is not sent.

    Raises:
        InputError: no request that is sent shows its text, or the model's folder is missing.
        BadLine: messages that are not a list of objects.
        ConfigError, MissingExtraError: see `compress_prompt`.
    """
    gatherer = _Gatherer(setup, reuse, Shortener(settings))
    for batch in batches:
        gatherer.add(batch)
    prompts = gatherer.prompts
    if not any(prompt is not None for prompt in prompts):
        raise InputError(
            "no request shows its prompt, so nothing can be compressed",
            hint="the log needs messages",
        )
    if ms_per_1k_tokens is None:
        own = settings.method == "extractive" or "lossy" not in settings.tiers
        ms_per_1k_tokens = DEFAULT_MS_PER_1K_TOKENS if own else float("nan")
    return CompressedPrompts(
        prompts,
        measure_shared(prompts),
        ms_per_1k_tokens,
        pa.concat_arrays(gatherer.ids),
        gatherer.shortener,
        CompressTotals(setup.prices == "log", bool(setup.recipe.cascade), _simulates(setup)),
    )


def _simulates(setup: Setup) -> bool:
    return setup.recipe.prompt_cache is not None


def _find_unsafe(prompts: Sequence[ShortPrompt | None]) -> Mask:
    """Whose answer may be another one: more than white space and the like was changed."""
    return np.array(
        [one is not None and one.changed_by not in _SAFE for one in prompts], dtype=np.bool_
    )
