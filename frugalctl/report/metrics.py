"""Reports read back from JSON, and the metrics in them by name."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any, cast

from frugalctl.errors import InputError, UsageError
from frugalctl.report.model import SCHEMA_VERSION

Body = dict[str, Any]
_SUMMED = ("log.unpriced",)
_SECTIONS = ("log", "baseline", "recipe", "delta", "semantic_cache", "compress", "prompt_cache")


def load_report(path: str) -> Body:
    """Read a report written by `replay --format json`.

    Raises:
        InputError: missing, not JSON, not a report, or of another schema.
    """
    try:
        body: Any = json.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", where=path) from None
    if not isinstance(body, dict) or "schema_version" not in body or "recipe" not in body:
        hint = "`frugalctl replay LOG --format json` writes one"
        raise InputError("not a frugalctl report", where=path, hint=hint)
    found = cast(Body, body)
    version = found["schema_version"]
    if version != SCHEMA_VERSION:
        raise InputError(
            f"report of schema {version}; this frugalctl reads {SCHEMA_VERSION}", where=path
        )
    try:
        list_metrics(found)
    except (AttributeError, TypeError, ValueError):
        raise InputError("a report, but not in the form that we write", where=path) from None
    return found


def list_metrics(body: Body) -> dict[str, float | None]:
    """Every metric by its path: `recipe.cost_usd`, `recipe.quality.ci95.lo`, `log.unpriced`...

    Models and groups are named: `models.gpt-4o.cost_usd`, `tasks.faq.quality`.
    """
    found: dict[str, float | None] = {}
    for section in _SECTIONS:
        _flatten(section, body.get(section), found)
    for name, items in body.items():
        if isinstance(items, list):
            for item in cast(list[Body], items):
                label = next((value for value in item.values() if isinstance(value, str)), "")
                for key, value in item.items():
                    if not isinstance(value, str):
                        found[f"{name}.{label}.{key}"] = value
    return found


def _flatten(path: str, value: Any, found: dict[str, float | None]) -> None:
    if isinstance(value, dict):
        items = cast(Body, value)
        if path in _SUMMED:
            found[path] = sum(items.values())
        for key, item in items.items():
            _flatten(f"{path}.{key}", item, found)
    elif isinstance(value, list):
        low, high = cast(list[float], value)
        found[f"{path}.lo"], found[f"{path}.hi"] = low, high
    elif value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        found[path] = value


def resolve_metric(name: str, body: Body) -> str:
    """The full path of a metric: as written, or below `recipe`, or the mean of what it names.

    Raises:
        UsageError: the report has no such metric.
    """
    known = list_metrics(body)
    for candidate in (name, f"{name}.mean", f"recipe.{name}", f"recipe.{name}.mean"):
        if candidate in known:
            return candidate
    short = [path.removeprefix("recipe.") for path in known]
    near = difflib.get_close_matches(name, short, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "see the keys of `--format json`"
    raise UsageError(f"unknown metric {name!r}", hint=hint)
