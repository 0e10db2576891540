"""Slots that hold one prompt each: llama.cpp's server.

A request goes to the slot with the longest common prefix, if that is a large enough share of
its prompt, else to the one that was used longest ago; there it keeps what it shares and
replaces the rest.

Source: llama.cpp, the server's options --parallel and --slot-prompt-similarity.
"""

from __future__ import annotations

import numpy as np

from frugalctl.levers.prompt_cache.engine import MatchRules, Outcome, bill_writes, limit_reads
from frugalctl.levers.prompt_cache.hashing import Hashes
from frugalctl.levers.prompt_cache.prompts import Prompts, chain_blocks


def match_slot(prompts: Prompts, rules: MatchRules) -> Outcome:
    """Match by slots, token by token."""
    chain = chain_blocks(prompts, rules.unit_tokens or 1)
    slots: list[Hashes] = [np.zeros(0, dtype=np.uint64) for _ in range(rules.slots)]
    oldest_first = list(range(rules.slots))
    matched = np.zeros(len(prompts), dtype=np.int64)
    for row in range(len(prompts)):
        start, end = int(chain.ends[row]), int(chain.ends[row + 1])
        keys = chain.keys[start:end]
        shared = [_count_common(held, keys) for held in slots]
        # of equals, the slot that was used longest ago
        best = max(oldest_first, key=lambda slot: shared[slot])
        if shared[best] <= rules.similarity * len(keys):
            best = oldest_first[0]
        matched[row] = chain.tokens[start + shared[best] - 1] if shared[best] else 0
        slots[best] = keys
        oldest_first.remove(best)
        oldest_first.append(best)
    return bill_writes(prompts, limit_reads(prompts, matched, rules), rules)


def _count_common(one: Hashes, other: Hashes) -> int:
    most = min(len(one), len(other))
    return int(np.count_nonzero(one[:most] == other[:most]))
