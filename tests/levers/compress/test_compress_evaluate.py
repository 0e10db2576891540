"""Retention of answers and evidence: what counts, and what is refused."""

import json
import math

import pytest
from scipy.stats import binomtest

from frugalctl.errors import BadLine, UsageError
from frugalctl.levers.compress.evaluate import bound_share, evaluate, read_cases, survives
from frugalctl.levers.compress.settings import CompressSettings

SETTINGS = CompressSettings(embedder="none")


def lines(*cases):
    return [json.dumps(case).encode() for case in cases]


def towns(asked, answers):
    names = ["Bavo", "Kelu", "Mirosa", "Tagin", "Zepol", "Duvrik"]
    documents = [
        {
            "title": name,
            "text": f"{name} lies on a river. Its mayor is called {name[::-1].title()}. "
            "The market is on Friday. Trains leave from the northern station every hour.",
        }
        for name in names
    ]
    question = f"who is the mayor of {names[asked]}?"
    return {"id": asked, "documents": documents, "question": question, **answers}


def test_answers_and_evidence():
    cases = list(
        read_cases(
            lines(
                towns(0, {"answers": ["Ovab", "nobody"]}),
                towns(1, {"evidence": ["Its mayor is called Ulek.", "Kelu"]}),
                towns(2, {"answers": ["not in it"]}),
            ),
            source="cases.jsonl",
        )
    )
    result = evaluate(cases, [2, 4], SETTINGS, usd_per_token=0.001)
    assert result.unanswerable == ("2",)
    for row in result.rows:
        assert (row.kept, row.cases, row.failed, row.share) == (2, 2, 0, 1.0)
        assert row.tokens_after <= row.tokens_before / row.factor
        assert row.cost_usd_after == pytest.approx(row.tokens_after * 0.001)
        assert row.seconds > 0
    assert evaluate(cases, [2], SETTINGS).rows[0].cost_usd_before is None


def test_what_is_dropped_does_not_survive():
    case = towns(3, {"evidence": ["Its mayor is called Ovab.", "Its mayor is called Kirvud."]})
    (case,) = read_cases(lines(case), source="x")
    (row,) = evaluate([case], [6], SETTINGS).rows
    assert row.kept == 0
    assert not survives(case, "Its mayor is called Ovab.")
    assert survives(case, "Its mayor is called\nOvab. Its mayor  is called Kirvud.")


def test_a_budget_that_cannot_be_kept_counts_as_failed():
    value = {"prompt": "One. {a} {b} {c} {d} {e}. Two.", "question": "?", "answers": "Two"}
    (row,) = evaluate(list(read_cases(lines(value), source="x")), [20], SETTINGS).rows
    assert (row.kept, row.failed, row.cases, row.tokens_before) == (0, 1, 1, 0)


@pytest.mark.parametrize(("kept", "cases"), [(0, 10), (10, 10), (3, 7), (295, 300)])
def test_interval_is_exact(kept, cases):
    wanted = binomtest(kept, cases).proportion_ci(0.95, method="exact")
    assert bound_share(kept, cases) == pytest.approx((wanted.low, wanted.high))


def test_no_cases():
    (row,) = evaluate([], [2], SETTINGS).rows
    assert math.isnan(row.share) and math.isnan(row.low)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"{",
        b'{"prompt": "x", "question": "q"}',
        b'{"prompt": "x", "answers": ["a"], "evidence": ["b"]}',
        b'{"documents": "x", "answers": ["a"]}',
        b'{"documents": [3], "answers": ["a"]}',
        b'{"documents": ["x"], "prompt": "y", "answers": ["a"]}',
        b'{"prompt": "x", "answers": [""]}',
        b'{"prompt": "x", "answers": [1]}',
        b'{"prompt": "x", "answers": {"a": 1}}',
    ],
)
def test_bad_lines(line):
    with pytest.raises(BadLine) as caught:
        list(read_cases([b"\n", line], source="cases.jsonl"))
    assert caught.value.line == 2
    assert str(caught.value).startswith("cases.jsonl:2: ")


def test_factor_of_one():
    with pytest.raises(UsageError, match="not above 1"):
        evaluate([], [1], SETTINGS)
