from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import ConfigError
from frugalctl.levers.semantic_cache.retention import EVICTIONS, Retention
from frugalctl.levers.semantic_cache.settings import (
    GUARD_NAMES,
    SCOPE_KEYS,
    Invalidation,
    SemanticCacheSettings,
    dump_semantic_cache_table,
    parse_duration_us,
    parse_semantic_cache_table,
)

_some = st.none() | st.integers(1, 10**6)
_retentions = st.builds(
    Retention,
    ttl_us=st.none() | st.integers(1, 10**6).map(lambda seconds: seconds * 1_000_000),
    sliding=st.booleans(),
    eviction=st.sampled_from(EVICTIONS),
    max_entries=_some,
    max_bytes=_some,
)


def _subsets(names):
    return st.sets(st.sampled_from(names)).map(lambda kept: tuple(n for n in names if n in kept))


_settings = st.builds(
    SemanticCacheSettings,
    embedder=st.sampled_from(("static", "lexical", "litellm:x")),
    threshold=st.floats(-1, 1),
    scorer=st.sampled_from(("cosine", "cross-encoder:x")),
    guards=_subsets(GUARD_NAMES),
    scope=_subsets(SCOPE_KEYS),
    policy=st.sampled_from(("threshold", "vcache")),
    max_error=st.floats(0, 1),
    retention=_retentions,
    lookup_ms=st.floats(0, 1e6),
    min_quality=st.none() | st.floats(0, 1),
    wrong_answer_usd=st.none() | st.floats(0, 1e6),
    invalidate=st.lists(
        st.builds(
            Invalidation,
            at_us=st.integers(1_600_000_000, 1_900_000_000).map(lambda at: at * 1_000_000),
            tag=st.none() | st.text(max_size=3),
        ),
        max_size=2,
    ).map(tuple),
    candidates=st.integers(1, 99),
    max_chars=st.integers(1, 9999),
)


@given(_settings)
def test_a_table_says_all_that_the_settings_say(settings):
    assert parse_semantic_cache_table(dump_semantic_cache_table(settings)) == settings


def test_an_empty_table_gives_the_defaults():
    assert parse_semantic_cache_table({}) == SemanticCacheSettings()


def test_a_scorer_is_looked_for_beside_the_recipe(tmp_path: Path):
    (tmp_path / "s.npz").write_bytes(b"")
    found = parse_semantic_cache_table({"scorer": "s.npz"}, tmp_path)
    assert found == replace(SemanticCacheSettings(), scorer=str(tmp_path / "s.npz"))
    assert parse_semantic_cache_table({"scorer": "cosine"}, tmp_path).scorer == "cosine"


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800), (1.5, 1.5)]
)
def test_durations(text, seconds):
    assert parse_duration_us(text, "ttl") == seconds * 1_000_000


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"treshold": 0.9}, "unknown key 'treshold'"),
        ({"threshold": 1.5}, "threshold is not a number from -1 to 1"),
        ({"threshold": True}, "threshold is not a number"),
        ({"threshold": float("nan")}, "threshold is not a number"),
        ({"embedder": 3}, "embedder is not text"),
        ({"guards": ["number"]}, "unknown guard 'number'"),
        ({"guards": "numbers"}, "guards is not a list of names"),
        ({"scope": ["user"]}, "unknown scope 'user'"),
        ({"policy": "best"}, "unknown policy 'best'"),
        ({"ttl": "soon"}, "'soon' is not a duration"),
        ({"ttl": 0}, "0 is not a duration"),
        ({"ttl": True}, "ttl is neither text nor a number"),
        ({"sliding": 1}, "sliding is not true or false"),
        ({"eviction": "random"}, "unknown eviction 'random'"),
        ({"max_entries": 0}, "max_entries is not a whole number"),
        ({"max_bytes": 1.5}, "max_bytes is not a whole number"),
        ({"candidates": 0}, "candidates is not a whole number"),
        ({"invalidate": {}}, "invalidate is not a list"),
        ({"invalidate": [{"tag": "x"}]}, "is not a time"),
        ({"invalidate": [{"at": "2026-01-01", "tags": "x"}]}, "needs tables of at and tag"),
    ],
)
def test_what_makes_no_sense_is_refused(table, message):
    with pytest.raises(ConfigError, match=r"\[semantic_cache\]") as caught:
        parse_semantic_cache_table(table)
    assert message in str(caught.value)
