"""What the guards of the semantic cache refuse of labelled question pairs, and how fast.

At each threshold of the cosine: of the pairs that would be hits, how many each guard refuses,
how many of those were wrong hits (against the base rate), and the right hits that it costs.

python benchmarks/guards.py [--data ../shared/data/semcache/qqp_pairs.jsonl.gz]
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import numpy as np

from frugalctl.embed import load_embedder
from frugalctl.levers.semantic_cache.guards import check_guards
from frugalctl.levers.semantic_cache.settings import GUARD_NAMES

DATA = Path(__file__).parents[2] / "shared/data/semcache/qqp_pairs.jsonl.gz"
THRESHOLDS = (0.8, 0.85, 0.9, 0.95)
PAIRS_PER_S = 10_000


def measure_speed(a: list[str], b: list[str]) -> tuple[float, float]:
    """Pairs a second, of texts that were never read before and of those that were."""
    check_guards(["one"], ["two"])  # loads the word lists
    speeds: list[float] = []
    for _ in range(2):
        started = time.process_time()
        check_guards(a, b)
        speeds.append(len(a) / (time.process_time() - started))
    return speeds[0], speeds[1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--embedder", default="static")
    arguments = parser.parse_args()
    with gzip.open(arguments.data, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    a, b = [row["a"] for row in rows], [row["b"] for row in rows]
    same = np.array([row["same"] for row in rows], dtype=bool)
    first, again = measure_speed(a[:5_000], b[:5_000])
    print(f"all guards: {first:,.0f} new pairs/s, {again:,.0f} known pairs/s (bar {PAIRS_PER_S:,})")
    embedder = load_embedder(arguments.embedder)
    cosines = np.einsum("ij,ij->i", embedder.encode(a).vectors, embedder.encode(b).vectors)
    refused = check_guards(a, b)
    for threshold in THRESHOLDS:
        hit = cosines >= threshold
        left = hit & ~refused.any(axis=1)
        print(
            f"cosine >= {threshold}: {hit.sum():,} hits, wrong {(~same[hit]).mean():.3f}; with all "
            f"guards {left.sum():,}, wrong {(~same[left]).mean():.3f}, right hits kept "
            f"{(left & same).sum() / (hit & same).sum():.3f}"
        )
        for name, column in zip(GUARD_NAMES, (refused & hit[:, None]).T, strict=True):
            if column.any():
                print(
                    f"  {name:10s} refuses {column.sum():5d}, wrong of them "
                    f"{(~same[column]).mean():.3f}, right hits lost "
                    f"{(column & same).sum() / (hit & same).sum():.4f}"
                )


if __name__ == "__main__":
    main()
