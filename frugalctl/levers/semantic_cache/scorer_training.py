"""Training of the learned pair scorer; the only place of it that needs scikit-learn."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from frugalctl.errors import InputError
from frugalctl.learned.trees import Forest, export_forest, predict_logits
from frugalctl.levers.semantic_cache.features import compare_texts, learn_idf, parse_pairs
from frugalctl.levers.semantic_cache.protocols import Floats, Integers, Mask, Vectors
from frugalctl.levers.semantic_cache.scorer_learned import N_FEATURES, LearnedScorer, join_features
from frugalctl.levers.semantic_cache.scorer_words import (
    collect_evidence,
    fit_words,
    weigh_evidence,
)

N_FOLDS = 4
MIN_OF_EACH_LABEL = 50
_DEPTH = 6
_MAX_TREES = 240
_TREES_STEP = 20


def train_scorer(
    a: Sequence[str],
    b: Sequence[str],
    same: Mask,
    a_vectors: Vectors,
    b_vectors: Vectors,
    *,
    groups: Sequence[Hashable],
    seed: int,
    embedder_fingerprint: str,
) -> LearnedScorer:
    """Learn from labelled pairs how likely two questions have the same answer.

    The weights of words are learned first; the trees then see what these say of pairs in folds
    they were not learned from (stacked generalisation, Wolpert 1992), so they trust them no more
    than they deserve. A higher cosine never makes a lower score. There are as many trees as have
    the least log loss in the same folds. Where labels come as groups of texts, make the pairs
    with `mine_pairs`.

    Args:
        a: n texts as they were asked.
        b: n texts.
        same: bool[n], whether they have the same answer.
        a_vectors: float32[n, d], their embeddings.
        b_vectors: float32[n, d].
        groups: n labels; pairs of one label are never on both sides of a fold.
        seed: of the folds and of the trees.
        embedder_fingerprint: of the embedder that made the vectors.

    Raises:
        InputError: fewer than 50 pairs of either label, or too few groups to make folds.
    """
    labels = np.asarray(same, np.float64)
    parts = _split_folds(labels, groups, seed)
    pairs = parse_pairs(a, b)
    idf = learn_idf(list(dict.fromkeys((*a, *b))))
    evidence = collect_evidence(pairs)
    fits = [fit_words(evidence, labels, rows) for rows in _leave_out(parts)]
    words = np.empty(len(labels))
    for part, weights in zip(parts, fits, strict=False):
        words[part] = weigh_evidence(evidence, len(labels), weights)[part]
    cosines = (a_vectors * b_vectors).sum(axis=1)
    forest = _fit_forest(
        join_features(cosines, compare_texts(pairs, idf), words), labels, parts, seed
    )
    return LearnedScorer(embedder_fingerprint, a_vectors.shape[1], idf, fits[-1], forest)


def _leave_out(parts: Sequence[Integers]) -> list[Integers]:
    """The rows that remain without each part in turn, and last all of them."""
    rows = [np.concatenate([p for p in parts if p is not part]) for part in parts]
    return [*rows, np.concatenate(parts)]


def _split_folds(labels: Floats, groups: Sequence[Hashable], seed: int) -> list[Integers]:
    """Rows int64 of each fold, of whole groups, with both labels in every one."""
    counts = np.bincount(labels.astype(np.int64), minlength=2)
    if counts.min() < MIN_OF_EACH_LABEL:
        raise InputError(
            f"{counts[1]} pairs of the same answer and {counts[0]} of another "
            f"are too few to train a scorer",
            hint=f"at least {MIN_OF_EACH_LABEL} of each are needed; or use --scorer cosine",
        )
    codes = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    fold_of = _deal(len(codes), np.random.default_rng(seed))
    folds = fold_of[np.array([codes[group] for group in groups])]
    parts = [np.flatnonzero(folds == fold) for fold in range(N_FOLDS)]
    if any(not 0 < labels[part].sum() < len(part) for part in parts):
        raise InputError(
            f"{len(codes)} groups of pairs are too few to train a scorer",
            hint="more unrelated questions are needed; or use --scorer cosine",
        )
    return parts


def _deal(n: int, rng: np.random.Generator) -> Integers:
    return rng.permutation(n) % N_FOLDS


def _fit_forest(features: Floats, labels: Floats, parts: Sequence[Integers], seed: int) -> Forest:
    """Trees on all rows, as many as have the least log loss on the rows left out."""
    steps = range(_TREES_STEP, _MAX_TREES + 1, _TREES_STEP)
    losses = np.zeros(len(steps))
    for part, rest in zip(parts, _leave_out(parts), strict=False):
        model = _fit_trees(features[rest], labels[rest], _MAX_TREES, seed)
        staged: list[Floats] = list(model.staged_predict_proba(features[part]))
        for i, step in enumerate(steps):
            losses[i] += _sum_log_loss(staged[step - 1][:, 1], labels[part])
    best = steps[int(np.argmin(losses))]
    model = _fit_trees(features, labels, best, seed)
    forest = export_forest(model, _DEPTH)
    _check_export(forest, model, features[:100])
    return forest


def _sum_log_loss(probability: Floats, labels: Floats) -> float:
    return -float(np.log(np.where(labels == 1, probability, 1 - probability)).sum())


def _fit_trees(features: Floats, labels: Floats, n_trees: int, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    # the signs of cosine and words are known, and few columns a split spare small data
    rising = np.zeros(N_FEATURES, np.int8)
    rising[[0, -1]] = 1
    model: Any = HistGradientBoostingClassifier(
        max_iter=n_trees,
        learning_rate=0.06,
        max_depth=_DEPTH,
        min_samples_leaf=30,
        l2_regularization=5.0,
        max_features=0.3,
        monotonic_cst=rising,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(features, labels)


def _check_export(forest: Forest, model: Any, rows: Floats) -> None:
    """The trees are read from attributes that scikit-learn does not promise to keep."""
    if not np.allclose(predict_logits(forest, rows), model.decision_function(rows)):
        raise RuntimeError("this version of scikit-learn stores its trees in another way")
