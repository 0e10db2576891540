"""A provider's prompt cache over the calls of a replay.

The cache sees the calls that the levers before it decided, in the order of time, so the log is
read twice: once to simulate the cache over all calls, once to price them. A cascade's second
model therefore has prefixes of its own, and a request that is not sent warms nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import isnan
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from frugalctl.errors import InputError
from frugalctl.levers.prompt_cache.engine import Outcome
from frugalctl.levers.prompt_cache.prompts import Prompts
from frugalctl.levers.prompt_cache.read import read_prompts
from frugalctl.levers.prompt_cache.settings import CacheSettings
from frugalctl.levers.prompt_cache.simulate import Simulation, simulate
from frugalctl.log.schema import LogBatch
from frugalctl.log.times import UNKNOWN_US
from frugalctl.prices import Calls, price_calls
from frugalctl.prices.cache_rules import CacheRule, find_cache_rule
from frugalctl.prices.schedule import INPUT_CLASSES
from frugalctl.prices.storage import price_storage
from frugalctl.replay.answers import collect_answers, price_side, take_calls
from frugalctl.replay.decisions import ReusedAnswers
from frugalctl.replay.engine import Setup, choose_calls
from frugalctl.replay.ledger import Integers, Side

Multipliers = tuple[float | None, float | None, float | None, float | None]
"""What a token costs as a multiple of fresh input: fresh, read, write, write for an hour."""

_MAKERS = frozenset(
    {"alibaba", "anthropic", "deepseek", "google", "mistral", "moonshot", "openai", "xai"}
)
"""Providers that sell their own models; clouds and hosts sell those of others."""

__all__ = ["PromptRewriter", "SimulatedCache", "make_cache", "plan_prompt_cache", "send_calls"]


class PromptRewriter(Protocol):
    """Changes prompts before they are sent."""

    def rewrite(self, first: int, row: Integers, requests: pa.RecordBatch) -> pa.RecordBatch:
        """Calls as requests of their own, with other messages and other input tokens.

        Args:
            first: the number in the log of the batch's first request.
            row: int64[c], the request in the batch that each call serves.
            requests: the calls, with the messages and the usage that were logged.
        """
        ...


@dataclass(slots=True)
class SimulatedCache:
    """The decisions of a prompt cache, handed out call by call.

    Attributes:
        outcome: input tokens by class, of all calls of the log in their order.
        summary: the report's `prompt_cache`.
        notes: what a reader should know.
    """

    outcome: Outcome
    summary: dict[str, Any]
    notes: tuple[str, ...]
    _next: int = 0

    def price(self, calls: Calls, answer: Integers, taken: Side, setup: Setup) -> Side:
        """Price the next calls, with input tokens in the classes that the cache decided.

        The log's own costs do not apply: they were paid under another cache.
        """
        span = slice(self._next, self._next + len(answer))
        self._next = span.stop
        outcome = self.outcome
        tokens = taken.tokens | {
            "fresh_input": outcome.fresh_tokens[span],
            "cache_read": outcome.read_tokens[span],
            "cache_write": outcome.write_tokens[span],
            "cache_write_1h": outcome.write_1h_tokens[span],
        }
        cached = take_calls(calls, answer, tokens)
        side = price_side(
            setup.book,
            cached,
            taken.known,
            taken.latency_ms,
            taken.quality,
            as_of_us=setup.as_of_us,
        )
        token_hours = outcome.storage_token_hours[span]
        if not outcome.storage_token_hours.any():
            return side
        storage_usd = price_storage(setup.book, cached, token_hours, as_of_us=setup.as_of_us)
        fees_usd = {"storage": storage_usd}
        return replace(side, cost_usd=side.cost_usd + storage_usd, fees_usd=fees_usd)


def plan_prompt_cache(
    batches: Iterable[LogBatch],
    setup: Setup,
    settings: CacheSettings,
    reuse: ReusedAnswers | None = None,
    compressed: PromptRewriter | None = None,
) -> SimulatedCache:
    """Simulate a prompt cache over all calls of a log.

    Args:
        batches: the log, with its texts.
        setup: the recipe, whose other levers decide the calls.
        settings: the cache.
        reuse: what a semantic cache answers, so that it is not sent.
        compressed: the prompts of the calls, where they are compressed before.

    Raises:
        InputError: no call shows its prompt, or blocks have no size.
        ConfigError: a model without cache rules.
    """
    prompts = read_prompts(send_calls(batches, setup, reuse, compressed))
    if not prompts.covered.any():
        raise InputError(
            "no request shows its prompt, so no prompt cache can be simulated",
            hint="the log needs messages, or prefix_blocks with block_tokens",
        )
    return make_cache(prompts, simulate(prompts, settings), setup, settings.model)


def make_cache(
    prompts: Prompts, simulation: Simulation, setup: Setup, model: str | None = None
) -> SimulatedCache:
    """What a simulated cache decided, ready to be handed out.

    Args:
        prompts: of all calls.
        simulation: what the cache does with them.
        setup: the price book and the rest.
        model: whose prices weigh reads and writes; None takes each call's own model.
    """
    used: list[int] = prompts.models.tolist()
    models = [prompts.model_names[at] for at in used]
    factors = {
        name: _multipliers(simulation.rules.get(name), setup, model or name) for name in set(models)
    }
    return SimulatedCache(
        simulation.outcome,
        _sum_up(simulation, models, factors),
        (*simulation.notes, *_describe_prices(simulation.rules, setup)),
    )


def _describe_prices(rules: dict[str, CacheRule], setup: Setup) -> Iterator[str]:
    """What a reader could get wrong about the dollars: whose prices they are."""
    if setup.prices == "log":
        yield "the log's own costs were paid under its own cache: the recipe is priced by the book"
    hosted = {rule.provider for rule in rules.values() if rule.mode == "self-hosted"}
    if hosted:
        yield f"{', '.join(hosted)} has no prices: reads cost what each model's provider asks"
    foreign = sorted(name for name, rule in rules.items() if _is_foreign(name, rule, setup))
    if foreign:
        makers = {rules[name].provider for name in foreign}
        yield f"rules of {', '.join(makers)}, but own prices, for {', '.join(foreign)}"


def _is_foreign(model: str, rule: CacheRule, setup: Setup) -> bool:
    """Whether a model's prices are of one maker and its cache rules of another."""
    key = setup.book.resolve(model, None) if model else None
    makers = {rule.provider} if key is None else {key.provider, rule.provider}
    return len(makers) > 1 and makers <= _MAKERS


