"""Whether the answer of one request would have been right for another, by what the log says."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np

from frugalctl.levers.semantic_cache.protocols import Floats, Integers
from frugalctl.levers.semantic_cache.questions import Questions

Judge = Callable[[Integers, Integers], Floats]
"""From int64[m] and int64[m], pairs of requests, to float64[m]: 1 where their logged answers
agree, 0 where they do not, NaN where the log cannot tell."""


def make_judge(questions: Questions) -> Judge:
    """A judge of the requests of a log.

    Answers agree if the references are equal or the responses are, but for case, white space
    and Unicode form.
    """
    columns = [_number_texts(texts) for texts in (questions.references, questions.responses)]

    def judge(one: Integers, other: Integers) -> Floats:
        right = np.full(len(one), np.nan)
        for codes in columns:
            both = (codes[one] >= 0) & (codes[other] >= 0)
            right[both & np.isnan(right)] = 0.0
            right[both & (codes[one] == codes[other])] = 1.0
        return right

    return judge


def _number_texts(texts: Sequence[str | None]) -> Integers:
    """Equal numbers for texts that are as good as equal, -1 for none."""
    codes: dict[str, int] = {}
    return np.array(
        [-1 if text is None else codes.setdefault(_fold(text), len(codes)) for text in texts],
        dtype=np.int64,
    )


def _fold(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())
