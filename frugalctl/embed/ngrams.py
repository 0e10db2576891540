"""Character n-grams of a word as signed random vectors: similarity of spelling, for any script."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import xxhash

from frugalctl.embed.base import Vectors
from frugalctl.embed.words import Script, script_of

NGRAMS_VERSION = 1
WORDS_AT_ONCE = 64
DIGEST_BITS = 128
# Weight of the n-gram at a place: Korean begins with the stem and ends in particles.
_DECAY: dict[Script, float] = {"latin": 0.85, "hangul": 0.6, "ideographic": 1.0, "other": 0.85}
_LEAST_DECAY = 0.1
_DECAYS = {
    script: [max(decay**place, _LEAST_DECAY) for place in range(32)]
    for script, decay in _DECAY.items()
}
_SIGN_WEIGHT = 0.2
_SIZES: dict[Script, tuple[int, ...]] = {
    "latin": (2, 3, 4),
    "hangul": (1, 2),
    "ideographic": (1, 2),
    "other": (2, 3, 4),
}


def weigh_ngrams(word: str) -> Iterator[tuple[str, float]]:
    """The n-grams of a word and their weights.

    Sizes go by script: one syllable or sign of Korean, Chinese and Japanese says as much as some
    letters of an alphabet. All but the ideographic ones know where a word begins.
    """
    if not word[0].isalnum():
        yield word, _SIGN_WEIGHT if word.isascii() else 1.0
        return
    script = script_of(word)
    start = "" if script == "ideographic" else "^"
    decays = _DECAYS[script]
    marked = start + unicodedata.normalize("NFC", word)
    for size in _SIZES[script]:
        for place in range(max(1, len(marked) - size + 1)):
            ngram = marked[place : place + size]
            if ngram != start:
                yield ngram, decays[min(place, len(decays) - 1)]


def hash_words(words: Sequence[str], dimension: int) -> Vectors:
    """The sum of the weighted n-grams of each word.

    Each n-gram is a vector of random signs, made of its own hash: no table, no collisions, and
    the dot product of two words is that of their weighted n-gram counts, give or take noise of
    relative size 1 / sqrt(dimension) (Johnson and Lindenstrauss; Weinberger et al. 2009,
    arXiv:0902.2206, for the signs).

    Args:
        words: n words of `split_words`.
        dimension: a multiple of 128.

    Returns:
        float32[n, dimension], not normalised.
    """
    vectors = np.empty((len(words), dimension), np.float32)
    for first in range(0, len(words), WORDS_AT_ONCE):
        weighed = [list(weigh_ngrams(word)) for word in words[first : first + WORDS_AT_ONCE]]
        signs = draw_signs([ngram for word in weighed for ngram, _ in word], dimension)
        weights = np.array([weight for word in weighed for _, weight in word], np.float32)
        start = 0
        for row, word in enumerate(weighed, first):
            run = slice(start, start + len(word))
            vectors[row] = weights[run] @ signs[run]
            start = run.stop
    return vectors / np.float32(dimension**0.5)


def draw_signs(ngrams: Sequence[str], dimension: int) -> Vectors:
    """A vector of signs (-1 or 1) for each n-gram: float32[n, dimension]."""
    digests = b"".join([_digest(ngram, dimension) for ngram in ngrams])
    bits = np.unpackbits(np.frombuffer(digests, np.uint8)).reshape(len(ngrams), dimension)
    return bits.astype(np.float32) * np.float32(2) - np.float32(1)


@lru_cache(maxsize=1 << 16)
def _digest(ngram: str, dimension: int) -> bytes:
    """The bits of an n-gram's signs; few n-grams make up most words."""
    item = ngram.encode("utf-8", "surrogatepass")
    seeds = range(dimension // DIGEST_BITS)
    return b"".join([xxhash.xxh3_128_digest(item, seed=seed) for seed in seeds])
