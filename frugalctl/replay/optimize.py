"""From a log with several models' answers to the policy that meets a goal, and its proof."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.levers.cascade.baselines import Baseline, best_single, route_by_neighbours
from frugalctl.levers.cascade.certificate import SEARCH_SHARE, Certificate, Part, certify
from frugalctl.levers.cascade.front import (
    SLACK,
    Evaluation,
    Front,
    evaluate,
    latency_p95_ms,
    merge_fronts,
)
from frugalctl.levers.cascade.heldout import HeldOut, compare
from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.policy import CascadePolicy
from frugalctl.levers.cascade.search import search_front
from frugalctl.levers.cascade.search_agreement import search_agreement
from frugalctl.levers.cascade.splits import fold_rows, split_by_time, split_rows
from frugalctl.levers.cascade.table import Integers, OutcomeTable
from frugalctl.log.times import UNKNOWN_US
from frugalctl.replay.goal import Goal, choose_policy, within_budget
from frugalctl.replay.learn import Learned, LearnOptions, learn, resolve_options
from frugalctl.replay.optimize_rows import describe_rows, explain_incomplete, unknown_model

Split = Literal["auto", "folds", "random", "time"]

_TRAIN_SHARE = 0.7
_LEAST_TASK_ROWS = 100
_COLUMNS = ("cost_usd", "quality", "latency_ms", "calls", "covered")


@dataclass(frozen=True, slots=True)
class OptimizeOptions:
    """How to optimise.

    Attributes:
        goal: what for.
        learn: what to judge answers and questions by.
        split: how rows are held out: in turns ("folds"), at random, or the latest ("time");
            "auto" is in turns, but at random where something has to be learned each time.
        folds: how many turns.
        depth: the most models that a policy tries.
        bins: the most thresholds of a model.
        by_task: whether each task of `_LEAST_TASK_ROWS` has a policy of its own, if that pays on
            the rows held out.
        seed: of splits, training and bootstrap.
    """

    goal: Goal
    learn: LearnOptions
    split: Split = "auto"
    folds: int = 5
    depth: int = 3
    bins: int = 64
    by_task: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Chosen:
    """A policy, and what it was chosen by.

    Attributes:
        policy: the policy.
        front: the front that it was chosen from.
        certificate: None where none was asked for.
    """

    policy: CascadePolicy
    front: Front
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The policies chosen on some rows.

    Attributes:
        chosen: for all requests.
        reference: the best single model of the rows, or the one that was named.
        learned: what judges the policies' steps.
        tasks: for the requests of some tasks, in the place of `chosen`.
    """

    chosen: Chosen
    reference: str
    learned: Learned
    tasks: tuple[tuple[str, Chosen], ...] = ()

    @property
    def policy(self) -> CascadePolicy:
        """The policy for all requests but those of `tasks`."""
        return self.chosen.policy

    @property
    def policies(self) -> tuple[CascadePolicy, ...]:
        """All of them."""
        return (self.policy, *(chosen.policy for _, chosen in self.tasks))

    @property
    def certifies(self) -> bool:
        """Whether any policy is more than what is left where no certificate is granted."""
        certificates = [one.certificate for one in (self.chosen, *(one for _, one in self.tasks))]
        return any(one is None or one.granted for one in certificates)

    def evaluate(self, table: OutcomeTable, judges: Judges) -> Evaluation:
        """What the policies do with the requests of a table, each with its own."""
        whole = evaluate(table, self.policy, judges)
        for task, chosen in self.tasks:
            mine = np.array([one == task for one in table.tasks], dtype=np.bool_)
            whole = whole.overlay(mine, evaluate(table, chosen.policy, judges))
        return whole


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
    routers: tuple[Baseline, ...] = ()


