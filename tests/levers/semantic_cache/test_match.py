import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from cache_cases import ByLength, Cosine, draw_one
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from slow_match import look_up_slowly

from frugalctl.embed import Encoded
from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.index import (
    IndexSettings,
    build_index,
    open_index,
    record_hits,
)
from frugalctl.levers.semantic_cache.match import make_matcher
from frugalctl.levers.semantic_cache.queries import Query
from frugalctl.levers.semantic_cache.retention import Retention
from frugalctl.levers.semantic_cache.scope import ScopeParts, digest_json, digest_scope
from frugalctl.levers.semantic_cache.settings import SCOPE_KEYS, SemanticCacheSettings
from frugalctl.log.times import UNKNOWN_US

US = 1_000_000
TEXTS = ["a 1", "A 1", "a 2", "a", "not a", "b++", "b", "b#", "c long", "nil", "nil?"]
TALKS = [None, digest_json(["hi"]), digest_json(["ho"])]
VECTORS = [[1, 0, 0], [0.6, 0.8, 0], [0.8, 0, 0.6], [-1, 0, 0], [0, 0.6, -0.8]]


class Toy:
    """Few directions, some of them equal; what is long is cut, and nil has none."""

    spec, fingerprint, dimension = "toy", "toy-1", 3

    def encode(self, texts):
        rows = [VECTORS[sum(map(ord, text)) % len(VECTORS)] for text in texts]
        vectors = np.array(rows, dtype=np.float32).reshape(-1, 3)
        vectors[[text.startswith("nil") for text in texts]] = 0
        return Encoded(vectors, np.array(["long" in text for text in texts], dtype=np.bool_))


class Lower:
    name = "lower-1"

    def make_keys(self, texts):
        return [text.lower().rstrip("?") for text in texts]

    def reduce(self, texts):
        return [text.removeprefix("not ") for text in texts]


def draw_parts(rng, crowd):
    def one(*values):
        return draw_one(rng, *values) if rng.integers(0, crowd) else values[0]

    return ScopeParts(
        tenant=one("a", "b", None),
        model=one("m", "n"),
        system=one(None, digest_json(["s"])),
        history=one(*TALKS),
    )


def draw_entries(rng, keys, crowd):
    rows = []
    for _ in range(int(rng.integers(0, 30))):
        parts, text = draw_parts(rng, crowd), draw_one(rng, *TEXTS)
        rows.append(
            {
                "text": text,
                "key": Lower().make_keys([text])[0],
                "response": f"{parts.tenant} says {len(rows)}",
                "scope": digest_scope(parts, keys),
                **{key: getattr(parts, key) for key in SCOPE_KEYS},
                "created": draw_one(rng, None, *range(0, 10 * US, US)),
                "last_used": draw_one(rng, None, None, 5 * US, 9 * US),
            }
        )
    return rows


def to_table(rows):
    names = ("text", "key", "response", "scope", *SCOPE_KEYS, "created", "last_used")
    times = {name: pa.timestamp("us", "UTC") for name in ("created", "last_used")}
    return pa.table(
        {
            name: pa.array([row[name] for row in rows], times.get(name, pa.string()))
            for name in names
        }
    )


def build(path, rows, keys=SCOPE_KEYS, dtype="float32"):
    settings = IndexSettings(
        embedder="toy", fingerprint="toy-1", dimension=3, normalizer="lower-1", dtype=dtype
    )
    vectors = Toy().encode(Lower().reduce([row["text"] for row in rows])).vectors
    build_index(path, to_table(rows), vectors, settings)


def draw_queries(rng, crowd):
    queries = []
    for _ in range(int(rng.integers(1, 12))):
        parts = draw_parts(rng, crowd)
        said = [key for key in SCOPE_KEYS if rng.integers(0, 3)]
        queries.append(
            Query(
                draw_one(rng, *TEXTS, "b?", "c"),
                {key: getattr(parts, key) for key in said},
                draw_one(rng, "", "", "", "", "", "unfit"),
                draw_one(rng, UNKNOWN_US, UNKNOWN_US, *range(0, 14 * US, 2 * US)),
            )
        )
    return queries


def draw_settings(rng, keys):
    return SemanticCacheSettings(
        threshold=draw_one(rng, -1.0, 0.0, 0.5, 0.75, 0.95, 1.0),
        guards=draw_one(rng, (), ("numbers", "symbols"), ("numbers", "negation", "symbols")),
        scope=tuple(keys),
        candidates=draw_one(rng, 1, 2, 3, 8, 10**15),
        max_chars=draw_one(rng, 1000, 1000, 1000, 2),
        retention=Retention(
            ttl_us=draw_one(rng, None, US, 3 * US, 8 * US),
            sliding=draw_one(rng, False, True),
        ),
    )


