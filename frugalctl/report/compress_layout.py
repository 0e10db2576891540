"""What a compression did and saves, as tables for people."""

from __future__ import annotations

from collections.abc import Iterator

from frugalctl.levers.compress.money import (
    AS_IT_IS,
    AS_IT_IS_CACHED,
    COMPRESSED,
    COMPRESSED_CACHED,
)
from frugalctl.levers.compress.pipeline import CompressedPrompt
from frugalctl.report.compress import CompressReport
from frugalctl.report.tables import UNKNOWN, Table, format_percent, format_usd, render_markdown

_MOST_ROWS = 20
_SHOWN_CHARS = 48
_SIDES = ("before", "after")
_QUALITY = "What a model makes of the shorter prompt is not known; `compress eval` measures a part."


def lay_out_compress(report: CompressReport) -> list[Table]:
    """The tables, in reading order."""
    tables = [_overview(report)]
    if report.prices is not None:
        tables.append(_caching(report))
    if len(report.prompts) > 1:
        tables.append(_prompts(report))
    return tables


def render_compress_markdown(report: CompressReport) -> str:
    """The report in Markdown."""
    return render_markdown(lay_out_compress(report))


def describe_saving(report: CompressReport) -> str:
    """The result in one line."""
    share = UNKNOWN if report.rate is None else f"{report.rate:.1%}"
    told = f"{report.tokens_before:,} -> {report.tokens_after:,} tokens of {report.model} ({share})"
    if report.prices is None:
        return f"{told}; no price: {report.unpriced}"
    before, after = (report.cost_usd(name, report.calls) for name in (AS_IT_IS, COMPRESSED))
    return f"{told}, {format_usd(before)} -> {format_usd(after)} {_name_calls(report, 'for ')}"


def describe_caching(report: CompressReport) -> str:
    """A warning where a cached prefix is cheaper than the compression; "" where it is not."""
    last = report.turns[-1] if report.turns else None
    if last is None or last.plan != AS_IT_IS_CACHED:
        return ""
    return (
        f"from {last.calls:,} calls on that find its prefix in the provider's cache, the prompt as "
        "it is costs less than the compressed one (--format table shows how much)"
    )


def _overview(report: CompressReport) -> Table:
    count = len(report.prompts)
    title = report.prompts[0].name if count == 1 else f"{count:,} prompts"
    rows = [
        (
            f"tokens of {report.model}",
            f"{report.tokens_before:,}",
            f"{report.tokens_after:,}",
            _change(report.tokens_before, report.tokens_after),
        )
    ]
    for calls in dict.fromkeys((1, report.calls)):
        before, after = (report.cost_usd(name, calls) for name in (AS_IT_IS, COMPRESSED))
        label = f"input cost {_name_calls(report, 'of ', calls)}"
        rows.append((label, format_usd(before), format_usd(after), _change(before, after)))
    rows.append(("time to compress", "", f"{report.seconds * 1000:,.0f} ms", ""))
    notes = [*_list_warnings(report), _QUALITY]
    tools = sum(row.tool_tokens for row in report.prompts)
    if tools:
        notes.append(f"Not counted: tool definitions, about {tools:,} tokens more in both columns.")
    if report.prices is None:
        notes.append(f"No price: {report.unpriced}.")
    else:
        notes.append(f"Prices of {report.prices.day}, price book {report.prices.book_id}.")
    return Table(title, ("", "before>", "after>", "change>"), tuple(rows), tuple(notes))


def _name_calls(report: CompressReport, word: str, calls: int | None = None) -> str:
    """So many calls, or so many with each of the prompts."""
    calls = calls or report.calls
    told = "one call" if calls == 1 else f"{calls:,} calls"
    return f"{word}{told}{' with each' if len(report.prompts) > 1 else ''}"


def _list_warnings(report: CompressReport) -> Iterator[str]:
    named = len(report.prompts) > 1
    told = [
        f"Warning: {f'{row.name}: ' if named else ''}{warning}"
        for row in report.prompts
        for warning in row.warnings
    ]
    yield from told[:_MOST_ROWS]
    if len(told) > _MOST_ROWS:
        yield f"{len(told) - _MOST_ROWS:,} more warnings; --format json has them all."


