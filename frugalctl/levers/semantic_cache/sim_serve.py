"""Serve requests, one after the other, from the entries that those before them left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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
from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
from frugalctl.levers.semantic_cache.sim_judge import Judge
from frugalctl.levers.semantic_cache.sim_search import Near, Neighbours
from frugalctl.levers.semantic_cache.sim_state import CacheState

FindRefusal = Callable[[str, str, Sequence[str]], tuple[str, str] | None]
"""The guard that refuses to give one question the answer of another, and why; None if none."""

_CHUNK = 1024
_SAFETY = 1e-4
"""Cosines of the search and of the scorer differ by rounding, and by less than this."""


@dataclass(frozen=True, slots=True)
class Requests:
    """n requests in the order of time.

    Attributes:
        number: int64[n], of each in the log.
        texts: what is asked.
        scopes: who may share an answer.
        keys: exact keys.
        vectors: float32[n, d], or None where only keys are compared.
        times_us: int64[n].
        asked: bool[n], whether it may be looked up.
        kept: bool[n], whether its answer may be kept.
    """

    number: Integers
    texts: list[str]
    scopes: list[str]
    keys: list[str]
    vectors: Vectors | None
    times_us: Integers
    asked: Mask
    kept: Mask


@dataclass(frozen=True, slots=True)
class Served:
    """What became of n requests, in the order of time.

    Attributes:
        source: int64[n], whose answer each got, -1 for none.
        exact: bool[n], whether by its key.
        score: float64[n], of the hit, NaN without one.
        kept: bool[n], whether its own answer was kept.
        refusals: guard -> hits that it refused.
    """

    source: Integers
    exact: Mask
    score: Floats
    kept: Mask
    refusals: Counter[str]


class Server:
    """Serves requests from the entries of a cache.

    Args:
        requests: in the order of time.
        state: the entries, none yet.
        settings: threshold, guards, candidates.
        policy: decides by score and entry, by the number in the log; None for the threshold.
        scorer: scores a question against an entry.
        find_refusal: the guards.
        judge: what the policy learns from.
    """

    def __init__(
        self,
        requests: Requests,
        state: CacheState,
        settings: SemanticCacheSettings,
        policy: Policy | None,
        scorer: Scorer,
        find_refusal: FindRefusal,
        judge: Judge,
    ) -> None:
        self._requests = requests
        self._state = state
        self._settings = settings
        self._policy = policy
        self._scorer = scorer
        self._find_refusal = find_refusal
        self._judge = judge
        self._by_cosine = scorer.name == "cosine"
        self._near = self._make_neighbours()
        self._scores: dict[tuple[int, int], float] = {}

    def _make_neighbours(self) -> Neighbours | None:
        vectors = self._requests.vectors
        if vectors is None:
            return None
        # what scores too low by its cosine need not be looked at
        bounded = self._by_cosine and self._policy is None
        floor = self._settings.threshold - _SAFETY if bounded else -np.inf
        return Neighbours(
            vectors,
            self._requests.scopes,
            self._state.live,
            self._state.gone,
            self._settings.candidates,
            floor,
        )

    def run(self) -> Served:
        """Serve all requests."""
        requests, count = self._requests, len(self._requests.keys)
        served = Served(
            source=np.full(count, -1, dtype=np.int64),
            exact=np.zeros(count, dtype=np.bool_),
            score=np.full(count, np.nan),
            kept=np.zeros(count, dtype=np.bool_),
            refusals=Counter(),
        )
        asked = np.flatnonzero(requests.asked).tolist()
        times_us: list[int] = requests.times_us.tolist()
        for start in range(0, len(asked), _CHUNK):
            chunk = asked[start : start + _CHUNK]
            self._prepare(chunk)
            for at in chunk:
                self._state.advance(times_us[at])
                self._serve(at, times_us[at], served)
        if count:
            self._state.advance(times_us[-1])
        return served

    def _prepare(self, chunk: list[int]) -> None:
        """Search, and score, for all of a chunk that will not find their key."""
        if self._near is None:
            return
        requests, state = self._requests, self._state
        scopes, keys = requests.scopes, requests.keys
        likely = self._near.prepare([at for at in chunk if state.find(scopes[at], keys[at]) < 0])
        self._scores = {}
        if not self._by_cosine:
            self._score([(at, entry) for at, near in likely.items() for _, entry in near])

    def _score(self, pairs: list[tuple[int, int]]) -> None:
        """Fill in the scores of pairs of questions and entries."""
        vectors, texts = self._requests.vectors, self._requests.texts
        if vectors is None or not pairs:
            return
        one, other = [at for at, _ in pairs], [entry for _, entry in pairs]
        scores = self._scorer.score(
            [texts[at] for at in one],
            [texts[at] for at in other],
            vectors[one],
            vectors[other],
        )
        self._scores.update(zip(pairs, scores.tolist(), strict=True))

    def _serve(self, at: int, now_us: int, served: Served) -> None:
        requests, state = self._requests, self._state
        source, score = state.find(requests.scopes[at], requests.keys[at]), 1.0
        served.exact[at] = source >= 0
        if source < 0 and self._near is not None:
            source, score = self._choose(at, self._near.find(at), served.refusals)
        if source >= 0:
            served.source[at], served.score[at] = source, score
            state.use(source, now_us)
        elif requests.kept[at]:
            served.kept[at] = True
            state.add(at)
            if self._near is not None:
                self._near.add(at)

    def _choose(self, at: int, near: Near, refusals: Counter[str]) -> tuple[int, float]:
        """The best entry that is accepted and not refused, and its score; -1 for none."""
        self._score([(at, entry) for _, entry in near if (at, entry) not in self._scores])
        ranked = sorted((-self._scores[at, entry], entry) for _, entry in near)
        texts = self._requests.texts
        for minus_score, entry in ranked:
            if not self._accept(at, entry, -minus_score):
                break
            refusal = self._find_refusal(texts[at], texts[entry], self._settings.guards)
            if refusal is None:
                return entry, -minus_score
            refusals[refusal[0]] += 1
        return -1, np.nan

    def _accept(self, at: int, entry: int, score: float) -> bool:
        if self._policy is None:
            return score >= self._settings.threshold
        numbers = self._requests.number
        name = int(numbers[entry])
        if self._policy.accept(name, score):
            return True
        right = self._judge(numbers[[at]], numbers[[entry]])[0]
        if not np.isnan(right):
            self._policy.observe(name, score, bool(right))
        return False
