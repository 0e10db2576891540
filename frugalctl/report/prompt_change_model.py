"""What a change of prompt templates costs: plain data, unknown is None."""

from __future__ import annotations

from dataclasses import dataclass

from frugalctl.log.read import ReadNotes
from frugalctl.replay.templates.spec import PromptSpec
from frugalctl.report.model import Report
from frugalctl.report.noise import Estimate


@dataclass(frozen=True, slots=True)
class PromptSide:
    """What some requests take, before or after the change.

    Attributes:
        requests: how many.
        priced: how many of them have a price.
        input_tokens: of all of them.
        read_tokens: of these, read from the provider's cache.
        cost_usd: of the priced ones, output included; None where there is none.
    """

    requests: int
    priced: int
    input_tokens: int
    read_tokens: int
    cost_usd: float | None

    @property
    def tokens_per_request(self) -> float:
        """Input tokens of a request, in the mean."""
        return self.input_tokens / self.requests if self.requests else 0.0

    @property
    def cached_share(self) -> float:
        """Share of the input that is read from the cache."""
        return self.read_tokens / self.input_tokens if self.input_tokens else 0.0


@dataclass(frozen=True, slots=True)
class Remedy:
    """The same change laid out otherwise.

    Attributes:
        what: the placeholders that move.
        place: where to, in words.
        side: what the requests take then.
    """

    what: tuple[str, ...]
    place: str
    side: PromptSide


@dataclass(frozen=True, slots=True)
class PromptCost:
    """The requests of one prompt, and what its change alone does: all others are as logged.

    Attributes:
        spec: the prompt.
        current: requests that are in the log as the prompt will ship.
        shared: requests that another, less specific prompt matched as well.
        base: before the change.
        head: after it.
        why: what makes the difference, in sentences.
        remedy: a cheaper layout, None where there is none.
    """

    spec: PromptSpec
    current: int
    shared: int
    base: PromptSide
    head: PromptSide
    why: tuple[str, ...]
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """How the log's cost is scaled.

    Attributes:
        name: "a month" or "1,000 requests".
        factor: what a cost of the log is multiplied by.
        how: where the factor is from, in words.
    """

    name: str
    factor: float
    how: str


@dataclass(frozen=True, slots=True)
class PromptChange:
    """What a change of prompts costs.

    Attributes:
        base: the report of the log as it is, with the provider's cache simulated.
        head: the same with the new prompts.
        prompts: by prompt, in the order of their names.
        other: the requests that none of the prompts is in, before and after.
        total: all requests, before and after.
        pairs: changes of metrics that are known request by request.
        span: how costs are scaled.
        remarks: what a reader should know.
        notes: what was met while reading the log.
    """

    base: Report
    head: Report
    prompts: tuple[PromptCost, ...]
    other: tuple[PromptSide, PromptSide]
    total: tuple[PromptSide, PromptSide]
    pairs: dict[str, Estimate]
    span: Span
    remarks: tuple[str, ...]
    notes: ReadNotes


def find_percent(base_usd: float | None, head_usd: float | None) -> float | None:
    """The change in percent of the base; None where one is unknown, or the base is 0."""
    if base_usd is None or head_usd is None or not base_usd:
        return None
    return 100 * (head_usd - base_usd) / base_usd
