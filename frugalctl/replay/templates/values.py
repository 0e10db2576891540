"""Values for placeholders that the log does not know: given, or made as they would really be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import xxhash

from frugalctl.errors import ConfigError
from frugalctl.log.times import UNKNOWN_US
from frugalctl.replay.templates.spec import PromptSpec, Rate

_DAY_US = 86_400_000_000
_UNTIMED_FROM_US = 946_684_800_000_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What a request tells beside its messages.

    Attributes:
        row: its number in the log, from 0.
        time_us: microseconds since 1970, `UNKNOWN_US` without a timestamp.
    """

    row: int
    id: str | None
    time_us: int
    session: str | None
    tenant: str | None
    task: str | None
    model: str | None


def check_values(spec: PromptSpec) -> None:
    """Make sure that each new placeholder of a prompt can be filled in.

    Raises:
        ConfigError: one that is neither declared nor known, with how to declare it.
    """
    assert spec.old is not None
    known = {slot.name for slot in spec.old.slots}
    for slot in spec.template.slots:
        if (
            slot.name not in known
            and slot.name not in spec.values
            and _find_maker(slot.name) is None
        ):
            raise ConfigError(
                f"{{{slot.name}}} is new, and nobody knows its value",
                where=f"{spec.file}:{slot.line}",
                hint=f'in prompts.toml: [{spec.name}.values] {slot.name} = "..." '
                f'and, if it changes, [{spec.name}.varies] {slot.name} = "request"',
            )


def fill_in(spec: PromptSpec, name: str, facts: Facts) -> str:
    """The value of a new placeholder in a request.

    A declared value stands as it is; if it varies, eight hexadecimal digits go before it.
    Times are the request's own, ids follow from its id, so the same log gives the same values.

    Raises:
        ConfigError: the request has no tenant where one is asked for.
    """
    given, rate = spec.values.get(name), spec.varies.get(name)
    if given is not None:
        if rate in (None, "never"):
            return given
        return f"{_hash(name, _find_key(rate, facts))[:8]} {given}"
    maker = _find_maker(name)
    assert maker is not None
    make, usual = maker
    chosen = rate or usual
    value = make(name, chosen, facts)
    if value is None:
        raise ConfigError(
            f"{{{name}}} is the tenant, and request {facts.row + 1} of the log has none",
            where=spec.file,
            hint=f'in prompts.toml: [{spec.name}.values] {name} = "..."',
        )
    return value


def _find_key(rate: Rate, facts: Facts) -> str:
    """What is the same in all requests that share a value."""
    own = facts.id if facts.id is not None else f"#{facts.row}"
    keys: Mapping[Rate, str] = {
        "request": own,
        "session": f"{facts.tenant}\0{facts.session}" if facts.session is not None else own,
        "tenant": facts.tenant or "",
        "day": str(_find_time(facts) // _DAY_US),
        "never": "",
    }
    return keys[rate]


def _find_time(facts: Facts) -> int:
    """Its time; without one, a second for each request before it."""
    if facts.time_us == UNKNOWN_US:
        return _UNTIMED_FROM_US + facts.row * 1_000_000
    return facts.time_us


def _hash(*parts: str) -> str:
    return xxhash.xxh3_128_hexdigest("\0".join(parts).encode("utf-8", "surrogatepass"))


def hash_texts(*parts: str) -> int:
    """A 64-bit hash of texts."""
    return xxhash.xxh3_64_intdigest("\0".join(parts).encode("utf-8", "surrogatepass"))


def _make_time(name: str, rate: Rate, facts: Facts) -> str | None:
    time_us = _find_time(facts)
    if rate == "day":
        time_us -= time_us % _DAY_US
    elif rate != "request":
        time_us = _UNTIMED_FROM_US + int(_hash(_find_key(rate, facts))[:7], 16) * 1_000_000
    moment = datetime.fromtimestamp(time_us // 1_000_000, tz=UTC)
    return moment.isoformat().replace("+00:00", "Z")


def _make_day(name: str, rate: Rate, facts: Facts) -> str | None:
    made = _make_time(name, rate, facts)
    return made[:10] if made else None


def _make_id(name: str, rate: Rate, facts: Facts) -> str | None:
    return str(UUID(hex=_hash(_find_key(rate, facts))))


def _make_session(name: str, rate: Rate, facts: Facts) -> str | None:
    if rate == "session" and facts.session is not None:
        return facts.session
    return _make_id(name, rate, facts)


def _make_tenant(name: str, rate: Rate, facts: Facts) -> str | None:
    return facts.tenant if rate == "tenant" else _make_id(name, rate, facts)


_Maker = Callable[[str, Rate, Facts], str | None]
_MAKERS: tuple[tuple[str, _Maker, Rate], ...] = (
    ("now time timestamp datetime current_time current_datetime", _make_time, "request"),
    ("date today day current_date", _make_day, "day"),
    ("id request_id uuid guid nonce trace_id correlation_id", _make_id, "request"),
    ("session session_id conversation_id thread_id", _make_session, "session"),
    ("tenant tenant_id tenant_name user user_id user_name customer", _make_tenant, "tenant"),
)
_MAKER_OF: dict[str, tuple[_Maker, Rate]] = {
    name: (make, rate) for names, make, rate in _MAKERS for name in names.split()
}


def _find_maker(name: str) -> tuple[_Maker, Rate] | None:
    """How a value of that name is made; "request.id" and "Now" count as "request_id" and "now"."""
    plain = name.lower().replace(".", "_")
    return _MAKER_OF.get(plain) or _MAKER_OF.get(name.rpartition(".")[2].lower())
