"""What a log with one answer a request says of other models, for people and programs."""

from __future__ import annotations

import math
from typing import Any

import frugalctl
from frugalctl.replay.one_answer import REASON, OneAnswer
from frugalctl.report.optimize import SCHEMA_VERSION
from frugalctl.report.tables import UNKNOWN, Table, format_usd, render_csv

_ESTIMATED = (
    "Estimated, not observed: doubly robust, from the chances with which models were drawn; the "
    "intervals are by session. Effective rows say how much the weights leave of the log."
)
_BY_PRICE = "By price alone, on the log's own tokens: what quality this costs is unknown."


def encode_one_answer(found: OneAnswer, origin: dict[str, Any]) -> dict[str, Any]:
    """The result as plain data; unknown is None."""
    fit = found.budget
    return {
        "schema_version": SCHEMA_VERSION,
        "frugalctl_version": frugalctl.__version__,
        "origin": origin,
        "policy": None,
        "reason": REASON,
        "rows": found.rows,
        "estimates": [
            {
                "model": one.model,
                "method": "doubly robust",
                "rows": one.rows,
                "effective_rows": _known(one.effective_rows),
                "quality": _known(one.quality),
                "quality_ci95": None
                if math.isnan(one.quality)
                else [_known(end) for end in one.quality_ci95],
                "quality_ips": _known(one.ips),
                "quality_snips": _known(one.snips),
                "cost_usd_per_1k": _known(one.cost_usd * 1000),
            }
            for one in found.estimates
        ],
        "budget": None
        if fit is None
        else {
            "usd_per_1k": _known((found.budget_usd or 0.0) * 1000),
            "observed_usd_per_1k": _known(fit.observed_usd * 1000),
            "models": {name: _known(usd * 1000) for name, usd in fit.cost_usd.items()},
            "cheapest": fit.cheapest,
            "kept_share": _known(fit.kept_share),
            "quality": None,
        },
        "unpriced": list(found.unpriced),
    }


def _known(value: float) -> float | None:
    return round(value, 9) if math.isfinite(value) else None


def lay_out_one_answer(found: OneAnswer) -> list[Table]:
    """The tables, in reading order."""
    tables: list[Table] = []
    if found.estimates:
        tables.append(_estimates(found))
    if found.budget is not None:
        tables.append(_budget(found))
    return tables


def _estimates(found: OneAnswer) -> Table:
    rows = tuple(
        (
            one.model,
            f"{one.rows:,}",
            f"{one.effective_rows:,.0f}",
            _quality(one.quality),
            f"[{_quality(one.quality_ci95[0])}, {_quality(one.quality_ci95[1])}]",
            UNKNOWN if math.isnan(one.cost_usd) else format_usd(one.cost_usd * 1000),
        )
        for one in found.estimates
    )
    columns = (
        "model",
        "drawn>",
        "effective rows>",
        "quality, estimated>",
        "95 % interval>",
        "cost of 1,000>",
    )
    said = f"{found.rows:,} requests: {REASON}."
    return Table("If one model answered all", columns, rows, (_ESTIMATED, said))


def _quality(value: float) -> str:
    return UNKNOWN if math.isnan(value) else f"{value:.4f}"


def _budget(found: OneAnswer) -> Table:
    fit = found.budget
    assert fit is not None and found.budget_usd is not None
    rows = [("as observed", format_usd(fit.observed_usd * 1000), _fits(found, fit.observed_usd))]
    rows += [
        (name, format_usd(usd * 1000), _fits(found, usd))
        for name, usd in sorted(fit.cost_usd.items(), key=lambda pair: (pair[1], pair[0]))
    ]
    if math.isnan(fit.kept_share):
        mixed = "No model fits."
    else:
        mixed = (
            f"Largest share of requests that may stay where they are, drawn at random, if the "
            f"rest go to {fit.cheapest}: {fit.kept_share:.1%}."
        )
    notes = [_BY_PRICE, mixed, f"{found.rows:,} requests: {REASON}."]
    if found.unpriced:
        notes.append(f"No price is known of {', '.join(found.unpriced)}.")
    title = f"A budget of {format_usd(found.budget_usd * 1000)} for 1,000 requests"
    return Table(title, ("answers", "cost of 1,000>", "fits"), tuple(rows), tuple(notes))


def _fits(found: OneAnswer, usd: float) -> str:
    return "yes" if usd <= (found.budget_usd or 0.0) * (1 + 1e-12) else "no"


def render_one_answer_csv(found: OneAnswer) -> str:
    """One line a model."""
    costs = {} if found.budget is None else found.budget.cost_usd
    estimates = {one.model: one for one in found.estimates}
    lines: list[list[object]] = []
    for name in dict.fromkeys((*estimates, *costs)):
        one = estimates.get(name)
        lines.append(
            [
                name,
                None if one is None else one.rows,
                None if one is None else _known(one.quality),
                None if one is None else _known(one.quality_ci95[0]),
                None if one is None else _known(one.quality_ci95[1]),
                _known(costs[name] * 1000) if name in costs else None,
            ]
        )
    columns = ("model", "drawn", "quality", "quality_low", "quality_high", "cost_usd_per_1k")
    return render_csv(columns, lines)
