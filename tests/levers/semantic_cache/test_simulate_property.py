from unittest.mock import patch

import numpy as np
from cache_cases import assert_same, draw_case
from hypothesis import given, settings
from hypothesis import strategies as st

from frugalctl.levers.semantic_cache import sim_search, sim_serve

seeds = st.integers(0, 2**32)


@settings(max_examples=300)
@given(seeds)
def test_does_what_a_cache_does_that_looks_at_every_entry(seed: int):
    assert_same(draw_case(seed))


@settings(max_examples=300)
@given(seeds, st.integers(1, 9), st.integers(0, 2))
def test_chunks_and_batches_change_nothing(seed: int, chunk: int, spare: int):
    with (
        patch.object(sim_serve, "_CHUNK", chunk),
        patch.object(sim_search, "_FEWEST_ENTRIES", 1),
        patch.object(sim_search, "_FEWEST_QUESTIONS", 1),
        patch.object(sim_search, "_SPARE", spare),
    ):
        assert_same(draw_case(seed))


@settings(max_examples=200)
@given(seeds)
def test_nobody_gets_the_answer_of_another_tenant(seed: int):
    case = draw_case(seed, scope=("tenant",))
    run, _ = case.run()
    parts = case.questions.parts
    for row in np.flatnonzero(run.hit).tolist():
        mine, other = parts[row], parts[int(run.source[row])]
        assert mine.tenant == other.tenant
        assert all(getattr(mine, key) == getattr(other, key) for key in case.settings.scope)


@settings(max_examples=200)
@given(seeds)
def test_answers_come_from_entries_and_entries_from_requests(seed: int):
    run, _ = draw_case(seed).run()
    assert run.kept[run.source[run.hit]].all()
    assert not (run.hit & run.kept).any()
    assert not ((run.hit | run.kept) & ~run.asked).any()
    left = run.departures
    gone = left.expired + left.evicted + left.replaced + left.invalidated + left.too_large
    assert run.entries + gone <= run.kept.sum()
