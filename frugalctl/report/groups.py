"""Totals by task, day and tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.replay.ledger import Floats, LedgerBatch, Mask
from frugalctl.report.model import GroupSummary

PICOS = 1e12
"""Pico-dollars in a dollar; a token at the lowest known price costs thousands of them."""

_DAY = np.timedelta64(1, "D")
_EXACT = 2.0**53


def to_picos(cost_usd: Floats) -> int:
    """The sum of known costs, in whole pico-dollars: exact, and the same in any order."""
    picos = np.rint(cost_usd * PICOS)
    if picos.sum() < _EXACT:
        return int(picos.astype(np.int64).sum())
    return sum(map(int, picos.tolist()))


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


@dataclass(frozen=True, slots=True)
class Amounts:
    """What is summed by group, over the covered requests of a batch.

    Attributes:
        rows: int64, the covered rows.
        columns: name -> float64 over these rows, 0 where unknown.
        known: name -> float64 over these rows, 1 where known and 0 elsewhere.
    """

    rows: NDArray[np.int64]
    columns: dict[str, Floats]
    known: dict[str, Floats]

    @classmethod
    def of_batch(cls, batch: LedgerBatch, priced: Mask) -> Amounts:
        """The amounts of a batch; `priced` are the rows that count for costs."""
        rows = np.flatnonzero(batch.covered)
        cost = priced[rows].astype(np.float64)
        quality, latency_ms = batch.recipe.quality[rows], batch.recipe.latency_ms[rows]
        return cls(
            rows=rows,
            columns={
                "baseline": np.rint(np.nan_to_num(batch.baseline.cost_usd[rows]) * PICOS) * cost,
                "recipe": np.rint(np.nan_to_num(batch.recipe.cost_usd[rows]) * PICOS) * cost,
                "quality": np.nan_to_num(quality),
                "latency_ms": np.nan_to_num(latency_ms),
            },
            known={
                "cost": cost,
                "quality": (~np.isnan(quality)).astype(np.float64),
                "latency_ms": (~np.isnan(latency_ms)).astype(np.float64),
            },
        )


class GroupTotals:
    """Running totals of the groups of one key."""

    def __init__(self) -> None:
        self._totals: dict[str, _Total] = {}

    def add(self, key: Key, amounts: Amounts) -> None:
        """Add a batch; requests without the key are left out."""
        codes = key.codes[amounts.rows] + 1
        size = len(key.names) + 1
        requests = np.bincount(codes, minlength=size)
        sums, counts = (
            {name: sum_by(codes, value, size) for name, value in of.items()}
            for of in (amounts.columns, amounts.known)
        )
        for code, name in enumerate(key.names, start=1):
            total = self._totals.setdefault(name, _Total())
            total.requests += int(requests[code])
            total.priced += int(counts["cost"][code])
            total.baseline_picos += int(sums["baseline"][code])
            total.recipe_picos += int(sums["recipe"][code])
            total.quality += float(sums["quality"][code])
            total.quality_n += int(counts["quality"][code])
            total.latency_ms += float(sums["latency_ms"][code])
            total.latency_n += int(counts["latency_ms"][code])

    def summaries(self) -> tuple[GroupSummary, ...]:
        """The groups by name."""
        return tuple(_summary(name, self._totals[name]) for name in sorted(self._totals))


def sum_by(codes: NDArray[np.int64], values: Floats, size: int) -> NDArray[Any]:
    """The sum for each code; whole numbers add up exactly."""
    if values.sum() < _EXACT:
        return np.bincount(codes, weights=values, minlength=size)
    sums = np.zeros(size, dtype=object)
    np.add.at(sums, codes, np.array([int(value) for value in values.tolist()], dtype=object))
    return sums


def _summary(name: str, total: _Total) -> GroupSummary:
    return GroupSummary(
        name=name,
        requests=total.requests,
        baseline_cost_usd=to_usd(total.baseline_picos) if total.priced else None,
        cost_usd=to_usd(total.recipe_picos) if total.priced else None,
        quality=total.quality / total.quality_n if total.quality_n else None,
        latency_ms_mean=total.latency_ms / total.latency_n if total.latency_n else None,
    )
