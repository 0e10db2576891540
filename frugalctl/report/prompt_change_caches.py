"""Which prompt cache each request goes through, before and after a change of prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from frugalctl.levers.prompt_cache.auto import AUTO, Plan, plan_caches
from frugalctl.levers.prompt_cache.prompts import Prompts, select
from frugalctl.levers.prompt_cache.settings import CacheSettings, parse_cache_spec
from frugalctl.levers.prompt_cache.simulate import resolve_models, simulate
from frugalctl.log.usage import disjoint
from frugalctl.replay.engine import Setup
from frugalctl.replay.ledger import Integers
from frugalctl.report.prefix_cost import PrefixLog

NOT_USED = "the log reports neither cached reads nor writes"
_LAYOUTS = ("last", "system", "system+last")
_WRITES = ("cache_write", "cache_write_1h")


def choose_caches(log: PrefixLog, setup: Setup) -> Plan:
    """The recipe's cache for all, else that of each provider.

    Where a provider caches at breakpoints that an application sets, they are the log's own
    `cache_control` if it shows any; else of "last", "system" and "system+last" those whose reads
    come nearest to the ones that the log reports. Where it reports that nothing was read or
    written, no cache is simulated.

    Raises:
        ConfigError: the recipe's cache does not fit a model.
    """
    prompts, settings = log.prompts, setup.recipe.prompt_cache
    if settings is not None:
        resolve_models(prompts, settings)
        rows = np.flatnonzero(prompts.covered)
        return Plan({settings.name: rows}, {settings.name: settings}, {})
    plan = plan_caches(prompts, log.providers, setup.book, AUTO)
    for name, rows in list(plan.rows.items()):
        if _takes_breakpoints(prompts, rows, plan.settings[name]):
            plan = _place_breakpoints(log, plan, name)
    return plan


def name_caches(plan: Plan) -> str:
    """What was simulated: as `--prompt-cache` takes it if that is one cache, else in words."""
    names = [settings.name for settings in plan.settings.values()]
    if len(names) == 1 and not plan.without:
        return names[0]
    return f"each provider's own ({', '.join(names)})" if names else "none"


def _takes_breakpoints(prompts: Prompts, rows: Integers, settings: CacheSettings) -> bool:
    """Whether it is the application that says where to cache."""
    resolved = resolve_models(select(prompts, rows), settings).values()
    return all(
        one.rules.engine == "breakpoints" and one.source and one.source.mode != "implicit"
        for one in resolved
    )


def _place_breakpoints(log: PrefixLog, plan: Plan, name: str) -> Plan:
    rows = plan.rows[name]
    prompts = select(log.prompts, rows)
    if prompts.marks.any():
        chosen = parse_cache_spec(f"{name}:breakpoints=logged")
        return replace(plan, settings=plan.settings | {name: chosen})
    logged = log.logged_reads[rows]
    known = logged >= 0
    if not known.any():
        return plan
    written = disjoint(log.columns["usage"]).tokens
    if not logged[known].any() and not any(written[one][rows].any() for one in _WRITES):
        return _leave_out(log, plan, name)
    distances: dict[str, int] = {}
    for layout in _LAYOUTS:
        reads = simulate(prompts, parse_cache_spec(_spell(name, layout))).outcome.read_tokens
        distances[layout] = int(np.abs(reads - logged)[known].sum())
    nearest = min(_LAYOUTS, key=lambda layout: distances[layout])
    return replace(plan, settings=plan.settings | {name: parse_cache_spec(_spell(name, nearest))})


def _spell(name: str, layout: str) -> str:
    return f"{name}:breakpoints={layout}"


def _leave_out(log: PrefixLog, plan: Plan, name: str) -> Plan:
    models: list[int] = np.unique(log.prompts.models[plan.rows[name]]).tolist()
    unused = {log.prompts.model_names[at] or "(no model)": NOT_USED for at in models}
    rows = {one: rows for one, rows in plan.rows.items() if one != name}
    settings = {one: plan.settings[one] for one in rows}
    return replace(plan, rows=rows, settings=settings, without=plan.without | unused)
