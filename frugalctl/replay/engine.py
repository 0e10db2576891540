"""The replay: apply the levers to each batch of the log, price what they decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np
import pyarrow as pa

from frugalctl.errors import UsageError
from frugalctl.levers.cascade import CascadePolicy, decide
from frugalctl.log.schema import LogBatch
from frugalctl.log.times import UNKNOWN_US
from frugalctl.prices import TOKEN_CLASSES, PriceBook
from frugalctl.replay.answers import Answers, PriceSource, collect_answers
from frugalctl.replay.ledger import Integers, LedgerBatch, Mask, ModelCalls, Side
from frugalctl.replay.recipe import Recipe

OBSERVED = "observed"
NO_MODEL = "(no model)"
_COVERAGE = 0.95


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
    """

    book: PriceBook
    recipe: Recipe
    baseline: str = OBSERVED
    prefer_observed: bool = True
    prices: PriceSource = "book"
    as_of_us: int | None = None


def replay(batches: Iterable[LogBatch], setup: Setup) -> Iterator[LedgerBatch]:
    """Replay a log, batch by batch.

    Raises:
        UsageError: at the end, if the log has no answer at all of a model that is needed.
    """
    missing = set(setup.recipe.cascade.models if setup.recipe.cascade else ())
    if setup.baseline != OBSERVED:
        missing.add(setup.baseline)
    seen: set[str] = set()
    for batch in batches:
        answers = collect_answers(batch, setup.book, setup.prices, setup.as_of_us)
        if missing:
            seen.update(answers.side.model.unique().drop_null().to_pylist())
            missing -= seen
        yield replay_batch(batch, answers, setup)
    if missing:
        _refuse_models(sorted(missing), seen)


def _refuse_models(missing: list[str], seen: set[str]) -> None:
    near = [match for name in missing for match in get_close_matches(name, seen, n=1, cutoff=0.4)]
    known = ", ".join(sorted(seen)[:12])
    raise UsageError(
        f"the log has no answer of {', '.join(missing)}",
        hint=f"did you mean {', '.join(near)}?" if near else f"it has {known or 'no outcomes'}",
    )


def replay_batch(batch: LogBatch, answers: Answers, setup: Setup) -> LedgerBatch:
    """Replay one batch of requests, whose answers are known and priced."""
    chosen = _choose_baseline_answers(answers, setup)
    covered = chosen >= 0
    baseline = _take(answers, chosen)
    estimated = covered & answers.estimated[chosen]
    recipe = baseline
    at = np.flatnonzero(covered)
    calls = ModelCalls(at, baseline.model.take(pa.array(at)), baseline.cost_usd[at])
    if setup.recipe.cascade is not None:
        recipe, calls, followed, guessed = _run_cascade(answers, setup.recipe.cascade)
        covered &= followed
        estimated |= guessed
    timestamps = batch.column("timestamp").cast(pa.int64()).fill_null(UNKNOWN_US)
    return LedgerBatch(
        columns={name: batch.column(name) for name in ("id", "session", "tenant", "task")},
        timestamp_us=timestamps.to_numpy(zero_copy_only=False),
        covered=covered,
        unpriced=_name_unpriced(covered, baseline, calls),
        estimated=estimated,
        baseline=baseline,
        recipe=recipe,
        calls=calls,
    )


def _choose_baseline_answers(answers: Answers, setup: Setup) -> Integers:
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


def _take(answers: Answers, index: Integers) -> Side:
    """The answers at an index; what stands at -1 is not to be used."""
    side = answers.side
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


def _run_cascade(answers: Answers, policy: CascadePolicy) -> tuple[Side, ModelCalls, Mask, Mask]:
    """What the cascade took: its side, its calls, what is covered, what is estimated."""
    index = [answers.of_model(model) for model in policy.models]
    present = [at >= 0 for at in index]
    scores = [np.where(at >= 0, answers.confidence[at], np.nan) for at in index]
    decisions = decide(policy, present, scores)
    steps = [_take(answers, at) for at in index]
    made = [decisions.covered & (decisions.calls > step) for step in range(len(steps))]
    last = np.choose(np.maximum(decisions.calls - 1, 0), np.stack(index))
    answer = _take(answers, last)
    side = Side(
        model=answer.model,
        tokens={key: _total([step.tokens[key] for step in steps], made) for key in TOKEN_CLASSES},
        known=np.logical_and.reduce(
            [~mask | step.known for step, mask in zip(steps, made, strict=True)]
        ),
        usd={key: _total([step.usd[key] for step in steps], made) for key in TOKEN_CLASSES},
        cost_usd=_total([step.cost_usd for step in steps], made),
        latency_ms=_total([step.latency_ms for step in steps], made),
        quality=answer.quality,
    )
    rows = [np.flatnonzero(mask) for mask in made]
    calls = ModelCalls(
        row=np.concatenate(rows),
        model=pa.concat_arrays(
            [step.model.take(pa.array(at)) for step, at in zip(steps, rows, strict=True)]
        ),
        cost_usd=np.concatenate([step.cost_usd[at] for step, at in zip(steps, rows, strict=True)]),
    )
    guessed = np.logical_or.reduce(
        [mask & answers.estimated[at] for mask, at in zip(made, index, strict=True)]
    )
    return side, calls, decisions.covered, guessed


def _total(values: list[np.ndarray], made: list[Mask]) -> np.ndarray:
    """The sum over the calls that were made."""
    return np.sum(
        [np.where(mask, value, 0) for value, mask in zip(values, made, strict=True)], axis=0
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
