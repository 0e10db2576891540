"""Trials: each question put once to the entries that it may be answered from."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from frugalctl.levers.semantic_cache.index.search import find_nearest
from frugalctl.levers.semantic_cache.labels import Groups, Labels, Logged, Pairs
from frugalctl.levers.semantic_cache.protocols import Floats, Integers, Mask
from frugalctl.levers.semantic_cache.questions import Questions
from frugalctl.levers.semantic_cache.ranking import (
    Matching,
    Texts,
    find_earlier,
    prepare,
    rank,
    refuse,
    serve,
)
from frugalctl.levers.semantic_cache.sim_judge import make_judge
from frugalctl.log.times import UNKNOWN_US

Agree = Callable[[Integers, Integers], Floats]
"""Whether answers of rows agree with those of other rows: 1, 0, or NaN if not known."""


@dataclass(frozen=True, slots=True)
class Trials:
    """n questions and the best candidate of each.

    The raw best candidate is the one of the highest score; the served one is the best that no
    guard refuses.

    Attributes:
        a: the questions.
        b: the raw best candidates; None without one.
        score: float64[n], of the raw best; NaN without one.
        same: float64[n], 1 if its answer is right, 0 if wrong, NaN if not known.
        guard: int64[n], the guard that refuses it, by its place in `guards`; -1 if none does.
        served_score: float64[n], of the served one; -inf without one.
        right: float64[n], whether the answer served is right; NaN if not known, or without one.
        possible: bool[n], whether some entry has the right answer.
        clusters: int64[n], numbered from 0: trials of one cluster may go wrong together.
        cost_usd: float64[n], what a hit saves; NaN if not known.
        refusals: bool[n, g], which guards would refuse the raw best, each alone.
        guards: the names of the g guards.
    """

    a: Sequence[str]
    b: Sequence[str | None]
    score: Floats
    same: Floats
    guard: Integers
    served_score: Floats
    right: Floats
    possible: Mask
    clusters: Integers
    cost_usd: Floats
    refusals: Mask
    guards: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.a)

    def take(self, chosen: Mask) -> Trials:
        """The trials of a mask."""
        rows = np.flatnonzero(chosen)
        columns = {name: getattr(self, name)[rows] for name in _ARRAYS}
        places = rows.tolist()
        a, b = [self.a[at] for at in places], [self.b[at] for at in places]
        return Trials(a=a, b=b, guards=self.guards, **columns)


_ARRAYS = (
    "score",
    "same",
    "guard",
    "served_score",
    "right",
    "possible",
    "clusters",
    "cost_usd",
    "refusals",
)


def try_labels(labels: Labels, matching: Matching) -> Trials:
    """A trial for every pair, for every text of a group, or for every question of a log.

    The text of a group is put to all other texts; a question of a log to those asked before it in
    its scope.
    """
    if isinstance(labels, Pairs):
        return try_pairs(labels, matching)
    if isinstance(labels, Groups):
        return try_groups(labels, matching)
    return try_log(labels, matching)


def try_pairs(pairs: Pairs, matching: Matching) -> Trials:
    """Each pair as one question and one entry."""
    count = len(pairs.a)
    ready = prepare([*pairs.a, *pairs.b], matching)
    rows = np.arange(count, dtype=np.int64)
    fit = ready.fit[:count] & ready.fit[count:]
    candidates = np.where(fit, rows + count, -1)[:, None]
    same = pairs.same.astype(np.float64)

    def agree(queries: Integers, entries: Integers) -> Floats:
        return same[queries]

    return _try(
        ready,
        rows,
        candidates,
        agree,
        matching,
        possible=pairs.same,
        clusters=connect_pairs(pairs.a, pairs.b),
        cost_usd=np.full(count, np.nan),
    )


def connect_pairs(a: Sequence[str], b: Sequence[str]) -> Integers:
    """int64[n], a number for each set of pairs that are linked by shared texts."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    place: dict[str, int] = {}
    ends = [
        np.array([place.setdefault(text, len(place)) for text in side], dtype=np.int64)
        for side in (a, b)
    ]
    links = coo_array((np.ones(len(a)), (ends[0], ends[1])), shape=(len(place), len(place)))
    components = connected_components(links, directed=False)[1][ends[0]]
    return number_clusters(components)


def number_clusters(names: Integers) -> Integers:
    """The same clusters, numbered from 0 without gaps."""
    return np.unique(names, return_inverse=True)[1].reshape(-1).astype(np.int64)


