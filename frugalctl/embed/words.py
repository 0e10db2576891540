"""Words of a text, whatever its script, in one spelling."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

WORDS_VERSION = 1
Script = Literal["latin", "hangul", "ideographic", "other"]

# Runs are cut at 64 letters: no language needs more, and hostile text stays linear.
_ASCII_WORD = re.compile(r"[a-z0-9]{1,64}|[!-/:-@\[-`{-~]")
_HANGUL = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3"
_IDEOGRAPHIC = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_MARKED = "[^\\W_a-z0-9%s%s][\u0300-\u036f\u0900-\u0dff\u0591-\u05c7\u064b-\u0670]*"
_WORD = re.compile(
    f"[a-z0-9]{{1,64}}|[{_HANGUL}]{{1,64}}|[{_IDEOGRAPHIC}\U00020000-\U0003ffff]{{1,64}}"
    f"|(?:{_MARKED % (_HANGUL, _IDEOGRAPHIC)}){{1,64}}|[^\\s\\x00-\\x1f\\x7f-\\x9f]"
)
_LATIN_MARKS = re.compile("[\u0300-\u036f]")
_LETTERS = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ı": "i", "æ": "ae", "œ": "oe"})
_IS_HANGUL = re.compile(f"[{_HANGUL}]")
_IS_IDEOGRAPHIC = re.compile(f"[{_IDEOGRAPHIC}\U00020000-\U0003ffff]")


def split_words(text: str) -> list[str]:
    """Words and single signs in their order, in lower case and without Latin accents.

    Canonically equal texts (NFC, NFD) give the same words. Runs of one script are one word, so
    that "API를" is two. Control characters and white space are left out.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    plain = unicodedata.normalize("NFKD", text).casefold()
    plain = unicodedata.normalize("NFKC", _LATIN_MARKS.sub("", plain)).translate(_LETTERS)
    return _WORD.findall(plain)


def script_of(word: str) -> Script:
    """The script of a word that `split_words` made; signs are "other"."""
    if word[0].isascii():
        return "latin"
    if _IS_HANGUL.match(word):
        return "hangul"
    return "ideographic" if _IS_IDEOGRAPHIC.match(word) else "other"
