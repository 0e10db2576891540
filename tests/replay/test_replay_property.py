from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from replay_cases import MODELS, known, logs, prices, read_batches, recipes, write_jsonl

from frugalctl.errors import UsageError
from frugalctl.levers.cascade import CascadePolicy
from frugalctl.log.times import UNKNOWN_US
from frugalctl.prices import TOKEN_CLASSES, Calls, load_book, price_calls
from frugalctl.replay.answers import collect_answers
from frugalctl.replay.engine import OBSERVED, Setup, choose_baseline, replay, replay_batch
from frugalctl.replay.recipe import Recipe

FEW = settings(max_examples=80, deadline=None)


@dataclass
class Taken:
    """What one way of answering one request took; None is unknown."""

    model: str
    tokens: dict
    cost_usd: float | None
    latency_ms: float | None
    quality: float | None
    calls: list


def replay_one(batch, setup):
    answers = collect_answers(batch, setup.book, setup.prices, setup.as_of_us)
    return replay_batch(batch, answers, setup)


def disjoint(usage):
    parts = [usage["cache_read_tokens"], usage["cache_write_tokens"]]
    parts.append(usage["cache_write_1h_tokens"])
    reasoning = usage["reasoning_tokens"]
    fresh, output = usage["input_tokens"] - sum(parts), usage["output_tokens"] - reasoning
    return dict(zip(TOKEN_CLASSES, (fresh, *parts, output, reasoning), strict=True))


def price_one(row, answer, source):
    if source == "log" and answer["cost_usd"] is not None:
        return answer["cost_usd"]
    moment = row["timestamp"]
    calls = Calls(
        model=pa.array([answer["model"]]),
        provider=None,
        service_tier=None,
        region=None,
        timestamp_us=np.array([UNKNOWN_US if moment is None else moment * 1_000_000]),
        tokens={key: np.array([count]) for key, count in disjoint(answer["usage"]).items()},
    )
    return known(float(price_calls(load_book(), calls).total_usd[0]))


def total(values):
    return None if None in values else sum(values)


def take(row, answers, source):
    costs = [price_one(row, answer, source) for answer in answers]
    counts = [disjoint(answer["usage"]) for answer in answers]
    return Taken(
        model=answers[-1]["model"],
        tokens={key: sum(count[key] for count in counts) for key in TOKEN_CLASSES},
        cost_usd=total(costs),
        latency_ms=total([answer["latency_ms"] for answer in answers]),
        quality=answers[-1]["quality"],
        calls=list(zip([answer["model"] for answer in answers], costs, strict=True)),
    )


def find_answers(row):
    """The answers by model: an outcome comes before the observed one."""
    found = {row["model"]: row} if "model" in row else {}
    return found | {item["model"]: item for item in row.get("outcomes", ())}


def run_policy(row, policy, source):
    """What the policy takes for one request; None where the log lacks an outcome."""
    answers, called = find_answers(row), []
    for step, model in enumerate(policy.models):
        if model not in answers:
            return None
        called.append(answers[model])
        score = answers[model]["confidence"]
        last = step == len(policy.models) - 1
        if last or (score is not None and score >= policy.thresholds[step]):
            return take(row, called, source)
    raise AssertionError


def close(value):
    return value if value is None else pytest.approx(value, rel=1e-12, abs=1e-15)


def check_side(side, at, expected):
    assert side.model[at].as_py() == expected.model
    assert {key: int(side.tokens[key][at]) for key in TOKEN_CLASSES} == expected.tokens
    assert known(side.cost_usd[at]) == close(expected.cost_usd)
    assert known(side.latency_ms[at]) == close(expected.latency_ms)
    assert known(side.quality[at]) == expected.quality


