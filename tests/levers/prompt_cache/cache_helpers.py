"""Prompts made by hand, and plain slow references that share no code with the engines."""

import json
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from frugalctl.levers.prompt_cache.hashing import hash_prefixes
from frugalctl.levers.prompt_cache.prompts import Prompts
from frugalctl.levers.prompt_cache.read import read_prompts
from frugalctl.levers.prompt_cache.texts import ROLES, Texts
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.schema import SCHEMA, LogBatch
from frugalctl.log.stream import on_disk

SECOND_US = 1_000_000
TOOL_USE, TOOL_RESULT = 1, 2


def shared_file(name):
    folder = os.environ.get("FRUGALCTL_SHARED")
    root = Path(folder) if folder else Path(__file__).parents[3].parent / "shared"
    path = root / "data" / "traces" / name
    if not path.exists():
        pytest.skip(f"{path} is not here: the public traces are no part of the project")
    return path


def read_file(path, **options):
    with on_disk([str(path)]) as sources:
        return read_prompts(read_log(sources, ReadOptions(**options)))


def read_requests(*requests, **options):
    """Prompts of requests that are given as the log's fields."""
    rows = [dict(request) for request in requests]
    for row in rows:
        for name in ("messages", "tools"):
            if name in row:
                row[name] = json.dumps(row[name])
    columns = {
        field.name: pa.array([row.get(field.name) for row in rows], field.type) for field in SCHEMA
    }
    batch = LogBatch(pa.RecordBatch.from_pydict(columns), "log", range(1, len(rows) + 1))
    return read_prompts([batch], **options)


class Message:
    """A message as tokens; equal ones are one."""

    def __init__(self, tokens, role="user", blocks=1, first=0, last=0):
        self.tokens = tuple(tokens)
        self.role, self.blocks, self.first, self.last = role, blocks, first, last

    @property
    def key(self):
        return (self.tokens, self.role, self.blocks, self.first, self.last)


def make_prompts(requests, **columns):
    """Prompts of requests (time in seconds, scope, messages, answer or None)."""
    numbers = {}
    for _, _, messages, answer in requests:
        for message in [*messages, *([answer] if answer else [])]:
            numbers.setdefault(message.key, (len(numbers), message))
    listed = [message for _, message in numbers.values()]
    lengths = [len(message.tokens) for message in listed]
    texts = Texts(
        starts=np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))),
        prefixes=np.concatenate(
            [np.zeros(0, np.uint64), *(hash_prefixes(np.array(m.tokens)) for m in listed)]
        ),
        roles=np.array([ROLES.index(message.role) for message in listed], dtype=np.int8),
        blocks=np.array([message.blocks for message in listed], dtype=np.int64),
        first_runs=np.array([message.first for message in listed], dtype=np.int8),
        last_runs=np.array([message.last for message in listed], dtype=np.int8),
        written=tuple("".join(chr(0x4E00 + token) for token in m.tokens) for m in listed),
    )
    rows = len(requests)
    none = np.zeros(rows, dtype=np.int64)
    counts = [len(messages) for _, _, messages, _ in requests]
    made = {
        "time_us": np.array([time * SECOND_US for time, *_ in requests], dtype=np.int64),
        "begun_us": none,
        "done_us": none,
        "tenants": np.array([scope for _, scope, *_ in requests], dtype=np.int64),
        "models": none,
        "input_tokens": np.array(
            [sum(len(m.tokens) for m in messages) for _, _, messages, _ in requests],
            dtype=np.int64,
        ),
        "output_tokens": none,
        "segment_ends": np.concatenate(([0], np.cumsum(counts, dtype=np.int64))),
        "segments": np.array(
            [numbers[m.key][0] for _, _, messages, _ in requests for m in messages],
            dtype=np.int64,
        ),
        "marks": np.zeros(sum(counts), dtype=np.int64),
        "answers": np.array(
            [numbers[answer.key][0] if answer else -1 for *_, answer in requests], dtype=np.int64
        ),
        "block_ends": np.zeros(rows + 1, dtype=np.int64),
        "blocks": none[:0],
        "block_tokens": none,
        "model_names": ("",),
        "texts": texts,
    }
    return Prompts(**(made | columns))


def make_trace(requests, block_tokens=512):
    """Prompts of a trace (time in seconds, input tokens, block ids)."""
    base = make_prompts([(time, 0, [], None) for time, _, _ in requests])
    counts = [len(blocks) for _, _, blocks in requests]
    return Prompts(
        **{
            **{name: getattr(base, name) for name in Prompts.__dataclass_fields__},
            "input_tokens": np.array([tokens for _, tokens, _ in requests], dtype=np.int64),
            "block_ends": np.concatenate(([0], np.cumsum(counts, dtype=np.int64))),
            "blocks": np.array([b for *_, blocks in requests for b in blocks], dtype=np.int64),
            "block_tokens": np.full(len(requests), block_tokens, dtype=np.int64),
        }
    )


def flatten(messages):
    return tuple(token for message in messages for token in message.tokens)
