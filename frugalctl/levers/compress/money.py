"""What a shorter prompt saves, beside what a provider's prompt cache would save.

Input tokens only: what a model answers is not known here. Calls that are sent again within the
cache's lifetime write a prefix once and read it from then on, which is how a long prefix that
stays can be cheaper whole than a short prompt that is another one each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frugalctl.errors import PriceError
from frugalctl.levers.compress.budget import Count
from frugalctl.levers.compress.pieces import CompressedPart
from frugalctl.levers.compress.pipeline import CompressedPrompt

if TYPE_CHECKING:
    from frugalctl.prices import PriceBook

AS_IT_IS = "as it is"
COMPRESSED = "compressed"
AS_IT_IS_CACHED = "as it is, prefix cached"
COMPRESSED_CACHED = "compressed, prefix cached"


@dataclass(frozen=True, slots=True)
class InputPrices:
    """How a model's input is priced on a day.

    Attributes:
        model: whose.
        book_id: of the price book.
        day: of the prices, as a date.
        price: dollars of a call with so many tokens fresh, read from the cache, written to it.
        min_cache_tokens: a shorter prefix is not cached; None if the rules do not say.
        lifetime_s: how long a cached prefix stays; None if the rules do not say.
        has_cache: whether the provider caches prefixes of this model.
    """

    model: str
    book_id: str
    day: str
    price: Callable[[int, int, int], float]
    min_cache_tokens: int | None = None
    lifetime_s: int | None = None
    has_cache: bool = True


@dataclass(frozen=True, slots=True)
class PromptSize:
    """Tokens of a prompt before and after, and of the prefix that other calls share.

    Attributes:
        before: of the original.
        after: of the compressed one.
        prefix_before: of what stands before the question.
        prefix_after: of what the compression makes of it whatever is asked.
    """

    before: int
    after: int
    prefix_before: int = 0
    prefix_after: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A way to send the prompts, and what the first and each further call costs, in USD."""

    name: str
    first_usd: float
    next_usd: float

    def cost_usd(self, calls: int) -> float:
        """What so many calls cost."""
        return self.first_usd + (calls - 1) * self.next_usd if calls else 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """From so many calls on, this plan is the cheapest."""

    calls: int
    plan: str


