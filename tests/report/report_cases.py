"""Ledgers made by hypothesis: rows as plain data, and the batches that hold them."""

import math

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from frugalctl.log.times import UNKNOWN_US
from frugalctl.prices import TOKEN_CLASSES
from frugalctl.replay.ledger import LedgerBatch, LedgerMeta, ModelCalls, Side

MODELS = ("small", "large", None)
META = LedgerMeta(
    baseline="observed",
    recipe="policy",
    levers=("cascade",),
    settings={"cascade": {"models": ["small", "large"]}},
    prices="book",
    book="2026-11-20-test",
    as_of=None,
    input_xxh3="0" * 32,
    skipped_lines=0,
)

_picos = st.integers(0, 10**12) | st.integers(10**15, 10**19).map(lambda n: n // 4096 * 4096)
_costs = _picos.map(lambda picos: picos / 10**12)
_latencies = st.none() | st.integers(0, 10**6).map(lambda n: n / 8)
_qualities = st.none() | st.integers(0, 64).map(lambda n: n / 64)
_names = st.none() | st.sampled_from(("a", "b", "c"))
_days = st.none() | st.integers(20_000, 20_003)


@st.composite
def _sides(draw, priced):
    usd = draw(st.fixed_dictionaries({name: _costs for name in TOKEN_CLASSES}))
    return {
        "model": draw(st.sampled_from(MODELS)),
        "tokens": draw(st.none() | st.fixed_dictionaries(dict.fromkeys(TOKEN_CLASSES, _tokens))),
        "usd": usd if priced else None,
        "cost_usd": math.fsum(usd.values()) if priced else None,
        "latency_ms": draw(_latencies),
        "quality": draw(_qualities),
    }


_tokens = st.integers(0, 10**6)


@st.composite
def _rows(draw):
    unpriced = draw(st.none() | st.sampled_from(("odd", "other")))
    calls = draw(st.lists(st.tuples(st.sampled_from(MODELS), _costs), max_size=3))
    return {
        "session": draw(_names),
        "task": draw(_names),
        "tenant": draw(_names),
        "day": draw(_days),
        "covered": (covered := draw(st.sampled_from((True, True, False)))),
        "unpriced": unpriced if covered else None,
        "estimated": draw(st.booleans()),
        "baseline": draw(_sides(not unpriced)),
        "recipe": draw(_sides(not unpriced)),
        "calls": calls if covered else [],
    }


ledger_rows = st.lists(_rows(), min_size=1, max_size=15)


def make_side(sides):
    def column(key):
        values = [side[key] for side in sides]
        return np.array([math.nan if value is None else value for value in values])

    known = np.array([side["tokens"] is not None for side in sides])
    nothing = dict.fromkeys(TOKEN_CLASSES, math.nan)
    return Side(
        model=pa.array([side["model"] for side in sides], pa.string()),
        tokens={
            name: np.array([(side["tokens"] or {}).get(name, 0) for side in sides], dtype=np.int64)
            for name in TOKEN_CLASSES
        },
        known=known,
        usd={
            name: np.array([(side["usd"] or nothing)[name] for side in sides])
            for name in TOKEN_CLASSES
        },
        cost_usd=column("cost_usd"),
        latency_ms=column("latency_ms"),
        quality=column("quality"),
    )


def make_batch(rows, *, levers=True):
    def text(key):
        return pa.array([row.get(key) for row in rows], pa.string())

    day_us = 86_400_000_000
    baseline = make_side([row["baseline"] for row in rows])
    recipe = make_side([row["recipe"] for row in rows]) if levers else baseline
    calls = [(at, *call) for at, row in enumerate(rows) for call in row["calls"]]
    return LedgerBatch(
        columns={key: text(key) for key in ("id", "session", "tenant", "task")},
        timestamp_us=np.array(
            [UNKNOWN_US if row["day"] is None else row["day"] * day_us + 5 for row in rows]
        ),
        covered=np.array([row["covered"] for row in rows]),
        unpriced=text("unpriced"),
        estimated=np.array([row["estimated"] for row in rows]),
        baseline=baseline,
        recipe=recipe,
        after={"cascade": recipe.cost_usd} if levers else {},
        calls=ModelCalls(
            row=np.array([call[0] for call in calls], dtype=np.int64),
            model=pa.array([call[1] for call in calls], pa.string()),
            cost_usd=np.array([call[2] for call in calls], dtype=np.float64),
        ),
    )
