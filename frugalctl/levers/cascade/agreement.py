"""Which answers to a request say the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from frugalctl.levers.cascade.table import Integers

NO_ANSWER = -1

_FINAL = re.compile(
    r"####\s*(?P<marked>[^\n]+)"
    r"|\\boxed\{(?P<boxed>[^{}]+)\}"
    r"|(?i:\banswer\s*(?:is|:)\s*)(?P<said>[^\n]+?)(?:[.!]?\s*$|\.\s)",
    re.MULTILINE,
)
_EDGES = " \t\r\n.,;:!?\"'`*_()[]{}<>$"


def code_answers(responses: Sequence[Sequence[str | None]]) -> Integers:
    r"""Number the answers of each request, so that equal answers have equal numbers.

    Answers are equal if they are the same text but for Unicode form, white space, case, and
    marks around them. Where an answer marks its result (`#### 42`, `\boxed{42}`, "the answer is
    42"), the last such result stands for it; thousands' commas do not matter.

    Args:
        responses: for each of m models the texts of n requests.

    Returns:
        int64[n, m], `NO_ANSWER` where there is no text. Numbers of different requests have
        nothing to do with each other.
    """
    numbers: dict[str, int] = {}
    columns = [
        np.array([_number(text, numbers) for text in texts], dtype=np.int64) for texts in responses
    ]
    return np.stack(columns, axis=1) if columns else np.empty((0, 0), dtype=np.int64)


def _number(text: str | None, numbers: dict[str, int]) -> int:
    key = "" if text is None else reduce_answer(text)
    return numbers.setdefault(key, len(numbers)) if key else NO_ANSWER


def reduce_answer(text: str) -> str:
    """What has to be equal for two answers to agree; "" for an empty one."""
    results = list(_FINAL.finditer(text))
    if results:
        text = next(group for group in results[-1].groups() if group is not None)
    whole = unicodedata.normalize("NFC", " ".join(text.split())).casefold()
    core = whole.strip(_EDGES)
    core = re.sub(r"(?<=\d),(?=\d{3}\b)", "", core)
    return core or whole
