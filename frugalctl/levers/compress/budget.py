"""The budget of a compression, in tokens of the model that will read it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from frugalctl.errors import UsageError
from frugalctl.levers.compress.pieces import CompressedPart, Part
from frugalctl.levers.compress.protect import ALWAYS
from frugalctl.levers.compress.segments import is_markup
from frugalctl.levers.compress.settings import LLMLINGUA_RATE, CompressSettings
from frugalctl.tokens import count_text

Count = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens may be left.

    Attributes:
        tokens: at most so many; None for no limit.
        warnings: why it is not what was asked for.
    """

    tokens: int | None
    warnings: tuple[str, ...] = ()


def make_counter(model: str) -> Count:
    """A function that counts the tokens of a text for a model."""
    return lambda text: count_text(text, model)


def count_parts(parts: Iterable[CompressedPart], count: Count) -> int:
    """Tokens of what the parts have become, each joined as it will be sent."""
    return sum(count(part.text) for part in parts)


def count_least(parts: Sequence[Part], count: Count) -> int:
    """Tokens of what always stays: locked segments, and spans that can never be dropped."""
    return sum(count(_keep_least(part)) for part in parts)


def set_budget(
    settings: CompressSettings, parts: Sequence[Part], tokens: int, count: Count, *, strict: bool
) -> Budget:
    """The tokens that may be left of a prompt.

    A rate is the share of the prompt's own tokens, rounded down. LLMLingua's methods keep half
    where nothing is said, as the package does.

    Args:
        settings: `rate` or `target_tokens`.
        parts: of the original prompt.
        tokens: of the original prompt.
        count: tokens of a text for the target model.
        strict: fail where the budget makes no sense for this prompt; else warn and come as near
            as can be, which suits many prompts under one setting.

    Raises:
        UsageError: strict, and the target is larger than the prompt, or smaller than what has to
            stay.
    """
    asked = _ask(settings, tokens)
    if asked is None:
        return Budget(None)
    if asked > tokens:
        message = f"the target of {asked} tokens is more than the prompt has: {tokens}"
        if strict:
            raise UsageError(message, hint="give a smaller target, or none for the lossless tier")
        return Budget(asked, (f"{message}; nothing has to go",))
    least = count_least(parts, count)
    if asked >= max(least, 1):
        return Budget(asked)
    message = f"{asked} tokens are too few: what is locked or protected is {least}"
    if strict:
        raise UsageError(message, hint=f"give a target of {max(least, 1)} tokens or more")
    return Budget(max(least, 1), (message,))


def _ask(settings: CompressSettings, tokens: int) -> int | None:
    if settings.target_tokens is not None:
        return settings.target_tokens
    rate = settings.rate
    if rate is None and settings.method != "extractive" and "lossy" in settings.tiers:
        rate = LLMLINGUA_RATE
    # The product of a rate such as 0.29 and 100 is a little below the whole number that it means.
    return None if rate is None else math.floor(tokens * rate + 1e-9)


def _keep_least(part: Part) -> str:
    """The characters of a part that no tier may drop, in their order."""
    wanted = [
        (item.start, item.end) for item in part.segments if item.locked and not is_markup(item)
    ]
    wanted += [(span.start, span.end) for span in part.protected if span.reason in ALWAYS]
    kept: list[str] = []
    at = 0
    for start, end in sorted(wanted):
        if end > at:
            kept.append(part.text[max(start, at) : end])
            at = end
    return "".join(kept)
