"""A cross-encoder as pair scorer: both texts in one transformer; slow, and the surest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from frugalctl.errors import InputError, MissingExtraError
from frugalctl.levers.semantic_cache.protocols import Floats, Vectors


@dataclass(frozen=True, slots=True, eq=False)
class CrossEncoderScorer:
    """A cross-encoder with one output.

    Attributes:
        name: "cross-encoder:" and a digest of its weights.
        model: the sentence-transformers CrossEncoder.
    """

    name: str
    model: Any

    def score(
        self, a: Sequence[str], b: Sequence[str], a_vectors: Vectors, b_vectors: Vectors
    ) -> Floats:
        """The mean of both orders' sigmoids, float64[n] in [0, 1]; vectors are not looked at."""
        import torch

        pairs = [*zip(a, b, strict=True), *zip(b, a, strict=True)]
        if not pairs:
            return np.zeros(0)
        scores = self.model.predict(
            pairs, activation_fn=torch.nn.Sigmoid(), show_progress_bar=False
        )
        both = np.asarray(scores, np.float64).reshape(2, -1)
        return both.mean(axis=0)


def load_cross_encoder(path: str) -> CrossEncoderScorer:
    """A cross-encoder from a local folder, on the CPU, without the network.

    Raises:
        InputError: no such folder, no cross-encoder in it, or one with several outputs.
        MissingExtraError: sentence-transformers is not installed.
    """
    folder = Path(path)
    if not (folder / "config.json").is_file():
        raise InputError(
            "is not the folder of a model",
            where=path,
            hint="download the model first and give its folder",
        )
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        from sentence_transformers import CrossEncoder
    except ImportError:
        raise MissingExtraError("sentence-transformers", "embed") from None
    try:
        model: Any = CrossEncoder(path, device="cpu", local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"no cross-encoder: {reason}", where=path) from None
    if model.config.num_labels != 1:
        raise InputError(
            f"has {model.config.num_labels} outputs, a scorer has one",
            where=path,
            hint="use a cross-encoder for similarity or duplicates, not for classes",
        )
    return CrossEncoderScorer(f"cross-encoder:{_digest_weights(folder)}", model)


def _digest_weights(folder: Path) -> str:
    import xxhash

    digest = xxhash.xxh3_64()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(str(file.relative_to(folder)).encode() + b"\0")
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
