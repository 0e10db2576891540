"""Small embedders, labels and trials, and the slow way to count what a threshold does."""

import math
import zlib
from functools import cache

import numpy as np

from frugalctl.embed import Encoded
from frugalctl.levers.normalize import make_normalizer
from frugalctl.levers.semantic_cache.ranking import Matching
from frugalctl.levers.semantic_cache.scorer import CosineScorer
from frugalctl.levers.semantic_cache.trials import Trials


@cache
def direct(word, dimension):
    return np.random.default_rng(zlib.crc32(word.encode())).normal(size=dimension)


class WordEmbedder:
    """A text is the sum of one random direction a word; "long" texts are read in part."""

    spec = "words"
    fingerprint = "words:1"
    dimension = 64

    def encode(self, texts):
        vectors = np.zeros((len(texts), self.dimension))
        for row, text in enumerate(texts):
            for word in text.split():
                vectors[row] += direct(word, self.dimension)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
        truncated = np.array(["long" in text.split() for text in texts], dtype=bool)
        return Encoded(vectors.astype(np.float32), truncated)


def words_matching(guards=(), candidates=3):
    return Matching(WordEmbedder(), make_normalizer(), CosineScorer(), guards, candidates)


def make_trials(scores, rights, clusters=None, costs=None, possible=None):
    """Trials without guards: what is scored best is served."""
    n = len(scores)
    score, right = np.array(scores, dtype=float), np.array(rights, dtype=float)
    return Trials(
        a=[f"a{at}" for at in range(n)],
        b=[f"b{at}" for at in range(n)],
        score=np.where(np.isinf(score), np.nan, score),
        same=right,
        guard=np.full(n, -1),
        served_score=score,
        right=right,
        possible=right == 1 if possible is None else np.array(possible, dtype=bool),
        clusters=np.arange(n) if clusters is None else np.array(clusters),
        cost_usd=np.full(n, np.nan) if costs is None else np.array(costs, dtype=float),
        refusals=np.zeros((n, 0), dtype=bool),
        guards=(),
    )


def count_slowly(trials, threshold):
    """Hits, right, wrong, dollars saved at a threshold, one trial at a time."""
    hits = right = wrong = priced = 0
    saved = 0.0
    for score, was_right, cost in zip(
        trials.served_score.tolist(), trials.right.tolist(), trials.cost_usd.tolist(), strict=True
    ):
        if score < threshold or score == -math.inf:
            continue
        hits += 1
        right += was_right == 1
        wrong += was_right == 0
        if not math.isnan(cost):
            saved += cost
            priced += 1
    return hits, right, wrong, saved if priced else None
