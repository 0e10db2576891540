"""Chained token blocks: OpenAI up to 5.5, xAI, Moonshot, vLLM, and traces by parameter.

A block is keyed by all tokens up to its end, so a read is a prompt's leading run of live blocks.
All blocks of a prompt are used, or written, at its time.

Sources: OpenAI, "Prompt caching"; vLLM, "Automatic prefix caching"; Qin et al., "Mooncake" (2024).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.prompt_cache.engine import MatchRules, Outcome, bill_writes, limit_reads
from frugalctl.levers.prompt_cache.hashing import Counts, Hashes
from frugalctl.levers.prompt_cache.prompts import Chain, Prompts, chain_blocks

DEFAULT_UNIT_TOKENS = 128


def match_blocks(prompts: Prompts, rules: MatchRules) -> Outcome:
    """Match by chained blocks; without capacity and hard limits on life by sorting alone."""
    chain = chain_blocks(prompts, rules.unit_tokens or DEFAULT_UNIT_TOKENS)
    if rules.capacity_tokens is None and rules.max_life_us is None and rules.sliding:
        matched = _match_by_sorting(prompts, chain, rules.ttl_us)
    else:
        matched = _match_in_order(prompts, chain, rules)
    last = chain.ends[:-1] + matched - 1
    tokens = np.where(matched > 0, chain.tokens[last], 0) if len(chain.tokens) else matched
    return bill_writes(prompts, limit_reads(prompts, tokens, rules), rules)


def _match_by_sorting(prompts: Prompts, chain: Chain, ttl_us: int | None) -> Counts:
    """Leading live blocks of each prompt: live is what was used at most a lifetime ago."""
    dead = np.ones(len(chain.keys), dtype=np.bool_)
    counts = np.diff(chain.ends)
    order = group_in_order(chain.keys)
    if len(order):
        rows = np.repeat(np.arange(len(prompts), dtype=np.int32), counts)[order]
        keys = chain.keys[order]
        missed = keys[1:] != keys[:-1]
        del keys
        if ttl_us is not None:
            used_us = prompts.time_us[rows]
            missed |= np.diff(used_us) > ttl_us
            del used_us
        del rows
        dead[order[1:]] = missed
    return _count_leading(dead, chain.ends)


def group_in_order(keys: Hashes) -> Counts:
    """A permutation that brings equal keys together, in the order in which they stand.

    Sorting plain integers is ten times faster than argsort: the high bits of the key and the
    position share one. Keys that agree in the high bits alone are rare and sorted again.
    """
    position_bits = np.uint64(max(len(keys) - 1, 1).bit_length())
    low = (np.uint64(1) << position_bits) - np.uint64(1)
    packed = np.arange(len(keys), dtype=np.uint64)
    packed |= keys & ~low
    packed.sort()
    high = packed >> position_bits
    alike = high[1:] == high[:-1]
    packed &= low
    order = packed.view(np.int64)
    clash = alike & (keys[order[1:]] != keys[order[:-1]])
    if clash.any():
        clashing = np.flatnonzero(np.isin(high, high[1:][clash]))
        mixed = order[clashing]
        order[clashing] = mixed[np.argsort(keys[mixed], kind="stable")]
    return order


def _count_leading(dead: NDArray[np.bool_], ends: Counts) -> Counts:
    """How many blocks of each prompt stand before its first dead one."""
    positions = np.append(np.flatnonzero(dead), len(dead))
    first = positions[np.searchsorted(positions, ends[:-1])]
    return np.minimum(first, ends[1:]) - ends[:-1]


def _match_in_order(prompts: Prompts, chain: Chain, rules: MatchRules) -> Counts:
    """Leading live blocks of each prompt, from a cache that is kept block by block."""
    cache: OrderedDict[int, tuple[int, int, int]] = OrderedDict()
    held_tokens = 0
    matched: list[int] = []
    for now_us, keys, sizes in _blocks_in_order(prompts, chain):
        live = 0
        for key in keys:
            entry = cache.get(key)
            if entry is None or not _is_live(entry, now_us, rules):
                break
            live += 1
        matched.append(live)
        # the deepest block first, so that a prefix outlives what depends on it
        for at in range(len(keys) - 1, -1, -1):
            entry = cache.pop(keys[at], None)
            written_us = entry[1] if entry and at < live else now_us
            held_tokens += sizes[at] - (entry[2] if entry else 0)
            cache[keys[at]] = (now_us, written_us, sizes[at])
        while rules.capacity_tokens is not None and held_tokens > rules.capacity_tokens:
            held_tokens -= cache.popitem(last=False)[1][2]
    return np.array(matched, dtype=np.int64)


def _is_live(entry: tuple[int, int, int], now_us: int, rules: MatchRules) -> bool:
    used_us, written_us, _ = entry
    since_us = used_us if rules.sliding else written_us
    if rules.ttl_us is not None and now_us - since_us > rules.ttl_us:
        return False
    return rules.max_life_us is None or now_us - written_us <= rules.max_life_us


def _blocks_in_order(prompts: Prompts, chain: Chain) -> Iterator[tuple[int, list[int], list[int]]]:
    """Time, keys and block sizes of each prompt."""
    for now_us, (keys, ends) in zip(prompts.time_us.tolist(), chain.rows(), strict=True):
        yield now_us, keys, [end - start for start, end in zip([0, *ends], ends, strict=False)]
