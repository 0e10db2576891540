"""What the levers decide about the requests of a batch, and what their calls take together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frugalctl.levers.cascade import CascadePolicy
from frugalctl.replay.ledger import Floats, Integers, Mask, Side


@dataclass(frozen=True, slots=True)
class ReusedAnswers:
    """What a semantic cache did with n requests.

    Attributes:
        hit: bool[n], whether it answered the request, which is then not sent.
        asked: bool[n], whether the request was looked up at all.
        model: string[n], whose answer it gave; null where it gave none.
        source: string[n], the id of the request whose answer that was; null where none.
        quality: float64[n], of that answer for this request; NaN where unknown.
        lookup_ms: what a look-up takes.
        fee_usd: float64[n], what embedding the question cost; None for a local model.
    """

    hit: Mask
    asked: Mask
    model: pa.Array
    source: pa.Array
    quality: Floats
    lookup_ms: float
    fee_usd: Floats | None = None

    def take(self, first: int, rows: int) -> ReusedAnswers:
        """The same of a run of the requests."""
        span = slice(first, first + rows)
        return ReusedAnswers(
            self.hit[span],
            self.asked[span],
            self.model.slice(first, rows),
            self.source.slice(first, rows),
            self.quality[span],
            self.lookup_ms,
            None if self.fee_usd is None else self.fee_usd[span],
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """The calls that a recipe makes, in the order of their requests.

    Attributes:
        row: int64[c], the request that each call serves.
        answer: int64[c], the index of its answer.
        covered: bool[n], whether the log has all the answers that a request needs.
        judging: what scoring answers and routing took; None without a cascade.
    """

    row: Integers
    answer: Integers
    covered: Mask
    judging: Judging | None = None


@dataclass(frozen=True, slots=True)
class Judging:
    """What scoring answers and routing questions took.

    Attributes:
        usd: float64[n]; None where no policy pays for it.
        ms: float64[n].
    """

    usd: Floats | None
    ms: Floats

    @staticmethod
    def none(policies: Sequence[CascadePolicy], rows: int) -> Judging:
        """Nothing so far."""
        paid = any(policy.score_usd for policy in policies)
        return Judging(np.zeros(rows) if paid else None, np.zeros(rows))

    def add(self, policy: CascadePolicy, called: Mask, sent: Mask) -> None:
        """Add what a policy's scorer and router took; the last model's answer is not scored.

        Args:
            policy: the policy.
            called: bool[k, n], the calls that it made.
            sent: bool[n], the requests that it served.
        """
        scored = called[:-1][np.array(policy.asked, dtype=np.bool_)].sum(axis=0)
        if self.usd is not None:
            self.usd[:] += scored * policy.score_usd
        self.ms[:] += scored * policy.score_ms + sent * policy.route_ms


def take_side(side: Side, index: Integers) -> Side:
    """What stands at an index; what stands at -1 is not to be used."""
    if len(index) == len(side.model) and np.array_equal(index, np.arange(len(index))):
        return side
    at = np.maximum(index, 0)
    return Side(
        model=side.model.take(pa.array(at)),
        tokens={key: value[at] for key, value in side.tokens.items()},
        known=side.known[at],
        usd={key: value[at] for key, value in side.usd.items()},
        cost_usd=side.cost_usd[at],
        latency_ms=side.latency_ms[at],
        quality=side.quality[at],
    )


def sum_calls(taken: Side, chosen: Chosen, rows: int, reuse: ReusedAnswers | None = None) -> Side:
    """What each request took: its calls' sum; the model and the quality of its last call.

    Where a semantic cache answered, there was no call, but a look-up.
    """
    row = chosen.row
    last = np.full(rows, -1, dtype=np.int64)
    last[row] = np.arange(len(row))
    answer = take_side(taken, last) if len(row) else taken

    def total(values: Floats | Integers) -> Floats:
        return np.bincount(row, weights=values, minlength=rows).astype(np.float64)

    nothing = np.full(rows, np.nan)
    side = Side(
        model=answer.model if len(row) else pa.nulls(rows, pa.string()),
        tokens={key: total(value).astype(np.int64) for key, value in taken.tokens.items()},
        known=np.bincount(row[~taken.known], minlength=rows) == 0,
        usd={key: total(value) for key, value in taken.usd.items()},
        cost_usd=total(taken.cost_usd),
        latency_ms=total(taken.latency_ms),
        quality=answer.quality if len(row) else nothing,
        fees_usd={fee: total(paid_usd) for fee, paid_usd in taken.fees_usd.items()},
    )
    if chosen.judging is not None:
        side = _add_judging(side, chosen.judging)
    return side if reuse is None else _add_look_ups(side, reuse)


def _add_judging(side: Side, judging: Judging) -> Side:
    """What scorers and routers took, in what the requests took."""
    latency_ms = side.latency_ms + judging.ms
    if judging.usd is None:
        return replace(side, latency_ms=latency_ms)
    return replace(
        side,
        cost_usd=side.cost_usd + judging.usd,
        latency_ms=latency_ms,
        fees_usd={"scoring": judging.usd} | side.fees_usd,
    )


def _add_look_ups(side: Side, reuse: ReusedAnswers) -> Side:
    """Reused answers, and what looking for them took, in what the requests took."""
    cost_usd, fees_usd = side.cost_usd, side.fees_usd
    if reuse.fee_usd is not None:
        cost_usd = cost_usd + reuse.fee_usd
        fees_usd = {"embedding": reuse.fee_usd} | fees_usd
    return replace(
        side,
        model=pc.if_else(pa.array(reuse.hit), reuse.model, side.model),
        cost_usd=cost_usd,
        latency_ms=side.latency_ms + np.where(reuse.asked, reuse.lookup_ms, 0.0),
        quality=np.where(reuse.hit, reuse.quality, side.quality),
        fees_usd=fees_usd,
    )
