"""The search for the front of cascades: speed, memory, and the published procedure.

    python benchmarks/cascade_front.py [--log ../shared/data/cascade/mmlu.test.jsonl.gz]
        [--budgets 5] [--rows 1000000] [--models 5]

The published procedure is FrugalGPT's (Chen, Zaharia, Zou 2023), written here from the paper: for
one budget and one order of models, the thresholds that have the most quality within the budget,
by `scipy.optimize.brute` over a grid of 40 quantiles a threshold, tried for all orders of up to
three models. It finds one policy a budget, ours all of them at once. A few budgets are run; each
is a run of its own, so a set with a policy for every step of our front in cost and quality takes
that many times as long, which is the ratio that is held against the limit. The ratio for a single
budget stands beside it.

Limits: all models of the log to depth 3 with 64 bins under 1 s; the generated rows under 20 s and
4 GB; the published procedure at least 1,000 times slower for the set, at no better quality on the
rows searched.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from itertools import permutations
from pathlib import Path

import numpy as np
from measure import report
from scipy.optimize import brute

from frugalctl.levers.cascade.front import Front, choose_by_budget
from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.search import search_front
from frugalctl.levers.cascade.table import OutcomeTable
from frugalctl.replay.outcomes import OutcomeOptions, read_outcomes

QUANTILES = 40


def read_table(path: Path) -> OutcomeTable:
    """Every model's figures, as the log has them."""
    return read_outcomes([str(path)], OutcomeOptions(prices="log"))


def generate_table(rows: int, models: int) -> OutcomeTable:
    """Dearer models are right more often, surer of it, and slower."""
    draw = np.random.default_rng(0)
    shape = (rows, models)
    skill = np.linspace(0.2, 2.0, models)
    confidence = skill - draw.normal(size=(rows, 1)) + 0.5 * draw.normal(size=shape)
    right = draw.random(shape) < 1 / (1 + np.exp(-2 * confidence))
    tokens = draw.lognormal(5, 1, size=(rows, 1))
    figures = {
        "quality": right.astype(np.float64),
        "cost_usd": tokens * np.geomspace(1e-7, 1e-5, models),
        "latency_ms": draw.lognormal(0, 0.5, size=shape) * np.linspace(200, 900, models),
        "confidence": confidence,
    }
    names = tuple(f"model-{model}" for model in range(models))
    return OutcomeTable(
        models=names,
        present=np.ones(shape, dtype=np.bool_),
        clusters=np.arange(rows),
        time_us=np.zeros(rows, dtype=np.int64),
        ids=(None,) * rows,
        tasks=(None,) * rows,
        **figures,
    )


def search_generated(rows: int, models: int) -> None:
    """What the measured process does: search, and print seconds, megabytes and policies."""
    table = generate_table(rows, models)
    start = time.perf_counter()
    front = search_front(table)
    seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {"seconds": seconds, "megabytes": megabytes, "policies": front.searched}
    print(json.dumps(found | {"members": len(front)}))


def best_by_brute(table: OutcomeTable, order: tuple[int, ...], budget_usd: float) -> float:
    """The most mean quality of one order within a budget, over the grid; -inf if none."""
    scores = [np.nan_to_num(table.confidence[:, model], nan=-np.inf) for model in order[:-1]]
    cost, quality = table.cost_usd[:, order].T, table.quality[:, order].T
    levels = np.linspace(0, 1, QUANTILES)
    grids = [np.quantile(column[np.isfinite(column)], levels) for column in scores]

    def lost(at: np.ndarray) -> float:
        answered, spent = quality[-1], cost[-1]
        for step in range(len(order) - 2, -1, -1):
            stands = scores[step] >= grids[step][int(at[step])]
            answered = np.where(stands, quality[step], answered)
            spent = cost[step] + np.where(stands, 0.0, spent)
        return -float(answered.mean()) if spent.mean() <= budget_usd else np.inf

    if len(order) == 1:
        return -lost(np.empty(0))
    ranges = tuple(slice(0, QUANTILES, 1) for _ in grids)
    _, least, _, _ = brute(lost, ranges, full_output=True, finish=None)
    return -float(least)


