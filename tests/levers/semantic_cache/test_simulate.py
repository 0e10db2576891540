import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from cache_cases import US, Cosine, Fickle, find_refusal, make_questions

from frugalctl.levers.semantic_cache.retention import Retention
from frugalctl.levers.semantic_cache.scope import digest_json
from frugalctl.levers.semantic_cache.settings import (
    SCOPE_KEYS,
    Invalidation,
    SemanticCacheSettings,
)
from frugalctl.levers.semantic_cache.sim_scopes import ScopeCost, measure_scope
from frugalctl.levers.semantic_cache.simulate import simulate
from frugalctl.log.times import UNKNOWN_US

FOLLOW_UPS = Path(__file__).parents[4] / "shared/data/semcache/multiturn_followups.jsonl.gz"


def run(rows, vectors=None, policy=None, truncated=None, scope=SCOPE_KEYS, **options):
    """Rows as for `make_questions`; vectors as one number a row, the angle in degrees."""
    questions = make_questions(rows, scope)
    if vectors is not None:
        angles = np.radians(vectors)
        vectors = np.stack((np.cos(angles), np.sin(angles)), axis=1).astype(np.float32)
    settings = SemanticCacheSettings(scope=tuple(scope), **options)
    return simulate(
        questions,
        vectors,
        questions.texts,
        settings,
        policy,
        Cosine(),
        find_refusal,
        None if truncated is None else np.array(truncated),
    )


def asks(*texts, **more):
    return [{"text": text} | more for text in texts]


def test_exact_keys_and_near_ones():
    found = run(asks("a", "b", "a", "c"), vectors=[0, 90, 0, 80], threshold=0.9)
    assert found.source.tolist() == [-1, -1, 0, 1]
    assert found.exact.tolist() == [False, False, True, False]
    assert found.score[2] == 1
    assert found.score[3] == pytest.approx(np.cos(np.radians(10)), abs=1e-6)
    assert found.age_us.tolist() == [-1, -1, 2 * US, 2 * US]
    assert found.right.tolist()[2:] == [1, 0]
    assert not found.stale.any()
    assert (found.entries, found.kept.sum(), found.asked.sum()) == (2, 2, 4)


def test_an_answer_is_there_when_it_is_done():
    rows = asks("a", "a", "a", "a")
    rows[0] |= {"delay": 2 * US}
    rows[1] |= {"delay": 3 * US}
    assert run(rows).source.tolist() == [-1, -1, 0, 0]
    late = [*rows, {"text": "a"}]
    found = run(late)
    assert found.source.tolist() == [-1, -1, 0, 0, 1]
    assert found.departures.replaced == 1


def test_an_answered_request_leaves_no_entry():
    found = run(asks("a", "b", "c"), vectors=[0, 20, 40], threshold=0.93)
    assert found.source.tolist() == [-1, 0, -1]


def test_a_stale_answer_is_told_from_a_wrong_one():
    rows = [{"text": "a", "response": "1"}, {"text": "a", "response": "2"}]
    found = run([*rows, {"text": "b", "response": "2"}], vectors=[0, 0, 1], threshold=0.9)
    assert found.right.tolist()[1:] == [0, 0]
    assert found.stale.tolist() == [False, True, False]


JUDGED = [
    ({"response": "Yes  sir"}, {"response": " yes SIR\n"}, 1),
    ({"response": "caf\u00e9"}, {"response": "cafe\u0301"}, 1),
    ({"response": "yes"}, {"response": "no"}, 0),
    ({"response": "yes", "reference": "4"}, {"response": "no", "reference": "4"}, 1),
    ({"response": "yes", "reference": "4"}, {"response": "yes", "reference": "5"}, 1),
    ({"response": "yes", "reference": "4"}, {"response": "no", "reference": "5"}, 0),
    ({"response": "yes", "reference": "4"}, {"response": "no"}, 0),
]


