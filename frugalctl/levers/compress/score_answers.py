"""What kind of thing a question asks for, and which texts have one: numbers, dates, names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred"
    r"|thousand|million|billion|first|second|third|once|twice)\b",
    re.IGNORECASE,
)
_DATE = re.compile(
    r"\b(?:1\d{3}|20\d\d)(?!\d)|\b(?:January|February|March|April|May|June|July|August|September"
    r"|October|November|December)\b|\bcentury\b|\d\s?(?:년|월|일|세기|시)"
)
# A capital that does not begin a sentence.
_NAME = re.compile(r"(?<=[a-z,;:)(\"'] )[A-Z]\w")
_ASKED = (
    (
        re.compile(
            r"\bhow (?:many|much|long|old|tall|far|big|high|deep|fast|large|wide|heavy)\b"
            r"|\bnumber of\b|얼마|몇(?!\s?(?:년|월|일|시))",
            re.IGNORECASE,
        ),
        _NUMBER,
    ),
    (
        re.compile(
            r"\bwhen\b|\b(?:what|which) (?:year|date|month|day|century)\b"
            r"|언제|몇\s?(?:년|월|일|시)",
            re.IGNORECASE,
        ),
        _DATE,
    ),
    (re.compile(r"\b(?:who|whose|whom|where)\b", re.IGNORECASE), _NAME),
)


def find_answerers(question: str, texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which texts have something of the kind that is asked for: bool[n].

    A question of how many asks for a number, of when for a date, of who or where for a name that
    is written with a capital; of several the first counts. All are False where none is there.
    """
    found = [(match.start(), kind) for asked, kind in _ASKED if (match := asked.search(question))]
    if not found:
        return np.zeros(len(texts), np.bool_)
    _, kind = min(found, key=lambda one: one[0])
    return np.array([kind.search(text) is not None for text in texts], np.bool_)
