"""Makes the prefix report from a log and what its caches do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from frugalctl.errors import InputError
from frugalctl.levers.prompt_cache.auto import AUTO, Planned, plan_caches, simulate_plan
from frugalctl.levers.prompt_cache.blame import Miss, count_by_cause, find_misses
from frugalctl.levers.prompt_cache.engine import Outcome
from frugalctl.levers.prompt_cache.prompts import Prompts, chain_messages
from frugalctl.levers.prompt_cache.read import read_prompts
from frugalctl.levers.prompt_cache.texts import ROLES
from frugalctl.log.schema import LogBatch
from frugalctl.log.times import RELATIVE_BEFORE_US
from frugalctl.prices import PriceBook
from frugalctl.report.prefix_cost import (
    ColumnKeeper,
    Counts,
    Floats,
    Mask,
    PrefixLog,
    Pricer,
    move_to_read,
    take_rows,
)
from frugalctl.report.prefix_model import (
    Bounds,
    CacheTotals,
    Calibration,
    CauseSummary,
    PrefixReport,
    Repetition,
)

CLOSE_TOKENS = 128
"""A prediction this near to the provider's count differs by no more than a block."""

_DAY_US = 86_400_000_000
_NO_MODEL = "(no model)"


def read_prefix_log(batches: Iterable[LogBatch]) -> PrefixLog:
    """Read a log into memory.

    Raises:
        InputError: no request has messages or blocks.
    """
    keeper = ColumnKeeper()
    prompts = read_prompts(keeper.watch(batches))
    if not prompts.covered.any():
        raise InputError(
            "no request of the log shows its prompt",
            hint="a prompt cache is simulated from messages, or from prefix_blocks",
        )
    return PrefixLog(prompts, keeper.columns())


def run_caches(log: PrefixLog, book: PriceBook, spec: str = AUTO) -> Planned:
    """Simulate the cache of each request.

    Raises:
        ConfigError: a specification that does not parse, or does not fit a model.
        InputError: no model of the log has a cache, or blocks without a size.
    """
    plan = plan_caches(log.prompts, log.providers, book, spec)
    if not plan.rows:
        reasons = "; ".join(f"{model}: {why}" for model, why in plan.without.items())
        raise InputError(
            f"no prompt cache for any request ({reasons})",
            hint="say whose rules to take, such as --prompt-cache anthropic, or --model MODEL",
        )
    return simulate_plan(log.prompts, plan)


def report_prefixes(
    log: PrefixLog,
    planned: Planned,
    pricer: Pricer,
    *,
    as_of: str | None = None,
    input_xxh3: str = "",
) -> PrefixReport:
    """Make the report.

    Args:
        log: n requests.
        planned: what their caches do.
        pricer: knows what they cost.
        as_of: as given, for the reader.
        input_xxh3: hash of the log.
    """
    simulation = planned.simulation
    served = simulation.covered
    costs = _Costs(
        uncached=pricer.price_fresh(log.prompts.input_tokens),
        logged=pricer.price_logged(),
        simulated=pricer.price_outcome(simulation.outcome),
    )
    return PrefixReport(
        cache=simulation.name,
        caches={name: len(rows) for name, rows in planned.plan.rows.items()},
        without_cache=planned.plan.without,
        requests=len(log.prompts),
        unpriced=_count_unpriced(log, served & np.isnan(costs.simulated)),
        total=_total(simulation.outcome, costs, served),
        bounds=_find_bounds(planned, pricer),
        calibration=_calibrate(log, planned),
        causes=_blame(log, planned, pricer),
        repetition=find_repetition(log.prompts),
        groups=_group(log, simulation.outcome, costs, served),
        notes=(*simulation.notes, *_note_unseen(log, served)),
        price_book=pricer.book.book_id,
        as_of=as_of,
        input_xxh3=input_xxh3,
    )


@dataclass(frozen=True, slots=True)
class _Costs:
    uncached: Floats
    logged: Floats | None
    simulated: Floats


def sum_known(usd: Floats | None) -> float | None:
    """The sum of what is known, None if nothing is."""
    known = np.zeros(0) if usd is None else usd[~np.isnan(usd)]
    return float(known.sum()) if len(known) else None


