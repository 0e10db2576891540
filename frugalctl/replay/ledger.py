"""The ledger: one row a request, with what the baseline and the recipe took to answer it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from frugalctl.errors import InputError
from frugalctl.files import replacing
from frugalctl.log.schema import TIMESTAMP
from frugalctl.log.times import UNKNOWN_US
from frugalctl.prices import TOKEN_CLASSES
from frugalctl.replay.ledger_check import find_damage

SCHEMA_VERSION = 1
_META_KEY = b"frugalctl"
_TEXT = ("id", "session", "tenant", "task")

FEES = ("embedding", "scoring", "storage")
"""Paid beside tokens: embedding the questions of a semantic cache, storing a named cache."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Side:
    """What one way of answering n requests took.

    Attributes:
        model: string[n], the model whose answer counts.
        tokens: class -> int64[n], disjoint.
        known: bool[n], whether the token counts are known.
        usd: class -> float64[n], NaN where unknown.
        cost_usd: float64[n], of all calls; NaN where a call has no price.
        latency_ms: float64[n], the sum over the calls; NaN where unknown.
        quality: float64[n], of the answer; NaN where unknown.
        fees_usd: fee -> float64[n], what is paid beside tokens, within the cost (see `FEES`).
    """

    model: pa.Array
    tokens: dict[str, Integers]
    known: Mask
    usd: dict[str, Floats]
    cost_usd: Floats
    latency_ms: Floats
    quality: Floats
    fees_usd: dict[str, Floats] = field(default_factory=dict[str, Floats])


@dataclass(frozen=True, slots=True)
class ModelCalls:
    """The model calls of a batch: which request each served, which model, what it cost."""

    row: Integers
    model: pa.Array
    cost_usd: Floats


@dataclass(frozen=True, slots=True)
class LedgerBatch:
    """A run of requests, replayed.

    Attributes:
        columns: `id`, `session`, `tenant`, `task` as string arrays.
        timestamp_us: int64[n], `UNKNOWN_US` where missing.
        covered: bool[n], whether the log has every outcome that both sides need.
        unpriced: string[n], the model that lacks a price; null where all have one.
        estimated: bool[n], whether token counts that matter were counted from text.
        baseline: what the baseline took.
        recipe: what the recipe took; the very same object where no lever is in use.
        calls: the recipe's calls.
        after: lever -> float64[n], what a request costs once this lever and those before it
            are applied; the last one's is the recipe's cost.
        reused_from: string[n], the request whose answer a semantic cache gave again; null where
            it gave none; None where no semantic cache is in use.
    """

    columns: dict[str, pa.Array]
    timestamp_us: Integers
    covered: Mask
    unpriced: pa.Array
    estimated: Mask
    baseline: Side
    recipe: Side
    calls: ModelCalls
    after: dict[str, Floats] = field(default_factory=dict[str, Floats])
    reused_from: pa.Array | None = None

    def __len__(self) -> int:
        return len(self.timestamp_us)


@dataclass(frozen=True, slots=True)
class SingleModel:
    """What one model alone takes a request, in the mean, with 95 % intervals.

    All means are over evaluated requests that count in the comparison; cost and quality over the
    same ones, where both are known.

    Attributes:
        requests: how many of them the model answered.
        cost_usd: over `n` requests; None where unknown.
        quality: over the same.
        latency_ms: over `latency_n` requests.
    """

    model: str
    requests: int
    cost_usd: float | None
    cost_usd_ci95: tuple[float, float] | None
    quality: float | None
    quality_ci95: tuple[float, float] | None
    n: int
    latency_ms: float | None
    latency_ms_ci95: tuple[float, float] | None
    latency_n: int


@dataclass(frozen=True, slots=True)
class LedgerMeta:
    """How a ledger came about; equal inputs give equal metadata.

    Attributes:
        baseline: its name: "observed", or a model's.
        recipe: its name.
        levers: the levers in use, in order.
        settings: their settings.
        prices: "book" or "log".
        book: the price book's id.
        as_of: the day that prices were taken of, where one was given for all.
        input_xxh3: XXH3-128 of the log's bytes.
        skipped_lines: bad lines left out of the log.
        semantic_cache: what the semantic cache did, as `replay.semantic_cache` sums it up.
        prompt_cache: what the simulated prompt cache did, as `replay.prompt_cache` sums it up.
        compress: what compression did, as `replay.compress` sums it up.
        logs: the log's files, as they were named.
        singles: the single models of the log's outcomes.
    """

    baseline: str
    recipe: str
    levers: tuple[str, ...]
    settings: dict[str, Any]
    prices: str
    book: str
    as_of: str | None
    input_xxh3: str
    skipped_lines: int
    semantic_cache: dict[str, Any] | None = None
    prompt_cache: dict[str, Any] | None = None
    compress: dict[str, Any] | None = None
    logs: tuple[str, ...] = ()
    singles: tuple[SingleModel, ...] = ()


