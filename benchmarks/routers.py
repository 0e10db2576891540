"""Routers on questions that they were not fitted on, against random routing and the Zero router.

    python benchmarks/routers.py [--data ../shared/data/cascade] [--splits 40]

RouteLLM's GSM8K answers are cut in half at random, `--splits` times: fitted on one half, measured
on the other, where a strong call costs 1 and a weak one 0. The random router scores each question
by chance, so that its figures have the same noise and the same bias of a first crossing. Shown are
means over the splits and the interval of 95 % of them; halves overlap, so this is how much one
split says, not an error of the mean. A router is better than random only where the interval of the
paired difference, in the same splits, lies above 0.

The logs of several priced models show AIQ beside the Zero router's, in the same way. Last, how
long routing one question takes, which is what `ROUTE_MS` charges.
"""

import argparse
import os
import time
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from measure import report

from frugalctl.levers.cascade.baselines import zero_router
from frugalctl.levers.cascade.metrics import (
    average_quality,
    average_recovered_gap,
    call_share_for,
)
from frugalctl.levers.cascade.router import ROUTE_MS, ROUTERS, fit_router, lead, trace_router
from frugalctl.levers.cascade.splits import split_rows
from frugalctl.levers.cascade.table import OutcomeTable
from frugalctl.replay.outcomes import OutcomeOptions, read_outcomes

PRICED = ("routerbench_arc", "mmlu.test", "medmcqa.test")


def curve_of(scores: np.ndarray, weak: np.ndarray, strong: np.ndarray) -> tuple:
    """The share of strong calls and the mean quality, as the threshold falls.

    Args:
        scores: float64[n], how much the strong model is needed.
        weak: float64[n], quality of the weak model.
        strong: float64[n], of the strong one.
    """
    order = np.argsort(-scores, kind="stable")
    gained = np.cumsum((strong - weak)[order])
    ends = np.flatnonzero(np.diff(-scores[order], append=np.inf) > 0)
    return (ends + 1) / len(scores), (weak.sum() + gained[ends]) / len(scores)


def measure_gsm8k(table: OutcomeTable, splits: int) -> dict[str, np.ndarray]:
    """Router -> float64[splits, 3]: APGR, CPT(50), CPT(80) on the halves that it has not seen."""
    quality = table.quality.mean(axis=0)
    strong, weak = int(quality.argmax()), int(quality.argmin())
    found: dict[str, list[tuple[float, float, float]]] = {}
    for seed in range(splits):
        train, test = (table.take(rows) for rows in split_rows(table, seed))
        scores = {"random": np.random.default_rng(seed).random(len(test))}
        for kind in ROUTERS:
            predicted = fit_router(train, kind, seed=seed).router.predict(test.questions)
            scores[kind] = lead(predicted)[:, strong]
        low, high = test.quality[:, weak], test.quality[:, strong]
        for name, values in scores.items():
            share, mean = curve_of(values, low, high)
            ends = float(low.mean()), float(high.mean())
            found.setdefault(name, []).append(
                (
                    average_recovered_gap(share, mean, *ends),
                    call_share_for(share, mean, *ends, 0.5),
                    call_share_for(share, mean, *ends, 0.8),
                )
            )
    return {name: np.array(rows) for name, rows in found.items()}


def interval(values: np.ndarray, *, sign: bool = False) -> str:
    """The mean over the splits, and 95 % of them."""
    low, high = np.quantile(values, [0.025, 0.975])
    form = "+.3f" if sign else ".3f"
    return f"{values.mean():{form}} [{low:{form}}, {high:{form}}]"


def show_gsm8k(found: dict[str, np.ndarray]) -> list[tuple[str, str, str]]:
    """Rows of the report; a claim only where the paired interval makes it."""
    rows = []
    for name, figures in found.items():
        for at, metric in enumerate(("APGR", "CPT(50)", "CPT(80)")):
            beside = ""
            if name != "random":
                gain = figures[:, at] - found["random"][:, at]
                gain = gain if metric == "APGR" else -gain
                better = np.quantile(gain, 0.025) > 0
                beside = f"better by {interval(gain, sign=True)}: {'yes' if better else 'unproven'}"
            rows.append((f"{name} {metric}", interval(figures[:, at]), beside))
    return rows


def measure_priced(table: OutcomeTable, splits: int) -> list[tuple[str, str, str]]:
    """Rows of the report: AIQ of each router and of the Zero router, held out."""
    found: dict[str, list[float]] = {}
    for seed in range(splits):
        train, test = (table.take(rows) for rows in split_rows(table, seed))
        cost = test.cost_usd.mean(axis=0)
        low, high = float(cost.min()), float(cost.max())
        # the Zero router's corners are those of the half that it may see
        names = [one.models[0] for one in zero_router(train)]
        at = [test.models.index(name) for name in names]
        corners = cost[at], test.quality[:, at].mean(axis=0)
        found.setdefault("Zero router", []).append(average_quality(*corners, low, high))
        for kind in ROUTERS:
            predicted = fit_router(train, kind, seed=seed).router.predict(test.questions)
            curve = trace_router(predicted, test)
            aiq = average_quality(curve.cost_usd, curve.quality, low, high)
            found.setdefault(kind, []).append(aiq)
    zero = np.array(found["Zero router"])
    rows = []
    for name, figures in found.items():
        values = np.array(figures)
        gain = "" if name == "Zero router" else f"above it by {interval(values - zero, sign=True)}"
        rows.append((f"{name} AIQ", interval(values), gain))
    return rows


def time_routing(table: OutcomeTable) -> list[tuple[str, str, str]]:
    """Processor milliseconds a question, in batches as `replay` has them."""
    rows = []
    for kind in ROUTERS:
        router = fit_router(table, kind).router
        questions: Sequence[str] = table.questions * 4
        router.predict(questions[:64])
        seconds = []
        for _ in range(5):
            start = time.process_time()
            router.predict(questions)
            seconds.append(time.process_time() - start)
        each = 1000 * float(np.median(seconds)) / len(questions)
        rows.append((f"{kind}, ms a question", f"{each:.3f}", f"charged: {ROUTE_MS}"))
    return rows


def read(path: Path, prices: str) -> OutcomeTable:
    """The complete requests of a log."""
    table = read_outcomes([str(path)], OutcomeOptions(prices=prices, texts=True))
    known = table.present.all(axis=1) & ~np.isnan(table.quality).any(axis=1)
    return table.take(np.flatnonzero(known))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cascade"))
    parser.add_argument("--splits", type=int, default=40)
    arguments = parser.parse_args()
    table = read(arguments.data / "routellm_gsm8k.jsonl.gz", "log")
    rows = show_gsm8k(measure_gsm8k(table, arguments.splits))
    title = f"{arguments.splits} random halves of {len(table):,} questions"
    report(f"routellm_gsm8k, {title}", rows)
    report("time of routing", time_routing(table))
    for name in PRICED:
        table = read(arguments.data / f"{name}.jsonl.gz", "log")
        title = f"{arguments.splits} random halves of {len(table):,} questions"
        report(f"{name}, {title}", measure_priced(table, arguments.splits))


if __name__ == "__main__":
    main()
