"""The embedder without a vocabulary: character n-grams of every word."""

from __future__ import annotations

from frugalctl.embed.ngrams import NGRAMS_VERSION
from frugalctl.embed.pooled import POOLING_VERSION, PooledEmbedder
from frugalctl.embed.words import WORDS_VERSION

DIMENSION = 384


def load_lexical() -> PooledEmbedder:
    """The embedder that compares texts by their spelling alone."""
    versions = f"{WORDS_VERSION}.{NGRAMS_VERSION}.{POOLING_VERSION}"
    return PooledEmbedder("lexical", f"lexical:{versions}:{DIMENSION}", DIMENSION)
