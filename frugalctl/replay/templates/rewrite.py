"""Requests of a log with the messages that a template made, made again with the new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec

from frugalctl.log.schema import LogBatch
from frugalctl.log.times import UNKNOWN_US
from frugalctl.replay.templates.parse import Template
from frugalctl.replay.templates.spec import PromptSpec
from frugalctl.replay.templates.values import Facts, fill_in, find_source, name_value

_TEXT_PARTS = ("text", "input_text")
ROLES_OF = {"system": ("system", "developer"), "developer": ("developer",), "user": ("user",)}
"""Whose messages a prompt of each role is looked for in."""

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Place:
    """A text within a request's messages.

    Attributes:
        message: its number.
        part: its number within the message's content; -1 where that is plain text.
        text: without carriage returns and without white space at either end.
        margins: the white space that stood there.
    """

    message: int
    part: int
    text: str
    margins: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """A prompt found in a request.

    Attributes:
        prompt: its number among the prompts.
        place: where.
        is_current: whether it is in the log as it will ship.
        values: of the slots of the template that made it.
        rivals: how many other prompts would have matched as well.
    """

    prompt: int
    place: Place
    is_current: bool
    values: tuple[str, ...]
    rivals: int = 0


@dataclass(frozen=True, slots=True)
class Render:
    """How a prompt is rendered.

    Attributes:
        template: the template.
        tail: what is sent as a message of its own behind all others; None for nothing.
    """

    template: Template
    tail: Template | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a text: the old one, and the new one with its values."""

    use: Use
    old: str
    new: str
    values: tuple[str, ...]
    tail: str | None


@dataclass(slots=True)
class Renderer:
    """Finds prompts in requests and renders them anew.

    Attributes:
        specs: the prompts, each with its old template or without one.
        renders: by prompt, how to render it instead; else by its template.
    """

    specs: Sequence[PromptSpec]
    renders: dict[int, Render] = field(default_factory=dict[int, Render])

    def find(self, messages: Sequence[Message], facts: Facts) -> list[Use]:
        """The prompts in a request, at most one a role: that with the most fixed text."""
        found: list[Use] = []
        for roles, specs in self._list_roles(facts):
            use = next(
                (
                    use
                    for place in list_places(messages, roles)
                    if (use := self._choose(place, specs)) is not None
                    and all(use.place != other.place for other in found)
                ),
                None,
            )
            if use is not None:
                found.append(use)
        return found

    def recall(self, messages: Sequence[Message], picks: Sequence[Use]) -> Iterator[Use]:
        """The prompts that `find` found in these messages, without the choice between them."""
        for use in picks:
            content = messages[use.place.message]["content"]
            text = content if use.place.part < 0 else _read_part(content[use.place.part])
            place = _make_place(use.place.message, use.place.part, text or "")
            spec = self.specs[use.prompt]
            source = spec.template if use.is_current else spec.old
            values = source.match(place.text) if source is not None else None
            assert values is not None
            yield Use(use.prompt, place, use.is_current, values)

    def change(self, use: Use, facts: Facts) -> Change:
        """A text, made anew.

        Raises:
            ConfigError: see `fill_in`.
        """
        spec = self.specs[use.prompt]
        source = spec.template if use.is_current else spec.old
        assert source is not None
        render = self.renders.get(use.prompt, Render(spec.template))
        fill = _Filler(spec, source, use.values, facts)
        values = fill.list_values(render.template)
        tail = None if render.tail is None else render.tail.render(fill.list_values(render.tail))
        new = render.template.render(values)
        return Change(use, use.place.text, new, values, tail)

    def _list_roles(
        self, facts: Facts
    ) -> Iterator[tuple[tuple[str, ...], list[tuple[int, PromptSpec]]]]:
        fitting = [(at, spec) for at, spec in enumerate(self.specs) if _fits(spec, facts)]
        for role in dict.fromkeys(spec.role for _, spec in fitting):
            roles = ROLES_OF[role]
            yield roles, [(at, spec) for at, spec in fitting if spec.role == role]

    def _choose(self, place: Place, specs: Sequence[tuple[int, PromptSpec]]) -> Use | None:
        matches: list[tuple[tuple[int, int, bool], Use]] = []
        for at, spec in specs:
            for template, is_current in spec.known:
                if (values := template.match(place.text)) is not None:
                    rank = (template.literal_chars, len(spec.filters), not is_current)
                    matches.append((rank, Use(at, place, is_current, values)))
        if not matches:
            return None
        best = max(matches, key=lambda match: match[0])[1]
        rivals = len({use.prompt for _, use in matches}) - 1
        return Use(best.prompt, place, best.is_current, best.values, rivals)


