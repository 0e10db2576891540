"""Questions for the tests of the simulated cache, written down or drawn."""

from dataclasses import dataclass, field

import numpy as np
from slow_cache import SlowCache

from frugalctl.levers.semantic_cache.questions import Questions
from frugalctl.levers.semantic_cache.retention import EVICTIONS, Retention
from frugalctl.levers.semantic_cache.scope import ScopeParts, digest_scope
from frugalctl.levers.semantic_cache.settings import (
    SCOPE_KEYS,
    Invalidation,
    SemanticCacheSettings,
)
from frugalctl.levers.semantic_cache.simulate import simulate
from frugalctl.log.times import UNKNOWN_US

US = 1_000_000


class Cosine:
    """Exact for the vectors of these tests, whose components are small eighths."""

    name = "cosine"

    def score(self, a, b, a_vectors, b_vectors):
        return np.einsum("ij,ij->i", a_vectors.astype(float), b_vectors.astype(float))


class ByLength(Cosine):
    """Not monotone in the cosine."""

    name = "by length"

    def score(self, a, b, a_vectors, b_vectors):
        lengths = [1 - abs(len(one) - len(two)) / 8 for one, two in zip(a, b, strict=True)]
        return np.array(lengths, dtype=np.float64)


@dataclass
class Fickle:
    """A policy that learns: accepts an entry until it was seen to be wrong."""

    least: float = 0.5
    wrong: set = field(default_factory=set)
    seen: list = field(default_factory=list)

    def accept(self, entry, score):
        return score >= self.least and entry not in self.wrong

    def observe(self, entry, score, correct):
        self.seen.append((entry, score, correct))
        if not correct and score >= self.least / 2:
            self.wrong.add(entry)
        if correct:
            self.wrong.discard(entry)


def find_refusal(query, entry, guards):
    """Refuses texts that end with different digits."""
    if "numbers" in guards and query[-1:].isdigit() and query[-1:] != entry[-1:]:
        return "numbers", "another number"
    return None


def make_questions(rows, scope=SCOPE_KEYS):
    """Rows are dicts of what differs from a plain request of tenant None."""
    parts, texts = [], []
    for at, row in enumerate(rows):
        given = {name: row.get(name) for name in SCOPE_KEYS}
        parts.append(ScopeParts(**given))
        texts.append(row.get("text", f"question {at}"))
    cacheable = np.array([row.get("cacheable", True) for row in rows], dtype=np.bool_)
    times = np.array([row.get("time", at * US) for at, row in enumerate(rows)], dtype=np.int64)
    delay = np.array([row.get("delay", 0) for row in rows], dtype=np.int64)
    number = [
        np.array([row.get(name, np.nan) for row in rows], dtype=np.float64)
        for name in ("quality", "cost_usd", "latency_ms")
    ]
    return Questions(
        ids=[str(at) for at in range(len(rows))],
        texts=texts,
        responses=[
            row.get("response", f"answer {text}") for row, text in zip(rows, texts, strict=True)
        ],
        references=[row.get("reference") for row in rows],
        tasks=[row.get("task") for row in rows],
        parts=parts,
        scopes=[
            digest_scope(p, scope) if ok else "" for p, ok in zip(parts, cacheable, strict=True)
        ],
        time_us=times,
        done_us=np.where(times == UNKNOWN_US, UNKNOWN_US, times + delay),
        quality=number[0],
        cost_usd=number[1],
        latency_ms=number[2],
        cacheable=cacheable,
        unfit={},
        lines=np.arange(len(rows)),
    )


@dataclass
class Case:
    questions: Questions
    vectors: np.ndarray | None
    keys: list[str]
    settings: SemanticCacheSettings
    truncated: np.ndarray
    scorer: object = field(default_factory=Cosine)
    learns: bool = False

    def policy(self):
        return Fickle() if self.learns else None

    def run(self):
        policy = self.policy()
        run = simulate(*self.arguments(policy))
        return run, policy

    def run_slowly(self):
        policy = self.policy()
        slow = SlowCache(*self.arguments(policy))
        return slow, slow.run(), policy

    def arguments(self, policy):
        return (
            self.questions,
            self.vectors,
            self.keys,
            self.settings,
            policy,
            self.scorer,
            find_refusal,
            self.truncated,
        )


