"""The prefix report: what a prompt cache would read, what breaks the prefix, what that costs."""

from __future__ import annotations

from dataclasses import dataclass, field

import frugalctl
from frugalctl.levers.prompt_cache.blame import Miss

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class CacheTotals:
    """Input tokens by class and their dollars; None is unknown.

    Attributes:
        requests: how many.
        requests_with_hit: of them, those that read something.
        read_tokens: read from the cache.
        write_tokens: written for five minutes, or however long writes last by default.
        write_1h_tokens: written for an hour.
        fresh_tokens: the rest.
        uncached_usd: what the input costs without a cache.
        logged_usd: what it cost by the log's usage; None if that says nothing of caches.
        cost_usd: what it costs as simulated.
    """

    requests: int
    requests_with_hit: int
    read_tokens: int
    write_tokens: int
    write_1h_tokens: int
    fresh_tokens: int
    uncached_usd: float | None
    logged_usd: float | None
    cost_usd: float | None

    @property
    def input_tokens(self) -> int:
        """The sum of the classes."""
        return self.read_tokens + self.write_tokens + self.write_1h_tokens + self.fresh_tokens

    @property
    def relative_input_cost(self) -> float | None:
        """Cost as a share of that without a cache."""
        if self.cost_usd is None or not self.uncached_usd:
            return None
        return self.cost_usd / self.uncached_usd


@dataclass(frozen=True, slots=True)
class Bounds:
    """The least and the best that may be hoped for, where the provider does not promise.

    Attributes:
        read_share: of input tokens, pessimistic and optimistic.
        cost_usd: likewise; None is unknown.
    """

    read_share: tuple[float, float]
    cost_usd: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Calibration:
    """Predicted against reported cached tokens, over requests that have both.

    Attributes:
        model: whose requests; "" for all.
        requests: how many.
        logged_tokens: as the provider reported.
        predicted_tokens: as simulated.
        mean_absolute_tokens: mean distance of a request's two numbers.
        bias_tokens: mean of predicted minus logged.
        correlation: Pearson's; None where one side does not vary.
        close_share: requests that are less than 128 tokens apart.
    """

    model: str
    requests: int
    logged_tokens: int
    predicted_tokens: int
    mean_absolute_tokens: float
    bias_tokens: float
    correlation: float | None
    close_share: float


@dataclass(frozen=True, slots=True)
class CauseSummary:
    """The requests that missed for one cause.

    Attributes:
        cause: a key of `blame.CAUSES`.
        requests: how many.
        expired_requests: of them, those whose lifetime had passed as well.
        missed_tokens: input that the others should have read and did not.
        lost_usd: what these tokens cost beyond a read; None if unknown.
        example: the first of them.
    """

    cause: str
    requests: int
    expired_requests: int
    missed_tokens: int
    lost_usd: float | None
    example: Miss


@dataclass(frozen=True, slots=True)
class Repetition:
    """How much of one part of the prompts was sent before, to the same model and tenant.

    Attributes:
        part: "tools", "system", "history" or "last message".
        tokens: input tokens of it, as counted.
        as_prefix_tokens: of them, those after nothing but what was also sent before.
        anywhere_tokens: of them, those in a message that was sent before, wherever it stood.
    """

    part: str
    tokens: int
    as_prefix_tokens: int
    anywhere_tokens: int


@dataclass(frozen=True, slots=True)
class PrefixReport:
    """The prefix report.

    Attributes:
        cache: the cache that was simulated, or "auto".
        caches: requests by cache.
        without_cache: models that no cache was found for, and why.
        requests: in the log.
        unpriced: requests without a price, by model.
        total: of all requests that have a cache.
        bounds: None where the rules are certain.
        calibration: all requests, then by model; empty if the log reports no cached tokens.
        causes: why requests missed.
        repetition: where the tokens repeat.
        groups: totals by "tenant", "model", "session", "day".
        notes: what a reader should know.
        price_book: whose prices.
        as_of: the day they are of, None for each request's own.
        input_xxh3: hash of the log.
    """

    cache: str
    caches: dict[str, int]
    without_cache: dict[str, str]
    requests: int
    unpriced: dict[str, int]
    total: CacheTotals
    bounds: Bounds | None
    calibration: tuple[Calibration, ...]
    causes: tuple[CauseSummary, ...]
    repetition: tuple[Repetition, ...]
    groups: dict[str, dict[str, CacheTotals]]
    notes: tuple[str, ...]
    price_book: str
    as_of: str | None
    input_xxh3: str
    schema_version: int = SCHEMA_VERSION
    frugalctl_version: str = field(default=frugalctl.__version__)
