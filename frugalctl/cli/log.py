"""`frugalctl log`: convert, validate, stats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugalctl.cli.console import print_rows, print_tables, print_text, showing_progress
from frugalctl.cli.options import (
    Format,
    FormatOption,
    JsonOption,
    LogArgument,
    ModelOption,
    OnErrorChoice,
    OnErrorOption,
    OutputOption,
    prepare_output,
)
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import InputError
from frugalctl.files import replacing
from frugalctl.report.tables import Table, format_number

if TYPE_CHECKING:
    from frugalctl.log.read import ReadNotes
    from frugalctl.log.schema import LogBatch
    from frugalctl.log.stats import LogStats

app = typer.Typer(
    help="Convert, validate and count request logs.",
)


@app.command("convert")
def convert(
    logs: LogArgument,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .parquet or .jsonl file, .gz and .zst compress; - is JSONL on stdout.",
        ),
    ] = "-",
    model: ModelOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
) -> None:
    """Turn any log that we read into the canonical one, JSONL or parquet.

    Formats are recognised by content. Usage that is missing is counted from text, offline, and
    marked by "usage_estimated".

    Examples:
      frugalctl log convert litellm.jsonl -o log.parquet

      frugalctl log convert batch_input.jsonl batch_output.jsonl -o log.jsonl
    """
    from frugalctl.cli.console import detail
    from frugalctl.cli.replay import tell_notes
    from frugalctl.log.read import ReadNotes
    from frugalctl.log.write import encode_lines, write_log

    notes = ReadNotes()
    if output == "-":
        for batch in _read(logs, notes, model, on_error):
            print_text(b"".join(encode_lines(batch)).decode(), None)
    else:
        with replacing(output) as temporary:
            rows = write_log(_read(logs, notes, model, on_error), str(temporary), output)
        detail(f"{rows:,} requests written to {output}")
    tell_notes(notes)


@app.command("validate")
def validate(
    logs: LogArgument,
    model: ModelOption = None,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Check every line of a log; exit 2 if one is bad, with all of them listed.

    Examples:
      zcat log.gz | frugalctl log validate -
    """
    from frugalctl.log.read import ReadNotes

    chosen = prepare_output(chosen_format, as_json, output, logs)
    notes = ReadNotes()
    failure: InputError | None = None
    requests = 0
    try:
        for batch in _read(logs, notes, model, OnErrorChoice.skip, exact=True):
            requests += batch.requests.num_rows
    except InputError as error:
        if not notes.bad_lines:
            raise
        failure = error
    _print_validation(requests, notes, chosen, output)
    if notes.bad_lines or failure:
        raise InputError(f"{len(notes.bad_lines):,} bad lines", where=", ".join(logs))


def _print_validation(requests: int, notes: ReadNotes, chosen: Format, output: str | None) -> None:
    bad = [
        {"file": error.source, "line": error.line, "message": error.message}
        for error in notes.bad_lines
    ]
    record: dict[str, Any] = {
        "requests": requests,
        "formats": list(notes.formats),
        "unknown_fields": notes.unknown_fields,
        "notes": notes.messages,
        "bad_lines": bad,
    }
    if chosen not in (Format.table, Format.markdown):
        _print_record(record, chosen, output)
        return
    overview = (
        ("requests", format_number(requests)),
        ("formats", ", ".join(notes.formats) or "none"),
        ("bad lines", format_number(len(bad))),
        *((f"unknown field {name}", where) for name, where in notes.unknown_fields.items()),
        *(("note", message) for message in notes.messages),
    )
    tables = [Table("Log", ("", ""), overview)]
    if bad:
        rows = tuple((f"{item['file']}:{item['line']}", str(item["message"])) for item in bad)
        tables.append(Table("Bad lines", ("where", "what"), rows))
    _print_tables(tables, chosen, output)


@app.command("stats")
def stats(
    logs: LogArgument,
    model: ModelOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Count what is in a log: requests, sessions, models, tokens, fields.

    Examples:
      frugalctl log stats requests.jsonl
    """
    from frugalctl.cli.replay import tell_notes
    from frugalctl.log.read import ReadNotes
    from frugalctl.log.stats import collect_stats

    chosen = prepare_output(chosen_format, as_json, output, logs)
    notes = ReadNotes()
    found = collect_stats(_read(logs, notes, model, on_error))
    tell_notes(notes)
    if chosen not in (Format.table, Format.markdown):
        _print_record(_encode_stats(found, notes), chosen, output)
        return
    _print_tables(_lay_out_stats(found, notes), chosen, output)


def _encode_stats(found: LogStats, notes: ReadNotes) -> dict[str, Any]:
    return {
        "requests": found.requests,
        "sessions": found.sessions,
        "first": found.first,
        "last": found.last,
        "formats": list(notes.formats),
        "estimated_usage": found.estimated_usage,
        "models": [{"model": name} | counts for name, counts in sorted(found.models.items())],
        "outcomes": dict(sorted(found.outcomes.items())),
        "fields": {name: count for name, count in found.fields.items() if count},
    }


def _lay_out_stats(found: LogStats, notes: ReadNotes) -> list[Table]:
    overview = (
        ("requests", format_number(found.requests)),
        ("sessions", format_number(found.sessions)),
        ("from", found.first or "unknown"),
        ("to", found.last or "unknown"),
        ("formats", ", ".join(notes.formats)),
        ("usage counted from text", format_number(found.estimated_usage)),
    )
    tables = [Table("Log", ("", ">"), overview)]
    if found.models:
        classes = list(next(iter(found.models.values())))
        rows = tuple(
            (name, *(format_number(counts[key]) for key in classes))
            for name, counts in sorted(found.models.items())
        )
        columns = ("model", *(f"{key.replace('_', ' ')}>" for key in classes))
        tables.append(Table("Observed models, tokens by class", columns, rows))
    if found.outcomes:
        rows = tuple((name, format_number(count)) for name, count in sorted(found.outcomes.items()))
        tables.append(Table("Outcomes", ("model", "requests>"), rows))
    rows = tuple((name, format_number(count)) for name, count in found.fields.items() if count)
    tables.append(Table("Fields", ("field", "requests>"), rows))
    return tables


def _print_record(record: dict[str, Any], chosen: Format, output: str | None) -> None:
    import json

    if chosen is Format.csv:
        rows = [{"key": key, "value": json.dumps(value)} for key, value in record.items()]
        print_rows(Table("", ("key", "value"), ()), rows, chosen, output)
        return
    indent = 2 if chosen is Format.json else None
    print_text(json.dumps(record, indent=indent, ensure_ascii=False) + "\n", output)


def _print_tables(tables: list[Table], chosen: Format, output: str | None) -> None:
    from frugalctl.report.tables import render_markdown

    if chosen is Format.markdown:
        print_text(render_markdown(tables), output)
    else:
        print_tables(tables, output)


def _read(
    logs: list[str],
    notes: ReadNotes,
    model: str | None,
    on_error: OnErrorChoice,
    *,
    exact: bool = False,
) -> Iterator[LogBatch]:
    from frugalctl.log.read import ReadOptions, read_log
    from frugalctl.log.stream import on_disk

    spare_pandas()
    options = ReadOptions(
        on_error=on_error.value,
        model=model,
        exact=exact,
    )
    with showing_progress("requests read") as tick, on_disk(logs) as sources:
        for batch in read_log(sources, options, notes):
            yield batch
            tick(batch.requests.num_rows)
