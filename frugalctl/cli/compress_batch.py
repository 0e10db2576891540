"""`frugalctl compress batch`: several inputs in one request, and their answers taken apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.compress_lines import (
    ConfidenceOption,
    MaxLossOption,
    OutcomesOption,
    ReportOption,
    check_targets,
    find_prices,
    measure_curve,
    name_input,
    read_lines,
    render_report,
    write_jsonl,
)
from frugalctl.cli.compress_options import DEFAULT_MODEL, TargetModelOption
from frugalctl.cli.console import note, print_all
from frugalctl.cli.options import (
    AsOfOption,
    FormatOption,
    JsonOption,
    prepare_output,
)
from frugalctl.errors import InputError, UsageError

if TYPE_CHECKING:
    from frugalctl.levers.compress.concatenate import Batch
    from frugalctl.levers.compress.split_answers import Split

_SHOWN = 20


def batch(
    items: Annotated[
        str,
        typer.Argument(
            metavar="ITEMS",
            help="JSONL of {id, input} (or prompt, question, text, one message); with --split "
            "also the file that was written for them.",
        ),
    ],
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix", metavar="FILE", help="What all share: the instruction, and exemplars."
        ),
    ] = None,
    size: Annotated[int, typer.Option("--k", min=1, help="Inputs of one request.")] = 8,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="FILE", help="Take answers apart: JSONL of {id, response}."
        ),
    ] = None,
    todo: Annotated[
        str | None,
        typer.Option(
            "--todo",
            metavar="FILE",
            help="With --split: write the inputs that have no answer here, to be batched again.",
        ),
    ] = None,
    outcomes: OutcomesOption = None,
    max_quality_loss: MaxLossOption = 0.01,
    confidence: ConfidenceOption = 0.95,
    model: TargetModelOption = DEFAULT_MODEL,
    as_of: AsOfOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the bootstrap.")] = 0,
    report: ReportOption = None,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the prompts, or the answers of --split."
        ),
    ] = None,
) -> None:
    """Ask several inputs in one request, under one shared prefix.

    Writes lines of {id, prompt, items} to -o and prints what that saves. With --split, the
    model's answers become lines of {id, response}, one an input. An input without an answer, or
    with two that differ, goes to --todo; without --todo it is an error, and nothing is written.

    Examples:
      frugalctl compress batch items.jsonl --prefix instruction.txt --k 4 -o batched.jsonl

      frugalctl compress batch batched.jsonl --split answers.jsonl --todo todo.jsonl -o done.jsonl

      frugalctl compress batch todo.jsonl --prefix instruction.txt --k 2 -o again.jsonl
    """
    check_targets([output, todo, report], [items, prefix, split, outcomes])
    chosen = prepare_output(chosen_format, as_json, report)
    if split is not None:
        if outcomes is not None or report is not None or as_json or chosen_format is not None:
            raise UsageError("--split makes no report", hint="leave out --outcomes and --report")
        _split(items, split, size, todo, output)
        return
    if todo is not None:
        raise UsageError("--todo goes with --split")
    if prefix is None:
        raise UsageError("--prefix is missing", hint="it names the file of what all inputs share")
    from frugalctl.levers.compress.concatenate import count_tokens, plan_batches, read_items
    from frugalctl.report.batch import (
        build_batch_report,
        encode_batch,
        lay_out_batch,
        render_batch_csv,
    )

    shared = _read_prefix(prefix)
    read = read_items(read_lines(items), source=name_input(items))
    curve = measure_curve(
        outcomes,
        "batch_size",
        model=model,
        as_of=as_of,
        most_first=False,
        max_loss=max_quality_loss,
        confidence=confidence,
        seed=seed,
    )
    prices, output_usd, unpriced = find_prices(model, as_of)
    made = build_batch_report(
        count_tokens(read, shared, model),
        size,
        model=model,
        prices=prices,
        output_usd=output_usd,
        unpriced=unpriced,
        curve=curve,
    )
    written: list[tuple[str, str | None]] = []
    if output is not None:
        batches = plan_batches(read, shared, size)
        written.append((write_jsonl(one.describe() for one in batches), output))
    if output != "-" or report is not None:
        told = render_report(
            lambda: lay_out_batch(made),
            lambda: encode_batch(made),
            lambda: render_batch_csv(made),
            chosen,
            report,
        )
        written.append((told, report))
    print_all(written)


def _read_prefix(path: str) -> str:
    from frugalctl.levers.compress.prompt import decode_text

    text = decode_text(b"\n".join(read_lines(path)), name_input(path))
    if not text.strip():
        raise InputError("is empty: there is nothing to share", where=name_input(path))
    return text


def _split(items: str, answers: str, size: int, todo: str | None, output: str | None) -> None:
    from frugalctl.levers.compress.split_answers import read_answers, split_all

    batches = _read_batches(items, size)
    read = read_answers(read_lines(answers), source=name_input(answers))
    found = split_all(batches, read, source=name_input(answers))
    strangers = len(read.keys() - {one.id for one in batches})
    if strangers:
        note(f"{strangers:,} answers to other batches were left out")
    _tell(found)
    missing = [item for one in found for item in one.batch.items if item.id in one.missing]
    if missing and todo is None:
        raise InputError(
            f"{len(missing):,} of {sum(len(one.batch.items) for one in found):,} inputs have no "
            "answer that could be told; nothing was written",
            where=name_input(answers),
            hint="--todo FILE takes them, and the others are written",
        )
    done = [{"id": name, "response": text} for one in found for name, text in one.answers.items()]
    written = [(write_jsonl(done), output)]
    if todo is not None:
        written.append((write_jsonl(item.record for item in missing), todo))
    print_all(written)


def _read_batches(path: str, size: int) -> list[Batch]:
    """The batches of a file of them, or those that its items would have been put into."""
    from frugalctl.levers.compress.concatenate import plan_batches, read_batches, read_items
    from frugalctl.levers.compress.json_text import decode_json

    lines = list(read_lines(path))
    first = next((line for line in lines if line.strip()), b"")
    try:
        head = decode_json(first.decode("utf-8", "replace"))
    except InputError:
        head = None
    if isinstance(head, dict) and "items" in head:
        return read_batches(lines, source=name_input(path))
    return plan_batches(read_items(lines, source=name_input(path)), "", size)


def _tell(found: list[Split]) -> None:
    """Say on stderr what was wrong with which batch."""
    inputs = sum(len(one.batch.items) for one in found)
    note(f"{sum(len(one.answers) for one in found):,} of {inputs:,} inputs have an answer")
    lines = [line for one in found for line in _list_faults(one)]
    for line in lines[:_SHOWN]:
        note(line)
    if len(lines) > _SHOWN:
        note(f"and {len(lines) - _SHOWN:,} more like these")


def _list_faults(one: Split) -> list[str]:
    lines: list[str] = []
    for why in dict.fromkeys(one.missing.values()):
        names = [name for name, reason in one.missing.items() if reason == why]
        lines.append(f"{one.batch.id}: {why}: {', '.join(names)}")
    if one.unknown:
        lines.append(f"{one.batch.id}: unknown ids, left out: {', '.join(one.unknown)}")
    if one.repeated:
        lines.append(f"{one.batch.id}: answered twice alike: {', '.join(one.repeated)}")
    if one.truncated:
        lines.append(f"{one.batch.id}: the answer is cut off or broken JSON")
    if one.reordered:
        lines.append(f"{one.batch.id}: the answers are in another order, taken by their ids")
    return lines
