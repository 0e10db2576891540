"""`frugalctl cache prune`, `info` and `export`: keep an index small, look into it, hand it on."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Annotated, Any

import typer

from frugalctl.cli.cache_options import (
    AtOption,
    IndexArgument,
    WaitOption,
    make_cache_recipe,
    print_facts,
    read_at,
    recall_recipe,
    refuse_inside,
    settings_of,
)
from frugalctl.cli.console import detail
from frugalctl.cli.options import (
    FormatOption,
    JsonOption,
    OutputOption,
    choose_format,
    prepare_output,
)
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import UsageError
from frugalctl.files import check_writable


class ExportKind(StrEnum):
    """The forms of an export."""

    parquet = "parquet"
    jsonl = "jsonl"
    redis = "redis"


def prune_cache(
    index: IndexArgument,
    ttl: Annotated[
        str | None, typer.Option("--ttl", metavar="TIME", help="Lifetime, such as 24h or 7d.")
    ] = None,
    sliding: Annotated[
        bool | None,
        typer.Option("--sliding/--fixed", help="Whether each use begins the lifetime anew."),
    ] = None,
    max_entries: Annotated[
        int | None, typer.Option("--max-entries", metavar="N", help="Room in entries.")
    ] = None,
    max_bytes: Annotated[
        int | None, typer.Option("--max-bytes", metavar="N", help="Room in bytes.")
    ] = None,
    eviction: Annotated[
        str | None, typer.Option("--eviction", metavar="RULE", help="lru, lfu, fifo or cost.")
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            metavar="TAG",
            help="Entries of a task, tenant:NAME or model:NAME leave; repeatable.",
        ),
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="TIME", help="Entries made before leave.")
    ] = None,
    entry: Annotated[
        list[int] | None, typer.Option("--entry", metavar="ID", help="This entry leaves.")
    ] = None,
    at: AtOption = None,
    wait: WaitOption = 0,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take entries out: expired, named, or without room.

    Without options, by the rules that the index was built with.

    Examples:
      frugalctl cache prune idx/ --ttl 24h --at now

      frugalctl cache prune idx/ --tag faq --before 2026-11-01
    """
    from frugalctl.levers.semantic_cache.index import open_index, prune_index

    spare_pandas()
    chosen = choose_format(chosen_format, as_json, None)
    manifest = open_index(index).manifest
    said: dict[str, Any] = {
        "ttl": ttl,
        "sliding": sliding,
        "max_entries": max_entries,
        "max_bytes": max_bytes,
        "eviction": eviction,
    }
    retention = settings_of(
        make_cache_recipe(None, base=recall_recipe(manifest, index), **said)
    ).retention
    now_us = read_at(at)
    pruned = prune_index(
        index,
        retention,
        now_us=manifest.newest_us if now_us is None else now_us,
        tags=tag or (),
        before_us=_read_before(before),
        entry_ids=entry or (),
        wait_s=wait,
    )
    facts = {"index": index, **asdict(pruned)}
    print_facts(f"{index}: {pruned.remaining:,} entries", facts, chosen)


def describe_cache(
    index: IndexArgument,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """What an index holds, and what it was made with.

    Its files are checked on the way.

    Examples:
      frugalctl cache info idx/ --json | jq .entries
    """
    from frugalctl.levers.semantic_cache.describe import describe_index
    from frugalctl.levers.semantic_cache.index import open_index

    spare_pandas()
    chosen = prepare_output(chosen_format, as_json, output)
    refuse_inside(index, output)
    facts = describe_index(open_index(index))
    print_facts(f"{index}: {facts['entries']:,} entries", facts, chosen, output)


def _read_before(text: str | None) -> int | None:
    from frugalctl.log.times import parse_timestamp_us

    if text is None:
        return None
    try:
        return parse_timestamp_us(text)
    except ValueError:
        raise UsageError(f"--before {text!r} is not a time", hint="such as 2026-11-20") from None


def export_cache(
    index: IndexArgument,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="FILE", help="The file to write; - is stdout.")
    ],
    to: Annotated[
        ExportKind | None,
        typer.Option("--to", help="The form. Default: by the extension of the file."),
    ] = None,
) -> None:
    """Write an index in a form that other tools read.

    parquet has a column of vectors that LanceDB, DuckDB and Faiss read; redis are the commands
    that fill RedisVL's SemanticCache (`redis-cli --pipe`), with its schema beside.

    Examples:
      frugalctl cache export idx/ -o entries.parquet

      frugalctl cache export idx/ --to redis -o cache.resp
    """
    from frugalctl.levers.semantic_cache.index import export_index, open_index

    spare_pandas()
    by_name = {".parquet": "parquet", ".jsonl": "jsonl", ".resp": "redis"}
    kind = to.value if to else by_name.get(PurePath(output).suffix.lower())
    if kind is None:
        raise UsageError(f"what is {output!r} to be?", hint=f"--to {', '.join(ExportKind)}")
    refuse_inside(index, output)
    if output == "-":
        _export_to_stdout(index, kind)
        return
    check_writable(output)
    for path in export_index(open_index(index), output, kind):
        detail(f"wrote {path}")


def _export_to_stdout(index: str, kind: str) -> None:
    import shutil
    import sys
    from tempfile import TemporaryDirectory

    from frugalctl.levers.semantic_cache.index import export_index, open_index

    with TemporaryDirectory() as folder:
        written = export_index(open_index(index), f"{folder}/export", kind)
        with Path(written[0]).open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
