"""Selections of exemplars, made and measured side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.levers.compress.exemplar_choice import (
    Fits,
    Space,
    choose_for_all,
    choose_for_query,
    measure_alikeness,
    measure_coverage,
    take_queries,
)
from frugalctl.levers.compress.exemplars import Exemplar
from frugalctl.report.exemplars import Selection

RANDOM_DRAWS = 20
_SHOWN_SIZES = (1, 2, 4, 8, 16, 32, 64)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        most: at most so many exemplars; None where only their tokens are bounded.
        max_tokens: at most so many tokens; None for no bound.
        diversity: of the choice for one question, in [0, 1].
        seed: of the random ones.
    """

    most: int | None
    max_tokens: int | None
    diversity: float
    seed: int


@dataclass(frozen=True, slots=True)
class Pool:
    """Exemplars with the tokens of each.

    Attributes:
        exemplars: m of them.
        tokens: of each, as it stands in a prompt.
        measure: tokens of several together.
    """

    exemplars: Sequence[Exemplar]
    tokens: Sequence[int]
    measure: Callable[[Sequence[Exemplar]], int]

    def count(self, chosen: Sequence[int]) -> int:
        """Tokens that these add to a prompt."""
        return self.measure([self.exemplars[at] for at in chosen])


def make_pool(exemplars: Sequence[Exemplar], measure: Callable[[Sequence[Exemplar]], int]) -> Pool:
    """The exemplars with their tokens."""
    return Pool(exemplars, [measure([one]) for one in exemplars], measure)


def select_for_all(space: Space, pool: Pool, wish: Wish) -> tuple[list[int], list[Selection]]:
    """One set for all questions, and what it is compared with."""
    chosen = _choose_set(space, pool, wish)
    halves = [range(start, len(space.weights), 2) for start in (0, 1)]
    others = [_choose_set(take_queries(space, half), pool, wish) for half in halves if half]
    rows: list[Selection] = []
    for size in sorted({len(chosen), *(one for one in _SHOWN_SIZES if one < len(chosen))}):
        held_out = _hold_out(space, halves, [other[:size] for other in others])
        row = _measure("one set", space, pool, [chosen[:size]], held_out, size == len(chosen))
        rows.append(row)
    rows.reverse()
    return chosen, [*rows, *_baselines(space, pool, wish, len(chosen))]


def select_for_each(
    space: Space, pool: Pool, wish: Wish
) -> tuple[list[list[int]], list[Selection]]:
    """Exemplars for each question, best first, and what they are compared with."""
    chosen = _choose_each(space, pool, wish, wish.diversity)
    rows = [_measure("each question", space, pool, chosen, None, True, is_fixed=False)]
    if wish.diversity > 0:
        nearest = _choose_each(space, pool, wish, 0.0)
        rows.append(_measure("most similar", space, pool, nearest, None, is_fixed=False))
    one_set = _choose_set(space, pool, wish)
    rows.append(_measure("one set", space, pool, [one_set]))
    size = round(sum(map(len, chosen)) / len(chosen))
    return chosen, [*rows, *_baselines(space, pool, wish, size)]


def _choose_set(space: Space, pool: Pool, wish: Wish) -> list[int]:
    most = len(pool.exemplars) if wish.most is None else wish.most
    if wish.max_tokens is None:
        return choose_for_all(space, most)
    return choose_for_all(space, most, tokens=pool.tokens, fits=_make_fits(pool, wish))


def _choose_each(space: Space, pool: Pool, wish: Wish, diversity: float) -> list[list[int]]:
    most = len(pool.exemplars) if wish.most is None else wish.most
    fits, budget = _make_fits(pool, wish), wish.max_tokens
    return [
        choose_for_query(
            space,
            query,
            most,
            diversity,
            tokens=None if budget is None else pool.tokens,
            max_tokens=budget or 0,
            fits=fits,
        )
        for query in range(len(space.weights))
    ]


def _make_fits(pool: Pool, wish: Wish) -> Fits | None:
    budget = wish.max_tokens
    if budget is None:
        return None

    def fits(chosen: Sequence[int]) -> bool:
        # The sum first: counting the whole text is slow, and rarely differs by a token.
        return sum(pool.tokens[at] for at in chosen) <= budget and pool.count(chosen) <= budget

    return fits


def _baselines(space: Space, pool: Pool, wish: Wish, size: int) -> list[Selection]:
    first = _take_fitting(range(len(pool.exemplars)), pool, wish, size)
    rng = np.random.default_rng(wish.seed)
    draws: list[Selection] = []
    for _ in range(RANDOM_DRAWS):
        order: list[int] = rng.permutation(len(pool.exemplars)).tolist()
        drawn = _take_fitting(order, pool, wish, size)
        draws.append(_measure("", space, pool, [drawn]))
    mean = Selection(
        f"random ({RANDOM_DRAWS})",
        float(np.mean([one.exemplars for one in draws])),
        float(np.mean([one.tokens for one in draws])),
        max(one.most_tokens for one in draws),
        float(np.mean([one.coverage for one in draws])),
        None,
        float(np.mean([one.alikeness for one in draws])),
        is_fixed=True,
    )
    return [_measure("the first", space, pool, [first]), mean]


def _take_fitting(order: Sequence[int], pool: Pool, wish: Wish, size: int) -> list[int]:
    fits = _make_fits(pool, wish)
    taken: list[int] = []
    for at in order:
        if len(taken) < size and (fits is None or fits([*taken, at])):
            taken.append(at)
    return taken


def _hold_out(
    space: Space, halves: Sequence[Sequence[int]], sets: Sequence[Sequence[int]]
) -> float | None:
    """Coverage of each half of the questions by the set that the other half chose."""
    if len(sets) < 2:
        return None
    parts = [take_queries(space, half) for half in halves]
    weights = [float(part.weights.sum()) for part in parts]
    found = [
        measure_coverage(part, [chosen]) for part, chosen in zip(parts, reversed(sets), strict=True)
    ]
    return float(np.average(found, weights=weights))


def _measure(
    name: str,
    space: Space,
    pool: Pool,
    choices: Sequence[Sequence[int]],
    held_out: float | None = None,
    is_chosen: bool = False,
    *,
    is_fixed: bool = True,
) -> Selection:
    tokens = [pool.count(chosen) for chosen in choices]
    weights = None if len(choices) == 1 else space.weights
    return Selection(
        name,
        float(np.average([len(chosen) for chosen in choices], weights=weights)),
        float(np.average(tokens, weights=weights)),
        max(tokens),
        measure_coverage(space, choices),
        held_out,
        measure_alikeness(space, choices),
        is_fixed,
        is_chosen,
    )
