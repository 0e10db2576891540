import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.errors import InputError, UsageError
from frugalctl.report.diff import compare_reports, format_metric, warn_differences
from frugalctl.report.diff_layout import (
    lay_out_changes,
    render_changes_csv,
    render_changes_json,
    render_changes_markdown,
)
from frugalctl.report.gate import judge_gates, parse_gate
from frugalctl.report.metrics import is_report, load_report
from frugalctl.report.noise import Estimate


def body(cost_usd, quality, models, **more):
    side = {"cost_usd": cost_usd, "quality": {"mean": quality}, "latency_ms": {"mean": 10.0}}
    return {
        "schema_version": 1,
        "recipe": side,
        "baseline": side,
        "models": [{"model": name, "calls": calls} for name, calls in models.items()],
        "days": [{"day": "2026-10-01", "cost_usd": cost_usd}],
    } | more


def tasks(**costs):
    return [{"task": name, "requests": 1, "cost_usd": cost} for name, cost in costs.items()]


def test_old_and_new_amount_and_percent():
    changes = compare_reports(body(2.0, 0.5, {"a": 1, "b": 2}), body(1.5, None, {"a": 1, "c": 3}))
    assert [(c.metric, c.base, c.head, c.amount, c.percent, c.status) for c in changes] == [
        ("recipe.cost_usd", 2.0, 1.5, -0.5, -25.0, "changed"),
        ("recipe.quality.mean", 0.5, None, None, None, "changed"),
        ("recipe.latency_ms.mean", 10.0, 10.0, 0.0, 0.0, "same"),
        ("models.c.calls", None, 3, None, None, "new"),
        ("models.b.calls", 2, None, None, None, "gone"),
    ]
    totals, models = lay_out_changes(changes)
    assert totals.headers == ("metric", "old -> new", "amount", "percent")
    assert totals.rows == (
        ("cost_usd", "$2.0000 -> $1.5000", "-$0.500000", "-25.0 %"),
        ("quality.mean", "0.5000 -> unknown", "", ""),
        ("latency_ms.mean", "10.0 -> 10.0", "+0.0", "+0.0 %"),
    )
    assert models.title == "By model"
    assert models.rows == (
        ("c", "calls", "none -> 3", "new", ""),
        ("b", "calls", "2 -> none", "gone", ""),
    )


def test_the_biggest_change_of_cost_comes_first():
    old = body(1.0, 0.5, {}, tasks=tasks(same=5.0, small=1.0, gone=2.0, large=1.0))
    new = body(1.0, 0.5, {}, tasks=tasks(same=5.0, small=1.5, large=9.0, new=3.0))
    found = [change for change in compare_reports(old, new) if change.section == "tasks"]
    assert list(dict.fromkeys(change.name for change in found)) == ["large", "new", "gone", "small"]


def test_a_long_section_is_cut_with_a_note():
    new = body(1.0, 0.5, {f"m{at}": at for at in range(1, 31)})
    changes = compare_reports(body(1.0, 0.5, {}), new)
    models = lay_out_changes(changes)[1]
    assert [len(models.rows), models.rows[0][0]] == [20, "m30"]
    assert models.notes == ("10 more have changed less; --all shows them.",)
    assert len(lay_out_changes(changes, None)[1].rows) == 30
    assert render_changes_csv(changes).count("\n") == 1 + 3 + 30


def test_days_the_baseline_and_what_is_equal_where_asked_for():
    old, new = body(1.0, 0.5, {"a": 1}), body(2.0, 0.5, {"a": 1})
    brief = {change.metric for change in compare_reports(old, new)}
    full = {change.metric for change in compare_reports(old, new, everything=True)}
    assert full - brief == {
        "baseline.cost_usd",
        "baseline.quality.mean",
        "baseline.latency_ms.mean",
        "models.a.calls",
        "days.2026-10-01.cost_usd",
    }


def test_a_lever_of_one_report_alone_is_told_by_what_it_saves():
    new = body(1.0, 0.5, {}, semantic_cache={"hits": 3})
    new |= {"levers": [{"name": "semantic_cache", "saved_usd": 0.5}]}
    found = [change.metric for change in compare_reports(body(1.0, 0.5, {}), new)]
    assert "levers.semantic_cache.saved_usd" in found and "semantic_cache.hits" not in found
    old = body(1.0, 0.5, {}, semantic_cache={"hits": 2})
    assert "semantic_cache.hits" in [change.metric for change in compare_reports(old, new)]


