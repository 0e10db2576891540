"""Whatever the recipe and the log: what the levers save adds up, and the ledger says it all."""

import json
from dataclasses import replace
from decimal import ROUND_HALF_EVEN, Decimal

import pyarrow.parquet as pq
from attribution_cases import logs, recipes, write_log
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from frugalctl.prices import TOKEN_CLASSES
from frugalctl.replay.ledger import FEES, open_ledger, writing_ledger
from frugalctl.replay.run import ReplayOptions, replaying
from frugalctl.report.encode import render_json
from frugalctl.report.html.collect import PageTotals
from frugalctl.report.html.overview import lay_out_levers
from frugalctl.report.layout import lay_out
from frugalctl.report.summary import summarise

# no shrinking: it takes minutes here, and the logs are small as they are drawn
FEW = settings(max_examples=25, deadline=None, phases=(Phase.explicit, Phase.generate))
sources = st.sampled_from(("book", "log"))
ORDERS = st.randoms(use_true_random=False)
baselines = st.sampled_from((None, "gpt-4o", "nobody-knows-it"))


def replay_files(paths, recipe, baseline, prices, ledger):
    """The report, its page and its JSON; the ledger goes into a file."""
    options = ReplayOptions(recipe=recipe, baseline=baseline, prices=prices)
    totals = PageTotals()
    with replaying([str(path) for path in paths], options) as run, writing_ledger(ledger) as writer:

        def finish():
            meta = run.finish()
            writer.finish(meta)
            return totals.keep(meta)

        report = summarise(totals.watch(writer.keep(run.batches)), finish)
    return report, totals.page(report), render_json(report)


def picos(usd):
    """Whole pico-dollars of an amount of the ledger."""
    return int(Decimal(usd).scaleb(12).to_integral_value(ROUND_HALF_EVEN))


def add_up(rows, column):
    """The column's sum; None where it is unknown in a row, or there is no row."""
    amounts = [row[column] for row in rows]
    return None if None in amounts or not rows else sum(map(picos, amounts))


def of_json(usd):
    return None if usd is None else round(Decimal(repr(usd)).scaleb(12))


def named(row, key):
    return row["timestamp"].date().isoformat() if key == "day" else row[key]


def known(rows, key):
    column = "timestamp" if key == "day" else key
    return [row for row in rows if row[column] is not None]


def check_levers(found, priced, levers, side):
    """Each lever saves what its column in the ledger says; together they are the change."""
    before = add_up(priced, "baseline_cost_usd")
    for lever, item in zip(levers, found["levers"], strict=True):
        now = add_up(priced, f"after_{lever}_usd")
        assert item["name"] == lever
        assert of_json(item["saved_usd"]) == (None if now is None else before - now)
        before = now
    assert before == add_up(priced, f"{side}_cost_usd")
    if levers and priced:
        saved = sum(of_json(item["saved_usd"]) for item in found["levers"])
        assert saved == -of_json(found["delta"]["cost_usd"])
        total = of_json(found["baseline"]["cost_usd"]) - of_json(found["recipe"]["cost_usd"])
        assert saved == total


def check_groups(found, rows, key, side):
    """The groups, and what has none, are the whole."""
    whole = {name: 0 for name in ("requests", "baseline_cost_usd", "cost_usd")}
    for item in found[f"{key}s"]:
        mine = [row for row in known(rows, key) if named(row, key) == item[key]]
        priced = [row for row in mine if row["covered"] and row["unpriced"] is None]
        assert item["requests"] == len(mine)
        assert of_json(item["baseline_cost_usd"]) == add_up(priced, "baseline_cost_usd")
        assert of_json(item["cost_usd"]) == add_up(priced, f"{side}_cost_usd")
        for name in whole:
            amount = item[name] or 0
            whole[name] += amount if name == "requests" else of_json(amount)
    if len(known(rows, key)) == len(rows):
        assert whole["requests"] == found["log"]["requests"]
        assert whole["cost_usd"] == of_json(found["recipe"]["cost_usd"] or 0)
        assert whole["baseline_cost_usd"] == of_json(found["baseline"]["cost_usd"] or 0)


def check_classes(found, priced, covered, side):
    """Tokens and dollars by class; with the fees they are the cost, where classes are known."""
    amounts = {item["class"]: item for item in found["token_classes"]}
    assert [name for name in amounts if name not in FEES] == list(TOKEN_CLASSES)
    for name, item in amounts.items():
        assert of_json(item["cost_usd"]) == add_up(priced, f"{side}_{name}_usd"), name
    for name in TOKEN_CLASSES:
        counts = [row[f"{side}_{name}_tokens"] for row in covered]
        counted = [count for count in counts if count is not None]
        assert amounts[name]["tokens"] == (sum(counted) if counted else None)
    known_usd = [of_json(item["cost_usd"]) for item in amounts.values()]
    if None not in known_usd:
        assert sum(known_usd) == of_json(found["recipe"]["cost_usd"])


def check_models(found, priced, covered):
    """The calls of each model, and the costs of those that count."""
    for item in found["models"]:
        calls = [call for row in covered for call in row["calls"] if call["model"] == item["model"]]
        paid = [call for row in priced for call in row["calls"] if call["model"] == item["model"]]
        if item["model"] != "(no model)":
            assert item["calls"] == len(calls)
            assert of_json(item["cost_usd"]) == add_up(paid, "cost_usd")
    assert sum(item["calls"] for item in found["models"]) == sum(
        len(row["calls"]) for row in covered
    )
    fees = [item["cost_usd"] for item in found["token_classes"] if item["class"] in FEES]
    if priced and not any(fees):
        paid = sum(of_json(item["cost_usd"] or 0) for item in found["models"])
        assert paid == of_json(found["recipe"]["cost_usd"])


