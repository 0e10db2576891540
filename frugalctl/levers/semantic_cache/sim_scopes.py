"""What each key of the scope costs in hits, and which leaks it prevents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from frugalctl.levers.semantic_cache.questions import Questions, choose_scopes
from frugalctl.levers.semantic_cache.settings import SCOPE_KEYS, SemanticCacheSettings
from frugalctl.levers.semantic_cache.simulate import CacheRun

Simulate = Callable[[Questions], CacheRun]
"""The same cache, run anew over questions in other scopes."""


@dataclass(frozen=True, slots=True)
class ScopeCost:
    """What would be without one key of the scope.

    Attributes:
        key: the key.
        hits_gained: hits more than with it; fewer where a worse answer comes first.
        crossing: hits that give an answer of another tenant, model, history, ...
        leaks: those among them whose answer differs from the request's own.
        unjudged: those among them of which the log cannot tell.
    """

    key: str
    hits_gained: int
    crossing: int
    leaks: int
    unjudged: int


def measure_scope(
    questions: Questions, settings: SemanticCacheSettings, run: CacheRun, simulate: Simulate
) -> tuple[ScopeCost, ...]:
    """Run the cache once more without each key of its scope.

    Args:
        questions: the log.
        settings: the cache.
        run: what it did.
        simulate: runs it over the same questions in other scopes, with a new policy each time.
    """
    keys = [key for key in SCOPE_KEYS if key in settings.scope]
    return tuple(
        _measure(questions, key, [other for other in keys if other != key], run, simulate)
        for key in keys
    )


def _measure(
    questions: Questions, key: str, others: list[str], run: CacheRun, simulate: Simulate
) -> ScopeCost:
    scopes = choose_scopes(questions, others)
    if len(set(scopes)) == len(set(questions.scopes)):
        return ScopeCost(key, 0, 0, 0, 0)
    wider = simulate(replace(questions, scopes=scopes))
    rows = np.flatnonzero(wider.hit)
    values = np.array([getattr(parts, key) or "" for parts in questions.parts], dtype=np.object_)
    known = np.array([getattr(parts, key) is not None for parts in questions.parts])
    sources = wider.source[rows]
    crosses = (values[rows] != values[sources]) | (known[rows] != known[sources])
    right = wider.right[rows][crosses]
    return ScopeCost(
        key=key,
        hits_gained=len(rows) - int(run.hit.sum()),
        crossing=len(right),
        leaks=int((right == 0).sum()),
        unjudged=int(np.isnan(right).sum()),
    )