def test_a_change_within_noise_is_named():
    def with_interval(cost_usd, low, high):
        found = body(cost_usd, 0.5, {})
        found["recipe"] = found["recipe"] | {"cost_usd_ci95": [low, high]}
        return found

    changes = compare_reports(with_interval(8.0, 7.0, 9.0), with_interval(9.0, 8.0, 10.0))
    totals = lay_out_changes(changes)[0]
    assert totals.headers == ("metric", "old -> new", "amount", "95 % interval", "percent")
    assert totals.rows[0] == (
        "cost_usd", "$8.0000 -> $9.0000", "+$1.0000", "[-0.4142, +2.4142] noise", "+12.5 %",
    )  # fmt: skip
    record = json.loads(render_changes_json(changes, []))["changes"][0]
    assert (record["noise"], record["amount_ci95"]) == (
        True,
        pytest.approx([1 - 2**0.5, 1 + 2**0.5]),
    )


def test_a_paired_change_is_shown_with_its_own_interval():
    pairs = {"recipe.quality.mean": Estimate(0.003, 0.5, (0.0, 0.01), 297)}
    changes = compare_reports(body(1.0, 0.5, {}), body(1.0, 0.6, {}), pairs)
    totals = lay_out_changes(changes)[0]
    assert totals.headers[3:] == ("95 % interval", "pairs", "percent")
    assert totals.rows[1] == (
        "quality.mean", "0.5000 -> 0.6000", "+0.0030", "[+0.0000, +0.0100] noise", "297", "+0.6 %",
    )  # fmt: skip
    assert totals.notes == ("Pairs: the change is of so many requests, compared one by one.",)
    assert render_changes_csv(changes).splitlines()[2].endswith(",0.0,0.01,true,297,changed")


def test_a_change_of_fewer_requests_than_its_values_says_so_even_where_it_is_none():
    pairs = {"recipe.cost_usd": Estimate(0.0, 0.5, (0.0, 0.0), 249)}
    old, new = body(1.5, 0.5, {}, log={"priced": 424}), body(0.5, 0.5, {}, log={"priced": 249})
    changes = compare_reports(old, new, pairs)
    totals = lay_out_changes(changes)[0]
    assert totals.headers == ("metric", "old -> new", "amount", "pairs", "percent")
    assert totals.rows[0] == (
        "cost_usd", "$1.5000 -> $0.500000", "$0.000000", "249", "+0.0 %",
    )  # fmt: skip
    assert (
        totals.notes[1] == "The change of cost_usd is of 249 requests in both, its values of all."
    )
    heading = render_changes_markdown(changes, []).splitlines()[1]
    assert heading.endswith("$1.5000 -> $0.500000 (+0.0 % of 249 requests in both)")
    assert len(lay_out_changes(compare_reports(new, new, pairs))[0].notes) == 0


def test_a_base_too_small_for_a_percentage_has_none():
    old, new = body(5e-324, 0.5, {}), body(1.0, 0.5, {})
    old["recipe"], new["recipe"] = (
        one["recipe"] | {"cost_usd_ci95": [0.0, 1.0]} for one in (old, new)
    )
    change = compare_reports(old, new)[0]
    assert (change.amount, change.percent) == (1.0, None)
    assert "inf" not in str(lay_out_changes([change]))
    with pytest.raises(UsageError, match="the base is too small, so its change has no percentage"):
        judge_gates([parse_gate("cost_usd > +5%")], new, old)


@given(st.floats(-1e99, 1e99), st.floats(-1e99, 1e99), st.floats(-1e99, 1e99))
def test_percentages_are_finite_or_unknown(amount, base, end):
    found = Estimate(amount, base, (min(amount, end), max(amount, end)))
    for number in (found.percent, *(found.percent_interval or ())):
        assert number is None or math.isfinite(number)


def test_figures_in_percent_say_so():
    assert format_metric("delta.cost_pct", -32.2756) == "-32.3 %"


