"""A cache over a whole log: in the order of time, by each model's rules, between bounds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.prompt_cache.blocks import match_blocks
from frugalctl.levers.prompt_cache.breakpoints import match_breakpoints
from frugalctl.levers.prompt_cache.engine import (
    Engine,
    EngineName,
    MatchRules,
    Outcome,
    make_outcome,
    scale_outcome,
)
from frugalctl.levers.prompt_cache.hashing import Counts
from frugalctl.levers.prompt_cache.modules import match_modules
from frugalctl.levers.prompt_cache.named import match_named
from frugalctl.levers.prompt_cache.prompts import Prompts, require_block_sizes, select
from frugalctl.levers.prompt_cache.radix import match_radix
from frugalctl.levers.prompt_cache.settings import CacheSettings, Resolved, resolve_rules
from frugalctl.levers.prompt_cache.slot import match_slot
from frugalctl.levers.prompt_cache.units import match_units
from frugalctl.log.times import RELATIVE_BEFORE_US, UNKNOWN_US
from frugalctl.prices.cache_rules import CacheRule

ENGINES: dict[EngineName, Engine] = {
    "blocks": match_blocks,
    "breakpoints": match_breakpoints,
    "units": match_units,
    "named": match_named,
    "radix": match_radix,
    "slot": match_slot,
    "modules": match_modules,
}

_Rows = NDArray[np.int64]
_CENTURY_US = 100 * 366 * 86_400_000_000
_ENDLESS: dict[str, Any] = {
    "ttl_us": _CENTURY_US,
    "ttl_1h_us": _CENTURY_US,
    "max_life_us": _CENTURY_US,
}


_Group = tuple[Resolved, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a cache would have done with n requests, in the log's order.

    Attributes:
        name: the cache, as its settings name it.
        outcome: token classes that sum to each request's logged input.
        counted: the same in counted tokens, before it was scaled to the logged input: the
            shares to compare with other tools.
        pessimistic: the same at the least, None where the rules are certain.
        optimistic: the same at the best, None where the rules are certain.
        covered: bool[n], false where a request shows no prefix; all its input is then fresh.
        rules: the rows of the rule book that were applied, by model.
        notes: what a reader should know, such as requests without a time.
        counted_bounds: both bounds in counted tokens, None where the rules are certain.
    """

    name: str
    outcome: Outcome
    counted: Outcome
    pessimistic: Outcome | None
    optimistic: Outcome | None
    covered: NDArray[np.bool_]
    rules: dict[str, CacheRule]
    notes: tuple[str, ...]
    counted_bounds: tuple[Outcome, Outcome] | None = None


def simulate(prompts: Prompts, settings: CacheSettings) -> Simulation:
    """Run a log's prompts through a cache.

    Requests are served in the order of their times, equal times in the log's order. A request
    without a time stands beside the one before it. Each model has a cache of its own, by the
    rules in force on the day of its last request. Text is matched in counted tokens, and the
    result is scaled to the input that the log says.

    Raises:
        InputError: a trace whose blocks have no size, and none is given.
        ConfigError: a model without rules, or a cache that needs what the log does not show.
    """
    prompts = require_block_sizes(prompts, settings.unit_tokens)
    if not settings.split_tenants:
        prompts = replace(prompts, tenants=np.zeros_like(prompts.tenants))
    times_us, order, notes = order_by_time(prompts.time_us)
    resolved = resolve_models(prompts, settings)
    groups = _group_rows(prompts, resolved)
    counted = _run_groups(prompts, times_us, order, groups, "rules")
    certain = all(one.is_certain for one in resolved.values())
    bounds = [
        None if certain else _run_groups(prompts, times_us, order, groups, bound)
        for bound in ("pessimistic", "optimistic")
    ]
    outcome, low, high = (
        one and scale_outcome(one, prompts.counted_tokens, prompts.input_tokens)
        for one in (counted, *bounds)
    )
    assert outcome is not None
    names = prompts.model_names
    rules = {names[at]: one.source for at, one in resolved.items() if one.source}
    notes += _describe(prompts, counted)
    if not counted.read_tokens.any():
        notes += _explain_nothing(prompts, times_us, order, groups)
    return Simulation(
        name=settings.name,
        outcome=outcome,
        counted=counted,
        pessimistic=low,
        optimistic=high,
        covered=prompts.covered,
        rules=rules,
        notes=tuple(notes),
        counted_bounds=None if bounds[0] is None or bounds[1] is None else (bounds[0], bounds[1]),
    )


