"""The table [cascade] of a recipe, read and written."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, cast

from frugalctl.errors import ConfigError
from frugalctl.levers.cascade.policy import SCORES, CascadePolicy, parse_steps

_CHARGES = ("score_ms", "score_usd", "route_ms")
_KEYS = ("models", "thresholds", "score", "router", "steps", *_CHARGES)


def parse_cascade_table(table: dict[str, Any], folder: Path | None = None) -> CascadePolicy:
    """The policy of a TOML table, without the policies of its tasks.

    Args:
        table: the table `[cascade]`, or `[cascade.tasks.NAME]`.
        folder: where the recipe lies; a scorer's or router's file is looked for there first.

    Raises:
        ConfigError: an unknown key, or a value that makes no sense.
    """
    for key in table:
        if key not in (*_KEYS, "tasks"):
            near = difflib.get_close_matches(key, _KEYS, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_KEYS)}, tasks"
            raise ConfigError(f"[cascade] unknown key {key!r}", hint=hint)
    if "models" not in table:
        raise ConfigError("[cascade] models is missing")
    score = _read_text(table, "score") or "confidence"
    router = _read_text(table, "router")
    return CascadePolicy(
        models=tuple(_read_list(table, "models", (str,), "names")),
        thresholds=tuple(map(float, _read_list(table, "thresholds", (int, float), "numbers"))),
        score=score if score in SCORES else _locate(score, folder),
        router=None if router is None else _locate(router, folder),
        steps=parse_steps(_read_list(table, "steps", (str,), "names")),
        **{key: _read_charge(table, key) for key in _CHARGES if key in table},
    )


def parse_cascade_tasks(
    table: dict[str, Any], folder: Path | None = None
) -> tuple[tuple[str, CascadePolicy], ...]:
    """The policies of the tables `[cascade.tasks.NAME]`, by name.

    Raises:
        ConfigError: see `parse_cascade_table`; or a policy for a task within a task.
    """
    tasks: Any = table.get("tasks", {})
    if not isinstance(tasks, dict):
        raise ConfigError("[cascade] tasks is not a table", hint="write [cascade.tasks.NAME]")
    found: list[tuple[str, CascadePolicy]] = []
    for name, item in cast("dict[str, Any]", tasks).items():
        if not isinstance(item, dict) or "tasks" in item:
            raise ConfigError(f"[cascade.tasks.{name}] is not a table of a policy")
        try:
            found.append((name, parse_cascade_table(cast("dict[str, Any]", item), folder)))
        except ConfigError as error:
            raise ConfigError(
                error.message.replace("[cascade]", f"[cascade.tasks.{name}]", 1), hint=error.hint
            ) from None
    return tuple(found)


def dump_cascade_table(policy: CascadePolicy) -> dict[str, Any]:
    """The table that gives this policy: the inverse of `parse_cascade_table`.

    Values that are the default ones are left out.
    """
    plain = CascadePolicy(("",), ())
    table: dict[str, Any] = {"models": list(policy.models), "thresholds": list(policy.thresholds)}
    for key in _KEYS[2:]:
        value = getattr(policy, key)
        if value != getattr(plain, key):
            table[key] = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
    return table


def _locate(name: str, folder: Path | None) -> str:
    return str(folder / name) if folder is not None and (folder / name).is_file() else name


def _read_text(table: dict[str, Any], key: str) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise ConfigError(f"[cascade] {key} is not text")
    return value


def _read_charge(table: dict[str, Any], key: str) -> float:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"[cascade] {key} is not a number")
    return float(value)


def _read_list(table: dict[str, Any], key: str, kinds: tuple[type, ...], what: str) -> list[Any]:
    value = table.get(key, [])
    fits = isinstance(value, list) and all(
        isinstance(item, kinds) and not isinstance(item, bool) for item in cast(list[Any], value)
    )
    if not fits:
        raise ConfigError(f"[cascade] {key} is not a list of {what}")
    return cast(list[Any], value)
