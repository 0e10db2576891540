"""No answer crosses from a tenant to another, or from a conversation to another."""

import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from cache_cli import ROWS, request, run, write_log
from hypothesis import given, settings
from hypothesis import strategies as st

FOLLOWUPS = (
    Path(__file__).resolve().parents[3] / "shared/data/semcache/multiturn_followups.jsonl.gz"
)
TENANTS = ("acme", "globex")
TALK = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi!"}]
LOOSE = ("--threshold", "-1", "--guards", "none", "--format", "jsonl")
TEXTS = st.sampled_from([row[1] for row in ROWS]) | st.text(max_size=9)
NAMES = st.sampled_from([*TENANTS, "tenant:acme", "ACME", "acme ", ""]) | st.none()
HISTORIES = st.sampled_from([None, [], TALK, TALK[:1]])
SYSTEMS = st.sampled_from([None, "", "Be brief.", "You serve acme."])
MESSAGES = st.builds(
    lambda system, history, text: [
        *([{"role": "system", "content": system}] if system else []),
        *(history or []),
        {"role": "user", "content": text},
    ],
    SYSTEMS,
    HISTORIES,
    TEXTS,
)
LINES = st.fixed_dictionaries(
    {},
    optional={
        "query": TEXTS,
        "messages": MESSAGES,
        "tenant": NAMES,
        "model": st.sampled_from(["gpt-4o-mini", "gpt-4o", None]),
        "system": SYSTEMS,
        "history": HISTORIES,
        "tools": st.sampled_from([None, [], [{"name": "f"}]]),
        "sampling": st.sampled_from([None, {}, {"temperature": 0}]),
        "timestamp": st.sampled_from(["2026-10-02", 1_760_000_000, None]),
    },
).filter(lambda line: "query" in line or "messages" in line)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """An index in which every answer names its tenant, with histories and system prompts."""
    folder = tmp_path_factory.mktemp("shared")
    brief = {"role": "system", "content": "Be brief."}
    records, at = [], 0
    for before in ([], TALK, [brief], [brief, *TALK]):
        for row in ROWS:
            records.append(request(at, *row, before=before, timestamp="2026-10-01"))
            at += 1
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    for name, options in (("idx", ()), ("loose", ("--scope", "tenant"))):
        assert run("cache", "build", log, "-o", folder / name, *options).code == 0
    return folder


@settings(max_examples=60)
@given(
    lines=st.lists(LINES, min_size=1, max_size=20),
    tenant=st.sampled_from([None, *TENANTS]),
    index=st.sampled_from(["idx", "loose"]),
)
def test_a_tenants_answers_go_to_that_tenant_alone(shared, lines, tenant, index):
    said = () if tenant is None else ("--tenant", tenant)
    stdin = "".join(json.dumps(line) + "\n" for line in lines).encode()
    result = run("cache", "query", shared / index, "-", *said, *LOOSE, stdin=stdin)
    assert result.code == 0
    for line, record in zip(lines, result.records(), strict=True):
        if record["hit"]:
            asker = tenant or line.get("tenant")
            assert record["response"].split(":")[0] == (asker or "none")
            assert line.get("tenant") in (asker, None)


def test_each_tenant_does_find_its_own(shared):
    for tenant in (None, *TENANTS):
        said = () if tenant is None else ("--tenant", tenant)
        question = json.dumps({"query": "how do i reset my password", "system": ""}).encode()
        found = run("cache", "query", shared / "idx", "-", *said, "-f", "jsonl", stdin=question)
        assert found.records()[0]["response"].startswith(tenant or "none")


def test_a_line_cannot_speak_for_another_tenant_than_the_command_line(shared):
    line = b'{"query": "Where is my invoice?", "tenant": "globex", "system": null}\n'
    asked = ("cache", "query", shared / "idx", "-", *LOOSE)
    assert run(*asked, stdin=line).records()[0]["response"] == "globex: in your mail"
    refused = run(*asked, "--tenant", "acme", stdin=line).records()[0]
    assert (refused["hit"], refused["response"]) == (False, None)
    assert refused["reason"] == "asked for another tenant than --tenant"