def test_from_nothing_there_is_no_percentage():
    change = compare_reports(body(0.0, 0.5, {}), body(1.0, 0.5, {}))[0]
    assert (change.amount, change.percent) == (1.0, None)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("recipe.cost_usd", 1234.5, "$1,234.50"),
        ("recipe.cost_usd_ci95.lo", 1234.5, "$1,234.50"),
        ("models.a.calls", 1234, "1,234"),
        ("recipe.latency_ms.p95", 1234.56, "1,234.6"),
        ("recipe.quality.mean", 0.5, "0.5000"),
        ("recipe.quality.mean", None, "unknown"),
        ("recipe.cost_usd", 0.0000004, "$0.00000040"),
    ],
)
def test_metrics_are_written_as_their_names_suggest(path, value, text):
    assert format_metric(path, value) == text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a frugalctl report"),
        ("{}", "not a frugalctl report"),
        ('{"schema_version": 2, "recipe": {}}', "report of schema 2; this frugalctl reads 1"),
        ('{"schema_version": 0, "recipe": {}}', "report of schema 0; this frugalctl reads 1"),
        ('{"schema_version": "2.1", "recipe": {}}', 'report of schema "2.1"; this'),
        ('{"schema_version": "%s", "recipe": {}}' % ("9" * 5000), 'report of schema "99999'),
        ('{"schema_version": "\u0661", "recipe": {}}', "report of schema"),
        (
            '{"schema_version": 1, "recipe": {}, "recipe": {}}',
            'not JSON: the key "recipe" is there',
        ),
        (
            '{"schema_version": 1, "recipe": {}, "tasks": [{"task": "a"}, {"task": "a"}]}',
            "contradicts itself: tasks.a is there twice",
        ),
        (
            '{"schema_version": 1, "recipe": {"cost_usd_ci95": [2, 1]}}',
            "contradicts itself: recipe.cost_usd_ci95.lo is above",
        ),
        (
            '{"schema_version": 1, "recipe": {"quality": {"ci95": [0, 1.5]}}}',
            "recipe.quality.ci95.1. should have maximum 1",
        ),
        ('{"schema_version": true, "recipe": {}}', "report of schema true"),
        ('{"schema_version": null, "recipe": {}}', "report of schema null"),
        ('{"schema_version": 10, "recipe": {}}', "report of schema 10; this"),
        ('{"schema_version": 1, "recipe": {}, "models": [1]}', "not in the form that we write"),
        ('{"schema_version": 1, "recipe": {"cost_usd": "x"}}', r"recipe.cost_usd should have type"),
        ('{"schema_version": 1, "recipe": {"cost_usd": true}}', "recipe.cost_usd should have type"),
        ('{"schema_version": 1, "recipe": {"cost_usd_ci95": [1]}}', "should have minItems 2"),
        ('{"schema_version": 1, "recipe": {}, "log": null}', "log should have type"),
        ('{"schema_version": 1, "recipe": {}, "tasks": "faq"}', "tasks should have type"),
        ('{"schema_version": 1, "recipe": {}, "log": {"requests": -1}}', "should have minimum 0"),
        ('{"schema_version": 1, "recipe": 1}', "not in the form"),
        ('{"schema_version": 1, "recipe": {}, "origin": 1}', "not in the form"),
        ('{"schema_version": 1, "recipe": {"cost_usd": NaN}}', "not JSON"),
        ('{"schema_version": 1, "recipe": {"cost_usd": 1e999}}', "not JSON"),
        ('{"schema_version": 1, "recipe": 1, "log": {"unpriced": {"a": "b"}}}', "not in the form"),
    ],
)
def test_what_is_no_report(tmp_path, content, message):
    file = tmp_path / "report.json"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        load_report(str(file))


def test_other_schemas_say_what_to_do(tmp_path):
    file = tmp_path / "report.json"
    hints = {2: "a newer frugalctl reads it", 0: "write the report again with this one"}
    for version, hint in hints.items():
        file.write_text(json.dumps({"schema_version": version, "recipe": {}}))
        with pytest.raises(InputError) as caught:
            load_report(str(file))
        assert caught.value.hint == hint


