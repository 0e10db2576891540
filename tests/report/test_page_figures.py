import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from page_cases import page_of
from report_cases import ledger_rows, make_batch
from test_renderers import sample_rows

from frugalctl.report.html.charts import Mark, find_drawn, name_points
from frugalctl.report.html.collect import BIN_RATIO, DEAREST
from frugalctl.report.html.money import Rounding
from frugalctl.report.html.timeline import TimeTotals

HOUR_US = 3_600_000_000


@given(st.lists(st.integers(-(10**16), 10**16), min_size=1, max_size=30), st.integers(2, 6))
def test_amounts_are_rounded_to_their_total(picos, decimals):
    rounding = Rounding(decimals)
    unit = 10 ** (12 - decimals)
    total = round(sum(picos) / unit)
    units = rounding.apportion(picos, total)
    assert sum(units) == total
    assert all(abs(shown - amount / unit) <= 1 for shown, amount in zip(units, picos, strict=True))


def test_whole_amounts_stay_as_they_are():
    rounding = Rounding(2)
    assert rounding.apportion([10**12, 25 * 10**10, -(10**10)], 124) == [100, 25, -1]
    assert rounding.show(-124) == "\u2212$1.24"


@pytest.mark.parametrize(
    ("hours", "step_hours", "periods"),
    [
        ([0, 5, 71], 1, 72),
        ([0, 73], 24, 4),
        ([5, 6, 24 * 399], 24, 400),
        ([0, 24 * 500], 24 * 7, 72),
        ([0, 24 * 365 * 100], 24 * 364, 101),
        ([3], 1, 1),
    ],
)
def test_periods_grow_with_the_log(hours, step_hours, periods):
    totals = TimeTotals()
    start = 20_000 * 24
    for hour in hours:
        batch = make_batch([sample_rows()[1]])
        batch.timestamp_us[:] = (start + hour) * HOUR_US + 7
        totals.add(batch, np.array([True]))
    found = totals.timeline()
    assert found.step_us == step_hours * HOUR_US
    assert abs(len(found.periods) - periods) <= 1
    assert sum(tally.requests for tally in found.periods) == len(hours)
    assert sum(tally.baseline_picos for tally in found.periods) == len(hours) * 2 * 10**9


@settings(max_examples=25)
@given(ledger_rows)
def test_what_the_page_counts_is_what_the_report_counts(rows):
    page = page_of(rows)
    report = page.report
    if page.timeline is not None:
        dated = sum(tally.requests for tally in page.timeline.periods)
        assert dated + page.timeline.undated == report.log.requests
        assert page.timeline.undated == report.log.undated
    for side, histogram in (
        (report.baseline, page.baseline_latency),
        (report.recipe, page.recipe_latency),
    ):
        assert side.latency_ms.n == (sum(histogram.counts) if histogram else 0)
    assert sum(use.recipe_calls for use in page.models) == sum(m.calls for m in report.models)
    assert sum(use.baseline_calls for use in page.models) == len(
        [row for row in rows if row["covered"]]
    )
    priced = [row for row in rows if row["covered"] and not row["unpriced"]]
    for dears, side in ((page.dear_baseline, "baseline"), (page.dear_recipe, "recipe")):
        costs = sorted((row[side]["cost_usd"] for row in priced), reverse=True)
        assert [dear.usd for dear in dears] == costs[:DEAREST]
        assert all(rows[dear.row][side]["cost_usd"] == dear.usd for dear in dears)


@settings(max_examples=25)
@given(ledger_rows)
def test_cost_and_quality_of_a_point_are_over_the_same_requests(rows):
    page = page_of(rows)
    for point in (page.baseline_point, page.recipe_point):
        sides = [row[point.name] for row in rows if row["covered"] and not row["unpriced"]]
        both = [side for side in sides if side["quality"] is not None]
        assert point.n == len(both)
        for name in ("cost_usd", "quality"):
            mean = math.fsum(side[name] for side in both) / len(both) if both else None
            assert getattr(point, name) == (mean and pytest.approx(mean, rel=1e-6, abs=1e-9))


def test_names_stand_clear_of_points_lines_and_each_other():
    axes = Figure(figsize=(5, 4)).subplots()
    marks = [
        Mark("gemini-2.5-flash", 0.3, 0.76, (0.72, 0.80), "k", "s"),
        Mark("gpt-5.4", 3.1, 0.90, (0.86, 0.94), "k", "s", hollow=True),
        Mark("baseline", 3.7, 0.92, (0.90, 0.95), "k", "o"),
        Mark("recipe", 2.5, 0.93, (0.90, 0.95), "k", "D"),
        Mark("claude-opus-5", 5.3, 0.96, (0.94, 0.98), "k", "s"),
    ]
    front = [(0.3, 0.76), (5.3, 0.96)]
    axes.set_xlim(-0.5, 6)
    axes.set_ylim(0.7, 1.0)
    name_points(axes, marks, front)
    assert [text.get_text() for text in axes.texts] == [mark.name for mark in sort_marks(marks)]
    boxes = find_drawn(axes, marks, front)
    assert len(boxes) == 2 + 5 + 5
    for text in axes.texts:
        box = text.get_window_extent()
        assert not any(box.overlaps(other) for other in boxes)
        boxes.append(box)


def sort_marks(marks):
    return sorted(marks, key=lambda mark: mark.cost)


def test_latencies_fall_into_bins_of_equal_ratio():
    rows = sample_rows(covered=True)
    histogram = page_of(rows).baseline_latency
    low = BIN_RATIO**histogram.first
    high = BIN_RATIO ** (histogram.first + len(histogram.counts))
    assert low <= 800 and 811 < high
    assert sum(histogram.counts) == len(rows)