def _sum_all(usd: Floats | None, rows: Mask) -> float | None:
    """The sum, None if a part of it is unknown."""
    if usd is None or not rows.any() or np.isnan(usd[rows]).any():
        return None
    return float(usd[rows].sum())


def _total(outcome: Outcome, costs: _Costs, rows: Mask) -> CacheTotals:
    part = take_rows(outcome, rows)
    priced = rows & ~np.isnan(costs.simulated)
    return CacheTotals(
        requests=len(part.read_tokens),
        requests_with_hit=int((part.read_tokens > 0).sum()),
        read_tokens=int(part.read_tokens.sum()),
        write_tokens=int(part.write_tokens.sum()),
        write_1h_tokens=int(part.write_1h_tokens.sum()),
        fresh_tokens=int(part.fresh_tokens.sum()),
        uncached_usd=sum_known(costs.uncached[priced]),
        logged_usd=_sum_all(costs.logged, priced),
        cost_usd=sum_known(costs.simulated[priced]),
    )


def _note_unseen(log: PrefixLog, served: Mask) -> list[str]:
    hashed = int((served & ~log.prompts.has_text).sum())
    silent = log.columns["usage"].null_count
    said = [f"{hashed:,} requests show hashes, not text: nobody is blamed"] if hashed else []
    if silent and (log.logged_reads >= 0).any():
        said.append(f"{silent:,} requests log no usage: their input is counted, as logged uncached")
    return said


def _count_unpriced(log: PrefixLog, rows: Mask) -> dict[str, int]:
    names = np.array([name or _NO_MODEL for name in log.prompts.model_names], dtype=object)
    found, counts = np.unique(log.prompts.models[rows], return_counts=True)
    return {str(names[at]): int(n) for at, n in zip(found.tolist(), counts, strict=True)}


def _find_bounds(planned: Planned, pricer: Pricer) -> Bounds | None:
    low, high = planned.simulation.pessimistic, planned.simulation.optimistic
    if low is None or high is None:
        return None
    served = planned.simulation.covered
    total = max(int(low.input_tokens[served].sum()), 1)
    shares = [int(one.read_tokens[served].sum()) / total for one in (low, high)]
    costs = [sum_known(pricer.price_outcome(one)[served]) for one in (low, high)]
    known = None if costs[0] is None or costs[1] is None else (costs[0], costs[1])
    return Bounds((shares[0], shares[1]), known)


def _calibrate(log: PrefixLog, planned: Planned) -> tuple[Calibration, ...]:
    logged = log.logged_reads
    known = (logged >= 0) & planned.simulation.covered
    if not known.any():
        return ()
    predicted = planned.simulation.outcome.read_tokens
    found = [compare_reads("", predicted[known], logged[known])]
    models = log.prompts.models
    for at, name in enumerate(log.prompts.model_names):
        rows = known & (models == at)
        if rows.any():
            found.append(compare_reads(name or _NO_MODEL, predicted[rows], logged[rows]))
    return tuple(found)


def compare_reads(model: str, predicted: Counts, logged: Counts) -> Calibration:
    """How far predictions are from what a provider reported, for at least one request."""
    apart = predicted - logged
    varies = len(set(predicted.tolist())) > 1 and len(set(logged.tolist())) > 1
    return Calibration(
        model=model,
        requests=len(apart),
        logged_tokens=int(logged.sum()),
        predicted_tokens=int(predicted.sum()),
        mean_absolute_tokens=float(np.abs(apart).mean()),
        bias_tokens=float(apart.mean()),
        correlation=float(np.corrcoef(predicted, logged)[0, 1]) if varies else None,
        close_share=float((np.abs(apart) < CLOSE_TOKENS).mean()),
    )


def _blame(log: PrefixLog, planned: Planned, pricer: Pricer) -> tuple[CauseSummary, ...]:
    reads = planned.simulation.counted.read_tokens
    blame = find_misses(log.prompts, log.sessions, reads, planned.rules)
    found = [
        _summarise_cause(cause, misses, log.prompts, planned.simulation.outcome, pricer)
        for cause, misses in count_by_cause(blame).items()
    ]
    return tuple(found)


