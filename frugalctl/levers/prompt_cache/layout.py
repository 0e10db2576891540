"""The same requests laid out otherwise: volatile text moved, stable messages first, pings added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from frugalctl.levers.prompt_cache.hashing import Counts, hash_prefixes
from frugalctl.levers.prompt_cache.prompts import Prompts, select
from frugalctl.levers.prompt_cache.texts import ROLES, Texts, read_content, serialise
from frugalctl.levers.prompt_cache.volatile import Span, cut_spans
from frugalctl.log.times import UNKNOWN_US
from frugalctl.tokens import encode_text

Place = Literal["system", "prompt"]
_TOOLS, _SYSTEM, _USER = (ROLES.index(name) for name in ("tools", "system", "user"))
_ROLE_NUMBERS = {str(name): at for at, name in enumerate(ROLES)}


@dataclass(frozen=True, slots=True)
class Pings:
    """Requests that only keep a prefix alive.

    Attributes:
        prompts: the n requests of a log, then the pings, not in the order of time.
        sources: int64[pings], the request that each ping repeats the instructions of.
    """

    prompts: Prompts
    sources: Counts


def move_volatile(prompts: Prompts, varying: dict[int, list[Span]], place: Place) -> Prompts:
    """Move what varies in system messages to their end, or behind the prompt's last message.

    Behind the prompt it is a message of its own, which the next request does not repeat.

    Args:
        prompts: n prompts.
        varying: by system message, the spans to move.
        place: where to.
    """
    models = _find_models(prompts)
    made: list[_Made] = []
    kept_as = np.arange(len(prompts.texts.blocks))
    moved_as = np.full(len(kept_as), -1, dtype=np.int64)
    numbers: dict[_Made, int] = {}

    def add(role: str, content: str, model: str) -> int:
        key = _Made(role, serialise({"role": role, "content": content}), model)
        if key not in numbers:
            numbers[key] = len(kept_as) + len(made)
            made.append(key)
        return numbers[key]

    for number, spans in varying.items():
        kept, moved = cut_spans(read_content(prompts.texts.written[number]), spans)
        if place == "system":
            kept_as[number] = add("system", f"{kept}\n{moved}", models[number])
        else:
            kept_as[number] = add("system", kept, models[number])
            moved_as[number] = add("user", moved, models[number])
    texts = _extend(prompts.texts, made)
    changed = replace(prompts, segments=kept_as[prompts.segments], texts=texts)
    if place == "prompt":
        changed = _append(changed, moved_as[prompts.segments])
    return _scale_input(prompts, changed)


def order_stable_first(prompts: Prompts) -> Prompts | None:
    """Put messages that most requests share before those that they do not.

    Only what stands before the first answer is put in order, and never a prompt's last message: a
    conversation stays as it went. A message is stable if at least half of the requests of its
    tenant and model have it.

    Returns:
        None if that changes nothing.
    """
    lengths = np.diff(prompts.segment_ends)
    row_of = np.repeat(np.arange(len(prompts)), lengths)
    keys = prompts.scopes[row_of] * len(prompts.texts.blocks) + prompts.segments
    pairs = np.unique(np.stack((row_of, keys)), axis=1)
    found, uses = np.unique(pairs[1], return_counts=True)
    sizes = np.bincount(prompts.scopes[prompts.has_text])
    share = uses[np.searchsorted(found, keys)] / sizes[prompts.scopes[row_of]]
    roles = prompts.texts.roles[prompts.segments]
    rank = np.where((share >= 0.5) & (sizes[prompts.scopes[row_of]] > 1), 1, 2)
    rank[roles == _TOOLS] = 0
    place = np.arange(len(rank)) - np.repeat(prompts.segment_ends[:-1], lengths)
    rank[place >= np.repeat(_count_leading(prompts, (_TOOLS, _SYSTEM, _USER)), lengths)] = 3
    rank[prompts.segment_ends[1:][lengths > 0] - 1] = 3
    order = np.lexsort((np.arange(len(rank)), rank, row_of))
    if np.array_equal(order, np.arange(len(order))):
        return None
    return replace(prompts, segments=prompts.segments[order], marks=prompts.marks[order])


def add_pings(prompts: Prompts, every_us: int, most: int, min_tokens: int) -> Pings | None:
    """Repeat the instructions of a request while nobody else does.

    After each request, as long as no other one has the same instructions (tools and system
    messages), a ping follows every `every_us`, `most` times. Instructions that only one request
    has are left alone.

    Returns:
        None if the log has no times, or nothing to ping.
    """
    if not len(prompts) or (prompts.time_us == UNKNOWN_US).any():
        return None
    heads = _measure_heads(prompts)
    rows_of: dict[tuple[int, ...], list[int]] = {}
    bounds, scopes = prompts.segment_ends.tolist(), prompts.scopes.tolist()
    for row in np.argsort(prompts.time_us, kind="stable").tolist():
        head = prompts.segments[bounds[row] : bounds[row] + heads[row]]
        if prompts.texts.measure(head).sum() >= max(min_tokens, 1):
            rows_of.setdefault((scopes[row], *head.tolist()), []).append(row)
    sources: list[int] = []
    times_us: list[int] = []
    for rows in rows_of.values():
        if len(rows) > 1:
            for row, idle_us in zip(rows, _find_idle(prompts, rows), strict=True):
                count = most if idle_us is None else min(most, max(idle_us - 1, 0) // every_us)
                sources += [row] * count
                start_us = int(prompts.time_us[row])
                times_us += [start_us + every_us * at for at in range(1, count + 1)]
    if not sources:
        return None
    return _make_pings(prompts, np.array(sources), np.array(times_us), heads)


def _find_idle(prompts: Prompts, rows: Sequence[int]) -> list[int | None]:
    """Microseconds from each request to the next, None after the last."""
    times_us = prompts.time_us[np.array(rows)]
    return [*np.diff(times_us).tolist(), None]


def _make_pings(prompts: Prompts, sources: Counts, times_us: Counts, heads: Counts) -> Pings:
    count = len(prompts)
    whole = select(prompts, np.concatenate((np.arange(count), sources)))
    lengths = np.diff(whole.segment_ends)
    wanted = np.concatenate((lengths[:count], heads[sources]))
    place = np.arange(len(whole.segments)) - np.repeat(whole.segment_ends[:-1], lengths)
    kept = place < np.repeat(wanted, lengths)
    nothing = np.zeros(len(sources), dtype=np.int64)
    cut = replace(
        whole,
        segments=whole.segments[kept],
        marks=whole.marks[kept],
        segment_ends=np.concatenate(([0], np.cumsum(wanted))),
        time_us=np.concatenate((prompts.time_us, times_us)),
        begun_us=np.concatenate((prompts.begun_us, nothing)),
        done_us=np.concatenate((prompts.done_us, nothing)),
        answers=np.concatenate((prompts.answers, nothing - 1)),
    )
    return Pings(_scale_input(whole, cut), sources)


def _measure_heads(prompts: Prompts) -> Counts:
    """How many messages of each prompt are tools or lead it as system messages."""
    return _count_leading(prompts, (_TOOLS, _SYSTEM))


def _count_leading(prompts: Prompts, wanted: tuple[int, ...]) -> Counts:
    """How many messages of each prompt have one of these roles before any that has not."""
    roles = prompts.texts.roles[prompts.segments]
    other = np.flatnonzero(~np.isin(roles, wanted))
    at = np.searchsorted(other, prompts.segment_ends[:-1])
    first = np.concatenate((other, [len(roles)]))[at]
    return np.minimum(first, prompts.segment_ends[1:]) - prompts.segment_ends[:-1]


@dataclass(frozen=True, slots=True)
class _Made:
    role: str
    written: str
    model: str


def _extend(texts: Texts, made: list[_Made]) -> Texts:
    """The texts with new ones after them, each of one block."""
    hashes = [hash_prefixes(np.array(encode_text(one.written, one.model))) for one in made]
    lengths = np.array([len(one) for one in hashes], dtype=np.int64)
    ends = texts.starts[-1] + np.cumsum(lengths)
    plain = np.zeros(len(made), dtype=np.int8)
    roles = np.array([_ROLE_NUMBERS[one.role] for one in made], dtype=np.int8)
    return Texts(
        starts=np.concatenate((texts.starts, ends)),
        prefixes=np.concatenate([texts.prefixes, *hashes]),
        roles=np.concatenate((texts.roles, roles)),
        blocks=np.concatenate((texts.blocks, np.ones(len(made), dtype=np.int64))),
        first_runs=np.concatenate((texts.first_runs, plain)),
        last_runs=np.concatenate((texts.last_runs, plain)),
        written=(*texts.written, *(one.written for one in made)),
    )


def _append(prompts: Prompts, added: Counts) -> Prompts:
    """The prompts with messages behind each; `added` has one for some of its messages, else -1."""
    ends = prompts.segment_ends
    row_of = np.repeat(np.arange(len(prompts)), np.diff(ends))
    chosen = np.flatnonzero(added >= 0)
    more = np.bincount(row_of[chosen], minlength=len(prompts))
    at = ends[1:][row_of[chosen]]
    return replace(
        prompts,
        segments=np.insert(prompts.segments, at, added[chosen]),
        marks=np.insert(prompts.marks, at, 0),
        segment_ends=ends + np.concatenate(([0], np.cumsum(more))),
    )


def _scale_input(before: Prompts, after: Prompts) -> Prompts:
    """Let the logged input grow and shrink as the counted one does."""
    old, new = before.counted_tokens, after.counted_tokens
    scaled = (before.input_tokens * new + np.maximum(old, 1) // 2) // np.maximum(old, 1)
    return replace(after, input_tokens=np.where(after.has_text, scaled, before.input_tokens))


def _find_models(prompts: Prompts) -> dict[int, str]:
    """The model that each message was counted for."""
    names = np.repeat(prompts.models, np.diff(prompts.segment_ends))
    found, first = np.unique(prompts.segments, return_index=True)
    return {
        int(number): prompts.model_names[int(names[at])]
        for number, at in zip(found, first, strict=True)
    }
