"""Compression by a model of LLMLingua's, under our own protection and our own budget.

The package says which words, sentences or documents matter; what may go at all, what holds the
budget, and which original characters a word stands for is decided here. Nothing that is locked or
protected depends on what the package returns.

Sources: Jiang et al. 2023 (LLMLingua), Jiang et al. 2024 (LongLLMLingua), Pan et al. 2024
(LLMLingua-2), and the package `llmlingua` 0.2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from frugalctl.errors import UsageError
from frugalctl.levers.compress.llmlingua_chars import Draft, drop_chars, gather_open, open_drafts
from frugalctl.levers.compress.llmlingua_load import contained, load_compressor
from frugalctl.levers.compress.llmlingua_words import align_words, blank_special, fold_text
from frugalctl.levers.compress.pieces import CompressedPart
from frugalctl.levers.compress.settings import CompressSettings

Count = Callable[[str], int]
# A result that uses this much of the budget is not made better by asking again.
_NEAR = 0.98
_WORD_SEPARATOR, _LABEL_SEPARATOR = "\x1f", "\x1e"


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Of a word: where it stands among the folded characters, whether it stays, its score."""

    span: tuple[int, int]
    is_kept: bool
    score: float


def compress_with_llmlingua(
    parts: Sequence[CompressedPart],
    question: str | None,
    count: Count,
    budget_tokens: int,
    settings: CompressSettings,
    *,
    coarse: bool = False,
) -> list[CompressedPart]:
    """The parts without the words, sentences or documents that a model finds least needed.

    Parts that fit as they are come back as they are. Where the method cannot reach the budget at
    any rate, whole sentences are dropped by our own extraction instead, with a warning.

    Args:
        parts: what earlier tiers made of a prompt.
        question: what the prompt asks, if known; longllmlingua needs it.
        count: tokens of a text.
        budget_tokens: the most tokens that all parts may have together.
        settings: the method, its model and its device.
        coarse: llmlingua and longllmlingua only: rank documents and sentences, and keep what is
            kept whole. It works with every version of transformers, and is much faster.

    Raises:
        UsageError: no question where the method needs one, a method that fails with the installed
            transformers, or no such device.
        InputError: no such model, or not one for this method.
        MissingExtraError: llmlingua is not installed.
    """
    method = settings.method
    llm = _check_settings(settings, question)
    if _count_parts(parts, count) <= budget_tokens:
        return list(parts)
    compressor = load_compressor(llm, method, settings.device, settings.seed)
    with contained(settings.seed):
        if method == "llmlingua2":
            found = _drop_words(compressor, open_drafts(parts), count, budget_tokens)
        else:
            rank = import_module("frugalctl.levers.compress.llmlingua_rank")
            found = rank.drop_ranked(
                compressor, parts, question or "", count, budget_tokens, method, coarse=coarse
            )
    return found or _extract(parts, question, count, budget_tokens, settings)


def _check_settings(settings: CompressSettings, question: str | None) -> str:
    """The model that the settings name."""
    if settings.method == "longllmlingua" and not (question or "").strip():
        raise UsageError(
            "longllmlingua needs a question", hint="--question, or take --method llmlingua2"
        )
    if settings.llm is None:
        raise UsageError(
            f"the method {settings.method} needs a model", hint="name its folder with --llm"
        )
    return settings.llm


