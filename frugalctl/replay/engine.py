"""The replay: apply the levers to each batch of the log, price what they decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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
from frugalctl.replay.decisions import Chosen, Judging, ReusedAnswers, sum_calls, take_side
from frugalctl.replay.judge import NO_JUDGE, Judge
from frugalctl.replay.ledger import Floats, Integers, LedgerBatch, Mask, ModelCalls, Side
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.singles import SingleModels

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


class PromptPlan(Protocol):
    """What compression made of the prompts of a log."""

    def price(self, answers: Answers, chosen: Chosen, taken: Side, setup: Setup) -> Side:
        """Price the calls of the next batch, with the tokens of compressed prompts.

        Args:
            answers: all answers of the batch.
            chosen: the calls that are made.
            taken: what they took as logged.
            setup: the price book and the rest.
        """
        ...


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
    prompts: PromptPlan | None = None,
    singles: SingleModels | None = None,
) -> Iterator[LedgerBatch]:
    """Replay a log, batch by batch.

    Args:
        batches: the log.
        setup: the recipe and the rest.
        plan: what the prompt cache decided, where the recipe has one.
        reuse: what the semantic cache did with all requests of the log, where there is one.
        prompts: what compression made of their prompts, where the recipe has it.
        singles: gathers what the log's single models take.

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
        replayed = replay_batch(batch, answers, setup, plan, given, prompts)
        if singles is not None:
            singles.add(batch, answers, replayed.covered)
        yield replayed
    if missing:
        _refuse_models(sorted(missing), seen)


def _refuse_models(missing: list[str], seen: set[str]) -> None:
    near = [match for name in missing for match in get_close_matches(name, seen, n=1, cutoff=0.4)]
    known = ", ".join(sorted(seen)[:12])
    raise UsageError(
        f"the log has no answer of {', '.join(missing)}",
        hint=f"did you mean {', '.join(near)}?" if near else f"it has {known or 'no outcomes'}",
    )


def replay_batch(
    batch: LogBatch,
    answers: Answers,
    setup: Setup,
    plan: CachePlan | None = None,
    reuse: ReusedAnswers | None = None,
    prompts: PromptPlan | None = None,
) -> LedgerBatch:
    """Replay one batch of requests, whose answers are known and priced.

    Args:
        batch: the requests.
        answers: all their answers.
        setup: the recipe and the rest.
        plan: what the prompt cache decided for the calls, which it hands out in their order.
        reuse: what the semantic cache did with these requests.
        prompts: what compression made of their prompts, which it hands out in their order.
    """
    rows = batch.requests.num_rows
    own = choose_baseline_answers(answers, setup)
    baseline = take_side(answers.side, own)
    chosen = choose_calls(batch, answers, setup, reuse)
    covered = chosen.covered
    given = _Given(plan, reuse, prompts)
    taken, recipe, after = _apply_levers(answers, chosen, setup, baseline, given)
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


@dataclass(frozen=True, slots=True)
class _Given:
    """What levers that see the whole log decided before."""

    plan: CachePlan | None
    reuse: ReusedAnswers | None
    prompts: PromptPlan | None


def _apply_levers(
    answers: Answers, chosen: Chosen, setup: Setup, baseline: Side, given: _Given
) -> tuple[Side, Side, dict[str, Floats]]:
    """What the calls take, what the requests take, and what these cost after each lever."""
    rows, reuse = answers.requests, given.reuse
    taken, recipe = take_side(answers.side, chosen.answer), baseline
    after: dict[str, Floats] = {}
    if reuse is not None:
        fee_usd = 0.0 if reuse.fee_usd is None else reuse.fee_usd
        after["semantic_cache"] = np.where(reuse.hit, 0.0, baseline.cost_usd) + fee_usd
    if reuse is not None or setup.recipe.cascade is not None:
        recipe = sum_calls(taken, chosen, rows, reuse)
    if setup.recipe.cascade is not None:
        after["cascade"] = recipe.cost_usd
    if given.prompts is not None:
        taken = given.prompts.price(answers, chosen, taken, setup)
        recipe = sum_calls(taken, chosen, rows, reuse)
        after["compress"] = recipe.cost_usd
    if given.plan is not None:
        taken = given.plan.price(answers.calls, chosen.answer, taken, setup)
        recipe = sum_calls(taken, chosen, rows, reuse)
        after["prompt_cache"] = recipe.cost_usd
    return taken, recipe, after


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
