"""`frugalctl prices`: list, show, cost, diff, cache."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugalctl.cli.cache_rules import show_cache_rules
from frugalctl.cli.console import print_rows, print_text
from frugalctl.cli.options import Format, FormatOption, JsonOption, OutputOption, prepare_output
from frugalctl.errors import PriceError, UsageError
from frugalctl.report.tables import Table

if TYPE_CHECKING:
    from frugalctl.prices import ModelKey, PriceBook, PriceSet, Quote

app = typer.Typer(help="Look prices up, price one call, compare price tables.")

app.command("cache")(show_cache_rules)

DayOption = Annotated[
    str | None, typer.Option("--as-of", metavar="DATE", help="A day or time; UTC if not said.")
]
ProviderOption = Annotated[
    str | None,
    typer.Option("--provider", metavar="NAME", help="Where the model is called: openai, azure..."),
]
_SHORT = {
    "input": "input>",
    "cache_write": "write>",
    "cache_write_1h": "write 1h>",
    "cache_read": "read>",
    "output": "output>",
    "reasoning": "reasoning>",
    "storage_hour": "storage/h>",
}
_PER_MTOK = "US dollars per million tokens; an empty cell is not known or does not exist."


@app.command("list")
def list_prices(
    provider: Annotated[
        str | None, typer.Argument(metavar="[PROVIDER]", help="Only this provider's models.")
    ] = None,
    as_of: DayOption = None,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """The standard prices of every model in the book.

    Examples:
      frugalctl prices list anthropic

      frugalctl prices list --as-of 2024-11-01 --format csv
    """
    from frugalctl.prices import load_book

    chosen = prepare_output(chosen_format, as_json, output)
    book = load_book()
    day = _parse_day(as_of) or book.checked_on
    providers = {owner for owner, _ in book.sets}
    if provider is not None and provider not in providers:
        known = ", ".join(sorted(providers))
        raise UsageError(f"no provider {provider!r} in the book", hint=f"it has {known}")
    held = [
        one
        for (owner, _), sets in sorted(book.sets.items())
        for one in sets
        if provider in (None, owner) and _is_plain(one) and one.holds_on(day)
    ]
    title = f"{len(held)} models on {day}, price book {book.book_id}"
    _print_sets(title, held, chosen, output, wide=False)


@app.command("show")
def show(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As a log names it.")],
    as_of: DayOption = None,
    provider: ProviderOption = None,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """All prices of a model, with their sources; without --as-of the whole history.

    Examples:
      frugalctl prices show claude-opus-5 --as-of 2026-11-20

      frugalctl prices show azure/gpt-4o
    """
    from frugalctl.prices import load_book

    chosen = prepare_output(chosen_format, as_json, output)
    book = load_book()
    key = _resolve(book, model, provider)
    day = _parse_day(as_of)
    sets = _list_tiers(book, key)
    if day is not None:
        sets = [one for one in sets if one.holds_on(day)]
        if not sets:
            raise PriceError(f"{model}: no price on {day}")
    when = f"on {day}" if day else "of all times, newest first"
    origin = "" if key.origin == "book" else " (fallback)"
    title = f"{key.provider} {key.model}{origin}: prices {when}"
    _print_sets(title, sets, chosen, output, wide=True, note=key.note)


@app.command("cost")
def cost(
    model: Annotated[str, typer.Option("--model", metavar="MODEL", help="As a log names it.")],
    input_tokens: Annotated[
        int, typer.Option("--input", min=0, help="All input tokens, cached ones included.")
    ],
    cache_read: Annotated[int, typer.Option("--cache-read", min=0, help="Of the input, read.")] = 0,
    cache_write: Annotated[int, typer.Option("--cache-write", min=0, help="Of it, written.")] = 0,
    cache_write_1h: Annotated[
        int, typer.Option("--cache-write-1h", min=0, help="Of it, written to be kept for an hour.")
    ] = 0,
    output_tokens: Annotated[
        int, typer.Option("--output", min=0, help="All output tokens, reasoning included.")
    ] = 0,
    reasoning: Annotated[
        int, typer.Option("--reasoning", min=0, help="Of the output, thought.")
    ] = 0,
    tier: Annotated[
        str | None, typer.Option("--tier", help="standard, batch, flex or priority.")
    ] = None,
    region: Annotated[
        str | None, typer.Option("--region", help="A processing region, where it costs more.")
    ] = None,
    provider: ProviderOption = None,
    as_of: DayOption = None,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: Annotated[
        str | None,
        typer.Option("-o", metavar="FILE", help="Write to a file.", allow_from_autoenv=False),
    ] = None,
) -> None:
    """What one call costs, by token class.

    Off-peak prices apply if --as-of says a time of day.

    Examples:
      frugalctl prices cost --model gpt-4o-mini --input 1200 --cache-read 1024 --output 150
    """
    from frugalctl.prices import UNKNOWN_TIME, load_book, quote_call

    chosen = prepare_output(chosen_format, as_json, output)
    cached = {
        "cache_read": cache_read,
        "cache_write": cache_write,
        "cache_write_1h": cache_write_1h,
    }
    book = load_book()
    quote = quote_call(
        book,
        model,
        _split_tokens(input_tokens, cached, output_tokens, reasoning),
        provider=provider,
        tier=tier,
        region=region,
        timestamp_us=_parse_us(as_of) if as_of and ":" in as_of else UNKNOWN_TIME,
        as_of_us=_parse_us(as_of) if as_of else None,
    )
    _print_quote(quote, as_of or str(book.checked_on), book.book_id, chosen, output)


@app.command("diff")
def diff(
    as_of: DayOption = None,
    unexplained: Annotated[
        bool, typer.Option("--unexplained", help="Only differences that nobody explained.")
    ] = False,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Where the book differs from the installed litellm and genai-prices, and why.

    Examples:
      frugalctl prices diff --format markdown
    """
    from frugalctl.prices import load_book
    from frugalctl.prices.compare import UNEXPLAINED, compare_prices

    chosen = prepare_output(chosen_format, as_json, output)
    book = load_book()
    found = compare_prices(book, on=_parse_day(as_of))
    if unexplained:
        found = [one for one in found if one.explanation == UNEXPLAINED]
    columns = ("peer", "model", "condition", "price", "ours>", "theirs>", "why")
    reasons = list(dict.fromkeys(one.explanation for one in found))
    rows = [
        (
            one.peer,
            f"{one.provider}/{one.model}",
            one.condition,
            one.dimension,
            _plain(one.ours),
            _plain(one.theirs),
            f"[{reasons.index(one.explanation) + 1}]",
        )
        for one in found
    ]
    notes = (_PER_MTOK, *(f"[{at}] {reason}" for at, reason in enumerate(reasons, start=1)))
    open_ones = sum(one.explanation == UNEXPLAINED for one in found)
    title = f"{len(found)} differences, {open_ones} unexplained, price book {book.book_id}"
    records = [{name: _to_json(cell) for name, cell in asdict(one).items()} for one in found]
    print_rows(Table(title, columns, tuple(rows), notes), records, chosen, output)


