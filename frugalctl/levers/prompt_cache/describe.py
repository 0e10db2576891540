"""Cache settings as recipe tables, and such tables in words."""

from __future__ import annotations

from typing import Any

from frugalctl.levers.prompt_cache.settings import CacheSettings

Table = dict[str, Any]
"""A `[prompt_cache]` table of a recipe."""

_PLACE_NAMES = {
    "tools": "the tools",
    "system": "the system message",
    "-2": "the last message but one",
    "last": "the last message",
    "logged": "whatever the log marks",
}


def to_table(settings: CacheSettings) -> Table:
    """The recipe table of settings."""
    kind = settings.provider or settings.mode
    table: Table = {"kind": kind}
    if settings.provider and settings.mode:
        table["mode"] = settings.mode
    if settings.model is not None:
        table["model"] = settings.model
    if not settings.split_tenants:
        table["tenants"] = "shared"
    table |= dict(settings.options)
    if isinstance(table.get("breakpoints"), str):
        table["breakpoints"] = table["breakpoints"].split("+")
    return table


def name_settings(table: Table) -> str:
    """A table in a few words."""
    words = [str(table["mode"])] if "mode" in table else []
    if "ttl" in table:
        words.append(f"for {table['ttl']}")
    if "breakpoints" in table:
        words.append(f"breakpoints {' + '.join(map(str, table['breakpoints']))}")
    return " ".join(words) or str(table["kind"])


def describe_settings(table: Table) -> str:
    """What to change in the requests."""
    said: list[str] = []
    if "breakpoints" in table:
        marks = [str(one).partition(":") for one in table["breakpoints"]]
        places = " and after ".join(
            _PLACE_NAMES.get(place, f"message {place}") + (f" (ttl {life})" if life else "")
            for place, _, life in marks
        )
        said.append(f"set cache_control after {places}")
    if "mode" in table:
        said.append(f"use the {table['mode']} cache")
    if "ttl" in table:
        said.append(f"let it live {table['ttl']}")
    return "; ".join(said)
