"""What compression did to the calls of a replay, summed up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from frugalctl.levers.compress.settings import TIERS, CompressSettings
from frugalctl.prices.schedule import INPUT_CLASSES
from frugalctl.replay.compress_prompts import ShortPrompt
from frugalctl.replay.ledger import Integers, Mask, Side

_MOST_WARNINGS = 3


@dataclass(slots=True)
class CompressTotals:
    """Running totals; tokens are as billed, requests are those that are sent.

    Attributes:
        by_log: whether prices are the log's own.
        has_cascade: whether a cascade decided the calls.
        simulates: whether a prompt cache is simulated on the compressed prompts.
    """

    by_log: bool = False
    has_cascade: bool = False
    simulates: bool = False
    requests: int = 0
    with_text: int = 0
    tokens_before: int = 0
    tokens_after: int = 0
    reads_before: int = 0
    reads_after: int = 0
    reads_broken: int = 0
    quality_lost: int = 0
    saved_by: Counter[str] = field(default_factory=Counter[str])
    changed_by: Counter[str] = field(default_factory=Counter[str])
    warned: int = 0
    warnings: Counter[str] = field(default_factory=Counter[str])

    def add(
        self,
        row: Integers,
        prompts: Sequence[ShortPrompt | None],
        taken: Side,
        tokens: dict[str, Integers],
        broken: Integers,
        unsafe: Mask,
    ) -> None:
        """Add the calls of a batch.

        Args:
            row: int64[c], the request in the batch that each call serves.
            prompts: of each call; None where there is no text.
            taken: what the calls took as logged.
            tokens: class -> int64[c], with compressed prompts.
            broken: int64[c], cache reads that are fresh input now.
            unsafe: bool[c], whose answer may be another one now.
        """
        total = sum((taken.tokens[name] for name in INPUT_CLASSES), np.zeros_like(row))
        left = sum((tokens[name] for name in INPUT_CLASSES), np.zeros_like(row))
        self.tokens_before += int(total.sum())
        self.tokens_after += int(left.sum())
        self.reads_before += int(taken.tokens["cache_read"].sum())
        self.reads_after += int(tokens["cache_read"].sum())
        self.reads_broken += int(broken.sum())
        is_last = np.append(row[1:] != row[:-1], np.ones(min(len(row), 1), dtype=np.bool_))
        self.quality_lost += int((is_last & unsafe & ~np.isnan(taken.quality)).sum())
        for prompt, was, now in zip(prompts, total.tolist(), left.tolist(), strict=True):
            if prompt is not None:
                self._add_tiers(prompt, was, now)
        firsts: list[int] = np.unique(row, return_index=True)[1].tolist()
        for at in firsts:
            self._add_request(prompts[at])

    def _add_tiers(self, prompt: ShortPrompt, total: int, left: int) -> None:
        """Share what a call saves among the tiers, so that they sum to it."""
        counted = sum(prompt.before)
        ends = [round(total * tokens / counted) for tokens in prompt.after_tier[:-1]]
        for tier, start, end in zip(TIERS, (total, *ends), (*ends, left), strict=True):
            self.saved_by[tier] += start - end

    def _add_request(self, prompt: ShortPrompt | None) -> None:
        self.requests += 1
        if prompt is None:
            return
        self.with_text += 1
        if prompt.changed_by is not None:
            self.changed_by[prompt.changed_by] += 1
        self.warned += bool(prompt.warnings)
        self.warnings.update(prompt.warnings)

    def sum_up(self, settings: CompressSettings, ms_per_1k_tokens: float) -> dict[str, Any]:
        """The report's `compress`."""
        saved, changed = self.saved_by, self.changed_by
        return {
            "name": name_settings(settings),
            "requests": self.requests,
            "requests_without_text": self.requests - self.with_text,
            "requests_changed": changed.total(),
            "changed_by": {tier: changed[tier] for tier in TIERS},
            "input_tokens_before": self.tokens_before,
            "input_tokens_after": self.tokens_after,
            "tokens_saved": self.tokens_before - self.tokens_after,
            "saved_share": saved.total() / self.tokens_before if self.tokens_before else None,
            "saved_by": {tier: saved[tier] for tier in TIERS},
            "read_tokens_before": None if self.simulates else self.reads_before,
            "read_tokens_after": None if self.simulates else self.reads_after,
            "read_tokens_broken": None if self.simulates else self.reads_broken,
            "quality_unknown": changed["structural"] + changed["lossy"],
            "quality_assumed": changed["lossless"],
            "quality_lost": self.quality_lost,
            "ms_per_1k_tokens": None if np.isnan(ms_per_1k_tokens) else ms_per_1k_tokens,
            "requests_with_warnings": self.warned,
        }

    def describe(self, *, unknown_ms: bool) -> Iterator[str]:
        """What a reader should know."""
        if self.reads_broken and not self.simulates:
            yield (
                f"{self.reads_broken:,} of {self.reads_before:,} input tokens that the log reads "
                "from a cache are priced as fresh: what stands before them comes out differently "
                "from request to request; [prompt_cache] in the recipe simulates the cache instead"
            )
        if self.by_log and self.changed_by:
            yield "the log's own costs were paid for whole prompts: changed calls go by the book"
        if self.has_cascade and self.changed_by:
            yield "the cascade decides by confidences that were logged for whole prompts"
        if unknown_ms:
            yield "how long compressing takes is unknown: give ms_per_1k_tokens in [compress]"
        if self.warned:
            often = ", ".join(
                f"{text!r} ({n:,})" for text, n in self.warnings.most_common(_MOST_WARNINGS)
            )
            yield f"compression warned on {self.warned:,} requests, most often: {often}"


def name_settings(settings: CompressSettings) -> str:
    """What the report calls a compression: its tiers, and how far the lossy one goes."""
    names: list[str] = [tier for tier in settings.tiers if tier != "lossy"]
    if "lossy" in settings.tiers:
        goal = None
        if settings.rate is not None:
            goal = f"to {100 * settings.rate:g} %"
        elif settings.target_tokens is not None:
            goal = f"to {settings.target_tokens:,} tokens"
        elif settings.auto or settings.method != "extractive":
            goal = "as far as is safe" if settings.auto else "to half"
        if goal is not None:
            names.append(f"{settings.method} {goal}")
    return ", ".join(names) or "nothing"
