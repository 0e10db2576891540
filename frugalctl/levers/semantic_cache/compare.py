"""One stream of questions through two policies: a boundary for each entry, or one threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from frugalctl.errors import UsageError
from frugalctl.levers.semantic_cache.evaluate import trace_curve
from frugalctl.levers.semantic_cache.guards import find_refusal
from frugalctl.levers.semantic_cache.labels import Groups, Labels, Logged, Pairs
from frugalctl.levers.semantic_cache.protocols import Policy
from frugalctl.levers.semantic_cache.questions import Questions
from frugalctl.levers.semantic_cache.ranking import Matching
from frugalctl.levers.semantic_cache.scope import ScopeParts
from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
from frugalctl.levers.semantic_cache.simulate import CacheRun, simulate
from frugalctl.levers.semantic_cache.trials import Trials
from frugalctl.levers.semantic_cache.vcache import VCachePolicy
from frugalctl.log.times import UNKNOWN_US

_RUNS = 8


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """What a policy did with a stream of n questions.

    Attributes:
        policy: its name.
        threshold: of the static one; None for vCache.
        n: questions.
        hits: answered from the cache.
        wrong_hits: of these, wrongly.
    """

    policy: str
    threshold: float | None
    n: int
    hits: int
    wrong_hits: int

    @property
    def hit_rate(self) -> float:
        """Hits of all questions."""
        return self.hits / self.n

    @property
    def wrong_of_all(self) -> float:
        """Wrong hits of all questions, which vCache bounds."""
        return self.wrong_hits / self.n

    @property
    def wrong_of_hits(self) -> float | None:
        """Wrong hits of hits; None without a hit."""
        return self.wrong_hits / self.hits if self.hits else None


def compare_policies(
    labels: Labels, trials: Trials, matching: Matching, max_error: float, seed: int
) -> list[PolicyResult]:
    """vCache, and the lowest static threshold that makes no more errors, on the same stream.

    Questions come in the order of the file, or of their times; both caches begin empty and keep
    what they were asked. The threshold is found by bisection between those of the curve.

    Args:
        labels: groups or a log.
        trials: of the same labels and matching, where the thresholds to try come from.
        matching: embedder, scorer and guards.
        max_error: vCache's bound on wrong answers among all requests.
        seed: of vCache's chances.

    Raises:
        UsageError: pairs, which are no stream.
    """
    run = _prepare(labels, matching)
    result = _sum_up("vcache", None, run(VCachePolicy(max_error, seed), 0.0))
    return [result, _match_error(run, trials, result)]


def _prepare(labels: Labels, matching: Matching) -> Callable[[Policy | None, float], CacheRun]:
    if isinstance(labels, Pairs):
        raise UsageError(
            "pairs are no stream of questions", hint="--policy vcache needs groups or a log"
        )
    questions = labels.questions if isinstance(labels, Logged) else _stream_groups(labels)
    encoded = matching.embedder.encode(matching.normalizer.reduce(questions.texts))
    keys = matching.normalizer.make_keys(questions.texts)

    def run(policy: Policy | None, threshold: float) -> CacheRun:
        settings = SemanticCacheSettings(
            threshold=threshold, guards=matching.guards, candidates=matching.candidates
        )
        return simulate(
            questions,
            encoded.vectors,
            keys,
            settings,
            policy,
            matching.scorer,
            find_refusal,
            encoded.truncated,
        )

    return run


def _stream_groups(groups: Groups) -> Questions:
    """The texts as a log without times, in which a group's name is the right answer."""
    count = len(groups.texts)
    answers = [f"group {group}" if group >= 0 else None for group in groups.groups.tolist()]
    unknown = np.full(count, np.nan)
    untimed = np.full(count, UNKNOWN_US, dtype=np.int64)
    nobody: list[str | None] = [None] * count
    return Questions(
        ids=nobody,
        texts=list(groups.texts),
        responses=[answer or f"text {at}" for at, answer in enumerate(answers)],
        references=nobody,
        tasks=nobody,
        parts=[ScopeParts()] * count,
        scopes=["all"] * count,
        time_us=untimed,
        done_us=untimed,
        quality=unknown,
        cost_usd=unknown,
        latency_ms=unknown,
        cacheable=np.ones(count, dtype=np.bool_),
        unfit={},
        lines=np.arange(1, count + 1, dtype=np.int64),
    )


def _sum_up(policy: str, threshold: float | None, run: CacheRun) -> PolicyResult:
    hits, wrong = int(run.hit.sum()), int((run.right == 0).sum())
    return PolicyResult(policy, threshold, len(run.hit), hits, wrong)


def _match_error(
    run: Callable[[Policy | None, float], CacheRun], trials: Trials, goal: PolicyResult
) -> PolicyResult:
    thresholds = trace_curve(trials).thresholds
    best = _sum_up("threshold", 1.0, run(None, 1.0))
    low, high = 0, len(thresholds) - 1
    for _ in range(_RUNS):
        if low > high:
            break
        middle = (low + high) // 2
        threshold = float(thresholds[middle])
        found = _sum_up("threshold", threshold, run(None, threshold))
        if found.wrong_hits <= goal.wrong_hits:
            best, low = found, middle + 1
        else:
            high = middle - 1
    return best
