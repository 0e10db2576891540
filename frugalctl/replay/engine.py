"""The replay: apply the levers to each batch of the log, price what they decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from frugalctl.errors import UsageError
from frugalctl.levers.cascade import CascadePolicy, decide
from frugalctl.log.schema import LogBatch
from frugalctl.log.times import UNKNOWN_US
from frugalctl.prices import Calls, PriceBook
from frugalctl.replay.answers import Answers, PriceSource, collect_answers
from frugalctl.replay.judge import NO_JUDGE, Judge
from frugalctl.replay.ledger import Floats, Integers, LedgerBatch, Mask, ModelCalls, Side
from frugalctl.replay.recipe import Recipe

OBSERVED = "observed"
NO_MODEL = "(no model)"
_COVERAGE = 0.95


class CachePlan(Protocol):
    """What a simulated prompt cache decided for the calls of a log."""

    def price(self, calls: Calls, answer: Integers, taken: Side, setup: Setup) -> Side:
        """Price the next calls, with input tokens in the classes that the cache decided.

        Args:
            calls: what the prices of all answers of the batch depend on.
            answer: int64[c], which of them the calls are.
            taken: what the calls took without the cache.
            setup: the price book and the rest.
        """
        ...


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
class Setup:
    """Everything a replay needs beside the log.

    Attributes:
        book: the price book.
        recipe: the levers.
        baseline: "observed", or a model.
        prefer_observed: take the observed answer, where there is one, before the baseline's.
        prices: "book", or "log" for the log's own costs where it has them.
        as_of_us: a time to take all prices of, in microseconds since 1970.
        judge: the scorers and routers of the recipe's cascade.
    """

    book: PriceBook
    recipe: Recipe
    baseline: str = OBSERVED
    prefer_observed: bool = True
    prices: PriceSource = "book"
    as_of_us: int | None = None
    judge: Judge = NO_JUDGE


def replay(
    batches: Iterable[LogBatch],
    setup: Setup,
    plan: CachePlan | None = None,
    reuse: ReusedAnswers | None = None,
) -> Iterator[LedgerBatch]:
    """Replay a log, batch by batch.

    Args:
        batches: the log.
        setup: the recipe and the rest.
        plan: what the prompt cache decided, where the recipe has one.
        reuse: what the semantic cache did with all requests of the log, where there is one.

    Raises:
        UsageError: at the end, if the log has no answer at all of a model that is needed.
    """
    missing = {model for policy in setup.recipe.policies for model in policy.models}
    if setup.baseline != OBSERVED:
        missing.add(setup.baseline)
    seen: set[str] = set()
    first = 0
    for batch in batches:
        answers = collect_answers(batch, setup.book, setup.prices, setup.as_of_us)
        if missing:
            seen.update(answers.side.model.unique().drop_null().to_pylist())
            missing -= seen
        given = None if reuse is None else reuse.take(first, answers.requests)
        first += answers.requests
        yield replay_batch(batch, answers, setup, plan, given)
    if missing:
        _refuse_models(sorted(missing), seen)


def _refuse_models(missing: list[str], seen: set[str]) -> None:
    near = [match for name in missing for match in get_close_matches(name, seen, n=1, cutoff=0.4)]
    known = ", ".join(sorted(seen)[:12])
    raise UsageError(
        f"the log has no answer of {', '.join(missing)}",
        hint=f"did you mean {', '.join(near)}?" if near else f"it has {known or 'no outcomes'}",
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


def replay_batch(
    batch: LogBatch,
    answers: Answers,
    setup: Setup,
    plan: CachePlan | None = None,
    reuse: ReusedAnswers | None = None,
) -> LedgerBatch:
    """Replay one batch of requests, whose answers are known and priced.

    Args:
        batch: the requests.
        answers: all their answers.
        setup: the recipe and the rest.
        plan: what the prompt cache decided for the calls, which it hands out in their order.
        reuse: what the semantic cache did with these requests.
    """
    rows = batch.requests.num_rows
    own = choose_baseline_answers(answers, setup)
    baseline = take_side(answers.side, own)
    chosen = choose_calls(batch, answers, setup, reuse)
    covered = chosen.covered
    taken = take_side(answers.side, chosen.answer)
    recipe, after = baseline, dict[str, Floats]()
    if reuse is not None:
        fee_usd = 0.0 if reuse.fee_usd is None else reuse.fee_usd
        after["semantic_cache"] = np.where(reuse.hit, 0.0, baseline.cost_usd) + fee_usd
    if setup.recipe.cascade is not None:
        recipe = _sum_calls(taken, chosen, rows, reuse)
        after["cascade"] = recipe.cost_usd
    if plan is not None:
        taken = plan.price(answers.calls, chosen.answer, taken, setup)
    if plan is not None or (reuse is not None and setup.recipe.cascade is None):
        recipe = _sum_calls(taken, chosen, rows, reuse)
    if plan is not None:
        after["prompt_cache"] = recipe.cost_usd
    calls = ModelCalls(chosen.row, taken.model, taken.cost_usd)
    guessed = answers.estimated[own] | (
        np.bincount(chosen.row[answers.estimated[chosen.answer]], minlength=rows) > 0
    )
    timestamps = batch.column("timestamp").cast(pa.int64()).fill_null(UNKNOWN_US)
    return LedgerBatch(
        columns={name: batch.column(name) for name in ("id", "session", "tenant", "task")},
        timestamp_us=timestamps.to_numpy(zero_copy_only=False),
        covered=covered,
        unpriced=_name_unpriced(covered, baseline, calls),
        estimated=covered & guessed,
        baseline=baseline,
        recipe=recipe,
        calls=calls,
        after=after,
        reused_from=None if reuse is None else reuse.source,
    )


def choose_baseline_answers(answers: Answers, setup: Setup) -> Integers:
    """For each request the index of the baseline's answer, -1 where there is none."""
    if setup.baseline == OBSERVED:
        return _answered(answers)
    named = answers.of_model(setup.baseline)
    if not setup.prefer_observed:
        return named
    observed = answers.observed()
    return np.where(observed >= 0, observed, named)