def optimize(table: OutcomeTable, options: OptimizeOptions) -> Optimized:
    """Choose a policy, and measure it on rows that it was not chosen on.

    Raises:
        InputError: no complete row, or too few for what is asked.
        UsageError: no policy meets the goal.
    """
    complete = np.flatnonzero(table.complete)
    if not len(complete):
        raise explain_incomplete(table)
    if options.goal.reference is not None and options.goal.reference not in table.models:
        raise unknown_model(options.goal.reference, table.models)
    rows = table if len(complete) == len(table) else table.take(complete)
    options = replace(options, learn=resolve_options(rows, options.learn))
    splits = _split(rows, options)
    train = rows.take(splits[0][0]) if len(splits) == 1 else rows
    choice = choose(train, options)
    notes = list(describe_rows(table, rows, options.learn))
    _require_limits(train, choice, options.goal)
    heldout, certified = _hold_out(rows, splits, choice, options)
    if choice.tasks:
        choice, heldout = _drop_tasks(rows, splits, choice, heldout, options, notes)
    if certified is not None:
        kept = "" if certified == len(splits) else "; elsewhere the best single model was kept"
        notes.append(f"a policy was certified in {certified} of {len(splits)} turns{kept}")
    learned = choice.learned
    if learned.fresh and any(learned.needs(policy) for policy in choice.policies):
        notes.append(
            "what was learned judges the rows chosen on as if it had not seen them; a replay "
            "of them judges by what has, and may differ"
        )
    if choice.chosen.certificate is not None:
        learned = learn(train, options.learn)
    start = time.perf_counter()
    front = search(train, learned.judges, options)
    seconds = time.perf_counter() - start
    return Optimized(
        table=train,
        choice=choice,
        front=front,
        learned=learned,
        train=choice.evaluate(train, _judge_again(train, choice)),
        heldout=heldout,
        notes=tuple(notes),
        seconds=seconds,
        routers=tuple(route_by_neighbours(train, options.seed)),
    )


def _require_limits(train: OutcomeTable, choice: Choice, goal: Goal) -> None:
    """Whether the model that is kept for want of a certificate is within the other limits."""
    certificate = choice.chosen.certificate
    if certificate is None or certificate.granted:
        return
    single = CascadePolicy((choice.reference,), ())
    each = float(evaluate(train, single).cost_usd.mean())
    p95_ms = latency_p95_ms(train, single)
    broken: list[str] = []
    if goal.budget_usd is not None and each > goal.budget_usd * (1 + SLACK):
        broken.append(f"costs {each * 1000:.4g} USD for 1,000 requests")
    if goal.latency_p95_ms is not None and not p95_ms <= goal.latency_p95_ms:
        known = "unknown" if math.isnan(p95_ms) else f"{p95_ms:,.0f} ms"
        broken.append(f"has a latency p95 of {known}")
    if broken:
        raise UsageError(
            f"no policy within the limits is certified ({certificate.reason}), and the best "
            f"single model, {choice.reference}, {' and '.join(broken)}",
            hint="loosen a limit, or leave out --max-quality-loss for the best policy within them",
        )


def _judge_again(train: OutcomeTable, choice: Choice) -> Judges:
    """The judges of the rows chosen on: cross-fitted where all of them were learned from."""
    judges = choice.learned.judges
    return judges if len(judges.scores) == len(train) else choice.learned.judge(train)


def _split(rows: OutcomeTable, options: OptimizeOptions) -> list[tuple[Integers, Integers]]:
    """The rows to choose on and the rows held out, once or in turns."""
    split = options.split
    if split == "auto":
        fits = options.learn.score not in ("confidence", "agreement")
        split = "random" if fits or options.learn.router != "none" else "folds"
    if split == "time":
        return [split_by_time(rows, UNKNOWN_US, _TRAIN_SHARE)]
    if split == "random":
        return [split_rows(rows, options.seed, _TRAIN_SHARE)]
    fold = fold_rows(rows, options.folds, options.seed)
    numbers = range(options.folds)
    return [(np.flatnonzero(fold != one), np.flatnonzero(fold == one)) for one in numbers]


def choose(table: OutcomeTable, options: OptimizeOptions) -> Choice:
    """The whole procedure on some complete rows: learn, search, choose, certify."""
    goal = options.goal
    reference = goal.reference or best_single(table)
    if goal.max_quality_loss is None:
        learned = learn(table, options.learn)
        search_part, test_part = Part(table, learned.judges), None
    else:
        some, others = split_rows(table, options.seed, SEARCH_SHARE)
        learned = learn(table.take(some), options.learn)
        test = table.take(others)
        search_part = Part(table.take(some), learned.judges)
        test_part = Part(test, learned.judge(test))
    chosen = _choose_on(search_part, test_part, reference, learned, options)
    tasks = _list_tasks(table) if options.by_task else []
    # all certificates are to hold at once
    shared = replace(goal, confidence=1 - (1 - goal.confidence) / max(len(tasks), 1))
    found = [
        (
            task,
            _choose_on(
                _of_task(search_part, task),
                None if test_part is None else _of_task(test_part, task),
                reference,
                learned,
                replace(options, goal=shared),
            ),
        )
        for task in tasks
    ]
    return Choice(chosen, reference, learned, tuple(found))


