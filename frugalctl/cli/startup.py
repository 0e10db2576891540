"""What makes a small command feel quick."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from typing import Any


class _NoPandas(MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname == "pandas":
            raise ImportError(fullname)


def spare_pandas() -> None:
    """Keep pyarrow from importing pandas, if that is installed, at its first conversion.

    That takes an eighth of a second, and the command line makes no data frames. pyarrow looks
    for pandas once and remembers, so the finder is in place only for that look; a later
    `to_pandas` still imports it.
    """
    import pyarrow as pa

    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        pa.scalar(0)
    finally:
        sys.meta_path.remove(finder)
