"""The alternatives of `levers.prompt_cache.advise`, priced and ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, cast

import numpy as np

import frugalctl
from frugalctl.errors import ConfigError
from frugalctl.levers.prompt_cache.advise import (
    Alternative,
    compare_model,
    list_alternatives,
)
from frugalctl.levers.prompt_cache.auto import Planned, plan_caches
from frugalctl.levers.prompt_cache.blame import Divergence, find_misses
from frugalctl.levers.prompt_cache.describe import Table
from frugalctl.levers.prompt_cache.engine import Outcome
from frugalctl.levers.prompt_cache.prompts import select
from frugalctl.prices.cache_rules import CacheRule, find_cache_rule
from frugalctl.report.prefix_cost import Counts, Mask, PrefixLog, Pricer
from frugalctl.report.prefix_model import SCHEMA_VERSION

_PROBE_TOKENS = 1000


@dataclass(frozen=True, slots=True)
class Advice:
    """One alternative with its money; None is unknown.

    Attributes:
        cache: the cache of the plan whose requests it is about.
        rank: from 1, the cheapest first, among those of the same cache and provider.
        name: in a few words.
        change: exactly what to do.
        assumption: what must hold for it.
        requests: how many requests it is about.
        read_share: of their input tokens.
        write_share: likewise.
        fresh_share: likewise.
        relative_input_cost: cost as a share of that of the log's own input without a cache.
        cost_usd: of the input, with pings and storage.
        saving_usd: against leaving all as it is.
        pings: requests on top.
        logged_distance_tokens: mean distance of the cached tokens it predicts from those that the
            log reports; None where requests must change, or the log reports none.
        elsewhere: whether it is another provider's cache.
        variant: how requests must change, "" if a recipe alone does it.
        pays: whether changing the requests is cheaper than the same cache without that.
        prompt_cache: the recipe's table, None for another provider.
    """

    cache: str
    rank: int
    name: str
    change: str
    assumption: str
    requests: int
    read_share: float
    write_share: float
    fresh_share: float
    relative_input_cost: float | None
    cost_usd: float | None
    saving_usd: float | None
    pings: int
    logged_distance_tokens: float | None
    elsewhere: bool
    variant: str
    pays: bool
    prompt_cache: Table | None

    @property
    def is_recipe(self) -> bool:
        """Whether a recipe can express it."""
        return not (self.variant or self.elsewhere)


@dataclass(frozen=True, slots=True)
class AdviceReport:
    """All alternatives.

    Attributes:
        models: by cache, the models whose requests go through it.
        advice: by cache; the same provider's by rank, then the others'.
        varying: where system prompts part in a time or id, an example of each kind.
        without_cache: models that no cache was found for, and why.
        notes: what a reader should know.
        price_book: whose prices.
        as_of: the day they are of, None for each request's own.
        input_xxh3: hash of the log.
    """

    models: dict[str, list[str]]
    advice: tuple[Advice, ...]
    varying: tuple[Divergence, ...]
    without_cache: dict[str, str]
    notes: tuple[str, ...]
    price_book: str
    as_of: str | None
    input_xxh3: str
    schema_version: int = SCHEMA_VERSION
    frugalctl_version: str = field(default=frugalctl.__version__)

    def best(self, cache: str) -> Advice:
        """The cheapest alternative of a cache that a recipe can express."""
        return next(one for one in self.advice if one.cache == cache and one.is_recipe)


def advise_prefixes(
    log: PrefixLog,
    planned: Planned,
    pricer: Pricer,
    *,
    models: Sequence[str] = (),
    as_of: str | None = None,
    input_xxh3: str = "",
) -> AdviceReport:
    """Try the alternatives on a log, and rank them by cost.

    Args:
        log: n requests.
        planned: what their caches do as it is.
        pricer: knows what they cost.
        models: other models to compare with, at their own provider's rules and prices.
        as_of: as given, for the reader.
        input_xxh3: hash of the log.

    Raises:
        ConfigError: a model to compare with has no cache rules.
    """
    reads = planned.simulation.counted.read_tokens
    blame = find_misses(log.prompts, log.sessions, reads, planned.rules)
    found = list_alternatives(log.prompts, planned, blame)
    for model in models:
        found += compare_model(log.prompts, planned, model, _find_spec(log, model, pricer))
    kinds = {m.divergence.kind: m.divergence for m in blame.misses if m.divergence}
    return AdviceReport(
        models={name: _list_models(log, rows) for name, rows in planned.plan.rows.items()},
        advice=tuple(
            advice
            for cache in planned.plan.rows
            for advice in _rank([one for one in found if one.cache == cache], log, pricer)
        ),
        varying=tuple(where for kind, where in kinds.items() if kind),
        without_cache=planned.plan.without,
        notes=(*planned.simulation.notes, *_note_unpriced(log, planned, pricer)),
        price_book=pricer.book.book_id,
        as_of=as_of,
        input_xxh3=input_xxh3,
    )


def encode_advice(report: AdviceReport) -> dict[str, Any]:
    """The report as plain data: money in USD, unknown is None."""
    body = asdict(report)
    first = ("schema_version", "frugalctl_version")
    return {name: body.pop(name) for name in first} | body


def write_recipe(report: AdviceReport, cache: str) -> str:
    """The best alternative of a cache as a recipe (TOML)."""
    best = report.best(cache)
    ahead = next(one for one in report.advice if one.cache == cache and not one.elsewhere)
    lines = [
        f"# {best.name}: {best.change}",
        f"# for requests to {', '.join(report.models[cache])}",
    ]
    if best.relative_input_cost is not None:
        lines.append(f"# input cost {best.relative_input_cost:.3f} of that without a cache")
    if not ahead.is_recipe and ahead.relative_input_cost is not None:
        lines.append(f"# cheaper still ({ahead.relative_input_cost:.3f}): {ahead.change}")
    safe = [" ".join(line.split()) for line in lines]
    table = [f"{key} = {_to_toml(value)}" for key, value in (best.prompt_cache or {}).items()]
    return "\n".join([*safe, "", "[prompt_cache]", *table, ""])


def _to_toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(_to_toml(item) for item in cast('list[Any]', value))}]"
    if isinstance(value, (int, float)):
        return str(value)
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def _note_unpriced(log: PrefixLog, planned: Planned, pricer: Pricer) -> list[str]:
    served = planned.simulation.covered
    usd = pricer.price_fresh(log.prompts.input_tokens)
    names = _list_models(log, np.flatnonzero(served & np.isnan(usd)))
    return [f"without a price, and in no cost: {', '.join(names)}"] if names else []


def _find_spec(log: PrefixLog, model: str, pricer: Pricer) -> str:
    """The cache of a model that the log does not have."""
    first = select(log.prompts, np.flatnonzero(log.prompts.covered)[:1])
    named = replace(first, model_names=(model,) * len(first.model_names))
    plan = plan_caches(named, [None], pricer.book)
    if not plan.rows:
        raise ConfigError(f"no prompt cache for {model}: {plan.without[model]}")
    return next(iter(plan.rows))


def _list_models(log: PrefixLog, rows: Counts) -> list[str]:
    numbers: list[int] = np.unique(log.prompts.models[rows]).tolist()
    return [log.prompts.model_names[at] or "(no model)" for at in numbers]


def _rank(found: Sequence[Alternative], log: PrefixLog, pricer: Pricer) -> list[Advice]:
    """Price the alternatives of one cache; its first one is to leave all as it is.

    Requests without a price are left out of all costs.
    """
    base = found[0]
    tokens = log.prompts.input_tokens[base.rows]
    uncached = pricer.price_fresh(tokens, base.rows)
    known = ~np.isnan(uncached)
    scale = _Scale(
        known=known,
        uncached_usd=float(uncached[known].sum()) if known.any() else None,
        base_usd=_cost(base, pricer, known),
        input_tokens=int(tokens.sum()),
    )
    priced = [_price(one, pricer, scale) for one in found]
    plain = {_key(one): one.relative_input_cost for one in priced if one.is_recipe}
    priced = [
        one if one.is_recipe else replace(one, pays=_is_cheaper(one, plain.get(_key(one))))
        for one in priced
    ]
    own = sorted((one for one in priced if not one.elsewhere), key=_order)
    others = sorted((one for one in priced if one.elsewhere), key=_order)
    return [
        replace(one, rank=at) for group in (own, others) for at, one in enumerate(group, start=1)
    ]


def _key(advice: Advice) -> str:
    return repr(sorted((advice.prompt_cache or {}).items()))


def _is_cheaper(advice: Advice, than: float | None) -> bool:
    cost = advice.relative_input_cost
    return cost is None or than is None or round(cost, 3) < round(than, 3)


def _order(advice: Advice) -> tuple[bool, float, bool]:
    """Cheapest first, unknown last.

    A thousandth more or less is no reason for a layout: of such equals, what a recipe does comes
    first, then what was listed first, which is simpler.
    """
    cost = advice.relative_input_cost
    return cost is None, round(cost or 0.0, 3), not advice.is_recipe


@dataclass(frozen=True, slots=True)
class _Scale:
    """What the alternatives of one cache are measured by."""

    known: Mask
    uncached_usd: float | None
    base_usd: float | None
    input_tokens: int


def _price(one: Alternative, pricer: Pricer, scale: _Scale) -> Advice:
    outcome = one.outcome
    total = max(int(outcome.input_tokens.sum()), 1)
    cost_usd = None if one.elsewhere and not one.model else _cost(one, pricer, scale.known)
    if cost_usd is None or not scale.uncached_usd:
        relative = _weigh(one, scale.input_tokens)
    else:
        relative = cost_usd / scale.uncached_usd
    saved = None if cost_usd is None or scale.base_usd is None else scale.base_usd - cost_usd
    written = int((outcome.write_tokens + outcome.write_1h_tokens).sum())
    return Advice(
        cache=one.cache,
        rank=0,
        name=one.name,
        change=one.change,
        assumption=_add_break_even(one, pricer),
        requests=len(one.rows),
        read_share=int(outcome.read_tokens.sum()) / total,
        write_share=written / total,
        fresh_share=int(outcome.fresh_tokens.sum()) / total,
        relative_input_cost=relative,
        cost_usd=cost_usd,
        saving_usd=saved,
        pings=len(one.pings.sources) if one.pings else 0,
        logged_distance_tokens=_measure_distance(one, pricer.log),
        elsewhere=one.elsewhere,
        variant=one.variant,
        pays=True,
        prompt_cache=one.table,
    )


def _measure_distance(one: Alternative, log: PrefixLog) -> float | None:
    logged = log.logged_reads[one.rows]
    known = logged >= 0
    if one.variant or one.elsewhere or not known.any():
        return None
    return float(np.abs(one.outcome.read_tokens - logged)[known].mean())


def find_closest(report: AdviceReport, cache: str) -> Advice | None:
    """The alternative that the log's cached tokens look like, if that is not the first one.

    Requests may be marked in ways that the log does not show; what is simulated as it is would
    then be something else than what was paid for.
    """
    mine = [one for one in report.advice if one.cache == cache]
    measured = [one for one in mine if one.logged_distance_tokens is not None]
    if not measured:
        return None

    def distance(one: Advice) -> float:
        return one.logged_distance_tokens or 0.0

    base = next(one for one in mine if one.change == "nothing")
    closest = min(measured, key=distance)
    return closest if distance(closest) < 0.75 * distance(base) else None


def _cost(one: Alternative, pricer: Pricer, known: Mask) -> float | None:
    """US dollars of an alternative over the requests that have a price.

    None if none has, or if a part of what is needed has no price.
    """
    if not known.any():
        return None
    named = pricer.as_model(one.model) if one.model else pricer
    usd = [named.price_outcome(one.outcome, one.rows)[known]]
    if one.pings is not None:
        mine = np.isin(one.pings.sources, one.rows[known])
        sources = one.pings.sources
        usd.append(named.price_outcome(one.pings.outcome, sources)[mine])
        usd.append(named.price_output(np.ones(len(sources), dtype=np.int64), sources)[mine])
    total = float(np.concatenate(usd).sum())
    return None if np.isnan(total) else total


def _weigh(one: Alternative, input_tokens: int) -> float | None:
    """Cost relative to uncached input by the multipliers of the rules; None if one is unknown."""
    if one.pings or one.outcome.storage_token_hours.any() or not one.rules:
        return None
    weights = {_read_weights(model, rule) for model, rule in one.rules.items()}
    if len(weights) != 1:
        return None
    read, write, write_1h = weights.pop()
    out = one.outcome
    classes = ((out.fresh_tokens, 1.0), (out.read_tokens, read), (out.write_tokens, write))
    spent = 0.0
    for tokens, weight in (*classes, (out.write_1h_tokens, write_1h)):
        if tokens.any():
            if weight is None:
                return None
            spent += float(tokens.sum()) * weight
    return spent / max(input_tokens, 1)


def _read_weights(model: str, rule: CacheRule) -> tuple[float | None, ...]:
    """What reads, writes and one-hour writes cost, as multiples of input; None is unknown."""
    hour = find_cache_rule(rule.provider, "1h", model, None)
    written = [rule.read_multiplier, rule.write_multiplier, hour.write_multiplier if hour else ""]
    return tuple(float(text) if text else None for text in written)


def _add_break_even(one: Alternative, pricer: Pricer) -> str:
    """The assumption; for a cache with paid storage, also from where on that pays."""
    if not one.outcome.storage_token_hours.any():
        return one.assumption
    row = one.rows[:1]
    none = np.zeros(1, dtype=np.int64)
    probe = np.array([_PROBE_TOKENS])
    read = Outcome(probe, none, none, none, np.zeros(1))
    hour = Outcome(none, none, none, none, np.array([float(_PROBE_TOKENS)]))
    gain = float((pricer.price_fresh(probe, row) - pricer.price_outcome(read, row))[0])
    stored = float(pricer.price_outcome(hour, row)[0])
    if not gain > 0 or np.isnan(stored):
        return one.assumption
    pays = f"storage pays from {stored / gain:.1f} reads an hour of each cached prefix"
    return "; ".join(filter(None, (one.assumption, pays)))
