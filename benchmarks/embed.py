"""Embedders: quality on the shared data, speed on one core, and the time to a first vector.

OMP_NUM_THREADS=1 python benchmarks/embed.py --data ../shared/data [--embedders static lexical]
"""

import argparse
import gzip
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from measure import report
from sklearn.metrics import roc_auc_score

from frugalctl.embed import Embedder, load_embedder

HELD_OUT_SEED = 4
FIRST_VECTOR = """
import sys, time
start = time.perf_counter()
from frugalctl.embed import load_embedder
load_embedder(sys.argv[1]).encode(["how do I reset my password?"])
print(time.perf_counter() - start)
"""
LIMITS = {
    "qqp_auc": ">= 0.78 (plain .757, MiniLM .860)",
    "clinc_1nn": ">= 0.83 (plain .816, MiniLM .868)",
    "clinc_hits": "hit rate at 5 % wrong of hits",
    "parakqc_1nn": "accuracy, leave one out",
    "parakqc_hits": "hit rate at 5 % wrong of hits",
    "parakqc_hits10": "hit rate at 10 % wrong of hits",
}


def main() -> None:
    """Measure each embedder and print it beside the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--embedders", nargs="+", default=["static", "lexical"])
    options = parser.parse_args()
    for spec in options.embedders:
        embedder = load_embedder(spec)
        quality = measure_quality(embedder, options.data)
        rows = [(name, f"{figure:.4f}", LIMITS[name]) for name, figure in quality.items()]
        questions = [text for pair in read(options.data, "qqp_pairs") for text in pair_of(pair)]
        speed = measure_speed(spec, questions if spec in ("static", "lexical") else questions[:500])
        rows.append(("texts_per_s", f"{speed:,.0f}", ">= 30,000 for static, one core"))
        first = statistics.median(measure_first_vector(spec) for _ in range(5))
        rows.append(("first_vector_ms", f"{1000 * first:.0f}", "import, load and one text"))
        report(f"{spec}, {embedder.dimension} components", rows)
    tfidf = measure_tfidf(options.data)
    report("character TF-IDF", [(name, f"{figure:.4f}", "") for name, figure in tfidf.items()])


def measure_quality(embedder: Embedder, data: Path) -> dict[str, float]:
    """The figures of `LIMITS`; QQP on a half that a fixed seed draws."""
    figures = {}
    pairs = read(data, "qqp_pairs")
    half = np.random.default_rng(HELD_OUT_SEED).random(len(pairs)) < 0.5
    pairs = [pair for pair, held_out in zip(pairs, half, strict=True) if held_out]
    a, b = (embedder.encode([pair[side] for pair in pairs]).vectors for side in "ab")
    figures["qqp_auc"] = roc_auc_score([pair["same"] for pair in pairs], (a * b).sum(axis=1))
    right, score = match_clinc(embedder, data)
    figures["clinc_1nn"], figures["clinc_hits"] = right.mean(), hit_rate(right, score, 0.05)
    rows = read(data, "parakqc_ko")
    vectors = embedder.encode([row["text"] for row in rows]).vectors
    return figures | match_groups(vectors @ vectors.T, np.array([row["group"] for row in rows]))


def match_clinc(embedder: Embedder, data: Path) -> tuple[np.ndarray, np.ndarray]:
    """Whether the nearest training text of each validation text has its intent, and its cosine."""
    rows = read(data, "clinc")
    train, ask = ([row for row in rows if row["split"] == part] for part in ("train", "val"))
    index = embedder.encode([row["text"] for row in train]).vectors
    scores = embedder.encode([row["text"] for row in ask]).vectors @ index.T
    intents = np.array([row["intent"] for row in train])
    right = intents[scores.argmax(axis=1)] == np.array([row["intent"] for row in ask])
    return right, scores.max(axis=1)


def match_groups(scores: np.ndarray, groups: np.ndarray) -> dict[str, float]:
    """Each text asks all the others: right if the nearest is of its group."""
    np.fill_diagonal(scores, -np.inf)
    right = groups[scores.argmax(axis=1)] == groups
    best = scores.max(axis=1)
    return {
        "parakqc_1nn": float(right.mean()),
        "parakqc_hits": hit_rate(right, best, 0.05),
        "parakqc_hits10": hit_rate(right, best, 0.10),
    }


def measure_tfidf(data: Path) -> dict[str, float]:
    """What sklearn's character TF-IDF reaches on the Korean questions."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    rows = read(data, "parakqc_ko")
    counts = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), dtype=np.float32)
    vectors = counts.fit_transform([row["text"] for row in rows])
    scores = (vectors @ vectors.T).toarray()
    return match_groups(scores, np.array([row["group"] for row in rows]))


def hit_rate(right: np.ndarray, score: np.ndarray, most_wrong: float) -> float:
    """The largest share of queries that a threshold lets hit with so few wrong among them."""
    order = np.argsort(-score, kind="stable")
    hits = np.arange(1, len(order) + 1)
    allowed = np.flatnonzero(np.cumsum(~right[order]) <= most_wrong * hits)
    return float(hits[allowed[-1]] / len(order)) if len(allowed) else 0.0


def measure_speed(spec: str, texts: Sequence[str]) -> float:
    """Texts a second, the median of five runs with a fresh embedder."""
    seconds = []
    for _ in range(5):
        embedder = load_embedder(spec)
        start = time.perf_counter()
        embedder.encode(texts)
        seconds.append(time.perf_counter() - start)
    return len(texts) / statistics.median(seconds)


def measure_first_vector(spec: str) -> float:
    """Seconds from a fresh interpreter's first import to one vector."""
    command = [sys.executable, "-c", FIRST_VECTOR, spec]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def pair_of(pair: dict) -> tuple[str, str]:
    """Both texts."""
    return pair["a"], pair["b"]


def read(data: Path, name: str) -> list[dict]:
    """The rows of a file of the shared data."""
    with gzip.open(data / "semcache" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
