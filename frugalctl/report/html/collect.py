"""From a ledger to a page, in the same pass as the report and in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from frugalctl.prices import TOKEN_CLASSES
from frugalctl.replay.engine import NO_MODEL
from frugalctl.replay.ledger import Floats, LedgerBatch, LedgerMeta, Mask, Side
from frugalctl.replay.singles import CostQuality, SessionGroups
from frugalctl.report.groups import PICOS, sum_by
from frugalctl.report.html.model import Dear, Histogram, ModelUse, Page, Point
from frugalctl.report.html.timeline import TimeTotals
from frugalctl.report.model import Report

DEAREST = 20
BINS_A_DECADE = 20
BIN_RATIO = 10 ** (1 / BINS_A_DECADE)
_LOWEST, _HIGHEST = -3 * BINS_A_DECADE, 10 * BINS_A_DECADE


class PageTotals:
    """What the page needs beside the report, gathered while the batches pass."""

    def __init__(self) -> None:
        self._rows = 0
        self._times = TimeTotals()
        self._models: dict[str, list[int]] = {}
        self._groups = SessionGroups()
        self._points = (CostQuality(), CostQuality())
        self._latency = (_Latencies(), _Latencies())
        self._dear = (_Dearest(), _Dearest())
        self._meta: LedgerMeta | None = None

    def watch(self, batches: Iterable[LedgerBatch]) -> Iterator[LedgerBatch]:
        """The batches, each counted as it passes."""
        for batch in batches:
            self._add(batch)
            yield batch

    def _add(self, batch: LedgerBatch) -> None:
        priced = batch.covered & batch.unpriced.is_null().to_numpy(zero_copy_only=False)
        self._times.add(batch, priced)
        self._add_models(batch, priced)
        groups = self._groups.assign(batch.columns["session"])[priced]
        sides = (batch.baseline, batch.recipe)
        for at, side in enumerate(sides):
            self._points[at].add(groups, side.cost_usd[priced], side.quality[priced])
            self._latency[at].add(side.latency_ms[batch.covered])
            self._dear[at].add(batch, side, sides[1 - at], priced, self._rows)
        self._rows += len(batch)

    def _add_models(self, batch: LedgerBatch, priced: Mask) -> None:
        """The baseline's answers by model; the recipe's calls stand in the report."""
        encoded = batch.baseline.model.dictionary_encode()
        names = [*encoded.dictionary.to_pylist(), NO_MODEL]
        codes = encoded.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
        picos = np.rint(batch.baseline.cost_usd[priced] * PICOS)
        made = np.bincount(codes[batch.covered], minlength=len(names))
        paid = np.bincount(codes[priced], minlength=len(names))
        cost = sum_by(codes[priced], picos, len(names))
        for code in np.flatnonzero(made):
            entry = self._models.setdefault(names[code], [0, 0, 0])
            for place, column in enumerate((made, paid, cost)):
                entry[place] += int(column[code])

    def keep(self, meta: LedgerMeta) -> LedgerMeta:
        """Keep the metadata, which are known once the batches are exhausted."""
        self._meta = meta
        return meta

    def page(self, report: Report) -> Page:
        """The page, once batches and metadata have been here."""
        assert self._meta is not None
        baseline_latency, recipe_latency = (latency.histogram() for latency in self._latency)
        return Page(
            report=report,
            meta=self._meta,
            timeline=self._times.timeline(),
            models=self._model_uses(report),
            baseline_point=Point("baseline", **self._points[0].estimate()),
            recipe_point=Point("recipe", **self._points[1].estimate()),
            baseline_latency=baseline_latency,
            recipe_latency=recipe_latency,
            dear_baseline=self._dear[0].ranked(),
            dear_recipe=self._dear[1].ranked(),
        )

    def _model_uses(self, report: Report) -> tuple[ModelUse, ...]:
        calls = {item.model: item for item in report.models}
        found: list[ModelUse] = []
        for name in calls.keys() | self._models.keys():
            made, paid, picos = self._models.get(name, (0, 0, 0))
            call = calls.get(name)
            found.append(
                ModelUse(
                    model=name,
                    baseline_calls=made,
                    baseline_unpriced=made - paid,
                    baseline_picos=picos if paid or not made else None,
                    recipe_calls=0 if call is None else call.calls,
                    recipe_unpriced=0 if call is None else call.unpriced_calls,
                    recipe_picos=_to_picos(0.0 if call is None else call.cost_usd),
                )
            )
        found.sort(
            key=lambda use: (-(use.baseline_picos or 0) - (use.recipe_picos or 0), use.model)
        )
        return tuple(found)


@dataclass(slots=True)
class _Latencies:
    counts: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(_HIGHEST - _LOWEST, dtype=np.int64)
    )

    def add(self, latency_ms: Floats) -> None:
        known = latency_ms[~np.isnan(latency_ms)]
        with np.errstate(divide="ignore"):
            bins = np.floor(np.log10(known) * BINS_A_DECADE)
        at = np.clip(bins, _LOWEST, _HIGHEST - 1).astype(np.int64) - _LOWEST
        self.counts += np.bincount(at, minlength=len(self.counts))

    def histogram(self) -> Histogram | None:
        used = np.flatnonzero(self.counts)
        if not len(used):
            return None
        first, last = int(used[0]), int(used[-1])
        return Histogram(first + _LOWEST, tuple(self.counts[first : last + 1].tolist()))


@dataclass(slots=True)
class _Dearest:
    """The requests of one side that cost most; of equals, those that came first."""

    found: list[Dear] = field(default_factory=list[Dear])

    def add(self, batch: LedgerBatch, side: Side, other: Side, priced: Mask, first: int) -> None:
        least = self.found[-1].usd if len(self.found) == DEAREST else -math.inf
        rows = np.flatnonzero(priced & (side.cost_usd > least))
        order = np.argsort(-side.cost_usd[rows], kind="stable")[:DEAREST]
        for row in rows[order].tolist():
            known = bool(side.known[row])
            tokens = {name: int(side.tokens[name][row]) for name in TOKEN_CLASSES}
            self.found.append(
                Dear(
                    row=first + row,
                    request=_text(batch.columns["id"], row),
                    model=_text(side.model, row),
                    task=_text(batch.columns["task"], row),
                    tokens=tokens if known else None,
                    usd=float(side.cost_usd[row]),
                    other_usd=float(other.cost_usd[row]),
                )
            )
        self.found.sort(key=lambda dear: (-dear.usd, dear.row))
        del self.found[DEAREST:]

    def ranked(self) -> tuple[Dear, ...]:
        return tuple(self.found)


def _to_picos(usd: float | None) -> int | None:
    return None if usd is None else round(usd * PICOS)


def _text(column: pa.Array, row: int) -> str | None:
    return column[row].as_py()