def send_calls(
    batches: Iterable[LogBatch],
    setup: Setup,
    reuse: ReusedAnswers | None,
    compressed: PromptRewriter | None,
) -> Iterator[LogBatch]:
    """The calls as requests of their own: their model, their usage, their response.

    Args:
        batches: the log, with its texts.
        setup: the recipe, whose other levers decide the calls.
        reuse: what a semantic cache answers, so that it is not sent.
        compressed: changes the prompts before they are sent.
    """
    first = 0
    for batch in batches:
        answers = collect_answers(batch, setup.book, setup.prices, setup.as_of_us)
        given = None if reuse is None else reuse.take(first, answers.requests)
        chosen = choose_calls(batch, answers, setup, given)
        requests = batch.requests.take(pa.array(chosen.row))
        columns = {"model": answers.side.model.take(pa.array(chosen.answer))}
        outcomes = batch.column("outcomes").flatten()
        for name in ("usage", "response"):
            known = [batch.column(name)]
            if len(outcomes):
                known.append(outcomes.field(name))
            columns[name] = pa.concat_arrays(known).take(pa.array(chosen.answer))
        for name, column in columns.items():
            requests = requests.set_column(requests.schema.get_field_index(name), name, column)
        if compressed is not None:
            requests = compressed.rewrite(first, chosen.row, requests)
        first += answers.requests
        lines = [batch.lines[row] for row in chosen.row.tolist()]
        yield LogBatch(requests, batch.source, lines)


