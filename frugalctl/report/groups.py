"""Totals by task, day and tenant."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.replay.ledger import Floats, LedgerBatch, Mask, Side
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
class _Side:
    """One side's totals in a group: picos of dollars, sums and counts of what is known."""

    picos: int = 0
    quality: float = 0.0
    quality_n: int = 0
    latency_ms: float = 0.0
    latency_n: int = 0


@dataclass(slots=True)
class _Total:
    requests: int = 0
    uncovered: int = 0
    priced: int = 0
    baseline: _Side = field(default_factory=_Side)
    recipe: _Side = field(default_factory=_Side)


@dataclass(frozen=True, slots=True)
class Amounts:
    """What is summed by group, over the rows of a batch.

    Attributes:
        uncovered: float64[n], 1 for the rows that count for nothing else.
        priced: float64[n], 1 for the rows that count for costs.
        sides: for the baseline and the recipe, name -> float64[n], 0 where unknown, and with
            `_n` behind the name 1 where known. One entry where the two are the same.
    """

    uncovered: Floats
    priced: Floats
    sides: tuple[dict[str, Floats], ...]

    @classmethod
    def of_batch(cls, batch: LedgerBatch, priced: Mask) -> Amounts:
        """The amounts of a batch; `priced` are the rows that count for costs."""
        sides = (
            (batch.baseline,)
            if batch.recipe is batch.baseline
            else (
                batch.baseline,
                batch.recipe,
            )
        )
        return cls(
            uncovered=(~batch.covered).astype(np.float64),
            priced=priced.astype(np.float64),
            sides=tuple(_amounts(side, batch.covered, priced) for side in sides),
        )


def _amounts(side: Side, covered: Mask, priced: Mask) -> dict[str, Floats]:
    found = {"picos": np.where(priced, np.rint(side.cost_usd * PICOS), 0.0)}
    for name in ("quality", "latency_ms"):
        values = getattr(side, name)
        known = covered & ~np.isnan(values)
        found[name] = np.where(known, values, 0.0)
        found[f"{name}_n"] = known.astype(np.float64)
    return found


class GroupTotals:
    """Running totals of the groups of one key."""

    def __init__(self) -> None:
        self._totals: dict[str, _Total] = {}

    def add(self, key: Key, amounts: Amounts) -> None:
        """Add a batch; requests without the key are left out."""
        codes = key.codes + 1
        size = len(key.names) + 1
        rows = np.bincount(codes, minlength=size)
        uncovered = sum_by(codes, amounts.uncovered, size)
        priced = sum_by(codes, amounts.priced, size)
        sides = [
            {name: sum_by(codes, values, size) for name, values in side.items()}
            for side in amounts.sides
        ]
        for code, name in enumerate(key.names, start=1):
            total = self._totals.setdefault(name, _Total())
            total.requests += int(rows[code])
            total.uncovered += int(uncovered[code])
            total.priced += int(priced[code])
            _add_side(total.baseline, sides[0], code)
            _add_side(total.recipe, sides[-1], code)

    def summaries(self) -> tuple[GroupSummary, ...]:
        """The groups by name."""
        return tuple(_summary(name, self._totals[name]) for name in sorted(self._totals))


def _add_side(total: _Side, sums: dict[str, NDArray[Any]], code: int) -> None:
    total.picos += int(sums["picos"][code])
    total.quality += float(sums["quality"][code])
    total.quality_n += int(sums["quality_n"][code])
    total.latency_ms += float(sums["latency_ms"][code])
    total.latency_n += int(sums["latency_ms_n"][code])


def sum_by(codes: NDArray[np.int64], values: Floats, size: int) -> NDArray[Any]:
    """The sum for each code; whole numbers add up exactly."""
    if values.sum() < _EXACT:
        return np.bincount(codes, weights=values, minlength=size)
    sums = np.zeros(size, dtype=object)
    np.add.at(sums, codes, np.array([int(value) for value in values.tolist()], dtype=object))
    return sums


def _summary(name: str, total: _Total) -> GroupSummary:
    baseline, recipe = total.baseline, total.recipe
    return GroupSummary(
        name=name,
        requests=total.requests,
        uncovered=total.uncovered,
        priced=total.priced,
        baseline_cost_usd=to_usd(baseline.picos) if total.priced else None,
        cost_usd=to_usd(recipe.picos) if total.priced else None,
        baseline_quality=_mean(baseline.quality, baseline.quality_n),
        baseline_quality_n=baseline.quality_n,
        quality=_mean(recipe.quality, recipe.quality_n),
        quality_n=recipe.quality_n,
        baseline_latency_ms_mean=_mean(baseline.latency_ms, baseline.latency_n),
        latency_ms_mean=_mean(recipe.latency_ms, recipe.latency_n),
    )


def _mean(total: float, count: int) -> float | None:
    return total / count if count else None