@pytest.mark.parametrize(("one", "other", "right"), JUDGED)
def test_who_is_right(one, other, right):
    found = run([{"text": "a", **one}, {"text": "a", **other}])
    assert found.right[1] == right
    assert np.isnan(found.right[0])


def test_lifetimes():
    rows = asks("a", "a", "a", "a", "b")
    assert run(rows, retention=Retention(ttl_us=2 * US)).source.tolist() == [-1, 0, -1, 2, -1]
    sliding = run(rows, retention=Retention(ttl_us=2 * US, sliding=True))
    assert sliding.source.tolist() == [-1, 0, 0, 0, -1]
    assert run(rows, retention=Retention(ttl_us=2 * US)).departures.expired == 2


def test_nothing_expires_without_times():
    rows = asks("a", "a", "a", time=UNKNOWN_US)
    found = run(rows, retention=Retention(ttl_us=1))
    assert found.source.tolist() == [-1, 0, 0]
    assert found.age_us.tolist() == [-1, -1, -1]
    assert "no request has a timestamp" in found.notes[0]


def test_odd_times_are_told():
    rows = asks("a", "a", "a")
    rows[0]["time"], rows[1]["time"] = 5 * US, UNKNOWN_US
    found = run(rows)
    assert found.source.tolist() == [2, 2, -1]
    assert found.age_us.tolist() == [3 * US, -1, -1]
    assert [note.split(":")[0] for note in found.notes] == [
        "1 requests have no timestamp",
        "timestamps are out of order in 1 places",
    ]


@pytest.mark.parametrize("rule", ["lru", "fifo", "lfu", "cost"])
def test_who_makes_room(rule):
    rows = [
        {"text": "a", "cost_usd": 0.001},
        {"text": "b", "cost_usd": 0.5},
        {"text": "a"},
        {"text": "a"},
        {"text": "b"},
        {"text": "c", "cost_usd": 0.1},
    ]
    left = {"lru": "a", "fifo": "a", "lfu": "b", "cost": "a"}[rule]
    stays = "b" if left == "a" else "a"
    room = Retention(eviction=rule, max_entries=2)
    found = run([*rows, {"text": stays}, {"text": left}], retention=room)
    assert found.hit.tolist()[-2:] == [True, False]
    assert found.departures.evicted == 2
    assert found.entries == 2


def test_an_answer_inherits_the_hits_of_the_one_that_it_replaces():
    rows = asks("a", "a", "a", "a", "a", "a", "a", "b", "c", "a")
    rows[0] |= {"delay": 2 * US}
    rows[1] |= {"delay": 5 * US}
    found = run(rows, retention=Retention(eviction="lfu", max_entries=2))
    assert found.departures.replaced == 1
    assert found.source.tolist() == [-1, -1, 0, 0, 0, 0, 1, -1, -1, 1]


def test_room_in_bytes():
    rows = [{"text": "a" * size, "response": "b"} for size in (9, 9, 99, 9)]
    found = run(rows, retention=Retention(max_bytes=20))
    assert found.hit.tolist() == [False, True, False, True]
    assert (found.departures.too_large, found.entries) == (1, 1)


def test_invalidation_by_tag():
    rows = [{"text": text, "task": text, "tenant": "t", "model": "m"} for text in "abababab"]
    for tag, left in (("a", 1), ("tenant:t", 2), ("model:m", 2), (None, 2), ("tenant:a", 0)):
        found = run(rows, invalidate=(Invalidation(4 * US, tag),))
        assert found.departures.invalidated == left
        assert found.kept.sum() == 2 + left
    on_their_way = [{"text": "a", "delay": 5 * US, "task": "x"}, *asks("b", "c", "d", "e", "a")]
    found = run(on_their_way, invalidate=(Invalidation(2 * US, "x"),))
    assert not found.hit.any()
    assert found.departures.invalidated == 1
    assert run(on_their_way).hit[-1]


