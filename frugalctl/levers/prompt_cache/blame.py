"""Why a request did not read what the request before it could have left in the cache.

A request is compared with the one before it in its session; the first of a session, and one
without a session, with the last of its tenant and model that had the same instructions (tools and
system messages), or the same but for times and ids. Expected is what the two should share: in a
session everything but the new last message, else the instructions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from frugalctl.levers.prompt_cache.engine import MatchRules
from frugalctl.levers.prompt_cache.hashing import Counts
from frugalctl.levers.prompt_cache.prompts import Prompts
from frugalctl.levers.prompt_cache.simulate import order_by_time
from frugalctl.levers.prompt_cache.texts import ROLES, read_content
from frugalctl.levers.prompt_cache.volatile import (
    Kind,
    Span,
    find_divergence,
    find_varying,
    mask_values,
    name_kind,
    widen_spans,
)

Cause = Literal[
    "volatile_text",
    "tools_reordered",
    "tools_changed",
    "system_changed",
    "history_truncated",
    "message_edited",
    "model_switch",
    "expired",
    "below_minimum",
    "no_breakpoint",
    "not_held",
    "first_of_its_kind",
]
CAUSES: dict[Cause, str] = {
    "volatile_text": "time or id in the system prompt",
    "tools_reordered": "tools in another order",
    "tools_changed": "tools changed",
    "system_changed": "system prompt changed",
    "history_truncated": "history truncated at the front",
    "message_edited": "earlier message edited",
    "model_switch": "model switch",
    "expired": "lifetime expired",
    "below_minimum": "below the minimum length",
    "no_breakpoint": "no breakpoint there, or none near enough",
    "not_held": "the cache did not hold it",
    "first_of_its_kind": "first of its kind (no fault)",
}
"""What each cause is called."""

_GRAIN_TOKENS = 128
_SHOWN_CHARS = 60
_TOOLS, _SYSTEM = ROLES.index("tools"), ROLES.index("system")


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where a prompt first differs from an earlier one.

    Attributes:
        message: its number among the messages, from 0; -1 for the tools.
        role: whose message it is.
        character: the first one that differs, from 0.
        old: the earlier text from a little before there.
        new: the later one.
        kind: what the value that varies looks like; None if it is not one.
    """

    message: int
    role: str
    character: int
    old: str
    new: str
    kind: Kind | None = None


@dataclass(frozen=True, slots=True)
class Miss:
    """A request that read less than it should have.

    Attributes:
        row: its number in the log.
        against: that of the request it was compared with; -1 for none.
        cause: why.
        missed_tokens: what it should have read and did not, in counted tokens.
        expired: whether the lifetime had passed as well, so that no other mend alone helps.
        divergence: where the texts part, if they do.
    """

    row: int
    against: int
    cause: Cause
    missed_tokens: int
    expired: bool = False
    divergence: Divergence | None = None


@dataclass(frozen=True, slots=True)
class Blame:
    """The misses of a log.

    Attributes:
        misses: by the order in which they were served.
        varying: by the number of a system message, the spans of its text that vary.
        examined: how many requests were looked at; those that show no text, or whose model has
            no cache, are not.
    """

    misses: tuple[Miss, ...]
    varying: dict[int, list[Span]]
    examined: int


def find_misses(
    prompts: Prompts,
    sessions: Counts,
    read_tokens: Counts,
    rules: Sequence[MatchRules | None],
) -> Blame:
    """Compare each request with the one whose prefix it should have read.

    Args:
        prompts: n prompts.
        sessions: int64[n], a number for each session, -1 for none.
        read_tokens: int64[n], what was read, in counted tokens.
        rules: by model, as `prompts.model_names`; None for one without a cache.
    """
    return _Search(prompts, sessions, read_tokens, rules).run()


