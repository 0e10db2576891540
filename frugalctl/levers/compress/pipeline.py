"""A prompt through the tiers, in their order, with its protection and its budget verified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from frugalctl.errors import UsageError
from frugalctl.levers.compress.budget import (
    Budget,
    BudgetError,
    Count,
    count_parts,
    make_counter,
    set_budget,
)
from frugalctl.levers.compress.caution import warn_of_lost_orders
from frugalctl.levers.compress.manifest import write_manifest, write_output
from frugalctl.levers.compress.pieces import CompressedPart, Part, Piece
from frugalctl.levers.compress.prompt import Prompt, rebuild_value
from frugalctl.levers.compress.protect import verify_protected
from frugalctl.levers.compress.segments import cut_pieces
from frugalctl.levers.compress.settings import CompressSettings

_Cut = Callable[[Part, Sequence[Piece], CompressSettings], Sequence[Piece]]


@dataclass(frozen=True, slots=True)
class CompressedPrompt:
    """A prompt and what it has become.

    Attributes:
        prompt: the original.
        parts: what its parts have become.
        model: whose tokens are counted.
        tokens_before: of the original's texts.
        tokens_after: of what they have become.
        budget_tokens: at most so many were allowed; None for no limit.
        question: what it was compressed by; None where nothing is asked.
        warnings: what the user should know.
    """

    prompt: Prompt
    parts: tuple[CompressedPart, ...]
    model: str
    tokens_before: int
    tokens_after: int
    budget_tokens: int | None = None
    question: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def rate(self) -> float | None:
        """The share of the tokens that is left; None for a prompt without any."""
        return self.tokens_after / self.tokens_before if self.tokens_before else None

    @property
    def value(self) -> Any:
        """What it has become, in the shape that it came in: a text or decoded JSON."""
        return rebuild_value(self.prompt, self.parts)

    @property
    def text(self) -> str:
        """What it has become, as the file that is written."""
        return write_output(self.prompt, self.parts)

    def describe(self) -> dict[str, Any]:
        """The manifest, from which `manifest.restore` makes the original again."""
        return write_manifest(
            self.prompt,
            self.parts,
            self.text,
            tokens=(self.tokens_before, self.tokens_after),
            model=self.model,
            question=self.question,
            budget_tokens=self.budget_tokens,
            warnings=self.warnings,
        )


def compress_prompt(
    prompt: Prompt,
    settings: CompressSettings,
    question: str | None = None,
    *,
    strict: bool = True,
) -> CompressedPrompt:
    """Compress a prompt.

    Args:
        prompt: as `read_prompt`, `build_prompt` or `read_batch` gives it.
        settings: the tiers, and how much is to be left.
        question: what is asked of it; None for the question that was found in it.
        strict: fail where a budget cannot be kept or makes no sense for this prompt; else come as
            near as can be, and warn. A command on one prompt is strict; a replay of a log is not.

    Returns:
        The compressed prompt; all that is locked or protected in it is as it was.

    Raises:
        UsageError: the budget cannot be kept, or the method needs a question that is not there.
        FrugalError: a tier broke a protected span.
        MissingExtraError: the method needs a package that is not installed.
    """
    question = question or prompt.question
    count = make_counter(settings.model)
    before = sum(count(part.text) for part in prompt.parts)
    budget = set_budget(settings, before, strict=strict)
    parts = [CompressedPart(part, _cut(part, settings)) for part in prompt.parts]
    after = count_parts(parts, count)
    warnings = list(budget.warnings)
    if "lossy" in settings.tiers and _is_over(after, budget, settings):
        drop = _drop if strict else _drop_what_can_go
        allowed = after if budget.tokens is None else budget.tokens
        parts = drop(parts, question, count, allowed, settings)
        after = count_parts(parts, count)
    for part in parts:
        verify_protected(part.part, part.pieces)
        warnings += part.warnings
    warnings += warn_of_lost_orders(parts)
    _verify_budget(after, budget, settings, warnings, strict=strict)
    return CompressedPrompt(
        prompt,
        tuple(parts),
        settings.model,
        before,
        after,
        budget.tokens,
        question,
        tuple(dict.fromkeys(warnings)),
    )


def _cut(part: Part, settings: CompressSettings) -> tuple[Piece, ...]:
    """A part through the tiers that lose no content."""
    pieces: Sequence[Piece] = cut_pieces(part.text, part.segments)
    for tier, load in (("lossless", _load_lossless), ("structural", _load_structural)):
        if tier in settings.tiers:
            pieces = load()(part, pieces, settings)
    return tuple(pieces)


def _is_over(tokens: int, budget: Budget, settings: CompressSettings) -> bool:
    return settings.auto if budget.tokens is None else tokens > budget.tokens


def _drop(
    parts: Sequence[CompressedPart],
    question: str | None,
    count: Count,
    budget_tokens: int,
    settings: CompressSettings,
) -> list[CompressedPart]:
    if settings.method != "extractive":
        from frugalctl.levers.compress.llmlingua_tier import compress_with_llmlingua

        return compress_with_llmlingua(
            parts, question, count, budget_tokens, settings, coarse=settings.coarse
        )
    from frugalctl.levers.compress.extractive import select

    return select(parts, question, count, budget_tokens, settings)


def _drop_what_can_go(
    parts: Sequence[CompressedPart],
    question: str | None,
    count: Count,
    budget_tokens: int,
    settings: CompressSettings,
) -> list[CompressedPart]:
    """As `_drop`, but as near to the budget as can be, and unchanged where nothing can go."""
    try:
        return _drop(parts, question, count, budget_tokens, settings)
    except BudgetError as error:
        least = error.least_tokens
    except UsageError as error:
        return _warn(parts, error.message)
    try:
        return _drop(parts, question, count, least, settings)
    except UsageError as error:
        return _warn(parts, error.message)


def _warn(parts: Sequence[CompressedPart], message: str) -> list[CompressedPart]:
    return [replace(part, warnings=(*part.warnings, message)) for part in parts]


def _verify_budget(
    tokens: int, budget: Budget, settings: CompressSettings, warnings: list[str], *, strict: bool
) -> None:
    if budget.tokens is None or tokens <= budget.tokens:
        return
    message = f"{tokens} tokens are left, more than the {budget.tokens} that were asked for"
    if strict:
        hint = "give a larger target"
        if "lossy" not in settings.tiers:
            hint += ", or let the lossy tier run"
        raise UsageError(f"{message}; nothing was written", hint=hint)
    warnings.append(message)


def _load_lossless() -> _Cut:
    from frugalctl.levers.compress.lossless import apply

    return apply


def _load_structural() -> _Cut:
    from frugalctl.levers.compress.structural import apply

    return apply