def _caching(report: CompressReport) -> Table:
    rows = tuple(
        (
            plan.name,
            format_usd(plan.first_usd),
            format_usd(plan.next_usd),
            format_usd(plan.cost_usd(report.calls)),
        )
        for plan in report.plans
    )
    columns = ("way to send it", "first time>", "each further>", f"{_name_calls(report, '')}>")
    return Table("Beside the provider's cache", columns, rows, tuple(_explain_caching(report)))


def _explain_caching(report: CompressReport) -> Iterator[str]:
    first, *later = report.turns
    if later:
        told = (f'from {turn.calls:,} calls on "{turn.plan}"' for turn in later)
        yield f'Cheapest: at first "{first.plan}", {", ".join(told)}.'
    else:
        yield f'Cheapest at any number of calls: "{first.plan}".'
    prices, prefix = report.prices, [row.size for row in report.prompts]
    before, after = (sum(getattr(one, f"prefix_{side}") for one in prefix) for side in _SIDES)
    where = "up to the question"
    if report.cached_share is not None:
        where = f"{report.cached_share:.0%} of each prompt as you said"
    yield (
        f"Shared prefix, {where}: {before:,} tokens as it is, {after:,} compressed"
        f"{' (the rest is chosen by the question)' if report.by_question else ''}."
    )
    least = prices.min_cache_tokens if prices else None
    names = {plan.name for plan in report.plans}
    if prices and not prices.has_cache:
        yield "The provider has no prompt cache for this model."
    elif least and not {AS_IT_IS_CACHED, COMPRESSED_CACHED} <= names:
        yield f"A prefix of fewer than {least:,} tokens is not cached."
    if prices and prices.lifetime_s and names & {AS_IT_IS_CACHED, COMPRESSED_CACHED}:
        yield f"A cached prefix is lost {prices.lifetime_s:,} seconds after its last use."


def _prompts(report: CompressReport) -> Table:
    rows = tuple(
        (
            row.name,
            f"{row.size.before:,}",
            f"{row.size.after:,}",
            _change(row.size.before, row.size.after),
            f"{len(row.warnings) or ''}",
        )
        for row in report.prompts[:_MOST_ROWS]
    )
    more = len(report.prompts) - _MOST_ROWS
    notes = (f"{more:,} more prompts; --format json has them all.",) if more > 0 else ()
    columns = ("prompt", "before>", "after>", "change>", "warnings>")
    return Table("By prompt", columns, rows, notes)


def lay_out_dropped(name: str, short: CompressedPrompt) -> Table:
    """Every piece that was dropped or changed: where, why, and by which score."""
    rows = tuple(
        (
            *((part.part.path,) if len(short.parts) > 1 else ()),
            f"{piece.start:,}-{piece.end:,}",
            _score(piece.score),
            "dropped" if not piece.text else "changed",
            piece.reason,
            _show_change(part.part.text[piece.start : piece.end], piece.text),
        )
        for part in short.parts
        for piece in part.pieces
        if piece.text != part.part.text[piece.start : piece.end]
    )
    columns = ("characters>", "score>", "what", "why", "text")
    if len(short.parts) > 1:
        columns = ("part", *columns)
    counted = f"{name}: {len(rows):,} piece{'' if len(rows) == 1 else 's'} dropped or changed"
    return Table(counted, columns, rows)


def count_pieces(short: CompressedPrompt) -> tuple[int, int]:
    """How many pieces were dropped, and how many changed."""
    pieces = [
        piece
        for part in short.parts
        for piece in part.pieces
        if piece.text != part.part.text[piece.start : piece.end]
    ]
    dropped = sum(not piece.text for piece in pieces)
    return dropped, len(pieces) - dropped


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"


def _show_change(before: str, after: str) -> str:
    if not after:
        return _shorten(before, _SHOWN_CHARS)
    if not before:
        return f"+ {_shorten(after, _SHOWN_CHARS)}"
    return f"{_shorten(before, _SHOWN_CHARS // 2)} -> {_shorten(after, _SHOWN_CHARS // 2)}"


def _shorten(text: str, chars: int) -> str:
    shown = " ".join(text.split()) or repr(text)
    return shown if len(shown) <= chars else shown[: chars - 3] + "..."


def _change(before: float | None, after: float | None) -> str:
    if before is None or after is None or not before:
        return ""
    return format_percent(100 * (after - before) / before)
