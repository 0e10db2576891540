"""The report as JSON: the keys that other programs rely on."""

from __future__ import annotations

import json
from typing import Any

from frugalctl.report.model import GroupSummary, Interval, Report, SideSummary

_MONEY_DIGITS = 12
_OTHER_DIGITS = 9


def encode_report(report: Report) -> dict[str, Any]:
    """The report as plain data: money in USD, latency in ms, unknown is None."""
    origin, log, delta = report.origin, report.log, report.delta
    return {
        "schema_version": report.schema_version,
        "frugalctl_version": report.frugalctl_version,
        "origin": {
            "prices": origin.prices,
            "price_book": origin.price_book,
            "as_of": origin.as_of,
            "input_xxh3": origin.input_xxh3,
            "recipe": origin.recipe_settings,
            "seed": origin.seed,
        },
        "log": {name: getattr(log, name) for name in log.__slots__},
        "baseline": _encode_side(report.baseline),
        "recipe": _encode_side(report.recipe),
        "delta": {
            "cost_usd": _money(delta.cost_usd),
            "cost_usd_ci95": _money_pair(delta.cost_usd_ci95),
            "cost_pct": _rounded(delta.cost_pct),
            "quality": _rounded(delta.quality),
            "quality_ci95": _pair(delta.quality_ci95),
            "quality_n": delta.quality_n,
            "latency_ms_mean": _rounded(delta.latency_ms_mean),
            "latency_ms_mean_ci95": _pair(delta.latency_ms_mean_ci95),
            "latency_ms_mean_n": delta.latency_ms_mean_n,
        },
        "models": [
            {
                "model": item.model,
                "calls": item.calls,
                "unpriced_calls": item.unpriced_calls,
                "cost_usd": _money(item.cost_usd),
            }
            for item in report.models
        ],
        "levers": [
            {
                "name": item.name,
                "saved_usd": _money(item.saved_usd),
                "saved_usd_ci95": _money_pair(item.saved_usd_ci95),
            }
            for item in report.levers
        ],
        **({"semantic_cache": report.semantic_cache} if report.semantic_cache else {}),
        **({"compress": report.compress} if report.compress else {}),
        **({"prompt_cache": report.prompt_cache} if report.prompt_cache else {}),
        "token_classes": [
            {
                "class": item.token_class,
                "tokens": item.tokens,
                "cost_usd": _money(item.cost_usd),
                "baseline_tokens": item.baseline_tokens,
                "baseline_cost_usd": _money(item.baseline_cost_usd),
            }
            for item in report.token_classes
        ],
        **{
            f"{name}s": [_encode_group(name, item) for item in items]
            for name, items in report.groups.items()
        },
    }


def _encode_side(side: SideSummary) -> dict[str, Any]:
    latency, quality = side.latency_ms, side.quality
    return {
        "name": side.name,
        "cost_usd": _money(side.cost_usd),
        "cost_usd_ci95": _money_pair(side.cost_usd_ci95),
        "tokens": side.tokens,
        "latency_ms": {
            "mean": _rounded(latency.mean),
            "ci95": _pair(latency.ci95),
            "p50": _rounded(latency.p50),
            "p95": _rounded(latency.p95),
            "p99": _rounded(latency.p99),
            "n": latency.n,
        },
        "quality": {"mean": _rounded(quality.mean), "ci95": _pair(quality.ci95), "n": quality.n},
    }


def _encode_group(key: str, group: GroupSummary) -> dict[str, Any]:
    return {
        key: group.name,
        "requests": group.requests,
        "uncovered": group.uncovered,
        "priced": group.priced,
        "baseline_cost_usd": _money(group.baseline_cost_usd),
        "cost_usd": _money(group.cost_usd),
        "baseline_quality": _rounded(group.baseline_quality),
        "baseline_quality_n": group.baseline_quality_n,
        "quality": _rounded(group.quality),
        "quality_n": group.quality_n,
        "baseline_latency_ms_mean": _rounded(group.baseline_latency_ms_mean),
        "latency_ms_mean": _rounded(group.latency_ms_mean),
    }


def _money(value: float | None) -> float | None:
    return None if value is None else round(value, _MONEY_DIGITS)


def _rounded(value: float | None) -> float | None:
    """Without the last bits, which depend on how the log was cut into batches."""
    return None if value is None else round(value, _OTHER_DIGITS)


def _pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [round(end, _OTHER_DIGITS) for end in interval]


def _money_pair(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [_money_end(end) for end in interval]


def _money_end(end: float) -> float:
    """To as many digits as are surely the same wherever it is worked out."""
    return float(f"{end:.{_OTHER_DIGITS}g}")


def render_json(report: Report) -> str:
    """The report as indented JSON."""
    return json.dumps(encode_report(report), indent=2, ensure_ascii=False) + "\n"


def render_jsonl(report: Report) -> str:
    """The report as one line of JSON."""
    return json.dumps(encode_report(report), ensure_ascii=False) + "\n"
