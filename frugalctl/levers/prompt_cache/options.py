"""The parameters of a cache as users write them: "ttl=5m", "capacity=50M", "breakpoints=system"."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, cast

from frugalctl.errors import ConfigError
from frugalctl.levers.prompt_cache.engine import Breakpoint, EngineName

_TOKENS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}
_UNLIMITED = frozenset({"inf", "none", "unlimited"})
_PLACES = ("tools", "system", "last", "logged")
_LIFETIMES = {"1h": True, "5m": False}
_PER_SECOND_US = 1_000_000
_LONGEST_US = 100 * 366 * 86_400 * _PER_SECOND_US

Overrides = dict[str, Any]
"""Fields of `MatchRules` and their values."""

KEYS_OF: dict[EngineName, frozenset[str]] = {
    "blocks": frozenset({"unit", "min", "step", "ttl", "max_life", "refresh", "capacity", "hits"}),
    "breakpoints": frozenset({"min", "ttl", "refresh", "breakpoints", "lookback", "hits"}),
    "units": frozenset({"unit", "min", "step", "ttl", "refresh", "hits"}),
    "named": frozenset({"min", "ttl", "refresh", "prefix", "hits"}),
    "radix": frozenset({"unit", "page", "min", "capacity", "hits"}),
    "slot": frozenset({"unit", "min", "slots", "similarity", "hits"}),
    "modules": frozenset({"min", "ttl", "capacity", "hits"}),
}
"""The parameters that each engine has a use for."""


def parse_options(options: dict[str, Any], known: Iterable[str]) -> Overrides:
    """Fields of `MatchRules` from parameters, given as text or as TOML values.

    Raises:
        ConfigError: an unknown parameter, or a value that does not parse or makes no sense.
    """
    fields: Overrides = {}
    for key, value in options.items():
        require_known(key, known, "parameter")
        name, parse = _PARSERS[key]
        try:
            fields[name] = parse(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise ConfigError(f"{key}={_show(value)}: {error}") from None
    return fields


def split_options(text: str) -> dict[str, str]:
    """Parameters from "a=1,b=2" or "a=1 b=2"; a bare word has its position as key ("0").

    Raises:
        ConfigError: a parameter twice, or without a name.
    """
    options: dict[str, str] = {}
    for at, part in enumerate(re.split(r"[,\s]+", text.strip()) if text.strip() else ()):
        key, mark, value = part.partition("=")
        name, value = (key, value) if mark else (str(at), key)
        if name in options or not (name and value):
            raise ConfigError(f"cannot read {part!r} in {text!r}", hint="write name=value,...")
        options[name] = value
    return options


def require_known(name: str, known: Iterable[str], what: str) -> None:
    """Refuse a name that is not known, with the nearest one that is.

    Raises:
        ConfigError: it is not known.
    """
    names = sorted(known)
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names)}"
    raise ConfigError(f"unknown {what} {name!r} of the prompt cache", hint=hint)


def parse_seconds(value: Any) -> int | None:
    """Microseconds from seconds or a number with s, m, h or d; None is without limit.

    Raises:
        ValueError: not a duration, not above zero, or longer than a century.
    """
    if isinstance(value, str) and value.lower() in _UNLIMITED:
        return None
    micros = round(
        _read_number(value, _SECONDS, "a duration such as 300, 5m or 1h") * _PER_SECOND_US
    )
    if micros <= 0:
        raise ValueError("a lifetime must be above 0")
    if micros > _LONGEST_US:
        raise ValueError("longer than a century; inf is without limit")
    return micros


def _read_number(value: Any, factors: dict[str, int], what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError(f"not {what}")
    found = re.fullmatch(r"(-?[\d_]+\.?\d*|-?\.\d+)([a-z]?)", str(value).lower())
    if not found or found[2] not in factors:
        raise ValueError(f"not {what}")
    number = float(found[1]) * factors[found[2]]
    if not math.isfinite(number) or abs(number) > 1e15:
        raise ValueError("too large")
    return number


def _parse_tokens(value: Any) -> int:
    number = _read_number(value, _TOKENS, "a number of tokens such as 1024, 8k or 50M")
    if number != int(number):
        raise ValueError("not a whole number")
    if number < 0:
        raise ValueError("must not be negative")
    return int(number)


def _parse_positive(value: Any) -> int:
    number = _parse_tokens(value)
    if number == 0:
        raise ValueError("must be above 0")
    return number


def _parse_truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _TRUTH:
        raise ValueError("neither true nor false")
    return _TRUTH[str(value).lower()]


def _parse_share(value: Any) -> float:
    share = _read_number(value, {"": 1}, "a share")
    if not 0 <= share <= 1:
        raise ValueError("not between 0 and 1")
    return share


def _parse_breakpoints(value: Any) -> tuple[Breakpoint, ...]:
    listed = value.split("+") if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed:
        raise ValueError("not places such as system+last, each with :1h or :5m if wished")
    points = tuple(_parse_breakpoint(item) for item in cast("list[Any]", listed))
    if len({point.place for point in points}) < len(points):
        raise ValueError("the same place twice")
    return points


def _parse_breakpoint(item: Any) -> Breakpoint:
    place, mark, lifetime = str(item).partition(":")
    if mark and lifetime not in _LIFETIMES:
        raise ValueError(f"{lifetime!r} is neither 5m nor 1h")
    one_hour = _LIFETIMES[lifetime] if mark else None
    if re.fullmatch(r"-?\d+", place):
        return Breakpoint(int(place), one_hour)
    if place not in _PLACES:
        raise ValueError(f"{place!r} is not one of {', '.join(_PLACES)} or a message's number")
    return Breakpoint(place, one_hour)


def _show(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


_PARSERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "unit": ("unit_tokens", _parse_positive),
    "page": ("unit_tokens", _parse_positive),
    "min": ("min_tokens", _parse_tokens),
    "step": ("step_tokens", _parse_positive),
    "ttl": ("ttl_us", parse_seconds),
    "max_life": ("max_life_us", parse_seconds),
    "refresh": ("sliding", _parse_truth),
    "capacity": ("capacity_tokens", _parse_positive),
    "breakpoints": ("breakpoints", _parse_breakpoints),
    "lookback": ("lookback_blocks", _parse_positive),
    "prefix": ("prefix_tokens", _parse_positive),
    "slots": ("slots", _parse_positive),
    "similarity": ("similarity", _parse_share),
    "hits": ("hits", _parse_truth),
}
