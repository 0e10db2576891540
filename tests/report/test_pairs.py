"""Two ledgers of the same requests, compared request by request."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_cases import ledger_rows, make_batch

from frugalctl.report.pairs import pair_ledgers

FIGURES = {"cost_usd": "cost_usd", "quality.mean": "quality", "latency_ms.mean": "latency_ms"}
PATHS = {
    f"{side}.{name}": (side, key)
    for side in ("recipe", "baseline")
    for name, key in FIGURES.items()
}


def slow_pairs(old, new, path):
    """Each known pair's old value and change, by id."""
    side, key = PATHS[path]
    found = []
    for name, row in old.items():
        rows = (row, new[name])
        known = all(one["covered"] for one in rows)
        if key == "cost_usd":
            known = known and not any(one["unpriced"] for one in rows)
        values = [one[side][key] for one in rows]
        if known and None not in values:
            found.append((Fraction(values[0]), Fraction(values[1]) - Fraction(values[0])))
    return found


def name_rows(rows):
    return [row | {"id": f"r{at}"} for at, row in enumerate(rows)]


def cut(rows, at):
    """Batches of the rows, cut in two."""
    return [make_batch(part) for part in (rows[:at], rows[at:]) if part]


@given(st.data())
def test_pairs_against_a_slow_computation(data):
    old = name_rows(data.draw(ledger_rows))
    other = data.draw(st.lists(st.sampled_from(old), min_size=len(old), max_size=len(old)))
    new = [row | {"id": one["id"]} for row, one in zip(other, old, strict=True)]
    shuffled = data.draw(st.permutations(new))
    at = data.draw(st.integers(0, len(old)))
    found = pair_ledgers(cut(old, at), cut(shuffled, len(old) - at))
    by_id = [{row["id"]: row for row in rows} for rows in (old, new)]
    for path in PATHS:
        pairs = slow_pairs(*by_id, path)
        if not pairs:
            assert path not in found
            continue
        one = found[path]
        count = 1 if path.endswith("cost_usd") else len(pairs)
        base, amount = (float(sum(column) / count) for column in zip(*pairs, strict=True))
        assert one.pairs == len(pairs)
        assert one.base == pytest.approx(base, rel=1e-9, abs=1e-9)
        assert one.amount == pytest.approx(amount, rel=1e-9, abs=1e-9 * (1 + abs(base)))
        if one.interval is not None:
            assert one.interval[0] <= one.interval[1]


def rows_of(count, **recipe):
    side = {"model": "small", "tokens": None, "usd": None, "cost_usd": 1.0, "latency_ms": 8.0}
    plain = {"day": None, "covered": True, "unpriced": None, "estimated": False, "calls": []}
    return [
        plain
        | {"id": f"r{at}", "session": f"s{at // 2}", "baseline": side | {"quality": 0.5}}
        | {"recipe": side | {"quality": 0.5, "cost_usd": 1.0 + at} | recipe}
        for at in range(count)
    ]


def test_a_small_rise_of_each_request_is_beyond_noise():
    old = rows_of(50)
    new = [row | {"recipe": row["recipe"] | {"cost_usd": 1.01 + at}} for at, row in enumerate(old)]
    one = pair_ledgers([make_batch(old)], [make_batch(new)])["recipe.cost_usd"]
    assert (one.amount, one.pairs, one.noise) == (pytest.approx(0.5), 50, False)
    assert one.interval == pytest.approx((0.5, 0.5))
    assert one.percent == pytest.approx(0.5 / math.fsum(range(1, 51)) * 100)


def test_nothing_changed_is_no_noise():
    found = pair_ledgers([make_batch(rows_of(4))], [make_batch(rows_of(4))])
    assert [(one.amount, one.interval, one.noise) for one in found.values()] == [
        (0.0, (0.0, 0.0), False)
    ] * 6


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[1:],
        lambda rows: [*rows, rows[0] | {"id": "more"}],
        lambda rows: [rows[0] | {"id": "other"}, *rows[1:]],
        lambda rows: [rows[0] | {"id": None}, *rows[1:]],
    ],
)
def test_other_requests_are_not_paired(change):
    base, head = rows_of(4), change(rows_of(4))
    assert pair_ledgers([make_batch(base)], [make_batch(head)]) == {}
    assert pair_ledgers([make_batch(head)], [make_batch(base)]) == {}


def test_empty_ledgers_are_not_paired():
    assert pair_ledgers([], []) == {}
