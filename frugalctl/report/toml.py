"""Values of a recipe as TOML writes them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, cast


def write_toml_value(value: Any) -> str:
    """A value in TOML, whose texts and finite numbers are written as in JSON."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        written = (f"{write_toml_value(key)} = {write_toml_value(item)}" for key, item in items)
        return "{" + ", ".join(written) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(write_toml_value, cast("list[Any]", value))) + "]"
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
