"""Price sets compiled to arrays, so that a million calls are priced without a loop over them.

A schedule is a small grid of cells: period x context tier x window, six prices a cell. A table is
several schedules, cell under cell.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product

import numpy as np
import numpy.typing as npt

from frugalctl.prices.rows import PriceSet
from frugalctl.prices.windows import minutes_of_week, parse_window

TOKEN_CLASSES = (
    "fresh_input",
    "cache_read",
    "cache_write",
    "cache_write_1h",
    "output",
    "reasoning",
)
"""The disjoint classes of tokens; the first four are a call's input, the last two its output."""

INPUT_CLASSES = TOKEN_CLASSES[:4]
TOKENS_PER_MTOK = 1e6
UNKNOWN_TIME = int(np.iinfo(np.int64).min)
"""The timestamp of a call whose time nobody noted (NumPy's NaT)."""

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Schedule:
    """The prices of one model, provider, tier and region.

    Attributes:
        starts_us: where a new period begins, microseconds since the epoch, ascending, shape (p,).
        thresholds: input tokens above which another context tier holds, ascending, shape (t,).
        windows: minutes of the week of each off-peak window, shape (10080,) each; w of them.
        usd_per_mtok: shape ((p+1) * (t+1) * 2**w, 6), NaN where unknown, columns as
            `TOKEN_CLASSES`.
        covered: whether any set holds in a cell, shape as the cells.
        fallback: whether the prices are litellm's.
    """

    starts_us: list[int]
    thresholds: list[int]
    windows: list[npt.NDArray[np.bool_]]
    usd_per_mtok: Float64s
    covered: npt.NDArray[np.bool_]
    fallback: bool

    def locate(self, when_us: Int64s, clock_us: Int64s, input_tokens: Int64s) -> Int64s:
        """The cell of each call.

        Args:
            when_us: the moment whose price list holds, shape (n,).
            clock_us: the moment of the call itself, for the windows; `UNKNOWN_TIME` is in none.
            input_tokens: all input of the call, cached or not.
        """
        cell = np.zeros(len(when_us), dtype=np.int64)
        for start_us in self.starts_us:
            cell += when_us >= start_us
        cell *= len(self.thresholds) + 1
        for threshold in self.thresholds:
            cell += input_tokens > threshold
        if self.windows:
            minutes = minutes_of_week(clock_us)
            known = clock_us != UNKNOWN_TIME
            for window in self.windows:
                cell *= 2
                cell += window[minutes] & known
        return cell


@dataclass(frozen=True, slots=True)
class Table:
    """Several schedules stacked.

    Attributes:
        schedules: in the order of their codes; None where nothing is priced.
        first_cell: where each schedule's cells begin, shape (s,).
        varying: the codes of the schedules with more than one cell.
        usd_per_mtok: shape (6, cells).
        covered: shape (cells,).
        has_gaps: by class, whether a covered cell lacks that price.
        fallback: whether a schedule's prices are litellm's, shape (s,).
    """

    schedules: list[Schedule | None]
    first_cell: Int64s
    varying: list[int]
    usd_per_mtok: Float64s
    covered: npt.NDArray[np.bool_]
    has_gaps: list[bool]
    fallback: npt.NDArray[np.bool_]


def compile_schedule(sets: list[PriceSet], *, fallback: bool) -> Schedule:
    """Compile the price sets of one model, tier and region.

    Where several sets hold, the one with the highest threshold below the request's input counts,
    and within it the one of a window. A cache read or write without a price of its own is plain
    input; a one-hour write is so only where short writes are too. Reasoning without a price of its
    own is output. All other missing prices are unknown.

    Args:
        sets: at least one, of the same condition but for threshold, window and period.
        fallback: whether they are litellm's.
    """
    days = sorted({day for one in sets for day in (one.valid_from, one.valid_to) if day})
    thresholds = sorted({one.above_input_tokens for one in sets} - {0})
    windows = sorted({one.window for one in sets} - {""})
    inside = [
        [window for window, within in zip(windows, flags, strict=True) if within]
        for flags in product([False, True], repeat=len(windows))
    ]
    cells = [
        choose_set(sets, day, above, within)
        for day, above, within in product([date.min, *days], [0, *thresholds], inside)
    ]
    return Schedule(
        starts_us=[day_to_us(day) for day in days],
        thresholds=thresholds,
        windows=[parse_window(window) for window in windows],
        usd_per_mtok=np.array([price_classes(cell.usd_per_mtok if cell else {}) for cell in cells]),
        covered=np.array([cell is not None for cell in cells]),
        fallback=fallback,
    )


def choose_set(
    sets: list[PriceSet], day: date, above: int, windows: Collection[str] = ()
) -> PriceSet | None:
    """The set that prices a call: of one model, tier and region.

    Args:
        sets: those to choose from.
        day: of the call (UTC).
        above: the context tier: one less than the call's input tokens, or a threshold.
        windows: the off-peak windows that the call lies in.
    """
    holding = [
        one
        for one in sets
        if one.holds_on(day)
        and one.above_input_tokens <= above
        and (not one.window or one.window in windows)
    ]
    if not holding:
        return None
    return max(holding, key=lambda one: (one.above_input_tokens, bool(one.window)))


def stack_schedules(schedules: list[Schedule | None]) -> Table:
    """Put schedules into one table; what is not priced becomes a cell that covers nothing."""
    nothing = np.full((1, len(TOKEN_CLASSES)), np.nan)
    prices = [one.usd_per_mtok if one else nothing for one in schedules]
    covered = np.concatenate([one.covered if one else [False] for one in schedules])
    usd_per_mtok = np.ascontiguousarray(np.concatenate(prices).T)
    sizes = [len(cells) for cells in prices]
    gaps = np.isnan(usd_per_mtok[:, covered])
    return Table(
        schedules=schedules,
        first_cell=np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
        varying=[code for code, size in enumerate(sizes) if size > 1],
        usd_per_mtok=usd_per_mtok,
        covered=covered.astype(np.bool_),
        has_gaps=[bool(row.any()) for row in gaps],
        fallback=np.array([one is not None and one.fallback for one in schedules]),
    )


def price_classes(usd_per_mtok: dict[str, Decimal]) -> list[float]:
    """The price of each of `TOKEN_CLASSES`, NaN where unknown, by the rules for missing ones."""
    get = usd_per_mtok.get
    fresh = get("input")
    chosen = [
        fresh,
        get("cache_read", fresh),
        get("cache_write", fresh),
        get("cache_write_1h", None if "cache_write" in usd_per_mtok else fresh),
        get("output"),
        get("reasoning", get("output")),
    ]
    return [float("nan") if price is None else float(price) for price in chosen]


def day_to_us(day: date) -> int:
    """Midnight UTC at the start of a day, microseconds since the epoch."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000
