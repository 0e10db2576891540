"""The seams of the semantic cache: what makes keys, and what scores a candidate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Vectors = NDArray[np.float32]


class Normalizer(Protocol):
    """Makes keys of texts; the lever `normalize` has the one there is."""

    @property
    def name(self) -> str:
        """Names the steps and their versions; changes whenever a key may change."""
        ...

    def make_keys(self, texts: Sequence[str]) -> list[str]:
        """Safe keys: texts of equal key ask the same, so their answer may be used as it is."""
        ...

    def reduce(self, texts: Sequence[str]) -> list[str]:
        """What is embedded: lossy steps may apply, so equality only proposes a candidate."""
        ...


class Scorer(Protocol):
    """Says how likely two questions have the same answer; higher is surer."""

    @property
    def name(self) -> str:
        """Names the scorer and its weights; thresholds hold for one scorer only."""
        ...

    def score(
        self, a: Sequence[str], b: Sequence[str], a_vectors: Vectors, b_vectors: Vectors
    ) -> Floats:
        """Score n pairs.

        Args:
            a: n texts as they were asked, not reduced.
            b: n texts.
            a_vectors: float32[n, d], their embeddings.
            b_vectors: float32[n, d].

        Returns:
            float64[n], at most 1.
        """
        ...


class Policy(Protocol):
    """Decides whether a score is enough: one threshold for all, or one for each entry."""

    def accept(self, entry: int, score: float) -> bool:
        """Whether this entry's answer is used again at this score."""
        ...

    def observe(self, entry: int, score: float, correct: bool) -> None:
        """Learn whether the entry's answer was right, where it was not used."""
        ...
