"""Prices a change of prompt templates: the log's requests with the new prompts, side by side.

Both sides go through the provider's prompt cache as simulated, so that like is compared with
like; output, latency and everything else are as logged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import Source
from frugalctl.prices import load_book
from frugalctl.replay.engine import OBSERVED, Setup, choose_baseline
from frugalctl.replay.ledger import Floats, Integers, Mask
from frugalctl.replay.prompt_cache import SimulatedCache
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import ReplayOptions, parse_as_of
from frugalctl.replay.templates.rewrite import Render, Renderer
from frugalctl.replay.templates.scan import Scan, scan_log
from frugalctl.replay.templates.spec import PromptSpec
from frugalctl.report.groups import PICOS
from frugalctl.report.metrics import quote_name
from frugalctl.report.noise import Estimate
from frugalctl.report.pairs import estimate_pairs
from frugalctl.report.prefix import compare_reads
from frugalctl.report.prompt_change_model import PromptChange, PromptCost, PromptSide, Span
from frugalctl.report.prompt_change_remedy import choose_remedy, find_culprits
from frugalctl.report.prompt_change_side import (
    Both,
    Inputs,
    Priced,
    Rows,
    Sent,
    replay_side,
    send_prompts,
)
from frugalctl.report.prompt_change_why import Case, explain, find_below

_DAY_US = 86_400_000_000
_MONTH_DAYS = 365.25 / 12
_THOUSAND = 1000


def price_prompt_change(
    sources: Sequence[Source],
    specs: Sequence[PromptSpec],
    options: ReplayOptions,
    *,
    seed: int = 0,
    requests_per_month: int | None = None,
) -> PromptChange:
    """Price a change of prompts.

    Args:
        sources: the log.
        specs: the prompts as they will ship.
        options: how to replay; its recipe may have a prompt cache and nothing else.
        seed: of the bootstrap.
        requests_per_month: scale to so many requests, instead of by the log's days.

    Raises:
        UsageError: a recipe with other levers.
        InputError: no request shows its messages, or has any of the prompts.
        ConfigError: a placeholder without a value; a cache that does not fit a model.
        BadLine: see `log.read.read_log`.
    """
    inputs = _prepare(sources, specs, options, seed)
    logged = send_prompts(inputs, None)
    changed = send_prompts(inputs, Renderer(inputs.scan.specs), logged)
    base = replay_side(inputs, logged, "prompts as logged")
    head = replay_side(inputs, changed, "prompts as changed")
    both = Both(inputs, Priced(logged, base.rows), Priced(changed, head.rows))
    found = [_price_prompt(both, at) for at in range(len(inputs.scan.specs))]
    everything = np.arange(inputs.scan.requests)
    other = np.setdiff1d(everything, sorted(inputs.scan.picks))
    return PromptChange(
        base=base.report,
        head=head.report,
        prompts=tuple(cost for cost, _ in found),
        other=both.sum_up(other),
        total=both.sum_up(everything),
        pairs=_pair(both, [rows for _, rows in found]),
        span=_find_span(inputs.scan, requests_per_month),
        remarks=tuple(_remark(inputs, logged, base.cache)),
        notes=base.notes,
    )


def _prepare(
    sources: Sequence[Source], specs: Sequence[PromptSpec], options: ReplayOptions, seed: int
) -> Inputs:
    recipe = options.recipe
    others = [lever for lever in recipe.levers if lever != "prompt_cache"]
    if others:
        raise UsageError(
            f"prompts are priced as they are sent, without {', '.join(others)}",
            hint="take a recipe that has [prompt_cache] alone, or none",
        )
    as_of_us = None if options.as_of is None else parse_as_of(options.as_of)
    read = ReadOptions(options.on_error, model=options.model)
    scan = scan_log(lambda: read_log(sources, read), specs)
    baseline = options.baseline or OBSERVED
    if options.baseline is None and scan.unanswered:
        baseline = choose_baseline(read_log(sources, read))
    setup = Setup(
        book=load_book(),
        recipe=Recipe(recipe.name, prompt_cache=recipe.prompt_cache),
        baseline=baseline,
        prefer_observed=options.baseline is None,
        as_of_us=as_of_us,
    )
    return Inputs(tuple(sources), read, setup, scan, options.as_of, seed)


def _price_prompt(both: Both, at: int) -> tuple[PromptCost, Rows]:
    """What the change of one prompt does, and to which request."""
    scan = both.inputs.scan
    uses, alone = scan.uses[at], both.change_alone(at)
    rows = np.array(uses.rows, dtype=np.int64)
    case = Case(scan.specs[at], uses, both.base.rows.sum_up(rows), alone.rows.sum_up(rows))

    def attempt(render: Render) -> PromptSide:
        return both.make(at, render).rows.sum_up(rows)

    culprits, remedies = find_culprits(case, attempt)
    below = None if culprits or not case.cache_fell else find_below(case, both.base, alone)
    cost = PromptCost(
        spec=case.spec,
        current=uses.current,
        shared=uses.shared,
        base=case.base,
        head=case.head,
        why=explain(case, culprits, below) if uses.rows else (),
        remedy=choose_remedy(case, remedies),
    )
    return cost, alone.rows


def _pair(both: Both, alone: Sequence[Rows]) -> dict[str, Estimate]:
    """The changes of costs and of prompts' tokens, request by request."""
    base, scan = both.base.rows, both.inputs.scan

    def list_sides() -> Iterator[tuple[str, Floats, Floats]]:
        yield "recipe.cost_usd", _to_picos(base), _to_picos(both.head.rows)
        for spec, uses, head in zip(scan.specs, scan.uses, alone, strict=True):
            name = f"prompts.{quote_name(spec.name)}"
            other = ~np.isin(np.arange(scan.requests), uses.rows)
            before, after = (_mask(_to_picos(one), other) for one in (base, head))
            yield f"{name}.cost_usd", before, after
            before, after = (_mask(one.input_tokens, other) for one in (base, head))
            yield f"{name}.input_tokens_mean", before, after

    return estimate_pairs(base.clusters, list_sides(), both.inputs.seed)


