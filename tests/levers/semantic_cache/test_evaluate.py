"""Every threshold at once, against counting anew at each one."""

import itertools
import math

import numpy as np
import pytest
from eval_cases import WordEmbedder, count_slowly, make_trials, words_matching
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.levers.semantic_cache.evaluate import (
    break_even,
    measure_auc,
    report_guards,
    trace_curve,
)
from frugalctl.levers.semantic_cache.intervals import exact_interval
from frugalctl.levers.semantic_cache.labels import Groups, Logged, Pairs
from frugalctl.levers.semantic_cache.questions import Questions
from frugalctl.levers.semantic_cache.scope import ScopeParts
from frugalctl.levers.semantic_cache.trials import connect_pairs, order_by_time, try_labels
from frugalctl.log.times import UNKNOWN_US

scores = st.sampled_from([-math.inf, 0.1, 0.25, 0.5, 0.5, 0.75, 1.0])
rights = st.sampled_from([0.0, 1.0, math.nan])
costs = st.sampled_from([math.nan, 0.25, 0.5])
rows = st.lists(st.tuples(scores, rights, costs), min_size=1, max_size=30)


@given(rows, st.lists(st.sampled_from([0.0, 0.25, 0.3, 0.9, 2.0]), max_size=3))
def test_the_curve_counts_right_everywhere(drawn, asked):
    trials = make_trials(
        *zip(*[row[:2] for row in drawn], strict=True), costs=[c for *_, c in drawn]
    )
    curve = trace_curve(trials)
    points = curve.thin(asked)
    assert set(asked) | set(curve.thresholds.tolist()) == {point.threshold for point in points}
    for point in points:
        hits, right, wrong, saved = count_slowly(trials, point.threshold)
        assert (point.hits, point.right_hits, point.wrong_hits) == (hits, right, wrong)
        assert point.saved_usd == (saved if saved is None else pytest.approx(saved))
        assert point.hit_rate == hits / len(trials)
        assert point.wrong_of_all == wrong / len(trials)
        if not right + wrong:
            assert point.wrong_of_hits is None and point.wrong_of_hits_ci95 is None
        else:
            assert point.wrong_of_hits == wrong / (right + wrong)
            ends = exact_interval(np.array([wrong]), np.array([right + wrong]))
            assert point.wrong_of_hits_ci95 == tuple(float(end[0]) for end in ends)
        possible = int(trials.possible.sum())
        assert point.recall == (right / possible if possible else None)


@given(rows, st.sampled_from([0.0, 0.1, 0.5]))
def test_a_level_is_the_lowest_threshold_that_keeps_it(drawn, level):
    trials = make_trials([one[0] for one in drawn], [one[1] for one in drawn])
    fitting = []
    for threshold in {one[0] for one in drawn} - {-math.inf}:
        _, right, wrong, _ = count_slowly(trials, threshold)
        if right + wrong and wrong / (right + wrong) <= level:
            fitting.append(threshold)
    assert trace_curve(trials).find_level(level) == (min(fitting) if fitting else None)


@given(st.lists(st.tuples(scores, rights), min_size=2, max_size=40))
def test_auc_is_that_of_scikit_learn(drawn):
    from sklearn.metrics import roc_auc_score

    trials = make_trials([one[0] for one in drawn], [one[1] for one in drawn])
    known = [(s, r) for s, r in drawn if s != -math.inf and not math.isnan(r)]
    labels = {r for _, r in known}
    if len(labels) < 2:
        assert measure_auc(trials) is None
    else:
        theirs = roc_auc_score([r for _, r in known], [s for s, _ in known])
        assert measure_auc(trials) == pytest.approx(theirs)


def test_a_long_curve_is_thinned_but_keeps_what_is_asked():
    rng = np.random.default_rng(0)
    trials = make_trials(rng.uniform(size=5_000), rng.integers(0, 2, 5_000))
    points = trace_curve(trials).thin([0.123456])
    assert 150 < len(points) <= 201
    assert 0.123456 in [point.threshold for point in points]
    assert points[-1].hits == 5_000


def test_dollars_break_even():
    trials = make_trials([0.9, 0.8, 0.7, 0.1], [1, 0, 1, 0], costs=[0.5, 0.25, math.nan, 1.0])
    point = trace_curve(trials).points([0.6])[0]
    balance = break_even(trials, point, 2.0)
    assert balance is not None
    assert (balance.saved_usd, balance.saved_per_hit_usd) == (0.75, 0.375)
    assert (balance.wrong_cost_usd, balance.net_usd) == (2.0, -1.25)
    assert balance.wrong_answer_usd == 0.75
    unpriced = make_trials([0.9], [1])
    assert break_even(unpriced, trace_curve(unpriced).points([0.5])[0], 2.0) is None


def cosine(one, other):
    a, b = WordEmbedder().encode([one, other]).vectors.astype(float)
    return min(float(a @ b), 1.0)


PAIRS = Pairs(
    a=["open the door", "Red Car?", "long text", "", "is it 3"],
    b=["open a door", "red car", "long text", "x", "is it 4"],
    same=np.array([True, False, True, False, False]),
)


