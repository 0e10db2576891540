"""The questions of a log, as a semantic cache sees them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from frugalctl.errors import BadLine
from frugalctl.levers.semantic_cache.conversation import (
    Conversation,
    digest_turns,
    list_messages,
    split_messages,
)
from frugalctl.levers.semantic_cache.protocols import Floats, Integers, Mask
from frugalctl.levers.semantic_cache.scope import ScopeParts, digest_json, digest_scope
from frugalctl.levers.semantic_cache.settings import SCOPE_KEYS
from frugalctl.log.finish import CONTENT_FILTER, TOOL_CALLS, is_unfinished, name_finish
from frugalctl.log.schema import LogBatch
from frugalctl.log.times import UNKNOWN_US

NO_RESPONSE = "no response"
CUT_OFF = "the answer was cut off"
FILTERED = "the answer was filtered"
CALLS_TOOL = "the answer calls a tool"

Turn = tuple[str | None, bytes]
"""A tenant and a conversation of theirs, by its digest."""

_NUMBERS = ("latency_ms", "quality", "cost_usd")
_TEXTS = ("id", "task", "response", "reference")


@dataclass(frozen=True, slots=True)
class Questions:
    """n requests, as columns.

    Attributes:
        ids: as logged, None without one.
        texts: what the user asked last; "" where a request is not cacheable.
        responses: as logged.
        references: as logged.
        tasks: as logged.
        parts: what the scope may depend on; without digests where a request is not cacheable.
        scopes: digests of the parts that were chosen; "" where a request is not cacheable.
        time_us: int64[n], microseconds since 1970, UNKNOWN_US where missing.
        done_us: int64[n], when the response was there; the time itself if the latency is
            unknown, UNKNOWN_US if the time is.
        quality: float64[n], NaN where unknown.
        cost_usd: float64[n], as logged, NaN where unknown.
        latency_ms: float64[n], NaN where unknown.
        cacheable: bool[n], whether a request may be looked up and its answer kept.
        unfit: reason -> how many requests are not cacheable for it.
        lines: int64[n], line numbers in their files.
    """

    ids: list[str | None]
    texts: list[str]
    responses: list[str | None]
    references: list[str | None]
    tasks: list[str | None]
    parts: list[ScopeParts]
    scopes: list[str]
    time_us: Integers
    done_us: Integers
    quality: Floats
    cost_usd: Floats
    latency_ms: Floats
    cacheable: Mask
    unfit: dict[str, int]
    lines: Integers

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def tenants(self) -> list[str | None]:
        """Whose request each is."""
        return [parts.tenant for parts in self.parts]

    @property
    def models(self) -> list[str | None]:
        """The model that each asked."""
        return [parts.model for parts in self.parts]


def read_questions(
    batches: Iterable[LogBatch],
    scope_keys: Sequence[str] = SCOPE_KEYS,
    tool_turns: Iterable[Turn] = (),
) -> Questions:
    """The questions of a log, in its order.

    A request is cacheable if its last message is a user's, all text, and has a response that is
    whole, was not filtered, and calls no tool: neither does the log say that it does, nor do
    later requests, whose conversations go on with the call.

    Args:
        batches: the log, with its texts.
        scope_keys: the parts that must be equal for an answer to be used again.
        tool_turns: what `find_tool_turns` found, where these batches are a part of the log.

    Raises:
        BadLine: messages that are not a list of objects, or JSON that is none.
    """
    gatherer = _Gatherer(scope_keys, called=set(tool_turns))
    for batch in batches:
        gatherer.add(batch)
    return gatherer.build()


def find_tool_turns(batches: Iterable[LogBatch]) -> set[Turn]:
    """The conversations in a log that were answered with a tool call, as later requests show.

    Args:
        batches: the whole log; only `messages` and `tenant` matter.

    Raises:
        BadLine: messages that are not a list of objects, or JSON that is none.
    """
    found: set[Turn] = set()

    def add(messages: str | None, tenant: str | None) -> None:
        _, called = digest_turns(_decode_messages(messages))
        found.update((tenant, digest) for digest in called)

    for batch in batches:
        _read_rows(batch, ("messages", "tenant"), add)
    return found


def _decode_messages(messages: str | None) -> list[dict[str, Any]]:
    return list_messages(None if messages is None else msgspec.json.decode(messages))


def _read_rows(batch: LogBatch, names: Sequence[str], read: Callable[..., None]) -> None:
    """Give the values of each row to a function, and its errors their line."""
    columns = (batch.column(name).to_pylist() for name in names)
    for row, values in enumerate(zip(*columns, strict=True)):
        try:
            read(*values)
        except (ValueError, RecursionError, msgspec.DecodeError) as error:
            is_deep = isinstance(error, RecursionError)
            message = "nested too deeply" if is_deep else str(error)
            line = int(batch.lines[row])
            raise BadLine(message, source=batch.source, line=line) from None


def make_tags(task: str | None, parts: ScopeParts) -> tuple[str, ...]:
    """What an answer can be invalidated by: its task, `tenant:NAME`, `model:NAME`."""
    named = (("tenant:", parts.tenant), ("model:", parts.model), ("", task))
    return tuple(prefix + name for prefix, name in named if name is not None)


def choose_scopes(questions: Questions, keys: Sequence[str]) -> list[str]:
    """The scopes of n questions where other parts matter: digests, "" if not cacheable."""
    known: dict[tuple[str | None, ...], str] = {}
    scopes: list[str] = []
    for parts, cacheable in zip(questions.parts, questions.cacheable.tolist(), strict=True):
        scopes.append(_scope_of(parts, keys, known) if cacheable else "")
    return scopes


def _scope_of(
    parts: ScopeParts, keys: Sequence[str], known: dict[tuple[str | None, ...], str]
) -> str:
    values = astuple(parts)
    scope = known.get(values)
    if scope is None:
        scope = known[values] = digest_scope(parts, keys)
    return scope


def _judge_answer(response: str | None, finish_reason: str | None) -> str:
    """Why an answer cannot be kept, "" if it can."""
    reason = name_finish(finish_reason)
    if reason == TOOL_CALLS:
        return CALLS_TOOL
    if reason == CONTENT_FILTER:
        return FILTERED
    if is_unfinished(reason):
        return CUT_OFF
    return "" if response and response.strip() else NO_RESPONSE


def _new_columns() -> dict[str, list[Any]]:
    return {name: [] for name in (*_TEXTS, *_NUMBERS, "lines", "time_us")}


@dataclass(slots=True)
class _Gatherer:
    scope_keys: Sequence[str]
    called: set[Turn]
    turns: list[Turn] = field(default_factory=list[Turn])
    columns: dict[str, list[Any]] = field(default_factory=_new_columns)
    texts: list[str] = field(default_factory=list[str])
    parts: list[ScopeParts] = field(default_factory=list[ScopeParts])
    scopes: list[str] = field(default_factory=list[str])
    unfit: Counter[str] = field(default_factory=Counter[str])
    digests: dict[str, str | None] = field(default_factory=dict[str, str | None])
    known: dict[tuple[str | None, ...], str] = field(
        default_factory=dict[tuple[str | None, ...], str]
    )

    def add(self, batch: LogBatch) -> None:
        rows = batch.requests.num_rows
        for name in (*_TEXTS, *_NUMBERS):
            self.columns[name] += batch.column(name).to_pylist()
        self.columns["lines"] += [batch.lines[row] for row in range(rows)]
        self.columns["time_us"] += batch.column("timestamp").cast(pa.int64()).to_pylist()
        names = ("messages", "response", "finish_reason", "tenant", "model", "tools", "sampling")
        _read_rows(batch, names, self._add_row)

    def _add_row(
        self,
        messages: str | None,
        response: str | None,
        finish_reason: str | None,
        tenant: str | None,
        model: str | None,
        tools: str | None,
        sampling: str | None,
    ) -> None:
        listed = _decode_messages(messages)
        talk = split_messages(listed)
        whole, called = digest_turns(listed)
        self.turns.append((tenant, whole))
        self.called.update((tenant, digest) for digest in called)
        unfit = talk.unfit or _judge_answer(response, finish_reason)
        if unfit:
            self.unfit[unfit] += 1
            self.texts.append("")
            self.parts.append(ScopeParts(tenant, model))
            self.scopes.append("")
            return
        parts = self._digest_parts(talk, tenant, model, tools, sampling)
        self.texts.append(talk.text)
        self.parts.append(parts)
        self.scopes.append(_scope_of(parts, self.scope_keys, self.known))

    def _digest_parts(
        self,
        talk: Conversation,
        tenant: str | None,
        model: str | None,
        tools: str | None,
        sampling: str | None,
    ) -> ScopeParts:
        return ScopeParts(
            tenant=tenant,
            model=model,
            system=digest_json(talk.system),
            tools=self._digest_text(tools),
            sampling=self._digest_text(sampling),
            history=digest_json(talk.history),
        )

    def _digest_text(self, text: str | None) -> str | None:
        """The digest of JSON text, which most requests of a log have in common."""
        if text is None:
            return None
        if text not in self.digests:
            self.digests[text] = digest_json(msgspec.json.decode(text))
        return self.digests[text]

    def _drop_tool_turns(self) -> None:
        """Leave out what a request, maybe a later one, shows to have been a tool call."""
        for row, turn in enumerate(self.turns):
            if turn in self.called and self.scopes[row]:
                self.unfit[CALLS_TOOL] += 1
                self.texts[row] = self.scopes[row] = ""
                parts = self.parts[row]
                self.parts[row] = ScopeParts(parts.tenant, parts.model)

    def build(self) -> Questions:
        self._drop_tool_turns()
        columns = self.columns
        time_us = np.array(
            [UNKNOWN_US if at is None else at for at in columns["time_us"]], dtype=np.int64
        )
        quality, cost_usd, latency_ms = (
            np.array(columns[name], dtype=np.float64)
            for name in ("quality", "cost_usd", "latency_ms")
        )
        delay_us = np.rint(np.nan_to_num(latency_ms) * 1_000).astype(np.int64)
        return Questions(
            ids=columns["id"],
            texts=self.texts,
            responses=columns["response"],
            references=columns["reference"],
            tasks=columns["task"],
            parts=self.parts,
            scopes=self.scopes,
            time_us=time_us,
            done_us=np.where(time_us == UNKNOWN_US, UNKNOWN_US, time_us + delay_us),
            quality=quality,
            cost_usd=cost_usd,
            latency_ms=latency_ms,
            cacheable=np.array([scope != "" for scope in self.scopes], dtype=np.bool_),
            unfit=dict(self.unfit),
            lines=np.array(columns["lines"], dtype=np.int64),
        )
