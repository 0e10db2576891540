"""Options and steps that the commands of the semantic cache share."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from frugalctl.cli.console import print_rows, print_text
from frugalctl.cli.options import Format
from frugalctl.errors import UsageError
from frugalctl.report.tables import UNKNOWN, Table, format_number, format_usd

if TYPE_CHECKING:
    from frugalctl.levers.semantic_cache.index import Index, Manifest
    from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
    from frugalctl.replay.recipe import Recipe
    from frugalctl.replay.semantic_cache import CacheTools

OUR_EMBEDDERS = ("static", "lexical", "minilm")
"""What an index may ask for by itself: they read no path and call nobody."""

IndexArgument = Annotated[str, typer.Argument(metavar="INDEX", help="The folder of an index.")]
CacheRecipeOption = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        "-r",
        metavar="FILE",
        help="A recipe (TOML) with [semantic_cache] and [normalize], as `cache tune` writes it.",
    ),
]
EmbedderOption = Annotated[
    str | None,
    typer.Option(
        "--embedder",
        metavar="NAME",
        help="static (the default), lexical, minilm, the folder of a sentence-transformers "
        "model, or litellm:MODEL, which calls its provider.",
    ),
]
NormalizeOption = Annotated[
    str | None,
    typer.Option(
        "--normalize",
        metavar="STEPS",
        help="Lossy steps before embedding, such as synonyms,modifiers,korean "
        "(see `frugalctl normalize`).",
    ),
]
ThresholdOption = Annotated[
    float | None, typer.Option("--threshold", metavar="SCORE", help="The least score of a hit.")
]
ScorerOption = Annotated[
    str | None,
    typer.Option(
        "--scorer",
        metavar="NAME",
        help="cosine, a file of `cache tune` (*.npz), or cross-encoder:PATH.",
    ),
]
GuardsOption = Annotated[
    str | None,
    typer.Option(
        "--guards",
        metavar="NAMES",
        help="Which guards may refuse a hit, such as numbers,negation; none for no guard. "
        "Default: all.",
    ),
]
ScopeOption = Annotated[
    str | None,
    typer.Option(
        "--scope",
        metavar="KEYS",
        help="What must be equal, exactly. Default: tenant,model,system,tools,sampling,history.",
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="TIME",
        help="When this happens, for lifetimes: a time, or now for the clock. Default: the time "
        "of the newest entry.",
    ),
]
WaitOption = Annotated[
    float,
    typer.Option("--wait", metavar="SECONDS", min=0, help="How long to wait for another writer."),
]


def make_cache_recipe(
    recipe: str | None,
    *,
    base: Recipe | None = None,
    embedder: str | None = None,
    normalize: str | None = None,
    threshold: float | None = None,
    scorer: str | None = None,
    guards: str | None = None,
    scope: str | None = None,
    **others: Any,
) -> Recipe:
    """A recipe with a semantic cache: the file's, with what the command line says over it.

    Args:
        recipe: the file, None for none.
        base: stands in for the file where there is none.
        embedder: --embedder, and so on: None where the command line says nothing.
        normalize: names with commas between them.
        threshold: the least score.
        scorer: its name.
        guards: names with commas between them; "none" for none.
        scope: names with commas between them; "none" for none.
        others: further keys of the table [semantic_cache]; None where nothing is said.

    Raises:
        ConfigError: a value that makes no sense.
    """
    from frugalctl.levers.normalize import NormalizeSettings
    from frugalctl.levers.semantic_cache.settings import (
        SemanticCacheSettings,
        dump_semantic_cache_table,
        parse_semantic_cache_table,
    )
    from frugalctl.replay.recipe import Recipe, load_recipe

    found = load_recipe(recipe) if recipe else base or Recipe()
    settings = found.semantic_cache or SemanticCacheSettings()
    said = {
        "embedder": embedder,
        "threshold": threshold,
        "scorer": scorer,
        "guards": split_names(guards),
        "scope": split_names(scope),
        **others,
    }
    table = dump_semantic_cache_table(settings)
    table |= {key: value for key, value in said.items() if value is not None}
    steps = split_names(normalize)
    return replace(
        found,
        semantic_cache=parse_semantic_cache_table(table),
        normalize=found.normalize if steps is None else NormalizeSettings(tuple(steps)),
    )


def split_names(text: str | None) -> list[str] | None:
    """The names between commas; none at all for "none"."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    return [] if names == ["none"] else names


def read_at(text: str | None) -> int | None:
    """Microseconds of --at; None for the newest entry's time.

    Raises:
        UsageError: neither a time nor "now".
    """
    from frugalctl.log.times import parse_timestamp_us

    if text is None:
        return None
    if text == "now":
        import time

        return time.time_ns() // 1_000
    try:
        return parse_timestamp_us(text)
    except ValueError:
        raise UsageError(
            f"--at {text!r} is not a time", hint="write it as 2026-11-20T09:00:00Z, or now"
        ) from None


