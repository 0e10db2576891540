"""What a report says: plain data, unknown is None."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

SCHEMA_VERSION = 1

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Latency:
    """Latency in milliseconds over the `n` requests that have one; `ci95` is of the mean."""

    mean: float | None
    ci95: Interval | None
    p50: float | None
    p95: float | None
    p99: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Quality:
    """Mean quality in [0, 1] over the `n` requests that have one, with its 95 % interval."""

    mean: float | None
    ci95: Interval | None
    n: int


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What the log holds and how much of it the totals cover.

    Every request is exactly one of priced, unpriced (by the model that lacks a price) and
    uncovered (the log lacks an outcome that the baseline or the recipe needs). Costs are over
    the priced requests, the rest over all but the uncovered ones.

    Attributes:
        first_day: ISO date in UTC of the earliest timestamp, None where there is none.
        undated: requests without a date (no timestamp, or one that counts from the start of a
            trace), priced as of the book's own date.
        skipped_lines: bad lines that were left out.
    """

    requests: int
    sessions: int
    priced: int
    unpriced: dict[str, int]
    estimated_usage: int
    uncovered: int
    uncovered_share: float | None
    undated: int
    skipped_lines: int
    first_day: str | None
    last_day: str | None


@dataclass(frozen=True, slots=True)
class SideSummary:
    """What the baseline, or the recipe, took.

    Attributes:
        cost_usd: over the priced requests; None where there is none.
        cost_usd_ci95: had as many requests come in other sessions of the same kind.
        tokens: class -> count, over the requests with known usage; None where none is known.
    """

    name: str
    cost_usd: float | None
    cost_usd_ci95: Interval | None
    tokens: dict[str, int | None]
    latency_ms: Latency
    quality: Quality


@dataclass(frozen=True, slots=True)
class Delta:
    """Recipe minus baseline; quality and latency over requests where both are known.

    Attributes:
        quality_n: how many requests `quality` is over.
        latency_ms_mean_n: likewise.
    """

    cost_usd: float | None
    cost_usd_ci95: Interval | None
    cost_pct: float | None
    quality: float | None
    quality_ci95: Interval | None
    quality_n: int
    latency_ms_mean: float | None
    latency_ms_mean_ci95: Interval | None
    latency_ms_mean_n: int


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """The recipe's calls of one model; `cost_usd` is None where none could be priced.

    Attributes:
        unpriced_calls: calls that are not in `cost_usd`, for want of a price of theirs or of
            another call of the same request.
    """

    model: str
    calls: int
    unpriced_calls: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class LeverSummary:
    """What one lever saved on top of those before it."""

    name: str
    saved_usd: float | None
    saved_usd_ci95: Interval | None


@dataclass(frozen=True, slots=True)
class TokenClassSummary:
    """The tokens of one class, and their cost where it is known by class.

    Attributes:
        tokens: of the recipe; None for a fee, which is paid beside tokens.
        cost_usd: of the recipe.
        baseline_tokens: likewise of the baseline.
        baseline_cost_usd: of the baseline.
    """

    token_class: str
    tokens: int | None
    cost_usd: float | None
    baseline_tokens: int | None
    baseline_cost_usd: float | None


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """The requests that share a value (a task, a day, a tenant).

    Attributes:
        uncovered: those of them that count for nothing else.
        priced: those of them that the costs are over.
        baseline_quality: over `baseline_quality_n` requests.
        quality: over `quality_n`, which may be other ones.
    """

    name: str
    requests: int
    uncovered: int
    priced: int
    baseline_cost_usd: float | None
    cost_usd: float | None
    baseline_quality: float | None
    baseline_quality_n: int
    quality: float | None
    quality_n: int
    baseline_latency_ms_mean: float | None
    latency_ms_mean: float | None


@dataclass(frozen=True, slots=True)
class Origin:
    """How the report was made; equal inputs give equal origins."""

    prices: str
    price_book: str
    as_of: str | None
    input_xxh3: str
    recipe_settings: dict[str, Any]
    seed: int


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report."""

    frugalctl_version: str
    origin: Origin
    log: LogSummary
    baseline: SideSummary
    recipe: SideSummary
    delta: Delta
    models: tuple[ModelSummary, ...]
    levers: tuple[LeverSummary, ...]
    semantic_cache: dict[str, Any] | None
    prompt_cache: dict[str, Any] | None
    token_classes: tuple[TokenClassSummary, ...]
    groups: dict[str, tuple[GroupSummary, ...]] = field(default_factory=dict[str, Any])
    compress: dict[str, Any] | None = None
    schema_version: int = SCHEMA_VERSION
