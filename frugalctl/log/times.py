"""Timestamps as the log writes them, to microseconds since 1970 UTC."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

UNKNOWN_US = -(2**63)
"""Stands for a missing timestamp in integer columns (numpy's NaT)."""

RELATIVE_BEFORE_US = 946_684_800_000_000
"""2000-01-01. What lies before it counts from the start of a trace and is no date."""

MILLISECONDS_FROM = 1e11
"""Epoch numbers of this size and above are milliseconds."""

_EPOCH_TEXT = re.compile(r"[0-9]{9,16}(\.[0-9]*)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MIN_US = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
MAX_US = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
"""The years 1 to 9999."""


def parse_timestamp_us(value: str | int | float) -> int:
    """Microseconds since the epoch from RFC 3339 text or an epoch number, which may be text too.

    A number below 1e11 is seconds (until the year 5138), above it milliseconds. Text without
    an offset is UTC; digits beyond the microsecond are dropped. Text of nine digits and more
    is an epoch number, shorter text of digits alone is a date (20261002).

    Raises:
        ValueError: not a time, or outside the years 1 to 9999.
    """
    if isinstance(value, str):
        return _parse_text_us(value)
    if not math.isfinite(value):
        raise ValueError("the timestamp is not a finite number")
    scale = 1_000 if abs(value) >= MILLISECONDS_FROM else 1_000_000
    time_us = round(value * scale)
    if not MIN_US <= time_us <= MAX_US:
        raise ValueError("the timestamp is outside the years 1 to 9999")
    return time_us


def _parse_text_us(value: str) -> int:
    if value[4:5] != "-" and _EPOCH_TEXT.fullmatch(value):
        return parse_timestamp_us(float(value))
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"not a timestamp (RFC 3339 or epoch seconds): {value[:40]!r}") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    time_us = (moment - _EPOCH) // timedelta(microseconds=1)
    if not MIN_US <= time_us <= MAX_US:
        raise ValueError("the timestamp is outside the years 1 to 9999")
    return time_us


def format_timestamp(time_us: int) -> str:
    """RFC 3339 in UTC, with milliseconds, or microseconds where there are any."""
    moment = _EPOCH + timedelta(microseconds=time_us)
    precision = "microseconds" if time_us % 1_000 else "milliseconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")
