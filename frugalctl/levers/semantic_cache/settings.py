"""The settings of a semantic cache, from the recipe's table or the manifest of an index."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from frugalctl.errors import ConfigError
from frugalctl.levers.semantic_cache.retention import Retention
from frugalctl.log.times import format_timestamp, parse_timestamp_us

ScopeKey = Literal["tenant", "model", "system", "tools", "sampling", "history"]
SCOPE_KEYS: tuple[ScopeKey, ...] = ("tenant", "model", "system", "tools", "sampling", "history")
GUARD_NAMES = ("numbers", "negation", "names", "symbols", "order", "language")
POLICIES = ("threshold", "vcache")

_UNITS_US = {"s": 1_000_000, "m": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000}


@dataclass(frozen=True, slots=True)
class Invalidation:
    """At a time, all entries with a tag leave; None for all entries."""

    at_us: int
    tag: str | None


@dataclass(frozen=True, slots=True)
class SemanticCacheSettings:
    """A semantic cache.

    Attributes:
        embedder: as `embed.load_embedder` takes it.
        threshold: the least score of a hit.
        scorer: "cosine", a file of a learned pair scorer, or "cross-encoder:PATH".
        guards: the guards that may refuse a hit.
        scope: what must be equal, exactly, for an answer to be used again.
        policy: "threshold", or "vcache" for one decision boundary an entry.
        max_error: vcache's bound on wrong answers among all requests.
        retention: lifetimes and room.
        lookup_ms: what a look-up adds to the latency of every request.
        min_quality: answers logged with a lower quality are not cached; None caches all.
        wrong_answer_usd: what a wrong answer costs the user; None if not said.
        invalidate: when entries leave by tag.
        candidates: how many near entries are scored and guarded.
        max_chars: a longer text is answered by its exact key only: what two documents have in
            common says little about what is asked of them.
    """

    embedder: str = "static"
    threshold: float = 0.9
    scorer: str = "cosine"
    guards: tuple[str, ...] = GUARD_NAMES
    scope: tuple[str, ...] = SCOPE_KEYS
    policy: Literal["threshold", "vcache"] = "threshold"
    max_error: float = 0.02
    retention: Retention = field(default_factory=Retention)
    lookup_ms: float = 1.0
    min_quality: float | None = None
    wrong_answer_usd: float | None = None
    invalidate: tuple[Invalidation, ...] = ()
    candidates: int = 8
    max_chars: int = 1000


_NUMBERS = {
    "threshold": (-1.0, 1.0),
    "max_error": (0.0, 1.0),
    "lookup_ms": (0.0, 1e9),
    "min_quality": (0.0, 1.0),
    "wrong_answer_usd": (0.0, 1e12),
}
_TEXTS = ("embedder", "scorer", "policy")
_COUNTS = ("candidates", "max_chars")
_LISTS = {"guards": GUARD_NAMES, "scope": SCOPE_KEYS}
_RETENTION = ("ttl", "sliding", "eviction", "max_entries", "max_bytes")
_KNOWN = (*_NUMBERS, *_TEXTS, *_LISTS, *_RETENTION, "invalidate", *_COUNTS)


def parse_semantic_cache_table(
    table: dict[str, Any], folder: Path | None = None
) -> SemanticCacheSettings:
    """Settings from a TOML table.

    Args:
        table: the table `[semantic_cache]`.
        folder: where the recipe lies; a scorer's file is looked for there first.

    Raises:
        ConfigError: an unknown key, or a value that makes no sense.
    """
    _refuse_unknown(table, _KNOWN)
    readers: dict[str, Callable[[str], Any]] = {
        **{key: partial(_read_number, table, low=a, high=b) for key, (a, b) in _NUMBERS.items()},
        **{key: partial(_read_as, table, kind=str, what="text") for key in _TEXTS},
        **{key: partial(_read_names, table, known=known) for key, known in _LISTS.items()},
        **{key: partial(_read_count, table) for key in _COUNTS},
    }
    values: dict[str, Any] = {key: read(key) for key, read in readers.items() if key in table}
    if values.get("policy", "threshold") not in POLICIES:
        raise ConfigError(
            f"[semantic_cache] unknown policy {values['policy']!r}",
            hint=f"known: {', '.join(POLICIES)}",
        )
    if folder is not None and "scorer" in values and (folder / values["scorer"]).is_file():
        values["scorer"] = str(folder / values["scorer"])
    values["retention"] = _parse_retention(table)
    values["invalidate"] = tuple(_parse_invalidations(table))
    return SemanticCacheSettings(**values)


def dump_semantic_cache_table(settings: SemanticCacheSettings) -> dict[str, Any]:
    """The table that gives these settings: the inverse of `parse_semantic_cache_table`.

    Values that are the default ones are left out.
    """
    plain = SemanticCacheSettings()
    table: dict[str, Any] = {}
    for key in (*_NUMBERS, *_TEXTS, *_LISTS, *_COUNTS):
        value = getattr(settings, key)
        if value != getattr(plain, key):
            table[key] = list(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value
    retention = settings.retention
    if retention.ttl_us is not None:
        table["ttl"] = retention.ttl_us / _UNITS_US["s"]
    for key in _RETENTION[1:]:
        if getattr(retention, key) != getattr(plain.retention, key):
            table[key] = getattr(retention, key)
    if settings.invalidate:
        table["invalidate"] = [
            {"at": format_timestamp(item.at_us)} | ({} if item.tag is None else {"tag": item.tag})
            for item in settings.invalidate
        ]
    return table


def parse_duration_us(text: str | float, what: str) -> int:
    """Microseconds of "90s", "15m", "24h", "7d", or of a number of seconds.

    Raises:
        ConfigError: it is none of these.
    """
    if isinstance(text, str):
        number, unit = text[:-1], _UNITS_US.get(text[-1:])
        try:
            amount = float(number) if unit else float(text)
        except ValueError:
            amount = float("nan")
    else:
        amount, unit = float(text), None
    if not 0 < amount < 1e10:
        raise ConfigError(f"{what} {text!r} is not a duration", hint='such as "15m", "24h" or "7d"')
    return round(amount * (unit or _UNITS_US["s"]))


def _parse_retention(table: dict[str, Any]) -> Retention:
    values: dict[str, Any] = {}
    if "ttl" in table:
        ttl = table["ttl"]
        if isinstance(ttl, bool) or not isinstance(ttl, (str, int, float)):
            raise ConfigError("[semantic_cache] ttl is neither text nor a number of seconds")
        values["ttl_us"] = parse_duration_us(ttl, "[semantic_cache] ttl")
    if "sliding" in table:
        values["sliding"] = _read_as(table, "sliding", bool, "true or false")
    if "eviction" in table:
        values["eviction"] = _read_as(table, "eviction", str, "text")
    for key in ("max_entries", "max_bytes"):
        if key in table:
            values[key] = _read_count(table, key)
    return Retention(**values)


def _parse_invalidations(table: dict[str, Any]) -> Iterable[Invalidation]:
    items = table.get("invalidate", [])
    if not isinstance(items, list):
        raise ConfigError("[semantic_cache] invalidate is not a list of tables")
    for item in cast("list[Any]", items):
        entry = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        at, tag = entry.get("at"), entry.get("tag")
        if not entry or set(entry) - {"at", "tag"} or not isinstance(tag, str | None):
            raise ConfigError(
                "[semantic_cache] invalidate needs tables of at and tag",
                hint='such as {at = "2026-11-02T00:00:00Z", tag = "faq"}',
            )
        try:
            yield Invalidation(parse_timestamp_us(str(at)), tag)
        except ValueError:
            raise ConfigError(f"[semantic_cache] invalidate at {at!r} is not a time") from None


def _read_number(table: dict[str, Any], key: str, low: float, high: float) -> float:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ConfigError(f"[semantic_cache] {key} is not a number from {low:g} to {high:g}")
    return float(value)


def _read_count(table: dict[str, Any], key: str) -> int:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"[semantic_cache] {key} is not a whole number of at least 1")
    return value


def _read_as(table: dict[str, Any], key: str, kind: type, what: str) -> Any:
    if not isinstance(table[key], kind):
        raise ConfigError(f"[semantic_cache] {key} is not {what}")
    return table[key]


def _read_names(table: dict[str, Any], key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    value = table[key]
    if not isinstance(value, list) or not all(
        isinstance(item, str) for item in cast("list[Any]", value)
    ):
        raise ConfigError(f"[semantic_cache] {key} is not a list of names")
    names = cast("list[str]", value)
    for name in names:
        if name not in known:
            raise ConfigError(
                f"[semantic_cache] unknown {key.removesuffix('s')} {name!r}",
                hint=f"known: {', '.join(known)}",
            )
    return tuple(name for name in known if name in names)


def _refuse_unknown(table: dict[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise ConfigError(f"[semantic_cache] unknown key {key!r}", hint=hint)