def try_groups(groups: Groups, matching: Matching) -> Trials:
    """Each text as a question put to all other texts."""
    ready = prepare(groups.texts, matching)
    count = len(groups.texts)
    rows = np.arange(count, dtype=np.int64)
    near, _ = find_nearest(
        ready.vectors, ready.vectors, min(matching.candidates + 1, count), alive=ready.fit
    )
    near[near == rows[:, None]] = -1
    near[~ready.fit] = -1
    clusters = np.where(groups.groups >= 0, groups.groups, groups.groups.max() + 1 + rows)

    def agree(queries: Integers, entries: Integers) -> Floats:
        return (clusters[queries] == clusters[entries]).astype(np.float64)

    return _try(
        ready,
        rows,
        near,
        agree,
        matching,
        possible=np.bincount(clusters)[clusters] > 1,
        clusters=number_clusters(clusters),
        cost_usd=np.full(count, np.nan),
    )


def try_log(logged: Logged, matching: Matching) -> Trials:
    """Each cacheable question put to those asked before it in its scope, in order of time.

    A question without a time goes with the one before it in the log. Every earlier question
    counts as an entry, also one that a cache would have answered: so one pass serves all
    thresholds. An answer is right if the two logged answers agree.
    """
    questions = logged.questions
    order = order_by_time(questions.time_us)
    order = order[questions.cacheable[order]]
    rows: list[int] = order.tolist()
    ready = prepare([questions.texts[at] for at in rows], matching)
    scopes = number_names([questions.scopes[at] for at in rows])
    answers = [_fold(questions.responses[at]) for at in rows]
    references = [_fold(questions.references[at]) for at in rows]
    judge = make_judge(questions)

    def agree(queries: Integers, entries: Integers) -> Floats:
        return judge(order[queries], order[entries])

    return _try(
        ready,
        np.arange(len(order), dtype=np.int64),
        find_earlier(ready, scopes, matching.candidates),
        agree,
        matching,
        possible=_is_repeated(scopes, answers) | _is_repeated(scopes, references),
        clusters=number_answers(questions)[order],
        cost_usd=logged.cost_usd[order],
    )


def number_answers(questions: Questions) -> Integers:
    """int64[n], a number for each set of questions that are linked by equal texts or answers."""
    asked, answers = map(_fold, questions.texts), map(_fold, questions.responses)
    rows = range(len(questions.texts))
    return connect_pairs(
        [text or f"\0asked {row}" for row, text in zip(rows, asked, strict=True)],
        [
            f"\0answer {row if text is None else text}"
            for row, text in zip(rows, answers, strict=True)
        ],
    )


def order_by_time(time_us: Integers) -> Integers:
    """The rows in order of time; one without a time goes with the row before it."""
    known = time_us != UNKNOWN_US
    last = np.maximum.accumulate(np.where(known, np.arange(len(time_us)), 0))
    return np.argsort(time_us[last], kind="stable")


def number_names(names: Sequence[str | None]) -> Integers:
    """A number for each distinct name; -1 for None."""
    numbers: dict[str, int] = {}
    found = [-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names]
    return np.array(found, dtype=np.int64)


def _fold(text: str | None) -> str | None:
    if text is None:
        return None
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def _is_repeated(scopes: Integers, names: Sequence[str | None]) -> Mask:
    """bool[n], whether an earlier row of the same scope has the same name."""
    numbers = number_names(names)
    codes = scopes * (numbers.max(initial=0) + 2) + numbers + 1
    first = np.zeros(len(codes), dtype=np.bool_)
    first[np.unique(codes, return_index=True)[1]] = True
    return ~first & (numbers >= 0)


def _try(
    ready: Texts,
    queries: Integers,
    candidates: Integers,
    agree: Agree,
    matching: Matching,
    **columns: Any,
) -> Trials:
    """Score the candidates of each question and see which one is served.

    Args:
        ready: all texts.
        queries: int64[n], rows of the texts.
        candidates: int64[n, k], rows of the texts, -1 where there are fewer.
        agree: tells whether an entry's answer is right.
        matching: scorer and guards.
        columns: the columns of the trials that do not depend on scores.
    """
    ranked = rank(ready, queries, candidates, matching)
    every = np.arange(len(queries), dtype=np.int64)
    refusals = refuse(ready, ranked, every, 0, matching.guards)
    places = serve(ready, ranked, refusals, matching.guards)
    served = np.where(places < 0, -1, ranked.rows[every, places])
    best = ranked.rows[:, 0]
    guard = np.full(len(queries), -1, dtype=np.int64)
    for at in reversed(range(len(matching.guards))):
        guard[refusals[:, at]] = at
    return Trials(
        a=ready.pick(queries),
        b=[text if at >= 0 else None for at, text in zip(best, ready.pick(best), strict=True)],
        score=np.where(best < 0, np.nan, ranked.scores[:, 0]),
        same=_judge(agree, queries, best),
        guard=guard,
        served_score=np.where(served < 0, -np.inf, ranked.scores[every, places]),
        right=_judge(agree, queries, served),
        refusals=refusals,
        guards=matching.guards,
        **columns,
    )


def _judge(agree: Agree, queries: Integers, entries: Integers) -> Floats:
    right = np.full(len(queries), np.nan)
    known = entries >= 0
    right[known] = agree(queries[known], entries[known])
    return right
