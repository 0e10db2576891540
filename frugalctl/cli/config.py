"""Defaults of options from `frugalctl.toml`, or `[tool.frugalctl]` of `pyproject.toml`.

A table is a command (`[replay]`, `[prices.cost]`), its keys are long option names. Flags and
`FRUGALCTL_*` variables come before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from frugalctl.errors import ConfigError

_FILES = (("frugalctl.toml", ()), ("pyproject.toml", ("tool", "frugalctl")))
_PARAMETERS = {"format": "chosen_format", "json": "as_json"}


def load_defaults(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Options by command, as typer's `default_map`.

    Raises:
        ConfigError: a file that is not TOML, or whose section is not a table.
    """
    for name, path in _FILES:
        file = Path(name)
        if file.is_file():
            table = _read_table(file, path)
            if table:
                return {**_to_parameters(table), **(given or {})}
    return dict(given or {})


def _read_table(file: Path, path: tuple[str, ...]) -> dict[str, Any]:
    import tomllib

    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not TOML: {error}", where=str(file)) from None
    for key in path:
        inner: Any = table.get(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{key} is not a table", where=str(file))
        table = cast(dict[str, Any], inner)
    return table


def _to_parameters(table: dict[str, Any]) -> dict[str, Any]:
    return {
        _PARAMETERS.get(key, key.replace("-", "_")): (
            _to_parameters(cast(dict[str, Any], value)) if isinstance(value, dict) else value
        )
        for key, value in table.items()
    }
