"""Whether certificates hold on rows that nobody saw, and what in-sample choices are worth there.

    python benchmarks/certificate.py [--data ../shared/data/cascade] [--splits 200]

A log is cut in half at random, `--splits` times. On one half a policy is chosen, with a
certificate (loss 0.02, confidence 0.9) and without (the cheapest on the front within the loss of
the best single model); on the other half its loss is measured. That half is a sample itself: a
policy whose loss is well below 0.02 exceeds it there now and then by chance. So beside the count
on the other half stands the count by the whole log, of which the other half is a part: the nearest
to a true loss that the data have. Splits without a certificate count with a saving of 0.

Limits: the loss on the other half exceeds 0.02 in at most 10 % + 3 standard errors of the splits;
on mmlu the mean saving is at least 20 %.
"""

import argparse
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import report

from frugalctl.errors import UsageError
from frugalctl.levers.cascade.baselines import best_single
from frugalctl.levers.cascade.front import choose_cheapest_within, evaluate
from frugalctl.levers.cascade.heldout import compare
from frugalctl.levers.cascade.policy import CascadePolicy
from frugalctl.levers.cascade.search import search_front
from frugalctl.levers.cascade.splits import split_rows
from frugalctl.levers.cascade.table import OutcomeTable
from frugalctl.replay.goal import Goal
from frugalctl.replay.learn import LearnOptions
from frugalctl.replay.optimize import OptimizeOptions, choose
from frugalctl.replay.outcomes import OutcomeOptions, read_outcomes

MAX_LOSS, CONFIDENCE = 0.02, 0.9
CERTIFIED = ("mmlu.test", "medmcqa.test")
TABLED = ("mmlu.test", "medmcqa.test", "gsm8k.train", "routerbench_arc", "omnisbench_2026-08-19")


@dataclass(frozen=True)
class Outcome:
    """What one choice is worth on the other half, and by the whole log."""

    saving: float
    loss: float
    whole_loss: float
    granted: bool


def judge(
    whole: OutcomeTable, half: OutcomeTable, policy: CascadePolicy, reference: str, granted: bool
) -> Outcome:
    """Saving and loss against the reference on a half, and the loss on the whole log."""
    single = CascadePolicy((reference,), ())
    found, base = evaluate(half, policy), evaluate(half, single)
    saving = 1 - found.cost_usd.mean() / base.cost_usd.mean()
    loss = base.quality.mean() - found.quality.mean()
    all_rows = evaluate(whole, single).quality.mean() - evaluate(whole, policy).quality.mean()
    return Outcome(float(saving), float(loss), float(all_rows), granted)


def choose_plainly(train: OutcomeTable, reference: str) -> CascadePolicy:
    """The cheapest policy that loses at most the bound on the rows searched."""
    front = search_front(train)
    least = train.quality[:, train.models.index(reference)].mean() - MAX_LOSS
    return front.policies[choose_cheapest_within(front, float(least))]


def run_splits(table: OutcomeTable, splits: int) -> tuple[list[Outcome], list[Outcome]]:
    """Certified and plain choices on random halves."""
    goal = Goal(max_quality_loss=MAX_LOSS, confidence=CONFIDENCE)
    certified, plain = [], []
    for seed in range(splits):
        one, other = split_rows(table, 1000 + seed)
        train, test = table.take(one), table.take(other)
        options = OptimizeOptions(goal, LearnOptions(score="confidence"), seed=seed)
        choice = choose(train, options)
        granted = choice.chosen.certificate.granted
        certified.append(judge(table, test, choice.policy, choice.reference, granted))
        reference = best_single(train)
        plain.append(judge(table, test, choose_plainly(train, reference), reference, True))
    return certified, plain


def show_splits(name: str, kind: str, outcomes: list[Outcome]) -> list[tuple[str, str, str]]:
    """Rows of the report."""
    count = len(outcomes)
    limit = 0.1 + 3 * math.sqrt(0.1 * 0.9 / count)
    broken = np.mean([one.loss > MAX_LOSS for one in outcomes])
    by_log = np.mean([one.whole_loss > MAX_LOSS for one in outcomes])
    savings = np.array([one.saving for one in outcomes])
    error = savings.std() / math.sqrt(count)
    held = kind == "certified"
    return [
        (f"{kind}: granted", f"{np.mean([one.granted for one in outcomes]):.1%}", ""),
        ("  loss above 0.02, other half", f"{broken:.1%}", f"limit {limit:.1%}" if held else ""),
        ("  loss above 0.02, whole log", f"{by_log:.1%}", ""),
        (
            "  mean saving on the other half",
            f"{savings.mean():.1%} +- {error:.1%}",
            "at least 20 %" if held and name.startswith("mmlu") else "",
        ),
    ]


def tabulate(table: OutcomeTable) -> list[tuple[str, str, str]]:
    """Parity with the best single model, chosen on a half and measured on both."""
    one, other = split_rows(table, 0)
    train, test = table.take(one), table.take(other)
    reference = best_single(train)
    front = search_front(train)
    best = train.quality[:, train.models.index(reference)].mean()
    try:
        policy = front.policies[choose_cheapest_within(front, float(best))]
    except UsageError:
        policy = CascadePolicy((reference,), ())
    single = CascadePolicy((reference,), ())
    rows = []
    for side, part in (("in sample", train), ("held out", test)):
        found = compare(evaluate(part, policy), evaluate(part, single), part.clusters)
        low, high = found.delta_quality_ci95
        factor = found.latency_ms / found.reference_latency_ms
        rows.append(
            (
                f"{side}, {found.rows} rows",
                f"saves {found.saving:.1%}, quality {100 * found.delta_quality:+.2f} "
                f"[{100 * low:+.2f}, {100 * high:+.2f}] points",
                "latency unknown" if math.isnan(factor) else f"latency x{factor:.2f}",
            )
        )
    return [("policy", " > ".join(policy.models), f"against {reference}"), *rows]


def show_cheapest(table: OutcomeTable) -> list[tuple[str, str, str]]:
    """The single models by cost, with their latency: cheap is not always fast."""
    by_cost = np.argsort(table.cost_usd.mean(axis=0))
    return [
        (
            f"  {table.models[at]}",
            f"{1000 * table.cost_usd[:, at].mean():.3f} USD/1k",
            f"{table.latency_ms[:, at].mean():,.0f} ms",
        )
        for at in (by_cost[0], by_cost[-1])
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cascade"))
    parser.add_argument("--splits", type=int, default=200)
    arguments = parser.parse_args()
    tables = {}
    for name in TABLED:
        path = str(arguments.data / f"{name}.jsonl.gz")
        table = read_outcomes([path], OutcomeOptions(prices="log"))
        tables[name] = table.take(np.flatnonzero(table.complete))
    for name in CERTIFIED:
        certified, plain = run_splits(tables[name], arguments.splits)
        rows = show_splits(name, "certified", certified) + show_splits(name, "plain", plain)
        report(f"{name}: {arguments.splits} random halves, loss 0.02, confidence 0.9", rows)
    for name, table in tables.items():
        report(f"{name}: parity with the best single model", tabulate(table) + show_cheapest(table))


if __name__ == "__main__":
    main()
