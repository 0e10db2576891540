"""Hosted embedding models, called through litellm. The only embedder that uses the network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from frugalctl.embed.base import Encoded, Vectors
from frugalctl.embed.pooled import scale_to_unit
from frugalctl.errors import FrugalError, InputError

BATCH_TEXTS = 64
_PROBE = "a"


class HostedEmbedder:
    """A model behind an interface that litellm knows.

    The provider refuses a text that is too long for the model, so nothing is truncated.

    Args:
        model: litellm's name of it, with the provider ("openai/text-embedding-3-small").
        litellm: the module.
    """

    def __init__(self, model: str, litellm: Any) -> None:
        self.spec = f"litellm:{model}"
        self._model = model
        self._litellm = litellm
        self._dimension: int | None = None

    @property
    def dimension(self) -> int:
        """The length of its vectors, learned by the first call."""
        if self._dimension is None:
            self._dimension = len(self._call([_PROBE])[0][0])
        return self._dimension

    @property
    def fingerprint(self) -> str:
        """Its name and dimension: providers say no more of what they serve."""
        return f"{self.spec}:{self.dimension}"

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The vectors of n texts, and what they cost by litellm's packaged price map.

        Raises:
            FrugalError: the provider refuses, with its message.
        """
        asked = [row for row, text in enumerate(texts) if text.strip()]
        rows: list[list[float]] = []
        costs: list[float | None] = []
        for start in range(0, len(asked), BATCH_TEXTS):
            batch = [texts[row] for row in asked[start : start + BATCH_TEXTS]]
            vectors, cost_usd = self._call(batch)
            rows += vectors
            costs.append(cost_usd)
        known = [cost for cost in costs if cost is not None]
        total = sum(known) if len(known) == len(costs) else None
        return Encoded(self._place(rows, asked, len(texts)), np.zeros(len(texts), np.bool_), total)

    def _place(self, rows: list[list[float]], asked: list[int], count: int) -> Vectors:
        if rows:
            self._dimension = self._dimension or len(rows[0])
        vectors = np.zeros((count, self.dimension), np.float32)
        if any(len(row) != self.dimension for row in rows):
            raise InputError(f"{self.spec} gave vectors of more than one length")
        if rows:
            vectors[asked] = scale_to_unit(np.array(rows, np.float32))
        return vectors

    def _call(self, texts: list[str]) -> tuple[list[list[float]], float | None]:
        """Vectors in the order of the texts, and the dollars if the model's price is known."""
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        try:
            response = self._litellm.embedding(model=self._model, input=clean)
        except Exception as error:
            message = " ".join(str(error).split()) or type(error).__name__
            raise FrugalError(
                f"{self.spec} failed: {message}", hint="check the model's name and the API key"
            ) from error
        items = sorted(response["data"], key=lambda item: item["index"])
        if len(items) != len(texts):
            raise InputError(f"{self.spec} gave {len(items)} vectors for {len(texts)} texts")
        return [list(item["embedding"]) for item in items], self._price(response)

    def _price(self, response: Any) -> float | None:
        try:
            return float(
                self._litellm.completion_cost(
                    completion_response=response, model=self._model, call_type="embedding"
                )
            )
        except Exception:
            return None


def load_hosted(model: str) -> HostedEmbedder:
    """The embedder of a hosted model; its key comes from the environment, as litellm reads it."""
    # Without it litellm fetches its price map from the network when it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    litellm.suppress_debug_info = True  # it prints hints on stdout
    return HostedEmbedder(model, litellm)