def _split_tokens(
    input_tokens: int, cached: dict[str, int], output_tokens: int, reasoning: int
) -> dict[str, int]:
    """Totals, as providers report them, to disjoint classes."""
    fresh = input_tokens - sum(cached.values())
    if fresh < 0:
        raise UsageError(
            f"{sum(cached.values())} cached tokens are more than the {input_tokens} of --input",
            hint="--input counts all input tokens, the cached ones too",
        )
    if reasoning > output_tokens:
        raise UsageError(
            f"{reasoning} reasoning tokens are more than the {output_tokens} of --output",
            hint="--output counts all output tokens, reasoning too",
        )
    answer = {"output": output_tokens - reasoning, "reasoning": reasoning}
    return {"fresh_input": fresh, **cached, **answer}


def _resolve(book: PriceBook, model: str, provider: str | None) -> ModelKey:
    from frugalctl.prices.quote import suggest_models

    key = book.resolve(model, provider)
    if key is None:
        where = f" at {provider}" if provider else ""
        raise PriceError(f"{model}{where}: unknown model", hint=suggest_models(book, model))
    return key


def _list_tiers(book: PriceBook, key: ModelKey) -> list[PriceSet]:
    from frugalctl.prices.rows import TIERS

    sets = [one for tier in TIERS for one in book.list_sets(key, tier) if one.usd_per_mtok]
    return sorted(
        sets,
        key=lambda one: (
            TIERS.index(one.tier),
            -(one.valid_from or date.min).toordinal(),
            one.above_input_tokens,
            one.window,
        ),
    )


def _is_plain(one: PriceSet) -> bool:
    conditions = (one.region, one.above_input_tokens, one.window)
    return one.tier == "standard" and one.surface == "api" and not any(conditions)


