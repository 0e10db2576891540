"""Whether `cache tune` keeps its word: 100 random splits by group, half to tune, half to test.

    python benchmarks/cache_tune.py [--splits 100] [--commands 2] [--data ../shared/data/semcache]
        [--embedder static]

Limit: at 2 % and at 5 %, at 95 % confidence, the wrong-of-hits *measured* on the other half is
above the bound in at most 5 % of the splits and three standard errors (11.5 of 100). The other
half is as noisy as the first, and that counts against us. A split for which no threshold holds
is no break; how many there are is printed, and the hit rate counts them as 0. "oracle" is the hit
rate of the best threshold that the test half itself would have allowed. `--commands` splits of
each go through the command line as well, whose report must be the function's.
"""

import argparse
import gzip
import json
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from measure import frugalctl, report, run

from frugalctl.embed import load_embedder
from frugalctl.levers.normalize import make_normalizer
from frugalctl.levers.semantic_cache.calibrate import Risk, search_threshold
from frugalctl.levers.semantic_cache.evaluate import trace_curve
from frugalctl.levers.semantic_cache.labels import Groups, Pairs
from frugalctl.levers.semantic_cache.ranking import Matching
from frugalctl.levers.semantic_cache.scorer import CosineScorer
from frugalctl.levers.semantic_cache.trials import try_labels
from frugalctl.levers.semantic_cache.tune import (
    cluster_labels,
    draw_clusters,
    take_labels,
    train_on,
)

BOUNDS = (0.02, 0.05)
EXERCISED = (0.15, 0.25)
CONFIDENCE = 0.95
TRAIN_SHARE = 1 / 3


def read_lines(path):
    """The records of a compressed file."""
    with gzip.open(path, "rt") as file:
        return [json.loads(line) for line in file]


def read_qqp(folder):
    """Question pairs."""
    rows = read_lines(folder / "qqp_pairs.jsonl.gz")
    same = np.array([row["same"] == 1 for row in rows])
    return Pairs([row["a"] for row in rows], [row["b"] for row in rows], same)


def read_clinc(folder):
    """Utterances by intent; those out of scope belong to no group."""
    rows = read_lines(folder / "clinc.jsonl.gz")
    numbers = {"oos": -1}
    groups = [numbers.setdefault(row["intent"], len(numbers) - 1) for row in rows]
    return Groups([row["text"] for row in rows], np.array(groups, dtype=np.int64))


def split_trials(trials, splits):
    """Halves of trials that do not depend on each other: pairs."""
    for seed in range(splits):
        half = draw_clusters(trials.clusters, 0.5, np.random.default_rng(seed))
        yield trials.take(half), trials.take(~half)


def split_labels(labels, matching, splits):
    """Halves of texts, each put to those of its own half only."""
    clusters = cluster_labels(labels)
    for seed in range(splits):
        half = draw_clusters(clusters, 0.5, np.random.default_rng(seed))
        yield tuple(try_labels(take_labels(labels, one), matching) for one in (half, ~half))


def judge(halves, bounds):
    """For each bound: splits broken, splits without a threshold, hit rates, and the oracle's."""
    found = {bound: ([], [], []) for bound in bounds}
    for calibration, test in halves:
        curve = trace_curve(test)
        for bound, (broken, rates, oracles) in found.items():
            threshold = search(calibration, bound)
            best = curve.find_level(bound)
            oracles.append(0.0 if best is None else curve.points([best])[0].hit_rate)
            if threshold is None:
                broken.append(None)
                rates.append(0.0)
                continue
            point = curve.points([threshold])[0]
            broken.append((point.wrong_of_hits or 0.0) > bound)
            rates.append(point.hit_rate)
    return found


def search(trials, bound):
    """The threshold that `cache tune` would take; None if none holds."""
    wrong = 1.0 - trials.right
    risk = Risk(bound, CONFIDENCE)
    return search_threshold(trials.served_score, wrong, trials.clusters, risk).threshold


def show(name, found, splits):
    """Print the figures of one data set."""
    allowed = 1 - CONFIDENCE + 3 * math.sqrt(CONFIDENCE * (1 - CONFIDENCE) / splits)
    rows = []
    for bound, (broken, rates, oracles) in found.items():
        share = sum(one is True for one in broken) / splits
        verdict = "ok" if share <= allowed else "BROKEN"
        rows.append((f"{bound:.0%}: broken", f"{share:.1%}", f"limit {allowed:.1%}, {verdict}"))
        none = sum(one is None for one in broken)
        rows.append(("  no threshold holds", f"{none}", f"of {splits} splits"))
        rows.append(("  hit rate", f"{np.mean(rates):.2%}", f"oracle {np.mean(oracles):.2%}"))
    report(name, rows)


def check_command(labels, matching, embedder, seeds):
    """The command line must find the function's threshold."""
    clusters = cluster_labels(labels)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            half = take_labels(labels, draw_clusters(clusters, 0.5, np.random.default_rng(seed)))
            path, recipe = Path(folder) / "half.jsonl", Path(folder) / "cache.toml"
            names = [None if group < 0 else int(group) for group in half.groups]
            rows = zip(half.texts, names, strict=True)
            lines = (json.dumps({"text": text, "group": name}) + "\n" for text, name in rows)
            path.write_text("".join(lines))
            expected = search(try_labels(half, matching), BOUNDS[1])
            options = ("--held-out", "0", "--embedder", embedder, "-o", str(recipe))
            took = run(
                frugalctl("cache", "tune", str(path), "--max-wrong-hits", str(BOUNDS[1]), *options)
            )
            written = f"threshold = {expected!r}\n" in recipe.read_text()
            report(
                f"The command line on CLINC, split {seed}",
                [
                    ("the function's threshold", "yes" if written else "NO", f"{expected:g}"),
                    ("seconds", f"{took.seconds:.1f}", f"{took.megabytes:.0f} MB"),
                ],
            )


def main():
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--splits", type=int, default=100)
    parser.add_argument("--commands", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/semcache"))
    parser.add_argument("--embedder", default="static")
    options = parser.parse_args()
    if not options.data.is_dir():
        raise SystemExit(f"{options.data} is absent: nothing to measure")
    matching = Matching(load_embedder(options.embedder), make_normalizer(), CosineScorer())
    start = time.perf_counter()
    pairs = read_qqp(options.data)
    halves = split_trials(try_labels(pairs, matching), options.splits)
    show("QQP pairs, cosine", judge(halves, BOUNDS), options.splits)
    trained = draw_clusters(cluster_labels(pairs), TRAIN_SHARE, np.random.default_rng(0))
    scorer = train_on(take_labels(pairs, trained), matching, 0)
    learned = try_labels(take_labels(pairs, ~trained), replace(matching, scorer=scorer))
    found = judge(split_trials(learned, options.splits), (*BOUNDS, *EXERCISED))
    show("QQP pairs, scorer learned on another third", found, options.splits)
    groups = read_clinc(options.data)
    show(
        "CLINC, groups are intents",
        judge(split_labels(groups, matching, options.splits), BOUNDS),
        options.splits,
    )
    check_command(groups, matching, options.embedder, options.commands)
    print(f"\n{time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main()
