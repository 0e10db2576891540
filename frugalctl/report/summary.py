"""From a ledger to a report, in one pass and bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import frugalctl
from frugalctl.log.times import RELATIVE_BEFORE_US, format_timestamp
from frugalctl.prices import TOKEN_CLASSES
from frugalctl.replay.engine import NO_MODEL
from frugalctl.replay.ledger import LedgerBatch, LedgerMeta, Mask, Side
from frugalctl.report.bootstrap import Clusters
from frugalctl.report.distribution import Distribution, Mean
from frugalctl.report.groups import PICOS, Amounts, GroupTotals, Key, sum_by, to_picos, to_usd
from frugalctl.report.intervals import Intervals, Spread, StepSpread, estimate_intervals
from frugalctl.report.model import (
    Delta,
    Interval,
    Latency,
    LeverSummary,
    LogSummary,
    ModelSummary,
    Origin,
    Quality,
    Report,
    SideSummary,
    TokenClassSummary,
)

_DAY_US = 86_400_000_000


def summarise(
    batches: Iterable[LedgerBatch], finish: Callable[[], LedgerMeta], *, seed: int = 0
) -> Report:
    """Summarise a ledger.

    Args:
        batches: the ledger.
        finish: gives the metadata; called once the batches are exhausted.
        seed: of the bootstrap.
    """
    totals = _Totals()
    for batch in batches:
        totals.add(batch)
    return totals.report(finish(), seed)


@dataclass(slots=True)
class _SideTotals:
    """One side's running totals. Money is summed in whole pico-dollars: exact in any order."""

    picos: int = 0
    class_picos: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOKEN_CLASSES, 0))
    class_known: bool = True
    fee_picos: dict[str, int] = field(default_factory=dict[str, int])
    tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TOKEN_CLASSES, 0))
    known: int = 0
    latency: Distribution = field(default_factory=Distribution)
    latency_mean: Mean = field(default_factory=Mean)
    quality: Mean = field(default_factory=Mean)
    spread: Spread = field(default_factory=Spread)

    def add(self, side: Side, covered: Mask, priced: Mask, clusters: NDArray[np.int64]) -> None:
        self.picos += to_picos(side.cost_usd[priced])
        for name in TOKEN_CLASSES:
            usd = side.usd[name][priced]
            if np.isnan(usd).any():
                self.class_known = False
            else:
                self.class_picos[name] += to_picos(usd)
            self.tokens[name] += int(side.tokens[name][covered & side.known].sum())
        for fee, paid_usd in side.fees_usd.items():
            self.fee_picos[fee] = self.fee_picos.get(fee, 0) + to_picos(paid_usd[priced])
        self.known += int(np.count_nonzero(covered & side.known))
        latency_ms = _known(side.latency_ms[covered])
        self.latency.add(latency_ms)
        self.latency_mean.add(latency_ms)
        self.quality.add(_known(side.quality[covered]))
        self.spread.add(clusters, covered, priced, side)


