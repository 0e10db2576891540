"""LLMLingua and LongLLMLingua: documents and sentences ranked by perplexity, tokens filtered.

The package's budgets are not used: they miss their targets both ways, and one is run as code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from frugalctl.errors import UsageError
from frugalctl.levers.compress.assemble import join_kept, keep_gaps, make_part
from frugalctl.levers.compress.frames import Frames
from frugalctl.levers.compress.llmlingua_chars import Draft, drop_chars, gather_open, open_drafts
from frugalctl.levers.compress.llmlingua_words import align_tokens, blank_special
from frugalctl.levers.compress.pieces import CompressedPart, Span
from frugalctl.levers.compress.protect import ALWAYS
from frugalctl.levers.compress.units import Atom, cut_atoms

Count = Callable[[str], int]
# What LLMLingua leaves its token filter to take away, and how often that is asked.
_SPARE_TOKENS = 100
_ASKS = 4
# How many tokens the filter takes at a time; of a text shorter than that it drops next to none.
_ITERATION_TOKENS = 200
_MARGIN = 0.95
_CONDITIONS = {"llmlingua": "none", "longllmlingua": "after"}
# What the package puts behind a question, and room for the special tokens of a tokenizer.
_SUFFIX = " We can get the answer to this question in the given documents."
_SPECIAL_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Scorer:
    """The package's ranking of texts.

    Attributes:
        compressor: the package's.
        method: "llmlingua" or "longllmlingua".
        question: that a text is to answer; "" for llmlingua.
    """

    compressor: Any
    method: str
    question: str

    def score(self, texts: Sequence[str]) -> list[float | None]:
        """How much each of n texts is worth keeping; None where the model cannot tell.

        For llmlingua the perplexity of a text, for longllmlingua that of the question after it,
        less being more. Of a text longer than the model reads, its beginning counts.
        """
        cut = [self._cut(text) for text in texts]
        ranked: list[tuple[int, Any]] = self.compressor.get_rank_results(
            cut, self.question, self.method, _CONDITIONS[self.method], [0] * len(cut)
        )
        sign = 1 if self.method == "llmlingua" else -1
        values = {at: sign * float(loss) for at, loss in ranked}
        return [None if math.isnan(values[at]) else values[at] for at in range(len(texts))]

    def _cut(self, text: str) -> str:
        tokenizer: Any = self.compressor.tokenizer
        text = blank_special(text, tokenizer.all_special_tokens)
        asked = len(tokenizer(self.question + _SUFFIX).input_ids) if self.question else 0
        room = max(self.compressor.max_position_embeddings - asked - _SPECIAL_TOKENS, 1)
        if len(text.encode()) <= room:
            return text
        offsets: list[tuple[int, int]] = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True
        )["offset_mapping"]
        return text[: offsets[room - 1][1]] if len(offsets) > room else text


def drop_ranked(
    compressor: Any,
    parts: Sequence[CompressedPart],
    question: str,
    count: Count,
    budget_tokens: int,
    method: str,
    *,
    coarse: bool,
) -> list[CompressedPart] | None:
    """The parts within the budget, by the ranking of the package; None if that cannot be.

    Args:
        compressor: the package's, with a causal language model.
        parts: what earlier tiers made of a prompt.
        question: what it asks; llmlingua does not look at it.
        count: tokens of a text.
        budget_tokens: the most that all parts may have together.
        method: "llmlingua" or "longllmlingua".
        coarse: whether documents and sentences only are dropped, and no tokens of those kept.

    Raises:
        UsageError: the token filter fails with the installed transformers.
    """
    scorer = Scorer(compressor, method, question if method == "longllmlingua" else "")
    if coarse:
        return _drop_coarse(scorer, parts, count, budget_tokens)
    wide = _drop_coarse(scorer, parts, count, budget_tokens + _SPARE_TOKENS)
    fine = _drop_tokens(scorer, wide, count, budget_tokens) if wide else None
    ranked = fine or _drop_coarse(scorer, parts, count, budget_tokens)
    if fine or not ranked:
        return ranked
    warning = (
        f"the token filter of {method} reaches {budget_tokens:,} tokens at no rate: documents and "
        "sentences were dropped whole instead"
    )
    return [replace(ranked[0], warnings=(*ranked[0].warnings, warning)), *ranked[1:]]


def _drop_coarse(
    scorer: Scorer, parts: Sequence[CompressedPart], count: Count, budget_tokens: int
) -> list[CompressedPart] | None:
    """Keep the best documents whole, and the best sentences of the first that does not fit.

    None where nothing would be left.
    """
    if sum(count(part.text) for part in parts) <= budget_tokens:
        return list(parts)
    choice = _Choice(cut_atoms(parts, _is_pinned), count)
    if choice.measure() > budget_tokens:
        return None
    blocks = choice.list_blocks()
    scores = scorer.score([choice.read_block(block) for block in blocks])
    by_atom = {at: value for block, value in zip(blocks, scores, strict=True) for at in block}
    for rank in _order(scores):
        choice.keep(blocks[rank])
        if choice.measure() <= budget_tokens:
            continue
        choice.keep(blocks[rank], stays=False)
        units = choice.list_units(blocks[rank])
        values = scorer.score([choice.read_unit(unit) for unit in units])
        for at in _order(values):
            by_atom[units[at][0]] = values[at]
            choice.keep(units[at])
            if choice.measure() > budget_tokens:
                choice.keep(units[at], stays=False)
        break
    made = choice.make_parts(parts, by_atom, scorer.method)
    return made if any(part.text.strip() for part in made) else None


class _Choice:
    """Which atoms of all parts are kept so far.

    Args:
        atoms: of each part.
        count: tokens of a text.
    """

    def __init__(self, atoms: list[list[Atom]], count: Count) -> None:
        self._atoms = atoms
        self._count = count
        self._flat = [atom for row in atoms for atom in row]
        self._members: dict[int, list[int]] = {}
        self._free: dict[int, list[int]] = {}
        for at, atom in enumerate(self._flat):
            self._members.setdefault(atom.block, []).append(at)
            if atom.role == "free" and atom.text:
                self._free.setdefault(atom.block, []).append(at)
        self._frames = Frames(self._flat)
        self._kept = self._frames.start()

    def list_blocks(self) -> list[list[int]]:
        """The free atoms of each block that has some."""
        return list(self._free.values())

    def read_block(self, places: Sequence[int]) -> str:
        """The text of the block of these atoms, its title and white space included."""
        members = self._members[self._flat[places[0]].block]
        return "".join(self._flat[at].text for at in members).strip()

    def read_unit(self, places: Sequence[int]) -> str:
        """The text of these atoms."""
        return "".join(self._flat[at].text for at in places)

    def list_units(self, block: Sequence[int]) -> list[list[int]]:
        """What of a block may be kept alone: a sentence, but nothing of an exemplar."""
        return [[at] for at in block if self._flat[at].kind != "exemplar"]

    def keep(self, places: Sequence[int], *, stays: bool = True) -> None:
        """Keep or drop free atoms, and the frames around them with the first or last of them."""
        changed = [at for at in places if self._kept[at] != stays]
        self._frames.change(self._kept, changed, stays)

    def measure(self) -> int:
        """The tokens of what is kept."""
        tokens = start = 0
        for atoms in self._atoms:
            tokens += self._count(join_kept(atoms, self._kept[start : start + len(atoms)]))
            start += len(atoms)
        return tokens

    def make_parts(
        self, parts: Sequence[CompressedPart], scores: dict[int, float | None], reason: str
    ) -> list[CompressedPart]:
        """The parts with what is not kept dropped."""
        made: list[CompressedPart] = []
        start = 0
        for part, atoms in zip(parts, self._atoms, strict=True):
            end = start + len(atoms)
            own = [scores.get(at) for at in range(start, end)]
            kept = keep_gaps(atoms, self._kept[start:end])
            made.append(make_part(part, atoms, kept, own, reason))
            start = end
        return made


def _drop_tokens(
    scorer: Scorer, parts: Sequence[CompressedPart], count: Count, budget_tokens: int
) -> list[CompressedPart] | None:
    """The parts after the package's token filter, if that reaches the budget."""
    drafts = open_drafts(parts)
    gathered = [gather_open(draft) for draft in drafts]
    special = scorer.compressor.tokenizer.all_special_tokens
    asked = [
        (at, blank_special(text, special)) for at, (text, _) in enumerate(gathered) if text.strip()
    ]
    open_tokens = sum(count(text) for _, text in asked)
    fixed_tokens = sum(count(part.text) for part in parts) - open_tokens
    if budget_tokens <= fixed_tokens or not open_tokens:
        return None
    room = budget_tokens - fixed_tokens
    rate = min(room / open_tokens, 1.0)
    for _ in range(_ASKS):
        kept = _filter_tokens(scorer, [text for _, text in asked], rate)
        if kept is None:
            return None
        found = _apply(drafts, gathered, [at for at, _ in asked], kept, scorer.method)
        tokens = sum(count(part.text) for part in found)
        if tokens <= budget_tokens:
            return found if any(part.text.strip() for part in found) else None
        rate *= _MARGIN * room / (tokens - fixed_tokens)
    return None