def list_places(messages: Sequence[Message], roles: tuple[str, ...]) -> Iterator[Place]:
    """The texts in messages of these roles; of user messages, in the last one only."""
    numbers = [at for at, message in enumerate(messages) if message.get("role", "user") in roles]
    for at in numbers[-1:] if roles == ("user",) else numbers:
        content = messages[at].get("content")
        if isinstance(content, str):
            yield _make_place(at, -1, content)
            continue
        parts = cast("list[Any]", content) if isinstance(content, list) else []
        for number, part in enumerate(parts):
            text = _read_part(part)
            if text is not None:
                yield _make_place(at, number, text)


def write_change(messages: Sequence[Message], changes: Sequence[Change]) -> list[Message]:
    """The messages with what was made anew in the place of what was there."""
    written = [dict(message) for message in messages]
    for change in changes:
        place = change.use.place
        message = written[place.message]
        text = f"{place.margins[0]}{change.new}{place.margins[1]}"
        if place.part < 0:
            message["content"] = text
            continue
        parts = list(cast("list[Any]", message["content"]))
        part = parts[place.part]
        parts[place.part] = text if isinstance(part, str) else {**part, "text": text}
        message["content"] = parts
    written += [{"role": "user", "content": one.tail} for one in changes if one.tail is not None]
    return written


def decode_messages(text: str | None) -> list[Message]:
    """Messages from their JSON; none where there are none.

    Raises:
        ValueError: not a list of objects.
    """
    if text is None:
        return []
    try:
        return msgspec.json.decode(text, type=list[dict[str, Any]])
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("messages is not a JSON list of objects") from None


def read_facts(batch: LogBatch, first: int) -> Iterator[Facts]:
    """What each request of a batch tells.

    Args:
        batch: the requests.
        first: the number in the log of the first of them.
    """
    times = batch.column("timestamp").cast("int64").fill_null(UNKNOWN_US).to_pylist()
    names = ("id", "session", "tenant", "task", "model")
    columns = [batch.column(name).to_pylist() for name in names]
    for row, (time_us, *values) in enumerate(zip(times, *columns, strict=True)):
        yield Facts(first + row, values[0], time_us, *values[1:])


@dataclass(slots=True)
class _Filler:
    """Takes the values of a matched text, and makes those that it does not have."""

    spec: PromptSpec
    source: Template
    values: tuple[str, ...]
    facts: Facts

    def list_values(self, template: Template) -> tuple[str, ...]:
        known: dict[str, list[str]] = {}
        for slot, value in zip(self.source.slots, self.values, strict=True):
            known.setdefault(name_value(slot.name), []).append(value)
        used: dict[str, int] = {}
        found: list[str] = []
        for slot in template.slots:
            source = find_source(self.spec, slot.name, known)
            if source is None:
                found.append(fill_in(self.spec, slot.name, self.facts))
                continue
            values = known[source]
            at = used.get(source, 0)
            used[source] = at + 1
            found.append(values[min(at, len(values) - 1)])
        return tuple(found)


def _fits(spec: PromptSpec, facts: Facts) -> bool:
    return all(getattr(facts, key) == value for key, value in spec.filters.items())


def _read_part(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    fields = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
    text = fields.get("text")
    return text if fields.get("type") in _TEXT_PARTS and isinstance(text, str) else None


def _make_place(message: int, part: int, text: str) -> Place:
    body = text.strip()
    start = text.find(body)
    margins = (text[:start], text[start + len(body) :])
    return Place(message, part, body.replace("\r\n", "\n"), margins)