def test_a_pair_is_one_question_and_one_entry():
    trials = try_labels(PAIRS, words_matching(guards=("numbers",)))
    assert trials.score[0] == pytest.approx(cosine("open the door", "open a door"), abs=1e-6)
    assert trials.score[1] == 1.0  # equal keys
    assert np.isnan(trials.score[2])  # cut off: neither looked up nor kept
    assert np.isnan(trials.score[3])  # nothing to embed
    assert trials.guard.tolist() == [-1, -1, -1, -1, 0]
    assert trials.served_score[4] == -math.inf
    assert trials.same[:2].tolist() == [1, 0]
    assert np.isnan(trials.right[[2, 3, 4]]).all()
    assert trials.possible.tolist() == PAIRS.same.tolist()
    (report,) = report_guards(trials, -1.0)
    assert (report.right_hits_lost, report.wrong_hits_refused, report.precision) == (0, 1, 1.0)


def test_equal_keys_ask_no_guard():
    pairs = Pairs(["Is it 3?"], ["is it 3"], np.array([True]))
    trials = try_labels(pairs, words_matching(guards=("numbers", "negation")))
    assert (trials.served_score[0], trials.refusals.any()) == (1.0, False)


words = st.sampled_from(["open", "close", "door", "car", "red", "3", "4"])
texts = st.lists(words, min_size=1, max_size=4).map(" ".join)
groups = st.lists(st.tuples(texts, st.integers(-1, 2)), min_size=2, max_size=12)


@given(groups.filter(lambda drawn: any(group >= 0 for _, group in drawn)))
def test_a_text_is_put_to_all_others(drawn):
    labels = Groups([text for text, _ in drawn], np.array([group for _, group in drawn]))
    trials = try_labels(labels, words_matching(candidates=20))
    for row, (text, group) in enumerate(drawn):
        others = [at for at in range(len(drawn)) if at != row]
        near = {at: cosine(text, drawn[at][0]) for at in others}
        best = max(near.values())
        assert trials.score[row] == pytest.approx(best, abs=1e-6)
        rights = {
            float(group >= 0 and drawn[at][1] == group) for at in others if near[at] > best - 1e-6
        }
        assert trials.right[row] in rights
        same_group = [at for at in others if group >= 0 and drawn[at][1] == group]
        assert trials.possible[row] == bool(same_group)


def test_the_next_best_is_served_when_a_guard_refuses_the_best():
    labels = Groups(["is it 3 now", "is it 4 now", "is it now"], np.array([0, 1, 0]))
    without = try_labels(labels, words_matching())
    guarded = try_labels(labels, words_matching(guards=("numbers",)))
    assert guarded.score.tolist() == without.score.tolist()
    for row in range(3):
        refused = guarded.refusals[row, 0]
        assert guarded.guard[row] == (0 if refused else -1)
        assert (guarded.served_score[row] == guarded.score[row]) != refused


def make_log(rows):
    """Each row: text, response, reference, scope, seconds or None, dollars."""
    texts, responses, references, scopes, seconds, dollars = zip(*rows, strict=True)
    time_us = np.array([UNKNOWN_US if at is None else at * 1_000_000 for at in seconds])
    unknown = np.full(len(rows), np.nan)
    questions = Questions(
        ids=[None] * len(rows),
        texts=list(texts),
        responses=list(responses),
        references=list(references),
        tasks=[None] * len(rows),
        parts=[ScopeParts()] * len(rows),
        scopes=list(scopes),
        time_us=time_us,
        done_us=time_us,
        quality=unknown,
        cost_usd=unknown,
        latency_ms=unknown,
        cacheable=np.array([scope != "" for scope in scopes]),
        unfit={},
        lines=np.arange(len(rows)),
    )
    return Logged(questions, np.array(dollars, dtype=float))


log_rows = st.lists(
    st.tuples(
        texts,
        st.sampled_from(["Yes.", "yes.", "no"]),
        st.sampled_from([None, "r1", "r2"]),
        st.sampled_from(["s", "t", ""]),
        st.sampled_from([None, 1, 2, 3]),
        st.just(0.5),
    ),
    min_size=1,
    max_size=9,
)


@given(log_rows)
def test_a_question_of_a_log_is_put_to_those_before_it(drawn):
    if all(row[3] == "" for row in drawn):
        return
    trials = try_labels(make_log(drawn), words_matching(candidates=20))
    times = list(itertools.accumulate((row[4] for row in drawn), lambda last, at: at or last))
    order = sorted(range(len(drawn)), key=lambda at: times[at] or -1)
    order = [at for at in order if drawn[at][3] != ""]
    assert len(trials) == len(order)
    for place, at in enumerate(order):
        text, response, reference, scope, _, _ = drawn[at]
        earlier = [drawn[one] for one in order[:place] if drawn[one][3] == scope]
        agree = [
            response.casefold() == one[1].casefold()
            or (reference is not None and reference == one[2])
            for one in earlier
        ]
        assert trials.possible[place] == any(agree)
        if not earlier:
            assert np.isnan(trials.score[place]) and trials.served_score[place] == -math.inf
            continue
        near = [cosine(text, one[0]) for one in earlier]
        assert trials.score[place] == pytest.approx(max(near), abs=1e-6)
        best = {ok for ok, one in zip(agree, near, strict=True) if one > max(near) - 1e-6}
        assert trials.right[place] in best


def test_untimed_rows_stay_beside_the_row_before():
    times = np.array([UNKNOWN_US, 5, UNKNOWN_US, 3, UNKNOWN_US])
    assert order_by_time(times).tolist() == [0, 3, 4, 1, 2]


def test_pairs_that_share_a_text_hang_together():
    clusters = connect_pairs(["a", "c", "x", "b"], ["b", "d", "y", "c"])
    assert len(set(clusters[[0, 1, 3]].tolist())) == 1
    assert clusters[2] != clusters[0]