def published_set(table: OutcomeTable, budgets: np.ndarray) -> tuple[list[float], float]:
    """The best quality for each budget over all orders, and the seconds it takes."""
    models = range(len(table.models))
    orders = [order for calls in (1, 2, 3) for order in permutations(models, calls)]
    start = time.perf_counter()
    best = [max(best_by_brute(table, order, budget) for order in orders) for budget in budgets]
    return best, time.perf_counter() - start


def timed_search(
    table: OutcomeTable, rounds: int, judges: Judges | None = None, **options: int
) -> tuple[Front, float]:
    """The front, and the median of the seconds."""
    seconds: list[float] = []
    for _ in range(rounds):
        start = time.perf_counter()
        front = search_front(table, judges, **options)
        seconds.append(time.perf_counter() - start)
    return front, statistics.median(seconds)


def main() -> None:
    """Measure in turns, print figures beside their limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path("../shared/data/cascade/mmlu.test.jsonl.gz")
    parser.add_argument("--log", type=Path, default=default)
    parser.add_argument("--budgets", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=5)
    parser.add_argument("--generated-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.generated_only:
        search_generated(arguments.rows, arguments.models)
        return
    measure_log(arguments.log, arguments.budgets)
    measure_generated(arguments.rows, arguments.models)


def measure_log(path: Path, count: int) -> None:
    """Ours to depth 3 and 4, and the published procedure for some budgets."""
    whole = read_table(path)
    table = whole.take(np.flatnonzero(whole.complete))
    search_front(table)
    front, seconds = timed_search(table, 7)
    deep, deep_seconds = timed_search(table, 1, depth=4)
    routes = np.random.default_rng(0).normal(size=table.quality.shape)
    judges = Judges(table.confidence, routes, router="generated")
    routed, routed_seconds = timed_search(table, 3, judges)
    means = table.cost_usd.mean(axis=0)
    budgets = np.geomspace(means.min(), means.max(), count + 2)[1:-1]
    published, brute_seconds = published_set(table, budgets)
    ours = [float(front.quality[choose_by_budget(front, budget)]) for budget in budgets]
    best_so_far = np.maximum.accumulate(front.quality)
    steps = 1 + int(np.count_nonzero(np.diff(best_so_far)))
    name = f"{len(table.models)} models, {len(table):,} rows of {path.name}"
    report(
        f"search over {name}",
        [
            ("depth 3, 64 bins, median of 7", f"{seconds:.3f} s", "limit 1 s"),
            ("  policies looked at", f"{front.searched:,}", ""),
            ("  members of the front", f"{len(front):,}", ""),
            ("with generated routes, median of 3", f"{routed_seconds:.3f} s", ""),
            ("  policies looked at", f"{routed.searched:,}", ""),
            ("depth 4, 64 bins, one run", f"{deep_seconds:.1f} s", ""),
            ("  policies looked at or bounded", f"{deep.searched:,}", ""),
            ("  members of the front", f"{len(deep):,}", ""),
            (f"published procedure, {count} budgets", f"{brute_seconds:.1f} s", ""),
            ("  times ours, for one budget", f"{brute_seconds / count / seconds:,.0f}", ""),
            ("  times ours, for those budgets", f"{brute_seconds / seconds:,.0f}", ""),
            (
                f"  times ours, for {steps:,} policies (multiplied)",
                f"{brute_seconds / count * steps / seconds:,.0f}",
                "at least 1,000",
            ),
            *(
                (
                    f"  quality within {budget * 1000:.4f} USD/1k: published, ours",
                    f"{theirs:.4f} {own:.4f}",
                    "no better" if theirs <= own else "BETTER",
                )
                for budget, theirs, own in zip(budgets, published, ours, strict=True)
            ),
        ],
    )


def measure_generated(rows: int, models: int) -> None:
    """Time and memory of a large search, in a process of its own."""
    command = [sys.executable, __file__, "--generated-only"]
    command += ["--rows", str(rows), "--models", str(models)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    report(
        f"search over {models} models, {rows:,} generated rows",
        [
            ("depth 3, 64 bins", f"{found['seconds']:.1f} s", "limit 20 s"),
            ("peak memory with the rows", f"{found['megabytes']:,.0f} MB", "limit 4,000 MB"),
            ("policies looked at", f"{found['policies']:,}", ""),
            ("members of the front", f"{found['members']:,}", ""),
        ],
    )


if __name__ == "__main__":
    main()
