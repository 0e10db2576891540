import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.semantic_cache.scope import (
    ScopeParts,
    digest_json,
    digest_scope,
    group_scopes,
    resolve_scope,
)
from frugalctl.levers.semantic_cache.settings import SCOPE_KEYS

names = st.none() | st.sampled_from(["", "a", "b", "ab", "null", "model", '["tenant","a"]'])
parts = st.builds(ScopeParts, *[names] * len(SCOPE_KEYS))
chosen = st.lists(st.sampled_from(SCOPE_KEYS), unique=True)
numbers = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.sampled_from([0, 0.0, -0.0, 1, 1.0, "0", "1", ""]) | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=5,
)


@given(parts, parts, chosen)
def test_a_scope_is_shared_if_and_only_if_all_chosen_parts_are_equal(one, other, keys):
    equal = all(getattr(one, key) == getattr(other, key) for key in keys)
    assert (digest_scope(one, keys) == digest_scope(other, keys)) == equal


@given(parts, chosen, st.randoms())
def test_the_order_of_the_keys_does_not_matter_and_their_choice_does(one, keys, random):
    digest = digest_scope(one, keys)
    shuffled = random.sample(keys, len(keys))
    assert digest_scope(one, shuffled) == digest
    assert len(digest) == 32
    if keys:
        assert digest_scope(one, keys[1:]) != digest


def _is_same(one, other):
    """Equality of JSON values: numbers by value, truth values apart, missing like empty."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return type(one) is type(other) and one == other if _no_number(one, other) else one == other


def _no_number(*values):
    return not all(isinstance(value, (int, float)) for value in values)


@given(values, values)
def test_equal_json_has_equal_digests_and_other_json_has_not(one, other):
    empty = (None, [], {})
    same = _is_same(one, other) or (one in empty and other in empty)
    assert (digest_json(one) == digest_json(other)) == same


@given(values)
def test_the_order_of_keys_in_json_does_not_matter(value):
    def turn(value):
        if isinstance(value, dict):
            return {key: turn(value[key]) for key in reversed(list(value))}
        return [turn(item) for item in value] if isinstance(value, list) else value

    assert digest_json(turn(value)) == digest_json(value)
    assert digest_json(json.loads(json.dumps(value))) == digest_json(value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"temperature": 0}, {"temperature": 0.7}),
        ({"temperature": 0}, {"temperature": "0"}),
        ({"stop": None}, {"stop": ["x"]}),
        (["a", "b"], ["ab"]),
        (["café"], ["cafe\u0301"]),
        ([2**53 + 1], [2**53]),
        ([True], [1]),
    ],
)
def test_what_looks_alike_stays_apart(one, other):
    assert digest_json(one) != digest_json(other)


def test_what_is_no_number_has_no_digest():
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_json([float("nan")])


A = ScopeParts(tenant="acme", model="m1", system="s" * 32)


def resolve(known, *scopes, keys=SCOPE_KEYS):
    return resolve_scope(known, group_scopes(scopes, keys), keys)


def test_what_a_query_leaves_unsaid_is_filled_in():
    assert resolve({"tenant": "acme"}, A) == (digest_scope(A), "")
    other = ScopeParts(tenant="other", model="m2")
    assert resolve({"tenant": "acme"}, A, other) == (digest_scope(A), "")
    assert resolve({"tenant": "acme", "model": "m1"}, A, A) == (digest_scope(A), "")


def test_tenant_and_history_are_never_filled_in():
    assert resolve({}, A) == (None, "no entries without a tenant")
    talk = ScopeParts(tenant="acme", history="h" * 32)
    assert resolve({"tenant": "acme"}, talk) == (None, "no entries of tenant 'acme'")
    assert resolve({"tenant": "acme", "history": "h" * 32}, talk)[0] == digest_scope(talk)
    scope, reason = resolve({"tenant": "acme", "history": "x" * 32}, talk)
    assert scope is None
    assert reason == "no entries of tenant 'acme' after this conversation"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model", "entries of 3 models: say which with --model"),
        ("system", "entries of 3 system prompts: say which with --system, or build with --scope"),
        ("tools", 'entries of 3 sets of tools: say which with "tools"'),
        ("sampling", 'entries of 3 sampling settings: say which with "sampling"'),
    ],
)
def test_what_is_ambiguous_is_asked_for(key, words):
    scopes = [ScopeParts(**{key: value}) for value in ("x", "y", None)]
    assert resolve({}, *scopes) == (None, words)
    for parts in scopes:
        assert resolve({key: getattr(parts, key)}, *scopes) == (digest_scope(parts), "")
    without = [other for other in SCOPE_KEYS if other != key]
    found = resolve({}, *scopes, keys=without)
    assert found == (digest_scope(ScopeParts(), without), "")


def test_what_is_said_decides_what_is_left_to_say():
    scopes = [ScopeParts(model="m1", system="s1"), ScopeParts(model="m2", system="s2")]
    assert resolve({"model": "m2"}, *scopes) == (digest_scope(scopes[1]), "")
    assert resolve({"model": "m3"}, *scopes)[1] == "no entries without a tenant of model 'm3'"
    assert resolve({"model": "m2", "system": None}, *scopes)[0] is None


@given(st.lists(parts, max_size=6), parts, chosen, st.sets(st.sampled_from(SCOPE_KEYS)))
def test_a_scope_is_found_only_where_it_fits(scopes, asked, keys, said):
    known = {key: getattr(asked, key) for key in said}
    digest, reason = resolve(known, *scopes, keys=keys)
    assert (digest is None) == bool(reason)
    exact = {"tenant": None, "history": None, **known}
    fitting = [
        parts
        for parts in scopes
        if all(getattr(parts, key) == value for key, value in exact.items() if key in keys)
    ]
    digests = {digest_scope(parts, keys) for parts in fitting}
    assert digest in digests if digest else len(digests) != 1
