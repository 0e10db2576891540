import math
import random
import statistics
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_cases import META, ledger_rows, make_batch

from frugalctl.prices import TOKEN_CLASSES
from frugalctl.report.encode import encode_report, render_json
from frugalctl.report.groups import to_picos
from frugalctl.report.summary import summarise

FEW = settings(max_examples=80, deadline=None)


def picos(cost_usd):
    return round(cost_usd * 1e12)


def dollars(total_picos):
    return round(total_picos / 10**12, 12)


def add_up(costs):
    found = list(costs)
    return dollars(sum(map(picos, found))) if found else None


def mean(values):
    found = [value for value in values if value is not None]
    return statistics.fmean(found) if found else None


def close(value):
    return value if value is None else pytest.approx(value, rel=1e-9, abs=1e-9)


def summarise_rows(rows, levers=True, seed=0):
    return encode_report(summarise([make_batch(rows, levers=levers)], lambda: META, seed=seed))


def check_side(found, covered, priced, side):
    assert found["cost_usd"] == add_up(row[side]["cost_usd"] for row in priced)
    counted = [row[side]["tokens"] for row in covered if row[side]["tokens"]]
    for name in TOKEN_CLASSES:
        count = sum(tokens[name] for tokens in counted) if counted else None
        assert found["tokens"][name] == count
    latencies = [row[side]["latency_ms"] for row in covered]
    assert found["latency_ms"]["mean"] == close(mean(latencies))
    assert found["latency_ms"]["n"] == len([value for value in latencies if value is not None])
    qualities = [row[side]["quality"] for row in covered]
    assert found["quality"]["mean"] == close(mean(qualities))
    assert found["quality"]["n"] == len([value for value in qualities if value is not None])


def check_groups(found, key, name_of, rows):
    expected = {}
    for row in rows:
        expected.setdefault(name_of(row), []).append(row)
    expected.pop(None, None)
    assert [item[key] for item in found[f"{key}s"]] == sorted(expected)
    for item in found[f"{key}s"]:
        mine = [row for row in expected[item[key]] if row["covered"]]
        priced = [row for row in mine if row["unpriced"] is None]
        assert item["requests"] == len(expected[item[key]])
        assert item["uncovered"] == item["requests"] - len(mine)
        assert item["priced"] == len(priced)
        assert item["baseline_cost_usd"] == add_up(row["baseline"]["cost_usd"] for row in priced)
        assert item["cost_usd"] == add_up(row["recipe"]["cost_usd"] for row in priced)
        for side, prefix in (("baseline", "baseline_"), ("recipe", "")):
            qualities = [row[side]["quality"] for row in mine]
            quality = mean(qualities)
            assert item[f"{prefix}quality_n"] == len(mine) - qualities.count(None)
            latency_ms = mean(row[side]["latency_ms"] for row in mine)
            assert item[f"{prefix}quality"] == close(quality)
            assert item[f"{prefix}latency_ms_mean"] == close(latency_ms)


def day_of(row):
    if row["day"] is None:
        return None
    return (date(1970, 1, 1) + timedelta(days=row["day"])).isoformat()


def paired(rows, key):
    both = [(row["baseline"][key], row["recipe"][key]) for row in rows]
    return mean(new - old for old, new in both if old is not None and new is not None)


@FEW
@given(ledger_rows)
def test_a_summary_equals_a_plain_recomputation(rows):
    found = summarise_rows(rows)
    covered = [row for row in rows if row["covered"]]
    priced = [row for row in covered if row["unpriced"] is None]
    log = found["log"]
    assert log["requests"] == len(rows)
    assert log["sessions"] == len({row["session"] for row in rows} - {None})
    assert log["priced"] == len(priced)
    assert log["uncovered"] == len(rows) - len(covered)
    assert log["priced"] + sum(log["unpriced"].values()) + log["uncovered"] == log["requests"]
    assert log["estimated_usage"] == len([row for row in covered if row["estimated"]])
    assert log["undated"] == len([row for row in rows if row["day"] is None])
    check_side(found["baseline"], covered, priced, "baseline")
    check_side(found["recipe"], covered, priced, "recipe")
    assert found["delta"]["quality"] == close(paired(covered, "quality"))
    assert found["delta"]["latency_ms_mean"] == close(paired(covered, "latency_ms"))
    for key in ("task", "tenant"):
        check_groups(found, key, lambda row, key=key: row[key], rows)
    check_groups(found, "day", day_of, rows)


