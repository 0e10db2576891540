"""Prices a change of prompt templates: the log's requests with the new prompts, side by side.

Both sides go through the provider's prompt cache as simulated, so that like is compared with
like; output, latency and everything else are as logged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import Source
from frugalctl.prices import load_book
from frugalctl.replay.engine import OBSERVED, Setup, choose_baseline
from frugalctl.replay.ledger import Integers
from frugalctl.replay.prompt_cache import SimulatedCache
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import ReplayOptions, parse_as_of
from frugalctl.replay.templates.move import Moved, move_slots
from frugalctl.replay.templates.rewrite import Render, Renderer
from frugalctl.replay.templates.scan import Scan, scan_log
from frugalctl.replay.templates.spec import PromptSpec
from frugalctl.report.prefix import compare_reads
from frugalctl.report.prefix_cost import Pricer
from frugalctl.report.prompt_change_model import (
    PromptChange,
    PromptCost,
    PromptSide,
    Remedy,
    Span,
)
from frugalctl.report.prompt_change_side import Inputs, Rows, Sent, replay_side, send_prompts
from frugalctl.report.prompt_change_why import Case, Misses, explain, find_culprits

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
    renderer = Renderer(inputs.scan.specs)
    logged = send_prompts(inputs, None)
    sent = (logged, send_prompts(inputs, renderer, logged))
    base = replay_side(inputs, sent[0], "prompts as logged")
    head = replay_side(inputs, sent[1], "prompts as changed")
    sides = _Sides(inputs, sent, (base.rows, head.rows))
    everything = np.arange(inputs.scan.requests)
    other = np.setdiff1d(everything, sorted(inputs.scan.picks))
    return PromptChange(
        base=base.report,
        head=head.report,
        prompts=tuple(sides.compare_prompts()),
        other=sides.sum_up(other),
        total=sides.sum_up(everything),
        span=_find_span(inputs.scan, requests_per_month),
        remarks=tuple(_remark(sides, base.cache)),
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


@dataclass(frozen=True, slots=True)
class _Sides:
    inputs: Inputs
    sent: tuple[Sent, Sent]
    rows: tuple[Rows, Rows]

    def sum_up(self, rows: Integers) -> tuple[PromptSide, PromptSide]:
        """Before and after."""
        return self.rows[0].sum_up(rows), self.rows[1].sum_up(rows)

    def compare_prompts(self) -> Iterator[PromptCost]:
        scan, misses = self.inputs.scan, Misses(*self.sent)
        cases = [
            Case(spec, uses, *self.sum_up(np.array(uses.rows, dtype=np.int64)))
            for spec, uses in zip(scan.specs, scan.uses, strict=True)
        ]
        remedies = self._find_remedies(cases)
        for at, case in enumerate(cases):
            found = [one for one in remedies.get(at, ()) if _is_cheaper(one.side, case.head)]
            yield PromptCost(
                spec=case.spec,
                current=case.uses.current,
                shared=case.uses.shared,
                base=case.base,
                head=case.head,
                why=explain(case, misses) if case.uses.rows else (),
                remedy=_choose(found),
            )

    def _find_remedies(self, cases: Sequence[Case]) -> dict[int, list[Remedy]]:
        """What would be cheaper: each prompt's culprits moved, in all prompts at once."""
        moves = {
            at: move_slots(case.spec.template, culprits)
            for at, case in enumerate(cases)
            if (culprits := find_culprits(case))
        }
        found: dict[int, list[Remedy]] = {at: [] for at in moves}
        if not moves:
            return found
        self._try(cases, {at: Render(one.join()) for at, one in moves.items()}, moves, found)
        behind = {at: one for at, one in moves.items() if cases[at].spec.role != "user"}
        if behind:
            renders = {at: Render(one.kept, one.moved) for at, one in behind.items()}
            self._try(cases, renders, behind, found)
        return found

    def _try(
        self,
        cases: Sequence[Case],
        renders: dict[int, Render],
        moves: dict[int, Moved],
        found: dict[int, list[Remedy]],
    ) -> None:
        rows = self._price(renders)
        for at, render in renders.items():
            case = cases[at]
            what = tuple(dict.fromkeys(slot.name for slot in moves[at].moved.slots))
            place = (
                f"at the end of {case.spec.file}" if render.tail is None else "as a last message"
            )
            side = rows.sum_up(np.array(case.uses.rows, dtype=np.int64))
            found[at].append(Remedy(what, place, side))

    def _price(self, renders: dict[int, Render]) -> Rows:
        """All requests with other templates: the head's costs, but for the input."""
        inputs, head, rows = self.inputs, self.sent[1], self.rows[1]
        sent = send_prompts(inputs, Renderer(inputs.scan.specs, renders), head)
        book, as_of_us = inputs.setup.book, inputs.setup.as_of_us
        usd = [
            Pricer(side.log, book, as_of_us).price_outcome(side.planned.simulation.outcome)
            for side in (head, sent)
        ]
        cost_usd = rows.cost_usd.copy()
        cost_usd[sent.rows] += usd[1] - usd[0]
        input_tokens, read_tokens = rows.input_tokens.copy(), rows.read_tokens.copy()
        outcome = sent.planned.simulation.outcome
        input_tokens[sent.rows] = outcome.input_tokens
        read_tokens[sent.rows] = outcome.read_tokens
        return Rows(cost_usd, input_tokens, read_tokens)


def _choose(remedies: Sequence[Remedy]) -> Remedy | None:
    """The cheapest; the first one where another is hardly cheaper."""
    best: Remedy | None = None
    for one in remedies:
        if best is None or _is_cheaper(one.side, best.side, 0.02):
            best = one
    return best


def _is_cheaper(side: PromptSide, other: PromptSide, by: float = 0.005) -> bool:
    if side.cost_usd is None or other.cost_usd is None:
        return False
    return side.cost_usd < other.cost_usd * (1 - by)


def _find_span(scan: Scan, requests_per_month: int | None) -> Span:
    count = max(scan.requests, 1)
    if requests_per_month is not None:
        how = f"{requests_per_month:,} requests a month, as asked for; the log has {count:,}"
        return Span("a month", requests_per_month / count, how)
    first, last = scan.first_us, scan.last_us
    if first is None or last is None or last - first < _DAY_US:
        why = "has no dates" if first is None else "is shorter than a day"
        return Span("1,000 requests", _THOUSAND / count, f"the log {why}: per 1,000 requests")
    days = last // _DAY_US - first // _DAY_US + 1
    factor = _MONTH_DAYS / days
    return Span(
        "a month",
        factor,
        f"a month is the log's {days} days times {factor:.2f} (30.44 days a month)",
    )


def _remark(sides: _Sides, cache: SimulatedCache) -> Iterator[str]:
    scan, base = sides.inputs.scan, sides.sent[0]
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
    if sides.inputs.setup.recipe.prompt_cache is None:
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