def _filter_tokens(
    scorer: Scorer, texts: Sequence[str], rate: float
) -> list[tuple[int, int]] | None:
    """The characters, in the texts joined by a blank line, that the token filter keeps."""
    compressor = scorer.compressor
    calls: list[tuple[list[str], int, list[int]]] = []
    run: Any = compressor.iterative_compress_prompt

    def record(context: list[str], *args: Any, start: int = 0, **options: Any) -> Any:
        answer: Any = run(context, *args, start=start, **options)
        calls.append((context, start, answer[0][0].tolist()))
        return answer

    compressor.iterative_compress_prompt = record
    tokens = sum(compressor.get_token_length(text) for text in texts)
    try:
        compressor.compress_prompt(
            list(texts),
            question=scorer.question,
            target_token=max(rate * tokens, 1.0),
            iterative_size=min(_ITERATION_TOKENS, tokens),
            use_context_level_filter=False,
            condition_in_question=_CONDITIONS[scorer.method],
            condition_compare=scorer.method == "longllmlingua",
            rank_method=scorer.method,
            concate_question=False,
        )
    except Exception as error:
        raise _explain(error, scorer.method) from error
    finally:
        del compressor.iterative_compress_prompt
    return _place_tokens(compressor.tokenizer, *calls[0], skipped=len(calls[0][0]) - len(texts))


