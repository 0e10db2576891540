"""What the page shows beside the report: plain data, unknown is None, money in pico-dollars."""

from __future__ import annotations

from dataclasses import dataclass

from frugalctl.replay.ledger import LedgerMeta
from frugalctl.report.model import Interval, Report


@dataclass(frozen=True, slots=True)
class Tally:
    """What a run of requests took on both sides.

    Attributes:
        requests: all of them, covered or not.
        priced: those that the costs are over.
        baseline_picos: what they cost, in pico-dollars.
        recipe_picos: likewise.
        hits: those that a semantic cache answered.
        baseline_input: input tokens, over the covered requests with known usage.
        baseline_read: those of them that were read from a prompt cache.
        recipe_input: likewise of the recipe.
        recipe_read: likewise.
    """

    requests: int = 0
    priced: int = 0
    baseline_picos: int = 0
    recipe_picos: int = 0
    hits: int = 0
    baseline_input: int = 0
    baseline_read: int = 0
    recipe_input: int = 0
    recipe_read: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """Equal periods one after the other, empty ones included.

    Attributes:
        step_us: the length of a period.
        first_us: when the first begins, in microseconds since 1970.
        periods: one tally each.
        undated: requests that stand in none of them.
    """

    step_us: int
    first_us: int
    periods: tuple[Tally, ...]
    undated: int


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What one model did on both sides; a side's cost is None where none could be priced.

    Attributes:
        baseline_calls: answers that the baseline has of it.
        baseline_unpriced: those of them that are not in `baseline_picos`.
        recipe_calls: likewise calls of the recipe.
        recipe_unpriced: likewise.
    """

    model: str
    baseline_calls: int
    baseline_unpriced: int
    baseline_picos: int | None
    recipe_calls: int
    recipe_unpriced: int
    recipe_picos: int | None


@dataclass(frozen=True, slots=True)
class Point:
    """Mean cost and quality over the same requests: the `n` where both are known."""

    name: str
    cost_usd: float | None
    cost_usd_ci95: Interval | None
    quality: float | None
    quality_ci95: Interval | None
    n: int


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of numbers in bins of equal ratio.

    Attributes:
        first: the number of the first bin; bin k is from `BIN_RATIO**k` to `BIN_RATIO**(k + 1)`.
        counts: int for each bin.
    """

    first: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Dear:
    """One request of those that cost most.

    Attributes:
        row: its number in the log, from 0.
        tokens: class -> count on the side that ranks it; None where unknown.
        usd: what it cost on that side.
        other_usd: and on the other.
        text: what was asked; None unless it is to be shown.
    """

    row: int
    request: str | None
    model: str | None
    task: str | None
    tokens: dict[str, int] | None
    usd: float
    other_usd: float
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Everything that the page shows.

    Attributes:
        report: the figures that all renderers show.
        meta: how the ledger came about, with the single models of the log.
        timeline: None where no request has a date.
        models: by baseline and recipe cost, dearest first.
        baseline_point: cost and quality of the baseline.
        recipe_point: likewise of the recipe.
        baseline_latency: in milliseconds; None where none is known.
        recipe_latency: likewise.
        dear_baseline: the requests that cost most as they were.
        dear_recipe: those that cost most by the recipe.
    """

    report: Report
    meta: LedgerMeta
    timeline: Timeline | None
    models: tuple[ModelUse, ...]
    baseline_point: Point
    recipe_point: Point
    baseline_latency: Histogram | None
    recipe_latency: Histogram | None
    dear_baseline: tuple[Dear, ...]
    dear_recipe: tuple[Dear, ...]
