"""The vectorised prices against a slow reading of the CSV files, call by call, in decimals."""

import csv
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalctl.prices import TOKEN_CLASSES, UNKNOWN_TIME, Calls, load_book, price_calls
from frugalctl.prices.book import DATA

BOOK = load_book()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
MODELS = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-5.4"),
    ("openai", "gpt-5.6-luna"),
    ("openai", "text-embedding-3-small"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-haiku-5-5"),
    ("google", "gemini-1.5-pro"),
    ("google", "gemini-2.5-pro"),
    ("google", "gemini-4-argon"),
    ("google", "gemini-2.5-flash-preview-05-20"),
    ("deepseek", "deepseek-v4-pro"),
    ("deepseek", "deepseek-chat"),
    ("xai", "grok-4.20"),
    ("moonshot", "kimi-k3"),
    ("alibaba", "qwen3-coder-plus"),
    (None, "no-such-model"),
]
TIERS = [None, "standard", "batch", "flex", "priority"]
OFF_PEAK = [("deepseek", "deepseek-v4-pro"), ("deepseek", "deepseek-chat")]


def read(name):
    with (DATA / f"{name}.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


TABLE = {provider: read(provider) for provider, _ in MODELS if provider}
RULES = read("tiers")
CLASS_OF = dict(
    zip(
        TOKEN_CLASSES,
        ["input", "cache_read", "cache_write", "cache_write_1h", "output", "reasoning"],
        strict=True,
    )
)


def holds(row, day):
    return row["valid_from"] <= day and (not row["valid_to"] or day < row["valid_to"])


def inside(window, when):
    """Whether a moment lies in a window, worked out hour by hour from its text."""
    for part in window.split(";"):
        days, *ranges = part.split()
        first, _, last = days.partition("-")
        named = DAYS[DAYS.index(first) : DAYS.index(last or first) + 1]
        for hours in ranges:
            start, end = hours.split("-")
            for weekday, shift in (
                (when.weekday(), 0),
                ((when - timedelta(days=1)).weekday(), 1440),
            ):
                minute = when.hour * 60 + when.minute + shift
                from_, to = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (start, end))
                to += 1440 if to <= from_ else 0
                if DAYS[weekday] in named and from_ <= minute < to:
                    return True
    return False


def find_prices(provider, model, tier, day, when, total_input):
    """The row that prices a call, as a dict of decimals, by reading all of them."""
    of_model = [row for row in TABLE[provider] if row["model"] == model]
    stated = any(row["tier"] == tier for row in of_model)
    fitting = [
        row
        for row in of_model
        if row["tier"] == (tier if stated else "standard")
        and holds(row, day)
        and int(row["above_input_tokens"] or -1) < total_input
        and (not row["window"] or (when and inside(row["window"], when)))
    ]
    if not fitting:
        return None
    best = max(fitting, key=lambda row: (int(row["above_input_tokens"] or 0), bool(row["window"])))
    prices = {name: Decimal(best[name]) for name in set(CLASS_OF.values()) if best[name]}
    if stated or tier == "standard":
        return prices
    return multiply(prices, provider, model, tier, day)


def multiply(prices, provider, model, tier, day):
    ours = [
        rule
        for rule in RULES
        if (rule["provider"], rule["kind"], rule["value"]) == (provider, "tier", tier)
        and any(fnmatchcase(model, glob) for glob in rule["models"].split())
    ]
    ours = [rule for rule in ours if rule["models"] == ours[0]["models"] and holds(rule, day)]
    by_dimension = {rule["dimension"]: Decimal(rule["multiplier"]) for rule in ours}
    if not by_dimension:
        return None
    return {
        name: price * by_dimension.get(name, by_dimension.get("*"))
        for name, price in prices.items()
        if name in by_dimension or "*" in by_dimension
    }


def reference_usd(provider, model, tier, when, tokens):
    if provider is None:
        return None
    total_input = sum(tokens[:4])
    day = (when or datetime(*BOOK.checked_on.timetuple()[:3], tzinfo=UTC)).date().isoformat()
    prices = find_prices(provider, model, tier or "standard", day, when, total_input)
    if prices is None:
        return None
    parts = []
    for name, count in zip(TOKEN_CLASSES, tokens, strict=True):
        price = prices.get(CLASS_OF[name])
        if price is None and name in ("cache_read", "cache_write"):
            price = prices.get("input")
        if price is None and name == "cache_write_1h" and "cache_write" not in prices:
            price = prices.get("input")
        if price is None and name == "reasoning":
            price = prices.get("output")
        if price is None and count:
            return None
        parts.append(count * (price or 0) / Decimal(1_000_000))
    return parts


