"""Amounts rounded together, so that what is shown adds up to the total that is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from frugalctl.report.groups import PICOS
from frugalctl.report.tables import UNKNOWN, count_decimals

_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Rounding:
    """To how many decimals of a dollar the amounts of a table are shown."""

    decimals: int

    @classmethod
    def of(cls, *usd: float | None) -> Rounding:
        """As many decimals as the largest of these amounts needs."""
        largest = max((abs(amount) for amount in usd if amount is not None), default=0.0)
        return cls(min(count_decimals(largest), _DIGITS))

    def to_units(self, usd: float) -> int:
        """The amount in units of the last decimal shown."""
        return round(usd * 10**self.decimals)

    def apportion(self, picos: Sequence[int], total: int) -> list[int]:
        """Each amount in units, so that they sum to `total`, given in units.

        Largest remainders: all are rounded down, and those that lose most get the units that are
        left. Each comes out within one unit of its value as long as the amounts sum to the total
        within rounding.
        """
        unit = round(PICOS) // 10**self.decimals
        units = [amount // unit for amount in picos]
        order = sorted(range(len(picos)), key=lambda at: (-(picos[at] % unit), at))
        left = total - sum(units)
        for place in range(abs(left) if order else 0):
            at = order[place % len(order)] if left > 0 else order[-1 - place % len(order)]
            units[at] += 1 if left > 0 else -1
        return units

    def show(self, units: int | None, *, sign: bool = False) -> str:
        """Units as dollars."""
        if units is None:
            return UNKNOWN
        mark = "\u2212" if units < 0 else "+" if sign and units > 0 else ""
        return f"{mark}${abs(units) / 10**self.decimals:,.{self.decimals}f}"

    def show_usd(self, usd: float | None, *, sign: bool = False) -> str:
        """An amount that need not add up."""
        return UNKNOWN if usd is None else self.show(self.to_units(usd), sign=sign)