def _answered(answers: Answers) -> Integers:
    """The observed answers; a request without a model but with usage counts as answered.

    Such a request was paid for, though nobody knows at what price.
    """
    own = np.arange(answers.requests, dtype=np.int64)
    known = answers.observed() >= 0
    return np.where(known | answers.side.known[: answers.requests], own, -1)


def choose_calls(
    batch: LogBatch, answers: Answers, setup: Setup, reuse: ReusedAnswers | None = None
) -> Chosen:
    """The calls of the cascade, or of the baseline where there is no cascade.

    A request that the baseline did not answer is not compared, so it makes no calls; nor does
    one that the semantic cache answers.
    """
    own = choose_baseline_answers(answers, setup)
    hit = np.zeros(len(own), dtype=np.bool_) if reuse is None else reuse.hit
    if setup.recipe.cascade is None:
        at = np.flatnonzero((own >= 0) & ~hit)
        return Chosen(at, own[at], own >= 0)
    covered = hit & (own >= 0)
    row, answer = list[Integers](), list[Integers]()
    judging = Judging.none(setup.recipe.policies, len(own))
    for policy, mine in _assign_policies(batch, setup.recipe, len(own)):
        index = [answers.of_model(model) for model in policy.models]
        scores = setup.judge.score_steps(batch, answers, policy, index)
        decisions = decide(policy, [at >= 0 for at in index], scores)
        sent = decisions.covered & (own >= 0) & ~hit & mine
        covered |= sent
        for at, called in zip(index, decisions.called & sent, strict=True):
            row.append(np.flatnonzero(called))
            answer.append(at[called])
        judging.add(policy, decisions.called & sent, sent)
    rows = np.concatenate(row)
    order = np.argsort(rows, kind="stable")
    return Chosen(rows[order], np.concatenate(answer)[order], covered, judging)


def _assign_policies(
    batch: LogBatch, recipe: Recipe, rows: int
) -> Iterator[tuple[CascadePolicy, Mask]]:
    """The policies, each with the requests that it serves: those of its task, or the rest."""
    assert recipe.cascade is not None
    rest = np.ones(rows, dtype=np.bool_)
    if recipe.cascade_tasks:
        task = batch.column("task")
        for name, policy in recipe.cascade_tasks:
            mine = pc.equal(task, name).fill_null(False).to_numpy(zero_copy_only=False)
            rest &= ~mine
            yield policy, mine
    yield recipe.cascade, rest


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


def _sum_calls(taken: Side, chosen: Chosen, rows: int, reuse: ReusedAnswers | None = None) -> Side:
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


def _name_unpriced(covered: Mask, baseline: Side, calls: ModelCalls) -> pa.Array:
    """For each covered request, the first model that has no price; null where all have one."""
    lacking = np.isnan(baseline.cost_usd) & covered
    if not lacking.any() and not np.isnan(calls.cost_usd).any():
        return pa.nulls(len(covered), pa.string())
    names = np.full(len(covered), None, dtype=np.object_)
    later_first = np.flatnonzero(np.isnan(calls.cost_usd) & covered[calls.row])[::-1]
    names[calls.row[later_first]] = _names(calls.model, later_first)
    names[lacking] = _names(baseline.model, np.flatnonzero(lacking))
    return pa.array(names, pa.string())


def _names(models: pa.Array, at: Integers) -> list[str]:
    return models.take(pa.array(at)).fill_null(NO_MODEL).to_pylist()


def choose_baseline(batches: Iterable[LogBatch]) -> str:
    """The single model of highest mean quality among the log's outcomes.

    Only models that answered nearly as many requests (95 %) as the most frequent one compete;
    of equals, the first by name wins.

    Raises:
        UsageError: no outcome has a quality.
    """
    total: dict[str, float] = {}
    count: dict[str, int] = {}
    for batch in batches:
        flat = batch.column("outcomes").flatten()
        table = pa.table({"model": flat.field("model"), "quality": flat.field("quality")})
        grouped = table.group_by("model").aggregate([("quality", "sum"), ("quality", "count")])
        for row in grouped.to_pylist():
            total[row["model"]] = total.get(row["model"], 0.0) + (row["quality_sum"] or 0.0)
            count[row["model"]] = count.get(row["model"], 0) + row["quality_count"]
    most = max(count.values(), default=0)
    if not most:
        raise UsageError(
            "the log has no observed model and no quality to choose a baseline by",
            hint="name one: --baseline MODEL",
        )
    able = [model for model in count if count[model] >= _COVERAGE * most]
    return min(able, key=lambda model: (-total[model] / count[model], model))
