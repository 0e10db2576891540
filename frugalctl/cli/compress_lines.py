"""What `compress exemplars` and `compress batch` share: lines in, prices, and where to write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugalctl.cli.compress_write import dump_line, refuse_twice
from frugalctl.cli.options import Format, prepare_output
from frugalctl.errors import PriceError, UsageError

if TYPE_CHECKING:
    from frugalctl.levers.compress.money import InputPrices
    from frugalctl.report.exemplars_curve import Curve
    from frugalctl.report.tables import Table

ReportOption = Annotated[
    str | None,
    typer.Option("--report", metavar="FILE", help="Write the report here, not to stdout."),
]
OutcomesOption = Annotated[
    str | None,
    typer.Option("--outcomes", metavar="FILE", help="What was answered, and how well (JSONL)."),
]
MaxLossOption = Annotated[
    float,
    typer.Option(
        "--max-quality-loss", metavar="LOSS", min=0, max=0.99, help="What may be lost, of 1."
    ),
]
ConfidenceOption = Annotated[
    float, typer.Option("--confidence", metavar="SHARE", min=0.5, max=0.9999, help="Of that.")
]


def read_lines(path: str) -> Iterator[bytes]:
    """The lines of a file (.gz and .zst too) or of stdin, without their ends."""
    from frugalctl.errors import InputError
    from frugalctl.log.stream import on_disk, open_input, read_blocks

    with on_disk([path]) as (source,):
        stream, kind = open_input(source)
        try:
            if kind == "parquet":
                raise InputError("is parquet, not lines of JSON", where=source.name)
            for block in read_blocks(stream, source.name):
                lines = block.data.split(b"\n")
                yield from lines if lines[-1] else lines[:-1]
        finally:
            stream.close()


def name_input(path: str) -> str:
    """What messages call a file."""
    return "<stdin>" if path == "-" else path


def check_targets(targets: Sequence[str | None], inputs: Sequence[str | None]) -> None:
    """Make sure, before the work starts, that all of these can be written.

    Raises:
        UsageError: one of them is an input too, or is to be written twice.
        OutputError: one of them cannot be written.
    """
    given = [one for one in targets if one is not None]
    if "" in (*given, *inputs):
        raise UsageError("the name of a file is empty")
    for one in given:
        prepare_output(None, False, one, [name for name in inputs if name is not None])
    if given.count("-") > 1:
        raise UsageError("stdout (-) is given twice")
    refuse_twice(one for one in given if one != "-")
    if [name for name in inputs if name is not None].count("-") > 1:
        raise UsageError("stdin (-) is given twice")


def find_prices(model: str, as_of: str | None) -> tuple[InputPrices | None, float | None, str]:
    """The input prices of a model, the price of a token of its output, and why there are none."""
    from frugalctl.levers.compress.money import load_prices
    from frugalctl.prices import load_book, quote_call

    book, as_of_us = load_book(), _parse_as_of(as_of)
    try:
        prices = load_prices(book, model, as_of_us=as_of_us)
        output = quote_call(book, model, {"output": 1}, as_of_us=as_of_us).cost_usd
    except PriceError as error:
        return None, None, error.message
    return prices, output, ""


def measure_curve(
    path: str | None,
    name: str,
    *,
    model: str,
    as_of: str | None,
    most_first: bool,
    max_loss: float,
    confidence: float,
    seed: int,
) -> Curve | None:
    """Quality by size, where there are outcomes."""
    if path is None:
        return None
    from frugalctl.prices import load_book, quote_call
    from frugalctl.report.exemplars_curve import build_curve, read_size_outcomes

    book, as_of_us = load_book(), _parse_as_of(as_of)

    def price(own: str | None, tokens: Mapping[str, int]) -> float:
        return quote_call(book, own or model, dict(tokens), as_of_us=as_of_us).cost_usd

    outcomes = read_size_outcomes(read_lines(path), source=name_input(path), name=name, price=price)
    return build_curve(
        outcomes, most_first=most_first, max_loss=max_loss, confidence=confidence, seed=seed
    )


def render_report(
    tables: Callable[[], list[Table]],
    body: Callable[[], dict[str, Any]],
    csv: Callable[[], str],
    chosen: Format,
    output: str | None,
) -> str:
    """A report in the format asked for."""
    from frugalctl.cli.console import render_tables
    from frugalctl.report.prefix_layout import render_data
    from frugalctl.report.tables import render_markdown

    renderers: dict[Format, Callable[[], str]] = {
        Format.table: lambda: render_tables(tables(), output),
        Format.markdown: lambda: render_markdown(tables()),
        Format.json: lambda: render_data(body()),
        Format.jsonl: lambda: render_data(body(), indent=None),
        Format.csv: csv,
    }
    return renderers[chosen]()


def write_jsonl(records: Iterable[Mapping[str, Any]]) -> str:
    """One line a record."""
    return "".join(dump_line(record) for record in records)


def _parse_as_of(as_of: str | None) -> int | None:
    from frugalctl.replay.run import parse_as_of

    return None if as_of is None else parse_as_of(as_of)