def test_what_may_not_be_kept():
    rows = asks("a", "a", "a", "a", "a")
    rows[0]["cacheable"] = False
    rows[1]["quality"] = 0.4
    found = run(rows, truncated=[False, False, True, False, False], min_quality=0.5)
    assert found.asked.tolist() == [False, True, False, True, True]
    assert found.kept.tolist() == [False, False, False, True, False]
    assert found.source.tolist() == [-1, -1, -1, -1, 3]
    assert found.notes == ("1 texts are longer than the embedder reads: left out",)


def test_guards_refuse_one_after_the_other():
    rows = asks("a 1", "a 2", "a 3", "a 2 ")
    found = run(rows, vectors=[0, 1, 2, 1.2], threshold=0.9)
    assert found.source.tolist() == [-1, -1, -1, 1]
    assert found.refusals == {"numbers": 3}
    assert run(rows, vectors=[0, 1, 2, 1.2], threshold=0.9, guards=()).hit.sum() == 3


def test_a_policy_learns_from_the_requests_that_it_does_not_answer():
    policy = Fickle(least=0.9)
    run(asks("a", "b", "c"), vectors=[0, 60, 2], policy=policy)
    assert [(entry, correct) for entry, _, correct in policy.seen] == [(0, False), (0, False)]
    assert policy.seen[0][1] == pytest.approx(0.5, abs=1e-6)
    assert policy.wrong == {0}


def test_texts_without_a_vector_are_near_to_nobody():
    questions = make_questions(asks("?", "!", "?"))
    settings = SemanticCacheSettings(threshold=-1.0)
    nothing = np.zeros((3, 2), dtype=np.float32)
    found = simulate(questions, nothing, questions.texts, settings, None, Cosine(), find_refusal)
    assert found.source.tolist() == [-1, -1, 0]


def test_nothing_asked():
    found = run([])
    assert (len(found.hit), found.entries, found.notes) == (0, 0, ())


def test_what_each_key_of_the_scope_costs_and_prevents():
    rows = [
        {"text": "a", "tenant": "x", "response": "1"},
        {"text": "a", "tenant": "y", "response": "2"},
        {"text": "b", "tenant": "x", "model": "m", "response": "3"},
        {"text": "b", "tenant": "x", "model": "n", "response": "3"},
    ]
    questions = make_questions(rows)
    settings = SemanticCacheSettings()

    def again(questions):
        return simulate(questions, None, questions.texts, settings, None, Cosine(), find_refusal)

    found = again(questions)
    assert not found.hit.any()
    tenant, model, *others = measure_scope(questions, settings, found, again)
    assert tenant == ScopeCost("tenant", 1, 1, 1, 0)
    assert model == ScopeCost("model", 1, 1, 0, 0)
    assert others == [ScopeCost(key, 0, 0, 0, 0) for key in SCOPE_KEYS[2:]]


def read_talks():
    """Each talk's first question, its paraphrase, and both follow-ups, with their history."""
    for number, line in enumerate(gzip.open(FOLLOW_UPS, "rt")):
        talk = json.loads(line)
        before = [talk["u0"], talk["system_q0"]]
        for name, history in (("u0", []), ("u1", before), ("u1_duplicate", before)):
            yield {
                "text": talk[name],
                "response": talk["system_q1" if history else "system_q0"],
                "history": digest_json(history),
                "session": number,
            }


def test_follow_ups_are_never_answered_from_another_talk():
    """Even if all questions look the same: what counts is what they were asked after."""
    if not FOLLOW_UPS.exists():
        pytest.skip("the shared follow-up questions are not beside this checkout")
    rows = list(read_talks())
    alike = [0.0] * len(rows)
    found = run(rows, vectors=alike, threshold=-1.0, guards=())
    follow_ups = [at for at, row in enumerate(rows) if row["history"] and found.hit[at]]
    assert follow_ups
    for at in follow_ups:
        assert rows[at]["history"] == rows[found.source[at]]["history"]
    without = [key for key in SCOPE_KEYS if key != "history"]
    careless = run(rows, vectors=alike, threshold=-1.0, guards=(), scope=without)
    assert careless.hit.sum() == len(rows) - 1
