"""Pair scorers by name: plain cosine, one learned from labelled pairs, or a cross-encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.errors import InputError, UsageError
from frugalctl.levers.semantic_cache.protocols import Floats, Scorer, Vectors

_CROSS_ENCODER = "cross-encoder:"


@dataclass(frozen=True, slots=True)
class CosineScorer:
    """The dot product of two vectors of length 1."""

    name: str = "cosine"

    def score(
        self, a: Sequence[str], b: Sequence[str], a_vectors: Vectors, b_vectors: Vectors
    ) -> Floats:
        """float64[n] in [-1, 1]; see `protocols.Scorer`."""
        products = a_vectors.astype(np.float64) * b_vectors.astype(np.float64)
        return np.clip(products.sum(axis=1), -1, 1)


def load_scorer(spec: str, embedder_fingerprint: str) -> Scorer:
    """The scorer of that name.

    Args:
        spec: "cosine", a path to the `.npz` of a learned scorer, or "cross-encoder:PATH".
        embedder_fingerprint: of the embedder whose vectors will be scored.

    Raises:
        UsageError: no such scorer.
        InputError: its file cannot be used, or it was trained on vectors of another embedder.
        MissingExtraError: a cross-encoder without sentence-transformers.
    """
    if spec == "cosine":
        return CosineScorer()
    if spec.startswith(_CROSS_ENCODER):
        from frugalctl.levers.semantic_cache.cross_encoder import load_cross_encoder

        return load_cross_encoder(spec.removeprefix(_CROSS_ENCODER))
    if not spec.endswith(".npz"):
        raise UsageError(
            f"unknown scorer {spec!r}",
            hint='known: "cosine", a file from `frugalctl cache tune` (*.npz), cross-encoder:PATH',
        )
    from frugalctl.levers.semantic_cache.scorer_files import read_scorer

    scorer = read_scorer(spec)
    if scorer.embedder_fingerprint != embedder_fingerprint:
        raise InputError(
            f"was trained on vectors of the embedder {scorer.embedder_fingerprint}, "
            f"not of {embedder_fingerprint}",
            where=spec,
            hint="use that embedder, or train a scorer on this one with `frugalctl cache tune`",
        )
    return scorer
