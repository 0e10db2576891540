"""Look a question up in an index: exact key, then neighbours, then guards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from frugalctl.embed import Embedder
from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.guards import find_refusal
from frugalctl.levers.semantic_cache.index import Index
from frugalctl.levers.semantic_cache.protocols import Integers, Mask, Normalizer, Scorer, Vectors
from frugalctl.levers.semantic_cache.queries import Query
from frugalctl.levers.semantic_cache.retention import is_expired
from frugalctl.levers.semantic_cache.scope import (
    ScopeGroups,
    ScopeParts,
    digest_scope,
    group_scopes,
    resolve_scope,
)
from frugalctl.levers.semantic_cache.settings import SCOPE_KEYS, SemanticCacheSettings
from frugalctl.log.times import UNKNOWN_US


@dataclass(frozen=True, slots=True)
class Match:
    """What a look-up found.

    Attributes:
        query: the question.
        hit: whether an answer may be used again.
        score: of the best candidate; None where there was no candidate.
        entry_id: whose answer it is, None without a hit.
        response: the answer, None without a hit.
        guard: which guard refused the best candidate, None if none did.
        reason: why it is a hit, or is not.
        nearest: what the entry asked that was hit, or else the best candidate; None where there
            was none.
    """

    query: str
    hit: bool
    score: float | None
    entry_id: int | None
    response: str | None
    guard: str | None
    reason: str
    nearest: str | None


def make_matcher(
    index: Index,
    embedder: Embedder,
    normalizer: Normalizer,
    scorer: Scorer,
    settings: SemanticCacheSettings,
) -> Matcher:
    """Put together what decides a look-up.

    Raises:
        InputError: the index was built with another embedder, normaliser or scope.
    """
    require_made_with(index, embedder, normalizer, settings.scope)
    columns = index.scopes.select(SCOPE_KEYS).to_pylist()
    groups = group_scopes([ScopeParts(**parts) for parts in columns], settings.scope)
    return Matcher(index, embedder, normalizer, scorer, settings, groups)


def require_made_with(
    index: Index, embedder: Embedder, normalizer: Normalizer, scope: Sequence[str]
) -> None:
    """Refuse to compare what cannot be compared.

    Raises:
        InputError: the index was built with another embedder, normaliser or scope.
    """
    manifest = index.manifest
    for what, theirs, ours in (
        ("embedder", manifest.fingerprint, embedder.fingerprint),
        ("dimension", manifest.dimension, embedder.dimension),
        ("normaliser", manifest.normalizer, normalizer.name),
    ):
        if theirs != ours:
            raise InputError(
                f"was built with the {what} {theirs}, not {ours}",
                where=index.path,
                hint="use that one, or rebuild it with `frugalctl cache build`",
            )
    for first in index.scopes.slice(0, 1).to_pylist():
        parts = ScopeParts(**{key: first[key] for key in SCOPE_KEYS})
        if digest_scope(parts, scope) != first["scope"]:
            raise InputError(
                f"was built with another scope than {', '.join(scope) or 'none'}",
                where=index.path,
                hint="`frugalctl cache info` shows its settings: say that scope in the recipe, or "
                "rebuild it with `frugalctl cache build`",
            )


@dataclass(frozen=True, slots=True)
class Matcher:
    """Everything that decides a look-up.

    Attributes:
        index: the open index.
        embedder: the one that the index was built with.
        normalizer: likewise.
        scorer: scores the candidates.
        settings: threshold, guards, candidates, scope, retention.
        groups: the scopes of the index.
    """

    index: Index
    embedder: Embedder
    normalizer: Normalizer
    scorer: Scorer
    settings: SemanticCacheSettings
    groups: ScopeGroups

    def look_up(self, queries: Sequence[Query], now_us: int | None) -> list[Match]:
        """Look n questions up.

        Args:
            queries: the questions with what they say of their scope.
            now_us: when they are asked, for lifetimes; a query's own time goes before it. None
                is the time of the newest entry.
        """
        found: list[Match | None] = [None] * len(queries)
        keys = self.normalizer.make_keys([query.text for query in queries])
        waiting: dict[tuple[str, int | None], list[int]] = {}
        for at, query in enumerate(queries):
            if query.unfit:
                found[at] = _miss(query, query.unfit)
                continue
            scope, reason = resolve_scope(query.known, self.groups, self.settings.scope)
            if scope is None:
                found[at] = _miss(query, reason)
                continue
            at_us = self._tell_time(query, now_us)
            found[at] = self._find_exact(query, scope, keys[at], at_us)
            if found[at] is not None:
                continue
            if len(query.text) > self.settings.max_chars:
                found[at] = _miss(query, "too long for anything but its exact key")
            else:
                waiting.setdefault((scope, at_us), []).append(at)
        self._find_near(queries, waiting, found)
        return [match for match in found if match is not None]

    def _find_exact(self, query: Query, scope: str, key: str, at_us: int | None) -> Match | None:
        row = int(self.index.find_keys(scope, [key])[0])
        if row < 0 or (at_us is not None and self._is_expired(row, at_us)):
            return None
        return self._hit(query, row, 1.0, "exact key")

    def _find_near(
        self,
        queries: Sequence[Query],
        waiting: dict[tuple[str, int | None], list[int]],
        found: list[Match | None],
    ) -> None:
        order = [at for positions in waiting.values() for at in positions]
        if not order:
            return
        encoded = self.embedder.encode(self.normalizer.reduce([queries[at].text for at in order]))
        place = {at: number for number, at in enumerate(order)}
        for (scope, at_us), positions in waiting.items():
            vectors = encoded.vectors[[place[at] for at in positions]]
            rows = self._search(scope, vectors, at_us)
            for number, at in enumerate(positions):
                if encoded.truncated[place[at]]:
                    found[at] = _miss(queries[at], "longer than the embedder reads")
                elif not vectors[number].any():
                    found[at] = _miss(queries[at], "nothing to embed")
                else:
                    near = rows[number][rows[number] >= 0]
                    found[at] = self._decide(queries[at], near, vectors[number])

    def _search(self, scope: str, vectors: Vectors, at_us: int | None) -> Integers:
        """int64[n, k], the rows of the nearest entries that are alive; -1 where there are less."""
        span = self.index.find_scope(scope)
        assert span is not None
        most = min(self.settings.candidates, span.stop - span.start)
        return self.index.search(vectors, span, most, self._find_alive(at_us))[0]

    def _decide(self, query: Query, rows: Integers, vector: Vectors) -> Match:
        """The best candidate over the threshold that no guard refuses."""
        if not len(rows):
            return _miss(query, "all entries in this scope are past their lifetime")
        texts = self.index.texts(rows)
        scores = self.scorer.score(
            [query.text] * len(rows),
            texts,
            np.repeat(vector[None], len(rows), axis=0),
            self._read_vectors(rows),
        )
        order: Integers = np.lexsort((rows, -scores))
        best, nearest = float(scores[order[0]]), texts[int(order[0])]
        if not best >= self.settings.threshold:
            reason = f"below the threshold of {self.settings.threshold:g}"
            return _miss(query, reason, best, None, nearest)
        refused: tuple[str, str] | None = None
        for at in map(int, order[scores[order] >= self.settings.threshold]):
            refusal = find_refusal(query.text, texts[at], self.settings.guards)
            if refusal is None:
                return self._hit(query, int(rows[at]), float(scores[at]), "near")
            refused = refused or refusal
        guard, reason = refused or ("", "")
        return _miss(query, reason, best, guard, nearest)

    def _read_vectors(self, rows: Integers) -> Vectors:
        vectors = self.index.vectors[rows].astype(np.float32)
        return vectors / self.index.norms[rows, None]

    def _tell_time(self, query: Query, now_us: int | None) -> int | None:
        """When the query is asked; None where that does not matter, or nobody knows."""
        if self.settings.retention.ttl_us is None:
            return None
        if query.time_us != UNKNOWN_US:
            return query.time_us
        return self.index.manifest.newest_us if now_us is None else now_us

    def _is_expired(self, row: int, at_us: int) -> bool:
        one, index = slice(row, row + 1), self.index
        times = index.created_us[one], index.last_used_us[one]
        return bool(is_expired(self.settings.retention, *times, at_us)[0])

    def _find_alive(self, at_us: int | None) -> Mask | None:
        """bool[n], which entries may answer at that time; None if all may."""
        return None if at_us is None else self.index.alive(self.settings.retention, at_us)

    def _hit(self, query: Query, row: int, score: float, reason: str) -> Match:
        rows = np.array([row])
        (text,), (response,) = self.index.texts(rows), self.index.responses(rows)
        entry_id = int(self.index.entry_ids[row])
        return Match(query.text, True, score, entry_id, response, None, reason, text)


def _miss(
    query: Query,
    reason: str,
    score: float | None = None,
    guard: str | None = None,
    nearest: str | None = None,
) -> Match:
    return Match(query.text, False, score, None, None, guard or None, reason, nearest)
