"""What single models take, against a plain reference over the same rows."""

import json
import math
import random
import statistics

import pytest

from frugalctl.levers.cascade import CascadePolicy
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import ReplayOptions, replaying
from frugalctl.replay.singles import MOST_MODELS

NAMES = ("gpt-5.4-mini", "gpt-5.4", "claude-opus-5")


def make_rows(count=240):
    rng = random.Random(7)
    rows = []
    for at in range(count):
        outcomes = [
            {
                "model": name,
                "usage": {"input_tokens": rng.randint(100, 900), "output_tokens": 50},
                "quality": (
                    float(rng.random() < 0.3 + 0.2 * place) if rng.random() < 0.95 else None
                ),
                "latency_ms": rng.randint(100, 900) if rng.random() < 0.9 else None,
                "cost_usd": rng.randint(1, 999) / 10**6,
            }
            for place, name in enumerate(NAMES)
            if place == 0 or rng.random() < 0.95
        ]
        rows.append({"id": f"r{at}", "session": f"s{at // 4}", "outcomes": outcomes})
    rows += [{"id": "own", "model": NAMES[0], "usage": {"input_tokens": 9}, "quality": 0.0}]
    return rows


def replay_rows(tmp_path, rows, recipe=None):
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    options = ReplayOptions(recipe=recipe or Recipe(), baseline=NAMES[0], prices="log")
    with replaying([str(log)], options) as run:
        covered = [bool(one) for batch in run.batches for one in batch.covered]
        return run.finish(), covered


def known(rows, name, *keys):
    """The session and the first of the keys, of the answers where all of them are known."""
    for row in rows:
        for outcome in row.get("outcomes", ()):
            if outcome["model"] == name and None not in (outcome[key] for key in keys):
                yield row["session"], outcome[keys[0]]


def test_means_are_over_the_evaluated_rows_that_are_compared(tmp_path):
    rows = make_rows()
    policy = CascadePolicy(NAMES[:2], (0.5,))
    meta, covered = replay_rows(tmp_path, rows, Recipe(cascade=policy))
    assert not all(covered)
    compared = [row for row, one in zip(rows, covered, strict=True) if one]
    assert [single.model for single in meta.singles] == sorted(NAMES)
    for single in meta.singles:
        for *keys, count in (
            ("cost_usd", "quality", "n"),
            ("quality", "cost_usd", "n"),
            ("latency_ms", "latency_n"),
        ):
            values = [value for _, value in known(compared, single.model, *keys)]
            assert getattr(single, count) == len(values) < single.requests
            assert getattr(single, keys[0]) == pytest.approx(statistics.fmean(values))


def test_intervals_are_as_wide_as_sessions_differ(tmp_path):
    rows = make_rows()
    meta, _ = replay_rows(tmp_path, rows)
    (single,) = [one for one in meta.singles if one.model == NAMES[0]]
    pairs = list(known(rows, NAMES[0], "quality", "cost_usd"))
    mean = statistics.fmean(value for _, value in pairs)
    totals = {}
    for session, value in pairs:
        totals[session] = totals.get(session, 0.0) + value - mean
    half = 1.96 * math.sqrt(sum(total**2 for total in totals.values())) / len(pairs)
    low, high = single.quality_ci95
    assert high - low == pytest.approx(2 * half, rel=0.1)
    assert low == pytest.approx(mean - half, abs=0.1 * half)


def test_a_log_without_outcomes_has_none(tmp_path):
    meta, _ = replay_rows(tmp_path, make_rows(0))
    assert meta.singles == ()


def test_memory_is_bounded_by_the_number_of_models(tmp_path):
    rows = [
        {
            "id": f"r{at}",
            "outcomes": [
                {"model": NAMES[0], "usage": {"input_tokens": 9}},
                {"model": f"m{at}", "usage": {"input_tokens": 9}},
            ],
        }
        for at in range(2 * MOST_MODELS)
    ]
    meta, _ = replay_rows(tmp_path, rows)
    assert len(meta.singles) == MOST_MODELS
