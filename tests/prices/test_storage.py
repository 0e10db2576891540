from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest

from frugalctl.prices import TOKEN_CLASSES, UNKNOWN_TIME, Calls, load_book
from frugalctl.prices.storage import price_storage

BOOK = load_book()
OLD, NEW = "2026-12-31T23:59:59", "2027-01-01T00:00:00"


def us(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def price(*calls, as_of=None, providers=None):
    """Dollars of calls that are given as (model, time, token hours)."""
    models, times, token_hours = zip(*calls, strict=True)
    count = len(models)
    made = Calls(
        model=pa.array(models, pa.string()),
        provider=None if providers is None else pa.array(providers, pa.string()),
        service_tier=None,
        region=None,
        timestamp_us=np.array([UNKNOWN_TIME if time is None else us(time) for time in times]),
        tokens={name: np.zeros(count, dtype=np.int64) for name in TOKEN_CLASSES},
    )
    as_of_us = None if as_of is None else us(as_of)
    usd = price_storage(BOOK, made, np.array(token_hours, dtype=np.float64), as_of_us=as_of_us)
    return usd.tolist()


@pytest.mark.parametrize(
    ("model", "usd_per_mtok_hour"),
    [
        ("gemini-2.5-pro", 4.5),
        ("gemini-2.5-flash", 1.0),
        ("gemini/gemini-2.5-pro", 4.5),
        ("gemini-3.8-flash", 0.5),
    ],
)
def test_the_published_prices_of_an_hour(model, usd_per_mtok_hour):
    assert price((model, "2026-11-01", 1e6)) == [usd_per_mtok_hour]
    assert price((model, "2026-11-01", 2_500.5)) == pytest.approx([usd_per_mtok_hour * 0.0025005])


def test_each_call_has_the_price_of_its_own_second():
    calls = [("gemini-3.8-flash", day, 1e6) for day in (OLD, NEW, OLD)]
    assert price(*calls) == [0.5, 1.0, 0.5]
    assert price(*calls, as_of=NEW) == [1.0] * 3
    assert price(*calls, as_of=OLD) == [0.5] * 3


def test_a_call_without_a_time_has_the_price_of_the_day_the_book_was_checked():
    assert str(BOOK.checked_on) < OLD
    assert price(("gemini-3.8-flash", None, 1e6)) == [0.5]


def test_what_stores_nothing_costs_nothing_whoever_it_is():
    assert price(("nobody-knows-it", OLD, 0.0), (None, None, 0.0)) == [0.0, 0.0]


@pytest.mark.parametrize("model", ["nobody-knows-it", None, "claude-opus-5", "gpt-4o"])
def test_storage_without_a_known_price_is_unknown_not_free(model):
    found = price((model, OLD, 10.0), ("gemini-2.5-pro", OLD, 1e6))
    assert np.isnan(found[0])
    assert found[1] == 4.5


def test_the_provider_that_a_call_names():
    calls = [("gemini-2.5-pro", OLD, 1e6)] * 2
    assert price(*calls, providers=["google", "gemini"]) == [4.5, 4.5]


def test_a_call_that_names_no_provider_beside_one_that_does():
    calls = [("gemini-2.5-pro", OLD, 1e6)] * 2
    assert price(*calls, providers=["google", None]) == [4.5, 4.5]
    assert price(*calls, providers=[None, None]) == [4.5, 4.5]
