"""Prompts as the match engines see them: runs of messages, or hashed blocks of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from frugalctl.errors import InputError
from frugalctl.levers.prompt_cache.hashing import Counts, Hashes, mix, powers, seal, sum_within
from frugalctl.levers.prompt_cache.texts import Texts

_CHUNK_POSITIONS = 1 << 18


@dataclass(frozen=True, slots=True)
class Prompts:
    """n prompts, as columns. A prompt has messages, or blocks, or neither.

    Attributes:
        time_us: int64[n], microseconds since 1970, `log.times.UNKNOWN_US` if missing.
        begun_us: int64[n], microseconds from then until the response began; 0 if unknown.
        done_us: int64[n], microseconds from then until it ended; 0 if unknown.
        tenants: int64[n], prompts of different tenants, or models, never share a prefix.
        models: int64[n], index into `model_names`.
        input_tokens: int64[n], as logged, or counted where the log has no usage.
        output_tokens: int64[n], as logged; 0 if unknown.
        segment_ends: int64[n + 1], where each one's messages end in `segments`.
        segments: int64[s], messages as numbers in `texts`, tools first.
        marks: int64[s], the log's own breakpoints: 0, `texts.MARKED` or `texts.MARKED_1H`.
        answers: int64[n], the response as a message, -1 without one.
        block_ends: int64[n + 1], where each one's blocks end in `blocks`.
        blocks: int64[b], block ids of a trace.
        block_tokens: int64[n], the size of these blocks; 0 without blocks or if unknown.
        model_names: the models, "" where the log names none.
        texts: the distinct messages.
    """

    time_us: Counts
    begun_us: Counts
    done_us: Counts
    tenants: Counts
    models: Counts
    input_tokens: Counts
    output_tokens: Counts
    segment_ends: Counts
    segments: Counts
    marks: Counts
    answers: Counts
    block_ends: Counts
    blocks: Counts
    block_tokens: Counts
    model_names: tuple[str, ...]
    texts: Texts

    def __len__(self) -> int:
        return len(self.time_us)

    @property
    def scopes(self) -> Counts:
        """int64[n], a number for each tenant and model, which share no cache."""
        return self.tenants * max(len(self.model_names), 1) + self.models

    @property
    def has_text(self) -> NDArray[np.bool_]:
        """bool[n], whether a prompt has messages."""
        return np.diff(self.segment_ends) > 0

    @property
    def covered(self) -> NDArray[np.bool_]:
        """bool[n], whether it can be simulated: it has messages or blocks."""
        return self.has_text | (np.diff(self.block_ends) > 0)

    @property
    def counted_tokens(self) -> Counts:
        """int64[n], input tokens as the engines count them: from text, else as logged."""
        lengths = self.texts.measure(self.segments)
        totals = np.concatenate(([0], np.cumsum(lengths)))
        counted = totals[self.segment_ends[1:]] - totals[self.segment_ends[:-1]]
        return np.where(self.has_text, counted, self.input_tokens)


@dataclass(frozen=True, slots=True)
class Chain:
    """Prefixes of n prompts, from short to long, whose keys are equal if the prefixes are.

    Attributes:
        ends: int64[n + 1], where each prompt's prefixes end in `keys`.
        keys: uint64[k].
        tokens: int64[k], the length of each prefix, at most the prompt's own.
    """

    ends: Counts
    keys: Hashes
    tokens: Counts

    def rows(self) -> Iterator[tuple[list[int], list[int]]]:
        """Keys and lengths of each prompt, as plain numbers."""
        ends = self.ends.tolist()
        for start, end in zip(ends[:-1], ends[1:], strict=True):
            yield self.keys[start:end].tolist(), self.tokens[start:end].tolist()


def select(prompts: Prompts, rows: NDArray[np.integer]) -> Prompts:
    """Some of the prompts, in the order of `rows`."""
    per_row = {
        item.name: getattr(prompts, item.name)[rows]
        for item in fields(prompts)
        if item.name not in _SHARED
    }
    segment_ends, segments = take_runs(prompts.segment_ends, prompts.segments, rows)
    _, marks = take_runs(prompts.segment_ends, prompts.marks, rows)
    block_ends, blocks = take_runs(prompts.block_ends, prompts.blocks, rows)
    return replace(
        prompts,
        **per_row,
        segment_ends=segment_ends,
        segments=segments,
        marks=marks,
        block_ends=block_ends,
        blocks=blocks,
    )


_SHARED = {"segment_ends", "segments", "marks", "block_ends", "blocks", "model_names", "texts"}


def assign_models(prompts: Prompts, models: Sequence[str]) -> Prompts:
    """The same prompts, as counted, sent to other models.

    Args:
        prompts: n prompts.
        models: n names.
    """
    numbers: dict[str, int] = {}
    assigned = [numbers.setdefault(name, len(numbers)) for name in models]
    return replace(prompts, models=np.array(assigned, dtype=np.int64), model_names=tuple(numbers))


def add_answers(prompts: Prompts) -> Prompts:
    """The prompts with the responses after them, where these are known as text."""
    ends = prompts.segment_ends
    answered = np.flatnonzero((prompts.answers >= 0) & prompts.has_text)
    segments = np.insert(prompts.segments, ends[1:][answered], prompts.answers[answered])
    marks = np.insert(prompts.marks, ends[1:][answered], 0)
    grown = np.zeros(len(ends), dtype=np.int64)
    grown[answered + 1] = 1
    ends = ends + np.cumsum(grown)
    return replace(prompts, segments=segments, marks=marks, segment_ends=ends)


def chain_blocks(prompts: Prompts, unit_tokens: int) -> Chain:
    """The prefixes that end at each multiple of a unit.

    A trace shows nothing inside its blocks: there prefixes end with a block, whatever the unit,
    and the last one may be partly filled.

    Args:
        prompts: n prompts.
        unit_tokens: the unit of texts.
    """
    counted = prompts.counted_tokens
    textual = prompts.has_text
    unit = np.where(textual, unit_tokens, prompts.block_tokens)
    counts = np.where(textual, counted // unit_tokens, np.diff(prompts.block_ends))
    ends = np.concatenate(([0], np.cumsum(counts)))
    keys = np.empty(ends[-1], dtype=np.uint64)
    tokens = np.empty(ends[-1], dtype=np.int64)
    chunk = max(1, len(prompts) * _CHUNK_POSITIONS // max(int(ends[-1]), 1))
    for first in range(0, len(prompts), chunk):
        rows = slice(first, first + chunk)
        part = _cut_rows(prompts, first, first + chunk)
        span = slice(ends[first], ends[min(first + chunk, len(prompts))])
        lengths = _count_up(counts[rows]) * np.repeat(unit[rows], counts[rows])
        np.minimum(lengths, np.repeat(counted[rows], counts[rows]), out=lengths)
        tokens[span] = lengths
        keys[span] = _hash_prompts(part, counts[rows], lengths)
    return Chain(ends, keys, tokens)


def chain_messages(prompts: Prompts) -> Chain:
    """The prefixes that end with each message; of a trace, with each full block."""
    counted = prompts.counted_tokens
    textual = prompts.has_text
    full = np.minimum(np.diff(prompts.block_ends), counted // np.maximum(prompts.block_tokens, 1))
    counts = np.where(textual, np.diff(prompts.segment_ends), full)
    lengths = _count_up(counts) * np.repeat(prompts.block_tokens, counts)
    in_text = np.repeat(textual, counts)
    lengths[in_text] = _find_message_ends(prompts)
    keys = _hash_prompts(prompts, counts, lengths)
    return Chain(np.concatenate(([0], np.cumsum(counts))), keys, lengths)


def require_block_sizes(prompts: Prompts, block_tokens: int | None) -> Prompts:
    """The prompts, with this size for trace blocks that do not tell theirs.

    Raises:
        InputError: there are such blocks, and no size is given.
    """
    unknown = (np.diff(prompts.block_ends) > 0) & (prompts.block_tokens <= 0)
    if not unknown.any():
        return prompts
    if block_tokens is None:
        raise InputError(
            f"{int(unknown.sum())} requests have prefix_blocks but no block_tokens",
            hint="add block_tokens to the log, or give the size of a block, such as unit=512",
        )
    return replace(prompts, block_tokens=np.where(unknown, block_tokens, prompts.block_tokens))


def take_runs(
    ends: Counts, values: NDArray[np.int64], rows: NDArray[np.integer]
) -> tuple[Counts, NDArray[np.int64]]:
    """Some runs of a ragged array, as a ragged array."""
    lengths = np.diff(ends)[rows]
    taken = values[np.repeat(ends[:-1][rows], lengths) + _count_up(lengths) - 1]
    return np.concatenate(([0], np.cumsum(lengths))), taken


def _cut_rows(prompts: Prompts, first: int, stop: int) -> Prompts:
    """Neighbouring prompts, without a copy."""
    rows = slice(first, stop)
    messages, blocks = (
        ends[first : stop + 1] for ends in (prompts.segment_ends, prompts.block_ends)
    )
    per_row = {
        item.name: getattr(prompts, item.name)[rows]
        for item in fields(prompts)
        if item.name not in _SHARED
    }
    return replace(
        prompts,
        **per_row,
        segment_ends=messages - messages[0],
        segments=prompts.segments[messages[0] : messages[-1]],
        marks=prompts.marks[messages[0] : messages[-1]],
        block_ends=blocks - blocks[0],
        blocks=prompts.blocks[blocks[0] : blocks[-1]],
    )


def _hash_prompts(prompts: Prompts, counts: Counts, lengths: Counts) -> Hashes:
    """The keys of `counts` prefixes a prompt, which have `lengths` tokens."""
    textual = prompts.has_text
    in_text = np.repeat(textual, counts)
    hashes = np.empty(len(lengths), dtype=np.uint64)
    hashes[in_text] = _hash_texts(prompts, counts[textual], lengths[in_text])
    hashes[~in_text] = _hash_trace(prompts, np.where(textual, 0, counts))
    return seal(hashes, lengths, np.repeat(prompts.scopes, counts))


def _hash_trace(prompts: Prompts, counts: Counts) -> Hashes:
    number = _count_up(counts) - 1
    ids = prompts.blocks[np.repeat(prompts.block_ends[:-1], counts) + number]
    terms = mix(ids.view(np.uint64)) * powers(int(counts.max(initial=1)))[number]
    return sum_within(terms, np.cumsum(counts) - counts, counts)


def _hash_texts(prompts: Prompts, counts: Counts, lengths: Counts) -> Hashes:
    """Hash the prefixes of texts, whose lengths increase within a prompt."""
    if not len(lengths):
        return np.zeros(0, dtype=np.uint64)
    texts, segments = prompts.texts, prompts.segments
    sizes = texts.measure(segments)
    ends = _find_message_ends(prompts)
    most = powers(int(ends.max()))
    per_row = np.diff(prompts.segment_ends)[prompts.has_text]
    firsts = np.cumsum(per_row) - per_row
    terms = most[ends - sizes] * texts.prefixes[texts.starts[segments + 1] - 1]
    before = sum_within(terms, firsts, per_row) - terms
    totals = np.add.reduceat(sizes, firsts)
    row_starts = np.repeat(np.cumsum(totals) - totals, counts)
    at = np.searchsorted(np.cumsum(sizes), row_starts + lengths)
    offsets = (ends - sizes)[at]
    inside = texts.prefixes[texts.starts[segments[at]] + lengths - offsets - 1]
    return before[at] + most[offsets] * inside


def _find_message_ends(prompts: Prompts) -> Counts:
    """Where each message of each text ends, in tokens from the prompt's start."""
    per_row = np.diff(prompts.segment_ends)[prompts.has_text]
    sizes = prompts.texts.measure(prompts.segments).view(np.uint64)
    return sum_within(sizes, np.cumsum(per_row) - per_row, per_row).view(np.int64)


def _count_up(counts: Counts) -> Counts:
    """1, 2, ... n for each n of `counts`, one after the other."""
    total = int(counts.sum())
    starts = np.cumsum(counts) - counts
    return np.arange(1, total + 1) - np.repeat(starts, counts)
