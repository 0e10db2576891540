"""frugalctl: replay an LLM request log through every lever, with dated prices."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__version__ = "0.1.0"


def read_ledger(path: str) -> pd.DataFrame:
    """Read a ledger, as `frugalctl replay LOG -o run.parquet` writes it.

    Args:
        path: the parquet file.

    Returns:
        One row a request, in the order of the log. What is unknown is NaN, NaT or NA. Columns:

        - `id`, `session` (string); `tenant`, `task` (category); `timestamp` (UTC).
        - `covered`: whether the log has every outcome that both sides need; the figures of rows
          that are not covered are unknown.
        - `unpriced` (category): the model that lacks a price, missing where all have one. Totals of
          the report are over the rows that are covered and have nothing here.
        - `usage_estimated`: whether tokens were counted from text.
        - `baseline_model` (category), `baseline_cost_usd`, `baseline_latency_ms`,
          `baseline_quality`, and for each token class `baseline_<class>_tokens` (Int64) and
          `baseline_<class>_usd`: what answering took as it was. The classes are `fresh_input`,
          `cache_read`, `cache_write`, `cache_write_1h`, `output` and `reasoning`; none contains
          another.
        - `recipe_...`: the same of the recipe; there also where no lever is in use, when they
          equal the baseline's. `recipe_embedding_usd`, `recipe_scoring_usd` and
          `recipe_storage_usd` are what is paid beside tokens, where a recipe has it.
        - `after_<lever>_usd`: what the request costs once this lever and those before it apply.
        - `reused_from`: the request whose answer a semantic cache gave again.
        - `calls`: how many calls of a model the recipe makes.

        `frame.attrs` has the names `baseline` and `recipe`, the tuple `levers`, and `price_book`
        and `input_xxh3`.

    Raises:
        InputError: missing, not a ledger, damaged, or of a newer schema.
    """
    # by name, since no layer below the replay may import it, and all import this package
    return import_module("frugalctl.replay.frame").load_frame(path)
