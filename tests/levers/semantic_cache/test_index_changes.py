"""What is built, added, pruned and recorded against a plain dictionary of entries."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from index_makers import DIMENSION, MADE_WITH, entries, keys, make, scope, settings, vectors

from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.index import (
    ENTRY_SCHEMA,
    Added,
    IndexWriter,
    Pruned,
    add_entries,
    build_index,
    open_index,
    prune_index,
    record_hits,
)
from frugalctl.levers.semantic_cache.retention import Retention


def test_an_index_gives_back_what_it_was_built_from(tmp_path):
    rows = [
        {"key": "reset", "tenant": "a", "cost_usd": 0.002, "tags": ["faq"], "created": 5_000_000},
        {"key": "reset", "tenant": "b", "quality": 1.0},
        {"key": "refund", "tenant": "a", "latency_ms": 12.5},
    ]
    manifest = build_index(tmp_path / "idx", *make(rows), settings())
    index = open_index(tmp_path / "idx")
    assert (manifest.entries, manifest.scopes, manifest.next_id) == (3, 2, 3)
    assert index.manifest == manifest and len(index) == 3
    assert manifest.newest_us == 5_000_000 and manifest.settings == {"threshold": 0.9}
    (row,) = index.find_keys(scope("a"), ["reset"])
    entry = index.entry(row)
    assert (entry["text"], entry["response"]) == ("reset?", "answer to reset")
    assert (entry["cost_usd"], entry["quality"], entry["tags"]) == (0.002, None, ["faq"])
    assert (entry["hits"], entry["last_used"], entry["entry_id"]) == (0, None, 0)
    assert index.find_keys(scope("b"), ["refund", "reset"]).tolist()[0] == -1
    assert index.find_keys(scope("c"), ["reset"]).tolist() == [-1]
    assert index.find_scope(scope("c")) is None


def test_others_read_the_plain_files(tmp_path):
    table, rows = make(keys(50))
    build_index(tmp_path / "idx", table, rows, settings())
    found = np.load(tmp_path / "idx" / "vectors.npy", allow_pickle=False)
    read = pq.read_table(tmp_path / "idx" / "entries.parquet")
    assert read.schema.equals(ENTRY_SCHEMA)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert (found == vectors(read.column("text").to_pylist())).all()


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_nearest_of_a_scope_are_found_and_no_others(tmp_path, dtype):
    rows = [{"key": f"question {n}", "tenant": "ab"[n % 2]} for n in range(40)]
    build_index(tmp_path / "idx", *make(rows), settings(dtype))
    index = open_index(tmp_path / "idx")
    for _ in range(3):
        found, cosines = index.search(vectors(["question 6?"]), index.find_scope(scope("a")), 30)
        assert index.texts(found[0][:1]) == ["question 6?"]
        assert index.responses(found[0][:1]) == ["answer to question 6"]
        assert cosines[0, 0] == pytest.approx(1, abs=1e-4)
        assert (found[0][20:] == -1).all()
        assert {index.entry(row)["tenant"] for row in found[0][:20]} == {"a"}


def test_the_scopes_are_listed_with_their_parts_and_rows(tmp_path):
    rows = [{"key": f"q{n}", "tenant": "abc"[n % 3], "model": "m" + "abc"[n % 3]} for n in range(7)]
    build_index(tmp_path / "idx", *make(rows), settings())
    listed = open_index(tmp_path / "idx").scopes.to_pylist()
    assert {(row["tenant"], row["model"], row["end"] - row["start"]) for row in listed} == {
        ("a", "ma", 3),
        ("b", "mb", 2),
        ("c", "mc", 2),
    }
    assert [row["scope"] for row in listed] == sorted(scope(name) for name in "abc")


def test_pieces_build_the_same_index_as_the_whole(tmp_path):
    rows = [{"key": f"q{n % 70}", "tenant": "abc"[n % 3]} for n in range(100)]
    table, matrix = make(rows)
    build_index(tmp_path / "whole", table, matrix, settings("int8"))
    with IndexWriter(tmp_path / "pieces", settings("int8")) as writer:
        for start in range(0, 100, 17):
            writer.write(table[start : start + 17], matrix[start : start + 17])
    whole, pieces = open_index(tmp_path / "whole"), open_index(tmp_path / "pieces")
    assert pieces.read_table().equals(whole.read_table())
    assert (pieces.vectors == whole.vectors).all()
    assert pieces.manifest == whole.manifest == writer.manifest


def test_a_writer_that_fails_leaves_the_old_index(tmp_path):
    build_index(tmp_path / "idx", *make(keys(3)), settings())
    with pytest.raises(RuntimeError), IndexWriter(tmp_path / "idx", settings()) as writer:
        writer.write(*make(keys(5)))
        raise RuntimeError
    assert len(open_index(tmp_path / "idx")) == 3
    assert [p.name for p in tmp_path.iterdir() if p.name != ".idx.lock"] == ["idx"]


def test_an_empty_index_is_opened_searched_and_added_to(tmp_path):
    with IndexWriter(tmp_path / "idx", settings()):
        pass
    index = open_index(tmp_path / "idx")
    assert len(index) == 0 and index.scopes.num_rows == 0
    assert index.find_keys(scope("a"), ["q"]).tolist() == [-1]
    assert add_entries(tmp_path / "idx", *make(keys(2)), **MADE_WITH).total == 2
    assert prune_index(tmp_path / "idx", entry_ids=[0, 1]).remaining == 0
    assert len(open_index(tmp_path / "idx")) == 0


ROW = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["k0", "k1", "k2"]),
        "tenant": st.sampled_from("ab"),
        "response": st.sampled_from(["yes", "no"]),
        "created": st.one_of(st.none(), st.integers(1, 20)),
        "tags": st.sampled_from([None, ["x"], ["x", "y"]]),
    }
)
ADD = st.tuples(st.just("add"), st.lists(ROW, min_size=1, max_size=5), st.none())
PRUNE = st.tuples(
    st.just("prune"), st.sampled_from([(), ("x",), ("y", "z")]), st.sampled_from([None, 5, 15])
)
HIT = st.tuples(st.just("hit"), st.lists(st.integers(0, 12), max_size=4), st.integers(10, 40))


def slow_add(known, rows):
    """Into {(tenant, key): entry}: the newest stays, with the hits of both."""
    old = set(known)
    for row in rows:
        place = row["tenant"], row["key"]
        entry = {**row, "hits": 0, "last_used": None}
        if place in known:
            was = known[place]
            unknown = -1 if place in old else 100
            if (was["created"] or unknown) > (row["created"] or 100):
                entry, was = was, entry
            else:
                old.discard(place)
            entry = {**entry, "hits": known[place]["hits"], "last_used": known[place]["last_used"]}
        known[place] = entry


def slow_prune(known, tags, before):
    for place, entry in list(known.items()):
        is_older = before is not None and entry["created"] is not None and entry["created"] < before
        if is_older or set(entry["tags"] or ()) & set(tags):
            del known[place]


def read_back(path):
    """The entries by place, once the index is seen to be one."""
    index = open_index(path)
    table = index.read_table().to_pylist()
    order = [(row["scope"], row["entry_id"]) for row in table]
    assert order == sorted(set(order))
    assert (index.vectors == vectors([row["text"] for row in table])).all()
    for number, row in enumerate(table):
        assert index.find_keys(row["scope"], [row["key"], "none"]).tolist() == [number, -1]
    names = ("key", "tenant", "response", "tags", "hits")
    return {
        (row["tenant"], row["key"]): {name: row[name] for name in names}
        | {at: row[at] and row[at].microsecond for at in ("created", "last_used")}
        for row in table
    }


@hypothesis_settings(max_examples=25)
@given(steps=st.lists(st.one_of(ADD, PRUNE, HIT), max_size=6))
def test_any_sequence_of_changes_is_that_of_a_dictionary(steps):
    with tempfile.TemporaryDirectory() as folder:
        path, known = Path(folder) / "idx", {}
        build_index(path, *make_none(), settings())
        for kind, first, second in steps:
            if kind == "add":
                added = add_entries(path, *make(first), **MADE_WITH)
                before = len(known)
                slow_add(known, first)
                assert (added.total, added.added) == (len(known), len(known) - before)
                assert added.added + added.replaced + added.outdated == len(first)
            elif kind == "prune":
                pruned = prune_index(path, tags=first, before_us=second)
                slow_prune(known, first, second)
                assert pruned.remaining == len(known)
            elif known:
                table = open_index(path).read_table(["entry_id", "tenant", "key"]).to_pylist()
                used = [table[number % len(table)] for number in first]
                record_hits(path, [row["entry_id"] for row in used], second)
                for row in used:
                    entry = known[row["tenant"], row["key"]]
                    entry["hits"] += 1
                    entry["last_used"] = max(entry["last_used"] or 0, second)
            assert read_back(path) == known


def make_none():
    table, matrix = make(keys(1))
    return table[:0], matrix[:0]


def test_entries_leave_by_lifetime_and_by_room(tmp_path):
    rows = [{"key": f"q{n}", "created": n * 10} for n in range(1, 6)]
    build_index(tmp_path / "idx", *make(rows), settings())
    record_hits(tmp_path / "idx", [0], 100)
    sliding = Retention(ttl_us=60, sliding=True)
    index = open_index(tmp_path / "idx")
    assert index.alive(sliding, 101).tolist() == [True, False, False, False, True]
    assert index.alive(Retention(ttl_us=60), 101).tolist() == [False] * 4 + [True]
    assert index.alive(Retention(), 101) is None

    pruned = prune_index(tmp_path / "idx", sliding, now_us=101)
    assert pruned == Pruned(expired=3, chosen=0, evicted=0, remaining=2)
    added = add_entries(
        tmp_path / "idx",
        *make([{"key": "q6", "created": 20}, {"key": "q1", "created": 15}]),
        **MADE_WITH,
        retention=Retention(max_entries=2),
    )
    assert added == Added(added=1, replaced=1, outdated=0, expired=0, evicted=1, total=2)
    index = open_index(tmp_path / "idx")
    assert sorted(index.texts(np.arange(2))) == ["q1?", "q6?"]
    # the answer of q1 was replaced; its use was not
    assert index.entry(index.find_keys(scope("a"), ["q1"])[0])["hits"] == 1
    assert index.manifest.next_id == 7


def test_room_in_bytes_counts_text_response_and_vector(tmp_path):
    build_index(tmp_path / "idx", *make([{"key": "a"}, {"key": "b"}]), settings())
    size = len("a?") + len("answer to a") + 4 * DIMENSION
    full = prune_index(tmp_path / "idx", Retention(max_bytes=2 * size))
    assert (full.evicted, full.remaining) == (0, 2)
    tight = prune_index(tmp_path / "idx", Retention(max_bytes=2 * size - 1))
    assert (tight.evicted, tight.remaining) == (1, 1)


@pytest.mark.parametrize(
    ("changes", "matrix", "named"),
    [
        ({"fingerprint": "f2"}, np.zeros((1, DIMENSION)), "embedder f1, not f2"),
        ({"normalizer": "n2"}, np.zeros((1, DIMENSION)), "normaliser n1, not n2"),
        ({}, np.zeros((1, 5)), "dimension 8, not 5"),
        ({}, np.zeros((2, DIMENSION)), "shape"),
        ({}, np.full((1, DIMENSION), np.nan), "length 1"),
        ({}, np.full((1, DIMENSION), 9.0), "length 1"),
    ],
)
def test_what_was_made_otherwise_is_refused(tmp_path, changes, matrix, named):
    build_index(tmp_path / "idx", *make(keys(3)), settings())
    with pytest.raises(InputError, match=named):
        add_entries(tmp_path / "idx", entries(keys(1)), matrix, **MADE_WITH | changes)
    assert len(open_index(tmp_path / "idx")) == 3


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ({"colour": "red"}, "no column 'colour'"),
        ({"response": None}, "'response' of the entries has nulls"),
        ({"history": "later"}, "32 hex digits"),
        ({"hits": -1}, "below zero"),
        ({"cost_usd": "cheap"}, "'cost_usd'"),
    ],
)
def test_entries_that_cannot_be_are_refused(tmp_path, row, named):
    with pytest.raises(InputError, match=named):
        build_index(tmp_path / "idx", *make([{"key": "q", **row}]), settings())
    assert not (tmp_path / "idx").exists()


def test_an_open_index_stays_as_it_was(tmp_path):
    build_index(tmp_path / "idx", *make(keys(30)), settings())
    index = open_index(tmp_path / "idx")
    build_index(tmp_path / "idx", *make(keys(2, start=90)), settings())
    found, _ = index.search(vectors(["question 7?"]), index.find_scope(scope("a")), 1)
    assert index.responses(found[0]) == ["answer to question 7"]
    assert len(open_index(tmp_path / "idx")) == 2
