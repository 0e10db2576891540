"""The prompts of a log, compressed: each distinct one once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import msgspec
import xxhash

from frugalctl.errors import InputError
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import Prompt, build_prompt
from frugalctl.levers.compress.settings import TIERS, CompressSettings, Tier
from frugalctl.tokens import count_messages

_NUMBER = re.compile(r"\d[\d,.]*")


@dataclass(frozen=True, slots=True)
class ShortPrompt:
    """A prompt of m messages, and what it has become.

    Attributes:
        messages: m numbers of the messages as they were, equal for equal messages.
        results: m numbers of what they have become.
        before: tokens of the tools and then of each message, m + 1 counts.
        after: likewise, of what they have become.
        after_tier: tokens in all after each tier of `TIERS`.
        changed_by: the last tier that changed the text; None where none did.
        kept_as_is: of each message, whether the lossy tier left it as it found it.
        warnings: what was met, without its numbers.
    """

    messages: tuple[int, ...]
    results: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    after_tier: tuple[int, ...]
    changed_by: Tier | None
    kept_as_is: tuple[bool, ...]
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Shortener:
    """Compresses prompts, and keeps the distinct messages that they are made of.

    Attributes:
        settings: how to compress.
        texts: the distinct messages, before and after, as JSON.
    """

    settings: CompressSettings
    texts: list[bytes] = field(default_factory=list[bytes])
    _numbers: dict[bytes, int] = field(default_factory=dict[bytes, int])
    _counts: dict[int, int] = field(default_factory=dict[int, int])
    _known: dict[bytes, ShortPrompt] = field(default_factory=dict[bytes, ShortPrompt])

    def shorten(self, messages: str, tools: str | None) -> ShortPrompt:
        """Compress a request's messages.

        Its tools are sent as they are. Where its markup is broken nothing is changed.

        Args:
            messages: a JSON list of messages.
            tools: a JSON list of tools, if there are any.

        Raises:
            ValueError: the messages are not a list of objects.
            ConfigError, InputError, MissingExtraError: see `compress_prompt`.
        """
        key = xxhash.xxh3_128_digest(f"{tools or ''}\0{messages}".encode())
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._shorten(messages, tools)
        return known

    def join(self, short: ShortPrompt) -> str:
        """The compressed messages as a JSON list."""
        listed = b",".join([self.texts[at] for at in short.results])
        return f"[{listed.decode()}]"

    def _shorten(self, messages: str, tools: str | None) -> ShortPrompt:
        try:
            raws = [bytes(raw) for raw in msgspec.json.decode(messages, type=list[msgspec.Raw])]
            values: list[dict[str, Any]] = [_decode_object(raw) for raw in raws]
        except (msgspec.DecodeError, TypeError):
            raise ValueError("messages is not a JSON list of objects") from None
        steps, warnings = self._run_tiers(values)
        own = tuple(map(self._intern, raws))
        numbered = [own]
        for step in steps:
            numbered.append(
                tuple(
                    number if new == value else self._intern(msgspec.json.encode(new))
                    for number, value, new in zip(own, values, step, strict=True)
                )
            )
        counts = [tuple(map(self._count, numbers)) for numbers in numbered]
        fixed = count_messages([], self._read_tools(tools), self.settings.model)
        changed: Tier | None = None
        for tier, old, new in zip(TIERS, numbered[:-1], numbered[1:], strict=True):
            changed = tier if old != new else changed
        return ShortPrompt(
            messages=own,
            results=numbered[-1],
            before=(fixed, *counts[0]),
            after=(fixed, *counts[-1]),
            after_tier=tuple(fixed + sum(step) for step in counts[1:]),
            changed_by=changed,
            kept_as_is=tuple(a == b for a, b in zip(numbered[-2], numbered[-1], strict=True)),
            warnings=tuple(dict.fromkeys(_NUMBER.sub("N", text) for text in warnings)),
        )

    def _run_tiers(self, values: list[dict[str, Any]]) -> tuple[list[Any], Sequence[str]]:
        """The messages after each tier, and the warnings of the whole."""
        settings = self.settings
        try:
            prompt = build_prompt(values, patterns=settings.protect)
        except InputError as error:
            return [values] * len(TIERS), (error.message,)
        steps: list[Any] = []
        warnings: Sequence[str] = ()
        for at, tier in enumerate(TIERS):
            if tier not in settings.tiers:
                steps.append(steps[-1] if steps else values)
                continue
            tiers = tuple(one for one in settings.tiers if one in TIERS[: at + 1])
            value, warnings = _compress(prompt, replace(settings, tiers=tiers))
            steps.append(value)
        return steps, warnings

    def _intern(self, raw: bytes) -> int:
        number = self._numbers.setdefault(raw, len(self.texts))
        if number == len(self.texts):
            self.texts.append(raw)
        return number

    def _count(self, number: int) -> int:
        """Tokens of a message, without those that prime the reply."""
        known = self._counts.get(number)
        if known is None:
            message = _decode_object(self.texts[number])
            model = self.settings.model
            known = count_messages([message], None, model) - count_messages([], None, model)
            self._counts[number] = known
        return known

    def _read_tools(self, tools: str | None) -> list[Any] | None:
        decoded: Any = None if tools is None else msgspec.json.decode(tools)
        return cast("list[Any]", decoded) if isinstance(decoded, list) else None


def _compress(prompt: Prompt, settings: CompressSettings) -> tuple[Any, Sequence[str]]:
    """What the prompt becomes; a budget is for the lossy tier to keep."""
    if "lossy" not in settings.tiers:
        settings = replace(settings, rate=None, target_tokens=None)
    short = compress_prompt(prompt, settings, strict=False)
    return short.value, short.warnings


def _decode_object(raw: bytes) -> dict[str, Any]:
    value: Any = msgspec.json.decode(raw)
    if not isinstance(value, dict):
        raise TypeError
    return cast("dict[str, Any]", value)
