"""What each word says about a pair: shared, on one side only, or put in the place of another.

A logistic regression over hashed evidence learns, from labelled pairs, that "best" may come and
go while "India" may not, and that "cost" may stand for "price" but "learn" not for "teach".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frugalctl.levers.semantic_cache.features import N_WORDS, ParsedText, mix_hashes
from frugalctl.levers.semantic_cache.protocols import Floats, Integers

_SHARED, _ONE_SIDED, _SHARED_BIGRAM, _ONE_SIDED_BIGRAM, _REPLACED = range(5)
N_EVIDENCE = 5 * N_WORDS
_BIGRAM_WEIGHT = 0.5
_MAX_REPLACED = 64
_INVERSE_PENALTY = 0.3

Evidence = tuple[Integers, Integers, Floats]


def collect_evidence(pairs: Sequence[tuple[ParsedText, ParsedText]]) -> Evidence:
    """The evidence of n pairs as a sparse matrix n x N_EVIDENCE: rows, columns, values."""
    rows: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for row, (left, right) in enumerate(pairs):
        for kind, weight, words in _list_evidence(left, right):
            rows += [row] * len(words)
            columns += [kind * N_WORDS + word for word in words]
            values += [weight] * len(words)
    return np.array(rows, np.int64), np.array(columns, np.int64), np.array(values, np.float64)


def weigh_evidence(evidence: Evidence, n: int, weights: NDArray[np.float32]) -> Floats:
    """Sums float64[n] of the weights [N_EVIDENCE] of each pair's evidence."""
    rows, columns, values = evidence
    sums: Floats = np.bincount(rows, weights[columns] * values, minlength=n).astype(np.float64)
    return sums


def fit_words(evidence: Evidence, same: Floats, chosen: Integers) -> NDArray[np.float32]:
    """Weights float32[N_EVIDENCE] by a penalised logistic regression, without the intercept.

    Args:
        evidence: of all pairs.
        same: float64[n] of 0 and 1.
        chosen: the rows to learn from; both labels must be among them.
    """
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    rows, columns, values = evidence
    seen, compact = np.unique(columns, return_inverse=True)
    matrix: Any = csr_matrix((values, (rows, compact)), shape=(len(same), len(seen)))
    model: Any = LogisticRegression(C=_INVERSE_PENALTY, max_iter=1000, tol=1e-3)
    model.fit(matrix[chosen], same[chosen])
    weights = np.zeros(N_EVIDENCE, np.float32)
    weights[seen] = model.coef_[0]
    return weights


def _list_evidence(left: ParsedText, right: ParsedText) -> Iterator[tuple[int, float, list[int]]]:
    only_left = [word for word in left.distinct if word not in right.distinct]
    only_right = [word for word in right.distinct if word not in left.distinct]
    yield _SHARED, 1.0, [word for word in left.distinct if word in right.distinct]
    yield _ONE_SIDED, 1.0, only_left + only_right
    yield _SHARED_BIGRAM, _BIGRAM_WEIGHT, [x for x in left.bigrams if x in right.bigrams]
    yield _ONE_SIDED_BIGRAM, _BIGRAM_WEIGHT, [x for x in left.bigrams if x not in right.bigrams]
    yield _ONE_SIDED_BIGRAM, _BIGRAM_WEIGHT, [x for x in right.bigrams if x not in left.bigrams]
    n_replaced = len(only_left) * len(only_right)
    if 0 < n_replaced <= _MAX_REPLACED:
        replaced = [mix_hashes(*sorted((x, y))) for x in only_left for y in only_right]
        yield _REPLACED, n_replaced**-0.5, replaced
