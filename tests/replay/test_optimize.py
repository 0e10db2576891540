"""From a log to a policy: what the search predicts is what a replay finds."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from frugalctl.errors import ConfigError, InputError, UsageError
from frugalctl.levers.cascade import CascadePolicy
from frugalctl.levers.cascade.judges import judge_by_log
from frugalctl.levers.cascade.scorer import AnswerScorer
from frugalctl.levers.cascade.settings import dump_cascade_table, parse_cascade_table
from frugalctl.replay.goal import Goal, parse_budget
from frugalctl.replay.learn import Learned, LearnOptions
from frugalctl.replay.optimize import OptimizeOptions, optimize
from frugalctl.replay.optimize_rows import pick_models
from frugalctl.replay.outcomes import OutcomeOptions, read_outcomes
from frugalctl.replay.recipe import Recipe, load_recipe, parse_recipe
from frugalctl.replay.run import ReplayOptions, replaying
from frugalctl.report.summary import summarise

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "cascade"
PRICES = {"small": 0.001, "middle": 0.004, "large": 0.02}
SKILL = {"small": 0.6, "middle": 0.8, "large": 0.93}


def write_log(path, rows=160, seed=0, tasks=("faq",), confident=True, sessions=False):
    """Three models; the dearer are right more often, and all know when they are."""
    draw = np.random.default_rng(seed)
    lines = []
    for at in range(rows):
        hard = draw.random()
        task = tasks[at % len(tasks)]
        outcomes = []
        for model, cost in PRICES.items():
            # for the task "odd" the small model is as good as the large one
            skill = SKILL["large" if task == "odd" else model]
            right = float(hard < skill)
            outcomes.append(
                {
                    "model": model,
                    "response": f"It is {at}." if right else f"Perhaps {draw.integers(999)}?",
                    "latency_ms": 100 * cost / 0.001,
                    "cost_usd": cost,
                    "quality": right,
                    "confidence": skill - hard + draw.normal(0, 0.1) if confident else None,
                }
            )
        lines.append(
            {
                "id": f"r{at}",
                "session": f"s{at // 4}" if sessions else None,
                "task": task,
                "timestamp": 1_790_000_000 + 60 * at,
                "messages": [{"role": "user", "content": f"What is number {at} of {task}?"}],
                "outcomes": outcomes,
            }
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return str(path)


def read(path, texts=False):
    return read_outcomes([path], OutcomeOptions(prices="log", texts=texts))


def replay_policy(path, policy, tasks=()):
    recipe = Recipe("tried", cascade=policy, cascade_tasks=tasks)
    with replaying([path], ReplayOptions(recipe=recipe, baseline="large", prices="log")) as run:
        return summarise(run.batches, run.finish, seed=0).recipe


def options(goal=None, **more):
    learn = more.pop("learn", LearnOptions(score="confidence"))
    return OptimizeOptions(goal or Goal(usd_per_quality=0.1), learn, **more)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_log(tmp_path_factory.mktemp("log") / "log.jsonl")


def test_a_log_becomes_a_table(log):
    table = read(log, texts=True)
    assert table.models == tuple(PRICES)
    assert len(table) == 160 and table.complete.all()
    assert table.cost_usd[0].tolist() == list(PRICES.values())
    assert table.questions[3] == "What is number 3 of faq?"
    assert table.responses[2][0] in ("It is 0.", *(f"Perhaps {n}?" for n in range(1000)))
    assert len(set(table.clusters.tolist())) == 160


def test_sessions_share_a_number_and_observed_answers_count(tmp_path):
    lines = [
        {"session": "a", "model": "x", "quality": 1, "cost_usd": 2, "latency_ms": 5},
        {"session": "a", "model": "x", "outcomes": [{"model": "x", "quality": 0, "cost_usd": 3}]},
        {"model": "y", "quality": 0.5, "cost_usd": 1},
        {"outcomes": [{"model": "y"}]},
    ]
    path = tmp_path / "log.jsonl"
    usage = {"usage": {"input_tokens": 1, "output_tokens": 1}}
    path.write_text("".join(json.dumps(line | usage) + "\n" for line in lines))
    table = read(str(path))
    assert table.models == ("x", "y")
    assert table.clusters[0] == table.clusters[1]
    assert len(set(table.clusters.tolist())) == 3
    assert table.quality[:2, 0].tolist() == [1.0, 0.0], "an outcome goes before what was observed"
    assert table.present.tolist() == [[True, False], [True, False], [False, True], [False, True]]
    assert not table.complete.any()


@pytest.mark.parametrize("score", ["confidence", "agreement"])
def test_replaying_any_policy_of_the_front_gives_what_was_predicted(log, score):
    learn = LearnOptions(score=score, score_ms=3.0, score_usd=0.0001)
    found = optimize(read(log, texts=True), options(learn=learn))
    assert len(found.front) > 2
    for at in np.unique(np.linspace(0, len(found.front) - 1, 12).astype(int)).tolist():
        side = replay_policy(log, found.front.policies[at])
        assert side.cost_usd == pytest.approx(found.front.cost_usd[at] * 160, rel=1e-12)
        assert side.quality.mean == pytest.approx(found.front.quality[at], rel=1e-12)
        assert side.latency_ms.mean == pytest.approx(found.front.latency_ms[at], rel=1e-12)


@pytest.mark.parametrize("name", ["mmlu.test", "medmcqa.test"])
def test_published_logs_replay_as_predicted(name):
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout: public logs are no part of it")
    table = read(str(path))
    found = optimize(table, options(folds=2))
    for at in np.linspace(0, len(found.front) - 1, 6).astype(int).tolist():
        recipe = Recipe("tried", cascade=found.front.policies[at])
        with replaying([str(path)], ReplayOptions(recipe=recipe, prices="log")) as run:
            side = summarise(run.batches, run.finish, seed=0).recipe
        assert side.cost_usd == pytest.approx(found.front.cost_usd[at] * len(table), rel=1e-12)
        assert side.quality.mean == pytest.approx(found.front.quality[at], rel=1e-12)
        assert side.latency_ms.mean == pytest.approx(found.front.latency_ms[at], rel=1e-12)


def test_a_learned_scorer_and_router_are_replayed_from_their_files(log, tmp_path):
    learn = LearnOptions(score="learned", router="logistic", score_ms=1.0)
    table = read(log, texts=True)
    found = optimize(table, options(learn=learn, split="random"))
    learned = found.learned
    assert learned.judges.router is not None and "scorer" in learned.fresh
    policies = [
        CascadePolicy(("small", "large"), (0.6,), learned.judges.score, score_ms=1.0),
        CascadePolicy(
            ("small", "large"), (0.0,), router=learned.judges.router, steps=("route",), route_ms=2.0
        ),
    ]
    learned.save(tmp_path, policies)
    judges = learned.judge(table)
    for policy in policies:
        from frugalctl.levers.cascade.front import evaluate

        expected = evaluate(table, policy, judges)
        dumped = dump_cascade_table(policy)
        recipe = parse_recipe({"cascade": dumped}, "saved", tmp_path)
        side = replay_policy(log, recipe.cascade)
        assert side.cost_usd == pytest.approx(expected.cost_usd.sum(), rel=1e-12)
        assert side.quality.mean == pytest.approx(expected.quality.mean(), rel=1e-12)
        assert side.latency_ms.mean == pytest.approx(expected.latency_ms.mean(), rel=1e-12)


def test_a_scorer_that_does_not_know_a_model_is_refused(log, tmp_path):
    table = read(log, texts=True).select(("small", "middle"))
    learn = LearnOptions(score="learned")
    found = optimize(table, options(learn=learn, split="random")).learned
    policy = CascadePolicy(("large", "small"), (0.5,), found.judges.score)
    found.save(tmp_path, [policy])
    policy = replace(policy, score=str(tmp_path / found.judges.score))
    with pytest.raises(ConfigError, match="was not made for large"):
        replay_policy(log, policy)


def test_held_out_rows_are_all_rows_in_turns_and_a_share_else(log):
    table = read(log)
    in_turns = optimize(table, options(split="folds", folds=4)).heldout
    assert (in_turns.rows, in_turns.reference_quality) == (160, table.quality[:, 2].mean())
    by_time = optimize(table, options(split="time"))
    assert by_time.heldout.rows == 48
    assert len(by_time.table) == 112
    assert by_time.table.time_us.max() < sorted(table.time_us.tolist())[112]


def test_a_certificate_is_in_the_result(log):
    goal = Goal(max_quality_loss=0.2, confidence=0.8)
    found = optimize(read(log), options(goal))
    certificate = found.choice.chosen.certificate
    assert certificate.granted
    assert found.choice.policy.models != ("large",)
    thin = optimize(read(log), options(Goal(max_quality_loss=0.001)))
    assert not thin.choice.chosen.certificate.granted
    assert thin.choice.policy == CascadePolicy(("large",), ())
    assert thin.heldout.saving == 0


def test_goals_choose_differently(log):
    table = read(log)
    cheap = optimize(table, options(Goal(budget_usd=0.003), folds=2))
    assert cheap.train.cost_usd.mean() <= 0.003 + 1e-12
    quick = optimize(table, options(Goal(latency_p95_ms=450), folds=2))
    assert np.percentile(quick.train.latency_ms, 95) <= 450
    assert quick.train.quality.mean() < table.quality[:, 2].mean()
    poor, rich = (
        optimize(table, options(Goal(usd_per_quality=usd), folds=2)) for usd in (0.001, 10)
    )
    assert poor.train.cost_usd.mean() < rich.train.cost_usd.mean()
    assert poor.train.quality.mean() < rich.train.quality.mean()


def test_tasks_have_policies_of_their_own_where_that_pays(tmp_path):
    log = write_log(tmp_path / "log.jsonl", 800, tasks=("faq", "odd"))
    goal = Goal(usd_per_quality=0.02)
    found = optimize(read(log), options(goal, by_task=True, folds=2))
    assert [task for task, _ in found.choice.tasks] == ["faq", "odd"]
    assert dict(found.choice.tasks)["odd"].policy.models == ("small",)
    tasks = tuple((task, one.policy) for task, one in found.choice.tasks)
    side = replay_policy(log, found.choice.policy, tasks)
    assert side.cost_usd == pytest.approx(found.train.cost_usd.sum(), rel=1e-12)
    assert side.quality.mean == pytest.approx(found.train.quality.mean(), rel=1e-12)
    same = write_log(tmp_path / "same.jsonl", 400, tasks=("faq", "law"), seed=4)
    plain = optimize(read(same), options(goal, by_task=True, folds=2))
    if not plain.choice.tasks:
        assert any("do not pay" in note for note in plain.notes)


def test_what_cannot_be_learned_from_is_said(log, tmp_path):
    table = read(log)
    with pytest.raises(UsageError, match="no outcome of lage") as error:
        pick_models(table, ["lage", "small"])
    assert "large" in error.value.hint
    with pytest.raises(UsageError, match="1 model is left"):
        pick_models(table, ["small"])
    with pytest.raises(InputError, match="answers of 1 model"):
        pick_models(table.select(("small",)), [])
    with pytest.raises(InputError, match="no outcome has a confidence"):
        blind = replace(table, confidence=np.full(table.quality.shape, np.nan))
        optimize(blind, options())
    with pytest.raises(InputError, match="no quality is known of small, middle, large"):
        optimize(replace(table, quality=np.full(table.quality.shape, np.nan)), options())
    with pytest.raises(UsageError, match="no policy costs at most"):
        optimize(table, options(Goal(budget_usd=1e-9)))
    with pytest.raises(UsageError, match="no policy answers 95 %"):
        optimize(table, options(Goal(latency_p95_ms=1)))
    with pytest.raises(UsageError, match="no policy within the limit on latency costs"):
        optimize(table, options(Goal(latency_p95_ms=450, budget_usd=1e-9)))


def test_logs_from_which_little_follows_are_answered_with_a_note(log):
    table = read(log)
    equal = optimize(replace(table, quality=np.ones(table.quality.shape)), options())
    assert equal.choice.policy.models == ("small",)
    assert any("same quality on every request" in note for note in equal.notes)
    twins = replace(
        table,
        quality=table.quality[:, [0, 0, 2]],
        cost_usd=table.cost_usd[:, [0, 0, 2]],
    )
    found = optimize(twins, options())
    assert "small and middle have the same quality and cost on every request" in found.notes
    few = optimize(table.take(np.arange(10)), options())
    assert any("10 requests are few" in note for note in few.notes)
    blind = replace(table, confidence=np.full(table.quality.shape, np.nan))
    singles = optimize(blind, options(learn=LearnOptions(score="auto")))
    assert all(len(policy.models) == 1 for policy in singles.front.policies)
    assert any("only single models" in note for note in singles.notes)


@pytest.mark.parametrize(
    ("text", "usd"),
    [("0.20/1k", 0.0002), ("$3/M", 3e-6), ("0.5", 0.5), ("2/100", 0.02), (" 1e-3/k ", 1e-6)],
)
def test_budgets(text, usd):
    assert parse_budget(text) == pytest.approx(usd)


@pytest.mark.parametrize("text", ["", "x", "1/0", "1/2/3", "/k"])
def test_what_is_no_budget(text):
    with pytest.raises(UsageError, match="is no budget"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"max_quality_loss": 0.1, "usd_per_quality": 1.0}, "contradict"),
        ({"max_quality_loss": 1.0}, "--max-quality-loss 1 is not"),
        ({"confidence": 1.0}, "--confidence 1 is not"),
        ({"budget_usd": 0.0}, "--budget 0 is not above 0"),
        ({"latency_p95_ms": -1.0}, "--max-latency-p95 -1 is not above 0"),
        ({"usd_per_quality": float("nan")}, "--willingness-to-pay nan is not above 0"),
    ],
)
def test_goals_that_make_no_sense(wanted, message):
    with pytest.raises(UsageError, match=message):
        Goal(**wanted)


def test_a_recipe_of_every_kind_is_read_as_it_was_written(tmp_path):
    policy = CascadePolicy(
        ("b", "a", "b"),
        (0.25, float("-inf")),
        "agreement",
        router="r.npz",
        steps=("route", "ask"),
        score_ms=1.5,
        score_usd=1e-6,
        route_ms=0.2,
    )
    assert parse_cascade_table(dump_cascade_table(policy)) == policy
    file = tmp_path / "r.toml"
    file.write_text(
        '[cascade]\nmodels = ["a"]\n[cascade.tasks."x.y"]\nmodels = ["b", "a"]\nthresholds = [1]\n'
    )
    recipe = load_recipe(str(file))
    assert recipe.cascade_tasks == (("x.y", CascadePolicy(("b", "a"), (1.0,))),)
    assert recipe.settings()["cascade"]["tasks"]["x.y"]["models"] == ("b", "a")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"models": ["a", "b"], "thresholds": [1], "steps": ["rout"]}, "unknown step 'rout'"),
        ({"models": ["a", "b"], "thresholds": [1], "steps": ["route"]}, "needs a router"),
        ({"models": ["a", "b"], "thresholds": [1], "router": "r.npz"}, "needs a router"),
        ({"models": ["a"], "score_ms": "x"}, "score_ms is not a number"),
        ({"models": ["a"], "score_usd": -1}, "score_usd is not a number of at least 0"),
        ({"models": ["a", "b", "a"], "thresholds": [1, 1]}, "names a model twice"),
        ({"models": ["a"], "tasks": []}, "tasks is not a table"),
        ({"models": ["a"], "tasks": {"x": {"models": []}}}, r"\[cascade.tasks.x\] models is empty"),
        ({"models": ["a"], "tasks": {"x": {"tasks": {}}}}, "not a table of a policy"),
        ({"models": ["a"], "thresholdes": []}, "unknown key 'thresholdes'"),
    ],
)
def test_recipes_that_make_no_sense(table, message):
    with pytest.raises(ConfigError, match=message):
        parse_recipe({"cascade": table}, "x")


def test_too_many_models_are_refused_before_the_search(tmp_path):
    rows = [
        {
            "id": f"r{row}",
            "outcomes": [
                {"model": f"m{at}", "cost_usd": 0.1 + at, "quality": float((row + at) % 3 > 0)}
                for at in range(45)
            ],
        }
        for row in range(12)
    ]
    path = tmp_path / "many.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    table = read_outcomes([str(path)], OutcomeOptions(prices="log"))
    wanted = OptimizeOptions(Goal(budget_usd=5.0), LearnOptions())
    with pytest.raises(UsageError, match="45 models have 85,140 orders of 3, too many"):
        optimize(table, wanted)


def test_the_reference_of_all_turns_is_the_model_that_is_named(log):
    table = read(log)
    found = optimize(table, options(Goal(usd_per_quality=0.05)))
    at = table.models.index(found.choice.reference)
    assert found.heldout.rows == len(table)
    assert found.heldout.reference_quality == pytest.approx(table.quality[:, at].mean())
    assert found.heldout.reference_cost_usd == pytest.approx(table.cost_usd[:, at].sum())


def test_what_is_kept_for_want_of_a_certificate_is_judged_itself(tmp_path):
    write_log(tmp_path / "few.jsonl", rows=40)
    found = optimize(read(tmp_path / "few.jsonl"), options(Goal(max_quality_loss=0.01)))
    assert not found.choice.chosen.certificate.granted
    assert found.choice.policy == CascadePolicy((found.choice.reference,), ())
    assert (found.heldout.saving, found.heldout.delta_quality) == (0.0, 0.0)
    assert (found.heldout.rows, found.heldout.same) == (40, 1.0)


def test_the_limits_hold_for_what_is_kept_too(tmp_path):
    write_log(tmp_path / "few.jsonl", rows=40)
    table = read(tmp_path / "few.jsonl")
    with pytest.raises(UsageError, match="large, costs 20 USD for 1,000 requests"):
        optimize(table, options(Goal(max_quality_loss=0.01, budget_usd=0.01)))
    slow = float(np.percentile(table.latency_ms[:, table.models.index("large")], 95))
    with pytest.raises(UsageError, match="large, has a latency p95 of"):
        optimize(table, options(Goal(max_quality_loss=0.01, latency_p95_ms=slow - 1)))
    kept = optimize(table, options(Goal(max_quality_loss=0.01, budget_usd=0.02)))
    assert kept.choice.policy.models == ("large",)


def test_a_scorer_is_named_only_where_it_is_used(log):
    learned = Learned(
        judge_by_log(read(log)),
        scorer=AnswerScorer(("small", "large"), (None, "any"), np.empty((0, 0)), ""),
    )
    learned = replace(learned, judges=replace(learned.judges, score="s.npz"))
    raw = CascadePolicy(("small", "large"), (0.5,), score="s.npz", score_ms=0.5)
    assert learned.settle(raw) == CascadePolicy(("small", "large"), (0.5,))
    used = CascadePolicy(("large", "small"), (0.5,), score="s.npz", score_ms=0.5)
    assert learned.settle(used) == used