def _drop_words(
    compressor: Any, drafts: Sequence[Draft], count: Count, budget_tokens: int
) -> list[CompressedPart] | None:
    """The parts at the highest rate that fits the budget, or nearly; None if none does.

    The model reads each chunk once; only the package's own choice of words is made again.
    """
    compressor.known_logits.clear()
    contexts, folded, places = _read_drafts(compressor, drafts)
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    kept_from: dict[int, int] = {}
    best: list[CompressedPart] | None = None
    low, high = 1, 99
    whole = sum(count(draft.text) for draft in drafts)
    percent = min(max(100 * budget_tokens // whole, low), high)
    while low <= high and contexts:
        labels = _ask_labels(compressor, contexts, percent)
        if not labels:
            break
        if [word for word, _ in labels] != words:
            words = [word for word, _ in labels]
            spans = align_words(words, folded)
        verdicts = list(_judge(labels, spans, percent, kept_from))
        found = _apply(drafts, verdicts, places)
        tokens = _count_parts(found, count)
        if not any(part.text.strip() for part in found):
            low = percent + 1
        elif tokens <= budget_tokens:
            best, low = found, percent + 1
        else:
            high = percent - 1
        if _NEAR * budget_tokens <= tokens <= budget_tokens:
            break
        percent = (low + high) // 2
    compressor.known_logits.clear()
    return best


def _judge(
    labels: Sequence[tuple[str, bool]],
    spans: Sequence[tuple[int, int]],
    percent: int,
    kept_from: dict[int, int],
) -> Iterator[_Verdict]:
    """The verdict on each word; its score is the more, the lower the rates that keep it."""
    for at, (span, (_, is_kept)) in enumerate(zip(spans, labels, strict=True)):
        if is_kept:
            kept_from[at] = min(percent, kept_from.get(at, 100))
        yield _Verdict(span, is_kept, (100 - kept_from.get(at, 100)) / 100)


def _read_drafts(
    compressor: Any, drafts: Sequence[Draft]
) -> tuple[list[str], str, list[tuple[int, int]]]:
    """One text a draft for the model; all of them folded; draft and offset of each character."""
    contexts: list[str] = []
    folds: list[str] = []
    places: list[tuple[int, int]] = []
    for number, draft in enumerate(drafts):
        text, offsets = gather_open(draft)
        text = blank_special(text, compressor.special_tokens)
        folded, sources = fold_text(text)
        if folded:
            contexts.append(text)
            folds.append(folded)
            places.extend((number, offsets[at]) for at in sources)
    return contexts, "".join(folds), places


def _ask_labels(
    compressor: Any, contexts: Sequence[str], percent: int
) -> list[tuple[str, bool]] | None:
    """The words that the package makes of the texts, and whether each is kept at a rate."""
    try:
        answer: dict[str, Any] = compressor.compress_prompt(
            list(contexts),
            rate=percent / 100,
            use_context_level_filter=False,
            return_word_label=True,
            word_sep=_WORD_SEPARATOR,
            label_sep=_LABEL_SEPARATOR,
        )
    except (IndexError, ValueError):
        # A chunk of which its tokenizer knows nothing.
        return None
    pairs = (
        item.rpartition(_LABEL_SEPARATOR)
        for item in str(answer["fn_labeled_original_prompt"]).split(_WORD_SEPARATOR)
    )
    return [(word, label == "1") for word, _, label in pairs]


def _apply(
    drafts: Sequence[Draft], verdicts: Sequence[_Verdict], places: Sequence[tuple[int, int]]
) -> list[CompressedPart]:
    dropped = [bytearray(len(draft.text)) for draft in drafts]
    scores: list[list[float | None]] = [[None] * len(draft.text) for draft in drafts]
    # A character that two words share stays if one of them does.
    for verdict in sorted(verdicts, key=_is_kept):
        for number, offset in places[verdict.span[0] : verdict.span[1]]:
            dropped[number][offset] = not verdict.is_kept
            scores[number][offset] = verdict.score
    return [
        drop_chars(draft, dropped[at], scores[at], "llmlingua2") for at, draft in enumerate(drafts)
    ]


def _extract(
    parts: Sequence[CompressedPart],
    question: str | None,
    count: Count,
    budget_tokens: int,
    settings: CompressSettings,
) -> list[CompressedPart]:
    """What our own extraction makes of it, with a warning."""
    extractive = import_module("frugalctl.levers.compress.extractive")
    # Its budget holds, whether it was given or is LLMLingua's own.
    settings = replace(settings, auto=False)
    found: list[CompressedPart] = extractive.select(parts, question, count, budget_tokens, settings)
    warning = (
        f"{settings.method} reaches {budget_tokens:,} tokens at no rate: whole sentences were "
        "dropped by extraction instead"
    )
    return [replace(found[0], warnings=(*found[0].warnings, warning)), *found[1:]]


def _count_parts(parts: Sequence[CompressedPart], count: Count) -> int:
    return sum(count(part.text) for part in parts)


def _is_kept(verdict: _Verdict) -> bool:
    return verdict.is_kept