def _list_tasks(table: OutcomeTable) -> list[str]:
    """The tasks with enough rows for a policy of their own, if there are several."""
    counts = Counter(table.tasks)
    large = [task for task, count in counts.items() if count >= _LEAST_TASK_ROWS]
    return sorted(task for task in large if task is not None) if len(counts) > 1 else []


def _of_task(part: Part, task: str) -> Part:
    at = np.flatnonzero(np.array([one == task for one in part.table.tasks], dtype=np.bool_))
    return Part(part.table.take(at), part.judges.take(at))


def _choose_on(
    part: Part, test: Part | None, reference: str, learned: Learned, options: OptimizeOptions
) -> Chosen:
    """Search on some rows; certify on others where there are any."""
    goal = options.goal
    front = search(part.table, part.judges, options)
    if test is None or goal.max_quality_loss is None:
        return Chosen(learned.settle(choose_policy(front, goal)), front, None)
    certificate = certify(
        within_budget(front, goal).policies,
        part,
        test,
        reference,
        goal.max_quality_loss,
        goal.confidence,
    )
    return Chosen(learned.settle(certificate.policy), front, certificate)


def search(table: OutcomeTable, judges: Judges, options: OptimizeOptions) -> Front:
    """The front of everything that may be searched over complete rows."""
    limit_ms = options.goal.latency_p95_ms
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


def _hold_out(
    rows: OutcomeTable,
    splits: Sequence[tuple[Integers, Integers]],
    choice: Choice,
    options: OptimizeOptions,
) -> tuple[HeldOut | None, int | None]:
    """Judge each row by policies that were chosen without it.

    Where nothing is certified, the policy is the best single model, and is judged itself.

    Returns:
        The comparison, and in how many turns a policy was certified (None without certificates).
    """
    parts: list[tuple[Integers, Evaluation, Evaluation]] = []
    granted = 0
    settled = len(splits) == 1 or not choice.certifies
    for train, test in splits:
        found = choice if settled else choose(rows.take(train), options)
        table = rows.take(test)
        judged = found.evaluate(table, found.learned.judge(table))
        parts.append((test, judged, evaluate(table, CascadePolicy((choice.reference,), ()))))
        certificate = found.chosen.certificate
        granted += certificate is not None and certificate.granted
    order = np.concatenate([at for at, _, _ in parts])
    policy, reference = (
        Evaluation(
            *(np.concatenate([getattr(part[side], name) for part in parts]) for name in _COLUMNS)
        )
        for side in (1, 2)
    )
    found = compare(policy, reference, rows.clusters[order], seed=options.seed)
    counted = options.goal.max_quality_loss is not None and not settled
    return found, granted if counted else None


def _drop_tasks(
    rows: OutcomeTable,
    splits: Sequence[tuple[Integers, Integers]],
    choice: Choice,
    heldout: HeldOut | None,
    options: OptimizeOptions,
    notes: list[str],
) -> tuple[Choice, HeldOut | None]:
    """One policy for all tasks, if policies of their own do not pay on the rows held out."""
    whole = replace(choice, tasks=())
    alone, _ = _hold_out(rows, splits, whole, replace(options, by_task=False))
    if (
        heldout is not None
        and alone is not None
        and _worth(heldout, options.goal) > _worth(alone, options.goal)
    ):
        return choice, heldout
    notes.append("policies by task do not pay on the rows held out: one serves all")
    return whole, alone


def _worth(found: HeldOut, goal: Goal) -> float:
    """What a goal without its limits rises with."""
    if goal.max_quality_loss is not None:
        return found.saving
    if goal.usd_per_quality is not None:
        return found.quality - found.cost_usd / found.rows / goal.usd_per_quality
    return found.quality
