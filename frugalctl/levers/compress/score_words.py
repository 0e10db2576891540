"""Words of a text and of a question, and how well they meet: BM25."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]

K1, B = 1.2, 0.75
_ASCII_WORD = re.compile(r"[a-z0-9]{1,64}")
_SYLLABLES = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff"
_TERM = re.compile(f"[{_SYLLABLES}]{{1,256}}|[^\\W_{_SYLLABLES}]{{1,64}}")
_IS_SYLLABLE = re.compile(f"[{_SYLLABLES}]")
# The leftmost match is the longest ending.
_ENDING = re.compile(
    "(?:ational|ations?|ingly|ments?|ness|ings?|edly|ers?|ie|ied|ed|ly|es|or|al|ic|y|e)\\Z"
)
STOP_WORDS = frozenset(
    "a an the of in on at to for from by with and or but is are was were be been being am do does"
    " did has have had it its this that these those as if than then so such not no nor can could"
    " will would shall should may might must i you he she we they me him her us them my your his"
    " our their who whom whose what which when where why how there here into about".split()
)


def split_terms(text: str) -> list[str]:
    """The words of a text in lower case; of Korean, Chinese and Japanese, pairs of characters.

    Those scripts write a word and its particles, or a whole sentence, in one: pairs of
    neighbouring characters meet where words do not.
    """
    if text.isascii():
        return list(map(stem, _ASCII_WORD.findall(text.lower())))
    terms: list[str] = []
    for word in _TERM.findall(unicodedata.normalize("NFKC", text).casefold()):
        if _IS_SYLLABLE.match(word):
            terms.extend(word[at : at + 2] for at in range(max(1, len(word) - 1)))
        else:
            terms.append(stem(word))
    return terms


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """An English word without the endings of number, tense and derivation.

    Coarser than Porter's stemmer (1980): one ending goes, and four letters have to be left. Two
    words that wrongly meet cost little in one prompt; two that wrongly do not cost an answer.
    """
    if word in STOP_WORDS or len(word) < 4:
        return word
    if word[-1] == "s" and word[-2] not in "su":
        word = word[:-1]
    ending = _ENDING.search(word, 4)
    word = word[: ending.start()] if ending else word
    return word[:-1] + "i" if word[-1] == "y" else word


def score_bm25(texts: Sequence[Sequence[str]], weights: Mapping[str, float]) -> Floats:
    """How well each text meets a question (Robertson and Zaragoza, 2009).

    Args:
        texts: the terms of n texts, the collection that says how rare a term is.
        weights: the terms of the question and what each counts.

    Returns:
        float64[n]; 0 where a text has no term of the question.
    """
    if not texts or not weights:
        return np.zeros(len(texts))
    rows, columns, counts = count_terms(texts, list(weights))
    found = np.bincount(columns, minlength=len(weights))
    idf = np.log1p((len(texts) - found + 0.5) / (found + 0.5))
    value = idf * np.fromiter(weights.values(), np.float64, len(weights))
    lengths = np.fromiter(map(len, texts), np.float64, len(texts))
    norm = K1 * (1 - B + B * lengths / max(float(lengths.mean()), 1.0))
    saturated = counts * (K1 + 1) / (counts + norm[rows])
    return np.bincount(rows, saturated * value[columns], len(texts)).astype(np.float64)


def count_terms(
    texts: Sequence[Sequence[str]], terms: Sequence[str]
) -> tuple[Integers, Integers, Integers]:
    """How often each of some terms stands in each of n texts.

    Returns:
        Of each text and term that meet: the number of the text, of the term, and how often.
    """
    column = {term: at for at, term in enumerate(terms)}
    width = len(terms)
    cells = [
        row * width + column[term]
        for row, text in enumerate(texts)
        for term in text
        if term in column
    ]
    met, counts = np.unique(np.array(cells, np.intp), return_counts=True)
    return met // width, met % width, counts


def standardise(scores: Floats) -> Floats:
    """Their distances from the mean in standard deviations; zeros where all are equal."""
    spread = float(scores.std()) if len(scores) else 0.0
    return (scores - scores.mean()) / spread if spread > 1e-12 else np.zeros_like(scores)
