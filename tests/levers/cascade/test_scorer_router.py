import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from cascade_tables import make_table
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import InputError
from frugalctl.levers.cascade.calibrate import auroc
from frugalctl.levers.cascade.model_files import (
    load_router,
    load_scorer,
    save_router,
    save_scorer,
)
from frugalctl.levers.cascade.predictors import KINDS, fit
from frugalctl.levers.cascade.router import fit_router, lead, trace_router
from frugalctl.levers.cascade.scorer import fit_scorer

TOPICS = ("the capital of a country", "an integral of a function", "a poem about the sea")


def make_log(rows=240, seed=0, noise=0.05, told=False):
    """The small model knows capitals only, and hedges where it does not know."""
    draw = np.random.default_rng(seed)
    topic = draw.integers(0, 3, rows)
    knows = np.stack([topic == 0, draw.random(rows) < 0.9], axis=1)
    right = np.where(draw.random((rows, 2)) < noise, ~knows, knows).astype(float)
    texts = [
        tuple(
            f"It is number {n}." if r else f"Perhaps it might be {n}, I don't know"
            for n, r in zip(draw.integers(0, 99, rows), right[:, model], strict=True)
        )
        for model in range(2)
    ]
    confidence = right + draw.normal(0, 0.01, (rows, 2)) if told else None
    table = make_table(
        right,
        np.tile([1.0, 10.0], (rows, 1)),
        np.full((rows, 2), 10.0),
        confidence,
        models=("small", "large"),
    )
    questions = tuple(f"Question {n}: tell me {TOPICS[t]}" for n, t in enumerate(topic.tolist()))
    return replace(table, questions=questions, responses=tuple(texts))


@pytest.fixture(scope="module")
def log():
    return make_log()


@pytest.fixture(scope="module")
def fitted(log):
    return fit_scorer(log, folds=3)


def test_a_scorer_tells_right_answers_by_their_form(log, fitted):
    assert fitted.pays
    assert [one.kind for one in fitted.validation] != ["confidence"] * 2
    for model in range(2):
        assert auroc(fitted.scores[:, model], log.quality[:, model]) > 0.95
    fresh = make_log(seed=5)
    scores = fitted.scorer.score_table(fresh)
    assert auroc(scores[:, 0], fresh.quality[:, 0]) > 0.95


def test_no_row_is_scored_by_what_saw_its_quality():
    """With qualities of pure chance, a score that had seen them would seem to know them."""
    log = make_log(rows=160)
    draw = np.random.default_rng(3)
    blind = replace(
        log,
        quality=draw.integers(0, 2, (160, 2)).astype(float),
        responses=tuple(
            tuple(f"words {n}" for n in draw.integers(0, 10**6, 160)) for _ in range(2)
        ),
    )
    found = fit_scorer(blind, folds=4)
    for model in range(2):
        assert auroc(found.scores[:, model], blind.quality[:, model]) < 0.65


def test_a_confidence_that_knows_is_kept():
    found = fit_scorer(make_log(told=True, rows=150), folds=3)
    assert not found.pays
    assert [one.kind for one in found.validation] == ["confidence"] * 2
    assert found.scorer.predictors == (None, None)


def test_an_answer_without_text_has_no_score(log, fitted):
    scores = fitted.scorer.score("small", ["q", "q"], [None, "It is 3."], np.full(2, np.nan))
    assert np.isnan(scores[0]) and 0 <= scores[1] <= 1


@pytest.mark.parametrize("kind", ["knn", "logistic", "boosting", "auto"])
def test_a_router_learns_the_topic(log, kind):
    found = fit_router(log, kind, folds=3)
    assert found.router.kind != "mean"
    asked = [f"Question 7: tell me {TOPICS[0]}", f"Question 7: tell me {TOPICS[2]}"]
    predicted = found.router.predict(asked)
    assert predicted[0, 0] > predicted[1, 0] + 0.1
    assert auroc(found.routes[:, 0], log.quality[:, 0]) > 0.9
    assert found.errors[found.router.kind] < found.errors["mean"]


def test_a_router_that_cannot_know_routes_nothing():
    log = make_log(rows=150)
    draw = np.random.default_rng(0)
    blind = replace(log, quality=draw.integers(0, 2, (150, 2)).astype(float))
    assert fit_router(blind, "auto", folds=3).router.kind == "mean"


def test_texts_are_needed_and_kinds_known(log):
    silent = replace(log, questions=("",) * len(log), responses=((None,) * len(log),) * 2)
    with pytest.raises(InputError, match="needs the answers' texts"):
        fit_scorer(silent)
    with pytest.raises(InputError, match="needs the questions"):
        fit_router(silent)
    with pytest.raises(InputError, match="no router of kind 'oracle'"):
        fit_router(log, "oracle")


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=6))
def test_lead_is_the_distance_to_the_mean_of_the_others(rows):
    found = lead(np.array(rows, dtype=float))
    for row, scores in zip(rows, found.tolist(), strict=True):
        for at, score in enumerate(scores):
            others = [one for other, one in enumerate(row) if other != at]
            assert score == pytest.approx(row[at] - sum(others) / 2)


