"""A model of LLMLingua's, loaded with the defects of the package kept away from the rest.

`llmlingua` 0.2.2 runs code that comes with a model unless told otherwise, tells the family of a
model by its name, seeds every random generator of the process, fetches a vocabulary, and reads
every chunk of text as 512 tokens however short it is.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from frugalctl.errors import InputError, MissingExtraError, UsageError
from frugalctl.tokens.families import CL100K
from frugalctl.tokens.vocabulary import load_encoder

BATCH_CHUNKS = 8
# The package looks for these words in the path of a model, and knows no other family.
_FAMILY_NAMES = {"xlm-roberta": "xlm-roberta-large", "bert": "bert-base-multilingual-cased"}
_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")


def find_model(llm: str) -> Path:
    """The folder of a model: the path itself, or where the hub's client has it.

    The network is only used where the user's own `HF_HUB_OFFLINE` is 0; weights are taken as
    safetensors, never as pickles.

    Raises:
        InputError: there is no such folder, and no such model on this machine.
        MissingExtraError: huggingface_hub is not installed.
    """
    path = Path(llm)
    if path.is_dir():
        return path
    if path.exists():
        raise InputError("is a file, and a model is a folder", where=llm)
    if path.is_absolute() or llm.startswith((".", "~")) or llm.count("/") != 1:
        raise InputError("no such folder", where=llm, hint="--llm takes the folder of a model")
    try:
        hub: Any = import_module("huggingface_hub")
    except ImportError:
        raise MissingExtraError("huggingface_hub", "llmlingua") from None
    offline = os.environ.get("HF_HUB_OFFLINE", "1").lower() in ("1", "true", "yes", "on")
    try:
        return Path(
            hub.snapshot_download(llm, local_files_only=offline, allow_patterns=list(_FILES))
        )
    except Exception as error:
        wish = "set HF_HUB_OFFLINE=0 to fetch it, or " if offline else ""
        raise InputError(
            "is neither a folder nor a model on this machine",
            where=llm,
            hint=f"{wish}download the model and give its folder",
        ) from error


@lru_cache(maxsize=2)
def load_compressor(llm: str, method: str, device: str, seed: int) -> Any:
    """The package's `PromptCompressor` with a model.

    Args:
        llm: folder or hub name of the model: for llmlingua2 one that classifies tokens, of the
            family of XLM-RoBERTa or BERT; for the other methods one that predicts the next token.
        method: "llmlingua", "longllmlingua" or "llmlingua2".
        device: as torch names it.
        seed: of the package's random generators.

    Raises:
        InputError: there is no such model, or not one for this method.
        UsageError: no such device.
        MissingExtraError: llmlingua is not installed.
    """
    folder = find_model(llm)
    family = _check_model(folder, method, llm)
    encode = load_encoder(CL100K)
    with contained(seed):
        _check_device(device)
        compressor = _start_package(folder, method, device, llm)
    # The package's own use of tiktoken fails on a text that holds "<|endoftext|>".
    compressor.oai_tokenizer = SimpleNamespace(encode=encode)
    compressor.model.eval()
    if method == "llmlingua2":
        _check_labels(compressor.model, llm)
        _read_short(compressor, family)
    return compressor


def _start_package(folder: Path, method: str, device: str, llm: str) -> Any:
    try:
        package: Any = import_module("llmlingua")
    except ImportError:
        raise MissingExtraError("llmlingua", "llmlingua") from None
    try:
        return package.PromptCompressor(
            str(folder),
            device_map=device,
            model_config={"trust_remote_code": False, "local_files_only": True},
            use_llmlingua2=method == "llmlingua2",
            # Its placeholders for forced tokens; we keep what is protected by ourselves.
            llmlingua2_config={"max_force_token": 0} if method == "llmlingua2" else {},
        )
    except Exception as error:
        first = " ".join(str(error).splitlines()[:1])
        raise InputError(
            f"is not a model that llmlingua reads: {first or type(error).__name__}", where=llm
        ) from error


def _read_short(compressor: Any, family: str) -> None:
    """Let the package know the family of a model, and not read padding."""
    compressor.model_name = family
    # RoBERTa's positions begin at 2; small models read less than the package's 512 tokens.
    readable = compressor.max_position_embeddings - (2 if family.startswith("xlm") else 0)
    compressor.max_seq_len = min(compressor.max_seq_len, readable)
    known_logits: dict[bytes, Any] = {}
    compressor.known_logits = known_logits
    compressor.model = partial(_classify_chunks, compressor.model, known_logits)


@contextmanager
def contained(seed: int) -> Generator[None]:
    """Give the random generators, the environment and the chatter back as they were."""
    # Slow to import, and needed by few.
    import numpy as np

    try:
        torch: Any = import_module("torch")
        chatter: Any = import_module("transformers.utils.logging")
    except ImportError:
        raise MissingExtraError("llmlingua", "llmlingua") from None
    hash_seed = os.environ.get("PYTHONHASHSEED")
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    verbosity, bars = chatter.get_verbosity(), chatter.is_progress_bar_enabled()
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        with torch.no_grad():
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        chatter.set_verbosity(verbosity)
        if bars:
            chatter.enable_progress_bar()
        os.environ.pop("PYTHONHASHSEED", None)
        if hash_seed is not None:
            os.environ["PYTHONHASHSEED"] = hash_seed


def _check_model(folder: Path, method: str, llm: str) -> str:
    """The name by which the package knows a model's family, "" for one of next tokens."""
    file = folder / "config.json"
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("holds no model: config.json is missing", where=llm) from None
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", where=str(file)) from error
    table = cast("dict[str, Any]", config if isinstance(config, dict) else {})
    architectures = [str(name) for name in cast("list[Any]", table.get("architectures") or [])]
    if not any(folder.glob("*.safetensors")):
        raise InputError("holds no weights in the format safetensors", where=llm)
    classifies = any("ForTokenClassification" in name for name in architectures)
    if method != "llmlingua2":
        if classifies or not architectures:
            raise InputError(f"is no causal language model, and {method} needs one", where=llm)
        return ""
    kind = table.get("model_type")
    if not classifies or kind not in _FAMILY_NAMES:
        raise InputError(
            f"is no token classifier of the family {' or '.join(_FAMILY_NAMES)}",
            where=llm,
            hint="llmlingua2 needs a model such as llmlingua-2-xlm-roberta-large-meetingbank",
        )
    return _FAMILY_NAMES[kind]


