"""Which vocabulary counts a model's tokens, and whether it is the model's own."""

from __future__ import annotations

import re
from functools import lru_cache

O200K = "o200k_base"
CL100K = "cl100k_base"
P50K = "p50k_base"
CLAUDE = "claude"

_FAMILIES: tuple[tuple[re.Pattern[str], str, bool], ...] = tuple(
    (re.compile(pattern), encoding, exact)
    for pattern, encoding, exact in (
        (r"(.*\.)?claude-(2|instant|v2)", CLAUDE, True),
        (r"(.*\.)?claude", CLAUDE, False),
        (r"(text-davinci-00[23]|code-(davinci|cushman))", P50K, True),
        (r"(gpt-4o|chatgpt-4o|gpt-4\.[15]|gpt-5|gpt-oss|o[134](-|$)|codex-mini)", O200K, True),
        (r"(gpt-4(-|$)|gpt-3\.?5|text-embedding-|(davinci|babbage)-002)", CL100K, True),
    )
)


def encoding_name(model: str) -> str:
    """The vocabulary that counts a model's tokens: o200k_base, cl100k_base, p50k_base, claude.

    A provider before a slash and the `ft:` of fine-tuned models are ignored. Families that we
    have no vocabulary for are counted with o200k_base.

    Source: tiktoken's table of models; Anthropic published the vocabulary of Claude 2 only.
    """
    return _find_family(model)[0]


def is_exact(model: str) -> bool:
    """Whether the vocabulary is the model's own; otherwise counts are a good guess."""
    return _find_family(model)[1]


@lru_cache(maxsize=1024)
def _find_family(model: str) -> tuple[str, bool]:
    name = model.lower().rsplit("/", 1)[-1].removeprefix("ft:")
    for pattern, encoding, exact in _FAMILIES:
        if pattern.match(name):
            return encoding, exact
    return O200K, False