def cents(text):
    """The first amount of a cell in the units that it is shown with."""
    return int(
        "".join(char for char in text.split()[0] if char in "-−0123456789").replace("−", "-")
    )


def check_shown(report, page):
    """What is shown of the levers adds up as it stands there."""
    shown = lay_out_levers(page)
    if report.levers and report.delta.cost_usd is not None:
        first, *steps, last = shown.tables[0].rows
        assert cents(first[3]) + sum(cents(row[1]) for row in steps) == cents(last[3])
    (steps,) = [t for t in lay_out(report) if t.title == "Saved by lever"] or [None]
    if steps is not None and report.delta.cost_usd is not None:
        saved = sum(Decimal(row[1].replace("$", "").replace(",", "")) for row in steps.rows)
        change = -Decimal(repr(report.delta.cost_usd))
        assert abs(saved - change) < Decimal("0.01")


@FEW
@given(logs(), recipes(), baselines, sources)
def test_levers_groups_and_classes_add_up(tmp_path_factory, rows, recipe, baseline, prices):
    folder = tmp_path_factory.mktemp("run")
    path, ledger = write_log(folder / "log.jsonl", rows), str(folder / "run.parquet")
    report, page, text = replay_files([path], recipe, baseline, prices, ledger)
    found, kept = json.loads(text), pq.read_table(ledger).to_pylist()
    side = "recipe" if recipe.levers else "baseline"
    covered = [row for row in kept if row["covered"]]
    priced = [row for row in covered if row["unpriced"] is None]
    assert [row["id"] for row in kept] == [row["id"] for row in rows]
    assert found["log"]["priced"] == len(priced)
    assert of_json(found["baseline"]["cost_usd"]) == add_up(priced, "baseline_cost_usd")
    assert of_json(found["recipe"]["cost_usd"]) == add_up(priced, f"{side}_cost_usd")
    check_levers(found, priced, recipe.levers, side)
    for key in ("task", "tenant", "day"):
        check_groups(found, kept, key, side)
    check_classes(found, priced, covered, side)
    check_models(found, priced, covered)
    check_shown(report, page)
    meta, batches = open_ledger(ledger)
    totals = PageTotals()
    again = summarise(totals.watch(batches), lambda: totals.keep(meta))
    assert render_json(again) == text
    kept_page = replace(totals.page(again), report=page.report, meta=page.meta)
    assert kept_page == page


def body(text):
    """A report without the hash of its input."""
    found = json.loads(text)
    del found["origin"]["input_xxh3"]
    return found


@FEW
@given(logs(), recipes(), st.sampled_from(("observed", "gpt-4o")), sources, ORDERS)
def test_files_and_the_order_of_lines_change_nothing(
    tmp_path_factory, rows, recipe, baseline, prices, rng
):
    """Requests of one time are served as they stand, so only other lines may move past them."""
    folder = tmp_path_factory.mktemp("run")
    rows = [row | {"timestamp": row["timestamp"] or 1_790_812_680} for row in rows]
    places = rng.sample(range(len(rows)), len(rows))
    if {"semantic_cache", "prompt_cache"} & set(recipe.levers):
        later = iter(sorted(rows, key=lambda row: row["timestamp"]))
        turns = sorted(places, key=lambda at: rows[at]["timestamp"])
        own = {at: next(later) for at in turns}
        moved = [own[at] for at in places]
    else:
        moved = [rows[at] for at in places]
    cut = rng.randrange(len(moved) + 1)
    whole = write_log(folder / "log.jsonl", rows)
    parts = [
        write_log(folder / f"{at}.jsonl", part)
        for at, part in enumerate((moved[:cut], moved[cut:]))
        if part
    ]
    ledger = str(folder / "run.parquet")
    _, _, text = replay_files([whole], recipe, baseline, prices, ledger)
    _, _, other = replay_files(parts, recipe, baseline, prices, ledger)
    assert body(other) == body(text)


def test_the_logs_are_worth_replaying(tmp_path_factory):
    """The cases above meet every lever, hits and misses, and all that is not known."""
    met = dict.fromkeys(("hits", "reads", "shorter", "unpriced", "uncovered", "two levers"), 0)

    @settings(max_examples=60, deadline=None)
    @given(logs(), recipes())
    def count(rows, recipe):
        folder = tmp_path_factory.mktemp("run")
        path = write_log(folder / "log.jsonl", rows)
        _, _, text = replay_files([path], recipe, None, "book", str(folder / "run.parquet"))
        found = json.loads(text)
        met["hits"] += found.get("semantic_cache", {}).get("hits", 0) > 0
        met["reads"] += found.get("prompt_cache", {}).get("requests_with_hit", 0) > 0
        met["shorter"] += any(
            item["name"] == "compress" and item["saved_usd"] for item in found["levers"]
        )
        met["unpriced"] += bool(found["log"]["unpriced"])
        met["uncovered"] += found["log"]["uncovered"] > 0
        met["two levers"] += len([item for item in found["levers"] if item["saved_usd"]]) > 1

    count()
    assert min(met.values()) > 0, met
