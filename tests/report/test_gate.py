import json
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.report.gate import judge_gates, parse_gate
from frugalctl.report.metrics import (
    is_of_answers,
    list_metrics,
    quote_name,
    refuse_metric,
    resolve_metric,
)
from frugalctl.report.noise import Estimate

OPERATORS = ("<", "<=", ">", ">=", "==", "!=")


def body(cost_usd=1.0, quality=0.8, **more):
    return {
        "log": {"requests": 10, "unpriced": {"odd": 2, "other": 1}},
        "recipe": {
            "cost_usd": cost_usd,
            "quality": {"mean": quality, "ci95": [0.7, 0.9]},
            "latency_ms": {"mean": 100.0, "p50": None, "p95": 900.0},
        },
        "delta": {"cost_usd": -0.5, "cost_pct": -33.0, "quality_ci95": None},
        "models": [{"model": "gpt-4o.1", "calls": 3, "cost_usd": 0.25}],
        "tasks": [],
    } | more


@given(
    st.sampled_from(("cost_usd", "latency_ms.p95", "models.gpt-4o.1.cost_usd", "log.unpriced")),
    st.sampled_from(OPERATORS),
    st.sampled_from(("", "+", "-")),
    st.floats(0, 1e9).map(repr) | st.integers(0, 10**9).map(str),
    st.booleans(),
    st.sampled_from(("", " ", "  ")),
)
def test_every_expression_of_the_grammar_parses(metric, operator, sign, number, percent, space):
    mark = "%" if percent and sign else ""
    gate = parse_gate(f"{space}{metric}{space}{operator}{space}{sign}{number}{space}{mark}{space}")
    assert (gate.metric, gate.operator) == (metric, operator)
    assert gate.value == (-1 if sign == "-" else 1) * float(number)
    assert gate.relative == bool(sign)
    assert gate.percent == bool(mark)


@pytest.mark.parametrize(
    "text",
    ["", "cost_usd", "cost_usd >", "> 5", "cost_usd = 5", "cost_usd > five", "cost_usd > 5 6",
     "cost_usd > nan", "cost_usd > inf", "cost_usd => 5", "cost_usd > +", "cost_usd > 1_000",
     "cost_usd > 5%%", "5 < cost_usd", "a > 1 > 2", "cost_usd > 1e999", 'tasks."a > 5',
     'tasks."a > 5" cost_usd', " > 5", '"' * 10_001, "a" * 100_000, " " * 100_000],
)  # fmt: skip
def test_what_is_no_gate(text):
    with pytest.raises(UsageError):
        parse_gate(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("cost_usd > 5%", "write 'cost_usd > +5%'"),
        ("quality < 80%", "write 'quality < 0.8', or 'quality < +80%' for its change"),
        ("tasks.faq.quality < 7%", "write 'tasks.faq.quality < 0.07', or"),
        ("semantic_cache.hit_rate < 12.5%", "'semantic_cache.hit_rate < 0.125', or"),
        ("tasks.quality.cost_usd > 5%", "write 'tasks.quality.cost_usd > +5%'"),
        ("delta.cost_pct > 5%", "delta.cost_pct > 5"),
        ("delta.cost_pct > +5%", "delta.cost_pct > 5"),
    ],
)
def test_hints(text, hint):
    with pytest.raises(UsageError) as caught:
        parse_gate(text)
    assert hint in caught.value.hint


def verdict(text, head, base=None, **how):
    (found,) = judge_gates([parse_gate(text)], head, base, **how)
    return found


