"""The step `korean`: a Korean text as the morphemes that carry its content, by Kiwi.

What was measured on paraphrased questions (see benchmarks/normalize_ko.py) is kept here: endings
and particles go, negation (않 못 안 말 없, the copula 아니), numbers and question words stay. Case
particles stay behind pronouns, for 누가 나한테 and 누구한테 내가 differ in nothing else.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from frugalctl.errors import MissingExtraError

KOREAN_VERSION = 1
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_CONTENT = frozenset(
    "NNG NNP NNB NR NP SN SL SH XR XPN VV VA VCN W_URL W_EMAIL W_HASHTAG W_MENTION W_SERIAL".split()
)
_NEGATIONS = frozenset({"않", "못하", "말", "못", "안", "아니하"})
_WANTS = frozenset({"싶"})
_QUESTIONS = {"어떻게": "어떻", "왜": "왜", "언제": "언제", "얼마나": "얼마"}
_NUMERALS = frozenset("한 두 세 네 스무 몇 첫".split())
_EMPTY_NOUNS = frozenset("것 거 수 데 지 줄 바 중 쪽 편 때문".split())
_EMPTY_VERBS = frozenset("하 되 있 이 주 보".split())
_REQUESTS = frozenset(
    "알리 가르치 설명 말 말씀 부탁 얘기 이야기 대답 답하 일러주 알려주 가르쳐주".split()
)
_CASES = {"JKS": "가", "JKO": "를"}
_TO_WHOM = frozenset({"에게", "한테", "께", "더러", "보고"})


def name_kiwi() -> str:
    """The analyser and its model, with their versions.

    Raises:
        MissingExtraError: kiwipiepy is not installed.
    """
    try:
        versions = [importlib.metadata.version(one) for one in ("kiwipiepy", "kiwipiepy_model")]
    except importlib.metadata.PackageNotFoundError:
        raise MissingExtraError("kiwipiepy", "ko") from None
    return "kiwi-" + "-".join(versions)


def has_hangul(text: str) -> bool:
    """Whether any letter of the text is Korean."""
    return _HANGUL.search(text) is not None


def reduce_korean(texts: Sequence[str]) -> list[str]:
    """The content morphemes of n texts, in their order; a text without Hangul stays as it is.

    Raises:
        MissingExtraError: kiwipiepy is not installed.
    """
    at = [index for index, text in enumerate(texts) if has_hangul(text)]
    out = list(texts)
    if not at:
        return out
    analysed = _load_kiwi().tokenize([texts[index] for index in at])
    for index, tokens in zip(at, analysed, strict=True):
        pairs = [(str(token.form), str(token.tag).partition("-")[0]) for token in tokens]
        out[index] = " ".join(_pick_content(pairs)) or texts[index]
    return out


@cache
def _load_kiwi() -> Any:
    try:
        from kiwipiepy import Kiwi  # pyright: ignore[reportMissingTypeStubs]
    except ModuleNotFoundError:
        raise MissingExtraError("kiwipiepy", "ko") from None
    return Kiwi(num_workers=1)


def _pick_content(tokens: Sequence[tuple[str, str]]) -> list[str]:
    kept: list[str] = []
    prefix = ""
    end = _find_request(tokens)
    for at, (form, tag) in enumerate(tokens[:end]):
        if tag == "XPN":
            prefix = form
        elif _is_content(form, tag):
            kept.append(prefix + _QUESTIONS.get(form, form) + _name_case(tokens, at))
            prefix = ""
    return kept


def _is_content(form: str, tag: str) -> bool:
    if form in _NEGATIONS and tag in ("VX", "MAG", "VV", "VA", "XSV"):
        return True
    if tag == "MAG":
        return form in _QUESTIONS
    if tag == "VX":
        return form in _WANTS
    if tag == "MM":
        return form in _NUMERALS
    if tag in ("VV", "VA"):
        return form not in _EMPTY_VERBS
    if tag == "NNB":
        return form not in _EMPTY_NOUNS
    return tag in _CONTENT


def _name_case(tokens: Sequence[tuple[str, str]], at: int) -> str:
    if tokens[at][1] != "NP" or at + 1 == len(tokens):
        return ""
    form, tag = tokens[at + 1]
    if tag == "JKB":
        return "에게" if form in _TO_WHOM else ""
    return _CASES.get(tag, "")


def _find_request(tokens: Sequence[tuple[str, str]]) -> int:
    """Where the closing request to tell begins (알려 줘, 설명해 줄래), which every wording has."""
    last = len(tokens)
    for at in range(len(tokens) - 1, 0, -1):
        form, tag = tokens[at]
        if form in _REQUESTS and tag in ("VV", "NNG"):
            return at
        if _is_content(form, tag) and form not in _REQUESTS:
            return last
    return last
