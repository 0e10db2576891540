"""What the columns of a ledger hold, whoever wrote the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from frugalctl.log.schema import TIMESTAMP
from frugalctl.log.times import MAX_US, MIN_US
from frugalctl.log.usage import MAX_TOKENS
from frugalctl.prices import TOKEN_CLASSES

_CALLS = pa.list_(pa.struct([("model", pa.string()), ("cost_usd", pa.float64())]))
_FEW_CALLS = 64
_MOST = 1e30
"""Dollars or milliseconds of a request; sums stay far from overflow."""

_AMOUNT = (pa.float64(), (0.0, _MOST))
_COLUMNS: dict[str, tuple[pa.DataType, tuple[float, float] | None]] = {
    "id": (pa.string(), None),
    "session": (pa.string(), None),
    "tenant": (pa.string(), None),
    "task": (pa.string(), None),
    "timestamp": (TIMESTAMP, (MIN_US, MAX_US)),
    "covered": (pa.bool_(), None),
    "unpriced": (pa.string(), None),
    "usage_estimated": (pa.bool_(), None),
    "calls": (_CALLS, None),
}
_OTHERS = {
    "reused_from": (pa.string(), None),
    "_model": (pa.string(), None),
    "_tokens": (pa.int64(), (0, MAX_TOKENS * _FEW_CALLS)),
    "_usd": _AMOUNT,
    "_latency_ms": _AMOUNT,
    "_quality": (pa.float64(), (0.0, 1.0)),
}
"""By the end of the name."""

_SIDES = ("baseline", "recipe")
_CLASSES_USD = tuple(f"_{key}_usd" for key in TOKEN_CLASSES)


def find_damage(batch: pa.RecordBatch) -> str:
    """The first column that is missing, of another type, or out of range; "" of a sound batch.

    Unknown is null, or NaN. What has a price has a cost, and so have its calls.
    """
    return next(_find_odd_types(batch.schema), "") or next(_find_odd_values(batch), "")


def _find_odd_types(schema: pa.Schema) -> Iterator[str]:
    names = schema.names
    sides = _SIDES if "recipe_model" in names else _SIDES[:1]
    classes = [f"{key}_{unit}" for key in TOKEN_CLASSES for unit in ("tokens", "usd")]
    parts = ("model", *classes, "cost_usd", "latency_ms", "quality")
    needed = [*_COLUMNS, *(f"{side}_{part}" for side in sides for part in parts)]
    for name in dict.fromkeys([*needed, *names]):
        count, (wanted, _) = names.count(name), _describe(name)
        if count != 1:
            yield f"{name} is there {count} times"
        elif wanted is not None and schema.field(name).type != wanted:
            yield f"{name} is of type {schema.field(name).type}, not {wanted}"


def _describe(name: str) -> tuple[pa.DataType | None, tuple[float, float] | None]:
    """The type and the range of a column; None where there is none to keep."""
    nothing = (None, None)
    others = (kind for end, kind in _OTHERS.items() if name.endswith(end))
    return _COLUMNS.get(name) or next(others, nothing)


def _find_odd_values(batch: pa.RecordBatch) -> Iterator[str]:
    for name in ("covered", "usage_estimated", "calls"):
        if batch.column(name).null_count:
            yield f"{name} has nulls"
    calls = batch.column("calls")
    calls_usd = calls.flatten().field("cost_usd")
    columns = {name: batch.column(name) for name in batch.schema.names}
    for name, column in (columns | {"calls.cost_usd": calls_usd}).items():
        _, limits = _describe(name)
        if limits is not None and not _is_within(column, *limits):
            yield f"{name} is not from {limits[0]:g} to {limits[1]:g}"
    priced = pc.and_(batch.column("covered"), batch.column("unpriced").is_null())
    for name, column in columns.items():
        if _is_paid(name) and _lacks(column, priced):
            yield f"{name} is unknown where all has a price"
    if _lacks(calls_usd, priced.take(pc.list_parent_indices(calls))):
        yield "calls.cost_usd is unknown where all has a price"


def _is_paid(name: str) -> bool:
    """Whether a column is of a side's cost, or of a fee within it."""
    return name.startswith(_SIDES) and name.endswith("_usd") and not name.endswith(_CLASSES_USD)


def _is_within(column: pa.Array, least: float, most: float) -> bool:
    """Whether all that is known lies in the range; NaN passes as unknown."""
    if pa.types.is_timestamp(column.type):
        column = column.view(pa.int64())
    found: Any = pc.min_max(column)
    low, high = found["min"].as_py(), found["max"].as_py()
    return low is None or not (low < least or high > most)


def _lacks(amount: pa.Array, rows: pa.Array) -> bool:
    """Whether an amount is unknown in one of the rows."""
    return bool(pc.any(pc.and_(rows, amount.is_null(nan_is_null=True))).as_py())