@pytest.mark.parametrize(
    ("text", "failed", "compared"),
    [
        ("quality < 0.8", False, 0.8),
        ("quality <= 0.8", True, 0.8),
        ("recipe.quality.mean == 0.8", True, 0.8),
        ("cost_usd > +5%", True, 25.0),
        ("cost_usd > +25%", False, 25.0),
        ("cost_usd >= +25%", True, 25.0),
        ("cost_usd < -5%", False, 25.0),
        ("cost_usd > +0.25", False, 0.25),
        ("cost_usd > +0.2", True, 0.25),
        ("quality < -0.05", True, -0.1),
        ("quality < -0.2", False, -0.1),
        ("quality_ci95", None, None),
        ("quality.ci95.lo < 0.75", True, 0.7),
        ("latency_ms.p95 > 900", False, 900.0),
        ("log.unpriced > 0", True, 3),
        ("log.unpriced.odd != 2", False, 2),
        ("models.gpt-4o.1.calls > 2", True, 3),
        ("delta.cost_usd > -0.6", True, -0.5),
        ("delta.cost_pct > +5", False, -33.0),
    ],
)
def test_verdicts(text, failed, compared):
    if failed is None:
        with pytest.raises(UsageError):
            parse_gate(text)
        return
    found = verdict(text, body(cost_usd=1.25), body(cost_usd=1.0, quality=0.9))
    assert (found.failed, found.compared) == (failed, pytest.approx(compared))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cost < 1", "unknown metric 'cost'"),
        ("latency_ms.p50 > 1", "is unknown in the report"),
        ("delta.quality_ci95.lo > 1", "is unknown in the report"),
        ("delta.quality_ci95 > 1", "unknown metric 'delta.quality_ci95'"),
        ("models.gpt-4o.1.calls > +1", "the base report has no metric 'models.gpt-4o.1.calls'"),
        ("latency_ms.p95 > +1", "is unknown in the base report"),
        ("cost_usd > +5%", "the base is 0"),
    ],
)
def test_what_cannot_be_judged_is_an_error(text, message):
    base = body(cost_usd=0, models=[])
    base["recipe"]["latency_ms"]["p95"] = None
    with pytest.raises(UsageError, match=message):
        verdict(text, body(), base)


def test_changes_need_a_base_report():
    with pytest.raises(UsageError, match="compares with a base report"):
        verdict("cost_usd > +5%", body())


def test_nothing_to_nothing_is_no_change():
    assert verdict("cost_usd > +5%", body(cost_usd=0), body(cost_usd=0)).compared == 0.0


def test_a_negative_base_has_a_percentage_of_its_size():
    head, base = body(cost_usd=-1.0), body(cost_usd=-2.0)
    assert verdict("cost_usd > +5%", head, base).compared == 50.0


def test_unknown_metrics_name_the_nearest():
    assert resolve_metric("qualty.mean", list_metrics(body())) is None
    assert "quality.mean" in refuse_metric("qualty.mean", list_metrics(body())).hint


def test_metrics_are_listed_by_path():
    found = list_metrics(body())
    assert found["log.unpriced"] == 3
    assert found["recipe.quality.ci95.lo"] == 0.7
    assert found["recipe.latency_ms.p50"] is None
    assert found["models.gpt-4o.1.cost_usd"] == 0.25


