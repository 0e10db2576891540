"""Prefix units on disk: DeepSeek.

A request stores whole prefixes: its input, its input with its output, and what it has in common
with an earlier request. A later one reads the longest stored prefix that it begins with, so
after A+B the request A+C misses and only the third, A+D, reads A.

Source: DeepSeek, "Context caching".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.levers.prompt_cache.engine import MatchRules, Outcome, bill_writes, limit_reads
from frugalctl.levers.prompt_cache.hashing import Counts
from frugalctl.levers.prompt_cache.prompts import Prompts, add_answers, chain_blocks

DEFAULT_UNIT_TOKENS = 64


@dataclass(frozen=True, slots=True)
class _Row:
    """Keys of one request's input and output by the unit; the first `inputs` are the input's."""

    now_us: int
    keys: list[int]
    tokens: list[int]
    inputs: int


def match_units(prompts: Prompts, rules: MatchRules) -> Outcome:
    """Match by stored prefixes; outputs count where the log has them as text."""
    stored_us: dict[int, int] = {}
    seen_us: dict[int, int] = {}
    matched: list[int] = []
    for row in _cut_rows(prompts, rules.unit_tokens or DEFAULT_UNIT_TOKENS):
        inputs = row.keys[: row.inputs]
        read = _find_last(stored_us, inputs, row.now_us, rules)
        common = _count_leading(seen_us, inputs, row.now_us, rules)
        matched.append(row.tokens[read - 1] if read else 0)
        renewed = inputs[read - 1 : read] if rules.sliding else []
        ends = {row.inputs, len(row.keys), common} - {0}
        for key in [*renewed, *(row.keys[end - 1] for end in ends)]:
            if rules.sliding or not _is_live(stored_us, key, row.now_us, rules):
                stored_us[key] = row.now_us
        seen_us.update(dict.fromkeys(row.keys, row.now_us))
    return bill_writes(prompts, limit_reads(prompts, _to_counts(matched), rules), rules)


def _find_last(
    times_us: dict[int, int], keys: Sequence[int], now_us: int, rules: MatchRules
) -> int:
    for at in range(len(keys), 0, -1):
        if _is_live(times_us, keys[at - 1], now_us, rules):
            return at
    return 0


def _count_leading(
    times_us: dict[int, int], keys: Sequence[int], now_us: int, rules: MatchRules
) -> int:
    for at, key in enumerate(keys):
        if not _is_live(times_us, key, now_us, rules):
            return at
    return len(keys)


def _is_live(times_us: dict[int, int], key: int, now_us: int, rules: MatchRules) -> bool:
    then_us = times_us.get(key)
    return then_us is not None and (rules.ttl_us is None or now_us - then_us <= rules.ttl_us)


def _cut_rows(prompts: Prompts, unit_tokens: int) -> Iterator[_Row]:
    inputs = np.diff(chain_blocks(prompts, unit_tokens).ends).tolist()
    chain = chain_blocks(add_answers(prompts), unit_tokens)
    times = prompts.time_us.tolist()
    for now_us, count, (keys, tokens) in zip(times, inputs, chain.rows(), strict=True):
        yield _Row(now_us, keys, tokens, count)


def _to_counts(values: list[int]) -> Counts:
    return np.array(values, dtype=np.int64)