def _check_labels(model: Any, llm: str) -> None:
    labels = model.config.num_labels
    if labels != 2:
        raise InputError(f"has {labels} labels, and llmlingua2 needs drop and keep", where=llm)


def _check_device(device: str) -> None:
    """Whether torch has the device.

    Raises:
        UsageError: it has not.
    """
    torch: Any = import_module("torch")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = " ".join(str(error).splitlines()[:1])
        raise UsageError(f"no device {device!r}: {first}", hint="--device cpu") from None


def _classify_chunks(
    model: Any, known: dict[bytes, Any], *, input_ids: Any, attention_mask: Any
) -> SimpleNamespace:
    """The logits of padded chunks, without the padding's share of the time.

    Chunks are read from short to long, those of one batch padded to its longest, and each once
    only however often it is asked for.

    Args:
        model: a token classifier.
        known: logits float[t, labels] of the chunks read before, by their tokens.
        input_ids: int64[n, width].
        attention_mask: bool[n, width].

    Returns:
        `logits`: float[n, width, labels], zero where the mask is not set.
    """
    torch: Any = import_module("torch")
    rows = [ids[mask] for ids, mask in zip(input_ids, attention_mask, strict=True)]
    keys = [row.cpu().numpy().tobytes() for row in rows]
    new = {key: row for key, row in zip(keys, rows, strict=True) if key not in known}
    ordered = sorted(new, key=len)
    for at in range(0, len(ordered), BATCH_CHUNKS):
        batch = ordered[at : at + BATCH_CHUNKS]
        _read_batch(model, known, batch, [new[key] for key in batch])
    labels = known[keys[0]].shape[-1]
    logits = torch.zeros((*input_ids.shape, labels), device=input_ids.device)
    for row, key in enumerate(keys):
        logits[row][attention_mask[row]] = known[key]
    return SimpleNamespace(loss=None, logits=logits)


def _read_batch(
    model: Any, known: dict[bytes, Any], keys: Sequence[bytes], rows: Sequence[Any]
) -> None:
    torch: Any = import_module("torch")
    pad = torch.nn.utils.rnn.pad_sequence
    ids = pad(list(rows), batch_first=True)
    mask = pad([torch.ones_like(row) for row in rows], batch_first=True)
    logits = model(input_ids=ids, attention_mask=mask).logits.float()
    for at, (key, row) in enumerate(zip(keys, rows, strict=True)):
        known[key] = logits[at, : len(row)]
