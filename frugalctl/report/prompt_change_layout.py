"""A change of prompts for people, as tables, and for programs, as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from frugalctl.report.encode import encode_report
from frugalctl.report.metrics import Body
from frugalctl.report.prompt_change_model import (
    PromptChange,
    PromptCost,
    PromptSide,
    Span,
    find_percent,
)
from frugalctl.report.tables import UNKNOWN, Table, format_number, format_percent, format_usd

_MONEY_DIGITS = 12
_OTHER_DIGITS = 9
_OLD_FROM = {"declared": "declared in prompts.toml", "": "none found"}


def lay_out_prompts(change: PromptChange) -> list[Table]:
    """What the change costs by prompt, why, and what was compared with what."""
    return [_lay_out_costs(change), *_lay_out_reasons(change), _lay_out_matches(change)]


def _lay_out_costs(change: PromptChange) -> Table:
    span = change.span
    rows = [_write_row(one.spec.name, one.base, one.head, span) for one in change.prompts]
    if change.other[0].requests:
        rows.append(_write_row("(none of them)", *change.other, span))
    rows.append(_write_row("total", *change.total, span))
    columns = (
        "prompt", "requests>", "input tokens, mean>", "cached>", f"cost, {span.name}>", "change>",
    )  # fmt: skip
    notes = [f"{span.how[0].upper()}{span.how[1:]}."]
    if sum(one.spec.is_changed for one in change.prompts) > 1:
        notes.append("A prompt's line has its own change alone; the total has them all.")
    unpriced = change.total[1].requests - change.total[1].priced
    if unpriced:
        notes.append(f"{unpriced:,} requests have no price and are in no cost.")
    return Table("What the prompts cost, old -> new", columns, tuple(rows), tuple(notes))


def _write_row(name: str, base: PromptSide, head: PromptSide, span: Span) -> tuple[str, ...]:
    tokens = [format_number(one.tokens_per_request) for one in (base, head)]
    shares = [f"{one.cached_share:.1%}" for one in (base, head)]
    costs = [format_usd(_scale(one, span)) for one in (base, head)]
    return (
        name,
        format_number(base.requests),
        _arrow(*tokens),
        _arrow(*shares),
        _arrow(*costs),
        format_percent(find_percent(base.cost_usd, head.cost_usd)),
    )


def _arrow(old: str, new: str) -> str:
    return old if old == new else f"{old} -> {new}"


def _scale(side: PromptSide, span: Span) -> float | None:
    return None if side.cost_usd is None else side.cost_usd * span.factor


def _lay_out_reasons(change: PromptChange) -> Iterator[Table]:
    rows = tuple(
        (prompt.spec.name if not at else "", sentence)
        for prompt in change.prompts
        for at, sentence in enumerate((*prompt.why, *_advise(prompt, change.span)))
    )
    if rows:
        yield Table("Why", ("", ""), rows)


def _advise(prompt: PromptCost, span: Span) -> Iterator[str]:
    remedy = prompt.remedy
    if remedy is None:
        return
    names = " and ".join(f"{{{name}}}" for name in remedy.what)
    percent = format_percent(find_percent(prompt.base.cost_usd, remedy.side.cost_usd))
    yield (
        f"put {names} {remedy.place}: {format_usd(_scale(remedy.side, span))} {span.name} instead "
        f"({percent}), cached share {remedy.side.cached_share:.1%}"
    )


def _lay_out_matches(change: PromptChange) -> Table:
    rows = tuple(
        (
            prompt.spec.name,
            prompt.spec.old_version or UNKNOWN,
            _name_old(prompt),
            format_number(prompt.base.requests - prompt.current),
            prompt.spec.version or UNKNOWN,
            format_number(prompt.current),
        )
        for prompt in change.prompts
    )
    columns = ("prompt", "old", "is from", "requests>", "new", "requests>")
    shared = sum(prompt.shared for prompt in change.prompts)
    notes = (
        (f"{shared:,} requests matched several prompts: the one with most fixed text was taken.",)
        if shared
        else ()
    )
    return Table("Which prompts the log was rendered with", columns, rows, notes)


def _name_old(prompt: PromptCost) -> str:
    spec = prompt.spec
    return spec.old_file or _OLD_FROM.get(spec.old_from, spec.old_from)


def list_records(change: PromptChange) -> list[dict[str, Any]]:
    """The prompts as plain data: money in USD over the whole log, unknown is None."""
    return [_list_fields(prompt, change.span) for prompt in change.prompts]


def _list_fields(prompt: PromptCost, span: Span) -> dict[str, Any]:
    spec, remedy = prompt.spec, prompt.remedy
    return {
        "prompt": spec.name,
        "file": spec.file,
        "version": spec.version or None,
        "old_file": spec.old_file or None,
        "old_version": spec.old_version or None,
        "old_from": spec.old_from or None,
        "requests": prompt.base.requests,
        "current_requests": prompt.current,
        "base_input_tokens_mean": _round(prompt.base.tokens_per_request),
        "input_tokens_mean": _round(prompt.head.tokens_per_request),
        "base_cached_share": _round(prompt.base.cached_share),
        "cached_share": _round(prompt.head.cached_share),
        "base_cost_usd": _money(prompt.base.cost_usd),
        "cost_usd": _money(prompt.head.cost_usd),
        "cost_pct": _round(find_percent(prompt.base.cost_usd, prompt.head.cost_usd)),
        "span": span.name,
        "span_factor": _round(span.factor),
        "why": "\n".join(prompt.why) or None,
        "remedy": None if remedy is None else f"put {', '.join(remedy.what)} {remedy.place}",
        "remedy_cost_usd": None if remedy is None else _money(remedy.side.cost_usd),
        "remedy_cached_share": None if remedy is None else _round(remedy.side.cached_share),
    }


def encode_sides(change: PromptChange) -> tuple[Body, Body]:
    """Both reports as plain data, each with its side of every prompt under `prompts`."""
    base, head = encode_report(change.base), encode_report(change.head)
    base["prompts"] = [_encode_side(one, one.base) for one in change.prompts]
    head["prompts"] = [_encode_side(one, one.head) for one in change.prompts]
    return base, head


def _encode_side(prompt: PromptCost, side: PromptSide) -> dict[str, Any]:
    return {
        "prompt": prompt.spec.name,
        "requests": side.requests,
        "input_tokens_mean": _round(side.tokens_per_request),
        "cached_share": _round(side.cached_share),
        "cost_usd": _money(side.cost_usd),
    }


def _money(value: float | None) -> float | None:
    return None if value is None else round(value, _MONEY_DIGITS)


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, _OTHER_DIGITS)
