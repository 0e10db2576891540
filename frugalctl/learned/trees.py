"""Boosted trees as plain arrays: no pickle, nothing to import but numpy.

Every tree is filled up to a complete binary tree of the same depth, so that a node's children
are found by arithmetic. No file, however made, can lead a walk in a circle or out of its arrays,
as long as its feature numbers are in range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ROWS_AT_ONCE = 512

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Forest:
    """The sum of m trees of depth d; at a node, left if the feature is at most the threshold.

    Attributes:
        features: uint8[m, 2^d - 1], which feature a node looks at, in breadth-first order.
        thresholds: float64[m, 2^d - 1].
        leaves: float64[m, 2^d], what a tree adds, from left to right.
        base: added once.
    """

    features: NDArray[np.uint8]
    thresholds: Floats
    leaves: Floats
    base: float

    @property
    def depth(self) -> int:
        """The number of nodes from a root to a leaf."""
        return len(self.leaves[0]).bit_length() - 1


def predict_logits(forest: Forest, rows: Floats) -> Floats:
    """The sums float64[n] of the leaves that the rows float64[n, f] end in."""
    parts = [
        _predict_part(forest, rows[start : start + _ROWS_AT_ONCE])
        for start in range(0, len(rows), _ROWS_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.zeros(0)


def export_forest(model: Any, depth: int) -> Forest:
    """The trees of a fitted binary HistGradientBoostingClassifier.

    Args:
        model: fitted on numbers without missing values or categories.
        depth: its `max_depth`.
    """
    trees = [round_[0].nodes for round_ in model._predictors]
    features = np.zeros((len(trees), 2**depth - 1), np.uint8)
    thresholds = np.zeros(features.shape)
    leaves = np.zeros((len(trees), 2**depth))
    for i, nodes in enumerate(trees):
        _fill(nodes, features[i], thresholds[i], leaves[i])
    return Forest(features, thresholds, leaves, float(model._baseline_prediction.ravel()[0]))


def _predict_part(forest: Forest, rows: Floats) -> Floats:
    n_trees, n_nodes = len(forest.features), (1 << forest.depth) - 1
    n_values: int = rows.shape[1]
    features = forest.features.ravel().astype(np.intp)
    thresholds = forest.thresholds.ravel()
    first_node = np.arange(0, n_trees * n_nodes, n_nodes)
    first_leaf = np.arange(0, n_trees * (n_nodes + 1), n_nodes + 1)
    first_value = np.arange(0, len(rows) * n_values, n_values)[:, None]
    values = np.ascontiguousarray(rows).ravel()
    node: Indices = np.zeros((len(rows), n_trees), np.intp)
    for _ in range(forest.depth):
        at = np.add(node, first_node)
        right = values.take(features.take(at) + first_value) > thresholds.take(at)
        np.add(2 * node + 1, right, out=node)
    leaf = np.add(node, first_leaf) - n_nodes
    reached: Floats = forest.leaves.ravel().take(leaf)
    return forest.base + reached.sum(axis=1)


def _fill(nodes: Any, features: NDArray[Any], thresholds: Floats, leaves: Floats) -> None:
    """Copy one tree; below a leaf that is higher up, every path ends in its value."""
    n_inner = len(features)
    pending = [(0, 0)]
    while pending:
        source, target = pending.pop()
        node = nodes[source]
        if target >= n_inner:
            leaves[target - n_inner] = node["value"]
            continue
        if node["is_leaf"]:
            children = (source, source)
        else:
            features[target], thresholds[target] = node["feature_idx"], node["num_threshold"]
            children = (int(node["left"]), int(node["right"]))
        pending += [(children[0], 2 * target + 1), (children[1], 2 * target + 2)]
