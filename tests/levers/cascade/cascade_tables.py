"""Small outcome tables, and cascades followed row by row."""

import math
from itertools import product

import numpy as np
from hypothesis import strategies as st

from frugalctl.levers.cascade.judges import Judges
from frugalctl.levers.cascade.table import OutcomeTable

NAN = math.nan
CHARGES = ("score_ms", "score_usd", "route_ms")
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


@st.composite
def judged_tables(draw, most_models=3, most_rows=8):
    """Tables with the judges of their answers and questions, which cost and take something."""
    table = draw(tables(most_models, most_rows))
    cells = st.lists(SCORES, min_size=len(table.models), max_size=len(table.models))
    routes = draw(st.lists(cells, min_size=len(table), max_size=len(table)))
    charges = {name: draw(st.sampled_from((0.0, 0.25))) for name in CHARGES}
    return table, Judges(
        table.confidence, np.array(routes, dtype=np.float64), router="r.npz", **charges
    )


def judge(table, **charges):
    """Judges by the logged confidence."""
    return Judges(table.confidence, **charges)


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


def follow(table, judges, steps, thresholds, row):
    """Cost, quality and latency of one row under a policy of (model, kind) steps."""
    cost, latency = 0.0, judges.route_ms if any(kind == "route" for _, kind in steps) else 0.0
    for step, (model, kind) in enumerate(steps):
        last = step == len(steps) - 1
        scores = judges.routes if kind == "route" else judges.scores
        stands = last or scores[row, model] >= thresholds[step]
        if kind == "route" and not stands:
            continue
        cost += table.cost_usd[row, model]
        latency += table.latency_ms[row, model]
        if kind == "ask" and not last:
            cost += judges.score_usd
            latency += judges.score_ms
        if stands:
            return cost, table.quality[row, model], latency
    raise AssertionError("the last model always answers")


def is_sensible(steps):
    """No model asked twice, routed to after it was asked, or routed to just before it answers."""
    for at, (model, kind) in enumerate(steps):
        for later, (other, what) in enumerate(steps[at + 1 :], at + 1):
            if model != other:
                continue
            last = later == len(steps) - 1
            if kind == "ask" or what == "route" or not last or later == at + 1:
                return False
    return True


def all_policies(table, judges, depth):
    """Every ((model, kind) steps, thresholds) with thresholds that occur, in the order of ties."""
    by_name = sorted(range(len(table.models)), key=lambda model: table.models[model])
    asked = [(model, "ask") for model in by_name]
    routed = [] if judges.routes is None else [(model, "route") for model in by_name]
    for calls in range(1, min(depth, len(by_name) + bool(routed)) + 1):
        steps = asked + routed if calls <= 3 else asked
        for order in product(*[steps] * (calls - 1), asked):
            if not is_sensible(order):
                continue
            values = []
            for model, kind in order[:-1]:
                column = (judges.routes if kind == "route" else judges.scores)[:, model].tolist()
                values.append(sorted({score for score in column if not math.isnan(score)}))
            for thresholds in product(*values):
                yield order, thresholds


def rows_of(table, judges, steps, thresholds):
    """(cost, quality, latency) of every row."""
    return [follow(table, judges, steps, thresholds, row) for row in range(len(table))]
