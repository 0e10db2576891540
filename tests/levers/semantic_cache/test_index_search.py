"""The tiled search against a plain loop over all rows, and batch against single queries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.semantic_cache.index import find_nearest
from frugalctl.levers.semantic_cache.index import search as search_module
from frugalctl.levers.semantic_cache.index.vectors import store_vectors


def slow_nearest(query, rows, norms, alive, k):
    scored = []
    for number, row in enumerate(rows):
        if alive is None or alive[number]:
            product = sum(float(a) * float(b) for a, b in zip(query, row, strict=True))
            scored.append((-np.float32(product / norms[number]), number))
    scored.sort()
    return [(row, -score) for score, row in scored[:k]]


def make_rows(rng, count, dimension, distinct):
    """Rows of length 1, each several times, and some of length 0."""
    pool = rng.standard_normal((distinct, dimension)).astype(np.float32)
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    pool[0] = 0
    return pool[rng.integers(0, distinct, count)]


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.sampled_from([0, 1, 7, 64, 65, 200, 300]),
    queries=st.integers(0, 5),
    k=st.sampled_from([1, 2, 8, 70, 350]),
    distinct=st.sampled_from([1, 2, 30, 1000]),
    dtype=st.sampled_from(["float32", "int8"]),
    share_alive=st.sampled_from([None, 0.0, 0.02, 0.7]),
    tile_rows=st.sampled_from([None, 1, 64, 128]),
)
def test_it_finds_what_a_loop_finds(
    seed, count, queries, k, distinct, dtype, share_alive, tile_rows
):
    rng = np.random.default_rng(seed)
    rows, norms = store_vectors(make_rows(rng, count, 5, distinct), dtype)
    asked = make_rows(rng, queries, 5, distinct)
    alive = None if share_alive is None else rng.random(count) < share_alive
    found, cosines = find_nearest(asked, rows, k, norms=norms, alive=alive, tile_rows=tile_rows)
    assert found.shape == cosines.shape == (queries, k)
    for query, its_rows, its_cosines in zip(asked, found, cosines, strict=True):
        expected = slow_nearest(query, rows, norms, alive, k)
        size = len(expected)
        assert its_rows[:size].tolist() == [row for row, _ in expected]
        np.testing.assert_allclose(its_cosines[:size], [c for _, c in expected], atol=1e-7)
        assert (its_rows[size:] == -1).all() and (its_cosines[size:] == -np.inf).all()


@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["float32", "int8"]))
def test_an_answer_does_not_depend_on_the_batch_or_the_tiles(seed, dtype):
    rng = np.random.default_rng(seed)
    rows, norms = store_vectors(make_rows(rng, 500, 33, 100), dtype)
    asked = make_rows(rng, 40, 33, 100)
    together = find_nearest(asked, rows, 6, norms=norms)
    for number in range(0, 40, 7):
        alone = find_nearest(asked[number : number + 1], rows, 6, norms=norms, tile_rows=64)
        assert alone[0].tolist() == together[0][number : number + 1].tolist()
        assert alone[1].tolist() == together[1][number : number + 1].tolist()


def test_more_equal_rows_than_candidates_are_kept(monkeypatch):
    monkeypatch.setattr(search_module, "_MOST_CANDIDATES", 100)
    rows = np.tile(np.float32([0.6, 0.8]), (1000, 1))
    rows[[130, 777]] = [0.8, 0.6]
    found, _ = find_nearest(np.float32([[0.8, 0.6]]), rows, 4, tile_rows=64)
    assert found.tolist() == [[130, 777, 0, 1]]


@given(seed=st.integers(0, 2**32 - 1), dimension=st.sampled_from([2, 17, 256]))
def test_int8_rows_err_by_at_most_half_a_step(seed, dimension):
    rng = np.random.default_rng(seed)
    plain = make_rows(rng, 30, dimension, 20)
    asked = make_rows(rng, 30, dimension, 20)
    rows, norms = store_vectors(plain, "int8")
    cosines = (asked.astype(float) @ rows.T.astype(float)) / norms
    error = np.abs(plain).max(axis=1) / 254 * np.sqrt(dimension)
    assert (np.abs(cosines - asked.astype(float) @ plain.T) <= 2 * error + 1e-6).all()


@pytest.mark.parametrize("queries", [1, 3])
def test_nothing_is_near_a_query_that_is_no_number(queries):
    asked = np.full((queries, 3), np.nan, dtype=np.float32)
    found, _ = find_nearest(asked, np.eye(3, dtype=np.float32), 2)
    assert (found == -1).all()