@settings(max_examples=12)
@given(st.lists(st.tuples(st.sampled_from(["a", "b", ""]), TEXTS), min_size=1, max_size=12))
def test_add_and_prune_keep_tenants_apart(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        rows = [(tenant or None, text, f"{tenant}: x", None) for tenant, text in rows]
        write_log(path / "one.jsonl", rows[:5])
        write_log(path / "two.jsonl", rows[5:] or rows[:1], start=len(rows))
        run("cache", "build", path / "one.jsonl", "-o", path / "idx")
        assert run("cache", "add", path / "idx", path / "two.jsonl").code == 0
        run("cache", "prune", path / "idx", "--tag", "tenant:b")
        for tenant in ("a", "b"):
            asked = ("cache", "query", path / "idx", "-", "--tenant", tenant, *LOOSE)
            lines = "".join(json.dumps({"query": text}) + "\n" for _, text, _, _ in rows)
            for record in run(*asked, stdin=lines.encode()).records():
                assert record["response"] in (None, "a: x") and (tenant == "a" or not record["hit"])


@pytest.fixture(scope="module")
def followups(tmp_path_factory):
    """The follow-ups of conversations, and an index of them after their first turns."""
    if not FOLLOWUPS.exists():
        pytest.skip("multiturn_followups is not beside this checkout: public data is no part of it")
    talks = [json.loads(line) for line in gzip.decompress(FOLLOWUPS.read_bytes()).splitlines()]
    folder = tmp_path_factory.mktemp("followups")
    records = [
        request(0, None, talk["u1"], talk["system_q1"], before=begin(talk), id=f"r{at}")
        | {"timestamp": "2026-10-01T00:00:00Z"}
        for at, talk in enumerate(talks)
    ]
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    assert run("cache", "build", log, "-o", folder / "idx").code == 0
    return talks, folder / "idx"


def begin(talk):
    return [
        {"role": "user", "content": talk["u0"]},
        {"role": "assistant", "content": talk["system_q0"]},
    ]


def ask(index, lines, *options):
    stdin = "".join(json.dumps(line) + "\n" for line in lines).encode()
    return run("cache", "query", index, "-", "-f", "jsonl", *options, stdin=stdin).records()


@pytest.mark.parametrize("question", ["u1", "u1_duplicate"])
def test_a_follow_up_is_never_answered_from_another_conversation(followups, question):
    talks, index = followups
    bare = ask(index, [{"query": talk[question]} for talk in talks], *LOOSE)
    assert not any(record["hit"] for record in bare)
    first = ask(
        index, [{"messages": [{"role": "user", "content": talk[question]}]} for talk in talks]
    )
    assert not any(record["hit"] for record in first)
    others = np.random.default_rng(0).permutation(len(talks)).tolist()
    lines = [
        {"query": talk[question], "history": begin(talks[other])}
        for talk, other in zip(talks, others, strict=True)
    ]
    answers = {json.dumps(begin(talk)): set() for talk in talks}
    for talk in talks:
        answers[json.dumps(begin(talk))].add(talk["system_q1"])
    found = ask(index, lines, *LOOSE)
    assert all(record["hit"] for record in found)
    for line, record in zip(lines, found, strict=True):
        assert record["response"] in answers[json.dumps(line["history"])]


def test_a_follow_up_is_answered_in_its_own_conversation(followups):
    talks, index = followups
    lines = [{"query": talk["u1"], "history": begin(talk)} for talk in talks]
    assert all(record["reason"] == "exact key" for record in ask(index, lines))
    again = [{"query": talk["u1_duplicate"], "history": begin(talk)} for talk in talks]
    assert sum(record["hit"] for record in ask(index, again, "--threshold", 0.6)) > 0
