"""What each single model of the log's outcomes would have taken, over the requests compared."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any
from zlib import crc32

import numpy as np
import pyarrow as pa

from frugalctl.log.schema import LogBatch
from frugalctl.replay.answers import Answers
from frugalctl.replay.ledger import Floats, Integers, Mask, SingleModel

MOST_MODELS = 128
_GROUPS = 1_024
_PICOS = 1e12
_DIGITS = 9
_95_PERCENT = 1.959964


@dataclass(slots=True)
class _Figure:
    """A quantity's sum and count in random groups of sessions."""

    sums: Floats = field(default_factory=lambda: np.zeros(_GROUPS))
    counts: Floats = field(default_factory=lambda: np.zeros(_GROUPS))

    def add(self, groups: Integers, values: Floats) -> None:
        known = ~np.isnan(values)
        self.sums += np.bincount(groups[known], values[known], minlength=_GROUPS)
        self.counts += np.bincount(groups[known], minlength=_GROUPS)

    def estimate(self) -> dict[str, Any]:
        """The mean, its 95 % interval by the variance between groups, and the count.

        Source: Wolter, "Introduction to Variance Estimation", 2007, 2.4 and 6.2 (random groups,
        the ratio estimator linearised).
        """
        count = float(self.counts.sum())
        if not count:
            return {"mean": None, "ci95": None, "n": 0}
        mean = float(self.sums.sum()) / count
        used = int(np.count_nonzero(self.counts))
        interval = None
        if used > 1:
            spread = float(np.square(self.sums - mean * self.counts).sum())
            half = _95_PERCENT * math.sqrt(spread * used / (used - 1)) / count
            interval = (round(mean - half, _DIGITS), round(mean + half, _DIGITS))
        return {"mean": round(mean, _DIGITS), "ci95": interval, "n": int(count)}


@dataclass(slots=True)
class CostQuality:
    """Running totals of cost and quality over the same requests: where both are known."""

    _picos: _Figure = field(default_factory=_Figure)
    _quality: _Figure = field(default_factory=_Figure)

    def add(self, groups: Integers, cost_usd: Floats, quality: Floats) -> None:
        """Add requests with their random groups; NaN where unknown."""
        both = ~np.isnan(cost_usd) & ~np.isnan(quality)
        self._picos.add(groups[both], np.rint(cost_usd[both] * _PICOS))
        self._quality.add(groups[both], quality[both])

    def estimate(self) -> dict[str, Any]:
        """Means a request with 95 % intervals, by the names of `SingleModel`, and `n`."""
        cost, quality = self._picos.estimate(), self._quality.estimate()
        low_high, bounds = cost["ci95"], quality["ci95"]
        ends = None if low_high is None else (low_high[0] / _PICOS, low_high[1] / _PICOS)
        return {
            "cost_usd": None if cost["mean"] is None else cost["mean"] / _PICOS,
            "cost_usd_ci95": ends,
            "quality": quality["mean"],
            "quality_ci95": None if bounds is None else (max(bounds[0], 0.0), min(bounds[1], 1.0)),
            "n": cost["n"],
        }


class SessionGroups:
    """Assigns each request to a random group: its session's, or one of its own."""

    def __init__(self) -> None:
        self._alone = 0

    def assign(self, sessions: pa.Array) -> Integers:
        """The groups of a batch of sessions (null: no session)."""
        encoded = sessions.dictionary_encode()
        alone = encoded.indices.is_null().to_numpy(zero_copy_only=False)
        groups = np.empty(len(sessions), dtype=np.int64)
        names: list[str] = encoded.dictionary.to_pylist()
        of_names = np.array([crc32(name.encode()) % _GROUPS for name in names], dtype=np.int64)
        known = encoded.indices.drop_null().to_numpy(zero_copy_only=False)
        groups[~alone] = of_names[known]
        groups[alone] = (self._alone + np.arange(int(alone.sum()))) % _GROUPS
        self._alone += int(alone.sum())
        return groups


@dataclass(slots=True)
class _Model:
    requests: int = 0
    point: CostQuality = field(default_factory=CostQuality)
    latency_ms: _Figure = field(default_factory=_Figure)


class SingleModels:
    """Running totals of every model that answered requests which have outcomes.

    Only requests that count in the comparison (covered) and that were evaluated (some outcome)
    count here, so that the models stand beside baseline and recipe; memory is bounded by the
    first `MOST_MODELS` models.
    """

    def __init__(self) -> None:
        self._models: dict[str, _Model] = {}
        self._groups = SessionGroups()

    def add(self, batch: LogBatch, answers: Answers, covered: Mask) -> None:
        """Add a batch, its answers priced."""
        evaluated = np.zeros(answers.requests, dtype=np.bool_)
        evaluated[answers.row[answers.requests :]] = True
        counted = evaluated & covered
        if not counted.any():
            return
        groups = self._groups.assign(batch.column("session"))
        for name in answers.side.model.unique().drop_null().to_pylist():
            if name not in self._models and len(self._models) >= MOST_MODELS:
                continue
            answer = answers.of_model(name)
            rows = np.flatnonzero(counted & (answer >= 0))
            if len(rows):
                at = answer[rows]
                found = self._models.setdefault(name, _Model())
                found.requests += len(rows)
                side = answers.side
                found.point.add(groups[rows], side.cost_usd[at], side.quality[at])
                found.latency_ms.add(groups[rows], answers.side.latency_ms[at])

    def summaries(self) -> tuple[SingleModel, ...]:
        """The models by name."""
        return tuple(_summarise(name, self._models[name]) for name in sorted(self._models))


def _summarise(name: str, model: _Model) -> SingleModel:
    latency = model.latency_ms.estimate()
    return SingleModel(
        model=name,
        requests=model.requests,
        **model.point.estimate(),
        latency_ms=latency["mean"],
        latency_ms_ci95=latency["ci95"],
        latency_n=latency["n"],
    )