def _place_tokens(
    tokenizer: Any, context: Sequence[str], start: int, kept: Sequence[int], *, skipped: int
) -> list[tuple[int, int]] | None:
    """The characters of the tokens kept, counted from after the texts that are skipped."""
    read = tokenizer("\n\n".join(context), add_special_tokens=False, return_offsets_mapping=True)
    before = sum(len(text) + 2 for text in context[:skipped])
    found = align_tokens(kept, read["input_ids"][start:], read["offset_mapping"][start:])
    if found is None:
        return None
    return [(max(first - before, 0), max(end - before, 0)) for first, end in found]


def _apply(
    drafts: Sequence[Draft],
    gathered: Sequence[tuple[str, list[int]]],
    asked: Sequence[int],
    kept: Sequence[tuple[int, int]],
    reason: str,
) -> list[CompressedPart]:
    """The drafts without what was asked about and not kept."""
    places: list[tuple[int, int]] = []
    for at in asked:
        places.extend((at, offset) for offset in gathered[at][1])
        places.extend(((at, -1), (at, -1)))
    dropped = [bytearray(len(draft.text)) for draft in drafts]
    for number, offset in places:
        if offset >= 0:
            dropped[number][offset] = 1
    for first, end in kept:
        for number, offset in places[first:end]:
            if offset >= 0:
                dropped[number][offset] = 0
    return [
        drop_chars(draft, dropped[at], [None] * len(draft.text), reason)
        for at, draft in enumerate(drafts)
    ]


def _explain(error: Exception, method: str) -> UsageError:
    first = " ".join(str(error).splitlines()[:1])
    return UsageError(
        f"the token filter of {method} fails with llmlingua {version('llmlingua')} and "
        f"transformers {version('transformers')}: {type(error).__name__}: {first}",
        hint="take --method llmlingua2, rank documents and sentences only (--coarse), or install "
        "transformers below 4.56",
    )


def _order(scores: Sequence[float | None]) -> list[int]:
    """Indices from the best score to the worst, those without one last."""
    return sorted(range(len(scores)), key=lambda at: (scores[at] is None, -(scores[at] or 0.0), at))


def _is_pinned(span: Span) -> bool:
    return span.reason in ALWAYS
