"""`frugalctl normalize`: the keys of texts, and what the opt-in steps leave of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugalctl.cli.console import note, print_rows, print_text
from frugalctl.cli.options import (
    Format,
    FormatOption,
    JsonOption,
    OutputOption,
    RecipeOption,
    prepare_output,
)
from frugalctl.errors import BadLine, UsageError

if TYPE_CHECKING:
    from frugalctl.levers.normalize import Meetings, NormalizeSettings
    from frugalctl.log.stream import Source


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts of the inputs; `groups` is empty unless every text has one."""

    texts: list[str] = field(default_factory=list[str])
    groups: list[str] = field(default_factory=list[str])


def normalize(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            help="Texts, one a line, or JSONL with text, query or messages (.gz, .zst); - is "
            "stdin.",
        ),
    ],
    steps: Annotated[
        str | None,
        typer.Option(
            "--steps",
            metavar="NAMES",
            help="What to reduce beyond the safe key, with commas between: synonyms, modifiers, "
            "stop-words, korean, word-order.",
        ),
    ] = None,
    recipe: RecipeOption = None,
    meetings: Annotated[
        bool,
        typer.Option(
            "--meetings", help="Print how many texts meet at each step, instead of the texts."
        ),
    ] = False,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """The keys of texts, and what the opt-in steps leave of them.

    Prints one reduced text a line, in the order of the input; --format table or jsonl shows each
    text with its key and its reduction. The safe key drops white space, case and the punctuation
    at the end; the steps may join texts that ask different things. With JSONL of group and text,
    it is counted how often they do.

    Examples:
      frugalctl normalize prompts.txt | sort | uniq -c | sort -rn

      frugalctl normalize groups.jsonl --steps synonyms,modifiers --meetings

      echo '파스타 레시피 좀 알려주세요' | frugalctl normalize - --steps korean
    """
    from frugalctl.levers.normalize import make_normalizer, measure_meetings

    chosen = prepare_output(chosen_format, as_json, output, inputs)
    settings = _choose_settings(steps, recipe)
    read = _read_texts(inputs)
    if meetings:
        counts = measure_meetings(read.texts, settings, read.groups or None)
        _print_meetings(counts, chosen, output)
        return
    normalizer = make_normalizer(settings)
    keys, reduced = normalizer.make_keys(read.texts), normalizer.reduce(read.texts)
    _tell_meetings(keys, reduced, bool(settings.steps))
    if chosen is Format.table and not _asks_for_table(chosen_format, output):
        print_text("".join(f"{text}\n" for text in reduced), output)
        return
    _print_texts(read, keys, reduced, chosen, output)


def _asks_for_table(chosen_format: Format | None, output: str | None) -> bool:
    return chosen_format is not None and PurePath(output or "").suffix.lower() != ".txt"


def _choose_settings(steps: str | None, recipe: str | None) -> NormalizeSettings:
    from frugalctl.levers.normalize import NormalizeSettings
    from frugalctl.replay.recipe import load_recipe

    if steps is not None and recipe is not None:
        raise UsageError("--steps and --recipe both say the steps", hint="leave one out")
    if recipe is not None:
        return load_recipe(recipe).normalize or NormalizeSettings()
    names = (steps or "").split(",")
    return NormalizeSettings(tuple(name.strip() for name in names if name.strip()))


def _read_texts(inputs: list[str]) -> _Texts:
    from frugalctl.log.stream import on_disk

    read = _Texts()
    with on_disk(inputs) as sources:
        for source in sources:
            _read_source(source, read)
    if len(read.groups) < len(read.texts):
        read.groups.clear()
    return read


def _read_source(source: Source, read: _Texts) -> None:
    """Read one input: JSONL if it begins with an object, else a text a line."""
    skipped = 0
    is_json: bool | None = None
    for number, line in _read_lines(source):
        record = line.strip()
        is_json = record.startswith(b"{") if is_json is None and record else is_json
        if not is_json:
            read.texts.append(_decode(line, source.name, number))
        elif record and not _read_record(record, source.name, number, read):
            skipped += 1
    if skipped:
        note(f"{source.name}: {skipped:,} records without a text of a user's were left out")


