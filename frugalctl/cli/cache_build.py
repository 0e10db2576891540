"""`frugalctl cache build` and `cache add`: from a log to an index."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from frugalctl.cli.cache_options import (
    AtOption,
    CacheRecipeOption,
    EmbedderOption,
    IndexArgument,
    NormalizeOption,
    ScopeOption,
    WaitOption,
    describe_settings,
    make_cache_recipe,
    open_with_tools,
    print_facts,
    read_at,
    settings_of,
)
from frugalctl.cli.console import showing_progress
from frugalctl.cli.options import (
    FormatOption,
    JsonOption,
    LogArgument,
    ModelOption,
    OnErrorChoice,
    OnErrorOption,
    choose_format,
)
from frugalctl.cli.startup import spare_pandas
from frugalctl.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from frugalctl.levers.semantic_cache.collect import Collected
    from frugalctl.replay.recipe import Recipe
    from frugalctl.replay.semantic_cache import CacheTools


class Dtype(StrEnum):
    """How vectors are stored."""

    float32 = "float32"
    int8 = "int8"


MinQualityOption = Annotated[
    float | None,
    typer.Option("--min-quality", metavar="Q", help="Leave out answers logged with less."),
]


def build_cache(
    logs: LogArgument,
    index: Annotated[
        str, typer.Option("--output", "-o", metavar="INDEX", help="The folder to write.")
    ],
    recipe: CacheRecipeOption = None,
    embedder: EmbedderOption = None,
    normalize: NormalizeOption = None,
    scope: ScopeOption = None,
    dtype: Annotated[
        Dtype, typer.Option("--dtype", help="int8 takes a quarter of the room.")
    ] = Dtype.float32,
    min_quality: MinQualityOption = None,
    graph: Annotated[
        bool,
        typer.Option("--graph", help="Add a graph of neighbours (HNSW), for `query --graph`."),
    ] = False,
    model: ModelOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    wait: WaitOption = 0,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Build an index from the questions and answers of a log.

    Of equal questions in the same scope the newest answer stays. An index that is there is
    replaced at once when the new one is whole; any other folder is left alone.

    Examples:
      frugalctl cache build requests.jsonl -o idx/

      frugalctl cache build requests.jsonl -o idx/ --min-quality 0.5
    """
    from frugalctl.levers.semantic_cache.collect import Collected
    from frugalctl.levers.semantic_cache.index import IndexSettings, IndexWriter, prune_index
    from frugalctl.levers.semantic_cache.index.folder import check_target, follow
    from frugalctl.replay.semantic_cache import load_tools

    spare_pandas()
    chosen = choose_format(chosen_format, as_json, None)
    if index in ("", "-"):
        raise UsageError("an index is a folder, not a stream", hint="name one: -o idx/")
    check_target(follow(index))
    made = make_cache_recipe(
        recipe, embedder=embedder, normalize=normalize, scope=scope, min_quality=min_quality
    )
    settings = settings_of(made)
    tools = load_tools(made, settings)
    collected = Collected()
    plan = IndexSettings(
        embedder=settings.embedder,
        fingerprint=tools.embedder.fingerprint,
        dimension=tools.embedder.dimension,
        normalizer=tools.normalizer.name,
        dtype=dtype.value,
        settings=describe_settings(made),
    )
    with IndexWriter(index, plan, graph=graph, wait_s=wait) as writer:
        for entries, vectors in _collect(logs, made, tools, collected, model, on_error):
            writer.write(entries, vectors)
    manifest = writer.manifest
    assert manifest is not None
    built = manifest.entries
    removed = 0
    if settings.retention != type(settings.retention)():
        pruned = prune_index(
            index, settings.retention, now_us=manifest.newest_us, wait_s=max(wait, 5)
        )
        built, removed = pruned.remaining, pruned.expired + pruned.evicted
    print_facts(
        f"{index}: {built:,} entries",
        {
            "index": index,
            "requests": collected.requests,
            "entries": built,
            "scopes": manifest.scopes,
            "asked_again": collected.entries - manifest.entries,
            "expired_or_evicted": removed,
            **_left_out(collected),
            "embedder": manifest.embedder,
            "dimension": manifest.dimension,
            "dtype": manifest.dtype,
            "normalizer": manifest.normalizer,
            "embedding_usd": collected.embedding_usd,
        },
        chosen,
    )


