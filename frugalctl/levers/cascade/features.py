"""Questions and answers as numbers, for what learns from them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from frugalctl.embed.base import Embedder
from frugalctl.levers.cascade.table import Floats

FEATURE_VERSION = 1

_WORD = re.compile(r"\w+")
_HEDGES = frozenset(
    "maybe perhaps possibly probably likely unclear unsure uncertain might seems appears"
    " approximately guess assume believe".split()
)
_REFUSALS = re.compile(
    r"(?i)\b(?:i cannot|i can't|i am unable|i'm unable|as an ai|i'm sorry|i do not know"
    r"|i don't know|not enough information|cannot be determined|none of the above)\b"
    r"|알 수 없|모르겠"
)
_ENDINGS = tuple(".!?)]}\"'`”’。다요")
_OPTION = re.compile(r"(?m)^\s*(?:\(?[A-Ha-h1-9][.)]|[-*•])\s")
_CODE = re.compile(r"```|^\s*(?:def|class|import|return|for|if)\b|[;{}]\s*$", re.MULTILINE)

QUESTION_NUMBERS = 7
ANSWER_NUMBERS = 13


def describe_questions(texts: Sequence[str]) -> Floats:
    """The numbers of questions, float64[n, QUESTION_NUMBERS].

    Length, words, digits, options, code, question marks, other scripts than Latin.
    """
    return np.array([_describe_question(text) for text in texts]).reshape(-1, QUESTION_NUMBERS)


def _describe_question(text: str) -> tuple[float, ...]:
    length = max(len(text), 1)
    return (
        np.log1p(len(text)),
        np.log1p(len(_WORD.findall(text))),
        sum(map(str.isdigit, text)) / length,
        np.log1p(len(_OPTION.findall(text))),
        np.log1p(len(_CODE.findall(text))),
        min(text.count("?"), 5),
        sum(char > "\u024f" for char in text) / length,
    )


def describe_answers(questions: Sequence[str], answers: Sequence[str]) -> Floats:
    """The numbers of answers, float64[n, ANSWER_NUMBERS].

    Length, form, refusals, hedges, what is repeated of the question, whether it ends.
    """
    rows = [_describe_answer(*pair) for pair in zip(questions, answers, strict=True)]
    return np.array(rows).reshape(-1, ANSWER_NUMBERS)


def _describe_answer(question: str, answer: str) -> tuple[float, ...]:
    words = [word.casefold() for word in _WORD.findall(answer)]
    asked = {word.casefold() for word in _WORD.findall(question)}
    length, count = max(len(answer), 1), max(len(words), 1)
    letter = answer.strip().casefold()
    return (
        np.log1p(len(answer)),
        np.log1p(len(words)),
        len(set(words)) / count,
        sum(map(str.isdigit, answer)) / length,
        np.log1p(answer.count("\n")),
        np.log1p(len(_OPTION.findall(answer))),
        np.log1p(len(_CODE.findall(answer))),
        float(len(_REFUSALS.findall(answer))),
        sum(word in _HEDGES for word in words) / count,
        sum(word in asked for word in words) / count,
        float(answer.rstrip().endswith(_ENDINGS)),
        min(answer.count("?"), 5),
        # a lone letter of a multiple choice: wrong models favour some
        float("abcdefgh".find(letter) + 1) if len(letter) == 1 else 0.0,
    )


def embed(embedder: Embedder, texts: Sequence[str]) -> Floats:
    """float64[n, d] of texts, each distinct one embedded once."""
    distinct = {text: at for at, text in enumerate(dict.fromkeys(texts))}
    if not distinct:
        return np.zeros((0, embedder.dimension))
    vectors = embedder.encode(list(distinct)).vectors
    return vectors[[distinct[text] for text in texts]].astype(np.float64)


def find_axes(vectors: Floats, count: int) -> Floats:
    """float64[d, count], the directions in which vectors vary most (their principal axes)."""
    centred = vectors - vectors.mean(axis=0)
    # from the covariance, whose size does not depend on the rows
    values, axes = np.linalg.eigh(centred.T @ centred)
    chosen = axes[:, np.argsort(values)[::-1][:count]]
    # an axis has no sign of its own: its largest component is made positive
    signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(chosen.shape[1])])
    return chosen * np.where(signs == 0, 1.0, signs)
