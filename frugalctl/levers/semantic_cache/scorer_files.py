"""The file of a learned pair scorer: arrays in npz, no pickle, all of it checked on every load."""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np

from frugalctl.errors import InputError
from frugalctl.learned.npz import BROKEN, MAX_MAGNITUDE, Arrays, read_arrays, write_arrays
from frugalctl.learned.trees import Forest
from frugalctl.levers.semantic_cache.features import FEATURE_VERSION, N_WORDS
from frugalctl.levers.semantic_cache.scorer_learned import (
    N_FEATURES,
    LearnedScorer,
    digest_scorer,
)
from frugalctl.levers.semantic_cache.scorer_words import N_EVIDENCE

SCHEMA_VERSION = 1
_MAX_DEPTH = 10
_DTYPES = {
    "meta": "|u1",
    "idf": "<f4",
    "word_weights": "<f4",
    "tree_features": "|u1",
    "tree_thresholds": "<f8",
    "tree_leaves": "<f8",
}


def save_scorer(scorer: LearnedScorer, path: str) -> None:
    """Write a scorer; the same weights make the same bytes.

    Raises:
        OutputError: the target cannot be written.
    """
    meta = {
        "schema_version": SCHEMA_VERSION,
        "feature_version": FEATURE_VERSION,
        "embedder_fingerprint": scorer.embedder_fingerprint,
        "dimension": scorer.dimension,
        "tree_base": scorer.forest.base,
        "digest": digest_scorer(scorer),
    }
    arrays: Arrays = {
        "meta": np.frombuffer(json.dumps(meta, sort_keys=True).encode(), np.uint8),
        "idf": scorer.idf,
        "word_weights": scorer.word_weights,
        "tree_features": scorer.forest.features,
        "tree_thresholds": scorer.forest.thresholds,
        "tree_leaves": scorer.forest.leaves,
    }
    write_arrays(path, arrays)


def read_scorer(path: str) -> LearnedScorer:
    """Read a scorer that `save_scorer` wrote.

    Raises:
        InputError: the file is missing, damaged, of another version, or holds what no scorer
            holds: shapes that do not fit, numbers that are not finite, features that are not
            there.
    """
    try:
        arrays = read_arrays(path, _DTYPES)
        meta = _parse_meta(arrays["meta"].tobytes())
        scorer = _build(meta, arrays)
        if digest_scorer(scorer) != meta["digest"]:
            raise ValueError("its weights do not match its checksum")
        return scorer
    except BROKEN as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            f"is not a pair scorer that can be used: {reason}",
            where=path,
            hint="train it again with `frugalctl cache tune`",
        ) from None


def _parse_meta(text: bytes) -> dict[str, Any]:
    meta = json.loads(text)
    if not isinstance(meta, dict):
        raise ValueError("its description is not an object")
    known = cast("dict[str, Any]", meta)
    for key, version in (("schema_version", SCHEMA_VERSION), ("feature_version", FEATURE_VERSION)):
        if known.get(key) != version:
            raise ValueError(f"{key} is {known.get(key)!r}, not {version}")
    base = known.get("tree_base")
    if not isinstance(base, float) or not abs(base) <= MAX_MAGNITUDE:
        raise ValueError("tree_base is not a number")
    for key, kind in (("embedder_fingerprint", str), ("digest", str), ("dimension", int)):
        if not isinstance(known.get(key), kind):
            raise ValueError(f"{key} is not of type {kind.__name__}")
    return known


def _build(meta: dict[str, Any], arrays: Arrays) -> LearnedScorer:
    features, leaves = arrays["tree_features"], arrays["tree_leaves"]
    n_trees, depth = len(leaves), (leaves.shape[-1].bit_length() - 1 if leaves.ndim == 2 else -1)
    shapes = {
        "idf": (N_WORDS,),
        "word_weights": (N_EVIDENCE,),
        "tree_features": (n_trees, 2**depth - 1),
        "tree_thresholds": (n_trees, 2**depth - 1),
        "tree_leaves": (n_trees, 2**depth),
    }
    if not 0 < depth <= _MAX_DEPTH or n_trees == 0:
        raise ValueError("its trees have no shape that trees have")
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}, not {shape}")
    if features.max() >= N_FEATURES:
        raise ValueError("its trees look at features that are not there")
    forest = Forest(features, arrays["tree_thresholds"], leaves, meta["tree_base"])
    return LearnedScorer(
        meta["embedder_fingerprint"],
        meta["dimension"],
        arrays["idf"],
        arrays["word_weights"],
        forest,
    )
