import json

import pytest

from frugalctl.errors import InputError
from frugalctl.report.diff import (
    compare_reports,
    format_metric,
    lay_out_changes,
    warn_population,
)
from frugalctl.report.metrics import load_report


def body(cost_usd, quality, models):
    side = {"cost_usd": cost_usd, "quality": {"mean": quality}, "latency_ms": {"mean": 10.0}}
    return {
        "schema_version": 1,
        "recipe": side,
        "baseline": side,
        "models": [{"model": name, "calls": calls} for name, calls in models.items()],
        "days": [{"day": "2026-10-01", "cost_usd": cost_usd}],
    }


def test_old_and_new_amount_and_percent():
    changes = compare_reports(body(2.0, 0.5, {"a": 1, "b": 2}), body(1.5, None, {"a": 1, "c": 3}))
    assert [(c.metric, c.base, c.head, c.amount, c.percent) for c in changes] == [
        ("recipe.cost_usd", 2.0, 1.5, -0.5, -25.0),
        ("recipe.quality.mean", 0.5, None, None, None),
        ("recipe.latency_ms.mean", 10.0, 10.0, 0.0, 0.0),
        ("models.c.calls", None, 3, None, None),
        ("models.b.calls", 2, None, None, None),
    ]
    assert lay_out_changes(changes, "old", "new").rows == (
        ("recipe.cost_usd", "$2.0000 -> $1.5000", "-$0.500000", "-25.0 %"),
        ("recipe.quality.mean", "0.5000 -> unknown", "", ""),
        ("recipe.latency_ms.mean", "10.0 -> 10.0", "+0.0", "+0.0 %"),
        ("models.c.calls", "unknown -> 3", "", ""),
        ("models.b.calls", "2 -> unknown", "", ""),
    )


def test_from_nothing_there_is_no_percentage():
    change = compare_reports(body(0.0, 0.5, {}), body(1.0, 0.5, {}))[0]
    assert (change.amount, change.percent) == (1.0, None)


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("recipe.cost_usd", 1234.5, "$1,234.50"),
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
        ('{"schema_version": 1, "recipe": {}, "models": [1]}', "not in the form that we write"),
        ('{"schema_version": 1, "recipe": {"x": [1]}}', "not in the form that we write"),
        ('{"schema_version": 1, "recipe": 1, "log": {"unpriced": {"a": "b"}}}', "not in the form"),
    ],
)
def test_what_is_no_report(tmp_path, content, message):
    file = tmp_path / "report.json"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        load_report(str(file))


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


def test_reports_about_other_requests_are_named():
    old = body(1.0, 0.5, {}) | {"log": {"requests": 1000, "priced": 5}}
    new = body(1.0, 0.5, {}) | {"log": {"requests": 2000}}
    warning = warn_population(old, new)
    assert warning is not None and "(requests 1,000 -> 2,000, priced 5 -> unknown)" in warning
    assert warn_population(old, old) is None


def test_groups_are_compared_where_asked_for():
    def with_task(cost_usd):
        return body(1.0, 0.5, {}) | {"tasks": [{"task": "faq", "cost_usd": cost_usd}]}

    found = [
        [change.metric for change in compare_reports(with_task(1.0), with_task(2.0), groups=groups)]
        for groups in (False, True)
    ]
    assert "tasks.faq.cost_usd" not in found[0]
    assert "tasks.faq.cost_usd" in found[1]
