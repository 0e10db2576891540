"""Reports read back from JSON, and the metrics in them by name."""

from __future__ import annotations

import codecs
import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

from frugalctl.errors import InputError, UsageError
from frugalctl.report.model import SCHEMA_VERSION
from frugalctl.report.tables import clip

Body = dict[str, Any]
Metrics = dict[str, float | None]

_SCHEMA = "schemas/report.schema.json"
_NO_METRICS = ("schema_version", "frugalctl_version", "origin")
_GROUPS = ("tasks", "tenants", "days", "models")
_SUMMED = ("log.unpriced",)
_PLAIN = re.compile(r"[\w.:/@+-]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')
_KINDS = {"lo", "hi", "ci95", "mean", "n", "p50", "p95", "p99"}
_TOO_LARGE = 1e100
_MOST_COMPARED = 5_000
_LONGEST_COMPARED = 100


def is_report(path: str) -> bool:
    """Whether a file is a JSON report, of whatever schema, and not a log.

    A log has a whole record in its first line, so no more of it is read.
    """
    try:
        with Path(path).open("rb") as file:
            first = file.readline()
            if not first.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{"):
                return False
            try:
                body: Any = json.loads(first.decode("utf-8-sig"))
            except ValueError:
                body = json.loads((first + file.read()).decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    return _looks_like_report(body)


def _looks_like_report(body: Any) -> bool:
    return isinstance(body, dict) and "schema_version" in body and "recipe" in body


def load_report(path: str) -> Body:
    """Read a report written by `replay --format json`.

    Raises:
        InputError: missing, not JSON, not a report, or of another schema.
    """
    try:
        body: Any = json.loads(
            Path(path).read_text("utf-8-sig"),
            object_pairs_hook=_read_object,
            parse_constant=_read_number,
            parse_float=_read_number,
            parse_int=_read_integer,
        )
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=path) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", where=path) from None
    if not _looks_like_report(body):
        hint = "`frugalctl replay LOG --format json` writes one"
        raise InputError("not a frugalctl report", where=path, hint=hint)
    found = cast(Body, body)
    _check_schema(found["schema_version"], path)
    fault = _find_fault(found)
    if fault:
        told = f"a report, but not in the form that we write: {fault}"
        raise InputError(told, where=path, hint="see frugalctl/report/schemas/report.schema.json")
    contradiction = next(_find_contradictions(found), "")
    if contradiction:
        hint = "reports are to be kept as they were written"
        raise InputError(
            f"a report that contradicts itself: {contradiction}", where=path, hint=hint
        )
    return found


def _find_fault(body: Body) -> str:
    """Where a report is unlike our JSON Schema; keys may be missing, as older reports have less."""
    from jsonschema.validators import Draft202012Validator

    schema = json.loads(files("frugalctl.report").joinpath(_SCHEMA).read_text("utf-8"))
    of_this_major = body | {"schema_version": SCHEMA_VERSION}
    for error in Draft202012Validator(schema).iter_errors(of_this_major):  # pyright: ignore[reportUnknownMemberType]
        if error.validator != "required":
            path, wanted = error.json_path.removeprefix("$."), json.dumps(error.validator_value)
            return f"{clip(path)} should have {error.validator} {wanted}"
    return ""


def _find_contradictions(body: Body) -> Iterator[str]:
    """What cannot be true of any replay, though each figure alone could be."""
    named = Counter(path for path, _ in _name_items(body))
    if named.total() > len(named):
        yield f"{clip(named.most_common(1)[0][0])} is there twice"
    known = list_metrics({key: value for key, value in body.items() if key not in _GROUPS})
    for path, low in known.items():
        high = known.get(f"{path.removesuffix('.lo')}.hi")
        if path.endswith("ci95.lo") and low is not None and high is not None and low > high:
            yield f"{clip(path)} is above the upper end"


def _read_object(pairs: list[tuple[str, Any]]) -> Body:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {json.dumps(twice[:40])} is there twice in an object")
    return found


def _read_number(text: str) -> float:
    value = float(text)
    if not abs(value) < _TOO_LARGE:
        raise ValueError(f"{text[:20]} is no number of ours")
    return value


def _read_integer(text: str) -> int:
    _read_number(text)
    return int(text)


def _check_schema(version: Any, path: str) -> None:
    """Minor versions only add keys, so any of ours is read."""
    major = re.fullmatch(r"([0-9]{1,9})(?:\.[0-9]+)*", str(version))
    if major and int(major[1]) == SCHEMA_VERSION and not isinstance(version, bool):
        return
    newer = major is not None and int(major[1]) > SCHEMA_VERSION
    raise InputError(
        f"report of schema {json.dumps(version)[:20]}; this frugalctl reads {SCHEMA_VERSION}",
        where=path,
        hint="a newer frugalctl reads it" if newer else "write the report again with this one",
    )


def list_metrics(body: Body) -> Metrics:
    """Every metric by its path: `recipe.cost_usd`, `recipe.quality.ci95.lo`, `log.unpriced`...

    Models and groups are named: `models.gpt-4o.cost_usd`, `tasks.faq.quality`. A name with other
    characters than letters, digits and `_ . : / @ + -` stands in quotes, as in JSON.
    """
    found: Metrics = {}
    for section, value in body.items():
        if section not in _NO_METRICS:
            _flatten(section, value, found)
    return found


def quote_name(name: str) -> str:
    """A name as it stands in a path."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _flatten(path: str, value: Any, found: Metrics) -> None:
    if path.endswith("ci95"):
        found[f"{path}.lo"], found[f"{path}.hi"] = _read_ends(value)
    elif isinstance(value, dict):
        items = cast(Body, value)
        if path in _SUMMED:
            found[path] = sum(items.values())
        for key, item in items.items():
            _flatten(f"{path}.{quote_name(key)}", item, found)
    elif isinstance(value, list):
        for item in cast(list[Any], value):
            if isinstance(item, dict):
                _flatten_item(path, cast(Body, item), found)
    elif value is None or _is_number(value):
        found[path] = value


def _read_ends(value: Any) -> tuple[float | None, float | None]:
    """The ends of an interval; unknown of anything else."""
    ends = cast(list[Any], value) if isinstance(value, list) else []
    return (ends[0], ends[1]) if len(ends) == 2 and all(map(_is_number, ends)) else (None, None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flatten_item(path: str, item: Body, found: Metrics) -> None:
    path = f"{path}.{quote_name(_find_name(item))}"
    for key, value in item.items():
        if not isinstance(value, str):
            _flatten(f"{path}.{quote_name(key)}", value, found)


def _find_name(item: Body) -> str:
    """An item of a list is named by the first text in it."""
    return next((value for value in item.values() if isinstance(value, str)), "")


def list_items(body: Body) -> dict[str, str]:
    """The models, tasks and other named items by their paths: `tasks.faq` -> `faq`."""
    return dict(_name_items(body))


def _name_items(body: Body) -> Iterator[tuple[str, str]]:
    for section, items in body.items():
        for item in cast(list[Any], items) if isinstance(items, list) else []:
            if isinstance(item, dict):
                name = _find_name(cast(Body, item))
                yield f"{section}.{quote_name(name)}", name


def resolve_metric(name: str, known: Metrics) -> str | None:
    """The full path of a metric: as written, or below `recipe`, or the mean of what it names."""
    name = _QUOTED.sub(_requote, name)
    for candidate in (name, f"{name}.mean", f"recipe.{name}", f"recipe.{name}.mean"):
        if candidate in known:
            return candidate
    return None


def _requote(found: re.Match[str]) -> str:
    try:
        return quote_name(json.loads(found[0], strict=False))
    except ValueError:
        return found[0]


def refuse_metric(name: str, known: Metrics) -> UsageError:
    """The error of a metric that is not there; it names the nearest ones."""
    paths = [path for path in known if len(path) <= _LONGEST_COMPARED][:_MOST_COMPARED]
    short = [path.removeprefix("recipe.") for path in paths]
    near = difflib.get_close_matches(name[:_LONGEST_COMPARED], short, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near)}?" if near else "see the keys of `--format json`"
    if name.startswith("prompts.") and not any(path.startswith("prompts.") for path in known):
        hint = "prompts are priced with --against LOG"
    return UsageError(f"unknown metric {name!r}", hint=hint)


def name_figure(path: str) -> str:
    """What a metric is a figure of, without names of items and kinds of means: `quality`."""
    parts = _QUOTED.sub("_", path).split(".")
    while len(parts) > 1 and parts[-1] in _KINDS:
        parts.pop()
    return parts[-1].removesuffix("_ci95").removeprefix("baseline_")


def is_share(path: str) -> bool:
    """Whether a metric is in [0, 1]."""
    figure = name_figure(path)
    return figure.startswith("quality") or figure.endswith(("_share", "_rate"))


def is_of_answers(path: str) -> bool:
    """Whether a metric is of what models answered: quality or latency."""
    return name_figure(path).startswith(("quality", "latency_ms"))


def find_interval(path: str, known: Metrics) -> tuple[float, float] | None:
    """The 95 % interval of a metric: `X.ci95` beside `X.mean`, `X_ci95` beside `X`."""
    stem = path.removesuffix(".mean")
    name = f"{stem}.ci95" if stem != path else f"{path}_ci95"
    low, high = known.get(f"{name}.lo"), known.get(f"{name}.hi")
    return None if low is None or high is None else (low, high)