def assert_same(case):
    """Both caches do the same, to the last number."""
    run, policy = case.run()
    slow, rows, slow_policy = case.run_slowly()
    how = np.where(run.hit, np.where(run.exact, "exact", "near"), "")
    assert run.source.tolist() == [row[0] for row in rows]
    assert how.tolist() == [row[1] for row in rows]
    scores = [None if np.isnan(score) else score for score in run.score.tolist()]
    assert scores == [row[2] for row in rows]
    assert run.kept.tolist() == [row[3] for row in rows]
    assert run.refusals == slow.refusals
    assert run.entries == len(slow.entries)
    departures = {name: getattr(run.departures, name) for name in slow.left}
    assert departures == slow.left
    if policy:
        assert policy.seen == slow_policy.seen
    for at in np.flatnonzero(run.hit).tolist():
        right = slow.judge(at, rows[at][0])
        assert run.right[at] == right or (np.isnan(run.right[at]) and np.isnan(right))


def draw_vectors(rng, count):
    """Vectors of few components with small exact values, some of them equal, some zero."""
    some = rng.choice([0, 0, 0.5, 0.75, 1, -0.5], size=(rng.integers(1, 7), 3))
    return some[rng.integers(0, len(some), count)].astype(np.float32)


def draw_retention(rng):
    return Retention(
        ttl_us=draw_one(rng, None, US, 3 * US, 9 * US),
        sliding=draw_one(rng, False, True),
        eviction=draw_one(rng, *EVICTIONS),
        max_entries=draw_one(rng, None, None, 1, 2, 3, 4),
        max_bytes=draw_one(rng, None, None, 20, 40, 60, 160),
    )


def draw_one(rng, *values):
    return values[rng.integers(0, len(values))]


def draw_row(rng, span, crowd):
    """A request; with a crowd of 1 all are of one scope."""
    some = {
        "text": draw_one(rng, "a", "a1", "a2", "bb", "bb1", "ccc"),
        "tenant": draw_one(rng, "a", "b", None) if rng.integers(0, crowd) > 0 else "a",
        "response": draw_one(rng, "yes", "YES", "no", "maybe" * rng.integers(1, 9)),
        "delay": draw_one(rng, 0, 0, US, 2 * US, 5 * US),
        "task": draw_one(rng, None, "faq", "code"),
        "cost_usd": draw_one(rng, np.nan, 0.01, 0.02, 0.5),
        "quality": draw_one(rng, np.nan, 1.0, 0.5, 0.0),
        "reference": draw_one(rng, None, None, "r1", "r2"),
        "cacheable": rng.integers(0, 12) > 0,
        "time": int(rng.integers(0, span)) * US if rng.integers(0, 12) else UNKNOWN_US,
    }
    for key in SCOPE_KEYS[1:]:
        some[key] = draw_one(rng, None, key) if rng.integers(0, crowd) > 1 else None
    return some


def draw_case(seed, scope=None):
    """A case that a seed stands for: drawing thousands of values one by one would take long."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    span = draw_one(rng, 2, 12, 12, 60)
    crowd = draw_one(rng, 1, 1, 2, 3)
    some = [key for key in SCOPE_KEYS if rng.integers(0, 2)]
    keys = some if scope is None else [key for key in SCOPE_KEYS if key in (*some, *scope)]
    questions = make_questions([draw_row(rng, span, crowd) for _ in range(count)], keys)
    tags = None, "faq", "code", "tenant:a", "model:m"
    cuts = [
        Invalidation(int(rng.integers(0, span)) * US, draw_one(rng, *tags))
        for _ in range(draw_one(rng, 0, 0, 1, 3))
    ]
    settings = SemanticCacheSettings(
        threshold=draw_one(rng, -1.0, 0.25, 0.5, 0.75, 1.0),
        guards=draw_one(rng, ("numbers",), ()),
        scope=tuple(keys),
        retention=draw_retention(rng),
        min_quality=draw_one(rng, None, None, 0.5, 1.0),
        invalidate=tuple(cuts),
        candidates=int(rng.integers(1, 5)),
    )
    shorten = rng.integers(0, 2)
    return Case(
        questions=questions,
        vectors=draw_one(rng, None, *[draw_vectors(rng, count)] * 3),
        keys=[
            text.rstrip("12") if shorten else f"{text}{at % 5}"
            for at, text in enumerate(questions.texts)
        ],
        settings=settings,
        truncated=rng.integers(0, 10, count) == 0,
        scorer=draw_one(rng, Cosine(), ByLength()),
        learns=draw_one(rng, False, False, True),
    )
