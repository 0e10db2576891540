import json
import subprocess
import sys
from collections import Counter

from recipe_shell import SAMPLES, rows_of


def test_the_script_makes_the_same_bytes(tmp_path):
    script = SAMPLES / "make_litellm.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, capture_output=True)
    made = (tmp_path / "litellm.jsonl").read_bytes()
    assert made == (SAMPLES / "litellm.jsonl").read_bytes()
    assert len(made) < 400_000


def test_it_is_what_a_callback_writes_and_its_costs_are_the_price_list():
    rows = rows_of(SAMPLES / "litellm.jsonl")
    assert len(rows) == 300 and {row["call_type"] for row in rows} == {"acompletion"}
    for row in rows:
        counts = row["prompt_tokens"], row["completion_tokens"]
        assert row["response_cost"] == round(counts[0] * 2.5e-6 + counts[1] * 15e-6, 9)
        assert row["total_tokens"] == sum(counts)
        assert row["endTime"] > row["startTime"]
    starts = [row["startTime"] for row in rows]
    assert starts == sorted(starts)


def test_one_question_always_has_one_answer_and_some_come_again():
    answers = {}
    for row in rows_of(SAMPLES / "litellm.jsonl"):
        answer = json.dumps(row["response"]["choices"])
        answers.setdefault(row["messages"][1]["content"], []).append(answer)
    assert all(len(set(given)) == 1 for given in answers.values())
    assert Counter(len(given) > 1 for given in answers.values())[True] > 20
