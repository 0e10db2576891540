"""Chained token blocks: OpenAI up to 5.5, xAI, Moonshot, vLLM, and traces by parameter.

A block is keyed by all tokens up to its end, so a read is a prompt's leading run of live blocks.
Those are used at the prompt's time, the rest is written at it.

Sources: OpenAI, "Prompt caching"; vLLM, "Automatic prefix caching"; Qin et al., "Mooncake" (2024).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from frugalctl.levers.prompt_cache.engine import MatchRules, Outcome, bill_writes, limit_reads
from frugalctl.levers.prompt_cache.hashing import Counts
from frugalctl.levers.prompt_cache.lifetimes import count_live
from frugalctl.levers.prompt_cache.prompts import Chain, Prompts, chain_blocks

DEFAULT_UNIT_TOKENS = 128


def match_blocks(prompts: Prompts, rules: MatchRules) -> Outcome:
    """Match by chained blocks; without a capacity by sorting alone."""
    chain = chain_blocks(prompts, rules.unit_tokens or DEFAULT_UNIT_TOKENS)
    idle_us, life_us = _find_limits(rules)
    if rules.capacity_tokens is None:
        matched = count_live(chain.keys, chain.ends, prompts.time_us, idle_us, life_us)
    else:
        matched = _count_live_held(prompts, chain, rules.capacity_tokens, idle_us, life_us)
    last = chain.ends[:-1] + matched - 1
    tokens = np.where(matched > 0, chain.tokens[last], 0) if len(chain.tokens) else matched
    return bill_writes(prompts, limit_reads(prompts, tokens, rules), rules)


def _find_limits(rules: MatchRules) -> tuple[int | None, int | None]:
    """How long a block lives without use, and after it was written."""
    if rules.sliding:
        return rules.ttl_us, rules.max_life_us
    lives = [life for life in (rules.ttl_us, rules.max_life_us) if life is not None]
    return None, min(lives, default=None)


@dataclass(slots=True)
class _Block:
    used_us: int
    written_us: int
    tokens: int


def _count_live_held(
    prompts: Prompts,
    chain: Chain,
    capacity_tokens: int,
    idle_us: int | None,
    life_us: int | None,
) -> Counts:
    """Leading live blocks of each prompt, where the least recently used make room."""
    cache: OrderedDict[int, _Block] = OrderedDict()
    held_tokens = 0
    matched: list[int] = []
    for now_us, (keys, ends) in zip(prompts.time_us.tolist(), chain.rows(), strict=True):
        live = 0
        while live < len(keys) and _is_live(cache.get(keys[live]), now_us, idle_us, life_us):
            live += 1
        matched.append(live)
        # the deepest block first, so that a prefix outlives what depends on it
        for at in range(len(keys) - 1, -1, -1):
            tokens = ends[at] - (ends[at - 1] if at else 0)
            held = cache.pop(keys[at], None)
            held_tokens += tokens - (held.tokens if held else 0)
            written_us = held.written_us if held and at < live else now_us
            cache[keys[at]] = _Block(now_us, written_us, tokens)
        while held_tokens > capacity_tokens:
            held_tokens -= cache.popitem(last=False)[1].tokens
    return np.array(matched, dtype=np.int64)


def _is_live(block: _Block | None, now_us: int, idle_us: int | None, life_us: int | None) -> bool:
    return (
        block is not None
        and (idle_us is None or now_us - block.used_us <= idle_us)
        and (life_us is None or now_us - block.written_us <= life_us)
    )
