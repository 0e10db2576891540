"""The rules that every row of a log keeps, checked column-wise."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frugalctl.log.schema import USAGE_FIELDS, LogBatch
from frugalctl.log.times import MAX_US, MIN_US
from frugalctl.log.usage import MAX_TOKENS

Mask = NDArray[np.bool_]
Faults = dict[int, str]

_NOT_NEGATIVE = ("latency_ms", "ttft_ms", "cost_usd")
_LIMITS = {"cost_usd": 1e9, "latency_ms": 1e12, "ttft_ms": 1e12}
"""No call costs, or lasts, as much; sums stay far from overflow."""
LEAST_PROPENSITY = 1e-9
_FINITE = (*_NOT_NEGATIVE, "quality", "confidence")


def find_faults(batch: LogBatch) -> Faults:
    """What is wrong with the rows of a batch: row -> the first rule it breaks.

    Rules: tokens and times are not negative, numbers are finite, quality lies in [0, 1], cached
    tokens fit in the input and reasoning in the output, a timestamp lies in the years 1 to 9999,
    sampling is an object, a propensity is at least 1e-9 and at most 1, and the outcomes name each a
    model, none twice.
    """
    faults: Faults = {}
    columns = {name: batch.column(name) for name in (*_FINITE, "usage")}
    _check_columns(columns, faults, rows=None, prefix="")
    for row in _find_odd_times(batch.column("timestamp")):
        faults.setdefault(int(row), "the timestamp is outside the years 1 to 9999")
    for row in _find_odd_sampling(batch.column("sampling")):
        faults.setdefault(int(row), "sampling is not a JSON object")
    for row in _find_odd_propensities(batch.column("propensity")):
        faults.setdefault(int(row), f"propensity is not from {LEAST_PROPENSITY:g} to 1")
    for row in _find_odd_blocks(batch.column("prefix_blocks")):
        faults.setdefault(int(row), "prefix_blocks: a block is null")
    outcomes = batch.column("outcomes")
    if len(outcomes) != outcomes.null_count:
        _check_outcomes(outcomes, faults)
    return faults


def _find_odd_times(column: pa.Array) -> NDArray[np.int64]:
    times_us = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return np.flatnonzero((times_us < MIN_US) | (times_us > MAX_US))


def _find_odd_propensities(column: Any) -> NDArray[np.int64]:
    if column.null_count == len(column):
        return np.empty(0, dtype=np.int64)
    chances = column.fill_null(1.0).to_numpy(zero_copy_only=False)
    return np.flatnonzero(~((chances >= LEAST_PROPENSITY) & (chances <= 1)))


def _find_odd_sampling(column: Any) -> NDArray[np.int64]:
    if column.null_count == len(column):
        return np.empty(0, dtype=np.int64)
    encoded = column.dictionary_encode()
    odd = [at for at, text in enumerate(encoded.dictionary.to_pylist()) if not _is_object(text)]
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.flatnonzero(np.isin(codes, odd))


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _find_odd_blocks(column: Any) -> NDArray[np.int64]:
    blocks = column.flatten()
    if not blocks.null_count:
        return np.empty(0, dtype=np.int64)
    return outcome_rows(column)[blocks.is_null().to_numpy(zero_copy_only=False)]


def _check_outcomes(outcomes: pa.ListArray, faults: Faults) -> None:
    rows = outcome_rows(outcomes)
    flat = outcomes.flatten()
    models = pc.struct_field(flat, "model").dictionary_encode()
    for at in np.flatnonzero(models.is_null().to_numpy(zero_copy_only=False)):
        faults.setdefault(int(rows[at]), "outcomes: one has no model")
    names = [field.name for field in flat.type]
    columns = {name: flat.field(name) for name in (*_FINITE, "usage") if name in names}
    _check_columns(columns, faults, rows=rows, prefix="outcomes: ")
    codes = models.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    key = rows * (len(models.dictionary) + 1) + codes
    ordered = np.argsort(key, kind="stable")
    twice = np.zeros(len(key), dtype=np.bool_)
    twice[ordered[1:]] = key[ordered[1:]] == key[ordered[:-1]]
    for at in np.flatnonzero(twice & (codes >= 0)):
        name = models.dictionary[int(codes[at])].as_py()
        faults.setdefault(int(rows[at]), f"outcomes: {name[:80]!r} is there twice")


def outcome_rows(outcomes: pa.ListArray) -> NDArray[np.int64]:
    """For each flattened outcome, the index of its request in the batch."""
    lengths = outcomes.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    return np.repeat(np.arange(len(outcomes), dtype=np.int64), lengths)


def _check_columns(
    columns: dict[str, Any], faults: Faults, rows: NDArray[np.int64] | None, prefix: str
) -> None:
    def report(mask: Mask, message: str) -> None:
        for at in np.flatnonzero(mask):
            row = int(at) if rows is None else int(rows[at])
            faults.setdefault(row, prefix + message)

    for name in _FINITE:
        if name in columns and columns[name].null_count < len(columns[name]):
            _check_number(name, columns[name], report)
    if columns["usage"].null_count < len(columns["usage"]):
        _check_usage(columns["usage"], report)


def _check_number(name: str, column: pa.Array, report: Any) -> None:
    known = column.is_valid().to_numpy(zero_copy_only=False)
    values = column.fill_null(0.0).to_numpy(zero_copy_only=False)
    finite = np.isfinite(values)
    if not finite.all():
        report(known & ~finite, f"{name} is not a finite number")
    if name in _NOT_NEGATIVE and (values < 0).any():
        report(known & (values < 0), f"{name} is negative")
    if name in _LIMITS and (values > _LIMITS[name]).any():
        report(known & (values > _LIMITS[name]), f"{name} is beyond {_LIMITS[name]:,.0f}")
    if name == "quality" and ((values < 0) | (values > 1)).any():
        report(known & ((values < 0) | (values > 1)), "quality is outside [0, 1]")


def _check_usage(usage: pa.StructArray, report: Any) -> None:
    known = usage.is_valid().to_numpy(zero_copy_only=False)
    tokens: dict[str, NDArray[np.int64]] = {}
    for at, name in enumerate(USAGE_FIELDS):
        column = usage.field(at)
        tokens[name] = column.fill_null(0).to_numpy(zero_copy_only=False)
        if (tokens[name] < 0).any():
            report(known & (tokens[name] < 0), f"usage.{name} is negative")
        if (tokens[name] > MAX_TOKENS).any():
            report(known & (tokens[name] > MAX_TOKENS), f"usage.{name} is too large")
    missing = known & usage.field(0).is_null().to_numpy(zero_copy_only=False)
    if missing.any():
        report(missing, "usage.input_tokens is missing")
    cached = (
        tokens["cache_read_tokens"] + tokens["cache_write_tokens"] + tokens["cache_write_1h_tokens"]
    )
    if (cached > tokens["input_tokens"]).any():
        report(
            known & (cached > tokens["input_tokens"]),
            "usage: cached tokens exceed input_tokens, which must contain them",
        )
    if (tokens["reasoning_tokens"] > tokens["output_tokens"]).any():
        report(
            known & (tokens["reasoning_tokens"] > tokens["output_tokens"]),
            "usage: reasoning_tokens exceed output_tokens, which must contain them",
        )
