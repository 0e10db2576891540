"""What `cache eval` and `cache tune` share: labels, and what decides whether two texts match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from frugalctl.cli.options import OnErrorChoice

if TYPE_CHECKING:
    from frugalctl.levers.semantic_cache.labels import Labels
    from frugalctl.levers.semantic_cache.ranking import Matching
    from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
    from frugalctl.replay.recipe import Recipe
    from frugalctl.report.cache_eval import Judged

LabelsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="LABELS",
        help="Pairs {a, b, same}, groups {group, text} (JSONL), or a request log with answers; "
        ".gz, .zst; - is stdin.",
    ),
]


@dataclass(frozen=True, slots=True)
class LabelledInput:
    """Labels, and the hash of the files that they came from."""

    labels: Labels
    input_xxh3: str


def settings_of(recipe: Recipe) -> SemanticCacheSettings:
    """The semantic cache of a recipe that has one."""
    assert recipe.semantic_cache is not None
    return recipe.semantic_cache


def read_labelled(
    paths: list[str], recipe: Recipe, model: str | None, on_error: OnErrorChoice
) -> LabelledInput:
    """Read labels, and say on stderr what was met."""
    from frugalctl.cli.replay import tell_notes
    from frugalctl.levers.semantic_cache.labels import read_labels
    from frugalctl.log.read import ReadNotes, ReadOptions
    from frugalctl.log.stream import on_disk

    notes = ReadNotes()
    options = ReadOptions(on_error=on_error.value, model=model, estimate=False)
    with on_disk(paths) as sources:
        labels = read_labels(sources, options, notes, settings_of(recipe).scope)
    tell_notes(notes)
    return LabelledInput(labels, notes.input_xxh3)


def load_matching(recipe: Recipe) -> Matching:
    """Load the embedder, the normaliser and the scorer of a recipe."""
    from frugalctl.levers.semantic_cache.ranking import Matching
    from frugalctl.replay.semantic_cache import load_tools

    settings = settings_of(recipe)
    tools = load_tools(recipe, settings)
    return Matching(
        embedder=tools.embedder,
        normalizer=tools.normalizer,
        scorer=tools.scorer,
        guards=settings.guards,
        candidates=settings.candidates,
    )


def describe_judged(read: LabelledInput, matching: Matching, count: int) -> Judged:
    """What was judged, and by what."""
    from frugalctl.levers.semantic_cache.labels import name_kind
    from frugalctl.report.cache_eval import Judged

    return Judged(
        kind=name_kind(read.labels),
        n=count,
        embedder=matching.embedder.spec,
        fingerprint=matching.embedder.fingerprint,
        normalizer=matching.normalizer.name,
        scorer=matching.scorer.name,
        guards=matching.guards,
        candidates=matching.candidates,
        input_xxh3=read.input_xxh3,
    )


def translate_for(matching: Matching, threshold: float) -> dict[str, float] | None:
    """Other caches' settings; None where the score is no cosine."""
    from frugalctl.levers.semantic_cache.translate import translate_threshold

    return translate_threshold(threshold) if matching.scorer.name == "cosine" else None
