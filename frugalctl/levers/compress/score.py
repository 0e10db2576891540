"""What each unit of a prompt is worth: to its question, or as a summary of the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from frugalctl.embed import Embedder, Vectors
from frugalctl.embed.pooled import scale_to_unit, sum_runs
from frugalctl.levers.compress.caution import find_asking
from frugalctl.levers.compress.score_answers import find_answerers
from frugalctl.levers.compress.score_words import (
    STOP_WORDS,
    Floats,
    Integers,
    score_bm25,
    split_terms,
    standardise,
)
from frugalctl.levers.compress.units import Atom

DIALOGUE_NEIGHBOURS = 20
STOP_WEIGHT = 0.1
HOP_DOCUMENTS = 2
HOP_WEIGHT = 0.3
TITLE_WEIGHT = 1.0
KIND_WEIGHT = 1.0
BEST_WEIGHT = 0.5
ABSENT_WEIGHT = 0.1
CONTEXT_WEIGHT = 0.3
REDUNDANCY_WEIGHT = 3.0
SAID_ALREADY = 0.9
RANK_BLOCK = 1024
HASHED = 512
QUESTION_CHARS = 8192


@dataclass(frozen=True, slots=True)
class Texts:
    """n units and the m blocks that they are in.

    Attributes:
        units: text of each.
        terms: words of each, without the title.
        titles: words of each block's title.
        block: int[n], number of the block from 0.
        dialogue: bool[n], whether it is a turn of a dialogue.
        names: title of each block.
    """

    units: list[str]
    terms: list[list[str]]
    titles: list[list[str]]
    block: Integers
    dialogue: NDArray[np.bool_]
    names: list[str]

    def blocks(self) -> list[int]:
        """The block of each unit."""
        return self.block.tolist()


def read_texts(atoms: Sequence[Atom]) -> Texts:
    """What is scored, of n atoms."""
    numbers: dict[int, int] = {}
    names: list[str] = []
    for atom in atoms:
        if atom.block not in numbers:
            numbers[atom.block] = len(numbers)
            names.append(atom.title)
    return Texts(
        units=[atom.text for atom in atoms],
        terms=[split_terms(atom.text) for atom in atoms],
        titles=[split_terms(name) for name in names],
        block=np.array([numbers[atom.block] for atom in atoms], np.intp),
        dialogue=np.array([atom.in_dialogue for atom in atoms], np.bool_),
        names=names,
    )


def score_by_question(
    texts: Texts, question: str, embedder: Embedder | None, neighbours: int | None
) -> Floats:
    """How much each unit has to do with a question: float64[n], higher is more.

    The standardised BM25 of title and sentence, of the title and of the document add up, and so
    do their cosines to the question where there is an embedder. To lack its words takes little
    off: what says the same in other words may be what is asked for. To have a number, a date or a
    name where the question asks for one adds to it. Turns of a dialogue have the mean of their
    neighbours'. Names and words of the best documents that the question did not say are asked
    for too, with less weight, for what is two steps away.

    Of a very long question the end is read. The sentences of it that ask count more than those
    around them.
    """
    question = question[-QUESTION_CHARS:]
    asking = find_asking(question)
    asked = weigh_terms(split_terms(question))
    if len(asking) < len(question.strip()):
        said = set(split_terms(asking))
        asked = {one: by if one in said else by * CONTEXT_WEIGHT for one, by in asked.items()}
        question = f"{asking} {asking} {question}"
    documents = gather_documents(texts)
    units: list[list[str]] = [
        [*texts.titles[block], *terms]
        for block, terms in zip(texts.blocks(), texts.terms, strict=True)
    ]
    scores = _add_up(texts, units, documents, asked)
    scores += TITLE_WEIGHT * _meet(texts.titles, asked)[texts.block]
    scores += KIND_WEIGHT * (find_answerers(asking, texts.units) & ~texts.dialogue)
    if embedder is not None:
        scores += _compare(texts, question, embedder)
    if HOP_WEIGHT and len(documents) > 2:
        hop = find_second_hop(texts, documents, asked, scores)
        if hop:
            scores += HOP_WEIGHT * _add_up(texts, units, documents, hop)
    return smooth(scores, texts, neighbours)


def weigh_terms(terms: Sequence[str]) -> dict[str, float]:
    """The terms of a question: words that are in every question count little."""
    return {term: STOP_WEIGHT if term in STOP_WORDS else 1.0 for term in terms}


def gather_documents(texts: Texts) -> list[list[str]]:
    """The words of each block, its title first."""
    documents = [list(title) for title in texts.titles]
    for block, terms in zip(texts.blocks(), texts.terms, strict=True):
        documents[block].extend(terms)
    return documents


def _add_up(
    texts: Texts,
    units: Sequence[Sequence[str]],
    documents: Sequence[Sequence[str]],
    asked: dict[str, float],
) -> Floats:
    return _meet(units, asked) + _meet(documents, asked)[texts.block]


def _meet(texts: Sequence[Sequence[str]], asked: dict[str, float]) -> Floats:
    """The standardised BM25, whose negative part counts little: float64[n]."""
    scores = standardise(score_bm25(texts, asked))
    return np.maximum(scores, ABSENT_WEIGHT * scores)


def _compare(texts: Texts, question: str, embedder: Embedder) -> Floats:
    """The standardised cosines to the question, of units, documents and their best units."""
    named = [
        f"{texts.names[block]} {unit}"
        for block, unit in zip(texts.blocks(), texts.units, strict=True)
    ]
    vectors = embedder.encode([question, *named]).vectors
    asked, vectors = vectors[0], vectors[1:]
    cosines = (vectors @ asked).astype(np.float64)
    best = np.full(len(texts.names), -1.0)
    np.maximum.at(best, texts.block, cosines)
    documents = sum_by_block(vectors, texts.block, len(texts.names)) @ asked
    by_document = standardise(documents.astype(np.float64)) + BEST_WEIGHT * standardise(best)
    return standardise(cosines) + by_document[texts.block]


def sum_by_block(vectors: Vectors, block: Integers, blocks: int) -> Vectors:
    """The direction of each block's vectors: float32[m, d] of length 1; every block has some."""
    order = np.argsort(block, kind="stable")
    counts: list[int] = np.bincount(block, minlength=blocks).tolist()
    return scale_to_unit(sum_runs(vectors[order], counts))


