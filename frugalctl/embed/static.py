"""The default embedder: bundled token vectors, added up. No model runs."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from frugalctl.embed.base import Vectors
from frugalctl.embed.ngrams import NGRAMS_VERSION, hash_words
from frugalctl.embed.pooled import POOLING_VERSION, PooledEmbedder, scale_to_unit, sum_runs
from frugalctl.embed.words import WORDS_VERSION
from frugalctl.errors import InputError

DATA = Path(__file__).parent / "data"
MANIFEST, VECTORS, SCALES, TOKENS = (
    "static.json",
    "static.vectors.npy",
    "static.scales.npy",
    "static.tokens.txt",
)
PIECE = "##"
SPELLING_SHARE = 1 / 3


class TokenVectors:
    """Word pieces and their vectors, as the script benchmarks/distill_static.py makes them.

    Args:
        tokens: the pieces, those within a word after "##".
        vectors: int8[tokens, d].
        scales: float32[tokens], what a vector's components are multiples of.
    """

    def __init__(
        self, tokens: Sequence[str], vectors: NDArray[np.int8], scales: NDArray[np.float32]
    ) -> None:
        self._ids = {token: row for row, token in enumerate(tokens)}
        self._vectors = vectors
        self._scales = scales
        self.dimension = vectors.shape[1]

    def knows(self, word: str) -> bool:
        """Whether it is of ASCII, each letter and sign of which is a piece."""
        return word.isascii()

    def make_vectors(self, words: Sequence[str]) -> Vectors:
        """The sum of the vectors of each word's pieces: float32[n, d].

        A word of several pieces is rare or not English, and its pieces say little, so that a
        share of it is its spelling.
        """
        pieces = [self.split(word) for word in words]
        rows = np.array([row for word in pieces for row in word], np.intp)
        counts = [len(word) for word in pieces]
        summands = self._vectors[rows].astype(np.float32) * self._scales[rows, None]
        vectors = sum_runs(summands, counts)
        cut = [row for row, count in enumerate(counts) if count > 1]
        if cut:
            spelling = scale_to_unit(hash_words([words[row] for row in cut], self.dimension))
            lengths = np.sqrt(np.square(vectors[cut]).sum(axis=1, keepdims=True))
            vectors[cut] *= np.float32((1 - SPELLING_SHARE) ** 0.5)
            vectors[cut] += np.float32(SPELLING_SHARE**0.5) * lengths * spelling
        return vectors

    def split(self, word: str) -> list[int]:
        """The rows of the longest pieces from the left (WordPiece, arXiv:1609.08144)."""
        whole = self._ids.get(word)
        if whole is not None:
            return [whole]
        rows: list[int] = []
        rest, prefix = word, ""
        while rest:
            size = next(n for n in range(len(rest), 0, -1) if prefix + rest[:n] in self._ids)
            rows.append(self._ids[prefix + rest[:size]])
            rest, prefix = rest[size:], PIECE
        return rows


def load_static(folder: Path = DATA) -> PooledEmbedder:
    """The embedder of the bundled token vectors.

    Raises:
        InputError: a file of them is missing, or not what was bundled.
    """
    try:
        checksums: dict[str, str] = json.loads((folder / MANIFEST).read_bytes())["xxh3_64"]
        vectors, scales, tokens = (
            _read_checked(folder / name, checksums[name]) for name in (VECTORS, SCALES, TOKENS)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the bundled embedder cannot be read: {error}",
            where=str(folder),
            hint="install frugalctl again",
        ) from None
    known = TokenVectors(tokens.decode().split("\n"), _parse_npy(vectors), _parse_npy(scales))
    parts = [NGRAMS_VERSION, WORDS_VERSION, POOLING_VERSION, *checksums.values()]
    fingerprint = f"static:{xxhash.xxh3_64_hexdigest(repr(parts).encode())}"
    return PooledEmbedder("static", fingerprint, known.dimension, known)


def _read_checked(path: Path, checksum: str) -> bytes:
    data = path.read_bytes()
    if xxhash.xxh3_64_hexdigest(data) != checksum:
        raise ValueError(f"{path.name} is not the file that was bundled")
    return data


def _parse_npy(data: bytes) -> Any:
    return np.load(io.BytesIO(data), allow_pickle=False)