@given(st.data())
def test_the_routers_curve_equals_a_choice_at_every_price(data):
    rows, models = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 3))
    eighths = st.integers(0, 8).map(lambda one: one / 8)

    def matrix(cell):
        line = st.lists(cell, min_size=models, max_size=models)
        return data.draw(st.lists(line, min_size=rows, max_size=rows))

    prices = data.draw(st.lists(st.integers(1, 9), min_size=models, max_size=models, unique=True))
    table = make_table(matrix(eighths), [prices] * rows, matrix(eighths))
    predicted = np.array(matrix(eighths))
    curve = trace_router(predicted, table)
    # between two changes the choice does not change
    ends = [*curve.usd_per_quality.tolist(), curve.usd_per_quality[-1] * 2 + 100]
    for at, (low, high) in enumerate(zip(ends, ends[1:], strict=False)):
        worth = (low + high) / 2
        chosen = [
            max(range(models), key=lambda m: (predicted[row, m] - prices[m] / worth, -prices[m]))
            for row in range(rows)
        ]
        cost = sum(prices[m] for m in chosen) / rows
        quality = sum(table.quality[row, m] for row, m in enumerate(chosen)) / rows
        assert curve.cost_usd[at] == pytest.approx(cost)
        assert curve.quality[at] == pytest.approx(quality)


def test_files_give_back_the_same_scores_and_the_same_bytes(log, fitted, tmp_path):
    paths = [str(tmp_path / name) for name in ("a.npz", "b.npz")]
    for path in paths:
        save_scorer(fitted.scorer, path)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = load_scorer(paths[0])
    assert again.models == log.models
    np.testing.assert_array_equal(again.score_table(log), fitted.scorer.score_table(log))
    for kind in ("knn", "logistic", "boosting"):
        router = fit_router(log, kind, folds=3).router
        save_router(router, paths[0])
        found = load_router(paths[0])
        assert found.kind == kind
        np.testing.assert_array_equal(found.score(log.questions), router.score(log.questions))


def test_a_scorer_is_no_router(fitted, tmp_path):
    path = str(tmp_path / "s.npz")
    save_scorer(fitted.scorer, path)
    with pytest.raises(
        InputError, match="cannot be used as a router: what it holds is: answer scorer"
    ):
        load_router(path)


def test_hostile_files_are_refused(log, fitted, tmp_path):
    good = tmp_path / "good.npz"
    save_scorer(fitted.scorer, str(good))
    whole = good.read_bytes()
    bad = tmp_path / "bad.npz"
    draw = np.random.default_rng(0)
    damaged = [b"", b"PK", whole[:200], whole[:-40]]
    for _ in range(60):
        data = bytearray(whole)
        data[int(draw.integers(len(data)))] ^= 1 << int(draw.integers(8))
        damaged.append(bytes(data))
    for data in damaged:
        bad.write_bytes(data)
        try:
            again = load_scorer(str(bad))
        except InputError:
            continue
        np.testing.assert_array_equal(again.score_table(log), fitted.scorer.score_table(log))
    with pytest.raises(InputError, match="No such file"):
        load_scorer(str(tmp_path / "none.npz"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema_version is 2"),
        ({"models": ["a", "a"]}, "not distinct names"),
        ({"models": []}, "names no models"),
        ({"predictors": "x"}, "no predictors"),
        (
            {"predictors": [{"kind": "boosting", "trees": 10**9, "depth": 3, "rows": 0}] * 2},
            "fewer",
        ),
        ({"predictors": [{"kind": "pickle"}] * 2}, "no known kind"),
        ({"predictors": [{"kind": "confidence"}] * 2}, "more numbers"),
        ({"digest": "0"}, "checksum"),
        ({"kind": "router"}, "what it holds is: router"),
    ],
)
def test_descriptions_that_lie_are_refused(fitted, tmp_path, change, message):
    path = tmp_path / "s.npz"
    save_scorer(fitted.scorer, str(path))
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(arrays["meta"].tobytes()) | change
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    np.savez(path, **arrays)
    assert zipfile.is_zipfile(path)
    with pytest.raises(InputError, match=message):
        load_scorer(str(path))


@pytest.mark.parametrize("kind", KINDS)
def test_predictors_bear_unknown_and_constant_qualities(kind):
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(60, 4))
    quality = np.stack([(rows[:, 0] > 0) * 1.0, np.ones(60), np.full(60, np.nan)], axis=1)
    quality[::7, 0] = np.nan
    quality[1::9, 0] = 0.5
    found = fit(kind, rows, quality).predict(rows)
    assert found.shape == (60, 3)
    assert ((found >= 0) & (found <= 1)).all()
    assert found[:, 1].min() > 0.9
