"""`frugalctl cache query`: look questions up in an index."""

from __future__ import annotations

import json
import sys
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugalctl.cli.cache_options import (
    AtOption,
    CacheRecipeOption,
    EmbedderOption,
    GuardsOption,
    IndexArgument,
    ScorerOption,
    ThresholdOption,
    WaitOption,
    open_with_tools,
    read_at,
    refuse_inside,
    settings_of,
)
from frugalctl.cli.console import note, print_rows, print_text, verbosity
from frugalctl.cli.options import (
    Format,
    FormatOption,
    JsonOption,
    OutputOption,
    prepare_output,
)
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import BadLine, UsageError
from frugalctl.report.tables import Table

if TYPE_CHECKING:
    from frugalctl.levers.semantic_cache.index import Index
    from frugalctl.levers.semantic_cache.match import Match, Matcher
    from frugalctl.levers.semantic_cache.queries import Query
    from frugalctl.levers.semantic_cache.settings import ScopeKey

_MOST_TENANTS = 8


def query_cache(
    index: IndexArgument,
    queries: Annotated[
        list[str],
        typer.Argument(metavar="QUERY", help="Questions; - reads them from stdin, one a line."),
    ],
    recipe: CacheRecipeOption = None,
    embedder: EmbedderOption = None,
    threshold: ThresholdOption = None,
    scorer: ScorerOption = None,
    guards: GuardsOption = None,
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", metavar="NAME", help="Who asks; no line can say otherwise."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="Which model is asked.")
    ] = None,
    system: Annotated[
        str | None, typer.Option("--system", metavar="TEXT", help="After which system prompt.")
    ] = None,
    at: AtOption = None,
    record: Annotated[
        bool,
        typer.Option("--record", help="Count the hits, for sliding lifetimes and eviction."),
    ] = False,
    graph: Annotated[
        bool,
        typer.Option(
            "--graph",
            help="Search big scopes by the graph of neighbours. Native code trusts that file: "
            "only for an index of your own.",
        ),
    ] = False,
    wait: WaitOption = 5,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
    output: OutputOption = None,
) -> None:
    """Look questions up: a hit with its answer, or why there is none.

    A line of stdin is plain text, or JSON: a request with messages, or an object with query and,
    if need be, tenant, model, system, history. What a question does not say of model, system
    prompt, tools and sampling may be anything as long as there is no choice; without a tenant, no
    tenant's answers are found. With --format jsonl each line is answered as it comes, from the
    index as it was at the start; -v shows the nearest question in a table.

    Examples:
      frugalctl cache query idx/ "how do I reset my password?"

      frugalctl cache query idx/ - --format jsonl < questions.jsonl
    """
    from frugalctl.levers.semantic_cache.index.manifest import GRAPH
    from frugalctl.levers.semantic_cache.match import make_matcher

    spare_pandas()
    chosen = prepare_output(chosen_format, as_json, output)
    refuse_inside(index, output)
    found, made, tools = open_with_tools(
        index,
        recipe,
        embedder,
        graph=graph,
        threshold=threshold,
        scorer=scorer,
        guards=guards,
    )
    settings = settings_of(made)
    if settings.policy != "threshold":
        note(f"{settings.policy} learns during a replay; a look-up goes by the threshold")
    matcher = make_matcher(found, tools.embedder, tools.normalizer, tools.scorer, settings)
    said = {"tenant": tenant, "model": model, "system": system}
    asked = _read_queries(queries, {key: text for key, text in said.items() if text is not None})
    now_us = read_at(at)
    if "tenant" in settings.scope:
        _tell_tenants(found, tenant)
    if graph and GRAPH not in found.manifest.files:
        note(f"{index} has no graph, so all is searched; `cache build --graph` adds one")
    matches = _look_up(matcher, asked, now_us, record, wait)
    if chosen is Format.jsonl and output in (None, "-"):
        for batch in matches:
            lines = (json.dumps(_describe(match), ensure_ascii=False) for match in batch)
            print_text("".join(f"{line}\n" for line in lines), None)
        return
    _print_matches([match for batch in matches for match in batch], chosen, output)


