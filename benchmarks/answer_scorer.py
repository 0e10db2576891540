"""The learned scorer against the logged confidence, on answers that it was not fitted on.

    python benchmarks/answer_scorer.py [--data ../shared/data/cascade] [--splits 10]

A log is cut in half at random, `--splits` times. On one half a scorer is fitted, which decides for
each model by its own cross-validation whether it replaces the logged confidence. Three figures, the
AUROC of right against wrong answers, means over the splits with the interval of 95 % of them: the
confidence on the other half; the learned score on the parts of the first half that it was not
fitted on, by which it is taken or not; and on the other half whichever is used. Then what the
cascade of the most saving at the best single model's quality saves with either score, on the other
half. Last how long scoring an answer takes, which is what `SCORE_MS` charges.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from measure import report

from frugalctl.levers.cascade.baselines import best_single
from frugalctl.levers.cascade.calibrate import auroc
from frugalctl.levers.cascade.front import choose_cheapest_within, evaluate
from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.policy import CascadePolicy
from frugalctl.levers.cascade.scorer import SCORE_MS, AnswerScorer, FittedScorer, fit_scorer
from frugalctl.levers.cascade.search import search_front
from frugalctl.levers.cascade.splits import split_rows
from frugalctl.levers.cascade.table import OutcomeTable
from frugalctl.replay.outcomes import OutcomeOptions, read_outcomes

LOGS = ("mmlu.test", "medmcqa.test", "gsm8k.train")


def interval(values: list[float], form: str = ".3f") -> str:
    """The mean over the splits, and 95 % of them."""
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{np.mean(values):{form}} [{low:{form}}, {high:{form}}]"


def save_at_parity(
    train: OutcomeTable, test: OutcomeTable, fitted: FittedScorer | None
) -> tuple[float, float]:
    """Saving and change of quality on the other half, of the cheapest as good on this one."""
    judges, other = Judges(train.confidence), Judges(test.confidence)
    if fitted is not None and fitted.pays:
        judges = Judges(fitted.scores, score="scorer.npz", score_ms=SCORE_MS)
        other = Judges(fitted.scorer.score_table(test), score="scorer.npz", score_ms=SCORE_MS)
    reference = best_single(train)
    front = search_front(train, judges=judges)
    best = train.quality[:, train.models.index(reference)].mean()
    policy = front.policies[choose_cheapest_within(front, float(best))]
    found, base = (evaluate(test, one, other) for one in (policy, CascadePolicy((reference,), ())))
    saving = 1 - found.cost_usd.mean() / base.cost_usd.mean()
    return float(saving), float(found.quality.mean() - base.quality.mean())


def compare(name: str, table: OutcomeTable, splits: int) -> None:
    """Print one log's tables."""
    raw: dict[str, list[float]] = {model: [] for model in table.models}
    validated: dict[str, list[float]] = {model: [] for model in table.models}
    held: dict[str, list[float]] = {model: [] for model in table.models}
    used: dict[str, list[bool]] = {model: [] for model in table.models}
    fronts: dict[str, list[tuple[float, float]]] = {"confidence": [], "learned where it wins": []}
    for seed in range(splits):
        train, test = (table.take(rows) for rows in split_rows(table, seed))
        fitted = fit_scorer(train, seed=seed)
        scores = fitted.scorer.score_table(test)
        for at, model in enumerate(table.models):
            right = test.quality[:, at]
            raw[model].append(auroc(test.confidence[:, at], right))
            validated[model].append(fitted.validation[at].auroc_learned)
            held[model].append(auroc(scores[:, at], right))
            used[model].append(fitted.scorer.predictors[at] is not None)
        fronts["confidence"].append(save_at_parity(train, test, None))
        fronts["learned where it wins"].append(save_at_parity(train, test, fitted))
    rows = [
        (
            model,
            f"confidence {interval(raw[model])}, learned {interval(validated[model])}, "
            f"in use {interval(held[model])}",
            f"learned taken in {np.mean(used[model]):.0%} of splits, "
            f"gain {np.mean(held[model]) - np.mean(raw[model]):+.3f}",
        )
        for model in table.models
    ]
    report(f"{name}: held-out AUROC, {splits} random halves of {len(table):,} rows", rows)
    report(
        f"{name}: cheapest policy as good as the best single model, on the other half",
        [
            (
                score,
                f"saves {interval([one for one, _ in found], '.1%')}",
                f"quality {interval([100 * one for _, one in found], '+.2f')} points",
            )
            for score, found in fronts.items()
        ],
    )


def time_scoring(table: OutcomeTable) -> list[tuple[str, str, str]]:
    """Processor milliseconds an answer, of answers that a learned predictor scores."""
    scorer: AnswerScorer = fit_scorer(table).scorer
    at = next(at for at, one in enumerate(scorer.predictors) if one is not None)
    texts = [text or "" for text in table.responses[at]]
    arguments = (table.models[at], table.questions, texts, table.confidence[:, at])
    scorer.score(*arguments)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        scorer.score(*arguments)
        seconds.append(time.process_time() - start)
    each = 1000 * float(np.median(seconds)) / len(table)
    return [(f"{table.models[at]}, ms an answer", f"{each:.3f}", f"charged: {SCORE_MS}")]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cascade"))
    parser.add_argument("--splits", type=int, default=10)
    arguments = parser.parse_args()
    for name in LOGS:
        path = str(arguments.data / f"{name}.jsonl.gz")
        table = read_outcomes([path], OutcomeOptions(prices="log", texts=True))
        table = table.take(np.flatnonzero(table.complete))
        compare(name, table, arguments.splits)
    report("time of scoring (gsm8k.train)", time_scoring(table))


if __name__ == "__main__":
    main()