def _to_picos(rows: Rows) -> Floats:
    return np.rint(rows.cost_usd * PICOS)


def _mask(values: Floats | Integers, mask: Mask) -> Floats:
    return np.where(mask, np.nan, values)


def _find_span(scan: Scan, requests_per_month: int | None) -> Span:
    count = max(scan.requests, 1)
    if requests_per_month is not None:
        how = f"{requests_per_month:,} requests a month, as asked for; the log has {count:,}"
        return Span("a month", requests_per_month / count, how)
    times_us = np.sort(np.concatenate(scan.times_us or [np.empty(0, np.int64)]))
    if not len(times_us) or times_us[-1] - times_us[0] < _DAY_US:
        why = "is shorter than a day" if len(times_us) else "has no dates"
        return Span("1,000 requests", _THOUSAND / count, f"the log {why}: per 1,000 requests")
    days = _estimate_days(times_us)
    factor = _MONTH_DAYS / days
    how = f"the log stands for {days:,.1f} days; a month (30.44 days) is that times {factor:.2f}"
    return Span("a month", factor, how)


def _estimate_days(times_us: Integers) -> float:
    """How many days n sorted times stand for: their span, and the gap that follows the last.

    That gap is what is left of the last 24 hours if the log has other pauses about as long, as
    where nobody works at night; else it is the mean one.
    """
    gaps_days = np.diff(times_us) / _DAY_US
    span_days = float(gaps_days.sum())
    whole_days = math.floor(span_days + min(1.25 * float(gaps_days.max()), 1.05))
    if whole_days > span_days:
        return whole_days
    return span_days * len(times_us) / len(gaps_days)


def _remark(inputs: Inputs, base: Sent, cache: SimulatedCache) -> Iterator[str]:
    scan = inputs.scan
    yield from scan.remarks
    for spec, uses in zip(scan.specs, scan.uses, strict=True):
        if not uses.rows:
            yield f"{spec.file}: no request of the log has this prompt, before or after the change"
    uncovered = scan.requests - len(scan.picks)
    if uncovered:
        share = uncovered / scan.requests
        yield f"{uncovered:,} requests ({share:.1%}) have none of these prompts: left as logged"
    several = sum(len(picks) > 1 for picks in scan.picks.values())
    if several:
        yield f"{several:,} requests have prompts of two roles, and count in the lines of both"
    if scan.changed:
        yield (
            "output and latency are kept as logged; quality is unknown in the "
            f"{len(scan.changed):,} requests whose prompt changes, and is left out of both sides"
        )
    yield from _calibrate(base)
    for model, why in base.planned.plan.without.items():
        yield f"{model}: no prompt cache is simulated ({why})"
    if inputs.setup.recipe.prompt_cache is None:
        for name, settings in base.planned.plan.settings.items():
            if settings.options:
                yield f"{name}: simulated as {settings.name}, as the log has it"
    yield from dict.fromkeys(cache.notes)


def _calibrate(base: Sent) -> Iterator[str]:
    """How the simulated cache compares with what the provider reported."""
    logged = base.log.logged_reads
    known = (logged >= 0) & base.planned.simulation.covered
    if not known.any():
        return
    outcome = base.planned.simulation.outcome
    found = compare_reads("", outcome.read_tokens[known], logged[known])
    total = max(int(outcome.input_tokens[known].sum()), 1)
    yield (
        f"before the change, {found.predicted_tokens / total:.1%} of the input is read from the "
        f"cache as simulated, {found.logged_tokens / total:.1%} as the provider reported"
    )
