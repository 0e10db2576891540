"""What every match engine takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.prompt_cache.hashing import Counts
from frugalctl.levers.prompt_cache.prompts import Prompts

EngineName = Literal["blocks", "breakpoints", "units", "named", "radix", "slot", "modules"]
Visible = Literal["immediately", "response_start", "after_request"]
WriteClass = Literal["fresh", "write", "write_1h"]


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """Where a prompt is marked for caching.

    Attributes:
        place: "tools", "system" (its last message), "last", a message's number (0 is the first
            that is not tools, -1 the last), or "logged": wherever the log has `cache_control`.
        one_hour: whether it is written for an hour instead of five minutes; None leaves that to
            the cache's mode. The log's own say it themselves.
    """

    place: str | int
    one_hour: bool | None = None


@dataclass(frozen=True, slots=True)
class MatchRules:
    """The rules of one cache, in full. Times are microseconds, None is without limit.

    Attributes:
        engine: which engine matches by them.
        hits: false for a cache that we assume never to hit (a pessimistic bound).
        unit_tokens: the match unit of text; None takes the engine's own or the trace's.
        min_tokens: shorter prefixes are neither read nor, at breakpoints, written.
        step_tokens: reads are rounded down to a multiple of this.
        fresh_min_tokens: so many tokens of a prompt are computed even if all are cached.
        ttl_us: how long an entry lives, counted from the start of its last use.
        ttl_1h_us: the same of entries that are written for an hour.
        sliding: whether a use renews it; if not, it lives so long from its writing.
        max_life_us: how long it lives at most, however often it is used.
        capacity_tokens: what the cache holds; the least recently used goes first.
        written_as: the class in which new tokens are billed.
        breakpoints: where prompts are marked.
        lookback_blocks: how many blocks a read tries, its breakpoint's own included.
        visible: when an entry can be read first, where the log tells these times.
        prefix_tokens: the size of the prefix in a named cache; None takes tools and system.
        slots: prompts held at once by a slot cache.
        similarity: share of a prompt that a slot must have to be chosen over the oldest.
    """

    engine: EngineName
    hits: bool = True
    unit_tokens: int | None = None
    min_tokens: int = 0
    step_tokens: int = 1
    fresh_min_tokens: int = 0
    ttl_us: int | None = None
    ttl_1h_us: int | None = None
    sliding: bool = True
    max_life_us: int | None = None
    capacity_tokens: int | None = None
    written_as: WriteClass = "fresh"
    breakpoints: tuple[Breakpoint, ...] = (Breakpoint("last"),)
    lookback_blocks: int = 20
    visible: Visible = "immediately"
    prefix_tokens: int | None = None
    slots: int = 1
    similarity: float = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a cache did with n prompts: disjoint classes, whose sum is each prompt's input.

    Attributes:
        read_tokens: int64[n].
        write_tokens: int64[n], billed as writes (for five minutes, where that is said).
        write_1h_tokens: int64[n], billed as writes for an hour.
        fresh_tokens: int64[n], the rest, written free of charge or not at all.
        storage_token_hours: float64[n], paid storage that the prompt began or prolonged.
    """

    read_tokens: Counts
    write_tokens: Counts
    write_1h_tokens: Counts
    fresh_tokens: Counts
    storage_token_hours: NDArray[np.float64]

    @property
    def input_tokens(self) -> Counts:
        """int64[n], the sum of the classes."""
        return self.read_tokens + self.write_tokens + self.write_1h_tokens + self.fresh_tokens


class Engine(Protocol):
    """A match engine."""

    def __call__(self, prompts: Prompts, rules: MatchRules) -> Outcome:
        """Match prompts, which stand in the order of their times, none of them missing."""
        ...


def make_outcome(
    prompts: Prompts,
    read_tokens: Counts | Sequence[int],
    write_tokens: Counts | Sequence[int] | None = None,
    write_1h_tokens: Counts | Sequence[int] | None = None,
    storage_token_hours: Sequence[float] | None = None,
) -> Outcome:
    """An outcome in counted tokens, from what was read and written."""
    read, write, write_1h = (
        np.zeros(len(prompts), np.int64) if part is None else np.array(part, dtype=np.int64)
        for part in (read_tokens, write_tokens, write_1h_tokens)
    )
    fresh = prompts.counted_tokens - read - write - write_1h
    stored = np.zeros(len(prompts)) if storage_token_hours is None else storage_token_hours
    return Outcome(read, write, write_1h, fresh, np.array(stored, dtype=np.float64))


def limit_reads(prompts: Prompts, matched_tokens: Counts, rules: MatchRules) -> Counts:
    """Reads from matched tokens: whole steps, at least the minimum, never too much."""
    most = np.maximum(prompts.counted_tokens - rules.fresh_min_tokens, 0)
    reads = np.minimum(matched_tokens, most)
    reads -= reads % rules.step_tokens
    reads[reads < rules.min_tokens] = 0
    return reads


def bill_writes(prompts: Prompts, reads: Counts, rules: MatchRules) -> Outcome:
    """An outcome where every whole step beyond the reads is written."""
    if rules.written_as == "fresh":
        return make_outcome(prompts, reads)
    whole = prompts.counted_tokens - prompts.counted_tokens % rules.step_tokens
    whole[whole < rules.min_tokens] = 0
    writes = np.maximum(whole - reads, 0)
    if rules.written_as == "write":
        return make_outcome(prompts, reads, writes)
    return make_outcome(prompts, reads, None, writes)


def scale_outcome(outcome: Outcome, counted: Counts, logged: Counts) -> Outcome:
    """The same shares of another total.

    Boundaries between the classes are scaled and rounded, so that the classes still add up.

    Args:
        outcome: of n prompts, in counted tokens.
        counted: int64[n], their totals.
        logged: int64[n], the totals wanted.
    """
    safe = np.maximum(counted, 1)
    times, rest = np.divmod(logged, safe)  # a plain product could exceed 64 bits
    done = scaled_before = np.zeros(len(counted), dtype=np.int64)
    scaled: list[Counts] = []
    for item in fields(outcome)[:4]:
        done = done + getattr(outcome, item.name)
        scaled_until = done * times + (done * rest + safe // 2) // safe
        scaled.append(scaled_until - scaled_before)
        scaled_before = scaled_until
    read, write, write_1h, fresh = scaled
    fresh = fresh + logged - scaled_before
    return Outcome(read, write, write_1h, fresh, outcome.storage_token_hours * (logged / safe))
