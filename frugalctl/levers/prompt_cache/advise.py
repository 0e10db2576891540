"""What could be done otherwise with a log's prompts, each tried on the log by the real engines.

Nothing here knows a price: an alternative says what would be read, written and left fresh.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from frugalctl.errors import FrugalError
from frugalctl.levers.prompt_cache.auto import Planned
from frugalctl.levers.prompt_cache.blame import Blame, find_lifetime
from frugalctl.levers.prompt_cache.describe import (
    Table,
    describe_settings,
    name_settings,
    to_table,
)
from frugalctl.levers.prompt_cache.engine import Outcome
from frugalctl.levers.prompt_cache.hashing import Counts
from frugalctl.levers.prompt_cache.layout import Place, add_pings, move_volatile, order_stable_first
from frugalctl.levers.prompt_cache.prompts import Prompts, select
from frugalctl.levers.prompt_cache.settings import (
    CacheSettings,
    parse_cache_spec,
    parse_cache_table,
    resolve_rules,
)
from frugalctl.levers.prompt_cache.simulate import Simulation, simulate
from frugalctl.levers.prompt_cache.texts import ROLES
from frugalctl.prices.cache_rules import CacheRule, list_modes, list_providers

_PLACES = ("tools", "system", "-2", "last")
_SHORT_LAYOUTS = (("system",), ("system", "last"), ("system", "-2"))
_PING_COUNTS = (1, 4, 11)
_LONGEST_PINGED_US = 3_600_000_000
_MOVES: tuple[tuple[Place, str, str], ...] = (
    ("system", "the end of the system prompt", "end the system prompt with it"),
    ("prompt", "the end of the prompt", "send it after the last message"),
)
_SELF_HOSTED = frozenset({"vllm", "sglang", "llama.cpp"})
_STORED_FOR = ("5m", "1h", "6h")


@dataclass(frozen=True, slots=True)
class PingOutcome:
    """What pings read and write, and the request that each stands for."""

    sources: Counts
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Alternative:
    """Something to do otherwise, and what the cache then does with k requests.

    Attributes:
        cache: the cache of the plan whose requests it is about.
        name: in a few words.
        change: exactly what to do.
        assumption: what must hold for it, "" if nothing.
        rows: int64[k], the requests, by their number in the log.
        outcome: token classes of each.
        rules: the rows of the rule book that were applied, by model.
        variant: how requests differ from the log's, "" if they do not.
        table: the `[prompt_cache]` table of the settings.
        pings: requests on top, None if there are none.
        elsewhere: whether it is another provider's cache.
        model: the model to price it as, "" for each request's own.
    """

    cache: str
    name: str
    change: str
    assumption: str
    rows: Counts
    outcome: Outcome
    rules: dict[str, CacheRule]
    variant: str = ""
    table: Table | None = None
    pings: PingOutcome | None = None
    elsewhere: bool = False
    model: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """The requests of one cache of the plan."""

    name: str
    rows: Counts
    prompts: Prompts
    settings: CacheSettings
    base: Simulation


@dataclass(frozen=True, slots=True)
class _Version:
    """The prompts as they are, or otherwise."""

    name: str
    change: str
    assumption: str
    prompts: Prompts


def list_alternatives(prompts: Prompts, planned: Planned, blame: Blame) -> list[Alternative]:
    """Everything that can be tried with a log, for each cache of its plan.

    The first alternative of each cache is to leave all as it is. Of those that do the same, only
    the first and simplest is kept.

    Args:
        prompts: n prompts.
        planned: what their caches do as it is.
        blame: what varies in their system messages.
    """
    found: list[Alternative] = []
    for name, rows in planned.plan.rows.items():
        settings = planned.plan.settings[name]
        part = _Part(name, rows, select(prompts, rows), settings, planned.parts[name])
        found += _drop_equal([*_try_own(part, blame), *_try_elsewhere(part)])
    return found


def compare_model(
    prompts: Prompts, planned: Planned, model: str, spec: str
) -> Iterator[Alternative]:
    """The same traffic sent to another model, by the rules of its provider.

    Args:
        prompts: n prompts.
        planned: what their caches do as it is.
        model: the other model.
        spec: its cache.
    """
    for name, rows in planned.plan.rows.items():
        part = select(prompts, rows)
        named = replace(part, model_names=(model,) * len(part.model_names))
        simulation = simulate(named, parse_cache_spec(spec))
        yield Alternative(
            cache=name,
            name=f"{model} ({spec})",
            change=f"send these requests to {model}",
            assumption="the same tokens, and answers as good: neither is simulated",
            rows=rows,
            outcome=simulation.outcome,
            rules=simulation.rules,
            elsewhere=True,
            model=model,
        )


def _try_own(part: _Part, blame: Blame) -> Iterator[Alternative]:
    """What can be done with the same provider."""
    plain = _Version("", "", "", part.prompts)
    yield _make(part, plain, part.base, "as it is", "nothing", to_table(part.settings))
    modes = _list_modes(part)
    yield from _try_settings(part, plain, [*modes, *_list_layouts(part, _all_layouts(part))])
    base, short = to_table(part.settings), _list_layouts(part, _SHORT_LAYOUTS)
    for version in _list_versions(part, blame):
        yield from _try_settings(part, version, [base, *modes, *short])
    if part.settings.provider:
        yield from _try_pings(part, [base, *short])


def _try_settings(part: _Part, version: _Version, tables: Sequence[Table]) -> Iterator[Alternative]:
    for table in tables:
        try:
            settings = parse_cache_table(table)
            simulation = simulate(version.prompts, settings)
        except FrugalError:
            continue  # this provider has no such mode for some model of the log
        is_base = table == to_table(part.settings)
        name = "" if is_base else name_settings(table)
        change = "" if is_base else describe_settings(table)
        yield _make(part, version, simulation, name, change, table)


def _make(
    part: _Part, version: _Version, simulation: Simulation, name: str, change: str, table: Table
) -> Alternative:
    return Alternative(
        cache=part.name,
        name=", ".join(filter(None, (version.name, name))),
        change="; ".join(filter(None, (version.change, change))),
        assumption=version.assumption,
        rows=part.rows,
        outcome=simulation.outcome,
        rules=simulation.rules,
        variant=version.name,
        table=table,
    )


def _list_modes(part: _Part) -> list[Table]:
    """The provider's modes, those with paid storage for several lifetimes."""
    base = to_table(part.settings)
    tables: list[Table] = []
    for mode in list_modes(part.settings.provider) if part.settings.provider else ():
        with_mode = {**base, "mode": mode}
        tables.append(with_mode)
        if _has_engine(part, mode, "named"):
            tables += [{**with_mode, "ttl": ttl} for ttl in _STORED_FOR]
    return tables