NAMES = [
    "a.b",
    "a < b",
    'quote " and \\ slash',
    "line\nbreak",
    "",
    " ",
    "안내",
    "x > +5%",
    "!=",
    "\u202e",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_addressed(name):
    head = body(tasks=[{"task": name, "cost_usd": 3.0}, {"task": "other", "cost_usd": 9.0}])
    found = verdict(f"tasks.{quote_name(name)}.cost_usd > 2", head)
    assert (found.failed, found.head, found.metric) == (
        True,
        3.0,
        f"tasks.{quote_name(name)}.cost_usd",
    )


@given(st.text(max_size=20), st.sampled_from(OPERATORS))
def test_a_quoted_name_is_one_name(name, op):
    gate = parse_gate(f"tasks.{quote_name(name)}.quality {op} -1")
    assert (gate.operator, gate.value, gate.relative) == (op, -1, True)
    known = list_metrics({"tasks": [{"task": name, "quality": 0.5}]})
    assert resolve_metric(gate.metric, known) == next(iter(known))


def test_quotes_may_stand_where_they_need_not():
    assert verdict('models."gpt-4o.1".calls > 2', body()).metric == "models.gpt-4o.1.calls"


def test_what_is_new_passes_where_that_is_allowed():
    base = body(models=[])
    base["recipe"]["latency_ms"]["p95"] = None
    for text in ("models.gpt-4o.1.calls > +1", "latency_ms.p95 > +1%"):
        found = verdict(text, body(), base, allow_new=True)
        assert (found.status, found.failed, found.base, found.compared) == (
            "new",
            False,
            None,
            None,
        )
        with pytest.raises(UsageError) as caught:
            verdict(text, body(), base)
        assert "--allow-new" in caught.value.hint
    assert verdict("cost_usd > +5%", body(2.0), body(1.0), allow_new=True).failed


def test_what_is_gone_is_an_error_that_says_so():
    for text in ("models.gpt-4o.1.calls > +1", "models.gpt-4o.1.calls > 1"):
        with pytest.raises(UsageError, match="is in the base report, and not in the report"):
            verdict(text, body(models=[]), body(), allow_new=True)


def with_intervals(cost_usd, low, high, requests, /, **delta):
    found = body(cost_usd) | {"origin": {"input_xxh3": requests}, "delta": delta}
    found["recipe"]["cost_usd_ci95"] = [low, high]
    found["baseline"] = {"cost_usd": 10.0}
    return found


def test_a_change_within_noise_says_so_and_fails_all_the_same():
    base = with_intervals(8.0, 7.0, 9.0, "a")
    found = verdict("cost_usd > +5%", with_intervals(9.0, 8.0, 10.0, "b"), base)
    assert (found.status, found.noise) == ("failed", True)
    assert found.pairs is None
    assert found.interval == pytest.approx((12.5 - 2**0.5 * 12.5, 12.5 + 2**0.5 * 12.5))
    ignored = verdict(
        "cost_usd > +5%", with_intervals(9.0, 8.0, 10.0, "b"), base, ignore_noise=True
    )
    assert (ignored.status, ignored.failed) == ("ignored", False)


def test_a_change_beyond_noise_fails_though_noise_is_ignored():
    base = with_intervals(8.0, 7.9, 8.1, "a")
    found = verdict("cost_usd > +1", with_intervals(9.5, 9.4, 9.6, "b"), base, ignore_noise=True)
    assert (found.status, found.noise) == ("failed", False)
    assert found.interval == pytest.approx((1.5 - 0.02**0.5, 1.5 + 0.02**0.5))


def test_of_the_same_requests_the_paired_changes_are_compared():
    base = with_intervals(8.0, 1.0, 20.0, "a", cost_usd=-2.0, cost_usd_ci95=[-2.3, -1.7])
    head = with_intervals(9.0, 1.0, 20.0, "a", cost_usd=-1.0, cost_usd_ci95=[-1.4, -0.6])
    base["log"]["priced"], head["log"]["priced"] = 10, 9
    found = verdict("cost_usd > +15%", head, base)
    assert (found.compared, found.pairs, found.status) == (12.5, 9, "passed")
    assert found.interval == pytest.approx((12.5 - 6.25, 12.5 + 6.25)) and found.noise is False
    del base["log"]["priced"]
    assert verdict("cost_usd > +15%", head, base).pairs is None, "of unknown many requests"
    base["log"]["priced"] = 10
    head["baseline"]["cost_usd"] = head["recipe"]["cost_usd"] + 1.0 + 1.0
    other = verdict("cost_usd > +15%", head, base)
    assert (other.compared, other.pairs, other.noise) == (12.5, None, True)


@pytest.mark.parametrize("slip", [1e-12, 0.01])
def test_figures_that_do_not_add_up_pair_nothing(slip):
    base = with_intervals(8.0, 1.0, 20.0, "a", cost_usd=-2.0, cost_usd_ci95=[-2.3, -1.7])
    head = with_intervals(9.0 + slip, 1.0, 20.0, "a", cost_usd=-1.0, cost_usd_ci95=[-1.4, -0.6])
    base["log"]["priced"] = head["log"]["priced"] = 10
    assert verdict("cost_usd > +15%", head, base).pairs == (10 if slip < 1e-9 else None)


@pytest.mark.parametrize("pairs", [6, 5])
def test_means_over_other_requests_than_the_pairs_are_compared_as_they_stand(pairs):
    base = with_intervals(8.0, 1.0, 20.0, "a", quality=0.1, quality_n=pairs)
    base["baseline"]["quality"] = {"mean": 0.5, "n": 6}
    base["recipe"]["quality"] = {"mean": 0.6, "n": 6}
    head = json.loads(json.dumps(base))
    head["delta"]["quality"] = 0.0
    head["recipe"]["quality"]["mean"] = 0.5
    found = verdict("quality < -0.05", head, base)
    assert found.pairs == (6 if pairs == 6 else None)
    assert (found.status, found.compared) == ("failed", pytest.approx(-0.1))


def test_what_is_known_request_by_request_is_judged():
    pairs = {"recipe.quality.mean": Estimate(-0.02, 0.5, (-0.03, -0.01), 6)}
    found = verdict("quality < -3%", body(quality=0.9), body(quality=0.8), pairs=pairs)
    assert (found.compared, found.pairs, found.status) == (-4.0, 6, "failed")
    assert found.interval == pytest.approx((-6.0, -2.0))
    none = {"cost_usd": Estimate(1.0, 0.0, (0.5, 2.0), 6)}
    none = {f"recipe.{path}": one for path, one in none.items()}
    with pytest.raises(UsageError, match="the base is 0"):
        verdict("cost_usd > +5%", body(), body(), pairs=none)


def test_without_a_base_a_change_is_new_where_that_is_allowed():
    found = verdict("cost_usd > +5%", body(), None, allow_new=True)
    assert (found.status, found.head, found.base) == ("new", 1.0, None)
    with pytest.raises(UsageError, match="unknown metric"):
        verdict("costs > +5%", body(), None, allow_new=True)


def test_prompts_are_priced_against_a_log():
    with pytest.raises(UsageError) as caught:
        verdict("prompts.faq.cost_usd > 1", body())
    assert "--against LOG" in caught.value.hint


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        ("quality", True), ("recipe.quality.ci95.lo", True), ("delta.quality_ci95.lo", True),
        ("tasks.faq.baseline_quality", True), ("latency_ms.p95", True),
        ("delta.latency_ms_mean", True), ('tasks."a.quality".cost_usd', False),
        ("cost_usd", False), ("tasks.quality.cost_usd", False), ("quality.cost_usd_ci95.lo", False),
    ],
)  # fmt: skip
def test_what_is_of_answers(metric, expected):
    assert is_of_answers(metric) is expected


