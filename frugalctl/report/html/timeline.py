"""Totals by hour, by day or by a longer period: as fine as a chart can show."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np

from frugalctl.log.times import RELATIVE_BEFORE_US
from frugalctl.replay.ledger import Floats, LedgerBatch, Mask, Side
from frugalctl.report.groups import PICOS, sum_by
from frugalctl.report.html.model import Tally, Timeline

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_STEPS_US = tuple(_DAY_US * days for days in (1, 7, 28, 364, 3640, 36400, 364000))
_HOURLY_BELOW_US = 3 * _DAY_US
_MOST_PERIODS = 400
_INPUT = ("fresh_input", "cache_read", "cache_write", "cache_write_1h")


class TimeTotals:
    """Running totals by period, joined into longer ones as the log grows longer."""

    def __init__(self) -> None:
        self._step_us = _HOUR_US
        self._tallies: dict[int, list[int]] = {}
        self._first_us: int | None = None
        self._last_us = 0
        self._undated = 0

    def add(self, batch: LedgerBatch, priced: Mask) -> None:
        """Add a batch; `priced` are the rows that count for costs."""
        dated = batch.timestamp_us >= RELATIVE_BEFORE_US
        self._undated += int(np.count_nonzero(~dated))
        if not dated.any():
            return
        times_us = batch.timestamp_us[dated]
        first, last = int(times_us.min()), int(times_us.max())
        self._first_us = first if self._first_us is None else min(first, self._first_us)
        self._last_us = max(last, self._last_us)
        self._widen()
        present, codes = np.unique(times_us // self._step_us, return_inverse=True)
        columns = [sum_by(codes, values[dated], len(present)) for values in _amounts(batch, priced)]
        for at, period in enumerate(present.tolist()):
            sums = self._tallies.setdefault(period, [0] * len(columns))
            for place, column in enumerate(columns):
                sums[place] += int(column[at])

    def _widen(self) -> None:
        """Join periods until there are few enough of them."""
        assert self._first_us is not None
        span_us = self._last_us - self._first_us
        if self._step_us == _HOUR_US and span_us < _HOURLY_BELOW_US:
            return
        step_us = next(step for step in _STEPS_US if span_us / step <= _MOST_PERIODS)
        if step_us <= self._step_us:
            return
        joined: dict[int, list[int]] = {}
        for period, sums in self._tallies.items():
            into = joined.setdefault(period * self._step_us // step_us, [0] * len(sums))
            into[:] = [a + b for a, b in zip(into, sums, strict=True)]
        self._tallies, self._step_us = joined, step_us

    def timeline(self) -> Timeline | None:
        """The periods; None where no request has a date."""
        if not self._tallies:
            return None
        first, last = min(self._tallies), max(self._tallies)
        nothing = astuple(Tally())
        periods = (Tally(*self._tallies.get(period, nothing)) for period in range(first, last + 1))
        return Timeline(self._step_us, first * self._step_us, tuple(periods), self._undated)


def _amounts(batch: LedgerBatch, priced: Mask) -> list[Floats]:
    """What a `Tally` sums, in its order, for each request."""
    rows = len(batch)
    hits = np.zeros(rows)
    if batch.reused_from is not None:
        hits = batch.reused_from.is_valid().to_numpy(zero_copy_only=False).astype(np.float64)
    sides = (batch.baseline, batch.recipe)
    return [
        np.ones(rows),
        priced.astype(np.float64),
        *(np.where(priced, np.rint(side.cost_usd * PICOS), 0.0) for side in sides),
        hits,
        *(tokens for side in sides for tokens in _input_tokens(side, batch.covered)),
    ]


def _input_tokens(side: Side, covered: Mask) -> tuple[Floats, Floats]:
    """All input tokens and those read from a prompt cache."""
    counted = side.known & covered
    total = np.sum([side.tokens[name] for name in _INPUT], axis=0)
    return (
        np.where(counted, total, 0).astype(np.float64),
        np.where(counted, side.tokens["cache_read"], 0).astype(np.float64),
    )
