"""The safe key: what two texts must share to be the same request, whoever reads them."""

from __future__ import annotations

import unicodedata

KEY_VERSION = 1
_ENDS = "?!.\u3002\uff1f\uff01\uff0e\uff61\u061f\u06d4"


def make_key(text: str) -> str:
    """The safe key of a text.

    Unicode's canonical composition (NFC), white space in single blanks, case folded, and question
    marks, exclamation marks and full stops (Latin, full-width, Chinese, Arabic) dropped at the
    end. Punctuation anywhere else stays, so C, C++ and C# differ; a text that is nothing but such
    punctuation keeps it.
    """
    folded = " ".join(_fold(text).split())
    return folded.rstrip(_ENDS + " ") or folded


def _fold(text: str) -> str:
    """Canonical caseless form (Unicode standard, definition D145), composed."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", decomposed.casefold())
