"""Where dropping is not safe: questions of several steps, units too near to the best, orders."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.compress.pieces import CompressedPart
from frugalctl.levers.compress.score_words import STOP_WORDS, Floats, split_terms
from frugalctl.levers.compress.segments_orders import is_directive

Flags = NDArray[np.bool_]

# In standard deviations of a prompt's scores: the best sentence with the answer is within this
# distance of the best of all for 99 % of the questions of half of NQ-20 as they are and with any
# one of their words left out (benchmarks/compress_quality.py has the other half).
MARGIN, LEXICAL_MARGIN = 3.3, 4.8
SAFE_SHARE = 0.6
_MANY_TERMS, _SOME_TERMS = 10, 7
_FEW_TERMS = 2
_READ_CHARS = 2000
_AUTHORS = (None, "user", "human")
_MIN_ORDER_CHARS, _MOST_ORDERS, _SHOWN_CHARS = 12, 5, 60
# Not after an abbreviation such as "Mr."
_SENTENCES = re.compile(r"(?<=[^\W_]{3}[.!?])\s+(?=[A-Z\"'(])|(?<=[?。！？])\s*|\n+")
_ASKS = re.compile(r"[?？؟][\"'”’)\]*_]*\s*$|(?:인가요?|는가요?|은가요?|니까|까요|나요)[.]?\s*$")
_SYLLABLES = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]")
_KOREAN = re.compile(r"[\uac00-\ud7a3]+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
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

    It compares things, speaks of something through something else, or says a lot. Orders and
    chatter beside the sentences that ask are not read.
    """
    question = find_asking(question[-_READ_CHARS:])
    size = _count_words(question)
    if size >= _MANY_TERMS or _COMPARES.search(question):
        return True
    return size >= _SOME_TERMS and bool(_RELATES.search(question))


def find_asking(question: str) -> str:
    """The sentences that ask, or else the first one.

    A short one, such as "And when?", goes with the sentence before it.
    """
    sentences = [one for one in _SENTENCES.split(question) if one and not one.isspace()]
    asking: list[str] = []
    for at, sentence in enumerate(sentences):
        if _ASKS.search(sentence):
            asking += sentences[max(0, at - 1) : at] if _count_words(sentence) < _FEW_TERMS else []
            asking.append(sentence)
    return " ".join(dict.fromkeys(asking or sentences[:1]))


def warn_of_lost_orders(parts: Sequence[CompressedPart]) -> list[str]:
    """A warning where sentences that read like orders to the model were dropped from plain prose.

    Where there are many of them the text is a manual or a talk, and they are its content.
    """
    lost = [words for part in parts if part.part.role in _AUTHORS for words in _find_lost(part)]
    if not 0 < len(lost) <= _MOST_ORDERS:
        return []
    shown = lost[0] if len(lost[0]) <= _SHOWN_CHARS else lost[0][:_SHOWN_CHARS] + "..."
    count = "a sentence that reads" if len(lost) == 1 else f"{len(lost)} sentences that read"
    return [
        f"{count} like an instruction went: {shown!r}; put <!-- compress: keep --> and "
        "<!-- /compress --> around what has to stay"
    ]


def _find_lost(part: CompressedPart) -> Iterator[str]:
    segments = part.part.segments
    starts = [item.start for item in segments]
    for piece in part.pieces:
        if piece.text or piece.end - piece.start < _MIN_ORDER_CHARS:
            continue
        words = part.part.text[piece.start : piece.end].strip()
        segment = segments[bisect_right(starts, piece.start) - 1]
        if segment.kind == "prose" and is_directive(words):
            yield words


def _count_words(text: str) -> int:
    """How many different words it has that tell something; of scripts without spaces, pairs."""
    words = {word for word in split_terms(text) if word not in STOP_WORDS}
    if text.isascii():
        return len(words)
    plain = [word for word in words if not _SYLLABLES.match(word)]
    korean = set(_KOREAN.findall(text))
    return len(plain) + len(korean) + len(_UNSPACED.findall(text)) // 2


def find_uncertain(scores: Floats, has_vectors: bool) -> Flags:
    """Which units score so near to the best one that they may be what is asked for: bool[n].

    Args:
        scores: float64[n], by the question.
        has_vectors: whether vectors are among them, and not words only.
    """
    margin = MARGIN if has_vectors else LEXICAL_MARGIN
    spread = float(scores.std())
    return scores >= scores.max() - margin * spread