@pytest.mark.parametrize("version", [1, "1", "1.0", "1.7"])
def test_minor_versions_are_read(tmp_path, version):
    file = tmp_path / "report.json"
    file.write_text(json.dumps(body(1.0, 0.5, {}) | {"schema_version": version, "more": {"x": 1}}))
    assert load_report(str(file))["schema_version"] == version


def test_reports_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_report(str(tmp_path / "none"))
    with pytest.raises(InputError, match="cannot be read"):
        load_report(str(tmp_path))
    file = tmp_path / "latin.json"
    file.write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(InputError, match="not JSON"):
        load_report(str(file))


def test_a_report_is_read_as_written(tmp_path):
    file = tmp_path / "report.json"
    file.write_text(json.dumps(body(1.0, 0.5, {})))
    assert load_report(str(file)) == body(1.0, 0.5, {})


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (json.dumps(body(1.0, 0.5, {})), True),
        (json.dumps(body(1.0, 0.5, {}), indent=2), True),
        (json.dumps(body(1.0, 0.5, {}), indent=2, sort_keys=True), True),
        ('{"schema_version": 9, "recipe": 1}', True),
        ('{"model": "a"}\n{"schema_version": 1, "recipe": {}}\n', False),
        ('{"model": "a"}', False),
        ("[]", False),
        ("", False),
        ("{\n", False),
        ("[" * 100_000, False),
        ('{"a": ' * 100_000, False),
        (b"PAR1\xff\xfe", False),
        (b"{\xff\xfe\n}", False),
    ],
)
def test_reports_are_told_from_logs(tmp_path, content, expected):
    file = tmp_path / "file"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert is_report(str(file)) is expected
    assert not is_report(str(tmp_path)) and not is_report(str(tmp_path / "none"))


def test_reports_about_other_requests_are_named():
    old = body(1.0, 0.5, {}, log={"requests": 1000, "priced": 5})
    new = body(1.0, 0.5, {}, log={"requests": 2000})
    (warning,) = warn_differences(old, new)
    assert "(requests 1,000 -> 2,000, priced 5 -> unknown)" in warning
    assert warn_differences(old, old) == []


def test_what_else_differs_is_named():
    def of(version, **origin):
        return body(1.0, 0.5, {}, origin=origin, frugalctl_version=version)

    old = of("0.1.0", prices="book", price_book="2026-10-01", seed=0, input_xxh3="a")
    new = of("0.2.0", prices="book", price_book="2026-11-20", seed=1, input_xxh3="b")
    assert warn_differences(old, new) == [
        "the reports are of different logs with as many requests",
        "prices changed between the reports (price_book 2026-10-01 -> 2026-11-20): part of the "
        "change is theirs",
        "the reports are of different versions (frugalctl_version 0.1.0 -> 0.2.0)",
        "the reports draw their intervals differently (seed 0 -> 1)",
    ]


_names = st.text(max_size=5)
_values = st.none() | st.integers(-5, 5) | st.floats(-5, 5)
_bodies = st.builds(
    lambda cost_usd, quality, items: body(
        cost_usd, quality, {}, tasks=[{"task": name, "cost_usd": x} for name, x in items.items()]
    ),
    _values,
    _values,
    st.dictionaries(_names, _values, max_size=4),
)


@given(_bodies, _bodies)
def test_every_change_is_there_once_and_adds_up(old, new):
    changes = compare_reports(old, new, everything=True)
    paths = [change.metric for change in changes]
    assert len(paths) == len(set(paths))
    for change in changes:
        if change.amount is not None:
            assert change.base + change.amount == pytest.approx(change.head)
        assert (change.status == "same") == (
            change.base == change.head and change.status not in ("new", "gone")
        )
    cost = {task["task"]: task["cost_usd"] for task in new["tasks"]}
    found = {
        one.name: one.head for one in changes if one.section == "tasks" and one.status != "gone"
    }
    assert found == cost


@given(_bodies, _bodies)
def test_markdown_has_a_row_a_line(old, new):
    changes = compare_reports(old, new)
    lines = render_changes_markdown(changes, []).split("\n")
    tables = len(lay_out_changes(changes))
    assert sum(line.startswith("|") for line in lines) == len(changes) + 2 * tables
    assert sum(line.startswith("#") for line in lines) == 2
