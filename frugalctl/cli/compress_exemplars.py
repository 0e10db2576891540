"""`frugalctl compress exemplars`: which few-shot exemplars a prompt should show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Any

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
from frugalctl.cli.console import print_all
from frugalctl.cli.options import (
    AsOfOption,
    FormatOption,
    JsonOption,
    prepare_output,
)
from frugalctl.errors import UsageError

if TYPE_CHECKING:
    from frugalctl.levers.compress.exemplar_choice import Space
    from frugalctl.levers.compress.exemplars import Exemplar, Query
    from frugalctl.report.exemplars import Selection
    from frugalctl.report.exemplars_build import Pool, Wish

_MOST_COSINES = 40_000_000
_FEWEST_QUERIES = 1_000
_DEFAULT_K = 4
_DEFAULT_TEMPLATE = r"Input: {input}\nOutput: {output}"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What exemplars are chosen for: `weights` says how often each is asked."""

    queries: list[Query]
    weights: list[float]
    name: str
    notes: tuple[str, ...] = ()
    is_pool: bool = False


def exemplars(
    pool: Annotated[
        str,
        typer.Argument(
            metavar="POOL", help="JSONL of {id, input, output, task} or {id, messages, task}."
        ),
    ],
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="LOG",
            help="One set that covers what this log asks; repeatable. Default: what the pool "
            "itself asks.",
        ),
    ] = None,
    per_query: Annotated[
        str | None,
        typer.Option(
            "--per-query",
            metavar="FILE",
            help="Choose for each question of this file: JSONL of {id, input, task}, or a log's "
            "lines.",
        ),
    ] = None,
    number: Annotated[
        int | None,
        typer.Option("--k", min=1, help="How many. Default: 4, or what --max-tokens holds."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option("--max-tokens", min=1, help="The most tokens they may have.")
    ] = None,
    diversity: Annotated[
        float,
        typer.Option(
            "--diversity",
            min=0,
            max=1,
            help="With --per-query: 0 takes the most similar to the question, more those that "
            "differ from each other.",
        ),
    ] = 0.3,
    template: Annotated[
        str, typer.Option("--template", metavar="TEXT", help="How one stands in a text prompt.")
    ] = _DEFAULT_TEMPLATE,
    embedder: Annotated[
        str,
        typer.Option("--embedder", help="What compares texts: static, lexical, minilm, a folder."),
    ] = "static",
    outcomes: OutcomesOption = None,
    max_quality_loss: MaxLossOption = 0.01,
    confidence: ConfidenceOption = 0.95,
    model: TargetModelOption = DEFAULT_MODEL,
    as_of: AsOfOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of random ones, and bootstrap.")] = 0,
    report: ReportOption = None,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE", help="Write what was chosen.")
    ] = None,
) -> None:
    """Choose few-shot exemplars: one set for all questions, or some for each.

    One set covers the questions (facility location); --per-query takes what is similar to a
    question and differs from each other (maximal marginal relevance). Exemplars go whole. -o
    writes the pool's lines that were chosen, or as .txt the text for a prompt; with --per-query
    lines of {id, exemplars, tokens, text}.

    Examples:
      frugalctl compress exemplars pool.jsonl --log requests.jsonl --k 4 -o exemplars.txt

      frugalctl compress exemplars pool.jsonl --per-query queries.jsonl --max-tokens 600 -o q.jsonl

      frugalctl compress exemplars pool.jsonl --outcomes tried.jsonl --max-quality-loss 0.02
    """
    from frugalctl.cli.startup import spare_pandas

    spare_pandas()
    check_targets([output, report], [pool, *(log or []), per_query, outcomes])
    printed = prepare_output(chosen_format, as_json, report)
    if log and per_query is not None:
        raise UsageError("--log and --per-query both say the questions: give one")
    from frugalctl.levers.compress.exemplars import check_template, make_measure, read_pool
    from frugalctl.report.exemplars import (
        ExemplarReport,
        encode_exemplars,
        lay_out_exemplars,
        render_exemplars_csv,
    )
    from frugalctl.report.exemplars_build import Wish, make_pool, select_for_all, select_for_each

    template = check_template(template)
    read = read_pool(read_lines(pool), source=name_input(pool))
    asked = _read_asked(read, log, per_query, seed)
    measured = make_pool(read, make_measure(model, template))
    if number is None and max_tokens is None:
        number = _DEFAULT_K
    wish = Wish(number, max_tokens, diversity, seed)
    space = _make_space(read, asked, embedder)
    ids: tuple[str, ...] = ()
    if per_query is None:
        chosen, rows = select_for_all(space, measured, wish)
        _check_chosen([chosen], wish, measured)
        ids = tuple(read[at].id for at in chosen)
        data = _write_set([read[at] for at in chosen], template, output)
    else:
        each, rows = select_for_each(space, measured, wish)
        _check_chosen(each, wish, measured)
        data = _write_each(asked.queries, each, measured, template)
    curve = measure_curve(
        outcomes,
        "exemplars",
        model=model,
        as_of=as_of,
        most_first=True,
        max_loss=max_quality_loss,
        confidence=confidence,
        seed=seed,
    )
    prices, _, unpriced = find_prices(model, as_of)
    made = ExemplarReport(
        len(read),
        asked.name,
        tuple(rows),
        ids,
        model,
        prices,
        unpriced,
        (*_list_notes(read, asked), *_explain_fewer(rows[0], wish, len(read))),
        curve,
    )
    written: list[tuple[str, str | None]] = [] if output is None else [(data, output)]
    if output != "-" or report is not None:
        told = render_report(
            lambda: lay_out_exemplars(made),
            lambda: encode_exemplars(made),
            lambda: render_exemplars_csv(made),
            printed,
            report,
        )
        written.append((told, report))
    print_all(written)


