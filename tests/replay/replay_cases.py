"""Logs made by hypothesis, and what their replay must give, worked out row by row."""

import json
import math

from hypothesis import strategies as st

from frugalctl.levers.cascade import CascadePolicy
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.schema import TEXT_FIELDS
from frugalctl.log.stream import on_disk
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import ReplayOptions

MODELS = ("gpt-4o-mini", "claude-3-haiku", "gpt-4o", "nobody-knows-it")
"""The last has no price in the book."""

_thresholds = st.sampled_from((-0.5, -0.25, 0.0))
_scores = st.sampled_from((None, -0.5, -0.25, -0.1, 0.0, 0.5))
_money = st.none() | st.integers(0, 10**9).map(lambda picos: picos / 10**9)
_texts = st.none() | st.sampled_from(("x", "y", "한국어"))


@st.composite
def _usages(draw):
    parts = draw(st.tuples(*[st.integers(0, 10**6)] * 6))
    fresh, read, write, write_1h, output, reasoning = parts
    return {
        "input_tokens": fresh + read + write + write_1h,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "cache_write_1h_tokens": write_1h,
        "output_tokens": output + reasoning,
        "reasoning_tokens": reasoning,
    }


@st.composite
def _answers(draw, model):
    return {
        "model": model,
        "usage": draw(_usages()),
        "latency_ms": draw(st.none() | st.integers(0, 10**7).map(lambda n: n / 100)),
        "cost_usd": draw(_money),
        "quality": draw(st.none() | st.sampled_from((0.0, 0.25, 1.0))),
        "confidence": draw(_scores),
    }


@st.composite
def _rows(draw):
    models = draw(st.lists(st.sampled_from(MODELS), unique=True, max_size=4))
    observed = draw(st.none() | st.sampled_from(MODELS))
    row = draw(_answers(observed)) if observed else {}
    if models or not observed:
        row["outcomes"] = [draw(_answers(model)) for model in models or MODELS[:1]]
    return row | {
        "timestamp": draw(st.none() | st.integers(1_760_000_000, 1_790_000_000)),
        "session": draw(_texts),
        "tenant": draw(_texts),
        "task": draw(_texts),
    }


logs = st.lists(_rows(), min_size=1, max_size=12)
prices = st.sampled_from(("book", "log"))


@st.composite
def recipes(draw):
    models = draw(st.lists(st.sampled_from(MODELS), unique=True, min_size=1, max_size=4))
    count = len(models) - 1
    thresholds = draw(st.lists(_thresholds, min_size=count, max_size=count))
    return Recipe("policy", CascadePolicy(tuple(models), tuple(thresholds)))


def without_nulls(row):
    if isinstance(row, dict):
        return {key: without_nulls(value) for key, value in row.items() if value is not None}
    return [without_nulls(item) for item in row] if isinstance(row, list) else row


def write_jsonl(path, rows):
    lines = [json.dumps(without_nulls(row), ensure_ascii=False) + "\n" for row in rows]
    path.write_text("".join(lines), "utf-8")
    return str(path)


def read_batches(path):
    with on_disk([path]) as sources:
        return list(read_log(sources, ReadOptions(without=TEXT_FIELDS)))


def options_of(recipe, baseline="gpt-4o", source="book"):
    return ReplayOptions(recipe=recipe, baseline=baseline, prices=source)


def known(value):
    """None for NaN."""
    return None if value is None or math.isnan(value) else value
