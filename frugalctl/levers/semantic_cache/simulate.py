"""A log replayed through a semantic cache: who would have been answered by whose answer.

Requests come in the order of time. An answer can be used again from the time on at which it was
there; one that was used is not asked for, so it leaves no entry of its own. The result is exact:
the same as if each request were compared with every entry that is live at its time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.levers.semantic_cache.protocols import (
    Floats,
    Integers,
    Mask,
    Policy,
    Scorer,
    Vectors,
)
from frugalctl.levers.semantic_cache.questions import Questions, make_tags
from frugalctl.levers.semantic_cache.retention import measure_bytes
from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
from frugalctl.levers.semantic_cache.sim_judge import Judge, make_judge
from frugalctl.levers.semantic_cache.sim_serve import FindRefusal, Requests, Served, Server
from frugalctl.levers.semantic_cache.sim_state import Answers, CacheState, Departures
from frugalctl.log.times import UNKNOWN_US

_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class CacheRun:
    """What a cache did with n requests, in the order of the log.

    Attributes:
        asked: bool[n], whether a request was looked up at all.
        hit: bool[n], whether it got another one's answer.
        exact: bool[n], whether it got it by its key.
        source: int64[n], whose answer it got, -1 for none.
        score: float64[n], of the hit; 1 for an exact key, NaN without a hit.
        age_us: int64[n], how old the answer was, -1 without a hit or where the log has no times.
        right: float64[n], 1 where the answer agrees with the request's own, 0 where it does
            not, NaN without a hit or where nobody knows.
        kept: bool[n], whether its own answer became an entry.
        refusals: guard -> hits that it refused.
        departures: entries that left, by reason.
        entries: how many are left at the end.
        notes: what a reader should know.
    """

    asked: Mask
    hit: Mask
    exact: Mask
    source: Integers
    score: Floats
    age_us: Integers
    right: Floats
    kept: Mask
    refusals: dict[str, int]
    departures: Departures
    entries: int
    notes: tuple[str, ...]

    @property
    def stale(self) -> Mask:
        """bool[n], the same question, but its own answer is another by now."""
        return self.exact & (self.right == 0)


def simulate(
    questions: Questions,
    vectors: Vectors | None,
    keys: Sequence[str],
    settings: SemanticCacheSettings,
    policy: Policy | None,
    scorer: Scorer,
    find_refusal: FindRefusal,
    truncated: Mask | None = None,
) -> CacheRun:
    """Replay a log's questions through a cache.

    For each request in the order of time, equal times in the log's order: entries past their
    lifetime leave, invalidated ones too; then the entry of equal key in its scope answers, else
    the best scored of the nearest that no guard refuses, if the policy accepts it. A request
    that is not answered leaves an entry, which takes the place of one of the same key.

    Args:
        questions: n requests.
        vectors: float32[n, d], their embeddings; a row of zeros is near to nobody. None for a
            cache of exact keys.
        keys: n exact keys.
        settings: the cache; texts longer than its `max_chars` are near to nobody.
        policy: decides by entry and score, where the entry is the number of its request in the
            log; None for the threshold of the settings.
        scorer: scores a question against an entry.
        find_refusal: the guards.
        truncated: bool[n], whose embedding reads only the beginning of the text: such a
            request is neither looked up nor kept. None for none.
    """
    times_us, done_us, order, notes = _order_by_time(questions)
    asked = questions.cacheable
    if truncated is not None and truncated.any():
        notes.append(f"{int(truncated.sum())} texts are longer than the embedder reads: left out")
        asked = asked & ~truncated
    good = ~(questions.quality < (settings.min_quality or 0.0))
    long = np.array([len(text) > settings.max_chars for text in questions.texts], dtype=np.bool_)
    if vectors is not None and long.any():
        vectors = np.where(long[:, None], np.float32(0), vectors)
    numbers: list[int] = order.tolist()
    requests = Requests(
        number=order,
        texts=[questions.texts[at] for at in numbers],
        scopes=[questions.scopes[at] for at in numbers],
        keys=[keys[at] for at in numbers],
        vectors=None if vectors is None else vectors[order],
        times_us=times_us[order],
        asked=asked[order],
        kept=(asked & good)[order],
    )
    dimension = 0 if vectors is None else vectors.shape[1]
    state = CacheState(
        _make_answers(questions, requests, done_us[order], dimension),
        settings.retention,
        sorted(settings.invalidate, key=lambda one: one.at_us),
    )
    judge = make_judge(questions)
    served = Server(requests, state, settings, policy, scorer, find_refusal, judge).run()
    return _sum_up(questions, served, requests, state, judge, asked, notes)


def _order_by_time(questions: Questions) -> tuple[Integers, Integers, Integers, list[str]]:
    """Times and ends without gaps, the order to serve in, and what to say of it."""
    time_us, done_us = questions.time_us, questions.done_us
    known = time_us != UNKNOWN_US
    missing = int((~known).sum())
    notes: list[str] = []
    if missing == len(time_us):
        if missing:
            notes.append("no request has a timestamp: served in the log's order, nothing expires")
        nothing = np.zeros(len(time_us), dtype=np.int64)
        return nothing, nothing, np.arange(len(time_us)), notes
    if missing:
        notes.append(f"{missing} requests have no timestamp: each stands beside the one before it")
        at = np.maximum.accumulate(np.where(known, np.arange(len(time_us)), -1))
        time_us = time_us[np.where(at < 0, int(np.argmax(known)), at)]
        done_us = np.where(known, done_us, time_us)
    late = int((np.diff(time_us) < 0).sum())
    if late:
        notes.append(f"timestamps are out of order in {late} places: sorted by time")
    return time_us, done_us, np.argsort(time_us, kind="stable"), notes


def _make_answers(
    questions: Questions, requests: Requests, done_us: Integers, dimension: int
) -> Answers:
    text_bytes, response_bytes = (
        np.array([len((text or "").encode(errors="surrogatepass")) for text in texts])
        for texts in (questions.texts, questions.responses)
    )
    order: list[int] = requests.number.tolist()
    return Answers(
        scopes=requests.scopes,
        keys=requests.keys,
        tags=[make_tags(questions.tasks[at], questions.parts[at]) for at in order],
        done_us=done_us,
        size_bytes=measure_bytes(text_bytes, response_bytes, _FLOAT_BYTES * dimension)[order],
        cost_usd=questions.cost_usd[order],
    )


def _sum_up(
    questions: Questions,
    served: Served,
    requests: Requests,
    state: CacheState,
    judge: Judge,
    asked: Mask,
    notes: list[str],
) -> CacheRun:
    """The run in the order of the log."""
    number = requests.number
    place = np.argsort(number)
    from_whom = served.source[place]
    hit = from_whom >= 0
    source = np.where(hit, number[from_whom], -1)
    timed = hit & (questions.time_us != UNKNOWN_US) & (questions.time_us[source] != UNKNOWN_US)
    age_us = requests.times_us[place] - state.answers.done_us[from_whom]
    right = np.full(len(number), np.nan)
    right[hit] = judge(np.flatnonzero(hit), source[hit])
    return CacheRun(
        asked=asked,
        hit=hit,
        exact=served.exact[place],
        source=source,
        score=served.score[place],
        age_us=np.where(timed, age_us, -1),
        right=right,
        kept=served.kept[place],
        refusals=dict(served.refusals),
        departures=state.departures,
        entries=len(state),
        notes=tuple(notes),
    )
