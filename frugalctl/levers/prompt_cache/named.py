"""Named caches with paid storage: Gemini's explicit context caching, Vertex AI.

The policy that is simulated: the first request with a prefix (tools and system messages, or a
given size) puts it into a cache of its own, which lives for the lifetime; the next one after
that makes it anew. Storage is billed for the whole lifetime. The first request's prefix counts
as fresh: making the cache costs the plain input price, and its own read is left out.

Source: Google, "Context caching".
"""

from __future__ import annotations

import numpy as np

from frugalctl.errors import ConfigError
from frugalctl.levers.prompt_cache.breakpoints import place_marks
from frugalctl.levers.prompt_cache.engine import Breakpoint, MatchRules, Outcome, make_outcome
from frugalctl.levers.prompt_cache.prompts import Prompts, chain_messages

_HOUR_US = 3_600_000_000
_STABLE = (Breakpoint("tools"), Breakpoint("system"))


def match_named(prompts: Prompts, rules: MatchRules) -> Outcome:
    """Match by named caches.

    Raises:
        ConfigError: no lifetime, or a trace, which does not show what to cache, and no prefix.
    """
    if rules.ttl_us is None:
        raise ConfigError("a named cache needs a lifetime", hint="such as ttl=1h")
    expiry_us: dict[int, int] = {}
    reads: list[int] = []
    stored: list[float] = []
    for now_us, (key, tokens) in zip(
        prompts.time_us.tolist(), _choose_prefixes(prompts, rules), strict=True
    ):
        if tokens == 0 or tokens < rules.min_tokens:
            reads.append(0)
            stored.append(0.0)
            continue
        until_us = expiry_us.get(key)
        hit = until_us is not None and now_us <= until_us
        paid_from_us = until_us if hit and until_us is not None else now_us
        if rules.sliding or not hit:
            expiry_us[key] = now_us + rules.ttl_us
        reads.append(tokens if hit else 0)
        stored.append(tokens * (expiry_us[key] - paid_from_us) / _HOUR_US)
    return make_outcome(prompts, reads, storage_token_hours=stored)


def _choose_prefixes(prompts: Prompts, rules: MatchRules) -> list[tuple[int, int]]:
    """Key and size of what each prompt keeps in a cache; size 0 for nothing."""
    textual = prompts.has_text
    if rules.prefix_tokens is None and bool((prompts.covered & ~textual).any()):
        raise ConfigError(
            "a trace of hashed blocks does not show which prefix to cache",
            hint="say how long it is, such as prefix=8k",
        )
    roles = prompts.texts.roles[prompts.segments]
    bounds = prompts.segment_ends.tolist()
    chosen: list[tuple[int, int]] = []
    for row, (keys, ends) in enumerate(chain_messages(prompts).rows()):
        if rules.prefix_tokens is not None:
            at = int(np.searchsorted(ends, rules.prefix_tokens, side="right")) - 1
        else:
            marks = place_marks(roles[bounds[row] : bounds[row + 1]].tolist(), (), _STABLE)
            at = marks[-1][0] if marks else -1
        chosen.append((keys[at], ends[at]) if at >= 0 else (0, 0))
    return chosen
