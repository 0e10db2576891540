"""Make a log as LiteLLM's callbacks write it: a day and a half of a help desk behind its proxy.

Questions are those of `groups.jsonl`, asked the more often the earlier their group stands; answers,
users, times and tokens follow from one seed, so that the same script makes the same bytes:

    python sample_data/make_litellm.py [FOLDER]
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from make_requests import MODELS, count_tokens, write_line

HERE = Path(__file__).parent
SEED, REQUESTS, START_S = 20261116, 300, 1_794_816_000.0
MODEL = "gpt-5.4"
INPUT_USD, OUTPUT_USD = 2.5e-6, 15e-6
RULES = (
    "You answer customers of Lantern Lane, a shop for lamps. Answer in the language of the "
    "question, in at most three sentences. Name the article of the help centre that you answer "
    "from. Where no article fits, say so and give the telephone number 020-000-0177. Promise no "
    "refunds and name no dates of delivery."
)

Row = dict[str, Any]


def read_questions() -> list[list[str]]:
    """The questions of each group, in the order of the file."""
    groups: dict[str, list[str]] = {}
    for line in (HERE / "groups.jsonl").read_text("utf-8").splitlines():
        row: Row = json.loads(line)
        groups.setdefault(row["group"], []).append(row["text"])
    return list(groups.values())


def make_call(rng: random.Random, number: int, start_s: float, groups: list[list[str]]) -> Row:
    """One call: who asks what, and what it took."""
    group = min(int(rng.expovariate(1 / 70)), len(groups) - 1)
    question = groups[group][min(int(rng.expovariate(0.7)), len(groups[group]) - 1)]
    answer = f"Article {group + 1} of the help centre says how. It is kept up to date for you."
    prompt = count_tokens(RULES + question, MODELS[MODEL]) + 8
    completion = count_tokens(answer, MODELS[MODEL])
    seconds = round(0.6 + 0.02 * completion * rng.uniform(0.8, 1.6), 3)
    user = f"customer-{rng.randrange(120):03}"
    usage = {"prompt_tokens": prompt, "completion_tokens": completion}
    return {
        "id": f"chatcmpl-{number:04}",
        "call_type": "acompletion",
        "status": "success",
        "custom_llm_provider": "openai",
        "model": MODEL,
        "model_group": "help-desk",
        "session_id": f"chat-{number:04}",
        "end_user": user,
        "startTime": round(start_s, 3),
        "endTime": round(start_s + seconds, 3),
        "response_time": seconds,
        "response_cost": round(prompt * INPUT_USD + completion * OUTPUT_USD, 9),
        "cache_hit": False,
        **usage,
        "total_tokens": prompt + completion,
        "model_parameters": {"temperature": 0},
        "messages": [
            {"role": "system", "content": RULES},
            {"role": "user", "content": question},
        ],
        "response": {
            "choices": [{"message": {"role": "assistant", "content": answer}}],
            "usage": usage,
        },
    }


def main(folder: Path) -> None:
    """Write the log."""
    rng, groups, now_s = random.Random(SEED), read_questions(), START_S
    rows: list[Row] = []
    for number in range(REQUESTS):
        now_s += rng.expovariate(1 / 420)
        rows.append(make_call(rng, number, now_s, groups))
    text = "".join(write_line(row) + "\n" for row in rows)
    (folder / "litellm.jsonl").write_text(text, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
