"""Where dropping is not safe: questions of several steps, and units too near to the best."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.compress.score_words import STOP_WORDS, Floats, split_terms

Flags = NDArray[np.bool_]

# In standard deviations of a prompt's scores: the best sentence with the answer is within this
# distance of the best of all for 99 % of the questions of half of NQ-20 as they are and with any
# one of their words left out (benchmarks/compress_quality.py has the other half).
MARGIN, LEXICAL_MARGIN = 3.3, 4.8
SAFE_SHARE = 0.6
_MANY_TERMS, _SOME_TERMS = 10, 7
_READ_CHARS = 2000
_COMPARES = re.compile(
    r"\b(?:both|same|older|younger|earlier|later|larger|smaller|higher|lower|longer|shorter"
    r"|nearer|closer|more|fewer|in common|difference between|compared? (?:to|with)|as well as)\b"
    r"|\bor\b[^?]*\?|둘 다|모두|중에서?|보다|공통|차이",
    re.IGNORECASE,
)
_RELATES = re.compile(
    r"\w\W+(?:that|who|whom|whose|which|where|when|in what|by which|of what)\b"
    r"|\b(?:director|author|writer|founder|creator|wife|husband|father|mother|son|daughter"
    r"|brother|sister|successor|predecessor|capital|owner|producer|composer) of\b",
    re.IGNORECASE,
)


def joins_facts(question: str) -> bool:
    """Whether a question seems to need facts of several documents.

    It compares things, speaks of something through something else, or says a lot.
    """
    question = question[-_READ_CHARS:]
    terms = {term for term in split_terms(question) if term not in STOP_WORDS}
    if len(terms) >= _MANY_TERMS or _COMPARES.search(question):
        return True
    return len(terms) >= _SOME_TERMS and bool(_RELATES.search(question))


def find_uncertain(scores: Floats, has_vectors: bool) -> Flags:
    """Which units score so near to the best one that they may be what is asked for: bool[n].

    Args:
        scores: float64[n], by the question.
        has_vectors: whether vectors are among them, and not words only.
    """
    margin = MARGIN if has_vectors else LEXICAL_MARGIN
    spread = float(scores.std())
    return scores >= scores.max() - margin * spread
