"""Which cache to simulate: "openai", "anthropic:1h", "blocks:unit=512,ttl=300", or a TOML table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, cast

from frugalctl.errors import ConfigError
from frugalctl.levers.prompt_cache.engine import Breakpoint, EngineName, MatchRules
from frugalctl.levers.prompt_cache.options import (
    KEYS_OF,
    Overrides,
    parse_options,
    parse_seconds,
    require_known,
    split_options,
)
from frugalctl.prices.cache_rules import (
    CacheRule,
    find_cache_rule,
    list_modes,
    list_providers,
    load_cache_rules,
)

ALIASES = {
    "gemini": ("google", "implicit"),
    "gemini-explicit": ("google", "explicit"),
    "vertex": ("google", "explicit"),
    "google": ("google", "implicit"),
    "qwen": ("alibaba", "implicit"),
    "qwen-explicit": ("alibaba", "explicit"),
    "alibaba": ("alibaba", "implicit"),
    "kimi": ("moonshot", "5m"),
}
"""Names of caches, and the provider and mode that they stand for."""

_MOST_BREAKPOINTS = 4
_HOUR_US = 3_600_000_000
_LATE = 1 << 40

GENERIC: dict[str, MatchRules] = {
    rules.engine: rules
    for rules in (
        MatchRules("blocks"),
        MatchRules("breakpoints", written_as="write"),
        MatchRules("units", unit_tokens=64, step_tokens=64),
        MatchRules("named", ttl_us=_HOUR_US, sliding=False),
        MatchRules("radix", fresh_min_tokens=1),
        MatchRules("slot", fresh_min_tokens=1),
        MatchRules("modules", fresh_min_tokens=1),
    )
}
"""The engines without any provider's rules."""


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """A cache to simulate.

    Attributes:
        name: as a user would write it.
        provider: whose rules; "" for an engine by parameter.
        mode: the provider's mode, "" for each model's default; or the engine's name.
        model: whose rules to take for all requests; None takes each request's own model.
        split_tenants: whether tenants are isolated from each other.
        options: the parameters given, which go before the provider's.
    """

    name: str
    provider: str
    mode: str
    model: str | None = None
    split_tenants: bool = True
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def unit_tokens(self) -> int | None:
        """The block size that was given, which also holds for traces that do not tell theirs."""
        return self.overrides().get("unit_tokens")

    def overrides(self) -> Overrides:
        """The fields of `MatchRules` that the options set."""
        return parse_options(dict(self.options), _known_keys(self.provider, self.mode))


@dataclass(frozen=True, slots=True)
class Resolved:
    """The rules for one model.

    Attributes:
        rules: those that are simulated.
        pessimistic: the same, or the least that may be hoped for.
        optimistic: the same, or the best that may be hoped for.
        source: the row of the rule book, None for an engine by parameter.
    """

    rules: MatchRules
    pessimistic: MatchRules
    optimistic: MatchRules
    source: CacheRule | None

    @property
    def is_certain(self) -> bool:
        """Whether there is nothing between the bounds."""
        return self.pessimistic == self.optimistic == self.rules


def list_kinds() -> list[str]:
    """Every name that a specification can begin with."""
    return sorted({*list_providers(), *ALIASES, *GENERIC})


def parse_cache_spec(text: str) -> CacheSettings:
    """Settings from "KIND", "KIND:MODE" or "KIND:name=value,...".

    Raises:
        ConfigError: an unknown kind, mode or parameter, or a value that makes no sense.
    """
    kind, _, rest = text.strip().partition(":")
    options: dict[str, Any] = dict(split_options(rest))
    word = options.pop("0", None)
    stray = next((value for key, value in options.items() if key.isdigit()), None)
    if stray is not None:
        raise ConfigError(f"cannot read {stray!r} in {text!r}", hint="write name=value")
    return _build(kind, word, options)


def parse_cache_table(table: dict[str, Any]) -> CacheSettings:
    """Settings from a TOML table: kind, mode, and the parameters by name.

    Raises:
        ConfigError: as `parse_cache_spec`, or no kind.
    """
    options = dict(table)
    kind, word = options.pop("kind", None), options.pop("mode", None)
    if not isinstance(kind, str):
        raise ConfigError("[prompt_cache] kind is missing", hint='such as kind = "anthropic"')
    if word is not None and not isinstance(word, str):
        raise ConfigError("[prompt_cache] mode is not text")
    return _build(kind, word, options)


def resolve_rules(settings: CacheSettings, model: str, day: date | None) -> Resolved:
    """The rules for one model.

    Args:
        settings: the cache.
        model: as the log names it, "" if it does not; `settings.model` goes before it.
        day: when (UTC), None for the rules of now.

    Raises:
        ConfigError: the provider has no cache for this model, or breakpoints that it refuses.
    """
    given = settings.overrides()
    if not settings.provider:
        rules = _apply(GENERIC[settings.mode], given, _MOST_BREAKPOINTS)
        return Resolved(rules, rules, rules, None)
    wanted = settings.model or model
    row = find_cache_rule(settings.provider, settings.mode, wanted, day)
    if row is None or row.engine == "none":
        raise ConfigError(
            f"{settings.provider} has no prompt cache for {wanted or 'this model'}"
            + (f" in mode {settings.mode}" if settings.mode else ""),
            hint="take another model's rules with model=NAME",
        )
    plain = _read_row(row)
    versions = [
        _apply(plain, {**_parse_bound(row, bound), **given}, row.max_breakpoints)
        for bound in ("", row.pessimistic, row.optimistic)
    ]
    return Resolved(versions[0], versions[1], versions[2], row)


