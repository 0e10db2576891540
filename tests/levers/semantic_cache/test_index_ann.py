"""Graphs only propose: what they find has exact cosines, and small scopes are searched exactly."""

import sys

import numpy as np
import pyarrow as pa
import pytest
from index_makers import MADE_WITH, scope, settings, vectors

from frugalctl.errors import InputError, MissingExtraError
from frugalctl.levers.semantic_cache.index import add_entries, ann, build_index, open_index
from frugalctl.levers.semantic_cache.index.manifest import GRAPH

pytest.importorskip("usearch", reason="usearch is not installed")

DIMENSION = 32
LARGE, SMALL = 600, 150


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(ann, "ANN_MIN_ROWS", 500)
    texts = [f"question {number}" for number in range(LARGE + SMALL)]
    tenants = ["a"] * LARGE + ["b"] * SMALL
    table = pa.table(
        {
            "text": texts,
            "key": texts,
            "response": texts,
            "scope": [scope(name) for name in tenants],
        }
    )
    made = settings(dimension=DIMENSION)
    build_index(tmp_path / "idx", table, vectors(texts, DIMENSION), made, graph=True)
    return tmp_path / "idx"


def test_what_a_graph_finds_has_exact_cosines_and_hardly_misses(path):
    exact, near = open_index(path), open_index(path, graph=True)
    queries = vectors([f"other {number}" for number in range(50)], DIMENSION)
    rows = exact.find_scope(scope("a"))
    expected, found = exact.search(queries, rows, 5), near.search(queries, rows, 5)
    recall = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(expected[0], found[0], strict=True)])
    assert recall > 0.95
    for its_rows, cosines, others, all_cosines in zip(*found, *expected, strict=True):
        known = dict(zip(others, all_cosines, strict=True))
        assert all(known.get(row, c) == c for row, c in zip(its_rows, cosines, strict=True))
    assert not np.array_equal(near._propose(queries, rows, 5), None)
    assert near._propose(queries, near.find_scope(scope("b")), 5) is None


def test_small_scopes_and_many_dead_rows_are_searched_exactly(path):
    exact, near = open_index(path), open_index(path, graph=True)
    queries = vectors([f"other {number}" for number in range(20)], DIMENSION)
    rows = exact.find_scope(scope("a"))
    alive = np.zeros(len(exact), dtype=np.bool_)
    alive[rows.start : rows.stop : 100] = True
    for where, mask in ((exact.find_scope(scope("b")), None), (rows, alive)):
        expected, found = (i.search(queries, where, 5, mask) for i in (exact, near))
        assert (expected[0] == found[0]).all() and (expected[1] == found[1]).all()


def test_a_graph_is_made_anew_with_its_index_and_the_same_each_time(path, tmp_path):
    before = open_index(path).manifest.files[GRAPH]
    text = pa.array(["one more"])
    table = pa.table({"text": text, "key": text, "response": text, "scope": [scope("a")]})
    add_entries(path, table, vectors(["one more"], DIMENSION), **MADE_WITH)
    near = open_index(path, graph=True)
    assert near.manifest.files[GRAPH] != before
    found, cosines = near.search(vectors(["one more"], DIMENSION), near.find_scope(scope("a")), 1)
    assert near.texts(found[0]) == ["one more"] and cosines[0, 0] == pytest.approx(1)
    add_entries(path, table, vectors(["one more"], DIMENSION), **MADE_WITH)
    assert open_index(path).manifest.files[GRAPH] == near.manifest.files[GRAPH]


def test_a_damaged_graph_is_named_and_not_read_unless_asked_for(path):
    body = bytearray((path / GRAPH).read_bytes())
    body[len(body) // 2] ^= 1
    (path / GRAPH).write_bytes(body)
    assert len(open_index(path)) == LARGE + SMALL
    with pytest.raises(InputError, match=f"{GRAPH}: its checksum differs"):
        open_index(path, graph=True)


def test_without_usearch_the_extra_is_named(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    assert len(open_index(path)) == LARGE + SMALL
    with pytest.raises(MissingExtraError) as caught:
        open_index(path, graph=True)
    assert "frugalctl[ann]" in caught.value.hint