def _read_asked(
    pool: list[Exemplar], log: list[str] | None, per_query: str | None, seed: int
) -> _Asked:
    """The questions of a file, of a log, or of the pool itself."""
    from frugalctl.levers.compress.exemplars import Query, read_queries

    if per_query is not None:
        queries = read_queries(read_lines(per_query), source=name_input(per_query))
        return _Asked(queries, [1.0] * len(queries), f"{len(queries):,} questions")
    if log:
        return _read_log(log, max(_FEWEST_QUERIES, _MOST_COSINES // len(pool)), seed)
    queries = [Query(one.id, one.input, one.task) for one in pool]
    most = max(_FEWEST_QUERIES, _MOST_COSINES // len(pool))
    if len(queries) > most:
        raise UsageError(
            f"{len(pool):,} exemplars cannot be compared with each other",
            hint="--log or --per-query says what they are for",
        )
    return _Asked(queries, [1.0] * len(queries), "their own inputs", is_pool=True)


def _read_log(paths: list[str], most: int, seed: int) -> _Asked:
    """The different questions of a log, each with how often it is asked."""
    import numpy as np

    from frugalctl.errors import InputError
    from frugalctl.levers.compress.exemplars import Query
    from frugalctl.log.read import ReadOptions, read_log
    from frugalctl.log.stream import on_disk
    from frugalctl.log.texts import read_asked

    counts: dict[tuple[str, str | None], int] = {}
    requests = 0
    with on_disk(paths) as sources:
        for batch in read_log(sources, ReadOptions(estimate=False)):
            tasks: list[str | None] = batch.column("task").to_pylist()
            for text, task in zip(read_asked(batch.column("messages")), tasks, strict=True):
                if text.strip():
                    requests += 1
                    counts[text, task] = counts.get((text, task), 0) + 1
    if not counts:
        raise InputError("has no text of a user's", where=", ".join(paths))
    kept = list(counts)
    name = f"{len(kept):,} questions of {requests:,} requests"
    notes: tuple[str, ...] = ()
    if len(kept) > most:
        drawn: list[int] = np.random.default_rng(seed).permutation(len(kept))[:most].tolist()
        kept = [kept[at] for at in sorted(drawn)]
        notes = (f"Chosen and measured by {most:,} of the questions, drawn at random.",)
    queries = [Query(str(at), text, task) for at, (text, task) in enumerate(kept, 1)]
    return _Asked(queries, [float(counts[one]) for one in kept], name, notes)


def _make_space(pool: list[Exemplar], asked: _Asked, embedder: str) -> Space:
    from frugalctl.embed import load_embedder
    from frugalctl.levers.compress.exemplar_choice import make_space

    model = load_embedder(embedder)
    own = model.encode([one.input for one in pool]).vectors
    theirs = own if asked.is_pool else model.encode([one.text for one in asked.queries]).vectors
    tasks = ([one.task for one in pool], [one.task for one in asked.queries])
    return make_space(own, theirs, tasks, asked.weights, same=asked.is_pool)


def _check_chosen(choices: list[list[int]], wish: Wish, pool: Pool) -> None:
    """Fail where nothing could be chosen at all.

    Raises:
        UsageError: no exemplar is as short as the budget, or like any question.
    """
    if any(choices):
        return
    if wish.max_tokens is not None and min(pool.tokens) > wish.max_tokens:
        raise UsageError(
            f"no exemplar fits in {wish.max_tokens:,} tokens",
            hint=f"the shortest has {min(pool.tokens):,}; exemplars are not cut",
        )
    raise UsageError("no exemplar has anything in common with a question")


def _list_notes(pool: list[Exemplar], asked: _Asked) -> list[str]:
    from frugalctl.levers.compress.exemplars import find_contradictions

    notes = list(asked.notes)
    clashes = find_contradictions(pool)
    if clashes:
        pairs = ", ".join(" and ".join(pair) for pair in clashes[:3])
        notes.append(f"{len(clashes):,} exemplars answer the same input differently: {pairs}.")
    known = {" ".join(one.input.split()) for one in pool}
    met = sum(" ".join(one.text.split()) in known for one in asked.queries)
    if met and not asked.is_pool:
        notes.append(
            f"{met:,} of the questions are inputs of the pool: their answers stand in the prompt, "
            "which makes a test of quality by them worthless."
        )
    return notes


def _explain_fewer(row: Selection, wish: Wish, pool: int) -> list[str]:
    """Why there are fewer than were asked for; nothing where there are as many."""
    if wish.most is None or row.exemplars >= wish.most:
        return []
    notes = [f"Chosen are fewer than the {wish.most:,} asked for"]
    if pool < wish.most:
        notes.append(f"the pool has {pool:,}")
    if row.exemplars < min(pool, wish.most):
        limit = " or fits in --max-tokens" if wish.max_tokens is not None else ""
        notes.append(f"no other one is nearer to a question{limit}")
    return [f"{notes[0]}: {', and '.join(notes[1:])}."]


def _write_set(chosen: list[Exemplar], template: str, output: str | None) -> str:
    from frugalctl.levers.compress.exemplars import write_exemplars

    if PurePath(output or "").suffix.lower() in (".txt", ".md"):
        return write_exemplars(chosen, template)
    return write_jsonl(one.record for one in chosen)


def _write_each(queries: list[Query], choices: list[list[int]], pool: Pool, template: str) -> str:
    """A line a question; the most relevant exemplar last, next to the question."""
    from frugalctl.levers.compress.exemplars import write_exemplars

    records: list[dict[str, Any]] = []
    for query, chosen in zip(queries, choices, strict=True):
        shown = [pool.exemplars[at] for at in reversed(chosen)]
        record: dict[str, Any] = {
            "id": query.id,
            "exemplars": [one.id for one in shown],
            "tokens": pool.measure(shown),
        }
        if pool.exemplars[0].messages is None:
            record["text"] = write_exemplars(shown, template)
        else:
            record["messages"] = [message for one in shown for message in one.messages or ()]
        records.append(record)
    return write_jsonl(records)
