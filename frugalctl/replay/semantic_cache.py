"""A semantic cache over the requests of a replay.

The cache keeps what the rest of the recipe would have answered: with a cascade, the answer that
the cascade gives. So the log is read once more, to see every answer before the first is reused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from frugalctl.embed import Embedder, Encoded, load_embedder
from frugalctl.errors import InputError
from frugalctl.levers.normalize import make_normalizer
from frugalctl.levers.semantic_cache.guards import find_refusal
from frugalctl.levers.semantic_cache.intervals import exact_interval
from frugalctl.levers.semantic_cache.protocols import Normalizer, Policy, Scorer
from frugalctl.levers.semantic_cache.questions import Questions, read_questions
from frugalctl.levers.semantic_cache.scorer import load_scorer
from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
from frugalctl.levers.semantic_cache.sim_scopes import measure_scope
from frugalctl.levers.semantic_cache.simulate import CacheRun, simulate
from frugalctl.log.schema import LogBatch
from frugalctl.replay.answers import collect_answers
from frugalctl.replay.decisions import ReusedAnswers
from frugalctl.replay.engine import Setup, choose_calls
from frugalctl.replay.ledger import Floats
from frugalctl.replay.recipe import Recipe

__all__ = ["CacheTools", "SimulatedReuse", "load_tools", "plan_reuse"]

_BATCH_TEXTS = 4096


@dataclass(frozen=True, slots=True)
class CacheTools:
    """What a semantic cache works with: the embedder, the normaliser and the scorer."""

    embedder: Embedder
    normalizer: Normalizer
    scorer: Scorer


def load_tools(recipe: Recipe, settings: SemanticCacheSettings) -> CacheTools:
    """Load what the tables [normalize] and [semantic_cache] name.

    Raises:
        UsageError: an embedder or scorer that nobody knows.
        MissingExtraError: a package that they need is not installed.
        InputError: a file of theirs is damaged, or does not fit the embedder.
    """
    embedder = load_embedder(settings.embedder)
    return CacheTools(
        embedder,
        make_normalizer(recipe.normalize),
        load_scorer(settings.scorer, embedder.fingerprint),
    )


@dataclass(frozen=True, slots=True)
class SimulatedReuse:
    """The decisions of a semantic cache over all requests of a log.

    Attributes:
        answers: by request, in the order of the log.
        summary: the report's `semantic_cache`.
        notes: what a reader should know.
    """

    answers: ReusedAnswers
    summary: dict[str, Any]
    notes: tuple[str, ...]


def plan_reuse(
    batches: Iterable[LogBatch], setup: Setup, settings: SemanticCacheSettings
) -> SimulatedReuse:
    """Simulate a semantic cache over a log.

    Args:
        batches: the log, with its texts.
        setup: the recipe, whose other levers answer what the cache does not.
        settings: the cache.

    Raises:
        InputError: no request shows a question and an answer.
        UsageError, MissingExtraError: see `load_tools`.
    """
    tools = load_tools(setup.recipe, settings)
    questions = read_questions(answer_log(batches, setup), settings.scope)
    if not questions.cacheable.any():
        reasons = ", ".join(f"{reason} ({n:,})" for reason, n in questions.unfit.items())
        raise InputError(
            f"no request can be looked up in a semantic cache: {reasons or 'the log is empty'}",
            hint="the log needs messages that end with a user's text, and responses",
        )
    encoded = _encode(questions, tools)
    keys = tools.normalizer.make_keys(questions.texts)

    def run(asked: Questions) -> CacheRun:
        return simulate(
            asked,
            encoded.vectors,
            keys,
            settings,
            _make_policy(settings),
            tools.scorer,
            find_refusal,
            encoded.truncated,
        )

    result = run(questions)
    fee_usd = _share_fee(result, encoded)
    answers = _reuse(questions, result, settings, fee_usd)
    summary = _sum_up(questions, result, settings, tools)
    lost = result.hit & np.isnan(answers.quality) & ~np.isnan(questions.quality)
    summary["hits_of_unknown_quality"] = int(lost.sum())
    summary["embedding_usd"] = encoded.cost_usd
    scope = measure_scope(questions, settings, result, run)
    summary["scope"] = [
        {
            "key": cost.key,
            "hits_gained": cost.hits_gained,
            "crossing": cost.crossing,
            "leaks": cost.leaks,
            "unjudged": cost.unjudged,
        }
        for cost in scope
    ]
    return SimulatedReuse(answers, summary, (*result.notes, *_warn(settings, encoded)))


def answer_log(batches: Iterable[LogBatch], setup: Setup) -> Iterator[LogBatch]:
    """The log with the answers that the rest of the recipe gives, under the model asked for."""
    for batch in batches:
        answers = collect_answers(batch, setup.book, setup.prices, setup.as_of_us)
        chosen = choose_calls(batch, answers, setup)
        last = np.full(answers.requests, -1, dtype=np.int64)
        last[chosen.row] = chosen.answer
        taken = pa.array(last, mask=last < 0)
        outcomes = batch.column("outcomes").flatten()
        requests = batch.requests
        for name in ("response", "finish_reason", "latency_ms", "quality"):
            known = [batch.column(name)]
            if len(outcomes):
                known.append(outcomes.field(name))
            column = pa.concat_arrays(known).take(taken)
            requests = requests.set_column(requests.schema.get_field_index(name), name, column)
        cost_usd = np.where(last < 0, np.nan, answers.side.cost_usd[last])
        cost = pa.array(cost_usd, from_pandas=True)
        requests = requests.set_column(
            requests.schema.get_field_index("cost_usd"), "cost_usd", cost
        )
        yield LogBatch(requests, batch.source, batch.lines)


def _encode(questions: Questions, tools: CacheTools) -> Encoded:
    """Embed what may be looked up; the rest has rows of zeros."""
    rows = np.flatnonzero(questions.cacheable)
    vectors = np.zeros((len(questions), tools.embedder.dimension), dtype=np.float32)
    truncated = np.zeros(len(questions), dtype=np.bool_)
    cost_usd: float | None = 0.0
    for start in range(0, len(rows), _BATCH_TEXTS):
        part = rows[start : start + _BATCH_TEXTS]
        order: list[int] = part.tolist()
        texts = tools.normalizer.reduce([questions.texts[at] for at in order])
        encoded = tools.embedder.encode(texts)
        vectors[part], truncated[part] = encoded.vectors, encoded.truncated
        known = cost_usd is not None and encoded.cost_usd is not None
        cost_usd = (cost_usd or 0.0) + (encoded.cost_usd or 0.0) if known else None
    return Encoded(vectors, truncated, cost_usd)


def _make_policy(settings: SemanticCacheSettings) -> Policy | None:
    if settings.policy == "threshold":
        return None
    from frugalctl.levers.semantic_cache.vcache import VCachePolicy

    return VCachePolicy(settings.max_error)


def _share_fee(run: CacheRun, encoded: Encoded) -> Floats | None:
    """What embedding each question cost: equal shares of the whole; None for a local model."""
    if encoded.cost_usd == 0.0:
        return None
    each = np.nan if encoded.cost_usd is None else encoded.cost_usd / max(int(run.asked.sum()), 1)
    return np.where(run.asked, each, 0.0)


def _reuse(
    questions: Questions, run: CacheRun, settings: SemanticCacheSettings, fee_usd: Floats | None
) -> ReusedAnswers:
    """The decisions, with the quality of a reused answer where the log tells it.

    An answer that says what the request's own answer says is as good as that one; one that
    answers the same reference is as good as it was where it was given.
    """
    source = np.maximum(run.source, 0)
    same = np.zeros(len(questions), dtype=np.bool_)
    for row in np.flatnonzero(run.hit & (run.right == 1)).tolist():
        same[row] = questions.references[row] is None
    quality = np.where(same, questions.quality, questions.quality[source])
    quality = np.where(run.right == 1, quality, np.nan)
    at = pa.array(source, mask=~run.hit)
    return ReusedAnswers(
        hit=run.hit,
        asked=run.asked,
        model=pa.array(questions.models, pa.string()).take(at),
        source=pa.array(questions.ids, pa.string()).take(at),
        quality=quality,
        lookup_ms=settings.lookup_ms,
        fee_usd=fee_usd,
    )


def _sum_up(
    questions: Questions, run: CacheRun, settings: SemanticCacheSettings, tools: CacheTools
) -> dict[str, Any]:
    """The report's `semantic_cache`."""
    hits, exact = int(run.hit.sum()), int(run.exact.sum())
    judged = int((~np.isnan(run.right)).sum())
    wrong = int((run.right == 0).sum())
    ages_s = run.age_us[run.age_us >= 0] / 1e6
    p50, p95 = (
        (float(np.percentile(ages_s, share)) for share in (50, 95)) if len(ages_s) else (None, None)
    )
    left = run.departures
    return {
        "name": f"{settings.embedder}, {settings.policy}",
        "embedder": tools.embedder.fingerprint,
        "normalizer": tools.normalizer.name,
        "scorer": tools.scorer.name,
        "threshold": settings.threshold if settings.policy == "threshold" else None,
        "requests": len(questions),
        "asked": int(run.asked.sum()),
        "hits": hits,
        "exact_hits": exact,
        "near_hits": hits - exact,
        "hit_rate": hits / len(questions),
        "judged_hits": judged,
        "wrong_hits": wrong,
        "wrong_of_hits": wrong / judged if judged else None,
        "wrong_of_hits_ci95": _interval(wrong, judged),
        "stale_hits": int(run.stale.sum()),
        "hit_age_s": {"p50": p50, "p95": p95},
        "entries": run.entries,
        "expired": left.expired,
        "evicted": left.evicted + left.too_large,
        "invalidated": left.invalidated,
        "replaced": left.replaced,
        "not_cacheable": questions.unfit,
        "guards": dict(sorted(run.refusals.items())),
    }


def _interval(wrong: int, judged: int) -> list[float] | None:
    if not judged:
        return None
    low, high = exact_interval(np.array([wrong]), np.array([judged]))
    return [float(low[0]), float(high[0])]


def _warn(settings: SemanticCacheSettings, encoded: Encoded) -> Iterator[str]:
    if encoded.cost_usd is None:
        yield f"what {settings.embedder} asks for embedding is not known: all costs are unknown"
