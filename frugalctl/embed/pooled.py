"""Embedders that add up a vector for each word: the static and the lexical one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, compress, islice
from threading import Lock
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from frugalctl.embed.base import Encoded, Vectors
from frugalctl.embed.ngrams import hash_words
from frugalctl.embed.words import script_of, split_words

POOLING_VERSION = 2
CHUNK_TEXTS = 1024
CHUNK_LETTERS = 1 << 17
KEPT_WORDS = 1 << 16
# One syllable of Korean or sign of Chinese stands for about two letters of an alphabet.
_DENSE_SCRIPTS = ("hangul", "ideographic")


class WordVectors(Protocol):
    """Vectors of the words that a vocabulary knows."""

    def knows(self, word: str) -> bool:
        """Whether the vocabulary has a meaning for it."""
        ...

    def make_vectors(self, words: Sequence[str]) -> Vectors:
        """Vectors of n known words: float32[n, d]."""
        ...


class _Rows(dict[str, int]):
    """The row of each word; a new one gets the next."""

    def __missing__(self, word: str) -> int:
        row = self[word] = len(self)
        return row


class PooledEmbedder:
    """The sum of the vectors of the known words, and that of the others' character n-grams.

    Both sums are brought to length 1 and weighed by the square roots of their shares of the
    letters, so that a text in a language that the vocabulary does not know is compared by its
    spelling, and a mixed one by both. The vectors of words met before are kept.

    Args:
        spec: the name the user gives.
        fingerprint: of the weights.
        dimension: the components of a vector, a multiple of 128.
        known: the vocabulary; None for n-grams only.
    """

    def __init__(
        self, spec: str, fingerprint: str, dimension: int, known: WordVectors | None = None
    ) -> None:
        self.spec = spec
        self.fingerprint = fingerprint
        self.dimension = dimension
        self._known = known
        self._lock = Lock()
        self._forget()

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The vectors of n texts, each by itself: neither order nor company changes one."""
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        start = 0
        for chunk in cut_chunks(texts):
            with self._lock:
                vectors[start : start + len(chunk)] = self._encode_chunk(chunk)
            start += len(chunk)
        return Encoded(vectors, np.zeros(len(texts), np.bool_))

    def _encode_chunk(self, texts: Sequence[str]) -> Vectors:
        words = [split_words(text) for text in texts]
        if len(self._rows) > KEPT_WORDS:
            self._forget()
        counts = np.fromiter(map(len, words), np.intp, len(words))
        known = len(self._rows)
        found = map(self._rows.__getitem__, chain.from_iterable(words))
        rows = np.fromiter(found, np.intp, counts.sum())
        try:
            self._learn(list(islice(self._rows, known, None)))
        except BaseException:
            self._forget()
            raise
        foreign = self._foreign[rows]
        if not foreign.any():
            return scale_to_unit(self._sum(rows, counts))
        texts_of = np.repeat(np.arange(len(words)), counts)
        foreign_counts = np.bincount(texts_of[foreign], minlength=len(words))
        meaning = scale_to_unit(self._sum(rows[~foreign], counts - foreign_counts))
        spelling = scale_to_unit(self._sum(rows[foreign], foreign_counts))
        letters = self._letters[rows]
        all_letters = np.bincount(texts_of, letters, len(words))
        share = np.bincount(texts_of, letters * foreign, len(words)) / np.maximum(all_letters, 1)
        return mix(meaning, spelling, share)

    def _sum(self, rows: NDArray[np.intp], counts: NDArray[np.intp]) -> Vectors:
        """The sum of the rows of each text; zero for a text of none."""
        return sum_runs(self._table[rows], counts.tolist())

    def _learn(self, words: list[str]) -> None:
        """Fill the last rows of the table, those of words not met before."""
        if not words:
            return
        first = len(self._rows) - len(words)
        self._reserve(len(self._rows))
        known = np.array([self._known is not None and self._known.knows(word) for word in words])
        self._letters[first : len(self._rows)] = [count_letters(word) for word in words]
        self._foreign[first : len(self._rows)] = ~known
        if self._known is not None and known.any():
            vectors = self._known.make_vectors(list(compress(words, known)))
            self._table[first + np.flatnonzero(known)] = vectors
        if not known.all():
            vectors = hash_words(list(compress(words, ~known)), self.dimension)
            self._table[first + np.flatnonzero(~known)] = vectors

    def _reserve(self, size: int) -> None:
        """Room for so many words, doubled whenever it grows."""
        if size <= len(self._table):
            return
        size = max(size, 2 * len(self._table))
        more = size - len(self._table)
        self._table = np.concatenate([self._table, np.empty((more, self.dimension), np.float32)])
        self._letters = np.concatenate([self._letters, np.empty(more)])
        self._foreign = np.concatenate([self._foreign, np.empty(more, np.bool_)])

    def _forget(self) -> None:
        self._rows = _Rows()
        self._table: Vectors = np.empty((0, self.dimension), np.float32)
        self._letters = np.empty(0, np.float64)
        self._foreign = np.empty(0, np.bool_)


def cut_chunks(texts: Sequence[str]) -> Iterator[list[str]]:
    """Neighbouring texts, so many at a time that the work space stays small."""
    chunk: list[str] = []
    letters = 0
    for text in texts:
        chunk.append(text)
        letters += len(text)
        if len(chunk) >= CHUNK_TEXTS or letters >= CHUNK_LETTERS:
            yield chunk
            chunk, letters = [], 0
    if chunk:
        yield chunk


def sum_runs(vectors: Vectors, counts: Sequence[int]) -> Vectors:
    """The sums of so many neighbouring vectors each: float32[len(counts), d].

    A loop, as numpy's `add.reduceat` along the first axis takes five times as long.
    """
    sums = np.zeros((len(counts), vectors.shape[1]), np.float32)
    start = 0
    for row, count in enumerate(counts):
        if count:
            np.add.reduce(vectors[start : start + count], axis=0, out=sums[row])
            start += count
    return sums


def count_letters(word: str) -> float:
    """Its letters and digits, those of dense scripts twofold; emoji count, punctuation not."""
    if word[0].isascii():
        return float(len(word)) if word[0].isalnum() else 0.0
    return len(word) * (2.0 if script_of(word) in _DENSE_SCRIPTS else 1.0)


def mix(meaning: Vectors, spelling: Vectors, share: NDArray[np.float64]) -> Vectors:
    """Unit vectors of both kinds in proportion to the foreign share of the letters."""
    mixed = meaning.copy()
    some = spelling.any(axis=1)
    part = np.where(meaning.any(axis=1), share, 1)[some, None].astype(np.float32)
    mixed[some] = np.sqrt(1 - part) * meaning[some] + np.sqrt(part) * spelling[some]
    mixed[some] = scale_to_unit(mixed[some])
    return mixed


def scale_to_unit(vectors: Vectors) -> Vectors:
    """Rows of length 1; rows of zeros stay."""
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float32))
    lengths[lengths == 0] = 1
    return vectors / lengths[:, None]