def match(prompts: Prompts, rules: MatchRules) -> Outcome:
    """Match prompts that stand in the order of their times, in counted tokens."""
    if not rules.hits or not len(prompts):
        return make_outcome(prompts, np.zeros(len(prompts), dtype=np.int64))
    return ENGINES[rules.engine](prompts, rules)


def order_by_time(time_us: Counts) -> tuple[Counts, _Rows | None, list[str]]:
    """Times without gaps, the order to serve in (None for the log's own), what to say of it.

    Where no request has a time, all times are 0.
    """
    known = time_us != UNKNOWN_US
    notes: list[str] = []
    missing = int((~known).sum())
    if missing == len(time_us):
        if missing:
            notes.append("no request has a timestamp: served in the log's order, nothing expires")
        return np.zeros(len(time_us), dtype=np.int64), None, notes
    if missing:
        notes.append(f"{missing} requests have no timestamp: each stands beside the one before it")
        at = np.maximum.accumulate(np.where(known, np.arange(len(time_us)), -1))
        time_us = time_us[np.where(at < 0, int(np.argmax(known)), at)]
    late = int((np.diff(time_us) < 0).sum())
    if not late:
        return time_us, None, notes
    notes.append(f"timestamps are out of order in {late} places: sorted by time")
    return time_us, np.argsort(time_us, kind="stable"), notes


def resolve_models(prompts: Prompts, settings: CacheSettings) -> dict[int, Resolved]:
    """The rules of each model that has a covered request, by its number in `prompts`.

    Raises:
        ConfigError: a model without rules.
    """
    covered = prompts.covered
    resolved: dict[int, Resolved] = {}
    models: list[int] = np.unique(prompts.models[covered]).tolist()
    for at in models:
        newest_us = int(prompts.time_us[covered & (prompts.models == at)].max())
        resolved[at] = resolve_rules(settings, prompts.model_names[at], _find_day(newest_us))
    return resolved


def _find_day(time_us: int) -> date | None:
    if time_us < RELATIVE_BEFORE_US:
        return None
    return datetime.fromtimestamp(time_us // 1_000_000, tz=UTC).date()


def _group_rows(prompts: Prompts, resolved: dict[int, Resolved]) -> list[_Group]:
    """Models with the same rules together."""
    by_rules: defaultdict[tuple[MatchRules, ...], list[int]] = defaultdict(list)
    for at, one in resolved.items():
        by_rules[(one.rules, one.pessimistic, one.optimistic)].append(at)
    return [(resolved[models[0]], models) for models in by_rules.values()]


def _run_groups(
    prompts: Prompts,
    times_us: Counts,
    order: _Rows | None,
    groups: list[_Group],
    bound: str,
) -> Outcome:
    """The outcome of all prompts, in their own order and counted tokens."""
    timed = replace(prompts, time_us=times_us)
    if len(groups) == 1 and order is None:
        return match(timed, getattr(groups[0][0], bound))
    whole = make_outcome(prompts, np.zeros(len(prompts), dtype=np.int64))
    rows = np.arange(len(prompts)) if order is None else order
    for resolved, models in groups:
        chosen = rows[np.isin(prompts.models[rows], models)]
        part = match(select(timed, chosen), getattr(resolved, bound))
        for item in fields(Outcome):
            getattr(whole, item.name)[chosen] = getattr(part, item.name)
    return whole


def _describe(prompts: Prompts, outcome: Outcome) -> list[str]:
    notes: list[str] = []
    uncovered = int((~prompts.covered).sum())
    if uncovered:
        notes.append(f"{uncovered} requests show neither messages nor blocks: all input is fresh")
    counted, logged = prompts.counted_tokens.sum(), prompts.input_tokens.sum()
    if counted != logged:
        notes.append(f"{counted:,} input tokens counted, scaled to the log's {logged:,}")
    return notes


def _explain_nothing(
    prompts: Prompts, times_us: Counts, order: _Rows | None, groups: list[_Group]
) -> list[str]:
    """Why nothing is read: the rule without which something would be; nothing if it is no rule."""
    least = max((resolved.rules.min_tokens for resolved, _ in groups), default=0)
    long_enough = f" of {least:,} tokens or more" if least else ""
    reasons = {
        f"every repeated prefix{long_enough} has expired": _ENDLESS,
        f"no repeated prefix reaches the minimum of {least:,} tokens": _ENDLESS | {"min_tokens": 0},
    }
    for reason, lifted in reasons.items():
        without = [
            (replace(resolved, rules=replace(resolved.rules, **lifted)), models)
            for resolved, models in groups
        ]
        if _run_groups(prompts, times_us, order, without, "rules").read_tokens.any():
            return [f"nothing is read: {reason}"]
    return []
