"""A threshold on the cosine in the scales of other semantic caches.

Their scales differ, and so do the numbers that mean the same: GPTCache rates a distance
(`SearchDistanceEvaluation` over faiss, L2 of unit vectors at most 2) from 0 to 1, RedisVL takes a
cosine distance, LiteLLM and PromptWatch a cosine similarity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from frugalctl.errors import UsageError


@dataclass(frozen=True, slots=True)
class Scale:
    """How another cache names a threshold.

    Attributes:
        option: the name of its setting.
        from_cosine: its value for a cosine.
        to_cosine: the least cosine that it takes for a hit.
    """

    option: str
    from_cosine: Callable[[float], float]
    to_cosine: Callable[[float], float]


def _same(value: float) -> float:
    return value


def _distance(value: float) -> float:
    return 1.0 - value


SCALES = {
    "gptcache": Scale(
        "similarity_threshold", lambda cosine: (cosine + 1) / 2, lambda value: 2 * value - 1
    ),
    "redisvl": Scale("distance_threshold", _distance, _distance),
    "litellm": Scale("similarity_threshold", _same, _same),
    "promptwatch": Scale("similarity_threshold", _same, _same),
}


def translate_threshold(cosine: float) -> dict[str, float]:
    """Cache -> the value of its setting that hits from the same cosine on.

    Raises:
        UsageError: no cosine.
    """
    if not -1 <= cosine <= 1:
        raise UsageError(f"{cosine:g} is no cosine", hint="a number from -1 to 1")
    return {name: scale.from_cosine(cosine) for name, scale in SCALES.items()}


def to_cosine(cache: str, value: float) -> float:
    """The least cosine that another cache takes for a hit.

    Raises:
        UsageError: no cache of that name, or a value outside its scale.
    """
    if cache not in SCALES:
        raise UsageError(f"unknown cache {cache!r}", hint=f"known: {', '.join(SCALES)}")
    cosine = SCALES[cache].to_cosine(value)
    if not -1 <= cosine <= 1:
        raise UsageError(f"{value:g} is outside the scale of {cache}")
    return cosine
