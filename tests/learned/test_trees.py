import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.learned.trees import Forest, export_forest, predict_logits


def walk(forest, row):
    total = forest.base
    for features, thresholds, leaves in zip(
        forest.features, forest.thresholds, forest.leaves, strict=True
    ):
        low, high, node = 0, len(leaves), 0
        while high - low > 1:
            middle = (low + high) // 2
            if row[features[node]] <= thresholds[node]:
                high, node = middle, 2 * node + 1
            else:
                low, node = middle, 2 * node + 2
        total += leaves[low]
    return total


@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 5), st.integers(0, 20))
def test_prediction_equals_a_walk_down_every_tree(seed, depth, n_trees, n):
    rng = np.random.default_rng(seed)
    forest = Forest(
        rng.integers(0, 3, (n_trees, 2**depth - 1), np.uint8),
        rng.integers(-2, 3, (n_trees, 2**depth - 1)).astype(float),
        rng.normal(size=(n_trees, 2**depth)),
        0.25,
    )
    rows = rng.integers(-2, 3, (n, 3)).astype(float)
    assert predict_logits(forest, rows) == pytest.approx([walk(forest, row) for row in rows])


@pytest.mark.parametrize("n_trees", [1, 30])
def test_an_exported_forest_equals_the_model_of_sklearn(n_trees):
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(3)
    rows = rng.normal(size=(900, 5)).round(1)
    labels = (rows[:, 0] * rows[:, 1] + rng.normal(size=900) > 0).astype(float)
    model = HistGradientBoostingClassifier(max_iter=n_trees, max_depth=4, early_stopping=False)
    model.fit(rows, labels)
    forest = export_forest(model, 4)
    logits = predict_logits(forest, rows)
    assert logits == pytest.approx(model.decision_function(rows))
    assert 1 / (1 + np.exp(-logits)) == pytest.approx(model.predict_proba(rows)[:, 1])
    assert forest.depth == 4