def check_row(ledger, at, baseline, recipe):
    assert ledger.covered[at] == (baseline is not None and recipe is not None)
    if not ledger.covered[at]:
        assert ledger.unpriced[at].as_py() is None
        return
    check_side(ledger.baseline, at, baseline)
    check_side(ledger.recipe, at, recipe)
    mine = np.flatnonzero(ledger.calls.row == at)
    found = [(ledger.calls.model[int(i)].as_py(), known(ledger.calls.cost_usd[i])) for i in mine]
    assert found == [(model, close(cost)) for model, cost in recipe.calls]
    lacking = [model for model, cost in baseline.calls + recipe.calls if cost is None]
    assert ledger.unpriced[at].as_py() == (lacking[0] if lacking else None)


@FEW
@given(logs, recipes(), prices)
def test_a_cascade_equals_a_loop_over_rows(tmp_path_factory, rows, recipe, source):
    path = write_jsonl(tmp_path_factory.mktemp("log") / "log.jsonl", rows)
    setup = Setup(load_book(), recipe, baseline=MODELS[2], prefer_observed=False, prices=source)
    (batch,) = read_batches(path)
    ledger = replay_one(batch, setup)
    for at, row in enumerate(rows):
        compared = find_answers(row).get(MODELS[2])
        baseline = None if compared is None else take(row, [compared], source)
        check_row(ledger, at, baseline, run_policy(row, recipe.cascade, source))


@FEW
@given(logs, prices)
def test_without_a_lever_the_recipe_is_the_baseline(tmp_path_factory, rows, source):
    path = write_jsonl(tmp_path_factory.mktemp("log") / "log.jsonl", rows)
    (batch,) = read_batches(path)
    ledger = replay_one(batch, Setup(load_book(), Recipe(), OBSERVED, prices=source))
    assert ledger.recipe is ledger.baseline
    for at, row in enumerate(rows):
        observed = take(row, [row], source) if "model" in row else None
        check_row(ledger, at, observed, observed)


@FEW
@given(logs)
def test_an_observed_answer_comes_before_the_baseline_where_it_is_preferred(tmp_path_factory, rows):
    path = write_jsonl(tmp_path_factory.mktemp("log") / "log.jsonl", rows)
    (batch,) = read_batches(path)
    setup = Setup(load_book(), Recipe(), MODELS[0])
    found = replay_one(batch, setup).baseline.model.to_pylist()
    named = replay_one(batch, replace(setup, prefer_observed=False))
    for at, row in enumerate(rows):
        if "model" in row:
            assert found[at] == row["model"]
        elif named.covered[at]:
            assert found[at] == MODELS[0]


def answered(model, quality):
    usage = {"input_tokens": 1}
    return {"model": model, "usage": usage, "quality": quality}


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([[("b", 1.0), ("a", 0.5)]] * 3, "b"),
        ([[("b", 0.5), ("a", 0.5)]] * 3, "a"),
        ([[("b", None), ("a", 0.1)]] * 3, "a"),
        ([[("rare", 1.0), ("a", 0.1)], *[[("a", 0.1)]] * 19], "a"),
        ([[("rare", 1.0), ("a", 0.1)], *[[("rare", 1.0), ("a", 0.1)]] * 18, [("a", 0.1)]], "rare"),
    ],
)
def test_the_default_baseline_is_the_best_single_model(tmp_path, rows, best):
    lines = [{"outcomes": [answered(*item) for item in row]} for row in rows]
    assert choose_baseline(read_batches(write_jsonl(tmp_path / "log.jsonl", lines))) == best


@pytest.mark.parametrize(
    ("baseline", "models", "hint"),
    [
        ("b", ("a", "gpt-4o-mni"), "did you mean gpt-4o-mini?"),
        ("zzz", ("a", "b"), "it has a, b, gpt-4o-mini"),
    ],
)
def test_a_model_that_answered_nothing_is_refused(tmp_path, baseline, models, hint):
    rows = [{"outcomes": [answered(name, 1.0)]} for name in ("a", "b", "gpt-4o-mini")]
    batches = read_batches(write_jsonl(tmp_path / "log.jsonl", rows))
    recipe = Recipe("policy", CascadePolicy(models, (0.5,)))
    with pytest.raises(UsageError, match="the log has no answer of") as caught:
        list(replay(batches, Setup(load_book(), recipe, baseline)))
    assert caught.value.hint == hint
