"""Keep the units of a prompt that matter most, whole and in their order, within a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from frugalctl.embed import Embedder, load_embedder
from frugalctl.levers.compress.assemble import (
    NOT_CENTRAL,
    NOT_RELEVANT,
    keep_gaps,
    make_part,
    reorder_documents,
)
from frugalctl.levers.compress.budget import BudgetError
from frugalctl.levers.compress.caution import (
    SAFE_SHARE,
    Flags,
    find_uncertain,
    joins_facts,
)
from frugalctl.levers.compress.choice import Choice, Count, start_choice
from frugalctl.levers.compress.dropped import describe_dropped, describe_fit
from frugalctl.levers.compress.pieces import CompressedPart
from frugalctl.levers.compress.score import (
    SAID_ALREADY,
    read_texts,
    score_by_centrality,
    score_by_question,
)
from frugalctl.levers.compress.score_words import Floats
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.levers.compress.units import Atom

_ROUNDS = 3
_CHARS_PER_TOKEN = 4


def select(
    parts: Sequence[CompressedPart],
    question: str | None,
    count: Count,
    budget_tokens: int,
    settings: CompressSettings,
    embedder: Embedder | None = None,
) -> list[CompressedPart]:
    """Drop what matters least until the parts together are within the budget.

    Locked segments, instructions, questions, tool calls and what holds a span that always has to
    be there stay; exemplars go whole; the title of a document and the header of a table stay with
    any of it.

    Args:
        parts: what earlier tiers made of them.
        question: what the units are to be relevant to; None or a blank one for a summary.
        count: tokens of a text for the target model.
        budget_tokens: the most that the texts of all parts may count together; not read where
            the settings say `auto` and neither `rate` nor `target_tokens`.
        settings: `embedder`, `neighbours`, `reorder`, `auto` and `model` are read as well.
        embedder: used in place of the one that the settings name.

    Returns:
        As many parts, with the same text covered.

    Raises:
        BudgetError: what has to stay is more than the budget, or nothing at all would be left.
    """
    whole = sum(count(part.text) for part in parts)
    is_limited = settings.rate is not None or settings.target_tokens is not None
    is_limited = is_limited or not settings.auto
    choice = start_choice(
        parts, settings.model, budget_tokens * _CHARS_PER_TOKEN if is_limited else None
    )
    free = [at for at, atom in enumerate(choice.flat) if atom.role == "free" and atom.text]
    if not free or (whole <= budget_tokens and is_limited):
        return _check_fixed(parts, choice, count, budget_tokens, whole <= budget_tokens)
    scores, uncertain = _score([choice.flat[at] for at in free], question, settings, embedder)
    score_of = dict(zip(free, scores.tolist(), strict=True))
    ranked = sorted(_bundle(choice, free), key=lambda one: -max(score_of[at] for at in one))
    best = ranked[0]
    ranked = _keep_messages(choice, parts, ranked, count, budget_tokens if is_limited else None)
    warnings: list[str] = []
    if is_limited:
        _fill(choice, ranked, count, budget_tokens)
        _check_left(choice, ranked, count, budget_tokens)
        unfit = None if choice.kept[best[0]] else choice.price(best)
        warnings += describe_fit(unfit, choice.tokens, budget_tokens)
    if settings.auto:
        needed = {free[at] for at in np.flatnonzero(uncertain)}
        missing = [one for one in ranked if not (choice.kept[one[0]] or needed.isdisjoint(one))]
        if is_limited:
            warnings += _warn_of_missing(choice, missing)
        else:
            _keep_needed(choice, missing, count)
    warnings += _warn_of_facts(question, choice.tokens / max(whole, 1))
    warnings += describe_dropped(choice.flat, choice.kept, question)
    reason = NOT_RELEVANT if question else NOT_CENTRAL
    made = _finish(parts, choice, score_of, reason, settings)
    # Documents in another order may count more tokens.
    while is_limited and settings.reorder != "none":
        tokens = sum(count(part.text) for part in made)
        if tokens <= budget_tokens:
            break
        _drop_last(choice, ranked, tokens, budget_tokens)
        made = _finish(parts, choice, score_of, reason, settings)
    return [replace(made[0], warnings=(*made[0].warnings, *warnings)), *made[1:]]


def _score(
    units: Sequence[Atom],
    question: str | None,
    settings: CompressSettings,
    embedder: Embedder | None,
) -> tuple[Floats, Flags]:
    """What each unit is worth, and whether to drop it is not safe."""
    texts = read_texts(units)
    asked = question if question and question.strip() else None
    if embedder is None and not _prefers_words(settings, asked):
        embedder = _load_once(settings.embedder)
    if asked is not None:
        scores = score_by_question(texts, asked, embedder, settings.neighbours)
        return scores, find_uncertain(scores, embedder is not None)
    scores, redundancy = score_by_centrality(texts, embedder)
    return scores, redundancy < SAID_ALREADY


def _prefers_words(settings: CompressSettings, question: str | None) -> bool:
    """Whether no vectors are better: the static ones find the first of several facts only.

    Both documents of a HotpotQA question survive half the tokens for 90 % without them, and for
    82 % with them (benchmarks/compress_quality.py).
    """
    if settings.embedder == "static":
        return question is not None and joins_facts(question)
    return settings.embedder == "none"


@lru_cache(maxsize=2)
def _load_once(spec: str) -> Embedder:
    """The embedder, which knows the words of the prompts before."""
    return load_embedder(spec)


def _keep_messages(
    choice: Choice,
    parts: Sequence[CompressedPart],
    ranked: list[list[int]],
    count: Count,
    budget_tokens: int | None,
) -> list[list[int]]:
    """Keep the best of each message of which nothing has to stay, or the shortest if need be.

    Providers refuse a message without text.

    Returns:
        What is still to be chosen from, in its order.
    """
    empty = {at for at, part in enumerate(parts) if part.part.role is not None}
    if not empty:
        return ranked
    empty -= {
        atom.part
        for atom, stays in zip(choice.flat, choice.kept, strict=True)
        if stays and atom.text.strip()
    }
    own: dict[int, list[list[int]]] = {}
    for bundle in ranked:
        if choice.flat[bundle[0]].part in empty:
            own.setdefault(choice.flat[bundle[0]].part, []).append(bundle)
    for at, atom in enumerate(choice.flat):
        if atom.role == "reference" and atom.part in empty and atom.part not in own:
            choice.kept[at] = True
    _keep_all(choice, [found[0] for found in own.values()])
    held = {part: found[0] for part, found in own.items()}
    over = choice.measure(count) - budget_tokens if own and budget_tokens is not None else 0
    for part, found in reversed(own.items()):
        if over <= 0:
            break
        held[part] = min(found, key=choice.price)
        over -= choice.price(found[0]) - choice.price(held[part])
        choice.keep(found[0], stays=False)
        choice.keep(held[part])
    chosen = {bundle[0] for bundle in held.values()}
    return [bundle for bundle in ranked if bundle[0] not in chosen]


def _keep_all(choice: Choice, bundles: Sequence[Sequence[int]], stays: bool = True) -> None:
    for bundle in bundles:
        choice.keep(bundle, stays)


def _check_fixed(
    parts: Sequence[CompressedPart], choice: Choice, count: Count, budget_tokens: int, fits: bool
) -> list[CompressedPart]:
    if not fits:
        raise BudgetError(budget_tokens, choice.measure(count))
    return list(parts)


def _bundle(choice: Choice, free: Sequence[int]) -> list[list[int]]:
    """What is kept or dropped at once, an exemplar or else one unit, by place in `flat`."""
    bundles: dict[tuple[str, int], list[int]] = {}
    for at in free:
        atom = choice.flat[at]
        key = ("block", atom.block) if atom.kind == "exemplar" else ("unit", at)
        bundles.setdefault(key, []).append(at)
    return list(bundles.values())


def _fill(
    choice: Choice, ranked: Sequence[Sequence[int]], count: Count, budget_tokens: int
) -> None:
    """Keep the best that fit, by what they cost apart; then by what is left when joined."""
    least = choice.measure(count)
    if least > budget_tokens:
        raise BudgetError(budget_tokens, least)
    waiting = ranked
    for _ in range(_ROUNDS):
        taken, waiting = _take(choice, waiting, budget_tokens - choice.tokens)
        if not taken or choice.measure(count) > budget_tokens:
            break
    kept = [bundle for bundle in ranked if choice.kept[bundle[0]]]
    fitting, size, at_once = 0, len(kept), 1
    if choice.tokens <= budget_tokens:
        return
    # So many of the best fit, and so many do not: first by doubled steps down, then by halves.
    while size - fitting > 1:
        middle = max(size - at_once, (fitting + size) // 2)
        _keep_first(choice, kept, middle)
        if choice.measure(count) > budget_tokens:
            size, at_once = middle, at_once * 2
        else:
            fitting = middle
    _keep_first(choice, kept, fitting)
    choice.measure(count)


def _keep_first(choice: Choice, ranked: Sequence[Sequence[int]], size: int) -> None:
    for at, bundle in enumerate(ranked):
        if choice.kept[bundle[0]] != (at < size):
            choice.keep(bundle, stays=at < size)


def _drop_last(
    choice: Choice, ranked: Sequence[Sequence[int]], tokens: int, budget_tokens: int
) -> None:
    worst = next((one for one in reversed(ranked) if choice.kept[one[0]]), None)
    if worst is None:
        raise BudgetError(budget_tokens, tokens)
    choice.keep(worst, stays=False)


def _keep_needed(choice: Choice, missing: Sequence[Sequence[int]], count: Count) -> None:
    _keep_all(choice, missing)
    choice.measure(count)


def _warn_of_missing(choice: Choice, missing: Sequence[Sequence[int]]) -> list[str]:
    tokens = sum(choice.price(bundle) for bundle in missing)
    if not tokens:
        return []
    return [f"the target drops what may be needed: about {tokens} tokens more would keep it"]


def _check_left(
    choice: Choice, ranked: Sequence[Sequence[int]], count: Count, budget_tokens: int
) -> None:
    """A prompt is never emptied."""
    if any(stays and choice.flat[at].text.strip() for at, stays in enumerate(choice.kept)):
        return
    choice.keep(min(ranked, key=choice.price))
    if choice.measure(count) > budget_tokens:
        raise BudgetError(budget_tokens, choice.tokens)


def _warn_of_facts(question: str | None, share: float) -> list[str]:
    if not question or share >= SAFE_SHARE or not joins_facts(question):
        return []
    return [
        f"the question seems to need several facts, and {share:.0%} of the tokens are kept: "
        "one of them may be lost"
    ]


def _take(
    choice: Choice, ranked: Sequence[Sequence[int]], left: int
) -> tuple[bool, list[Sequence[int]]]:
    """Keep what fits into the tokens that are left, the best first."""
    waiting: list[Sequence[int]] = []
    for bundle in ranked:
        tokens = choice.price(bundle)
        if tokens > left:
            waiting.append(bundle)
            continue
        choice.keep(bundle)
        left -= tokens
    return len(waiting) < len(ranked), waiting


def _finish(
    parts: Sequence[CompressedPart],
    choice: Choice,
    scores: dict[int, float],
    reason: str,
    settings: CompressSettings,
) -> list[CompressedPart]:
    relevance: dict[int, float] = {}
    for at, score in scores.items():
        block = choice.flat[at].block
        relevance[block] = max(score, relevance.get(block, score))
    made: list[CompressedPart] = []
    start = 0
    for part, atoms in zip(parts, choice.atoms, strict=True):
        end = start + len(atoms)
        own = [scores.get(at) for at in range(start, end)]
        one = make_part(part, atoms, keep_gaps(atoms, choice.kept[start:end]), own, reason)
        if settings.reorder != "none":
            one = reorder_documents(one, atoms, relevance, settings.reorder)
        made.append(one)
        start = end
    return made
