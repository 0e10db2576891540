"""A semantic cache in a replay: what it answers is neither sent nor paid for."""

import json

import pytest
from prompt_cache_cases import FIRST, SONNET, ask, count, say, use
from replay_cases import write_jsonl

from frugalctl.errors import InputError
from frugalctl.levers.cascade import CascadePolicy
from frugalctl.levers.prompt_cache import parse_cache_spec
from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
from frugalctl.replay.ledger import open_ledger, writing_ledger
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import ReplayOptions, replaying
from frugalctl.report.encode import render_json
from frugalctl.report.layout import lay_out
from frugalctl.report.summary import summarise

RULES = FIRST[0]
PASSWORD = [RULES, say("user", "How do I reset my password?")]
AGAIN = [RULES, say("user", "how do I reset my  password")]
OTHER = [RULES, say("user", "Which rooms have a view of the sea?")]
THIRD = [RULES, say("user", "When does breakfast end?")]


def replay(tmp_path, rows, *, on_error="fail", ledger=None, **levers):
    path = tmp_path / "log.jsonl"
    write_jsonl(path, rows)
    recipe = Recipe("tried", **({"semantic_cache": SemanticCacheSettings()} | levers))
    with replaying([str(path)], ReplayOptions(recipe=recipe, on_error=on_error)) as run:
        batches = list(run.batches)
        meta = run.finish()
    if ledger:
        with writing_ledger(ledger) as writer:
            for batch in batches:
                writer.write(batch)
            writer.finish(meta)
    return summarise(batches, lambda: meta), batches


def request(time, messages, name, **fields):
    fields = {"response": "Under Settings, Security.", "latency_ms": 800.0} | fields
    return ask(time, messages, SONNET, id=name, **fields)


def test_a_hit_costs_a_look_up_and_nothing_else(tmp_path):
    rows = [
        request(0, PASSWORD, "r1", quality=1.0),
        request(60, AGAIN, "r2", quality=0.5),
        request(90, OTHER, "r3", response="Five and six."),
    ]
    report, (batch,) = replay(tmp_path, rows)
    assert batch.reused_from.to_pylist() == [None, "r1", None]
    assert batch.calls.row.tolist() == [0, 2]
    assert batch.recipe.cost_usd[1] == 0.0
    assert batch.recipe.latency_ms.tolist() == [801.0, 1.0, 801.0]
    assert batch.recipe.model.to_pylist() == [SONNET] * 3
    # the same words as its own answer: as good as that one
    assert batch.recipe.quality.tolist()[:2] == [1.0, 0.5]
    assert report.levers[0].name == "semantic_cache"
    assert report.levers[0].saved_usd == pytest.approx(batch.baseline.cost_usd[1])
    cache = report.semantic_cache
    assert (cache["hits"], cache["exact_hits"], cache["judged_hits"], cache["wrong_hits"]) == (
        (1, 1, 1, 0)
    )


def test_an_answer_that_differs_has_an_unknown_quality(tmp_path):
    rows = [
        request(0, PASSWORD, "r1", quality=1.0),
        request(60, AGAIN, "r2", quality=1.0, response="By mail to the help desk."),
    ]
    report, (batch,) = replay(tmp_path, rows)
    assert str(batch.recipe.quality[1]) == "nan"
    assert report.recipe.quality.n == 1
    assert report.semantic_cache["wrong_of_hits"] == 1.0
    assert report.semantic_cache["stale_hits"] == 1
    assert report.semantic_cache["hits_of_unknown_quality"] == 1
    assert any("would be 0.5000" in note for table in lay_out(report) for note in table.notes)


def test_an_answer_to_the_same_reference_is_as_good_as_it_was(tmp_path):
    rows = [
        request(0, PASSWORD, "r1", quality=0.25, reference="settings"),
        request(60, AGAIN, "r2", quality=1.0, reference="settings", response="Elsewhere."),
    ]
    _, (batch,) = replay(tmp_path, rows)
    assert batch.recipe.quality.tolist() == [0.25, 0.25]


def test_a_hit_never_warms_a_prefix(tmp_path):
    """The third request comes eight minutes after the first; only the hit lies between them."""
    spec = parse_cache_spec("anthropic:breakpoints=system:5m+last:5m")
    rows = [
        request(0, PASSWORD, "r1"),
        request(240, AGAIN, "r2"),
        request(480, OTHER, "r3", response="Five and six."),
    ]
    cold, _ = replay(tmp_path, rows, prompt_cache=spec)
    assert cold.semantic_cache["hits"] == 1
    assert cold.prompt_cache["requests"] == 2
    assert cold.prompt_cache["requests_with_hit"] == 0
    rows[1] = request(240, THIRD, "r2", response="Until eleven.")
    warm, _ = replay(tmp_path, rows, prompt_cache=spec)
    assert warm.semantic_cache["hits"] == 0
    assert warm.prompt_cache["requests_with_hit"] == 2