def test_an_interval_of_delta_is_used_as_it_is():
    head = body(delta={"quality": -0.02, "quality_ci95": [-0.05, 0.01]})
    found = verdict("delta.quality < -0.01", head)
    assert (found.noise, found.interval, found.status) == (True, (-0.05, 0.01), "failed")
    assert verdict("delta.quality < -0.01", head, ignore_noise=True).status == "ignored"


def test_no_interval_is_no_noise():
    found = verdict("cost_usd > +5%", body(2.0), body(1.0), ignore_noise=True)
    assert (found.status, found.noise, found.interval) == ("failed", None, None)


def slow_judge(metric, op, sign, number, percent, head, base):
    """Fractions, one rule after the other; None cannot be judged."""
    left = Fraction(head[metric])
    if sign:
        left -= Fraction(base[metric])
        if percent and base[metric] == 0 and left:
            return None
        if percent:
            left = left * 100 / abs(Fraction(base[metric])) if left else Fraction(0)
    right = Fraction(number) * (-1 if sign == "-" else 1)
    return {
        "<": left < right, "<=": left <= right, ">": left > right,
        ">=": left >= right, "==": left == right, "!=": left != right,
    }[op]  # fmt: skip


# eighths: exact in floating point, but for percentages, whose bases are powers of two
EIGHTHS = st.integers(-80, 80).map(lambda number: number / 8)
POWERS = st.sampled_from((-4.0, -0.5, 0.0, 0.25, 1.0, 2.0, 8.0))


@given(
    st.sampled_from(OPERATORS),
    st.sampled_from(("", "+", "-")),
    st.integers(0, 80).map(lambda number: number / 8),
    st.booleans(),
    EIGHTHS,
    POWERS,
)
def test_gates_against_a_slow_reference(op, sign, number, percent, head, base):
    mark = "%" if percent and sign else ""
    text = f"cost_usd {op} {sign}{number!r}{mark}"
    expected = slow_judge(
        "cost_usd", op, sign, number, bool(mark), {"cost_usd": head}, {"cost_usd": base}
    )
    if expected is None:
        with pytest.raises(UsageError, match="the base is 0"):
            verdict(text, body(head), body(base))
    else:
        assert verdict(text, body(head), body(base)).failed == expected
