"""Totals by task, day and tenant."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.replay.ledger import Floats, LedgerBatch, Mask
from frugalctl.report.model import GroupSummary

PICOS = 1e12
"""Pico-dollars in a dollar; a token at the lowest known price costs thousands of them."""

_DAY = np.timedelta64(1, "D")


def to_picos(cost_usd: Floats) -> int:
    """The sum of known costs, in whole pico-dollars: exact, and the same in any order."""
    return int(np.rint(cost_usd * PICOS).astype(np.int64).sum())


def to_usd(picos: int) -> float:
    """Dollars of pico-dollars, correctly rounded."""
    return picos / 10**12


@dataclass(frozen=True, slots=True)
class Key:
    """A value for each row: `names[codes]`, -1 for rows without one."""

    names: list[str]
    codes: NDArray[np.int64]

    @classmethod
    def of_text(cls, column: pa.Array) -> Key | None:
        """The key of a string column; None where it is all null."""
        if column.null_count == len(column):
            return None
        encoded = column.dictionary_encode()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return cls(encoded.dictionary.to_pylist(), codes.astype(np.int64))

    @classmethod
    def of_days(cls, days: NDArray[np.int64], known: Mask) -> Key | None:
        """The key of days since 1970, as ISO dates; None where none is known."""
        if not known.any():
            return None
        present, inverse = np.unique(days[known], return_inverse=True)
        codes = np.full(len(days), -1, dtype=np.int64)
        codes[known] = inverse
        names = [str(np.datetime64(0, "D") + int(day) * _DAY) for day in present]
        return cls(names, codes)


@dataclass(slots=True)
class _Total:
    requests: int = 0
    priced: int = 0
    baseline_picos: int = 0
    recipe_picos: int = 0
    quality: float = 0.0
    quality_n: int = 0
    latency_ms: float = 0.0
    latency_n: int = 0


class GroupTotals:
    """Running totals of the groups of one key."""

    def __init__(self) -> None:
        self._totals: dict[str, _Total] = {}

    def add(self, key: Key, batch: LedgerBatch, priced: Mask) -> None:
        """Add a batch; requests without the key, and uncovered ones, are left out."""
        recipe = batch.recipe
        covered = batch.covered & (key.codes >= 0)
        columns = {
            "requests": np.where(covered, 1.0, np.nan),
            "priced": np.where(covered & priced, 1.0, np.nan),
            "baseline_picos": _picos(batch.baseline.cost_usd, covered & priced),
            "recipe_picos": _picos(recipe.cost_usd, covered & priced),
            "quality": np.where(covered, recipe.quality, np.nan),
            "latency_ms": np.where(covered, recipe.latency_ms, np.nan),
        }
        sums = {name: _sum(key, values) for name, values in columns.items()}
        for code, name in enumerate(key.names):
            total = self._totals.setdefault(name, _Total())
            total.requests += int(sums["requests"][0][code])
            total.priced += int(sums["priced"][0][code])
            total.baseline_picos += int(sums["baseline_picos"][0][code])
            total.recipe_picos += int(sums["recipe_picos"][0][code])
            total.quality += float(sums["quality"][0][code])
            total.quality_n += int(sums["quality"][1][code])
            total.latency_ms += float(sums["latency_ms"][0][code])
            total.latency_n += int(sums["latency_ms"][1][code])

    def summaries(self) -> tuple[GroupSummary, ...]:
        """The groups by name."""
        return tuple(_summary(name, self._totals[name]) for name in sorted(self._totals))


def _picos(cost_usd: Floats, use: Mask) -> Floats:
    return np.where(use, np.rint(cost_usd * PICOS), np.nan)


def _sum(key: Key, values: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """By code: the sum of the known values and their count."""
    known = ~np.isnan(values) & (key.codes >= 0)
    codes, size = key.codes[known], len(key.names)
    return (
        np.bincount(codes, weights=values[known], minlength=size),
        np.bincount(codes, minlength=size),
    )


def _summary(name: str, total: _Total) -> GroupSummary:
    return GroupSummary(
        name=name,
        requests=total.requests,
        baseline_cost_usd=to_usd(total.baseline_picos) if total.priced else None,
        cost_usd=to_usd(total.recipe_picos) if total.priced else None,
        quality=total.quality / total.quality_n if total.quality_n else None,
        latency_ms_mean=total.latency_ms / total.latency_n if total.latency_n else None,
    )