def _build(kind: str, word: str | None, options: dict[str, Any]) -> CacheSettings:
    require_known(kind, list_kinds(), "kind")
    provider, mode = ("", kind) if kind in GENERIC else ALIASES.get(kind, (kind, ""))
    shown = [word] if word else []
    shown += [f"{key}={_show(value)}" for key, value in options.items()]
    if word is not None:
        if provider and word in list_modes(provider):
            mode = word
        else:
            _take_as_lifetime(word, provider, options)
    model = options.pop("model", None)
    tenants = options.pop("tenants", "split")
    if model is not None and not isinstance(model, str):
        raise ConfigError("model is not text")
    if tenants not in ("split", "shared"):
        raise ConfigError(f"tenants={tenants!r} is neither split nor shared")
    name = f"{kind}:{','.join(shown)}" if shown else kind
    split = tenants == "split"
    settings = CacheSettings(name, provider, mode, model, split, tuple(options.items()))
    resolve_rules(settings, "", None)
    return settings


def _take_as_lifetime(word: str, provider: str, options: dict[str, Any]) -> None:
    try:
        parse_seconds(word)
    except ValueError as error:
        modes = list_modes(provider) if provider else []
        hint = f"known: {', '.join(modes)}, or a lifetime such as 1h" if modes else "such as ttl=1h"
        raise ConfigError(f"{word!r} is no mode of the prompt cache ({error})", hint=hint) from None
    if "ttl" in options:
        raise ConfigError(f"two lifetimes: {word!r} and ttl={options['ttl']}")
    options["ttl"] = word


def _known_keys(provider: str, mode: str) -> set[str]:
    if not provider:
        return set(KEYS_OF[cast("EngineName", mode)]) | {"model", "tenants"}
    engines = {
        rule.engine
        for rule in load_cache_rules()
        if rule.provider == provider and mode in ("", rule.mode) and rule.engine != "none"
    }
    keys = (key for engine in engines for key in KEYS_OF[cast("EngineName", engine)])
    return {*keys, "model", "tenants"}


def _parse_bound(row: CacheRule, bound: str) -> Overrides:
    return parse_options(dict(split_options(bound)), KEYS_OF[cast("EngineName", row.engine)])


def _read_row(row: CacheRule) -> MatchRules:
    one_hour = row.written_as == "write_1h" and row.engine == "breakpoints"
    ttl_us = None if row.ttl_s is None else row.ttl_s * 1_000_000
    return MatchRules(
        engine=cast("EngineName", row.engine),
        unit_tokens=row.unit_tokens,
        min_tokens=row.min_tokens or 0,
        step_tokens=row.step_tokens or 1,
        fresh_min_tokens=row.fresh_min_tokens or 0,
        ttl_us=_HOUR_US // 12 if one_hour else ttl_us,
        ttl_1h_us=_HOUR_US,
        sliding=row.ttl_kind != "fixed",
        max_life_us=None if row.max_life_s is None else row.max_life_s * 1_000_000,
        written_as=cast("Any", row.written_as),
        breakpoints=(Breakpoint("last", one_hour),),
        lookback_blocks=row.lookback_blocks or _LATE,
        visible=cast("Any", row.visible),
    )


def _apply(rules: MatchRules, given: Overrides, most_breakpoints: int | None) -> MatchRules:
    """The rules with the given fields; those that the engine has no use for change nothing."""
    fields = dict(given)
    if "ttl_us" in fields and (rules.written_as == "write_1h" or fields["ttl_us"] is None):
        fields["ttl_1h_us"] = fields["ttl_us"]
    if "unit_tokens" in fields and rules.step_tokens > 1:
        fields.setdefault("step_tokens", fields["unit_tokens"])
    if "breakpoints" in fields:
        by_default = rules.written_as == "write_1h"
        fields["breakpoints"] = _check_breakpoints(
            [
                replace(point, one_hour=by_default if point.one_hour is None else point.one_hour)
                for point in fields["breakpoints"]
            ],
            most_breakpoints or _MOST_BREAKPOINTS,
        )
    return replace(rules, **fields)


def _check_breakpoints(points: Iterable[Breakpoint], most: int) -> tuple[Breakpoint, ...]:
    ordered = tuple(sorted(points, key=_rank))
    if len(ordered) > most:
        raise ConfigError(f"{len(ordered)} breakpoints, but a request may have {most}")
    hours = [bool(point.one_hour) for point in ordered if point.place != "logged"]
    if sorted(hours, reverse=True) != hours:
        raise ConfigError("breakpoints for an hour must stand before those for five minutes")
    return ordered


def _rank(point: Breakpoint) -> int:
    if isinstance(point.place, int):
        return point.place + (2 if point.place >= 0 else _LATE)
    return {"tools": 0, "system": 1, "last": _LATE, "logged": 0}[point.place]


def _show(value: Any) -> str:
    if isinstance(value, list):
        return "+".join(str(item) for item in cast("list[Any]", value))
    return str(value).lower() if isinstance(value, bool) else str(value)