def load_prices(book: PriceBook, model: str, *, as_of_us: int | None = None) -> InputPrices:
    """The input prices of a model, with the rules of its provider's cache.

    Args:
        book: the price book.
        model: whose.
        as_of_us: the day, in microseconds since 1970; by default the book's own.

    Raises:
        PriceError: the model has no price on that day.
    """
    from datetime import UTC, datetime

    from frugalctl.prices import quote_call
    from frugalctl.prices.cache_rules import find_cache_rule

    def price(fresh: int, read: int, written: int) -> float:
        tokens = {"fresh_input": fresh, "cache_read": read, "cache_write": written}
        return quote_call(book, model, tokens, as_of_us=as_of_us).cost_usd

    price(1, 0, 0)
    key = book.resolve(model, None)
    if key is None:
        raise PriceError(f"{model}: unknown model")
    day = book.checked_on
    if as_of_us is not None:
        day = datetime.fromtimestamp(as_of_us // 1_000_000, tz=UTC).date()
    rule = find_cache_rule(key.provider, "", key.model, day)
    return InputPrices(
        model,
        book.book_id,
        str(day),
        price,
        rule.min_tokens if rule else None,
        rule.ttl_s if rule else None,
        rule is not None and rule.engine != "none",
    )


def measure_prompt(
    short: CompressedPrompt, count: Count, *, by_question: bool, cached_share: float | None = None
) -> PromptSize:
    """The tokens of a prompt, and of the prefix that stays the same whatever is asked.

    The prefix ends where the last question begins, or with the prompt if none stands in it. What
    was chosen by the question is another one with each question, so of a prompt compressed by it
    only what stands before the first choice is shared.

    Args:
        short: the compressed prompt.
        count: tokens of a text for its model.
        by_question: whether the method chooses by the question, if there is one.
        cached_share: the share of the original that is shared, if the user knows better.
    """
    end = _find_end(short.parts)
    chosen = _find_choice(short) if by_question and is_chosen_by_question(short) else None
    if cached_share is None:
        before = _count_until(short.parts, end, count, original=True)
        after = _count_until(short.parts, min(end, chosen or end), count, original=False)
        return PromptSize(short.tokens_before, short.tokens_after, before, after)
    before = math.floor(short.tokens_before * cached_share)
    after = math.floor(short.tokens_after * cached_share)
    if chosen:
        after = min(after, _count_until(short.parts, chosen, count, original=False))
    return PromptSize(short.tokens_before, short.tokens_after, before, after)


def is_chosen_by_question(short: CompressedPrompt) -> bool:
    """Whether something was chosen by what it is worth to a question."""
    return bool(short.question) and _find_choice(short) is not None


def list_plans(sizes: Sequence[PromptSize], prices: InputPrices) -> list[Plan]:
    """What each way to send the prompts costs; those that the cache's rules allow.

    Args:
        sizes: of the prompts; a call of the plan is one call with each of them.
        prices: of the model's input.
    """
    plans = [
        _plan(AS_IT_IS, [(one.before, 0) for one in sizes], prices),
        _plan(COMPRESSED, [(one.after, 0) for one in sizes], prices),
    ]
    if not prices.has_cache:
        return plans
    for name, split in (
        (AS_IT_IS_CACHED, [(one.before, one.prefix_before) for one in sizes]),
        (COMPRESSED_CACHED, [(one.after, one.prefix_after) for one in sizes]),
    ):
        if any(_cacheable(prefix, prices) for _, prefix in split):
            plans.append(_plan(name, split, prices))
    return plans


def find_turns(plans: Sequence[Plan]) -> list[Turn]:
    """Which plan is the cheapest at how many calls: the first from 1 on, then each change.

    Ties go to the plan that comes first.
    """
    calls = 1
    best = min(plans, key=lambda plan: plan.cost_usd(1))
    turns = [Turn(1, best.name)]
    while True:
        later = [
            (_find_crossing(best, plan, calls), at)
            for at, plan in enumerate(plans)
            if plan.next_usd < best.next_usd
        ]
        if not later:
            return turns
        calls = min(crossing for crossing, _ in later)
        best = min(plans, key=lambda plan: plan.cost_usd(calls))
        turns.append(Turn(calls, best.name))


def _find_crossing(held: Plan, other: Plan, calls: int) -> int:
    """The fewest calls, more than `calls`, at which the other plan costs less."""
    ahead = other.cost_usd(1) - held.cost_usd(1)
    found = max(math.floor(1 + ahead / (held.next_usd - other.next_usd)) - 1, calls + 1)
    while other.cost_usd(found) >= held.cost_usd(found):
        found += 1
    return found


def _plan(name: str, split: Sequence[tuple[int, int]], prices: InputPrices) -> Plan:
    first = later = 0.0
    for tokens, prefix in split:
        prefix = prefix if _cacheable(prefix, prices) else 0
        first += prices.price(tokens - prefix, 0, prefix)
        later += prices.price(tokens - prefix, prefix, 0)
    return Plan(name, first, later)


def _cacheable(prefix: int, prices: InputPrices) -> bool:
    return prefix > 0 and prefix >= (prices.min_cache_tokens or 0)


def _find_end(parts: Sequence[CompressedPart]) -> tuple[int, int]:
    """Part and offset where the last question begins, or the end of the prompt."""
    for at in range(len(parts) - 1, -1, -1):
        asked = [one for one in parts[at].part.segments if one.kind == "question"]
        if asked:
            return at, asked[-1].start
    return len(parts), 0


def _find_choice(short: CompressedPrompt) -> tuple[int, int] | None:
    """Part and offset of the first piece that was scored."""
    for at, part in enumerate(short.parts):
        for piece in part.pieces:
            if piece.score is not None:
                return at, piece.start
    return None


def _count_until(
    parts: Sequence[CompressedPart], end: tuple[int, int], count: Count, *, original: bool
) -> int:
    """Tokens of what stands before an offset of a part."""
    at, offset = end
    tokens = 0
    for part in parts[:at]:
        tokens += count(part.part.text if original else part.text)
    if at < len(parts) and offset:
        pieces = (piece for piece in parts[at].pieces if piece.start < offset)
        text = parts[at].part.text[:offset]
        tokens += count(text if original else "".join(piece.text for piece in pieces))
    return tokens