def _summarise_cause(
    cause: str, misses: list[Miss], prompts: Prompts, outcome: Outcome, pricer: Pricer
) -> CauseSummary:
    counts = cause == "expired"
    live = [miss for miss in misses if counts or not miss.expired]
    rows = np.array([miss.row for miss in live], dtype=np.int64)
    counted = np.array([miss.missed_tokens for miss in live], dtype=np.int64)
    missed = counted * prompts.input_tokens[rows] // np.maximum(prompts.counted_tokens[rows], 1)
    now = take_rows(outcome, rows)
    lost = pricer.price_outcome(now, rows) - pricer.price_outcome(move_to_read(now, missed), rows)
    return CauseSummary(
        cause=cause,
        requests=len(misses),
        expired_requests=sum(miss.expired for miss in misses),
        missed_tokens=int(missed.sum()),
        lost_usd=sum_known(lost) if len(live) else 0.0,
        example=live[0] if live else misses[0],
    )


def find_repetition(prompts: Prompts) -> tuple[Repetition, ...]:
    """Where the tokens of texts repeat; nothing for a trace, which shows no messages."""
    texts = np.repeat(prompts.has_text, np.diff(prompts.segment_ends))
    if not texts.any():
        return ()
    chain = chain_messages(prompts)
    keys = chain.keys[np.repeat(prompts.has_text, np.diff(chain.ends))]
    scopes = np.repeat(prompts.scopes, np.diff(prompts.segment_ends))
    count = len(prompts.texts.blocks)
    as_prefix = _find_repeated(keys)
    anywhere = _find_repeated(scopes * count + prompts.segments)
    sizes = prompts.texts.measure(prompts.segments)
    parts = _name_parts(prompts)
    return tuple(
        Repetition(
            part,
            int(sizes[parts == at].sum()),
            int(sizes[(parts == at) & as_prefix].sum()),
            int(sizes[(parts == at) & anywhere].sum()),
        )
        for at, part in enumerate(("tools", "system", "history", "last message"))
        if (parts == at).any()
    )


def _find_repeated(keys: np.ndarray) -> Mask:
    """Which of the keys stood before in the list."""
    _, first = np.unique(keys, return_index=True)
    repeated = np.ones(len(keys), dtype=np.bool_)
    repeated[first] = False
    return repeated


def _name_parts(prompts: Prompts) -> Counts:
    roles = prompts.texts.roles[prompts.segments]
    parts = np.full(len(roles), 2, dtype=np.int64)
    parts[prompts.segment_ends[1:][prompts.has_text] - 1] = 3
    parts[roles == ROLES.index("system")] = 1
    parts[roles == ROLES.index("tools")] = 0
    return parts


def _group(
    log: PrefixLog, outcome: Outcome, costs: _Costs, served: Mask
) -> dict[str, dict[str, CacheTotals]]:
    days = [
        None if us < RELATIVE_BEFORE_US else str(np.datetime64(us // _DAY_US, "D"))
        for us in log.prompts.time_us.tolist()
    ]
    keys = {name: log.columns[name].to_pylist() for name in ("tenant", "model", "session")}
    groups: dict[str, dict[str, CacheTotals]] = {}
    for name, values in {**keys, "day": days}.items():
        rows_of: dict[str, list[int]] = {}
        for row in np.flatnonzero(served).tolist():
            value = values[row]
            if value is not None:
                rows_of.setdefault(value, []).append(row)
        groups[name] = {
            value: _total_rows(outcome, costs, np.array(rows_of[value]))
            for value in sorted(rows_of)
        }
    return groups


def _total_rows(outcome: Outcome, costs: _Costs, rows: Counts) -> CacheTotals:
    logged = None if costs.logged is None else costs.logged[rows]
    part = _Costs(costs.uncached[rows], logged, costs.simulated[rows])
    return _total(take_rows(outcome, rows), part, np.ones(len(rows), dtype=np.bool_))