class _Totals:
    def __init__(self) -> None:
        self.requests = self.priced = self.estimated = self.uncovered = self.undated = 0
        self.unpriced: dict[str, int] = {}
        self.first_us: int | None = None
        self.last_us: int | None = None
        self.baseline = _SideTotals()
        self.recipe = self.baseline
        self.paired = Spread()
        self.steps = StepSpread()
        self.quality_change = Mean()
        self.latency_change = Mean()
        self.clusters = Clusters()
        self.calls: dict[str, list[int]] = {}
        self.after: dict[str, int | None] = {}
        self.groups = {name: GroupTotals() for name in ("task", "day", "tenant")}

    def add(self, batch: LedgerBatch) -> None:
        covered = batch.covered
        priced = covered & batch.unpriced.is_null().to_numpy(zero_copy_only=False)
        self._count(batch, priced)
        clusters = self.clusters.assign(batch.columns["session"])
        self.baseline.add(batch.baseline, covered, priced, clusters)
        if batch.recipe is not batch.baseline:
            if self.recipe is self.baseline:
                self.recipe = _SideTotals()
            self.recipe.add(batch.recipe, covered, priced, clusters)
            self._add_pairs(batch, priced, clusters)
        self._add_calls(batch, priced)
        for lever, cost_usd in batch.after.items():
            known = self.after.get(lever, 0)
            lost = known is None or np.isnan(cost_usd[priced]).any()
            self.after[lever] = None if lost else (known or 0) + to_picos(cost_usd[priced])
        keys = {
            "task": Key.of_text(batch.columns["task"]),
            "tenant": Key.of_text(batch.columns["tenant"]),
            "day": Key.of_days(
                batch.timestamp_us // _DAY_US, batch.timestamp_us >= RELATIVE_BEFORE_US
            ),
        }
        amounts = Amounts.of_batch(batch, priced)
        for name, key in keys.items():
            if key is not None:
                self.groups[name].add(key, amounts)

    def _count(self, batch: LedgerBatch, priced: Mask) -> None:
        self.requests += len(batch)
        self.priced += int(np.count_nonzero(priced))
        self.uncovered += int(np.count_nonzero(~batch.covered))
        self.estimated += int(np.count_nonzero(batch.estimated & batch.covered))
        for item in batch.unpriced.drop_null().value_counts().to_pylist():
            name = item["values"]
            self.unpriced[name] = self.unpriced.get(name, 0) + item["counts"]
        dated = batch.timestamp_us[_dated(batch)]
        self.undated += len(batch) - len(dated)
        if len(dated):
            first, last = int(dated.min()), int(dated.max())
            self.first_us = first if self.first_us is None else min(first, self.first_us)
            self.last_us = last if self.last_us is None else max(last, self.last_us)

    def _add_pairs(self, batch: LedgerBatch, priced: Mask, clusters: NDArray[np.int64]) -> None:
        covered = batch.covered
        self.paired.add(clusters, covered, priced, batch.recipe, batch.baseline)
        self.steps.add(clusters, priced, batch)
        quality = (batch.recipe.quality - batch.baseline.quality)[covered]
        self.quality_change.add(_known(quality))
        latency_ms = (batch.recipe.latency_ms - batch.baseline.latency_ms)[covered]
        self.latency_change.add(_known(latency_ms))

    def _add_calls(self, batch: LedgerBatch, priced: Mask) -> None:
        covered = batch.covered[batch.calls.row]
        encoded = batch.calls.model.dictionary_encode()
        names = [*encoded.dictionary.to_pylist(), NO_MODEL]
        codes = encoded.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
        paid = covered & priced[batch.calls.row]
        picos = np.rint(batch.calls.cost_usd[paid] * PICOS)
        made = np.bincount(codes[covered], minlength=len(names))
        billed = np.bincount(codes[paid], minlength=len(names))
        cost = sum_by(codes[paid], picos, len(names))
        for code in np.flatnonzero(made):
            entry = self.calls.setdefault(names[code], [0, 0, 0])
            entry[0] += int(made[code])
            entry[1] += int(cost[code])
            entry[2] += int(billed[code])

    def report(self, meta: LedgerMeta, seed: int) -> Report:
        recipe_spread = None if self.recipe is self.baseline else self.recipe.spread
        of_baseline, of_recipe, of_change, of_steps = estimate_intervals(
            self.baseline.spread, recipe_spread, self.paired, self.steps, self.priced, seed
        )
        baseline = self._side(meta.baseline, self.baseline, of_baseline)
        recipe = self._side(meta.recipe, self.recipe, of_recipe)
        delta = self._delta(baseline, recipe, of_change)
        lost = _count_lost(meta)
        return Report(
            frugalctl_version=frugalctl.__version__,
            origin=Origin(
                prices=meta.prices,
                price_book=meta.book,
                as_of=meta.as_of,
                input_xxh3=meta.input_xxh3,
                recipe_settings=meta.settings,
                seed=seed,
            ),
            log=self._log(meta),
            baseline=baseline,
            recipe=recipe,
            delta=delta,
            models=self._models(),
            levers=self._levers(meta, of_steps),
            semantic_cache=_bound_quality(meta.semantic_cache, recipe.quality, lost),
            prompt_cache=meta.prompt_cache,
            compress=_bound_quality(meta.compress, recipe.quality, lost),
            token_classes=self._token_classes(baseline, recipe),
            groups={name: group.summaries() for name, group in self.groups.items()},
        )

    def _levers(
        self, meta: LedgerMeta, intervals: dict[str, Interval | None]
    ) -> tuple[LeverSummary, ...]:
        """What each lever saves on top of those before it; the steps sum to the total."""
        found: list[LeverSummary] = []
        before: int | None = self.baseline.picos
        for lever in meta.levers:
            is_last = lever == meta.levers[-1]
            now = self.recipe.picos if is_last else self.after.get(lever)
            if not self.priced:
                now = None
            saved = None if before is None or now is None else to_usd(before - now)
            interval = None if saved is None else intervals.get(lever)
            found.append(LeverSummary(lever, saved, interval))
            before = now
        return tuple(found)

    def _log(self, meta: LedgerMeta) -> LogSummary:
        ranked = sorted(self.unpriced.items(), key=lambda item: (-item[1], item[0]))
        return LogSummary(
            requests=self.requests,
            sessions=self.clusters.sessions.count_distinct(),
            priced=self.priced,
            unpriced=dict(ranked),
            estimated_usage=self.estimated,
            uncovered=self.uncovered,
            uncovered_share=self.uncovered / self.requests if self.requests else None,
            undated=self.undated,
            skipped_lines=meta.skipped_lines,
            first_day=None if self.first_us is None else format_timestamp(self.first_us)[:10],
            last_day=None if self.last_us is None else format_timestamp(self.last_us)[:10],
        )

    def _side(self, name: str, totals: _SideTotals, intervals: Intervals) -> SideSummary:
        p50, p95, p99 = totals.latency.percentiles(50, 95, 99)
        latency_ms, count = totals.latency_mean.value(), totals.latency_mean.count
        return SideSummary(
            name=name,
            cost_usd=to_usd(totals.picos) if self.priced else None,
            cost_usd_ci95=intervals.cost_usd,
            tokens={key: value if totals.known else None for key, value in totals.tokens.items()},
            latency_ms=Latency(latency_ms, intervals.latency_ms, p50, p95, p99, count),
            quality=Quality(totals.quality.value(), intervals.quality, totals.quality.count),
        )

    def _delta(self, baseline: SideSummary, recipe: SideSummary, intervals: Intervals) -> Delta:
        cost = None
        if baseline.cost_usd is not None and recipe.cost_usd is not None:
            cost = to_usd(self.recipe.picos - self.baseline.picos)
        percent = 100 * cost / baseline.cost_usd if cost is not None and baseline.cost_usd else None
        if self.recipe is self.baseline:
            quality = None if recipe.quality.mean is None else 0.0
            latency = None if recipe.latency_ms.mean is None else 0.0
            counts = (recipe.quality.n, recipe.latency_ms.n)
        else:
            quality, latency = self.quality_change.value(), self.latency_change.value()
            counts = (self.quality_change.count, self.latency_change.count)
        return Delta(
            cost_usd=cost,
            cost_usd_ci95=intervals.cost_usd,
            cost_pct=percent,
            quality=quality,
            quality_ci95=intervals.quality,
            quality_n=counts[0],
            latency_ms_mean=latency,
            latency_ms_mean_ci95=intervals.latency_ms,
            latency_ms_mean_n=counts[1],
        )

    def _models(self) -> tuple[ModelSummary, ...]:
        found = [
            ModelSummary(name, calls, calls - paid, to_usd(picos) if paid else None)
            for name, (calls, picos, paid) in self.calls.items()
            if calls
        ]
        return tuple(sorted(found, key=lambda item: (-(item.cost_usd or 0.0), item.model)))

    def _token_classes(
        self, baseline: SideSummary, recipe: SideSummary
    ) -> tuple[TokenClassSummary, ...]:
        found = [
            TokenClassSummary(
                name,
                recipe.tokens[name],
                self._class_usd(self.recipe, name),
                baseline.tokens[name],
                self._class_usd(self.baseline, name),
            )
            for name in TOKEN_CLASSES
        ]
        for fee, picos in self.recipe.fee_picos.items():
            paid, nothing = (to_usd(picos), 0.0) if self.priced else (None, None)
            found.append(TokenClassSummary(fee, None, paid, None, nothing))
        return tuple(found)

    def _class_usd(self, totals: _SideTotals, name: str) -> float | None:
        known = totals.class_known and self.priced > 0
        return to_usd(totals.class_picos[name]) if known else None


def _count_lost(meta: LedgerMeta) -> int:
    """The requests whose quality was known, and is not after what the levers did to them."""
    reuse, compress = meta.semantic_cache or {}, meta.compress or {}
    return reuse.get("hits_of_unknown_quality", 0) + compress.get("quality_lost", 0)


def _bound_quality(
    lever: dict[str, Any] | None, quality: Quality, lost: int
) -> dict[str, Any] | None:
    """Add what the recipe's quality is if answers of unknown quality are worth nothing."""
    if lever is None or quality.mean is None:
        return lever
    return lever | {"quality_at_worst": quality.mean * quality.n / (quality.n + lost)}


def _dated(batch: LedgerBatch) -> Mask:
    return batch.timestamp_us >= RELATIVE_BEFORE_US


def _known(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]
