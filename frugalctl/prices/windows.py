"""Weekly off-peak windows, in UTC.

A window reads like `mon-fri 00:00-01:00 04:00-06:00; sat-sun 00:00-24:00`: parts divided by
semicolons, each with days (one, or a range) and hours. Hours are half open, to the minute; a
range that ends before it starts runs past midnight into the next day.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import numpy.typing as npt

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MINUTES_A_DAY = 24 * 60
MINUTES_A_WEEK = 7 * MINUTES_A_DAY
MINUTE_US = 60_000_000
THURSDAY = 3
"""The weekday of the epoch, counted from Monday."""

_HOURS = re.compile(r"(\d\d):(\d\d)-(\d\d):(\d\d)")


@cache
def parse_window(window: str) -> npt.NDArray[np.bool_]:
    """The minutes of a week (from Monday 00:00 UTC) that lie in a window.

    Args:
        window: see the module's text.

    Returns:
        A boolean array of shape (10080,).

    Raises:
        ValueError: the text is not a window.
    """
    minutes = np.zeros(MINUTES_A_WEEK, dtype=np.bool_)
    for part in window.split(";"):
        days, *ranges = part.split() or [""]
        if not ranges:
            raise ValueError(f"no hours in {part.strip()!r}")
        for day in _parse_days(days):
            for hours in ranges:
                start, length = _parse_hours(hours)
                begin = day * MINUTES_A_DAY + start
                minutes[np.arange(begin, begin + length) % MINUTES_A_WEEK] = True
    return minutes


def minutes_of_week(timestamp_us: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Minutes since Monday 00:00 UTC.

    Args:
        timestamp_us: microseconds since the epoch, shape (n,).
    """
    return (timestamp_us // MINUTE_US + THURSDAY * MINUTES_A_DAY) % MINUTES_A_WEEK


def _parse_days(text: str) -> range:
    first, _, last = text.partition("-")
    start, end = DAYS.index(first), DAYS.index(last or first)
    return range(start, end + 1) if start <= end else range(start, end + 8)


def _parse_hours(text: str) -> tuple[int, int]:
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError(f"not hours: {text!r}")
    from_hour, from_minute, to_hour, to_minute = (int(group) for group in match.groups())
    start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if max(start, end) > MINUTES_A_DAY:
        raise ValueError(f"not hours: {text!r}")
    return start, end - start if end > start else end - start + MINUTES_A_DAY
