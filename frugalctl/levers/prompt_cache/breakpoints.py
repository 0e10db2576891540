"""Prefixes cached at breakpoints: Anthropic, OpenAI from 5.6, Qwen's explicit cache, Bedrock.

A prefix is written only where a breakpoint stands. A read starts at a breakpoint, the last one
first, and walks back over a limited number of content blocks to the longest live prefix.

Sources: Anthropic, "Prompt caching"; OpenAI, "Prompt caching"; Alibaba, "Context cache".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from frugalctl.levers.prompt_cache.engine import Breakpoint, MatchRules, Outcome, make_outcome
from frugalctl.levers.prompt_cache.hashing import Counts
from frugalctl.levers.prompt_cache.prompts import Prompts, chain_messages
from frugalctl.levers.prompt_cache.texts import MARKED_1H, ROLES

_TOOLS, _SYSTEM = ROLES.index("tools"), ROLES.index("system")


@dataclass(frozen=True, slots=True)
class _Layout:
    """One prompt: what its prefixes are and where it is marked.

    `depths` counts content blocks up to the end of each prefix.
    """

    now_us: int
    ready_us: int
    keys: list[int]
    ends: list[int]
    depths: list[int]
    marks: list[tuple[int, bool]]


@dataclass(slots=True)
class _Entry:
    used_us: int
    written_us: int
    ready_us: int
    one_hour: bool


_Cache = dict[int, _Entry]
_Bill = tuple[int, int, int]


def match_breakpoints(prompts: Prompts, rules: MatchRules) -> Outcome:
    """Match by breakpoints.

    In a trace, whose messages nobody knows, a breakpoint stands after the last full block, and
    the walk back is not limited.
    """
    cache: _Cache = {}
    bills = [_serve(cache, layout, rules) for layout in _lay_out(prompts, rules)]
    reads, writes, writes_1h = np.array(bills, dtype=np.int64).reshape(-1, 3).T
    if rules.written_as == "fresh":
        return make_outcome(prompts, reads)
    return make_outcome(prompts, reads, writes, writes_1h)


def place_marks(
    roles: Sequence[int], logged: Sequence[int], breakpoints: Sequence[Breakpoint]
) -> list[tuple[int, bool]]:
    """Which messages of a prompt are marked, and whether for an hour.

    Args:
        roles: the role of each message, tools first.
        logged: how the log itself marks each message.
        breakpoints: where to put marks; places that the prompt does not have are left out.
    """
    marks: dict[int, bool] = {}
    for point in breakpoints:
        if point.place == "logged":
            found = [(at, mark == MARKED_1H) for at, mark in enumerate(logged) if mark]
        else:
            found = [(_find_place(roles, point.place), bool(point.one_hour))]
        for at, one_hour in found:
            if at is not None:
                marks[at] = marks.get(at, False) or one_hour
    return sorted(marks.items())


def _find_place(roles: Sequence[int], place: str | int) -> int | None:
    tools = int(bool(roles) and roles[0] == _TOOLS)
    if isinstance(place, int):
        at = place + (tools if place >= 0 else len(roles))
    elif place == "tools":
        at = tools - 1
    elif place == "system":
        at = tools
        while at < len(roles) and roles[at] == _SYSTEM:
            at += 1
        at = at - 1 if at > tools else -1
    else:
        at = len(roles) - 1
    return at if 0 <= at < len(roles) else None


def _lay_out(prompts: Prompts, rules: MatchRules) -> Iterator[_Layout]:
    chain = chain_messages(prompts)
    texts = prompts.texts
    roles = texts.roles[prompts.segments].tolist()
    sizes = texts.blocks[prompts.segments].tolist()
    firsts = texts.first_runs[prompts.segments].tolist()
    lasts = texts.last_runs[prompts.segments].tolist()
    logged = prompts.marks.tolist()
    bounds = prompts.segment_ends.tolist()
    times = prompts.time_us.tolist()
    ready = (prompts.time_us + _delays(prompts, rules)).tolist()
    for row, (keys, ends) in enumerate(chain.rows()):
        start, end = bounds[row], bounds[row + 1]
        if start < end:
            depths = _count_blocks(sizes[start:end], firsts[start:end], lasts[start:end])
            marks = place_marks(roles[start:end], logged[start:end], rules.breakpoints)
        else:
            depths = [0] * len(keys)
            marks = [(len(keys) - 1, bool(rules.breakpoints[-1].one_hour))] if keys else []
        marks = [mark for mark in marks if ends[mark[0]] >= rules.min_tokens]
        yield _Layout(times[row], ready[row], keys, ends, depths, marks)


def _delays(prompts: Prompts, rules: MatchRules) -> Counts:
    """Microseconds until what a prompt writes can be read; 0 where the log does not tell."""
    if rules.visible == "response_start":
        return prompts.begun_us
    return prompts.done_us if rules.visible == "after_request" else np.zeros_like(prompts.done_us)


def _count_blocks(sizes: list[int], firsts: list[int], lasts: list[int]) -> list[int]:
    """Content blocks up to the end of each message; runs go on across messages."""
    joined = [0, *(int(a == b != 0) for a, b in zip(lasts, firsts[1:], strict=False))]
    return list(accumulate(size - join for size, join in zip(sizes, joined, strict=True)))


def _serve(cache: _Cache, prompt: _Layout, rules: MatchRules) -> _Bill:
    """Read and write one prompt; gives the tokens read, written, and written for an hour.

    With A the end of what is read, B the last one-hour breakpoint after it and C the last
    breakpoint, A is read, B - A written for an hour, C - B for five minutes.
    """
    found = _find_longest(cache, prompt, rules)
    read = prompt.ends[found] if found >= 0 else 0
    ends_1h = [prompt.ends[at] for at, one_hour in prompt.marks if one_hour]
    until_1h = max([read, *ends_1h])
    until = max([until_1h, *(prompt.ends[at] for at, _ in prompt.marks)])
    if found >= 0:
        cache[prompt.keys[found]].used_us = prompt.now_us
    for at, one_hour in prompt.marks:
        _touch(cache, prompt, at, one_hour, rules)
    return read, until - until_1h, until_1h - read


def _find_longest(cache: _Cache, prompt: _Layout, rules: MatchRules) -> int:
    for mark, _ in reversed(prompt.marks):
        at = mark
        while at >= 0 and prompt.depths[mark] - prompt.depths[at] < rules.lookback_blocks:
            entry = cache.get(prompt.keys[at])
            is_long = prompt.ends[at] >= rules.min_tokens
            if entry and is_long and _is_live(entry, prompt.now_us, rules):
                if entry.ready_us <= prompt.now_us:
                    return at
            at -= 1
    return -1


def _touch(cache: _Cache, prompt: _Layout, at: int, one_hour: bool, rules: MatchRules) -> None:
    """Renew the entry at a breakpoint, or write it anew."""
    key = prompt.keys[at]
    entry = cache.get(key)
    if entry and _is_live(entry, prompt.now_us, rules):
        entry.used_us = prompt.now_us
        entry.ready_us = min(entry.ready_us, prompt.ready_us)
        entry.one_hour |= one_hour
    else:
        cache[key] = _Entry(prompt.now_us, prompt.now_us, prompt.ready_us, one_hour)


def _is_live(entry: _Entry, now_us: int, rules: MatchRules) -> bool:
    ttl_us = rules.ttl_1h_us if entry.one_hour else rules.ttl_us
    since_us = entry.used_us if rules.sliding else entry.written_us
    return ttl_us is None or now_us - since_us <= ttl_us
