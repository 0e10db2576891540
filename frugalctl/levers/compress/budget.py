"""The budget of a compression, in tokens of the model that will read it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from frugalctl.errors import UsageError
from frugalctl.levers.compress.pieces import CompressedPart
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


class BudgetError(UsageError):
    """What has to stay is more than the budget.

    Attributes:
        least_tokens: the smallest budget that can be kept.
    """

    def __init__(self, budget_tokens: int, least_tokens: int) -> None:
        super().__init__(
            f"{budget_tokens} tokens are too few: what has to stay is {least_tokens}",
            hint=f"give a target of {least_tokens} tokens or more",
        )
        self.least_tokens = least_tokens


def make_counter(model: str) -> Count:
    """A function that counts the tokens of a text for a model."""
    return lambda text: count_text(text, model)


def count_parts(parts: Iterable[CompressedPart], count: Count) -> int:
    """Tokens of what the parts have become, each joined as it will be sent."""
    return sum(count(part.text) for part in parts)


def set_budget(settings: CompressSettings, tokens: int, *, strict: bool) -> Budget:
    """The tokens that may be left of a prompt.

    A rate is the share of the prompt's own tokens, rounded down. LLMLingua's methods keep half
    where nothing is said, as the package does.

    Args:
        settings: `rate` or `target_tokens`.
        tokens: of the original prompt.
        strict: fail where the target is larger than the prompt; else warn, which suits many
            prompts under one setting.

    Raises:
        UsageError: strict, and the target is larger than the prompt.
    """
    asked = _ask(settings, tokens)
    if asked is None:
        return Budget(None)
    if asked > tokens:
        message = f"the target of {asked} tokens is more than the prompt has: {tokens}"
        if strict:
            raise UsageError(message, hint="give a smaller target, or none for the lossless tier")
        return Budget(asked, (f"{message}; nothing has to go",))
    return Budget(asked)


def _ask(settings: CompressSettings, tokens: int) -> int | None:
    if settings.target_tokens is not None:
        return settings.target_tokens
    rate = settings.rate
    if rate is None and settings.method != "extractive" and "lossy" in settings.tiers:
        rate = LLMLINGUA_RATE
    # The product of a rate such as 0.29 and 100 is a little below the whole number that it means.
    return None if rate is None else math.floor(tokens * rate + 1e-9)
