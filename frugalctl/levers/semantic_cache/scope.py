"""Who may share an answer: the parts of a request that must be equal, exactly.

Texts are compared as they are, JSON by its value: the order of keys and the way numbers are
written (0, 0.0, 0e0) do not matter. A part that is missing, null or empty is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any, cast

from frugalctl.levers.semantic_cache.settings import SCOPE_KEYS, ScopeKey

_DIGEST_BYTES = 16
_EXACT_INTEGERS = 2**53
_EXACT: tuple[ScopeKey, ...] = ("tenant", "history")
_FILLED: tuple[ScopeKey, ...] = ("model", "system", "tools", "sampling")
"""What a query may leave unsaid. Whose answer it is, and to what talk, it may not."""

ScopeGroups = dict[tuple[str | None, ...], list["ScopeParts"]]


@dataclass(frozen=True, slots=True)
class ScopeParts:
    """What the scope of a request is made of.

    Attributes:
        tenant: whose request it is.
        model: the model asked.
        system: digest of the system messages, None without one.
        tools: digest of the tools, likewise.
        sampling: digest of the sampling settings.
        history: digest of the conversation before the question.
    """

    tenant: str | None = None
    model: str | None = None
    system: str | None = None
    tools: str | None = None
    sampling: str | None = None
    history: str | None = None


def digest_json(value: Any) -> str | None:
    """32 hexadecimal digits that name a JSON value; None for null and for empty containers.

    Raises:
        ValueError: a number that is not finite.
        RecursionError: the value is nested too deeply.
    """
    if value is None or value == [] or value == {}:
        return None
    return _digest(encode_canonically(value))


def encode_canonically(value: Any) -> str:
    """JSON text that is equal for equal values and for no others.

    Raises:
        ValueError: a number that is not finite.
    """
    return _encode(_settle_numbers(value))


def _encode(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _settle_numbers(value: Any) -> Any:
    """The same value, with whole floats as integers."""
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _EXACT_INTEGERS
        return int(value) if whole else value
    if isinstance(value, dict):
        return {key: _settle_numbers(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_settle_numbers(item) for item in cast("list[Any]", value)]
    return value


def digest_scope(parts: ScopeParts, keys: Sequence[str] = SCOPE_KEYS) -> str:
    """32 hexadecimal digits that name the scope of a request.

    Args:
        parts: all parts.
        keys: those that enter; in any order.
    """
    # pairs in JSON: neither a value nor a missing part can pass for another
    chosen = [[key, getattr(parts, key)] for key in SCOPE_KEYS if key in keys]
    return _digest(_encode(chosen))


def _digest(text: str) -> str:
    return blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()


def group_scopes(scopes: Iterable[ScopeParts], keys: Sequence[str] = SCOPE_KEYS) -> ScopeGroups:
    """The scopes of all entries by tenant and history, for `resolve_scope`."""
    groups: ScopeGroups = {}
    for parts in dict.fromkeys(scopes):
        groups.setdefault(_group_of(asdict(parts), keys), []).append(parts)
    return groups


def _group_of(parts: Mapping[Any, str | None], keys: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(parts.get(key) for key in _EXACT if key in keys)


def resolve_scope(
    known: Mapping[ScopeKey, str | None],
    groups: ScopeGroups,
    keys: Sequence[str] = SCOPE_KEYS,
) -> tuple[str | None, str]:
    """The scope that a query belongs to, as far as it says and the entries tell.

    Tenant and history are exact: what a query does not say of them it does not have. Model,
    system prompt, tools and sampling may stay unsaid as long as all entries of that tenant and
    history, and of what else the query says, agree.

    Args:
        known: the parts that the query says, as in `ScopeParts`; None says that there is none.
        groups: the scopes of all entries, from `group_scopes`.
        keys: the parts that matter.

    Returns:
        The scope's digest and "", or None and why there is none.
    """
    said = dict.fromkeys(_EXACT) | dict(known)
    fixed = {key: value for key, value in said.items() if key in keys}
    fitting = [
        parts
        for parts in groups.get(_group_of(fixed, keys), ())
        if all(getattr(parts, key) == value for key, value in fixed.items())
    ]
    if not groups:
        return None, "the index is empty"
    if not fitting:
        return None, f"no entries {_describe(fixed)}"
    for key in _FILLED:
        if key not in keys or key in fixed:
            continue
        values = {getattr(parts, key) for parts in fitting}
        if len(values) > 1:
            _, plural, option = _WORDS[key]
            return None, f"entries of {len(values)} {plural}: say which with {option}"
        fixed[key] = values.pop()
    return digest_scope(ScopeParts(**fixed), keys), ""


_WORDS = {
    "model": ("model", "models", "--model"),
    "system": ("system prompt", "system prompts", "--system, or build with --scope"),
    "tools": ("set of tools", "sets of tools", '"tools"'),
    "sampling": ("sampling setting", "sampling settings", '"sampling"'),
}


def _describe(fixed: dict[str, str | None]) -> str:
    """What was asked for, in words; digests say nothing to a reader."""
    words: list[str] = []
    if "tenant" in fixed:
        tenant = fixed["tenant"]
        words.append("without a tenant" if tenant is None else f"of tenant {tenant!r}")
    if fixed.get("model") is not None:
        words.append(f"of model {fixed['model']!r}")
    if fixed.get("history") is not None:
        words.append("after this conversation")
    others = [_WORDS[key][0] for key in _FILLED[1:] if key in fixed]
    if others:
        words.append(f"with this {', '.join(others)}")
    return " ".join(words) or "at all"
