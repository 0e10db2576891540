"""What every embedder does, and how one is found by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import UsageError

ENTRY_POINTS = "frugalctl.embedders"
BUILT_IN = {
    "static": "frugalctl.embed.static:load_static",
    "lexical": "frugalctl.embed.lexical:load_lexical",
    "minilm": "frugalctl.embed.transformers:load_minilm",
}
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """The vectors of n texts.

    Attributes:
        vectors: float32[n, d] of length 1; a row of zeros where a text has nothing to embed.
        truncated: bool[n], whether the embedder read only the beginning of a text, which must
            therefore neither be cached nor looked up: its vector says nothing of the rest.
        cost_usd: what a hosted model asks for it; 0 for a local one, None if not known.
    """

    vectors: Vectors
    truncated: NDArray[np.bool_]
    cost_usd: float | None = 0.0


class Embedder(Protocol):
    """Turns texts into vectors whose dot product is their similarity."""

    @property
    def spec(self) -> str:
        """How the user names it: "static", "lexical", "minilm", a path, "litellm:MODEL"."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever the vectors of a text may change: kind, weights, settings."""
        ...

    @property
    def dimension(self) -> int:
        """The number d of components of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The vectors of n texts."""
        ...


def load_embedder(spec: str = "static") -> Embedder:
    """The embedder of that name.

    Packages may add embedders: an entry point of the group "frugalctl.embedders" is a function
    without arguments that returns one, and its name is the spec.

    Args:
        spec: "static", "lexical", "minilm", "litellm:MODEL", the name of an entry point, or the
            folder of a sentence-transformers model.

    Raises:
        UsageError: no embedder of that name, and no such path.
        MissingExtraError: its package is not installed.
        InputError: its files are broken.
    """
    kind, _, model = spec.partition(":")
    if spec in BUILT_IN:
        module, function = BUILT_IN[spec].split(":")
        return getattr(import_module(module), function)()
    if kind == "litellm" and model:
        return import_module("frugalctl.embed.hosted").load_hosted(model)
    # Slow to import, and needed by few.
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS, name=spec):
        return point.load()()
    if spec and Path(spec).is_dir():
        return import_module("frugalctl.embed.transformers").load_model(spec)
    raise UsageError(
        f"no embedder {spec!r}, and no folder of that name",
        hint=f"known: {', '.join(BUILT_IN)}, litellm:MODEL, or the folder of a "
        "sentence-transformers model; download a hub model first and give its folder",
    )
