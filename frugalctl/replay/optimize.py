"""From a log with several models' answers to the policy that meets a goal, and its proof."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from frugalctl.errors import InputError, UsageError
from frugalctl.levers.cascade.baselines import Baseline, best_single
from frugalctl.levers.cascade.certificate import SEARCH_SHARE, Certificate, Part, certify
from frugalctl.levers.cascade.front import Evaluation, Front, evaluate, merge_fronts
from frugalctl.levers.cascade.heldout import HeldOut, compare
from frugalctl.levers.cascade.policy import CascadePolicy
from frugalctl.levers.cascade.search import search_front
from frugalctl.levers.cascade.search_agreement import search_agreement
from frugalctl.levers.cascade.splits import fold_rows, split_by_time, split_rows
from frugalctl.levers.cascade.table import Integers, OutcomeTable
from frugalctl.log.times import UNKNOWN_US
from frugalctl.replay.goal import Goal, choose_policy, within_budget
from frugalctl.replay.learn import Learned, LearnOptions, learn, resolve_options

Split = Literal["folds", "random", "time"]

_HELD_OUT_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class OptimizeOptions:
    """How to optimise.

    Attributes:
        goal: what for.
        learn: what to judge answers and questions by.
        split: how rows are held out: in turns ("folds"), at random, or the latest ("time").
        folds: how many turns.
        depth: the most models that a policy tries.
        bins: the most thresholds of a model.
        by_task: whether each task has a policy of its own, where that pays on held-out rows.
        seed: of splits, training and bootstrap.
    """

    goal: Goal
    learn: LearnOptions
    split: Split = "folds"
    folds: int = 5
    depth: int = 3
    bins: int = 64
    by_task: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """A policy, and what it was chosen by.

    Attributes:
        policy: the policy.
        reference: the best single model of the rows, or the one that was named.
        learned: what judges the policy's steps.
        front: the front that the policy was chosen from.
        certificate: None where none was asked for.
    """

    policy: CascadePolicy
    reference: str
    learned: Learned
    front: Front
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class Optimized:
    """The result.

    Attributes:
        table: the complete rows that the policy was chosen on.
        choice: the policy that is to be used.
        front: the whole front over these rows.
        learned: what the front is judged by.
        train: what the policy does on these rows, as predicted by its search.
        heldout: what policies so chosen do on rows that they were chosen without; None where
            nothing could be held out.
        seconds: what the search of the front took, by the clock.
        tasks: policies of some tasks, in the place of the chosen one.
        routers: what routers alone do, for the baselines.
        notes: what a reader should know.
    """

    table: OutcomeTable
    choice: Choice
    front: Front
    learned: Learned
    train: Evaluation
    heldout: HeldOut | None
    notes: tuple[str, ...]
    seconds: float
    tasks: tuple[tuple[str, CascadePolicy], ...] = ()
    routers: tuple[Baseline, ...] = ()


def pick_models(
    table: OutcomeTable, names: Sequence[str], excluded: Sequence[str] = ()
) -> OutcomeTable:
    """The table of some models, all of them without names.

    Raises:
        UsageError: a name that the log does not have, or fewer than two models.
        InputError: the log has fewer than two.
    """
    for name in (*names, *excluded):
        if name not in table.models:
            raise unknown_model(name, table.models)
    kept = [name for name in (names or table.models) if name not in excluded]
    kept = list(dict.fromkeys(kept))
    if len(table.models) < 2:
        only = f", {table.models[0]}" if table.models else ""
        raise InputError(
            f"the log has answers of {len(table.models)} model{only}: there is nothing to choose",
            hint="log `outcomes` of several models for the same requests",
        )
    if len(kept) < 2:
        raise UsageError(f"{len(kept)} model is left, and two are needed", hint="--models a,b")
    return table if tuple(kept) == table.models else table.select(tuple(kept))


def unknown_model(name: str, known: Sequence[str]) -> UsageError:
    """The error for a model that the log does not have."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known[:12])}"
    return UsageError(f"the log has no outcome of {name}", hint=hint)


def optimize(table: OutcomeTable, options: OptimizeOptions) -> Optimized:
    """Choose a policy, and measure it on rows that it was not chosen on.

    Raises:
        InputError: no complete row, or too few for what is asked.
        UsageError: no policy meets the goal.
    """
    complete = np.flatnonzero(table.complete)
    if not len(complete):
        raise _incomplete(table)
    if options.goal.reference is not None and options.goal.reference not in table.models:
        raise unknown_model(options.goal.reference, table.models)
    rows = table if len(complete) == len(table) else table.take(complete)
    options = replace(options, learn=resolve_options(rows, options.learn))
    train = rows
    if options.split == "time":
        early, late = split_by_time(rows, UNKNOWN_US, _HELD_OUT_SHARE)
        train, rest = rows.take(early), [(early, late)]
    elif options.split == "random":
        some, others = split_rows(rows, options.seed, _HELD_OUT_SHARE)
        train, rest = rows.take(some), [(some, others)]
    else:
        rest = list(_folds(rows, options))
    choice = choose(train, options)
    certified = choice.certificate is not None
    learned = learn(train, options.learn) if certified else choice.learned
    start = time.perf_counter()
    front = search(train, learned, options)
    seconds = time.perf_counter() - start
    return Optimized(
        table=train,
        choice=choice,
        front=front,
        learned=learned,
        train=_retrace(train, choice, learned),
        heldout=_hold_out(rows, rest, choice, options),
        notes=tuple(_notes(table, rows, options)),
        seconds=seconds,
    )