@dataclass(frozen=True, slots=True)
class _Request:
    row: int
    scope: int
    model: int
    time_us: int
    messages: list[int]
    ends: list[int]
    head: int

    @property
    def sharable_tokens(self) -> int:
        """All but the last message, or the instructions if these are longer."""
        return self.tokens_of(max(len(self.messages) - 1, self.head))

    def tokens_of(self, messages: int) -> int:
        return self.ends[messages - 1] if messages else 0


@dataclass(slots=True)
class _Search:
    prompts: Prompts
    sessions: Counts
    read_tokens: Counts
    rules: Sequence[MatchRules | None]
    last_of: dict[tuple[object, ...], _Request] = field(
        default_factory=dict[tuple[object, ...], _Request]
    )
    shapes: dict[int, str] = field(default_factory=dict[int, str])
    contents: dict[int, str] = field(default_factory=dict[int, str])
    varying: dict[int, set[Span]] = field(default_factory=dict[int, set[Span]])

    def run(self) -> Blame:
        misses: list[Miss] = []
        examined = 0
        for request in self._list_requests():
            rules = self.rules[request.model]
            session = int(self.sessions[request.row])
            before = self.last_of.get(("session", session)) if session >= 0 else None
            if rules is not None:
                examined += 1
                miss = (
                    self._compare(request, before, rules)
                    if before
                    else self._compare_heads(request, rules)
                )
                misses += [miss] if miss else []
            self._remember(request, session)
        spans = {
            number: widen_spans(self._read(number), found) for number, found in self.varying.items()
        }
        return Blame(tuple(misses), spans, examined)

    def _list_requests(self) -> Iterator[_Request]:
        prompts = self.prompts
        times_us, order, _ = order_by_time(prompts.time_us)
        roles = prompts.texts.roles
        bounds = prompts.segment_ends.tolist()
        scopes, models = prompts.scopes.tolist(), prompts.models.tolist()
        rows = range(len(prompts)) if order is None else order.tolist()
        for row in rows:
            messages = prompts.segments[bounds[row] : bounds[row + 1]]
            if not len(messages):
                continue
            is_head = (roles[messages] == _TOOLS) | (roles[messages] == _SYSTEM)
            head = int(np.argmin(is_head)) if not is_head.all() else len(messages)
            ends = np.cumsum(prompts.texts.measure(messages))
            yield _Request(
                row,
                scopes[row],
                models[row],
                int(times_us[row]),
                messages.tolist(),
                ends.tolist(),
                head,
            )

    def _remember(self, request: _Request, session: int) -> None:
        head = tuple(request.messages[: request.head])
        self.last_of["head", request.scope, head] = request
        self.last_of["shape", request.scope, *map(self._find_shape, head)] = request
        if session >= 0:
            self.last_of["session", session] = request

    def _compare(self, request: _Request, before: _Request, rules: MatchRules) -> Miss | None:
        """Compare with the request before in the session."""
        if before.scope != request.scope:
            return self._judge(
                request, before, request.sharable_tokens, rules, "model_switch", None
            )
        same = _count_same(before.messages, request.messages)
        parted = same < min(len(before.messages), len(request.messages))
        is_new_end = same >= max(len(request.messages) - 1, request.head)
        if not parted or is_new_end:
            expected = request.tokens_of(same)
            return self._judge(request, before, expected, rules, None, None)
        expected = min(before.ends[-1], request.sharable_tokens)
        cause, where = self._explain(request, before, same)
        return self._judge(request, before, expected, rules, cause, where)

    def _compare_heads(self, request: _Request, rules: MatchRules) -> Miss | None:
        """Compare the instructions with those of an earlier request of the same kind."""
        head = tuple(request.messages[: request.head])
        expected = request.tokens_of(request.head)
        if not head:
            return None
        before = self.last_of.get(("head", request.scope, head))
        if before:
            return self._judge(request, before, expected, rules, None, None)
        before = self.last_of.get(("shape", request.scope, *map(self._find_shape, head)))
        if before is None:
            return self._judge(request, None, expected, rules, "first_of_its_kind", None)
        same = _count_same(before.messages, request.messages)
        cause, where = self._explain(request, before, same)
        return self._judge(request, before, expected, rules, cause, where)

    def _judge(
        self,
        request: _Request,
        before: _Request | None,
        expected: int,
        rules: MatchRules,
        cause: Cause | None,
        where: Divergence | None,
    ) -> Miss | None:
        """A miss, if less was read than expected by more than the grain of a cache."""
        read = int(self.read_tokens[request.row])
        missed = expected - read
        if missed <= 0 or (read and missed < _GRAIN_TOKENS):
            return None
        ttl_us = find_lifetime(rules)
        idle_us = request.time_us - before.time_us if before else 0
        late = ttl_us is not None and idle_us > ttl_us
        if cause != "first_of_its_kind" and expected < max(rules.min_tokens, rules.step_tokens):
            cause = "below_minimum"
        found = cause or ("expired" if late else _name_rule(rules))
        against = before.row if before else -1
        return Miss(request.row, against, found, missed, late, where)

    def _explain(self, request: _Request, before: _Request, at: int) -> tuple[Cause, Divergence]:
        """Why two prompts part at a message, and where in it."""
        old, new = before.messages[at], request.messages[at]
        role = int(self.prompts.texts.roles[new])
        where = self._locate(request, old, new, at)
        if role == _TOOLS or int(self.prompts.texts.roles[old]) == _TOOLS:
            reordered = self._find_shape(old) == self._find_shape(new)
            return ("tools_reordered" if reordered else "tools_changed"), where
        if role == _SYSTEM:
            return ("volatile_text" if where.kind else "system_changed"), where
        if new in before.messages[at + 1 :]:
            return "history_truncated", where
        return "message_edited", where

    def _locate(self, request: _Request, old: int, new: int, at: int) -> Divergence:
        texts = self._read(old), self._read(new)
        character = find_divergence(*texts)
        roles = self.prompts.texts.roles
        tools = int(roles[request.messages[0]] == _TOOLS)
        kind = None
        if roles[old] == roles[new] == _SYSTEM:
            spans = find_varying(*texts)
            if spans and spans[0][1][0] <= character <= spans[0][1][1]:
                kind = name_kind(texts[1][slice(*widen_spans(texts[1], [spans[0][1]])[0])])
                self.varying.setdefault(old, set()).update(span for span, _ in spans)
                self.varying.setdefault(new, set()).update(span for _, span in spans)
        start = max(character - _SHOWN_CHARS // 2, 0)
        was, now = (text[start : start + _SHOWN_CHARS] for text in texts)
        return Divergence(at - tools, ROLES[int(roles[new])], character, was, now, kind)

    def _read(self, number: int) -> str:
        if number not in self.contents:
            self.contents[number] = read_content(self.prompts.texts.written[number])
        return self.contents[number]

    def _find_shape(self, number: int) -> str:
        """What versions of the same instructions have in common."""
        if number not in self.shapes:
            text = self._read(number)
            is_tools = self.prompts.texts.roles[number] == _TOOLS
            self.shapes[number] = "".join(sorted(text)) if is_tools else mask_values(text)
        return self.shapes[number]


def _count_same(old: list[int], new: list[int]) -> int:
    """How many leading messages are the same."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))


def _name_rule(rules: MatchRules) -> Cause:
    return "no_breakpoint" if rules.engine == "breakpoints" and rules.hits else "not_held"


def find_lifetime(rules: MatchRules) -> int | None:
    """Microseconds without use after which a prefix is gone, None if it never is."""
    marked = rules.engine == "breakpoints" and any(p.one_hour for p in rules.breakpoints)
    return rules.ttl_1h_us if marked else rules.ttl_us


def count_by_cause(blame: Blame) -> dict[Cause, list[Miss]]:
    """The misses by cause, in the order of `CAUSES`, without causes that have none."""
    grouped: dict[Cause, list[Miss]] = {cause: [] for cause in CAUSES}
    for miss in blame.misses:
        grouped[miss.cause].append(miss)
    return {cause: misses for cause, misses in grouped.items() if misses}