def _read_lines(source: Source) -> Iterator[tuple[int, bytes]]:
    from frugalctl.errors import InputError
    from frugalctl.log.stream import open_input, read_blocks

    stream, kind = open_input(source)
    try:
        if kind == "parquet":
            raise InputError(
                "is parquet, not text",
                where=source.name,
                hint="`frugalctl log convert` writes it as JSONL",
            )
        for block in read_blocks(stream, source.name):
            lines = block.data.split(b"\n")
            if not lines[-1]:
                lines.pop()
            yield from enumerate((line.rstrip(b"\r") for line in lines), block.first_line)
    finally:
        stream.close()


def _decode(line: bytes, source: str, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise BadLine("not UTF-8", source=source, line=number) from None


def _read_record(line: bytes, source: str, number: int, read: _Texts) -> bool:
    """Read one JSON object; whether it has a text."""
    import json

    from frugalctl.levers.semantic_cache.queries import parse_query

    if not line.startswith(b"{"):
        raise BadLine("not a JSON object, as those before it", source=source, line=number)
    query = parse_query(line, source, number)
    if query.unfit:
        return False
    read.texts.append(query.text)
    group = json.loads(line).get("group")
    if group is not None:
        read.groups.append(json.dumps(group, sort_keys=True))
    return True


def _tell_meetings(keys: list[str], reduced: list[str], has_steps: bool) -> None:
    if not keys:
        return
    by_key = len(keys) - len(set(keys))
    message = f"{by_key:,} of {len(keys):,} texts meet an earlier one by their key"
    if has_steps:
        message += f", {len(reduced) - len(set(reduced)):,} after all steps"
    note(message)


def _print_texts(
    read: _Texts, keys: list[str], reduced: list[str], chosen: Format, output: str | None
) -> None:
    from frugalctl.report.tables import Table

    rows = list(zip(read.texts, keys, reduced, strict=True))
    names = ("text", "key", "reduced")
    print_rows(
        Table("Keys of texts", names, tuple(rows)),
        [dict(zip(names, row, strict=True)) for row in rows],
        chosen,
        output,
    )


def _print_meetings(counts: list[Meetings], chosen: Format, output: str | None) -> None:
    from frugalctl.report.tables import Table

    records = [_describe(count) for count in counts]
    columns = ("step", "texts>", "hits>", "hit rate>")
    judged = counts[0].wrong is not None
    if judged:
        columns = (*columns, "wrong>", "wrong of hits>", "95 % interval>")
    table = Table(
        "Texts that meet an earlier one",
        columns,
        tuple(_format_row(record, judged) for record in records),
        ("Each step comes after all before it.",),
    )
    print_rows(table, records, chosen, output)


def _describe(count: Meetings) -> dict[str, Any]:
    record: dict[str, Any] = {
        "step": count.step,
        "texts": count.texts,
        "hits": count.hits,
        "hit_rate": count.hits / count.texts if count.texts else None,
    }
    if count.wrong is not None:
        record |= {"wrong": count.wrong, "wrong_of_hits": None, "wrong_of_hits_ci95": None}
        if count.hits:
            record["wrong_of_hits"] = count.wrong / count.hits
            record["wrong_of_hits_ci95"] = _find_interval(count.wrong, count.hits)
    return record


def _find_interval(wrong: int, hits: int) -> list[float]:
    import numpy as np

    from frugalctl.levers.semantic_cache.intervals import exact_interval

    low, high = exact_interval(np.array([wrong]), np.array([hits]))
    return [float(low[0]), float(high[0])]


def _format_row(record: dict[str, Any], judged: bool) -> tuple[str, ...]:
    shown = (
        record["step"],
        f"{record['texts']:,}",
        f"{record['hits']:,}",
        _format_share(record["hit_rate"]),
    )
    if not judged:
        return shown
    interval = record["wrong_of_hits_ci95"]
    between = "unknown" if interval is None else " to ".join(map(_format_share, interval))
    return (*shown, f"{record['wrong']:,}", _format_share(record["wrong_of_hits"]), between)


def _format_share(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.2f} %"
