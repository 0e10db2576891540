import numpy as np
import pytest
from cascade_tables import make_table
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import InputError, UsageError
from frugalctl.levers.cascade.splits import fold_rows, split_by_time, split_rows

UNKNOWN = -(2**63)


def table_of(clusters, time_us=None):
    from dataclasses import replace

    rows = len(clusters)
    table = make_table([[1.0]] * rows, [[1.0]] * rows)
    times = np.arange(rows) if time_us is None else np.array(time_us)
    return replace(table, clusters=np.array(clusters), time_us=times)


many = st.lists(st.integers(0, 9), min_size=12, max_size=40).filter(lambda one: len(set(one)) > 4)


@given(many, st.integers(2, 4), st.integers(0, 5))
def test_folds_keep_sessions_whole_and_nearly_equal(clusters, folds, seed):
    fold = fold_rows(table_of(clusters), folds, seed)
    of = {}
    for cluster, one in zip(clusters, fold.tolist(), strict=True):
        assert of.setdefault(cluster, one) == one
    sizes = [list(of.values()).count(one) for one in range(folds)]
    assert max(sizes) - min(sizes) <= 1
    assert fold.tolist() == fold_rows(table_of(clusters), folds, seed).tolist()


@given(many, st.integers(0, 5), st.sampled_from((0.01, 0.3, 0.5, 0.99)))
def test_a_split_has_two_sides_without_a_common_session(clusters, seed, share):
    one, other = split_rows(table_of(clusters), seed, share)
    sides = [{clusters[at] for at in side.tolist()} for side in (one, other)]
    assert sides[0] and sides[1] and not sides[0] & sides[1]
    assert sorted([*one.tolist(), *other.tolist()]) == list(range(len(clusters)))
    assert abs(len(sides[0]) - share * len(set(clusters))) <= 1


@given(many, st.data())
def test_a_split_by_time_puts_earlier_sessions_first(clusters, data):
    times = data.draw(st.lists(st.integers(0, 99), min_size=len(clusters), max_size=len(clusters)))
    try:
        early, late = split_by_time(table_of(clusters, times), UNKNOWN, 0.7)
    except InputError:
        begins = {min(t for c, t in zip(clusters, times, strict=True) if c == k) for k in clusters}
        assert len(begins) < len(set(clusters))
        return
    sides = [{clusters[at] for at in side.tolist()} for side in (early, late)]
    assert not sides[0] & sides[1]
    begin = {k: min(t for c, t in zip(clusters, times, strict=True) if c == k) for k in clusters}
    assert max(begin[k] for k in sides[0]) < min(begin[k] for k in sides[1])


def test_what_cannot_be_split_is_refused():
    with pytest.raises(UsageError, match="1 folds"):
        fold_rows(table_of([1, 2]), 1, 0)
    with pytest.raises(InputError, match="too few sessions for 5 folds: 2"):
        fold_rows(table_of([1, 2, 2]), 5, 0)
    with pytest.raises(InputError, match="one session"):
        split_rows(table_of([7, 7]), 0)
    with pytest.raises(InputError, match="not every request has a timestamp"):
        split_by_time(table_of([1, 2], [5, UNKNOWN]), UNKNOWN)
    with pytest.raises(InputError, match="no later session"):
        split_by_time(table_of([1, 2], [5, 5]), UNKNOWN)