def _incomplete(table: OutcomeTable) -> InputError:
    for name, values in (("cost", table.cost_usd), ("quality", table.quality)):
        unknown = [
            model
            for at, model in enumerate(table.models)
            if np.isnan(values[:, at]).all() and table.present[:, at].any()
        ]
        if unknown:
            hint = "--prices log takes the log's own costs; tokens are needed for the book's"
            return InputError(
                f"no {name} is known of {', '.join(unknown)}",
                hint=hint if name == "cost" else "log `quality` (0 to 1) in each outcome",
            )
    return InputError(
        "no request has the quality and the cost of every model",
        hint="--models a,b takes some of them",
    )


def _folds(rows: OutcomeTable, options: OptimizeOptions) -> Iterator[tuple[Integers, Integers]]:
    fold = fold_rows(rows, options.folds, options.seed)
    for number in range(options.folds):
        yield np.flatnonzero(fold != number), np.flatnonzero(fold == number)


def choose(table: OutcomeTable, options: OptimizeOptions) -> Choice:
    """The whole procedure on some complete rows: learn, search, choose, certify."""
    goal = options.goal
    reference = goal.reference or best_single(table)
    if goal.max_quality_loss is None:
        learned = learn(table, options.learn)
        front = search(table, learned, options)
        return Choice(choose_policy(front, goal), reference, learned, front, None)
    some, others = split_rows(table, options.seed, SEARCH_SHARE)
    part = table.take(some)
    learned = learn(part, options.learn)
    front = search(part, learned, options)
    test = table.take(others)
    certificate = certify(
        within_budget(front, goal).policies,
        Part(part, learned.judges),
        Part(test, learned.judge(test)),
        reference,
        goal.max_quality_loss,
        goal.confidence,
    )
    return Choice(certificate.policy, reference, learned, front, certificate)


def search(table: OutcomeTable, learned: Learned, options: OptimizeOptions) -> Front:
    """The front of everything that may be searched over complete rows."""
    limit_ms = options.goal.latency_p95_ms
    judges = learned.judges
    if judges.score != "agreement":
        return search_front(
            table, judges, depth=options.depth, bins=options.bins, latency_limit_ms=limit_ms
        )
    # single models and routes need no score; agreement has a search of its own
    unjudged = replace(judges, scores=np.full(table.quality.shape, np.nan), score="confidence")
    front = search_front(
        table, unjudged, depth=options.depth, bins=options.bins, latency_limit_ms=limit_ms
    )
    agreeing = search_agreement(table, judges, depth=options.depth, latency_limit_ms=limit_ms)
    return front if agreeing is None else merge_fronts([front, agreeing])


def _retrace(table: OutcomeTable, choice: Choice, learned: Learned) -> Evaluation:
    """What the chosen policy does on the rows it was chosen on."""
    judges = learned.judges if choice.certificate is None else choice.learned.judge(table)
    return evaluate(table, choice.policy, judges)


def _hold_out(
    rows: OutcomeTable,
    splits: Sequence[tuple[Integers, Integers]],
    choice: Choice,
    options: OptimizeOptions,
) -> HeldOut | None:
    """Judge each row by a policy that was chosen without it."""
    parts: list[tuple[Integers, Evaluation, Evaluation]] = []
    for train, test in splits:
        found = choice
        if len(splits) > 1:
            found = choose(rows.take(train), options)
        table = rows.take(test)
        policy = evaluate(table, found.policy, found.learned.judge(table))
        parts.append((test, policy, evaluate(table, CascadePolicy((found.reference,), ()))))
    order = np.concatenate([at for at, _, _ in parts])
    policy, reference = (
        Evaluation(
            *(
                np.concatenate([getattr(part[side], name) for part in parts])
                for name in ("cost_usd", "quality", "latency_ms", "calls", "covered")
            )
        )
        for side in (1, 2)
    )
    return compare(policy, reference, rows.clusters[order], seed=options.seed)


def _notes(table: OutcomeTable, rows: OutcomeTable, options: OptimizeOptions) -> Iterator[str]:
    skipped = len(table) - len(rows)
    if skipped:
        yield f"{skipped:,} of {len(table):,} requests lack an outcome, its quality or its cost"
    if len(rows) < 100:
        yield f"{len(rows)} requests are few: expect wide intervals"
    if (rows.quality == rows.quality[:, :1]).all():
        yield "all models have the same quality on every request: the cheapest is as good as any"
    if options.learn.score == "confidence" and np.isnan(rows.confidence).all():
        yield "no confidence and no answers' texts: only single models can be searched"
    twins = [
        (one, other)
        for at, one in enumerate(rows.models)
        for other in rows.models[at + 1 :]
        if _are_twins(rows, one, other)
    ]
    for one, other in twins[:3]:
        yield f"{one} and {other} have the same quality and cost on every request"


def _are_twins(rows: OutcomeTable, one: str, other: str) -> bool:
    a, b = rows.models.index(one), rows.models.index(other)
    same_quality = bool((rows.quality[:, a] == rows.quality[:, b]).all())
    return same_quality and bool((rows.cost_usd[:, a] == rows.cost_usd[:, b]).all())
