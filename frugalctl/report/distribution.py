"""Means and percentiles of a stream of numbers, in bounded memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

EXACT_VALUES = 1_000_000
RELATIVE_ERROR = 1e-4
_SMALLEST, _LARGEST = 1e-3, 1e10
_STEP = 2 * math.log1p(RELATIVE_ERROR)
_BINS = math.ceil(math.log(_LARGEST / _SMALLEST) / _STEP) + 1


class Mean:
    """A mean whose sum is kept in extended precision, so that no digit depends on the order."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = np.longdouble(0)

    def add(self, values: NDArray[np.float64]) -> None:
        """Add finite numbers."""
        self.count += len(values)
        self._sum += values.sum(dtype=np.longdouble)

    def value(self) -> float | None:
        """The mean, None without numbers."""
        return float(self._sum / self.count) if self.count else None


class Distribution:
    """Percentiles that are exact up to `EXACT_VALUES` numbers.

    Beyond that they come from a histogram of equal ratios and are within `RELATIVE_ERROR` of a
    value at that rank (for values from 0.001 to 1e10; the rest go to the nearest end).
    """

    def __init__(self) -> None:
        self._count = 0
        self._values: list[NDArray[np.float64]] = []
        self._histogram: NDArray[np.int64] | None = None

    def add(self, values: NDArray[np.float64]) -> None:
        """Add finite, non-negative numbers."""
        self._count += len(values)
        if self._histogram is not None:
            self._histogram += _bin(values)
            return
        self._values.append(values)
        if self._count > EXACT_VALUES:
            self._histogram = sum(map(_bin, self._values), np.zeros(_BINS, dtype=np.int64))
            self._values = []

    def percentiles(self, *shares: float) -> list[float | None]:
        """The numbers below which these shares (0 to 100) of all lie."""
        if not self._count:
            return [None for _ in shares]
        if self._histogram is None:
            found = np.percentile(np.concatenate(self._values), shares)
            return [float(value) for value in found]
        ranks = [share / 100 * (self._count - 1) for share in shares]
        at = np.searchsorted(np.cumsum(self._histogram), ranks, side="right")
        return [_SMALLEST * math.exp((int(index) + 0.5) * _STEP) for index in at]


def _bin(values: NDArray[np.float64]) -> NDArray[np.int64]:
    clipped = np.clip(values, _SMALLEST, _LARGEST)
    index = (np.log(clipped / _SMALLEST) / _STEP).astype(np.int64)
    return np.bincount(np.minimum(index, _BINS - 1), minlength=_BINS)
