import subprocess
import sys
from collections import Counter

import pytest
from recipe_shell import SAMPLES, rows_of

LOGS = ("documents.jsonl", "passages.jsonl")


def test_the_script_makes_the_same_bytes(tmp_path):
    script = SAMPLES / "make_leases.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    for name in LOGS:
        made = (tmp_path / name).read_bytes()
        assert made == (SAMPLES / name).read_bytes()
        assert len(made) < 300_000


@pytest.mark.parametrize("name", LOGS)
def test_the_reference_stands_in_the_prompt_once(name):
    rows = rows_of(SAMPLES / name)
    for row in rows:
        text = "".join(message["content"] for message in row["messages"]).casefold()
        assert text.count(row["reference"].casefold()) == 1, row["id"]
        assert (row["reference"] in row["response"]) == (row["quality"] == 1)
        assert not row["usage"]["cache_read_tokens"]
    right = sum(row["quality"] for row in rows) / len(rows)
    assert 0.8 < right < 1
    said = (SAMPLES / "README.md").read_text("utf-8")
    assert f"| {name} | {len(rows)} requests to {rows[0]['model']}:" in said


def test_each_lease_is_read_by_one_who_asks_four_questions():
    rows = rows_of(SAMPLES / "documents.jsonl")
    leases = Counter(row["messages"][0]["content"] for row in rows)
    assert len(leases) == 7 and set(leases.values()) == {4}
    assert len(Counter((row["session"], row["messages"][0]["content"]) for row in rows)) == 7


def test_passages_are_one_that_answers_two_namesakes_and_five_of_the_same_lease():
    for row in rows_of(SAMPLES / "passages.jsonl"):
        *passages, question = row["messages"][1]["content"].split("\n\n")
        places = [passage[1:].split("]")[0] for passage in passages]
        clauses = [passage.split("] Clause ")[1].split(".")[0] for passage in passages]
        (own,) = (place for place in set(places) if place in question)
        assert (len(passages), places.count(own)) == (8, 6)
        (answering,) = (
            at for at, text in enumerate(passages) if row["reference"].casefold() in text.casefold()
        )
        assert places[answering] == own
        assert clauses.count(clauses[answering]) == 3