@FEW
@given(ledger_rows)
def test_models_and_token_classes_add_up(rows):
    found = summarise_rows(rows)
    covered = [row for row in rows if row["covered"]]
    expected = {}
    for row in covered:
        for model, cost_usd in row["calls"]:
            entry = expected.setdefault(model or "(no model)", [0, []])
            entry[0] += 1
            if row["unpriced"] is None:
                entry[1].append(cost_usd)
    assert {item.pop("model"): item for item in found["models"]} == {
        model: {
            "calls": calls,
            "unpriced_calls": calls - len(costs),
            "cost_usd": add_up(costs),
        }
        for model, (calls, costs) in expected.items()
    }
    priced = [row for row in covered if row["unpriced"] is None]
    for item in found["token_classes"]:
        assert item["cost_usd"] == add_up(row["recipe"]["usd"][item["class"]] for row in priced)
        assert item["tokens"] == found["recipe"]["tokens"][item["class"]]


@FEW
@given(ledger_rows, st.randoms(use_true_random=False), st.integers(1, 5))
def test_order_and_batches_change_nothing(rows, rng, size):
    whole = render_json(summarise([make_batch(rows)], lambda: META))
    shuffled = rng.sample(rows, len(rows))
    cut = [shuffled[at : at + size] for at in range(0, len(rows), size)]
    assert render_json(summarise(map(make_batch, cut), lambda: META)) == whole


@FEW
@given(ledger_rows)
def test_without_levers_nothing_changes(rows):
    found = summarise_rows(rows, levers=False)
    baseline, recipe = found["baseline"], found["recipe"]
    assert baseline | {"name": ""} == recipe | {"name": ""}
    delta = found["delta"]
    assert delta["cost_usd"] in (None, 0) and delta["cost_pct"] in (None, 0)
    assert delta["quality"] in (None, 0) and delta["latency_ms_mean"] in (None, 0)
    assert (delta["quality_ci95"] is None) == (baseline["quality"]["ci95"] is None)
    assert "-0.0" not in [str(value) for value in delta.values()]
    assert str(found["levers"][0]["saved_usd"]) in ("None", "0.0")


def test_money_beyond_64_bits_stays_exact():
    import numpy as np

    huge = np.array([2.0**60, 2.0**60, 0.25])
    assert to_picos(huge) == sum(map(picos, huge.tolist()))


def test_many_batches_cut_a_log_anywhere():
    rng = random.Random(1)
    side = {"model": "m", "tokens": None, "usd": None, "cost_usd": 0.1, "latency_ms": 1 / 3}
    side |= {"usd": dict.fromkeys(TOKEN_CLASSES, 0.1 / 6)}
    rows = [
        {
            "session": rng.choice((None, f"s{rng.randrange(200)}")),
            "task": None,
            "tenant": None,
            "day": None,
            "covered": True,
            "unpriced": None,
            "estimated": False,
            "baseline": side | {"quality": rng.random()},
            "recipe": side | {"quality": rng.random()},
            "calls": [("m", 0.1)],
        }
        for _ in range(900)
    ]
    texts = set()
    for size in (1, 7, 100, 900):
        cut = (make_batch(rows[at : at + size]) for at in range(0, 900, size))
        texts.add(render_json(summarise(cut, lambda: META)))
    assert len(texts) == 1
    low, high = encode_report(summarise([make_batch(rows)], lambda: META))["delta"]["quality_ci95"]
    assert low < 0 < high and math.isfinite(low + high)
