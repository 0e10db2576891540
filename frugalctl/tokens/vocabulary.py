"""The vocabularies, read from the installed litellm without importing it."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugalctl.errors import FrugalError
from frugalctl.tokens.families import CL100K, CLAUDE, O200K, P50K

if TYPE_CHECKING:
    from tiktoken import Encoding

    from frugalctl.tokens.short import ShortEncoder

_CACHE_VARIABLE = "TIKTOKEN_CACHE_DIR"

# tiktoken names a cached vocabulary by the SHA-1 of the address that it comes from.
_FILES = {
    O200K: "fb374d419588a4632f3f557e76b4b70aebbca790",
    CL100K: "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
    P50K: "ec7223a39ce59f226a68acc30dc1af2788490e15",
    CLAUDE: "anthropic_tokenizer.json",
}


@lru_cache(maxsize=len(_FILES))
def load_encoder(encoding: str) -> Callable[[str], list[int]]:
    """A function that cuts a text into tokens; special tokens in it are ordinary text.

    tiktoken reads its files where `TIKTOKEN_CACHE_DIR` says; if that is not set, it is set for
    this process to the folder in litellm, so that nothing is fetched from the network.

    Raises:
        FrugalError: the vocabulary is not on this machine.
    """
    if encoding == CLAUDE:
        return _load_claude()
    short = _load_short(encoding)

    def encode(text: str) -> list[int]:
        found = None if short is None else short.encode(text)
        return _load_tiktoken(encoding).encode_ordinary(text) if found is None else found

    return encode


@lru_cache(maxsize=len(_FILES))
def load_decoder(encoding: str) -> Callable[[Sequence[int]], list[bytes]] | None:
    """A function that gives the bytes of each token; None where tokens are no runs of bytes.

    Raises:
        FrugalError: the vocabulary is not on this machine.
    """
    if encoding == CLAUDE:
        return None
    short = _load_short(encoding)
    return _load_tiktoken(encoding).decode_tokens_bytes if short is None else short.decode


@lru_cache(maxsize=len(_FILES))
def _load_short(encoding: str) -> ShortEncoder | None:
    """What cuts short texts; None where a vocabulary is not as we know it."""
    from frugalctl.tokens.short import ShortEncoder

    definitions: Any = importlib.import_module("tiktoken_ext.openai_public")
    try:
        return ShortEncoder(_find_file(encoding), definitions.ENCODING_CONSTRUCTORS[encoding])
    except (KeyError, TypeError, ValueError):
        return None


@lru_cache(maxsize=len(_FILES))
def _load_tiktoken(encoding: str) -> Encoding:
    os.environ.setdefault(_CACHE_VARIABLE, str(_find_file(encoding).parent))
    import tiktoken

    return tiktoken.get_encoding(encoding)


def _find_file(encoding: str) -> Path:
    folder = os.environ.get(_CACHE_VARIABLE)
    file = (_packaged_folder() if folder is None else Path(folder)) / _FILES[encoding]
    _require(file, encoding)
    return file


def _load_claude() -> Callable[[str], list[int]]:
    file = _packaged_folder() / _FILES[CLAUDE]
    _require(file, CLAUDE)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.encode_special_tokens = True

    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    return encode


def _packaged_folder() -> Path:
    found = importlib.util.find_spec("litellm")
    folders = list(found.submodule_search_locations or ()) if found else []
    if not folders:
        raise FrugalError(
            "the tokenizer vocabularies are missing: they come with litellm",
            hint="pip install litellm",
        )
    return Path(folders[0]) / "litellm_core_utils" / "tokenizers"


def _require(file: Path, encoding: str) -> None:
    if not file.is_file():
        raise FrugalError(
            f"the vocabulary {encoding} is missing",
            where=str(file),
            hint=f"pip install --force-reinstall litellm, or unset {_CACHE_VARIABLE}",
        )