def test_each_lever_saves_on_top_of_those_before_it(tmp_path):
    rows = [request(60 * at, messages, f"r{at}") for at, messages in enumerate([PASSWORD, AGAIN])]
    rows.append(request(200, OTHER, "r9", response="Five and six."))
    report, _ = replay(tmp_path, rows, prompt_cache=parse_cache_spec("anthropic:5m"))
    assert [lever.name for lever in report.levers] == ["semantic_cache", "prompt_cache"]
    saved = sum(lever.saved_usd for lever in report.levers)
    assert saved == pytest.approx(report.baseline.cost_usd - report.recipe.cost_usd, abs=1e-12)


def outcomes(confidence):
    small = {"model": "gpt-4o-mini", "confidence": confidence, "quality": 0.5}
    large = {"model": "gpt-4o", "confidence": 0.0, "quality": 1.0}
    both = {
        "usage": {"input_tokens": 100, "output_tokens": 10},
        "response": "Under Settings, Security.",
        "latency_ms": 5.0,
    }
    return [one | both for one in (small, large)]


def test_the_cache_keeps_what_the_cascade_answers(tmp_path):
    rows = [
        {"id": "r1", "timestamp": 1_790_000_000, "messages": PASSWORD, "outcomes": outcomes(-1.0)},
        {"id": "r2", "timestamp": 1_790_000_060, "messages": AGAIN, "outcomes": outcomes(1.0)},
    ]
    cascade = CascadePolicy(("gpt-4o-mini", "gpt-4o"), (0.0,))
    report, (batch,) = replay(tmp_path, rows, cascade=cascade)
    assert batch.calls.row.tolist() == [0, 0]
    assert [lever.name for lever in report.levers] == ["semantic_cache", "cascade"]
    assert batch.recipe.latency_ms.tolist() == [11.0, 1.0]
    # the request's own answer would have been the small model's, of equal words
    assert batch.recipe.quality.tolist() == [1.0, 0.5]
    assert batch.reused_from.to_pylist() == [None, "r1"]


def test_a_hit_needs_no_outcome_of_its_own(tmp_path):
    """The cascade lacks an outcome for the second request, which is not sent to it."""
    rows = [
        request(0, PASSWORD, "r1", outcomes=outcomes(1.0)),
        request(60, OTHER, "r2"),
    ]
    cascade = CascadePolicy(("gpt-4o-mini", "gpt-4o"), (0.0,))
    _, (batch,) = replay(tmp_path, rows, cascade=cascade)
    assert batch.covered.tolist() == [True, False]


def test_a_ledger_tells_whose_answers_were_reused(tmp_path):
    ledger = str(tmp_path / "run.parquet")
    rows = [request(0, PASSWORD, "r1"), request(60, AGAIN, "r2")]
    report, _ = replay(tmp_path, rows, ledger=ledger)
    meta, batches = open_ledger(ledger)
    batches = list(batches)
    assert batches[0].reused_from.to_pylist() == [None, "r1"]
    assert render_json(summarise(batches, lambda: meta)) == render_json(report)


def test_bad_lines_are_left_out_of_the_decisions_too(tmp_path):
    rows = [request(0, OTHER, "r0"), request(10, PASSWORD, "r1"), request(60, AGAIN, "r2")]
    path = tmp_path / "log.jsonl"
    write_jsonl(path, rows)
    lines = path.read_text("utf-8").splitlines()
    lines.insert(1, '{"model": 3}')
    path.write_text("\n".join(lines), "utf-8")
    recipe = Recipe("tried", semantic_cache=SemanticCacheSettings())
    with replaying([str(path)], ReplayOptions(recipe=recipe, on_error="skip")) as run:
        reused = [name for batch in run.batches for name in batch.reused_from.to_pylist()]
    assert reused == [None, None, "r1"]


def test_without_questions_there_is_nothing_to_cache(tmp_path):
    row = {"model": SONNET, "usage": use(PASSWORD, SONNET), "response": "x"}
    with pytest.raises(InputError, match="no request can be looked up"):
        replay(tmp_path, [row])


def test_the_json_says_what_the_cache_did(tmp_path):
    rows = [request(0, PASSWORD, "r1"), request(60, AGAIN, "r2")]
    report, _ = replay(tmp_path, rows)
    cache = json.loads(render_json(report))["semantic_cache"]
    assert cache["hit_rate"] == 0.5
    assert cache["not_cacheable"] == {}
    assert [item["key"] for item in cache["scope"]][:2] == ["tenant", "model"]
    assert count(PASSWORD, SONNET)[-1] > 1000
