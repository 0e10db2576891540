"""Small outcome tables, and cascades followed row by row."""

import math
from itertools import permutations, product

import numpy as np
from hypothesis import strategies as st

from frugalctl.levers.cascade.table import OutcomeTable

NAN = math.nan
EIGHTHS = st.integers(0, 8).map(lambda eighths: eighths / 8)
SCORES = st.sampled_from((NAN, -math.inf, -1.0, -0.5, 0.0, 0.5))


def make_table(quality, cost_usd, latency_ms=None, confidence=None, models=None, present=None):
    quality = np.array(quality, dtype=np.float64)
    rows, count = quality.shape
    nothing = np.full(quality.shape, NAN)
    return OutcomeTable(
        models=models or tuple("bdac"[:count]),
        present=np.ones(quality.shape, dtype=np.bool_) if present is None else present,
        quality=quality,
        cost_usd=np.array(cost_usd, dtype=np.float64),
        latency_ms=nothing if latency_ms is None else np.array(latency_ms, dtype=np.float64),
        confidence=nothing if confidence is None else np.array(confidence, dtype=np.float64),
        clusters=np.arange(rows),
        time_us=np.zeros(rows, dtype=np.int64),
        ids=(None,) * rows,
        tasks=(None,) * rows,
    )


@st.composite
def tables(draw, most_models=4, most_rows=8, timed=None):
    """Tables whose figures are multiples of 1/8, so that their sums are exact."""
    count = draw(st.integers(1, most_models))
    rows = draw(st.integers(1, most_rows))
    always = draw(st.booleans()) if timed is None else timed
    latency = EIGHTHS if always else st.one_of(st.just(NAN), EIGHTHS)

    def matrix(cell):
        row = st.lists(cell, min_size=count, max_size=count)
        return draw(st.lists(row, min_size=rows, max_size=rows))

    quality = matrix(st.sampled_from((0.0, 0.0, 0.5, 1.0, 1.0)))
    return make_table(quality, matrix(EIGHTHS), matrix(latency), matrix(SCORES))


def draw_table(seed, rows=41):
    """Four models that differ, figures in multiples of 1/8; odd seeds lack some latencies."""
    draw = np.random.default_rng(seed)
    shape = (rows, 4)
    latency_ms = draw.integers(1, 9, shape) / 8
    if seed % 2:
        latency_ms[draw.random(shape) < 0.01] = NAN
    return make_table(
        draw.integers(0, 3, shape) / 2,
        draw.integers(0, 9, shape) / 8 * [1, 4, 2, 8],
        latency_ms,
        draw.choice([NAN, -1.0, 0.0, 0.5], shape),
    )


def follow(table, order, thresholds, row, score_ms=0.0):
    """Cost, quality and latency of one row under a cascade."""
    cost = latency = 0.0
    for step, model in enumerate(order):
        last = step == len(order) - 1
        cost += table.cost_usd[row, model]
        latency += table.latency_ms[row, model] + (0.0 if last else score_ms)
        if last or table.confidence[row, model] >= thresholds[step]:
            return cost, table.quality[row, model], latency
    raise AssertionError("the last model always answers")


def all_policies(table, depth):
    """Every (order, thresholds) with thresholds that occur, in the order of ties."""
    by_name = sorted(range(len(table.models)), key=lambda model: table.models[model])
    for calls in range(1, depth + 1):
        for order in permutations(by_name, calls):
            values = [
                sorted({s for s in table.confidence[:, model].tolist() if not math.isnan(s)})
                for model in order[:-1]
            ]
            for thresholds in product(*values):
                yield order, thresholds


def rows_of(table, order, thresholds, score_ms=0.0):
    """(cost, quality, latency) of every row."""
    return [follow(table, order, thresholds, row, score_ms) for row in range(len(table))]