def find_second_hop(
    texts: Texts, documents: Sequence[Sequence[str]], asked: dict[str, float], scores: Floats
) -> dict[str, float]:
    """What the best documents are about and the question does not say."""
    best = np.full(len(documents), -np.inf)
    np.maximum.at(best, texts.block, scores)
    hop: dict[str, float] = {}
    ranked: list[int] = np.argsort(-best, kind="stable").tolist()
    for number in ranked[:HOP_DOCUMENTS]:
        for term in texts.titles[number]:
            if term not in asked and term not in STOP_WORDS:
                hop[term] = 1.0
        top = int(np.argmax(np.where(texts.block == number, scores, -np.inf)))
        for term in texts.terms[top]:
            if term not in asked and term not in STOP_WORDS:
                hop.setdefault(term, 0.5)
    return hop


def smooth(scores: Floats, texts: Texts, neighbours: int | None) -> Floats:
    """Each score as the mean of those of its block up to so many places away.

    A neighbour counts the less the farther it is, down to nothing in equal steps.

    Args:
        scores: float64[n].
        texts: of the units.
        neighbours: places on each side; None for 20 in dialogues and none elsewhere.
    """
    if neighbours == 0 or (neighbours is None and not texts.dialogue.any()):
        return scores
    width = DIALOGUE_NEIGHBOURS if neighbours is None else neighbours
    smoothed = scores.copy()
    borders = np.flatnonzero(np.diff(texts.block, prepend=-1, append=-1)).tolist()
    for start, end in pairwise(borders):
        if neighbours is not None or texts.dialogue[start]:
            reach = min(width, end - start - 1)
            weights = width + 1.0 - np.abs(np.arange(-reach, reach + 1))
            sums = np.convolve(scores[start:end], weights)[reach : reach + end - start]
            total = np.convolve(np.ones(end - start), weights)[reach : reach + end - start]
            smoothed[start:end] = sums / total
    return smoothed


def score_by_centrality(texts: Texts, embedder: Embedder | None) -> tuple[Floats, Floats]:
    """How well each unit stands for the prompt without saying what a better one says.

    The standardised cosines to the sum of the unit's block and to that of the prompt add up
    (centroid-based summaries, Radev et al. 2004), less the largest cosine to a unit that ranks
    higher, which is what the greedy choice by maximal marginal relevance would take off
    (Carbonell and Goldstein 1998). What is said already, or nearly, comes last of all. Units are
    compared with the 1,024 to 2,047 before them in rank, so that time grows with the units and
    not with their square.

    Returns:
        The scores, and that largest cosine of each: float64[n].
    """
    if embedder is not None:
        vectors = embedder.encode(texts.units).vectors
    else:
        vectors = hash_terms(texts.terms)
    whole = sum_by_block(vectors, np.zeros(len(texts.units), np.intp), 1)[0]
    documents = sum_by_block(vectors, texts.block, len(texts.names))
    central = standardise((vectors @ whole).astype(np.float64))
    within = np.einsum("ij,ij->i", vectors, documents[texts.block]).astype(np.float64)
    central += standardise(within)
    redundancy = find_redundancy(vectors, central)
    scores = central - REDUNDANCY_WEIGHT * redundancy
    scores[redundancy >= SAID_ALREADY] -= float(np.ptp(scores)) + 1
    return scores, redundancy


def find_redundancy(vectors: Vectors, values: Floats) -> Floats:
    """The largest cosine of each unit to one of a higher value nearby in rank; in [0, 1].

    Args:
        vectors: float32[n, d] of length 1.
        values: float64[n]; of equals the earlier one counts as higher.
    """
    redundancy = np.zeros(len(values))
    ranked = np.argsort(-values, kind="stable")
    for start in range(0, len(ranked), RANK_BLOCK):
        rows = ranked[start : start + RANK_BLOCK]
        before = ranked[max(0, start - RANK_BLOCK) : start]
        inside = np.tril(vectors[rows] @ vectors[rows].T, -1)
        redundancy[rows] = np.maximum(inside.max(axis=1), 0)
        if len(before):
            other = (vectors[rows] @ vectors[before].T).max(axis=1)
            redundancy[rows] = np.maximum(redundancy[rows], other)
    return np.minimum(redundancy, 1)


def hash_terms(texts: Sequence[Sequence[str]]) -> Vectors:
    """Words, weighted by how rare they are, as vectors of length 1: float32[n, HASHED].

    Words that share a component (Weinberger et al. 2009, arXiv:0902.2206) are few in a prompt.
    """
    numbers: dict[str, int] = {}
    cells = [
        row * HASHED + numbers.setdefault(term, len(numbers)) % HASHED
        for row, text in enumerate(texts)
        for term in text
        if term not in STOP_WORDS
    ]
    vectors = np.zeros((len(texts), HASHED), np.float32)
    np.add.at(vectors.reshape(-1), np.array(cells, np.intp), np.float32(1))
    found = (vectors > 0).sum(axis=0)
    np.log1p(vectors, out=vectors)
    vectors *= np.log1p(len(texts) / (1 + found)).astype(np.float32)
    return scale_to_unit(vectors)