def encode_batch(batch: LedgerBatch) -> pa.RecordBatch:
    """The batch as Arrow columns, as the ledger's file holds them."""
    columns: dict[str, pa.Array] = {name: batch.columns[name] for name in _TEXT}
    unknown = batch.timestamp_us == UNKNOWN_US
    columns["timestamp"] = pa.array(batch.timestamp_us, TIMESTAMP, mask=unknown)
    columns["covered"] = pa.array(batch.covered)
    columns["unpriced"] = batch.unpriced
    columns["usage_estimated"] = pa.array(batch.estimated)
    columns |= _encode_side("baseline", batch.baseline, batch.covered)
    if batch.recipe is not batch.baseline:
        columns |= _encode_side("recipe", batch.recipe, batch.covered)
    for lever, cost_usd in batch.after.items():
        columns[f"after_{lever}_usd"] = pa.array(cost_usd, mask=np.isnan(cost_usd))
    if batch.reused_from is not None:
        columns["reused_from"] = batch.reused_from
    columns["calls"] = _encode_calls(batch.calls, len(batch))
    return pa.RecordBatch.from_pydict(columns)


def _encode_side(name: str, side: Side, covered: Mask) -> dict[str, pa.Array]:
    """A side's columns, null in the rows that are not covered."""
    model = side.model
    if not covered.all():
        model = pc.if_else(pa.array(covered), model, pa.scalar(None, pa.string()))
    columns = {f"{name}_model": model}
    for key in TOKEN_CLASSES:
        columns[f"{name}_{key}_tokens"] = pa.array(side.tokens[key], mask=~(side.known & covered))
    amounts = {f"{key}_usd": side.usd[key] for key in TOKEN_CLASSES} | {
        key: getattr(side, key) for key in ("cost_usd", "latency_ms", "quality")
    }
    amounts |= {f"{fee}_usd": paid for fee, paid in side.fees_usd.items()}
    for key, amount in amounts.items():
        columns[f"{name}_{key}"] = pa.array(amount, mask=~covered | np.isnan(amount))
    return columns


def _encode_calls(calls: ModelCalls, rows: int) -> pa.ListArray:
    order = np.argsort(calls.row, kind="stable")
    counts = np.bincount(calls.row, minlength=rows)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    model = calls.model.take(pa.array(order))
    cost = pa.array(calls.cost_usd[order], from_pandas=True)
    flat = pa.StructArray.from_arrays([model, cost], ["model", "cost_usd"])
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


def decode_batch(table: pa.RecordBatch) -> LedgerBatch:
    """The batch of a ledger's Arrow columns: the inverse of `encode_batch`."""
    columns = {name: table.column(name) for name in _TEXT}
    timestamps = table.column("timestamp").cast(pa.int64()).fill_null(UNKNOWN_US)
    baseline = _decode_side("baseline", table)
    has_recipe = "recipe_model" in table.schema.names
    calls = table.column("calls")
    flat = calls.flatten()
    lengths = calls.value_lengths().to_numpy(zero_copy_only=False)
    return LedgerBatch(
        columns=columns,
        timestamp_us=timestamps.to_numpy(zero_copy_only=False),
        covered=table.column("covered").to_numpy(zero_copy_only=False),
        unpriced=table.column("unpriced"),
        estimated=table.column("usage_estimated").to_numpy(zero_copy_only=False),
        baseline=baseline,
        recipe=_decode_side("recipe", table) if has_recipe else baseline,
        calls=ModelCalls(
            row=np.repeat(np.arange(len(calls), dtype=np.int64), lengths),
            model=flat.field("model"),
            cost_usd=_floats(flat.field("cost_usd")),
        ),
        after={
            name.removeprefix("after_").removesuffix("_usd"): _floats(table.column(name))
            for name in table.schema.names
            if name.startswith("after_")
        },
        reused_from=table.column("reused_from") if "reused_from" in table.schema.names else None,
    )


