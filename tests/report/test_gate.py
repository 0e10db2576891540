import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import UsageError
from frugalctl.report.gate import judge, lay_out_verdicts, parse_gate
from frugalctl.report.metrics import list_metrics, resolve_metric

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
     "cost_usd > 5%%", "5 < cost_usd", "a > 1 > 2"],
)  # fmt: skip
def test_what_is_no_gate(text):
    with pytest.raises(UsageError):
        parse_gate(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("cost_usd > 5%", "write 'cost_usd > +5%'"),
        ("delta.cost_pct > +5%", "delta.cost_pct > 5"),
    ],
)
def test_hints(text, hint):
    with pytest.raises(UsageError) as caught:
        parse_gate(text)
    assert hint in caught.value.hint


def verdict(text, head, base=None):
    return judge(parse_gate(text), head, base)


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
        ("delta.quality_ci95 > 1", "is unknown in the report"),
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
    with pytest.raises(UsageError) as caught:
        resolve_metric("qualty.mean", body())
    assert "quality.mean" in caught.value.hint


def test_metrics_are_listed_by_path():
    found = list_metrics(body())
    assert found["log.unpriced"] == 3
    assert found["recipe.quality.ci95.lo"] == 0.7
    assert found["recipe.latency_ms.p50"] is None
    assert found["models.gpt-4o.1.cost_usd"] == 0.25


def test_verdicts_as_a_table_and_as_records():
    found = [
        verdict("cost_usd > +5%", body(cost_usd=1.25), body()),
        verdict("quality < 0.5", body()),
        verdict("latency_ms.mean > +1", body(), body()),
    ]
    table, records = lay_out_verdicts(found)
    assert table.rows == (
        ("FAILED", "cost_usd > +5%", "$1.0000 -> $1.2500", "+25.0 %"),
        ("passed", "quality < 0.5", "0.8000", ""),
        ("passed", "latency_ms.mean > +1", "100.0 -> 100.0", "+0.0"),
    )
    assert [record["failed"] for record in records] == [True, False, False]
    assert records[0]["metric"] == "recipe.cost_usd"