def _sum_up(
    simulation: Simulation, models: list[str], factors: dict[str, Multipliers]
) -> dict[str, Any]:
    """The report's `prompt_cache`: shares of counted tokens, tokens as billed."""
    outcome, counted = simulation.outcome, simulation.counted
    return {
        "name": simulation.name,
        **_shares(counted),
        "read_tokens": int(outcome.read_tokens.sum()),
        "write_tokens": int(outcome.write_tokens.sum() + outcome.write_1h_tokens.sum()),
        "fresh_tokens": int(outcome.fresh_tokens.sum()),
        "requests": len(outcome.read_tokens),
        "requests_with_hit": int(np.count_nonzero(outcome.read_tokens)),
        "relative_input_cost": _relative_cost(counted, models, factors),
        "bounds": simulation.counted_bounds
        and {
            name: _shares(bound) | {"relative_input_cost": _relative_cost(bound, models, factors)}
            for name, bound in zip(
                ("pessimistic", "optimistic"), simulation.counted_bounds, strict=True
            )
        },
    }


def _shares(outcome: Outcome) -> dict[str, float]:
    total = max(1, int(outcome.input_tokens.sum()))
    return {
        "read_share": int(outcome.read_tokens.sum()) / total,
        "write_share": int(outcome.write_tokens.sum() + outcome.write_1h_tokens.sum()) / total,
        "fresh_share": int(outcome.fresh_tokens.sum()) / total,
    }


def _relative_cost(
    outcome: Outcome, models: list[str], factors: dict[str, Multipliers]
) -> float | None:
    """Input cost as a multiple of the uncached cost, token by token; None if not known."""
    names, codes = np.unique(np.array(models, dtype=np.str_), return_inverse=True)
    tokens = (
        outcome.fresh_tokens,
        outcome.read_tokens,
        outcome.write_tokens,
        outcome.write_1h_tokens,
    )
    cost = 0.0
    for number, of_class in enumerate(tokens):
        by_model = np.bincount(codes, weights=of_class, minlength=len(names))
        for name, used in zip(names.tolist(), by_model.tolist(), strict=True):
            factor = factors[name][number]
            if used and factor is None:
                return None
            cost += used * (factor or 0.0)
    total = int(outcome.input_tokens.sum())
    return cost / total if total else None


def _multipliers(rule: CacheRule | None, setup: Setup, model: str) -> Multipliers:
    """By the price book for the provider's own models, by the rule for those of others.

    Each stands in where the other says nothing.
    """
    book = _book_multipliers(setup, model)
    if rule is None:
        return book
    if rule.mode == "self-hosted":
        return (1.0, None, None, None)
    long = find_cache_rule(rule.provider, "1h", model, rule.valid_from)
    ruled = (
        1.0,
        _number(rule.read_multiplier),
        _number(rule.write_multiplier),
        _number(long.write_multiplier) if long is not None else None,
    )
    better, other = (ruled, book) if _is_foreign(model, rule, setup) else (book, ruled)
    first, read, write, write_1h = (
        one if one is not None else two for one, two in zip(better, other, strict=True)
    )
    return (first, read, write, write_1h)


def _book_multipliers(setup: Setup, model: str) -> Multipliers:
    million = np.diag([1_000_000] * len(INPUT_CLASSES))
    when_us = UNKNOWN_US if setup.as_of_us is None else setup.as_of_us
    calls = Calls(
        model=pa.array([model] * len(INPUT_CLASSES)),
        provider=None,
        service_tier=None,
        region=None,
        timestamp_us=np.full(len(INPUT_CLASSES), when_us),
        tokens={name: million[at] for at, name in enumerate(INPUT_CLASSES)},
    )
    usd = price_calls(setup.book, calls).total_usd.tolist()
    if not usd[0] > 0:
        return (1.0, None, None, None)
    read, write, write_1h = (None if isnan(one) else one / usd[0] for one in usd[1:])
    return (1.0, read, write, write_1h)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