def summarise(match):
    return match.hit, match.score, match.entry_id, match.response, match.guard


@hypothesis_settings(max_examples=150)
@given(st.integers(0, 2**32 - 1))
def test_a_look_up_is_what_a_plain_one_finds(seed):
    rng = np.random.default_rng(seed)
    crowd = draw_one(rng, 1, 2, 3, 8)
    keys = draw_one(rng, SCOPE_KEYS, SCOPE_KEYS, ("tenant",), ("model", "history"), ())
    settings = draw_settings(rng, keys)
    now_us = draw_one(rng, None, 4 * US, 11 * US)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "idx"
        build(path, draw_entries(rng, keys, crowd), keys, draw_one(rng, "float32", "int8"))
        for at_us in (3 * US, 10 * US)[: int(rng.integers(0, 3))]:
            record_hits(path, rng.integers(0, 30, 5), at_us)
        scorer = draw_one(rng, Cosine(), ByLength())
        matcher = make_matcher(open_index(path), Toy(), Lower(), scorer, settings)
        queries = draw_queries(rng, crowd)
        matches = matcher.look_up(queries, now_us)
        assert [match.query for match in matches] == [query.text for query in queries]
        for query, match in zip(queries, matches, strict=True):
            assert summarise(match) == look_up_slowly(matcher, query, now_us), query
            assert match.reason


def entry(text, tenant=None, created=None):
    parts = ScopeParts(tenant=tenant, model="m")
    return {
        "text": text,
        "key": text.lower(),
        "response": f"answer to {text}",
        "scope": digest_scope(parts),
        **{key: getattr(parts, key) for key in SCOPE_KEYS},
        "created": created,
        "last_used": None,
    }


def look_up(path, text, now_us=None, **settings):
    matcher = make_matcher(
        open_index(path), Toy(), Lower(), Cosine(), SemanticCacheSettings(**settings)
    )
    return matcher.look_up([Query(text)], now_us)[0]


def test_recorded_hits_prolong_a_sliding_lifetime(tmp_path):
    build(tmp_path / "idx", [entry("a 1", created=0)])
    sliding = {"retention": Retention(ttl_us=5 * US, sliding=True)}
    assert look_up(tmp_path / "idx", "a 1", 4 * US, **sliding).hit
    assert not look_up(tmp_path / "idx", "a 1", 6 * US, **sliding).hit
    record_hits(tmp_path / "idx", [0], 4 * US)
    assert look_up(tmp_path / "idx", "a 1", 6 * US, **sliding).hit
    assert not look_up(tmp_path / "idx", "a 1", 9 * US, **sliding).hit
    fixed = {"retention": Retention(ttl_us=5 * US)}
    match = look_up(tmp_path / "idx", "a 1", 6 * US, **fixed)
    assert match.reason == "all entries in this scope are past their lifetime"


def test_a_miss_tells_the_nearest_question_and_who_refused(tmp_path):
    build(tmp_path / "idx", [entry("a 1")])
    match = look_up(tmp_path / "idx", "a 9", threshold=-1.0)
    assert (match.hit, match.guard, match.nearest) == (False, "numbers", "a 1")
    match = look_up(tmp_path / "idx", "c", threshold=1.0)
    assert (match.hit, match.guard, match.nearest) == (False, None, "a 1")
    assert match.reason == "below the threshold of 1"


def test_the_second_best_answers_where_a_guard_refuses_the_best(tmp_path):
    build(tmp_path / "idx", [entry("b 2"), entry("c 7")])
    match = look_up(tmp_path / "idx", "b 7", threshold=0.5, guards=("numbers",))
    assert (match.hit, match.entry_id, match.guard, match.nearest) == (True, 1, None, "c 7")
    assert match.score == pytest.approx(0.6)
    match = look_up(tmp_path / "idx", "b 7", threshold=0.7, guards=("numbers",))
    assert (match.hit, match.score, match.guard, match.nearest) == (False, 1.0, "numbers", "b 2")
    assert look_up(tmp_path / "idx", "b 7", threshold=0.7, guards=()).entry_id == 0


@pytest.mark.parametrize("scope", [("tenant",), (), SCOPE_KEYS[1:]])
def test_another_scope_than_the_index_has_is_refused(tmp_path, scope):
    build(tmp_path / "idx", [entry("a 1")])
    with pytest.raises(InputError, match="another scope than"):
        look_up(tmp_path / "idx", "a 1", scope=scope)


def test_an_empty_index_answers_nothing(tmp_path):
    build(tmp_path / "idx", [])
    assert look_up(tmp_path / "idx", "a 1").reason == "the index is empty"