def _all_layouts(part: _Part) -> list[tuple[str, ...]]:
    places = _list_places(part.prompts)
    sizes = range(1, len(places) + 1)
    return [layout for size in sizes for layout in combinations(places, size)]


def _list_layouts(part: _Part, layouts: Sequence[tuple[str, ...]]) -> list[Table]:
    """Breakpoints for five minutes, for an hour, and the instructions alone for an hour."""
    if not _has_engine(part, part.settings.mode, "breakpoints"):
        return []
    base = to_table(part.settings)
    modes = list_modes(part.settings.provider) if part.settings.provider else []
    places = _list_places(part.prompts)
    tables: list[Table] = []
    for layout in layouts:
        if not set(layout) <= set(places):
            continue
        tables.append({**base, "breakpoints": list(layout)})
        if "1h" in modes:
            tables.append({**base, "mode": "1h", "breakpoints": list(layout)})
            mixed = [f"{one}:1h" if one in ("tools", "system") else one for one in layout]
            if mixed != list(layout) and mixed[-1] == layout[-1]:
                tables.append({**base, "mode": "5m", "breakpoints": mixed})
    return tables


def _list_places(prompts: Prompts) -> list[str]:
    roles = set(prompts.texts.roles[prompts.segments].tolist())
    return [p for p in _PLACES if p not in ROLES or ROLES.index(p) in roles]


def _has_engine(part: _Part, mode: str, engine: str) -> bool:
    """Whether a mode of the part's provider works in some way, for all of its models."""
    settings = replace(part.settings, mode=mode) if part.settings.provider else part.settings
    numbers: list[int] = np.unique(part.prompts.models).tolist()
    names = [part.prompts.model_names[at] for at in numbers]
    try:
        return all(resolve_rules(settings, name, None).rules.engine == engine for name in names)
    except FrugalError:
        return False


