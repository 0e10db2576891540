"""The files of scorers and routers: arrays in npz, no pickle, all of it checked on every load."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import xxhash

from frugalctl.errors import InputError
from frugalctl.learned.npz import BROKEN, read_arrays, write_arrays
from frugalctl.learned.trees import Forest
from frugalctl.levers.cascade.features import (
    ANSWER_NUMBERS,
    FEATURE_VERSION,
    QUESTION_NUMBERS,
)
from frugalctl.levers.cascade.predictors import KINDS, Kind, Predictor
from frugalctl.levers.cascade.router import Router
from frugalctl.levers.cascade.scorer import CONFIDENCE_NUMBERS, AnswerScorer
from frugalctl.levers.cascade.table import Floats

SCHEMA_VERSION = 1
RAW = "confidence"
"""Stands for a model whose logged confidence is taken."""

_SCORER, _ROUTER = "answer scorer", "router"
_ARTICLES = {_SCORER: "an", _ROUTER: "a"}
_MOST_DEPTH = 10
_MOST_MODELS = 1_000
_DTYPES = {"meta": "|u1", "axes": "<f8", "numbers": "<f8", "vectors": "<f2"}
_TEXTS = ("embedder_fingerprint", "digest")


def save_scorer(scorer: AnswerScorer, path: str) -> None:
    """Write a scorer; the same one makes the same bytes.

    Raises:
        OutputError: the target cannot be written.
    """
    _save(_SCORER, scorer.models, scorer.predictors, scorer.axes, scorer.fingerprint, path)


def load_scorer(path: str) -> AnswerScorer:
    """Read a scorer that `save_scorer` wrote.

    Raises:
        InputError: the file is missing, damaged, of another kind or version, or holds what no
            scorer holds.
    """
    try:
        meta, axes, found = _load(_SCORER, path, outputs=1)
        if len(found) != len(meta["models"]):
            raise ValueError("it has not one predictor a model")
        return AnswerScorer(tuple(meta["models"]), found, axes, meta["embedder_fingerprint"])
    except BROKEN as error:
        raise _refuse(_SCORER, path, error) from None


def save_router(router: Router, path: str) -> None:
    """Write a router; the same one makes the same bytes.

    Raises:
        OutputError: the target cannot be written.
    """
    _save(_ROUTER, router.models, [router.predictor], router.axes, router.fingerprint, path)


def load_router(path: str) -> Router:
    """Read a router that `save_router` wrote.

    Raises:
        InputError: see `load_scorer`.
    """
    try:
        meta, axes, found = _load(_ROUTER, path, outputs=None)
        if len(found) != 1 or found[0] is None:
            raise ValueError("it has not one predictor")
        return Router(tuple(meta["models"]), found[0], axes, meta["embedder_fingerprint"])
    except BROKEN as error:
        raise _refuse(_ROUTER, path, error) from None


def _refuse(kind: str, path: str, error: Exception) -> InputError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    option = "--score learned" if kind == _SCORER else "--router auto"
    return InputError(
        f"cannot be used as {_ARTICLES[kind]} {kind}: {reason}",
        where=path,
        hint=f"`frugalctl optimize LOG {option} -o best.toml` makes one",
    )


def _save(
    kind: str,
    models: Sequence[str],
    predictors: Sequence[Predictor | None],
    axes: Floats,
    fingerprint: str,
    path: str,
) -> None:
    numbers = [array.astype("<f8").ravel() for one in predictors for array in _list_arrays(one)]
    stored = [one.vectors.ravel() for one in predictors if one is not None]
    arrays = {
        "axes": np.ascontiguousarray(axes, dtype="<f8"),
        "numbers": np.concatenate([np.zeros(0), *numbers]),
        "vectors": np.concatenate([np.zeros(0, "<f2"), *stored]).astype("<f2"),
    }
    meta = {
        "schema_version": SCHEMA_VERSION,
        "feature_version": FEATURE_VERSION,
        "kind": kind,
        "models": list(models),
        "predictors": [_describe(one) for one in predictors],
        "embedder_fingerprint": fingerprint,
        "digest": _digest(arrays),
    }
    text = json.dumps(meta, sort_keys=True).encode()
    write_arrays(path, {"meta": np.frombuffer(text, np.uint8), **arrays})


def _digest(arrays: dict[str, Any]) -> str:
    digest = xxhash.xxh3_128()
    for name in ("axes", "numbers", "vectors"):
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def _describe(one: Predictor | None) -> dict[str, Any]:
    """The kind of a predictor, and how many trees of what depth, or rows, it has."""
    if one is None:
        return {"kind": RAW, "trees": 0, "depth": 0, "rows": 0}
    forest = one.forests[0] if one.forests else None
    return {
        "kind": one.kind,
        "trees": 0 if forest is None else len(forest.features),
        "depth": 0 if forest is None else forest.depth,
        "rows": len(one.vectors),
    }


def _list_arrays(one: Predictor | None) -> list[Any]:
    """The arrays of a predictor in the order of the file."""
    if one is None:
        return []
    trees = [
        part
        for forest in one.forests
        for part in (
            forest.features,
            forest.thresholds,
            forest.leaves,
            np.array([forest.base]),
        )
    ]
    return [one.center, one.scale, one.means, one.weights, one.bias, *trees, one.qualities]


def _load(
    kind: str, path: str, outputs: int | None
) -> tuple[dict[str, Any], Floats, tuple[Predictor | None, ...]]:
    arrays = read_arrays(path, _DTYPES)
    meta = _parse_meta(arrays["meta"].tobytes(), kind)
    if _digest(arrays) != meta["digest"]:
        raise ValueError("its numbers do not match its checksum")
    axes = arrays["axes"]
    if axes.ndim != 2:
        raise ValueError("its axes are no matrix")
    if kind == _SCORER:
        width = CONFIDENCE_NUMBERS + QUESTION_NUMBERS + ANSWER_NUMBERS + 2 * axes.shape[1]
    else:
        width = axes.shape[1] + QUESTION_NUMBERS
    reader = _Reader(arrays["numbers"], arrays["vectors"])
    size = len(meta["models"]) if outputs is None else outputs
    found = [_read_predictor(reader, one, width, size) for one in meta["predictors"]]
    reader.end()
    return meta, axes, tuple(found)


def _parse_meta(text: bytes, kind: str) -> dict[str, Any]:
    decoded = json.loads(text)
    if not isinstance(decoded, dict):
        raise ValueError("its description is not an object")
    meta = cast("dict[str, Any]", decoded)
    if meta.get("kind") != kind:
        raise ValueError(f"what it holds is: {meta.get('kind', 'not said')}")
    for key, version in (("schema_version", SCHEMA_VERSION), ("feature_version", FEATURE_VERSION)):
        if meta.get(key) != version:
            raise ValueError(f"{key} is {meta.get(key)!r}, not {version}")
    if any(not isinstance(meta.get(key), str) for key in _TEXTS):
        raise ValueError("its description lacks a text")
    models = meta.get("models")
    if not isinstance(models, list) or not 0 < len(cast("list[Any]", models)) <= _MOST_MODELS:
        raise ValueError("it names no models")
    names = cast("list[Any]", models)
    if any(not isinstance(name, str) for name in names) or len(set(names)) < len(names):
        raise ValueError("its models are not distinct names")
    if not isinstance(meta.get("predictors"), list):
        raise ValueError("it has no predictors")
    return meta


class _Reader:
    """Hands out numbers in their order, and no more than there are."""

    def __init__(self, numbers: Floats, vectors: Any) -> None:
        self._blobs = {"numbers": numbers.ravel(), "vectors": vectors.ravel()}
        self._at = {"numbers": 0, "vectors": 0}

    def take(self, *shape: int, blob: str = "numbers") -> Any:
        start = self._at[blob]
        end = start + math.prod(shape)
        if end > len(self._blobs[blob]):
            raise ValueError("it holds fewer numbers than it says")
        self._at[blob] = end
        return self._blobs[blob][start:end].reshape(shape)

    def end(self) -> None:
        if any(self._at[name] != len(blob) for name, blob in self._blobs.items()):
            raise ValueError("it holds more numbers than it says")


def _read_predictor(reader: _Reader, said: Any, width: int, outputs: int) -> Predictor | None:
    counts = cast("dict[str, Any]", said if isinstance(said, dict) else {})
    kind = counts.get("kind")
    if kind == RAW:
        return None
    known: Kind | None = next((one for one in KINDS if one == kind), None)
    if known is None:
        raise ValueError("a predictor is of no known kind")
    trees, depth, rows = (_count(counts.get(key)) for key in ("trees", "depth", "rows"))
    boosted, near = known == "boosting", known == "knn"
    if boosted != (trees > 0 and 0 < depth <= _MOST_DEPTH) or near != (rows > 0):
        raise ValueError("a predictor has not the parts of its kind")
    linear = outputs if known == "logistic" else 0
    center, scale, means = reader.take(width), reader.take(width), reader.take(outputs)
    if not (scale > 0).all():
        raise ValueError("a predictor divides by 0")
    weights, bias = reader.take(linear, width if linear else 0), reader.take(linear)
    forests = [_read_forest(reader, trees, depth, width) for _ in range(outputs if boosted else 0)]
    return Predictor(
        known,
        center,
        scale,
        means,
        weights,
        bias,
        tuple(forests),
        reader.take(rows, width if near else 0, blob="vectors"),
        reader.take(rows, outputs if near else 0).astype(np.float32),
    )


def _count(said: object) -> int:
    if type(said) is not int or said < 0:
        raise ValueError("a predictor has not the parts of its kind")
    return said


def _read_forest(reader: _Reader, trees: int, depth: int, width: int) -> Forest:
    features = reader.take(trees, 2**depth - 1)
    if not ((features >= 0) & (features < min(width, 256)) & (features % 1 == 0)).all():
        raise ValueError("its trees look at features that are not there")
    thresholds, leaves = reader.take(trees, 2**depth - 1), reader.take(trees, 2**depth)
    return Forest(features.astype(np.uint8), thresholds, leaves, float(reader.take(1)[0]))
