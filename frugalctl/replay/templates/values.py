"""Values for placeholders that the log does not know: given, or made as they would really be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import xxhash

from frugalctl.errors import ConfigError
from frugalctl.log.times import UNKNOWN_US
from frugalctl.replay.templates.parse import find_path
from frugalctl.replay.templates.spec import PromptSpec, Rate

_DIGIT = re.compile(r"\d")
_CLOCK = re.compile(r"\d:[0-5]\d")
_ID_SHARE = 0.8
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
    known = {name_value(slot.name) for slot in spec.old.slots}
    for slot in spec.template.slots:
        if find_source(spec, slot.name, known) is None and not _is_made(spec, slot.name):
            table, key = _write_key(spec.name), _write_key(find_path(slot.name))
            raise ConfigError(
                f"{{{slot.name}}} is new, and nobody knows its value",
                where=f"{spec.file}:{slot.line}",
                hint=f'in prompts.toml: [{table}.values] {key} = "..." '
                f'and, if it changes, [{table}.varies] {key} = "request"',
            )


def name_value(name: str) -> str:
    """What placeholders are called that share a value.

    A time in another format may change less often or more, so it is another value.
    """
    return name if _is_time(name) else find_path(name)


def find_source(spec: PromptSpec, name: str, known: Container[str]) -> str | None:
    """Which of the known values a placeholder takes; None if it is to be made.

    An attribute of something known, such as {user.name} where {user} was, counts as that.
    """
    value = name_value(name)
    if value in known:
        return value
    first = find_path(name).partition(".")[0]
    return first if first in known and not _is_made(spec, name) else None


def make_sign(spec: PromptSpec, name: str, facts: Facts, logged: str) -> str | None:
    """What would be the same in all requests that share a value, were it of the name's kind.

    Args:
        spec: the prompt.
        name: of the placeholder.
        facts: of the request.
        logged: the text in the place of the placeholder: a date without a clock is a day.

    Returns:
        None where any value may stand in any request.
    """
    path = find_path(name)
    known = _MAKER_OF.get(_normalise(path))
    usual = known[1] if known and path not in spec.values and known[1] != "tenant" else "never"
    rate = spec.varies.get(path, usual)
    if rate == "never" or (rate == "session" and facts.session is None):
        return None
    if not _is_time(name):
        return _find_key(rate, facts)
    made = _make_time(name, rate, facts)
    is_day = ":" not in name and _DIGIT.search(logged) and not _CLOCK.search(logged)
    return made[:10] if is_day else made


def is_often_enough(spec: PromptSpec, name: str, values: int, expected: int) -> bool:
    """Whether so many values of a placeholder will do where so many were expected.

    Ids differ, but for a few requests that were sent again. Times may be rounded, and what is
    declared may return, so these need only change at all.
    """
    path = find_path(name)
    is_id = not _is_time(name) and path not in spec.varies
    return values >= min(expected, max(2, expected * _ID_SHARE if is_id else 2))


def _is_made(spec: PromptSpec, name: str) -> bool:
    path = find_path(name)
    return path in spec.values or _find_maker(path) is not None


def _is_time(name: str) -> bool:
    known = _find_maker(find_path(name))
    return known is not None and known[0] in (_make_time, _make_day)


def _write_key(name: str) -> str:
    """A key as TOML has it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def fill_in(spec: PromptSpec, name: str, facts: Facts) -> str:
    """The value of a new placeholder in a request.

    A declared value stands as it is; if it varies, eight hexadecimal digits go before it.
    Times are the request's own, ids follow from its id, so the same log gives the same values.

    Raises:
        ConfigError: the request has no tenant where one is asked for.
    """
    path = find_path(name)
    given, rate = spec.values.get(path), spec.varies.get(path)
    if given is not None:
        if rate in (None, "never"):
            return given
        return f"{_hash(path, _find_key(rate, facts))[:8]} {given}"
    maker = _find_maker(path)
    assert maker is not None
    make, usual = maker
    chosen = rate or usual
    value = make(name, chosen, facts)
    if value is None:
        raise ConfigError(
            f"{{{name}}} is the tenant, and request {facts.row + 1} of the log has none",
            where=spec.file,
            hint=f'in prompts.toml: [{_write_key(spec.name)}.values] {_write_key(path)} = "..."',
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


def _make_time(name: str, rate: Rate, facts: Facts) -> str:
    time_us = _find_time(facts)
    if rate == "day":
        time_us -= time_us % _DAY_US
    elif rate != "request":
        time_us = _UNTIMED_FROM_US + int(_hash(_find_key(rate, facts))[:7], 16) * 1_000_000
    moment = datetime.fromtimestamp(time_us // 1_000_000, tz=UTC)
    form = name.partition(":")[2]
    return moment.strftime(form) if "%" in form else moment.isoformat().replace("+00:00", "Z")


def _make_day(name: str, rate: Rate, facts: Facts) -> str | None:
    made = _make_time(name, rate, facts)
    return made if ":" in name else made[:10]


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


def _find_maker(path: str) -> tuple[_Maker, Rate] | None:
    """How a value of that name is made; "request.id" and "Now" count as "request_id" and "now"."""
    return _MAKER_OF.get(_normalise(path)) or _MAKER_OF.get(path.rpartition(".")[2].lower())


def _normalise(path: str) -> str:
    return path.lower().replace(".", "_")
