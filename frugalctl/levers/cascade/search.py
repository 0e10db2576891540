"""Every cascade of a log, exactly, in one pass: binned scores and cumulative sums.

A policy (a, b, c; i, j) answers with a where a's score reaches a's threshold i, else with b where
b's score reaches j, else with c. So a figure's sum over rows is a's sum, plus what b adds on the
rows below i, plus what c adds on the rows below i and j: for all thresholds at once these are
cumulative sums over a histogram of binned scores, one for each pair of models.

A threshold that no answer reaches is not looked at: the cascade without that model does the same
for less.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import InputError, UsageError
from frugalctl.levers.cascade.front import Front, no_policy_in_time
from frugalctl.levers.cascade.judges import Judges, judge_by_log
from frugalctl.levers.cascade.policy import CascadePolicy, Step
from frugalctl.levers.cascade.search_blocks import Block, Numbers, policy_blocks
from frugalctl.levers.cascade.search_deep import deep_blocks
from frugalctl.levers.cascade.search_pareto import build_screen, pareto
from frugalctl.levers.cascade.search_sums import Scaled, scale
from frugalctl.levers.cascade.table import Integers, Mask, OutcomeTable

MOST_DEPTH = 4
MOST_BINS = 1_000
MOST_ORDERS = 60_000
"""Of the models of a policy: some minutes of search."""
BUFFER_POINTS = 1 << 15
"""Points that are gathered before they meet the front."""


def search_front(
    table: OutcomeTable,
    judges: Judges | None = None,
    *,
    depth: int = 3,
    bins: int = 64,
    latency_limit_ms: float | None = None,
) -> Front:
    """The Pareto front of all cascades of a table's models over its complete rows.

    The front is in mean cost, quality and latency if every latency is known, else in cost and
    quality. Of policies with equal figures the one with fewer models stays, then the first by
    names, then by thresholds.

    Args:
        table: what every model answered.
        judges: what an answer stands by, and what judging takes; the table's confidence if
            None. A score of NaN never stands.
        depth: the most models that a policy calls, 1 to 4; see `search_deep` for 4.
        bins: the most thresholds of a model, at equal ranks of its scores.
        latency_limit_ms: only policies of which the 95th percentile of latency is at most this:
            20 times the late rows are at most n - 1, so that the percentile holds however it is
            interpolated. Unknown latencies are late.

    Raises:
        UsageError: depth or bins out of range, or no policy within the limit.
        InputError: no complete row.
    """
    given = judges or judge_by_log(table)
    data, skipped = prepare(table, given, depth, bins, latency_limit_ms)
    numbers = Numbers.of(data)
    kept = _search(data, numbers)
    if not len(kept):
        raise no_policy_in_time(latency_limit_ms or 0.0)
    return _build_front(data, numbers, kept, given, skipped)


def prepare(
    table: OutcomeTable,
    judges: Judges,
    depth: int,
    bins: int,
    latency_limit_ms: float | None,
) -> tuple[Scaled, int]:
    """The complete rows, scaled, and how many others there are."""
    if not 1 <= depth <= MOST_DEPTH:
        raise UsageError(f"a search depth of {depth}", hint=f"1 to {MOST_DEPTH}")
    orders = math.perm(len(table.models), depth)
    if orders > MOST_ORDERS:
        raise UsageError(
            f"{len(table.models)} models have {orders:,} orders of {depth}, too many to search",
            hint="--models names the most promising, --depth 2 searches pairs",
        )
    if not 1 <= bins <= MOST_BINS:
        raise UsageError(f"{bins} thresholds for a model", hint=f"1 to {MOST_BINS}")
    if latency_limit_ms is not None and not latency_limit_ms > 0:
        raise UsageError(f"a latency limit of {latency_limit_ms:g} ms", hint="above 0")
    rows, kept = complete_rows(table, judges)
    return scale(rows, kept, depth, bins, latency_limit_ms), len(table) - len(rows)


def complete_rows(table: OutcomeTable, judges: Judges) -> tuple[OutcomeTable, Judges]:
    """The requests of which every model's quality and cost are known.

    Raises:
        InputError: there is none.
    """
    complete = np.flatnonzero(table.complete)
    if not len(complete):
        raise InputError(
            "no request has the quality and the cost of every model",
            hint="name fewer models, or log the outcomes of all of them",
        )
    if len(complete) == len(table):
        return table, judges
    return table.take(complete), judges.take(complete)


def _search(data: Scaled, numbers: Numbers) -> Integers:
    """int64[p, 5] of the front: cost, loss, latency if it counts, policy number, latency or -1."""
    running = _Running(data)
    for block in policy_blocks(data, numbers):
        running.add(block)
    if data.depth > 3:
        running.merge()
        for block in deep_blocks(data, numbers, running.allows):
            running.add(block)
    running.merge()
    return running.front


class _Running:
    """The front of the blocks so far.

    Attributes:
        front: int64[p, 5], as `_search` returns it.
    """

    def __init__(self, data: Scaled) -> None:
        self.front: Integers = np.empty((0, 5), dtype=np.int64)
        self._data = data
        self._screen = build_screen(self.front)
        self._waiting: list[Integers] = []

    def allows(self, bound: Block) -> Mask:
        """Whether policies with at least these figures may belong to the front."""
        latency = bound.latency if self._data.timed else np.zeros_like(bound.latency)
        kept = self._screen.keeps(bound.cost, bound.loss, latency)
        if self._data.limit_ms is not None:
            kept &= 20 * bound.late <= len(self._data) - 1
        return kept

    def add(self, block: Block) -> None:
        """Take in the policies of a block."""
        kept = self.allows(block)
        at = np.flatnonzero(kept)
        row, cell = np.divmod(at, max(math.prod(kept.shape[1:]), 1))
        latency = block.latency.ravel()[at]
        columns = (
            block.cost.ravel()[at],
            block.loss.ravel()[at],
            latency if self._data.timed else np.zeros_like(latency),
            block.starts[row] + cell,
            np.where(block.unknown.ravel()[at] == 0, latency, -1),
        )
        self._waiting.append(np.stack(columns, axis=1))
        if sum(map(len, self._waiting)) >= BUFFER_POINTS:
            self.merge()

    def merge(self) -> None:
        """Bring the front up to date."""
        points = np.concatenate([self.front, *self._waiting])
        self.front = points[pareto(points)]
        self._screen = build_screen(self.front)
        self._waiting = []


def _build_front(
    data: Scaled, numbers: Numbers, kept: Integers, judges: Judges, skipped: int
) -> Front:
    quality_shift, cost_shift, latency_shift = data.shifts
    policies: list[CascadePolicy] = []
    for order, thresholds in numbers.decode(data, kept[:, 3].tolist()):
        names = tuple(data.models[data.model_of(step)] for step in order)
        steps: tuple[Step, ...] = tuple(
            "route" if data.routes(step) else "ask" for step in order[:-1]
        )
        policies.append(judged_policy(names, thresholds, steps, judges))
    return Front(
        policies=tuple(policies),
        cost_usd=_mean(kept[:, 0], cost_shift, len(data)),
        quality=_mean(-kept[:, 1], quality_shift, len(data)),
        latency_ms=np.where(kept[:, 4] < 0, np.nan, _mean(kept[:, 4], latency_shift, len(data))),
        searched=numbers.total,
        rows=len(data),
        skipped=skipped,
    )


def judged_policy(
    models: tuple[str, ...],
    thresholds: tuple[float, ...],
    steps: tuple[Step, ...],
    judges: Judges,
) -> CascadePolicy:
    """A policy that names and pays for the judges that it asks, and no other."""
    asks, routes = "ask" in steps, "route" in steps
    return CascadePolicy(
        models,
        thresholds,
        judges.score if asks else "confidence",
        router=judges.router if routes else None,
        steps=steps if routes else (),
        score_ms=judges.score_ms if asks else 0.0,
        score_usd=judges.score_usd if asks else 0.0,
        route_ms=judges.route_ms if routes else 0.0,
    )


def _mean(sums: Integers, shift: int, rows: int) -> NDArray[np.float64]:
    return np.ldexp(sums.astype(np.float64), -shift) / rows
