"""Which exemplars: for one question by MMR, or one set for all by facility location.

For a question q, maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998) takes next

    argmax over e of (1 - d) cos(q, e) - d max over chosen s of cos(e, s)

with the diversity d in [0, 1]. One set S for all questions q of weight w maximises the facility
location f(S) = sum over q of w(q) max over e in S of cos(q, e), negative cosines counting as 0.
It is monotone and submodular, so that taking the best next one reaches at least 1 - 1/e of the
best set of K (Nemhauser, Wolsey and Fisher, Mathematical Programming 14, 1978). Under a budget of
tokens the better of two is taken, best gain and best gain per token: half of that bound
(Leskovec et al., KDD 2007, section 3).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from frugalctl.embed import Vectors

Floats = NDArray[np.float32]
Fits = Callable[[Sequence[int]], bool]


@dataclass(frozen=True, slots=True)
class Space:
    """n questions and m exemplars.

    Attributes:
        likeness: float32[m, n], cosine of each exemplar and question, at least 0; 0 where their
            tasks differ, or where they are one and the same.
        allowed: bool[m, n], whether their tasks agree.
        exemplars: float32[m, d], vectors of length 1.
        weights: float64[n], how often each question is asked.
    """

    likeness: Floats
    allowed: NDArray[np.bool_]
    exemplars: Vectors
    weights: NDArray[np.float64]


def make_space(
    exemplars: Vectors,
    queries: Vectors,
    tasks: tuple[Sequence[str | None], Sequence[str | None]],
    weights: Sequence[float] | None = None,
    *,
    same: bool = False,
) -> Space:
    """The likeness of exemplars and questions.

    Args:
        exemplars: float32[m, d].
        queries: float32[n, d].
        tasks: of the exemplars and of the questions; None agrees with all.
        weights: of the questions, 1 if not given.
        same: the questions are the inputs of the exemplars themselves, which do not count as
            like themselves: so each is a question that the others have to serve.
    """
    own, asked = (np.array(side, dtype=object) for side in tasks)
    known_own, known_asked = own != None, asked != None  # noqa: E711 - element by element
    differ = known_own[:, None] & known_asked[None, :] & (own[:, None] != asked[None, :])
    allowed = np.logical_not(differ.astype(np.bool_))
    likeness = np.maximum(exemplars @ queries.T, 0).astype(np.float32)
    likeness[~allowed] = 0
    if same:
        np.fill_diagonal(likeness, 0)
    each = np.ones(len(queries)) if weights is None else np.asarray(weights, np.float64)
    return Space(likeness, allowed, exemplars, each)


def choose_for_query(
    space: Space,
    query: int,
    most: int,
    diversity: float,
    *,
    tokens: Sequence[int] | None = None,
    max_tokens: int = 0,
    fits: Fits | None = None,
) -> list[int]:
    """Exemplars for one question by maximal marginal relevance, best first.

    Args:
        space: exemplars and questions.
        query: number of the question.
        most: at most so many.
        diversity: d in [0, 1]; 0 takes the most similar.
        tokens: of each exemplar, where there is a budget.
        max_tokens: the most that those of a choice may add up to; what is too long is passed over.
        fits: whether a choice is within the budget, counted as a whole.
    """
    relevance = (1 - diversity) * space.likeness[:, query].astype(np.float64)
    nearest = np.full(len(relevance), -np.inf)
    open_ = space.allowed[:, query].copy()
    lengths = np.zeros(len(relevance)) if tokens is None else np.asarray(tokens)
    open_ &= lengths <= max_tokens
    chosen: list[int] = []
    while len(chosen) < most and open_.any():
        repeated = np.zeros(len(relevance)) if not chosen else diversity * nearest
        best = int(np.argmax(np.where(open_, relevance - repeated, -np.inf)))
        open_[best] = False
        if fits is not None and not fits([*chosen, best]):
            continue
        chosen.append(best)
        open_ &= lengths <= max_tokens - lengths[chosen].sum()
        nearest = np.maximum(nearest, space.exemplars @ space.exemplars[best])
    return chosen


def choose_for_all(
    space: Space,
    most: int,
    *,
    tokens: Sequence[int] | None = None,
    fits: Fits | None = None,
) -> list[int]:
    """One set of exemplars for all questions by facility location, greedy.

    Fewer than `most` are chosen where no other adds anything.

    Args:
        space: exemplars and questions.
        most: at most so many.
        tokens: of each exemplar, where there is a budget.
        fits: whether a choice is within it.
    """
    plain = _choose_greedily(space, most, None, fits)
    if tokens is None:
        return plain
    dense = _choose_greedily(space, most, tokens, fits)
    return dense if measure_value(space, dense) > measure_value(space, plain) else plain


def measure_value(space: Space, chosen: Sequence[int]) -> float:
    """The facility location of a set."""
    return float((_find_nearest(space, chosen) * space.weights).sum())


def measure_coverage(space: Space, choices: Sequence[Sequence[int]]) -> float:
    """The mean cosine of a question and the exemplar nearest to it that it is shown.

    Args:
        space: exemplars and questions.
        choices: what each question is shown; a single one is shown to all.
    """
    if len(choices) == 1:
        nearest = _find_nearest(space, choices[0])
    else:
        columns = [
            float(space.likeness[list(chosen), at].max(initial=0))
            for at, chosen in enumerate(choices)
        ]
        nearest = np.array(columns)
    return float((nearest * space.weights).sum() / space.weights.sum())


def measure_alikeness(space: Space, choices: Sequence[Sequence[int]]) -> float:
    """The mean cosine of two exemplars that are shown together; NaN where none are."""
    total = pairs = 0.0
    for chosen in choices:
        vectors = space.exemplars[list(chosen)].astype(np.float64)
        number = len(chosen)
        total += (float(np.square(vectors.sum(axis=0)).sum()) - number) / 2
        pairs += number * (number - 1) / 2
    return total / pairs if pairs else float("nan")


def take_queries(space: Space, queries: Sequence[int]) -> Space:
    """The same exemplars and some of the questions."""
    at = list(queries)
    return Space(space.likeness[:, at], space.allowed[:, at], space.exemplars, space.weights[at])


def _find_nearest(space: Space, chosen: Sequence[int]) -> NDArray[np.float64]:
    return space.likeness[list(chosen)].max(axis=0, initial=0).astype(np.float64)


def _choose_greedily(
    space: Space, most: int, tokens: Sequence[int] | None, fits: Fits | None
) -> list[int]:
    """Lazily: what an exemplar added to a smaller set bounds what it adds to a larger one.

    Source: Minoux, "Accelerated greedy algorithms", Optimization Techniques, 1978.
    """
    nearest = np.zeros(len(space.weights))

    def rate(at: int) -> float:
        added = np.maximum(space.likeness[at] - nearest, 0) @ space.weights
        return float(added) / (1 if tokens is None else max(tokens[at], 1))

    heap = [(-rate(at), at, 0) for at in range(len(space.likeness))]
    heapq.heapify(heap)
    chosen: list[int] = []
    while heap and len(chosen) < most:
        bound, at, when = heapq.heappop(heap)
        if when < len(chosen):
            heapq.heappush(heap, (-rate(at), at, len(chosen)))
            continue
        if bound >= 0:
            break
        if fits is not None and not fits([*chosen, at]):
            continue
        chosen.append(at)
        nearest = np.maximum(nearest, space.likeness[at])
    return chosen