def _print_sets(
    title: str,
    sets: list[PriceSet],
    chosen: Format,
    output: str | None,
    *,
    wide: bool,
    note: str = "",
) -> None:
    """One line a set of prices for a reader, one record a price for a program."""
    from frugalctl.prices.rows import explode_set

    used = [name for name in _SHORT if any(name in one.usd_per_mtok for one in sets)]
    first = ("when",) if wide else ("provider", "model")
    last = ("source",) if wide else ()
    columns = (*first, *(_SHORT[name] for name in used), "from", "until", "checked", *last)
    remarks = list(dict.fromkeys(_remark(one) for one in sets))
    rows = [
        (
            *((_condition(one),) if wide else (one.provider, one.model)),
            *(_plain(one.usd_per_mtok.get(name)) for name in used),
            *(str(day or "") for day in (one.valid_from, one.valid_to, one.checked_on)),
            *((f"[{remarks.index(_remark(one)) + 1}]",) if wide else ()),
        )
        for one in sets
    ]
    numbered = [f"[{number}] {text}" for number, text in enumerate(remarks, start=1)]
    notes = (_PER_MTOK, *([note] if note else []), *(numbered if wide else []))
    records = [
        {name: _to_json(cell) for name, cell in asdict(row).items()}
        for one in sets
        for row in explode_set(one)
    ]
    print_rows(Table(title, columns, tuple(rows), notes), records, chosen, output)


def _remark(one: PriceSet) -> str:
    return f"{one.source} ({one.note})" if one.note else one.source


def _condition(one: PriceSet) -> str:
    above = f" >{one.above_input_tokens:,} input" if one.above_input_tokens else ""
    window = f" {one.window}" if one.window else ""
    return f"{one.tier}{above}{window}"


def _print_quote(
    quote: Quote, as_of: str, book_id: str, chosen: Format, output: str | None
) -> None:
    import json

    record: dict[str, Any] = {
        "model": quote.key.model,
        "provider": quote.key.provider,
        "as_of": as_of,
        "service_tier": quote.service_tier,
        "tokens": quote.tokens,
        "usd": {name: round(usd, 12) for name, usd in quote.usd.items()},
        "cost_usd": round(quote.cost_usd, 12),
        "origin": quote.key.origin,
        "book": book_id,
    }
    if chosen is Format.json:
        print_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", output)
        return
    rows = [
        (name, f"{count:,}", _rate(quote.usd_per_mtok.get(name)), f"{quote.usd[name]:.8f}")
        for name, count in quote.tokens.items()
        if count
    ]
    total = ("total", f"{sum(quote.tokens.values()):,}", "", f"{quote.cost_usd:.8f}")
    origin = "" if quote.key.origin == "book" else " (fallback)"
    notes = tuple(text for text in (f"price book {book_id}", quote.key.note) if text)
    title = f"{quote.key.provider} {quote.key.model}{origin}, {quote.service_tier}, on {as_of}"
    columns = ("class", "tokens>", "$/MTok>", "$>")
    flat = _flatten(record) if chosen is Format.csv else record
    print_rows(Table(title, columns, (*rows, total), notes), [flat], chosen, output)


def _flatten(record: dict[str, Any]) -> dict[str, Any]:
    parts = {f"tokens.{name}": count for name, count in record["tokens"].items()}
    parts |= {f"usd.{name}": usd for name, usd in record["usd"].items()}
    return {name: record[name] for name in record if name not in ("tokens", "usd")} | parts


def _parse_us(as_of: str) -> int:
    from frugalctl.log.times import parse_timestamp_us

    try:
        return parse_timestamp_us(as_of)
    except ValueError:
        raise UsageError(
            f"--as-of {as_of!r} is not a date", hint="write it as 2026-11-20, or RFC 3339"
        ) from None


def _parse_day(as_of: str | None) -> date | None:
    if as_of is None:
        return None
    return datetime.fromtimestamp(_parse_us(as_of) // 1_000_000, tz=UTC).date()


def _rate(usd_per_mtok: float | None) -> str:
    return "" if usd_per_mtok is None else f"{usd_per_mtok:.10f}".rstrip("0").rstrip(".")


def _plain(price: Decimal | None) -> str:
    return "" if price is None else format(price.normalize(), "f")


def _to_json(cell: Any) -> Any:
    if isinstance(cell, Decimal):
        return float(cell)
    return str(cell) if isinstance(cell, date) else cell
