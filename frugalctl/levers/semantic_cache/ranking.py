"""From texts to candidates: who is near, how it scores, and which guards refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.embed import Embedder
from frugalctl.levers.semantic_cache.guards import check_guards
from frugalctl.levers.semantic_cache.index.search import find_nearest
from frugalctl.levers.semantic_cache.protocols import (
    Floats,
    Integers,
    Mask,
    Normalizer,
    Scorer,
    Vectors,
)
from frugalctl.levers.semantic_cache.settings import GUARD_NAMES

_CHUNK_ROWS = 512
_SCORED_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Matching:
    """What decides whether one question's answer serves another.

    Attributes:
        embedder: makes the vectors.
        normalizer: makes the keys, and what is embedded.
        scorer: scores a pair.
        guards: the guards that may refuse a pair.
        candidates: how many near entries are scored and guarded.
    """

    embedder: Embedder
    normalizer: Normalizer
    scorer: Scorer
    guards: tuple[str, ...] = GUARD_NAMES
    candidates: int = 8


@dataclass(frozen=True, slots=True)
class Texts:
    """n texts, made ready.

    Attributes:
        texts: as they were asked.
        keys: their safe keys.
        vectors: float32[n, d].
        fit: bool[n], whether a text may be looked up: neither cut off by the embedder, nor with
            nothing to embed.
    """

    texts: Sequence[str]
    keys: list[str]
    vectors: Vectors
    fit: Mask

    def pick(self, rows: Integers) -> list[str]:
        """The texts of rows."""
        places: list[int] = rows.tolist()
        return [self.texts[at] for at in places]


@dataclass(frozen=True, slots=True)
class Ranked:
    """The candidates of n questions, best first.

    Attributes:
        queries: int64[n], rows of the texts.
        rows: int64[n, k], rows of the texts, -1 where there are fewer.
        scores: float64[n, k], -inf where there are fewer.
        exact: bool[n, k], whether the keys are equal: then the score is 1 and no guard asked.
    """

    queries: Integers
    rows: Integers
    scores: Floats
    exact: Mask


def prepare(texts: Sequence[str], matching: Matching) -> Texts:
    """Keys and vectors of n texts, each distinct text embedded once."""
    distinct = list(dict.fromkeys(texts))
    encoded = matching.embedder.encode(matching.normalizer.reduce(distinct))
    fit = ~encoded.truncated & encoded.vectors.any(axis=1)
    keys = matching.normalizer.make_keys(distinct)
    place = {text: at for at, text in enumerate(distinct)}
    rows = np.array([place[text] for text in texts], dtype=np.int64)
    return Texts(texts, [keys[at] for at in rows.tolist()], encoded.vectors[rows], fit[rows])


def find_earlier(ready: Texts, scopes: Integers, k: int) -> Integers:
    """int64[n, k]: the nearest of the rows before each row in its scope; -1 where there are none.

    Args:
        ready: n texts, in order of time.
        scopes: int64[n].
        k: how many.
    """
    found = np.full((len(scopes), k), -1, dtype=np.int64)
    order = np.argsort(scopes, kind="stable")
    for mine in np.split(order, np.flatnonzero(np.diff(scopes[order])) + 1):
        mine = mine[ready.fit[mine]]
        vectors = ready.vectors[mine]
        for start in range(0, len(mine), _CHUNK_ROWS):
            chunk = slice(start, start + _CHUNK_ROWS)
            near = _find_before(vectors, start, vectors[chunk], k)
            found[mine[chunk], : near.shape[1]] = np.where(near >= 0, mine[near], -1)
    return found


def _find_before(vectors: Vectors, start: int, chunk: Vectors, k: int) -> Integers:
    """The nearest rows before each row of a chunk that begins at `start`."""
    inside = (chunk @ chunk.T).astype(np.float64)
    inside[np.triu_indices(len(chunk))] = -np.inf
    rows = np.broadcast_to(start + np.arange(len(chunk)), inside.shape)
    if start:
        before, cosines = find_nearest(chunk, vectors[:start], min(k, start))
        rows = np.concatenate((before, rows), axis=1)
        inside = np.concatenate((cosines, inside), axis=1)
    best = np.argsort(-inside, axis=1, kind="stable")[:, :k]
    chosen = np.take_along_axis(rows, best, axis=1)
    return np.where(np.isinf(np.take_along_axis(inside, best, axis=1)), -1, chosen)


def rank(ready: Texts, queries: Integers, candidates: Integers, matching: Matching) -> Ranked:
    """Score the candidates of questions, best first; of equal scores the nearer one.

    Args:
        ready: the texts.
        queries: int64[n], rows of the texts.
        candidates: int64[n, k], rows of the texts, nearest first, -1 where there are fewer.
        matching: has the scorer.
    """
    scores = np.full(candidates.shape, -np.inf)
    exact = np.zeros(candidates.shape, dtype=np.bool_)
    at, _ = where = np.nonzero(candidates >= 0)
    one, other = queries[at], candidates[where]
    if len(at):
        scores[where] = _score(ready, one, other, matching.scorer)
        keys = zip(one.tolist(), other.tolist(), strict=True)
        exact[where] = [ready.keys[i] == ready.keys[j] != "" for i, j in keys]
        scores[exact] = 1.0
    order = np.lexsort((~exact, -scores), axis=1)
    rows, scores, exact = (
        np.take_along_axis(column, order, axis=1) for column in (candidates, scores, exact)
    )
    return Ranked(queries, rows, scores, exact)


def _score(ready: Texts, one: Integers, other: Integers, scorer: Scorer) -> Floats:
    parts: list[Floats] = []
    for start in range(0, len(one), _SCORED_AT_ONCE):
        i, j = one[start : start + _SCORED_AT_ONCE], other[start : start + _SCORED_AT_ONCE]
        a, b = ready.pick(i), ready.pick(j)
        parts.append(scorer.score(a, b, ready.vectors[i], ready.vectors[j]))
    return np.minimum(np.concatenate(parts), 1.0)


def refuse(
    ready: Texts, ranked: Ranked, trials: Integers, place: int, guards: tuple[str, ...]
) -> Mask:
    """bool[m, g]: which guards refuse the candidate in that place of m trials."""
    refusals = np.zeros((len(trials), len(guards)), dtype=np.bool_)
    asked = (ranked.rows[trials, place] >= 0) & ~ranked.exact[trials, place]
    chosen = trials[asked]
    if guards and len(chosen):
        a, b = ready.pick(ranked.queries[chosen]), ready.pick(ranked.rows[chosen, place])
        refusals[asked] = check_guards(a, b, guards)
    return refusals


def serve(ready: Texts, ranked: Ranked, refusals: Mask, guards: tuple[str, ...]) -> Integers:
    """int64[n]: the place of the best candidate that no guard refuses; -1 without one.

    Args:
        ready: the texts.
        ranked: the candidates.
        refusals: bool[n, g], what `refuse` says of the best ones.
        guards: who may refuse.
    """
    refused = np.asarray(refusals.any(axis=1))
    places = np.where((ranked.rows[:, 0] >= 0) & ~refused, 0, -1)
    waiting = np.flatnonzero(refused)
    for place in range(1, ranked.rows.shape[1]):
        waiting = waiting[ranked.rows[waiting, place] >= 0]
        still = np.asarray(refuse(ready, ranked, waiting, place, guards).any(axis=1))
        places[waiting[~still]] = place
        waiting = waiting[still]
    return places
