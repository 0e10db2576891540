"""What a compression did and saves, as plain data: the report, its JSON and its CSV."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import frugalctl
from frugalctl.errors import PriceError
from frugalctl.levers.compress.money import (
    AS_IT_IS,
    COMPRESSED,
    InputPrices,
    Plan,
    PromptSize,
    Turn,
    find_turns,
    list_plans,
)
from frugalctl.report.tables import render_csv

SCHEMA_VERSION = "1.0"
_MONEY_DIGITS = 12
_OTHER_DIGITS = 9


@dataclass(frozen=True, slots=True)
class PromptRow:
    """What became of one prompt.

    Attributes:
        name: its file, or its id in a batch.
        size: its tokens.
        budget_tokens: the most that were allowed; None for no limit.
        pieces_dropped: how many pieces of it are gone.
        pieces_changed: how many stand there in another form.
        warnings: what the user should know.
        tool_tokens: of its tool definitions, which are sent with it and not counted in `size`.
    """

    name: str
    size: PromptSize
    budget_tokens: int | None
    pieces_dropped: int
    pieces_changed: int
    warnings: tuple[str, ...] = ()
    tool_tokens: int = 0


@dataclass(frozen=True, slots=True)
class CompressReport:
    """Everything that the renderers print.

    Attributes:
        prompts: one row each.
        settings: of the compression, those that are not the default.
        model: whose tokens and whose price.
        prices: None where the model has no price.
        unpriced: why it has none.
        calls: how often each prompt is sent.
        plans: ways to send the prompts; empty without a price.
        turns: which of them is the cheapest from how many calls on.
        by_question: whether what was kept was chosen by a question.
        cached_share: the share of a prompt that all calls begin with, as the user said it.
        input_sha256: of the prompts as they came, one after the other.
        seconds: that compressing took; not in the JSON, which is the same in every run.
    """

    prompts: tuple[PromptRow, ...]
    settings: dict[str, Any]
    model: str
    prices: InputPrices | None
    unpriced: str
    calls: int
    plans: tuple[Plan, ...]
    turns: tuple[Turn, ...]
    by_question: bool
    input_sha256: str
    seconds: float
    cached_share: float | None = None

    @property
    def tokens_before(self) -> int:
        """Of all prompts."""
        return sum(row.size.before for row in self.prompts)

    @property
    def tokens_after(self) -> int:
        """Of all prompts."""
        return sum(row.size.after for row in self.prompts)

    @property
    def rate(self) -> float | None:
        """The share of the tokens that is left; None if there were none."""
        return self.tokens_after / self.tokens_before if self.tokens_before else None

    def find_plan(self, name: str) -> Plan | None:
        """A plan by its name, None where there is none."""
        return next((plan for plan in self.plans if plan.name == name), None)

    def cost_usd(self, name: str, calls: int) -> float | None:
        """What a plan costs; None where it is not known."""
        plan = self.find_plan(name)
        return None if plan is None else plan.cost_usd(calls)


def build_compress_report(
    prompts: Sequence[PromptRow],
    settings: dict[str, Any],
    *,
    model: str,
    prices: InputPrices | PriceError,
    calls: int,
    by_question: bool,
    input_sha256: str,
    seconds: float,
    cached_share: float | None = None,
) -> CompressReport:
    """The report of a compression; see `CompressReport` for the arguments."""
    plans: list[Plan] = []
    if isinstance(prices, InputPrices):
        plans = list_plans([row.size for row in prompts], prices)
    return CompressReport(
        tuple(prompts),
        settings,
        model,
        prices if isinstance(prices, InputPrices) else None,
        str(prices) if isinstance(prices, PriceError) else "",
        calls,
        tuple(plans),
        tuple(find_turns(plans)) if plans else (),
        by_question,
        input_sha256,
        seconds,
        cached_share,
    )


def encode_compress(report: CompressReport) -> dict[str, Any]:
    """The report as plain data: money in USD, unknown is None."""
    prices = report.prices
    return {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": frugalctl.__version__,
        "origin": {
            "model": report.model,
            "price_book": prices.book_id if prices else None,
            "as_of": prices.day if prices else None,
            "input_sha256": report.input_sha256,
        },
        "settings": report.settings,
        "tokens": {"before": report.tokens_before, "after": report.tokens_after},
        "rate": _rounded(report.rate),
        "calls": report.calls,
        "cost_usd": _encode_cost(report, 1),
        "cost_usd_of_calls": _encode_cost(report, report.calls),
        "caching": _encode_caching(report),
        "prompts": [_encode_row(row) for row in report.prompts],
    }


def _encode_cost(report: CompressReport, calls: int) -> dict[str, float | None]:
    return {
        "before": _money(report.cost_usd(AS_IT_IS, calls)),
        "after": _money(report.cost_usd(COMPRESSED, calls)),
    }


def _encode_caching(report: CompressReport) -> dict[str, Any] | None:
    prices = report.prices
    if prices is None:
        return None
    return {
        "by_question": report.by_question,
        "cached_share": report.cached_share,
        "min_prefix_tokens": prices.min_cache_tokens,
        "lifetime_s": prices.lifetime_s,
        "prefix_tokens": {
            "before": sum(row.size.prefix_before for row in report.prompts),
            "after": sum(row.size.prefix_after for row in report.prompts),
        },
        "plans": [
            {
                "plan": plan.name,
                "first_time_usd": _money(plan.first_usd),
                "next_time_usd": _money(plan.next_usd),
                "cost_usd": _money(plan.cost_usd(report.calls)),
            }
            for plan in report.plans
        ],
        "cheapest_from": [{"calls": turn.calls, "plan": turn.plan} for turn in report.turns],
    }


def _encode_row(row: PromptRow) -> dict[str, Any]:
    size = row.size
    return {
        "id": row.name,
        "tokens": {"before": size.before, "after": size.after},
        "rate": _rounded(size.after / size.before if size.before else None),
        "budget_tokens": row.budget_tokens,
        "tool_tokens": row.tool_tokens,
        "pieces_dropped": row.pieces_dropped,
        "pieces_changed": row.pieces_changed,
        "warnings": list(row.warnings),
    }


def render_compress_json(report: CompressReport) -> str:
    """The report as indented JSON."""
    return json.dumps(encode_compress(report), indent=2, ensure_ascii=False) + "\n"


def render_compress_csv(report: CompressReport) -> str:
    """One line a prompt; its dollars are those of a call, nothing cached."""
    prices = report.prices
    columns = ("id", "tokens_before", "tokens_after", "rate", "budget_tokens", "cost_usd_before")
    rows = [
        (
            row.name,
            row.size.before,
            row.size.after,
            _rounded(row.size.after / row.size.before if row.size.before else None),
            row.budget_tokens,
            *(
                _money(prices.price(tokens, 0, 0)) if prices else None
                for tokens in (row.size.before, row.size.after)
            ),
            " | ".join(row.warnings),
        )
        for row in report.prompts
    ]
    return render_csv((*columns, "cost_usd_after", "warnings"), rows)


def _money(value: float | None) -> float | None:
    return None if value is None else round(value, _MONEY_DIGITS)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _OTHER_DIGITS)