def add_to_cache(
    index: IndexArgument,
    logs: LogArgument,
    recipe: CacheRecipeOption = None,
    embedder: EmbedderOption = None,
    min_quality: MinQualityOption = None,
    at: AtOption = None,
    model: ModelOption = None,
    on_error: OnErrorOption = OnErrorChoice.fail,
    wait: WaitOption = 0,
    chosen_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Add the questions and answers of a log to an index.

    The newest answer to a question stays. What is past its lifetime leaves, and what has no room,
    by the rules that the index was built with. It says what it added once that is on disk.

    Examples:
      frugalctl cache add idx/ today.jsonl
    """
    import pyarrow as pa

    from frugalctl.levers.semantic_cache.collect import Collected
    from frugalctl.levers.semantic_cache.index import INPUT_SCHEMA, add_entries

    spare_pandas()
    chosen = choose_format(chosen_format, as_json, None)
    _, made, tools = open_with_tools(index, recipe, embedder, min_quality=min_quality)
    collected = Collected()
    pieces = list(_collect(logs, made, tools, collected, model, on_error))
    tables = [entries for entries, _ in pieces]
    added = add_entries(
        index,
        pa.concat_tables(tables) if tables else INPUT_SCHEMA.empty_table(),
        _stack([vectors for _, vectors in pieces], tools.embedder.dimension),
        fingerprint=tools.embedder.fingerprint,
        normalizer=tools.normalizer.name,
        retention=settings_of(made).retention,
        now_us=read_at(at),
        wait_s=wait,
    )
    facts = {"index": index, "requests": collected.requests, **asdict(added)}
    facts |= {**_left_out(collected), "embedding_usd": collected.embedding_usd}
    print_facts(f"{index}: {added.total:,} entries", facts, chosen)


def _collect(
    logs: list[str],
    recipe: Recipe,
    tools: CacheTools,
    collected: Collected,
    model: str | None,
    on_error: OnErrorChoice,
) -> Iterator[tuple[pa.Table, NDArray[np.float32]]]:
    """The entries of a log, piece by piece."""
    from frugalctl.cli.replay import tell_notes
    from frugalctl.levers.semantic_cache.collect import collect_entries
    from frugalctl.levers.semantic_cache.questions import find_tool_turns, read_questions
    from frugalctl.log.read import ReadNotes, ReadOptions, read_log
    from frugalctl.log.stream import on_disk
    from frugalctl.prices import load_book
    from frugalctl.replay.engine import Setup
    from frugalctl.replay.recipe import Recipe
    from frugalctl.replay.semantic_cache import answer_log

    settings = settings_of(recipe)
    setup = Setup(load_book(), Recipe(), prices="log")
    notes = ReadNotes()
    read = ReadOptions(on_error.value, frozenset({"prefix_blocks", "ttft_ms"}), model)
    with showing_progress("requests read") as tick, on_disk(logs) as sources:
        turns = find_tool_turns(read_log(sources, read))
        for batch in answer_log(read_log(sources, read, notes), setup):
            yield collect_entries(
                read_questions([batch], settings.scope, turns),
                tools.embedder,
                tools.normalizer,
                collected,
                settings=settings,
            )
            tick(batch.requests.num_rows)
    tell_notes(notes)


def _stack(pieces: Sequence[NDArray[np.float32]], dimension: int) -> NDArray[np.float32]:
    import numpy as np

    return np.concatenate([np.empty((0, dimension), dtype=np.float32), *pieces])


def _left_out(collected: Collected) -> dict[str, Any]:
    return {"left_out": {reason: n for reason, n in collected.left_out.items() if n}}