def _list_versions(part: _Part, blame: Blame) -> Iterator[_Version]:
    """The prompts laid out otherwise."""
    mine = set(part.prompts.segments.tolist())
    varying = {number: spans for number, spans in blame.varying.items() if number in mine}
    if varying:
        kinds = _name_varying(blame)
        for place, where, how in _MOVES:
            yield _Version(
                f"{kinds} moved to {where}",
                f"take the {kinds} out of the system prompt, and {how}",
                "the model answers as well with it there",
                move_volatile(part.prompts, varying, place),
            )
    ordered = order_stable_first(part.prompts)
    if ordered is not None:
        yield _Version(
            "stable messages first",
            "put messages that most requests share before those that they do not",
            "the model answers as well in that order",
            ordered,
        )


def _name_varying(blame: Blame) -> str:
    kinds = [m.divergence.kind for m in blame.misses if m.divergence and m.divergence.kind]
    return " and ".join(dict.fromkeys(kinds)) or "volatile text"


def _try_pings(part: _Part, tables: Sequence[Table]) -> Iterator[Alternative]:
    """Keep the instructions alive between requests."""
    for table in tables:
        try:
            settings = parse_cache_table(table)
            rules = resolve_rules(settings, _any_model(part), None).rules
            ttl_us = find_lifetime(rules)
            if ttl_us is not None and rules.sliding and ttl_us <= _LONGEST_PINGED_US:
                for most in _PING_COUNTS:
                    yield from _ping(part, table, settings, ttl_us * 9 // 10, most)
        except FrugalError:
            continue  # this provider has no such mode for some model of the log


def _ping(
    part: _Part, table: Table, settings: CacheSettings, every_us: int, most: int
) -> Iterator[Alternative]:
    least = resolve_rules(settings, _any_model(part), None).rules.min_tokens
    pings = add_pings(part.prompts, every_us, most, least)
    if pings is None:
        return
    simulation = simulate(pings.prompts, settings)
    own, extra = _split(simulation.outcome, len(part.prompts))
    sent = f"up to {most} ping{'s' if most > 1 else ''}"
    is_base = table == to_table(part.settings)
    name = f"{sent} to keep the instructions alive"
    change = (
        f"{every_us // 1_000_000} s after the last use of the instructions, send them with "
        f"max_tokens=1, {sent} in a row"
    )
    yield Alternative(
        cache=part.name,
        name=name if is_base else f"{name}, {name_settings(table)}",
        change=change if is_base else f"{change}; {describe_settings(table)}",
        assumption=f"{len(pings.sources):,} pings, each billed as input and one output token; "
        "something must send them",
        rows=part.rows,
        outcome=own,
        rules=simulation.rules,
        variant="pings",
        table=table,
        pings=PingOutcome(part.rows[pings.sources], extra),
    )


def _split(outcome: Outcome, count: int) -> tuple[Outcome, Outcome]:
    columns = [getattr(outcome, name) for name in Outcome.__dataclass_fields__]
    return Outcome(*(c[:count] for c in columns)), Outcome(*(c[count:] for c in columns))


def _any_model(part: _Part) -> str:
    return part.prompts.model_names[int(part.prompts.models[0])]


def _try_elsewhere(part: _Part) -> Iterator[Alternative]:
    """Other providers' general rules, whose prices are nobody's in particular."""
    anyone = replace(part.prompts, model_names=("",) * len(part.prompts.model_names))
    for provider in list_providers():
        if provider in _SELF_HOSTED or provider == part.settings.provider:
            continue
        try:
            simulation = simulate(anyone, parse_cache_spec(provider))
        except FrugalError:
            continue  # it has no cache without knowing the model
        yield Alternative(
            cache=part.name,
            name=f"{provider}'s rules",
            change=f"send these requests to a model of {provider}",
            assumption="the same tokens, and that provider's general rules; its prices are not "
            "in this",
            rows=part.rows,
            outcome=simulation.outcome,
            rules=simulation.rules,
            elsewhere=True,
        )


def _drop_equal(alternatives: Sequence[Alternative]) -> list[Alternative]:
    """Without those that bill each class of tokens as an earlier one does."""
    seen: set[tuple[Any, ...]] = set()
    kept: list[Alternative] = []
    for one in alternatives:
        columns = (getattr(one.outcome, name) for name in Outcome.__dataclass_fields__)
        sums = tuple(float(column.sum()) for column in columns)
        pinged = len(one.pings.sources) if one.pings else 0
        key = (*sums, pinged, one.name if one.elsewhere else "")
        if key not in seen:
            seen.add(key)
            kept.append(one)
    return kept
