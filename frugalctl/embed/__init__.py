"""Text to vectors: the bundled static embedder, character n-grams, local and hosted models."""

from frugalctl.embed.base import Embedder, Encoded, Vectors, load_embedder

__all__ = ["Embedder", "Encoded", "Vectors", "load_embedder"]