def rows_of(provider, model):
    return [row for row in TABLE.get(provider, []) if row["model"] == model]


def day_edges(provider, model):
    """Where a model's prices change, and one day on which all models have a price."""
    rows = rows_of(provider, model)
    days = {row[end] for row in rows for end in ("valid_from", "valid_to")} - {""}
    return [datetime.fromisoformat(day).replace(tzinfo=UTC) for day in {*days, "2026-11-20"}]


def clock_edges(provider, model):
    """The minutes at which a model's off-peak windows begin or end."""
    text = " ".join(row["window"] for row in rows_of(provider, model))
    clocks = {
        clock for hours in text.split() if ":" in hours for clock in hours.strip(";").split("-")
    }
    return [timedelta(hours=int(clock[:2]), minutes=int(clock[3:])) for clock in clocks]


@st.composite
def moments(draw, provider, model):
    """Any time, or one close to where this model's price changes."""
    if draw(st.booleans()):
        moment = draw(st.datetimes(datetime(2023, 1, 1), datetime(2027, 6, 1)))
        return moment.replace(tzinfo=UTC)
    day = draw(st.sampled_from(day_edges(provider, model))) + timedelta(
        days=draw(st.integers(0, 6))
    )
    clock = draw(st.sampled_from([timedelta(), *clock_edges(provider, model)]))
    return day + clock + timedelta(microseconds=draw(st.integers(-1, 1)))


@st.composite
def usages(draw, provider, model):
    """Any tokens, or input that adds up to about a threshold of this model."""
    counts = draw(st.lists(st.one_of(st.just(0), st.integers(1, 5000)), min_size=6, max_size=6))
    thresholds = {int(row["above_input_tokens"] or 0) for row in rows_of(provider, model)} - {0}
    if thresholds and draw(st.booleans()):
        total = draw(st.sampled_from(sorted(thresholds))) + draw(st.integers(-1, 1))
        filler = draw(st.integers(0, 3))
        counts[filler] += total - sum(counts[:4])
    return counts


@st.composite
def any_call(draw, models=MODELS, tiers=TIERS):
    place = draw(st.sampled_from(models))
    tier = draw(st.sampled_from(tiers))
    when = draw(st.one_of(st.none(), moments(*place), moments(*place)))
    return place, tier, when, draw(usages(*place))


@settings(max_examples=200, deadline=None)
@given(st.lists(any_call(), min_size=1, max_size=40), st.booleans(), st.booleans())
def test_vectorised_equals_the_scalar_reference(calls, with_provider, as_dictionary):
    check(calls, with_provider, as_dictionary)


@settings(max_examples=100, deadline=None)
@given(st.lists(any_call(OFF_PEAK, [None]), min_size=5, max_size=40))
def test_so_it_does_around_off_peak_windows(calls):
    check(calls, with_provider=False, as_dictionary=False)


def check(calls, with_provider, as_dictionary):
    names = pa.array([model for (_, model), *_ in calls])
    times = [
        (when - EPOCH) // timedelta(microseconds=1) if when else UNKNOWN_TIME
        for *_, when, _ in calls
    ]
    tokens = np.array([usage for *_, usage in calls], dtype=np.int64)
    priced = price_calls(
        BOOK,
        Calls(
            names.dictionary_encode() if as_dictionary else names,
            pa.array([provider for (provider, _), *_ in calls], pa.string())
            if with_provider
            else None,
            pa.array([tier for _, tier, *_ in calls], pa.string()),
            None,
            np.array(times, dtype=np.int64),
            {name: tokens[:, number] for number, name in enumerate(TOKEN_CLASSES)},
        ),
    )
    summed = sum(priced.usd[name] for name in TOKEN_CLASSES)
    np.testing.assert_allclose(summed, priced.total_usd, rtol=1e-12)
    for row, ((provider, model), tier, when, usage) in enumerate(calls):
        expected = reference_usd(provider, model, tier, when, usage)
        got = [float(priced.usd[name][row]) for name in TOKEN_CLASSES]
        if expected is None:
            assert all(math.isnan(part) for part in got), (model, tier, when)
            assert math.isnan(priced.total_usd[row])
        else:
            assert got == [float(part) for part in expected] or np.allclose(
                got, [float(part) for part in expected], rtol=1e-14, atol=0
            ), (model, tier, when, usage)


def test_the_reference_reads_known_prices():
    when = datetime(2026, 1, 15, 12, tzinfo=UTC)
    usage = [1_000, 10_000, 0, 0, 0, 0]
    assert sum(reference_usd("anthropic", "claude-sonnet-4-5", None, when, usage)) == Decimal(
        "0.006"
    )
    assert min(day_edges("openai", "gpt-4o")).date() == date(2024, 10, 2)
