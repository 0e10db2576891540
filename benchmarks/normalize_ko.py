"""Korean questions: what the normaliser and the guards add to the hits of a semantic cache.

Every text of paraKQC asks for its nearest neighbour, among all others (leave-one-out) or among
those before it in a shuffled stream, where the first of its group has to miss. Printed is the
highest hit rate at which at most 2 % or 5 % of the hits are wrong, that is of another group,
without and with guards, and what each guard refuses of the unguarded hits. As raw n-grams put
wrong pairs, which differ in one word, at the very top and so have next to no hits at these
bounds, the share of wrong hits at a hit rate of one half is printed too.

python benchmarks/normalize_ko.py [--data ../shared/data/semcache/parakqc_ko.jsonl.gz]
"""

import argparse
import gzip
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from frugalctl.embed import load_embedder
from frugalctl.levers.normalize import NormalizeSettings, make_normalizer
from frugalctl.levers.semantic_cache.guards import check_guards, find_refusal
from frugalctl.levers.semantic_cache.settings import GUARD_NAMES

DATA = Path(__file__).parents[2] / "shared/data/semcache/parakqc_ko.jsonl.gz"
STEPS = ("synonyms", "modifiers", "korean")
BOUNDS = (0.02, 0.05)
CANDIDATES = 8
NO_HIT = -2.0


def read_groups(path: Path, seed: int) -> tuple[list[str], np.ndarray]:
    """The texts in a shuffled order, and the group of each."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    random.Random(seed).shuffle(rows)
    return [row["text"] for row in rows], np.array([row["group"] for row in rows])


def embed_tfidf(texts: Sequence[str]) -> np.ndarray:
    """The character n-grams that the bar is measured against."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)).fit_transform(texts)
    return vectors.astype(np.float32)


def compare_all(vectors: np.ndarray, *, stream: bool) -> np.ndarray:
    """The similarity of each text (row) to those that it may be answered from."""
    product = vectors @ vectors.T
    scores = product.toarray() if hasattr(product, "toarray") else product
    np.fill_diagonal(scores, NO_HIT)
    if stream:
        scores[np.triu_indices(len(scores))] = NO_HIT
    return scores


def find_hits(
    scores: np.ndarray, texts: Sequence[str], *, guarded: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The score of each text's hit and where it is: the nearest, or the nearest not refused."""
    best, rows = np.full(len(scores), NO_HIT), np.full(len(scores), -1)
    nearest = np.argpartition(-scores, CANDIDATES, axis=1)[:, :CANDIDATES]
    for at, candidates in enumerate(nearest):
        for row in candidates[np.argsort(-scores[at, candidates], kind="stable")]:
            if scores[at, row] == NO_HIT:
                break
            if not guarded or find_refusal(texts[at], texts[row]) is None:
                best[at], rows[at] = scores[at, row], row
                break
    return best, rows


def find_hit_rate(scores: np.ndarray, right: np.ndarray, bound: float) -> float:
    """The highest hit rate of any threshold at which wrong of hits is within the bound."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    hits = np.arange(1, len(order) + 1)
    wrong = np.cumsum(~right[order])
    ends = np.append(ranked[1:] != ranked[:-1], True) & (ranked > NO_HIT)
    allowed = ends & (wrong <= bound * hits)
    return float(hits[allowed].max() / len(order)) if allowed.any() else 0.0


def find_wrong_share(scores: np.ndarray, right: np.ndarray, hit_rate: float) -> float:
    """The share of wrong hits where this share of the texts hits."""
    order = np.argsort(-scores, kind="stable")[: round(hit_rate * len(scores))]
    return float((~right[order]).mean())


def report_guards(texts: Sequence[str], rows: np.ndarray, right: np.ndarray) -> None:
    """Which share of each guard's refusals were wrong hits, and the right hits they cost."""
    asked = np.flatnonzero(rows >= 0)
    refused = check_guards([texts[at] for at in asked], [texts[rows[at]] for at in asked])
    ok = right[asked]
    print(f"  base rate of wrong hits {1 - ok.mean():.3f}")
    for name, column in zip(GUARD_NAMES, refused.T, strict=True):
        if column.any():
            print(
                f"  {name:10s} refuses {column.sum():5d}, wrong of them "
                f"{(~ok[column]).mean():.3f}, right hits lost {(ok & column).sum() / ok.sum():.4f}"
            )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    texts, groups = read_groups(arguments.data, arguments.seed)
    started = time.perf_counter()
    reduced = make_normalizer(NormalizeSettings(STEPS)).reduce(texts)
    print(f"reduced {len(texts):,} texts in {time.perf_counter() - started:.1f} s")
    static, lexical = load_embedder("static"), load_embedder("lexical")
    pipelines = {
        "raw, char TF-IDF": embed_tfidf(texts),
        "raw, lexical": lexical.encode(texts).vectors,
        "raw, static": static.encode(texts).vectors,
        "reduced, char TF-IDF": embed_tfidf(reduced),
        "reduced, lexical": lexical.encode(reduced).vectors,
        "reduced, static": static.encode(reduced).vectors,
    }
    for stream in (False, True):
        print("stream of earlier texts" if stream else "leave-one-out", end="")
        print(": hit rate at 2 %, at 5 % wrong-of-hits (of raw char TF-IDF), wrong at 50 % hits")
        baseline: list[float] = []
        for name, vectors in pipelines.items():
            scores = compare_all(vectors, stream=stream)
            for guarded in (False, True):
                best, rows = find_hits(scores, texts, guarded=guarded)
                right = (rows >= 0) & (groups[rows] == groups)
                rates = [find_hit_rate(best, right, bound) for bound in BOUNDS]
                baseline = baseline or rates
                ratios = [
                    f"{rate / base:.2f}x" if base else "base is 0"
                    for rate, base in zip(rates, baseline, strict=True)
                ]
                print(
                    f"  {name + (' + guards' if guarded else ''):32s}"
                    f" {rates[0]:.4f} {rates[1]:.4f}  {' '.join(ratios):20s}"
                    f" {find_wrong_share(best, right, 0.5):.4f}",
                    flush=True,
                )
                if name == "raw, static" and not guarded:
                    report_guards(texts, rows, right)


if __name__ == "__main__":
    main()
