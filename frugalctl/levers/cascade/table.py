"""What every model answered to every request, as dense columns."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """n requests and the outcomes of m models.

    Attributes:
        models: m names.
        present: bool[n, m], whether the log has that model's outcome.
        quality: float64[n, m] in [0, 1], NaN where unknown.
        cost_usd: float64[n, m], of the call, NaN where unknown.
        latency_ms: float64[n, m], of the call, NaN where unknown.
        confidence: float64[n, m], as logged, NaN where unknown.
        clusters: int64[n], requests of one session share a number.
        time_us: int64[n], `log.times.UNKNOWN_US` where missing.
        ids: n ids as logged.
        tasks: n tasks as logged.
        observed: int64[n], the model that the request was sent to, -1 where nobody says.
        propensity: float64[n], the chance with which it was chosen, NaN where unknown.
        questions: the text of each request's messages, "" without any; empty unless read.
        responses: m lists of n texts; empty unless read.
    """

    models: tuple[str, ...]
    present: Mask
    quality: Floats
    cost_usd: Floats
    latency_ms: Floats
    confidence: Floats
    clusters: Integers
    time_us: Integers
    ids: tuple[str | None, ...]
    tasks: tuple[str | None, ...]
    observed: Integers = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    propensity: Floats = field(default_factory=lambda: np.empty(0))
    questions: tuple[str, ...] = ()
    responses: tuple[tuple[str | None, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.present)

    @property
    def complete(self) -> Mask:
        """bool[n], the requests of which every model's quality and cost are known."""
        known = self.present & ~np.isnan(self.quality) & ~np.isnan(self.cost_usd)
        return np.all(known, axis=1)

    def take(self, rows: Integers) -> OutcomeTable:
        """Some of the requests, in the order of `rows`."""
        at: list[int] = rows.tolist()
        columns: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        cut: dict[str, Any] = {
            name: column[rows]
            for name, column in columns.items()
            if isinstance(column, np.ndarray) and column.size
        }
        return replace(
            self,
            **cut,
            ids=tuple(self.ids[row] for row in at),
            tasks=tuple(self.tasks[row] for row in at),
            questions=tuple(self.questions[row] for row in at) if self.questions else (),
            responses=tuple(tuple(texts[row] for row in at) for texts in self.responses),
        )

    def select(self, models: tuple[str, ...]) -> OutcomeTable:
        """Some of the models, in that order."""
        at = [self.models.index(name) for name in models]
        matrices = ("present", "quality", "cost_usd", "latency_ms", "confidence")
        observed = np.full(len(self.models) + 1, -1, dtype=np.int64)
        observed[at] = np.arange(len(at))
        return replace(
            self,
            models=models,
            observed=observed[self.observed],
            responses=tuple(self.responses[number] for number in at) if self.responses else (),
            **{name: getattr(self, name)[:, at] for name in matrices},
        )