def _tell_tenants(index: Index, tenant: str | None) -> None:
    """Say whose answers there are, where a question without a tenant can find none."""
    names: list[str | None] = sorted(set(index.scopes.column("tenant").to_pylist()), key=str)
    if tenant is None and names and None not in names:
        shown = ", ".join(str(name) for name in names[:_MOST_TENANTS])
        more = ", ..." if len(names) > _MOST_TENANTS else ""
        note(f"every answer belongs to a tenant ({shown}{more}): a question has to say which")


def _read_queries(arguments: list[str], said: dict[str, str]) -> Iterator[list[Query]]:
    """The questions, in the batches in which they come."""
    from frugalctl.levers.semantic_cache.queries import make_query, parse_query

    known = parse_query({"query": "x"} | said).known
    plain = [text for text in arguments if text != "-"]
    if plain:
        if len(plain) < len(arguments):
            raise UsageError("questions stand on the command line and in - (stdin)")
        yield [make_query(text, known) for text in plain]
        return
    for lines in _read_lines():
        queries: list[Query] = []
        try:
            for number, line in lines:
                if line.strip():
                    queries.append(_fill_in(parse_query(line, "<stdin>", number), known))
        except BadLine:
            yield queries
            raise
        yield queries


def _fill_in(query: Query, known: Mapping[ScopeKey, str | None]) -> Query:
    """The query with what the command line says where it says nothing itself.

    Lines may come from a stranger, the tenant of the command line does not.
    """
    both = {**known, **query.known}
    tenant = known.get("tenant")
    if tenant is not None and both["tenant"] != tenant:
        stranger = both["tenant"] is not None
        unfit = query.unfit or ("asked for another tenant than --tenant" if stranger else "")
        return replace(query, known=both | {"tenant": tenant}, unfit=unfit)
    return replace(query, known=both)


def _read_lines() -> Iterator[list[tuple[int, bytes]]]:
    """The numbered lines of stdin, as many at a time as are there."""
    rest, number = b"", 1
    stdin: Any = sys.stdin.buffer
    while chunk := stdin.read1(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        if number == 1 and lines:
            lines[0] = lines[0].removeprefix(BOM_UTF8)
        if lines:
            yield list(enumerate(lines, number))
            number += len(lines)
    if rest:
        yield [(number, rest.removeprefix(BOM_UTF8) if number == 1 else rest)]


def _look_up(
    matcher: Matcher,
    asked: Iterable[list[Query]],
    now_us: int | None,
    record: bool,
    wait_s: float,
) -> Iterator[list[Match]]:
    from frugalctl.levers.semantic_cache.index import record_hits
    from frugalctl.log.times import UNKNOWN_US

    for queries in asked:
        matches = matcher.look_up(queries, now_us)
        yield matches
        if not record:
            continue
        newest_us = matcher.index.manifest.newest_us
        fallback_us = now_us if now_us is not None else newest_us
        times: dict[int, list[int]] = {}
        for query, match in zip(queries, matches, strict=True):
            at_us = fallback_us if query.time_us == UNKNOWN_US else query.time_us
            if match.entry_id is not None:
                times.setdefault(UNKNOWN_US if at_us is None else at_us, []).append(match.entry_id)
        for at_us, entry_ids in times.items():
            record_hits(matcher.index.path, entry_ids, at_us, wait_s=wait_s)


def _print_matches(matches: list[Match], chosen: Format, output: str | None) -> None:
    columns = ("question", "", "score>", "why", "answer", "nearest question")
    rows = [
        (
            match.query,
            "hit" if match.hit else "miss",
            "" if match.score is None else f"{match.score:.4f}",
            match.reason if match.guard is None else f"{match.guard}: {match.reason}",
            match.response or "",
            match.nearest or "",
        )
        for match in matches
    ]
    shown = len(columns) if verbosity.level > 0 else len(columns) - 1
    hits = sum(match.hit for match in matches)
    title = f"{hits:,} of {len(matches):,} answered"
    table = Table(title, columns[:shown], tuple(row[:shown] for row in rows))
    print_rows(table, [_describe(match) for match in matches], chosen, output)


def _describe(match: Match) -> dict[str, Any]:
    record = asdict(match)
    del record["nearest"]
    return record