def describe_settings(recipe: Recipe) -> dict[str, Any]:
    """What an index remembers of its recipe: no paths, and no threshold of a learned scorer."""
    from frugalctl.levers.normalize import NormalizeSettings
    from frugalctl.levers.semantic_cache.settings import (
        SemanticCacheSettings,
        dump_semantic_cache_table,
    )

    settings = recipe.semantic_cache or SemanticCacheSettings()
    table = dump_semantic_cache_table(settings)
    if settings.scorer != "cosine":
        table = {key: value for key, value in table.items() if key not in ("scorer", "threshold")}
    normalize = recipe.normalize or NormalizeSettings()
    steps = {
        "steps": list(normalize.steps),
        "synonyms": {word: others for word, *others in normalize.synonyms},
        "modifiers": list(normalize.modifiers),
        "stop_words": list(normalize.stop_words),
    }
    return {
        "semantic_cache": {key: value for key, value in table.items() if key != "embedder"},
        "normalize": {key: value for key, value in steps.items() if value},
    }


def recall_recipe(manifest: Manifest, where: str) -> Recipe:
    """The recipe that an index was built with, as far as it remembers.

    Raises:
        InputError: it remembers nonsense.
    """
    from frugalctl.errors import ConfigError, InputError
    from frugalctl.replay.recipe import parse_recipe

    known = {key: manifest.settings.get(key, {}) for key in ("semantic_cache", "normalize")}
    try:
        recipe = parse_recipe(known, where)
    except ConfigError as error:
        raise InputError(f"manifest.json: {error.message}", where=where) from None
    settings = settings_of(recipe)
    if settings.scorer != "cosine":
        raise InputError("manifest.json: an index cannot name a scorer", where=where)
    return replace(recipe, semantic_cache=replace(settings, embedder=manifest.embedder))


def open_with_tools(
    path: str,
    recipe: str | None,
    embedder: str | None = None,
    *,
    graph: bool = False,
    **said: Any,
) -> tuple[Index, Recipe, CacheTools]:
    """Open an index and load what it was made with.

    Args:
        path: the index.
        recipe: --recipe.
        embedder: --embedder, which an index that needs a path or a provider cannot say itself.
        graph: whether to read the graph of neighbours.
        said: further options, as `make_cache_recipe` takes them.

    Raises:
        InputError: see `open_index`; or it was made with something else.
        UsageError: it was made with an embedder that the user has to name.
    """
    from frugalctl.levers.semantic_cache.index import open_index
    from frugalctl.levers.semantic_cache.match import require_made_with
    from frugalctl.replay.semantic_cache import load_tools

    index = open_index(path, graph=graph)
    base = recall_recipe(index.manifest, path)
    made = make_cache_recipe(recipe, base=base, embedder=embedder, **said)
    settings = settings_of(made)
    if embedder is None and recipe is None and settings.embedder not in OUR_EMBEDDERS:
        raise UsageError(
            f"{path} was made with the embedder {settings.embedder!r}",
            hint=f"if you trust it, say so: --embedder {settings.embedder}",
        )
    tools = load_tools(made, settings)
    require_made_with(index, tools.embedder, tools.normalizer, settings.scope)
    return index, made, tools


def settings_of(recipe: Recipe) -> SemanticCacheSettings:
    """The settings of a recipe that has a semantic cache."""
    assert recipe.semantic_cache is not None
    return recipe.semantic_cache


def refuse_inside(index: str, output: str | None) -> None:
    """Refuse an output that would be a file of the index itself.

    Raises:
        UsageError: the output lies in the folder of the index.
    """
    if output not in (None, "-") and Path(output).resolve().parent == Path(index).resolve():
        raise UsageError(f"{output} is in the index itself", hint="name another place")


_LABELS = {
    "asked_again": "repeated questions, newest answer kept",
    "outdated": "older than the answer there",
    "chosen": "by tag, age or id",
}


def print_facts(
    title: str, facts: dict[str, Any], chosen: Format, output: str | None = None
) -> None:
    """Facts by name: a table for a person, an object for a program."""
    if chosen is Format.json:
        print_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", output)
        return
    rows: list[tuple[str, str]] = []
    for name, value in facts.items():
        shown = _LABELS.get(name) or name.replace("_", " ").removesuffix(" usd")
        if name == "embedding_usd" and value == 0.0:
            continue
        if isinstance(value, dict):
            nested = cast("dict[str, Any]", value)
            rows += [(f"{shown}: {key or '(none)'}", _show(key, nested[key])) for key in nested]
        else:
            rows.append((shown, _show(name, value)))
    if chosen is Format.csv:
        facts = {name: _encode_nested(value) for name, value in facts.items()}
    print_rows(Table(title, ("", ""), tuple(rows)), [facts], chosen, output)


def _show(name: str, value: Any) -> str:
    if value is None:
        return UNKNOWN
    if name.endswith("_usd"):
        return format_usd(value)
    if isinstance(value, (dict, list)) and not value:
        return "defaults" if isinstance(value, dict) else "none"
    return format_number(value) if isinstance(value, int) else str(_encode_nested(value))


def _encode_nested(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