def _decode_side(name: str, table: pa.RecordBatch) -> Side:
    tokens = {key: table.column(f"{name}_{key}_tokens") for key in TOKEN_CLASSES}
    fees = {fee: f"{name}_{fee}_usd" for fee in FEES}
    return Side(
        model=table.column(f"{name}_model"),
        tokens={
            key: column.fill_null(0).to_numpy(zero_copy_only=False)
            for key, column in tokens.items()
        },
        known=tokens[TOKEN_CLASSES[0]].is_valid().to_numpy(zero_copy_only=False),
        usd={key: _floats(table.column(f"{name}_{key}_usd")) for key in TOKEN_CLASSES},
        cost_usd=_floats(table.column(f"{name}_cost_usd")),
        latency_ms=_floats(table.column(f"{name}_latency_ms")),
        quality=_floats(table.column(f"{name}_quality")),
        fees_usd={
            fee: _floats(table.column(column))
            for fee, column in fees.items()
            if column in table.schema.names
        },
    )


def _floats(column: pa.Array) -> Floats:
    return column.cast(pa.float64()).fill_null(float("nan")).to_numpy(zero_copy_only=False)


class LedgerWriter:
    """Appends batches to a parquet ledger, a row group each; made by `writing_ledger`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, batch: LedgerBatch) -> None:
        """Append a batch."""
        import pyarrow.parquet as pq

        table = encode_batch(batch)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_batch(table)

    def keep(self, batches: Iterable[LedgerBatch]) -> Iterator[LedgerBatch]:
        """The batches, each appended as it passes."""
        for batch in batches:
            self.write(batch)
            yield batch

    def finish(self, meta: LedgerMeta) -> None:
        """Add the metadata and close the file."""
        body = {"schema_version": SCHEMA_VERSION} | asdict(meta)
        self._writer.add_key_value_metadata({_META_KEY: msgspec.json.encode(body)})
        self.close()

    def close(self) -> None:
        """Close the file, if it was opened."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


@contextmanager
def writing_ledger(target: str) -> Generator[LedgerWriter]:
    """A writer whose file appears at the target once the block has succeeded."""
    with replacing(target) as temporary:
        writer = LedgerWriter(str(temporary))
        try:
            yield writer
        finally:
            writer.close()


def open_ledger(path: str) -> tuple[LedgerMeta, Iterator[LedgerBatch]]:
    """Open a ledger to be reported again, without the log.

    Raises:
        InputError: missing, not parquet, not a ledger, or of a newer schema.
    """
    hint = "`frugalctl replay LOG -o run.parquet` writes one"
    try:
        file, packed = _open_parquet(path)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"is not a ledger: {reason}", where=path, hint=hint) from None
    if packed is None:
        raise InputError("is not a frugalctl ledger", where=path, hint=hint)
    try:
        body = msgspec.json.decode(packed, type=dict[str, Any])
        version = body.pop("schema_version", None)
        meta = msgspec.convert(body, LedgerMeta) if version == SCHEMA_VERSION else None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(f"a damaged ledger: {error}", where=path) from None
    if meta is None:
        raise InputError(
            f"ledger of schema {str(version)[:20]}; this frugalctl reads {SCHEMA_VERSION}",
            where=path,
        )
    return meta, _read_groups(file, path)


def _open_parquet(path: str) -> tuple[Any, bytes | None]:
    """A parquet file, and what it says of the ledger in it."""
    import pyarrow.parquet as pq

    file: Any = pq.ParquetFile(path)
    metadata: Any = file.metadata.metadata or {}
    return file, metadata.get(_META_KEY)


def _read_groups(file: Any, path: str) -> Iterator[LedgerBatch]:
    for group in range(file.num_row_groups):
        try:
            batches = file.read_row_group(group).combine_chunks().to_batches()
        except (OSError, pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"a damaged ledger: {reason}", where=path) from None
        for batch in batches:
            damage = find_damage(batch)
            if damage:
                raise InputError(f"a damaged ledger: {damage}", where=path)
            yield decode_batch(batch)


def is_ledger(path: str) -> bool:
    """Whether the file is a parquet ledger, of whatever schema, and not a log."""
    try:
        with Path(path).open("rb") as file:
            if file.read(4) != b"PAR1":
                return False
        return _open_parquet(path)[1] is not None
    except (OSError, pa.ArrowException):
        return False
