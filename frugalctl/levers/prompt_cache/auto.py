"""Each model by the cache of its own provider: several simulations, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import ConfigError
from frugalctl.levers.prompt_cache.engine import MatchRules, Outcome
from frugalctl.levers.prompt_cache.prompts import Prompts, select
from frugalctl.levers.prompt_cache.settings import CacheSettings, parse_cache_spec
from frugalctl.levers.prompt_cache.simulate import Simulation, resolve_models, simulate
from frugalctl.prices import PriceBook
from frugalctl.prices.cache_rules import list_providers

AUTO = "auto"
_CACHE_OF = {
    "vertex": "google",
    "fireworks_ai": "fireworks",
    "together_ai": "together",
}

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which requests go through which cache.

    Attributes:
        rows: by cache, the requests that go through it.
        settings: each cache.
        without: by model, why it has no cache.
    """

    rows: dict[str, Rows]
    settings: dict[str, CacheSettings]
    without: dict[str, str]


@dataclass(frozen=True, slots=True)
class Planned:
    """The caches of a plan over a log of n requests.

    Attributes:
        plan: as given.
        simulation: of all requests, in the log's order; those without a cache are not covered,
            and all their input is fresh.
        parts: each cache's own.
        rules: by model, as `prompts.model_names`; None for one without a cache.
    """

    plan: Plan
    simulation: Simulation
    parts: dict[str, Simulation]
    rules: list[MatchRules | None]


def plan_caches(
    prompts: Prompts, providers: Sequence[str | None], book: PriceBook, spec: str = AUTO
) -> Plan:
    """Choose a cache for each request.

    Args:
        prompts: n prompts.
        providers: n names, as the log has them; None where it has none.
        book: says whose model it is.
        spec: a cache for all requests, or "auto" for each provider's own in its default mode.

    Raises:
        ConfigError: the specification does not parse, or its provider has no cache for a model
            of the log.
    """
    covered = np.flatnonzero(prompts.covered)
    if spec != AUTO:
        settings = parse_cache_spec(spec)
        resolve_models(prompts, settings)
        return Plan({settings.name: covered}, {settings.name: settings}, {})
    rows: dict[str, list[int]] = {}
    without: dict[str, str] = {}
    chosen: dict[tuple[int, str | None], str | None] = {}
    models: list[int] = prompts.models.tolist()
    listed: list[int] = covered.tolist()
    for row in listed:
        key = (models[row], providers[row])
        if key not in chosen:
            name = prompts.model_names[key[0]]
            chosen[key], reason = _choose_cache(select(prompts, np.array([row])), key[1], book)
            if reason:
                without[name or "(no model)"] = reason
        cache = chosen[key]
        if cache is not None:
            rows.setdefault(cache, []).append(row)
    settings_of = {name: parse_cache_spec(name) for name in sorted(rows)}
    return Plan({name: np.array(rows[name]) for name in settings_of}, settings_of, without)


def simulate_plan(prompts: Prompts, plan: Plan) -> Planned:
    """Run each cache over its requests.

    Raises:
        InputError: as `simulate`.
        ConfigError: as `simulate`.
    """
    parts = {
        name: simulate(select(prompts, rows), plan.settings[name])
        for name, rows in plan.rows.items()
    }
    rules: list[MatchRules | None] = [None] * len(prompts.model_names)
    for name, rows in plan.rows.items():
        for at, one in resolve_models(select(prompts, rows), plan.settings[name]).items():
            rules[at] = one.rules
    return Planned(plan, _join(prompts, plan, parts), parts, rules)


def _choose_cache(
    prompt: Prompts, provider: str | None, book: PriceBook
) -> tuple[str | None, str | None]:
    """The cache for one prompt's model, or why there is none."""
    model = prompt.model_names[int(prompt.models[0])]
    key = book.resolve(model, provider) if model else None
    if key is None:
        return None, "unknown model: nobody's rules" if model else "the log names no model"
    known = list_providers()
    names = (_CACHE_OF.get(name, name) for name in (key.surface, key.provider))
    cache = next((name for name in names if name in known), None)
    if cache is None:
        return None, f"no rules for {key.provider}"
    try:
        resolve_models(prompt, parse_cache_spec(cache))
    except ConfigError as error:
        return None, error.message
    return cache, None


def _join(prompts: Prompts, plan: Plan, parts: dict[str, Simulation]) -> Simulation:
    uncertain = any(part.pessimistic for part in parts.values())
    covered = np.zeros(len(prompts), dtype=np.bool_)
    for name, part in parts.items():
        covered[plan.rows[name]] = part.covered
    notes: list[str] = []
    for name, part in parts.items():
        notes += [f"{name}: {note}" if len(parts) > 1 else note for note in part.notes]

    def gather(total: NDArray[np.int64], which: str) -> Outcome:
        whole = _all_fresh(total)
        for name, part in parts.items():
            found: Outcome = getattr(part, which) or part.outcome
            for item in fields(Outcome):
                getattr(whole, item.name)[plan.rows[name]] = getattr(found, item.name)
        return whole

    return Simulation(
        name=next(iter(parts)) if len(parts) == 1 else AUTO,
        outcome=gather(prompts.input_tokens, "outcome"),
        counted=gather(prompts.counted_tokens, "counted"),
        pessimistic=gather(prompts.input_tokens, "pessimistic") if uncertain else None,
        optimistic=gather(prompts.input_tokens, "optimistic") if uncertain else None,
        covered=covered,
        rules={model: rule for part in parts.values() for model, rule in part.rules.items()},
        notes=tuple(notes),
    )


def _all_fresh(input_tokens: NDArray[np.int64]) -> Outcome:
    none = np.zeros(len(input_tokens), dtype=np.int64)
    return Outcome(none, none.copy(), none.copy(), input_tokens.copy(), np.zeros(len(none)))
