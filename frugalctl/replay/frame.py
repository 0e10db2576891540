"""The ledger as a data frame, for notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from frugalctl.replay.ledger import encode_batch, open_ledger

if TYPE_CHECKING:
    import pandas as pd

_CATEGORIES = ("tenant", "task", "unpriced", "baseline_model", "recipe_model")


def load_frame(path: str) -> pd.DataFrame:
    """What `frugalctl.read_ledger` gives."""
    meta, batches = open_ledger(path)
    encoded = [_flatten(encode_batch(batch)) for batch in batches]
    frame: pd.DataFrame = pa.Table.from_batches(encoded).to_pandas(
        types_mapper=_nullable, categories=[*_CATEGORIES]
    )
    frame.attrs = {
        "baseline": meta.baseline,
        "recipe": meta.recipe,
        "levers": meta.levers,
        "price_book": meta.book,
        "input_xxh3": meta.input_xxh3,
    }
    return frame


def _flatten(batch: pa.RecordBatch) -> pa.RecordBatch:
    """One plain value a row and column: calls as their number, a recipe even without levers."""
    columns: dict[str, pa.Array] = {name: batch.column(name) for name in batch.schema.names}
    calls: Any = columns.pop("calls")
    if "recipe_model" not in columns:
        columns |= dict(_as_recipe(columns))
    return pa.RecordBatch.from_pydict({**columns, "calls": calls.value_lengths()})


def _as_recipe(columns: dict[str, pa.Array]) -> Iterator[tuple[str, pa.Array]]:
    for name, column in columns.items():
        if name.startswith("baseline_"):
            yield name.replace("baseline_", "recipe_", 1), column


def _nullable(kind: pa.DataType) -> Any:
    """Counts stay whole numbers where some are unknown."""
    import pandas as pd

    return pd.Int64Dtype() if pa.types.is_int64(kind) else None
