"""The tokens of calls whose prompts were compressed, and how far their prefixes are shared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from frugalctl.replay.compress_prompts import ShortPrompt
from frugalctl.replay.ledger import Integers

_CACHED = ("cache_read", "cache_write_1h", "cache_write")


def measure_shared(prompts: Sequence[ShortPrompt | None]) -> list[int]:
    """Of each prompt, the tokens of its first messages that come out the same everywhere.

    A message does so if it has one outcome in all prompts that hold it. One that the lossy tier
    has changed must also occur twice: else nobody knows what it would be in another prompt.
    """
    outcome: dict[int, int] = {}
    several: set[int] = set()
    lossy: set[int] = set()
    for prompt in filter(None, prompts):
        for message, result, kept in zip(
            prompt.messages, prompt.results, prompt.kept_as_is, strict=True
        ):
            if message not in outcome:
                outcome[message] = result
                if not kept:
                    lossy.add(message)
            elif outcome[message] == result:
                lossy.discard(message)
            else:
                several.add(message)
    broken = several | lossy
    return [0 if prompt is None else _measure_run(prompt, broken) for prompt in prompts]


def _measure_run(prompt: ShortPrompt, broken: set[int]) -> int:
    tokens = prompt.before[0]
    for message, size in zip(prompt.messages, prompt.before[1:], strict=True):
        if message in broken:
            break
        tokens += size
    return tokens


def shrink_tokens(
    prompts: Sequence[ShortPrompt | None], shared: Sequence[int], tokens: dict[str, Integers]
) -> tuple[dict[str, Integers], Integers]:
    """The tokens of c calls with compressed prompts.

    The logged input shrinks as the counted tokens do. What was read from a cache is taken for
    the prompt's beginning, and what was written for what follows it. Reads end where the prompt
    stops to be the same for all; the rest of them is fresh input.

    Args:
        prompts: of each call; None where there is no text, and nothing changes.
        shared: of each, the counted tokens that its prefix shares with others.
        tokens: class -> int64[c], as logged; a class that is absent is all zero.

    Returns:
        class -> int64[c], and int64[c], the reads that are fresh input now.
    """
    before = np.array([1 if one is None else sum(one.before) for one in prompts], dtype=np.int64)
    after = np.array([1 if one is None else sum(one.after) for one in prompts], dtype=np.int64)
    cached = sum((tokens[name] for name in _CACHED if name in tokens), np.zeros_like(before))
    total = tokens["fresh_input"] + cached
    left = np.where(before == after, total, np.rint(total * after / before).astype(np.int64))
    found = {name: values.copy() for name, values in tokens.items()}
    found["fresh_input"] = left - cached
    broken = np.zeros_like(left)
    for at in np.flatnonzero(cached).tolist():
        prompt = prompts[at]
        if prompt is not None:
            logged = [int(tokens[name][at]) for name in _CACHED]
            sizes, broken[at] = _shrink_cached(
                prompt, shared[at], int(total[at]), int(left[at]), logged
            )
            for name, size in zip(_CACHED, sizes, strict=True):
                found[name][at] = size
            found["fresh_input"][at] = left[at] - sum(sizes)
    return found, broken


def _shrink_cached(
    prompt: ShortPrompt, shared: int, total: int, left: int, logged: Sequence[int]
) -> tuple[list[int], int]:
    """What is left of the cached classes of one call, and how many reads are fresh input now.

    Args:
        prompt: its prompt.
        shared: the counted tokens that its prefix shares with others.
        total: its input as logged.
        left: what is left of that.
        logged: its cached tokens by class, in the order in which they stand in the prompt.
    """
    scale = total / sum(prompt.before)
    old = [0.0, *accumulate(prompt.before)]
    new = [0.0, *accumulate(prompt.after)]

    def place(tokens: float) -> int:
        if tokens >= total:
            return left
        return min(left, round(float(np.interp(tokens / scale, old, new)) * scale))

    ends = [0, *(place(end) for end in accumulate(logged))]
    sizes = [end - start for start, end in zip(ends[:-1], ends[1:], strict=True)]
    reads = place(min(logged[0], shared * scale))
    return [reads, *sizes[1:]], sizes[0] - reads
