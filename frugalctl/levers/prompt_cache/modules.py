"""Modules that are reused wherever they stand: Prompt Cache.

A message is a module, known by its content and not by what stands before it. At least one token
of a prompt is computed.

Source: Gim et al., "Prompt Cache: Modular Attention Reuse for Low-Latency Inference" (2024).
"""

from __future__ import annotations

from collections import OrderedDict

import numpy as np

from frugalctl.errors import ConfigError
from frugalctl.levers.prompt_cache.engine import MatchRules, Outcome, bill_writes, limit_reads
from frugalctl.levers.prompt_cache.prompts import Prompts


def match_modules(prompts: Prompts, rules: MatchRules) -> Outcome:
    """Match by modules.

    Raises:
        ConfigError: a trace of hashed blocks, whose ids hold for one position only.
    """
    if bool((prompts.covered & ~prompts.has_text).any()):
        raise ConfigError("modules need messages, and a trace of hashed blocks has none")
    lengths = np.diff(prompts.texts.starts).tolist()
    bounds, segments = prompts.segment_ends.tolist(), prompts.segments.tolist()
    cache: OrderedDict[tuple[int, int], int] = OrderedDict()
    held_tokens = 0
    matched: list[int] = []
    for row, now_us in enumerate(prompts.time_us.tolist()):
        scope = int(prompts.scopes[row])
        reads = 0
        for segment in segments[bounds[row] : bounds[row + 1]]:
            used_us = cache.pop((scope, segment), None)
            held_tokens += lengths[segment] if used_us is None else 0
            if used_us is not None and (rules.ttl_us is None or now_us - used_us <= rules.ttl_us):
                reads += lengths[segment]
            cache[(scope, segment)] = now_us
        while rules.capacity_tokens is not None and held_tokens > rules.capacity_tokens:
            held_tokens -= lengths[cache.popitem(last=False)[0][1]]
        matched.append(reads)
    reads_all = limit_reads(prompts, np.array(matched, dtype=np.int64), rules)
    return bill_writes(prompts, reads_all, rules)
