"""Make a log to optimise on: what three models answered to the same questions, and who was right.

The questions are those of `groups.jsonl`; the answers are invented by rules. A question is hard or
easy, as is its group; a better model is right more often, above all on hard ones; a model is surer
where it is right, more or less. One seed, so that the same script makes the same bytes:

    python sample_data/make_answers.py [FOLDER]
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import exp
from pathlib import Path
from typing import Any

SEED = 20261121
REQUESTS = 1600
START = datetime(2026, 11, 2, 8, tzinfo=UTC)

Row = dict[str, Any]


@dataclass(frozen=True)
class Model:
    """A model that answers.

    Attributes:
        name: as the price book knows it.
        skill: the difficulty at which it is right half of the time.
        words: how many tokens an answer has, about.
        ms: what a token takes.
    """

    name: str
    skill: float
    words: int
    ms: float


MODELS = (
    Model("gemini-2.5-flash", 0.62, 55, 6.0),
    Model("gpt-5.4-mini", 0.8, 70, 7.5),
    Model("claude-opus-5", 1.02, 90, 16.0),
)


def answer(rng: random.Random, model: Model, level: float, input_tokens: int) -> Row:
    """One model's answer: whether it is right, how sure the model is, what it took."""
    margin = 9 * (model.skill - level) + rng.gauss(0, 0.8)
    right = rng.random() < 1 / (1 + exp(-margin))
    sure = margin + (1.6 if right else -1.6) + rng.gauss(0, 1.2)
    output_tokens = max(8, round(rng.gauss(model.words, model.words / 4)))
    return {
        "model": model.name,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
        "latency_ms": round(180 + model.ms * output_tokens * rng.uniform(0.8, 1.5)),
        "quality": float(right),
        "confidence": round(-0.6 / (1 + exp(sure / 2)), 3),
    }


def make_rows(groups: list[Row]) -> list[Row]:
    """The log, in the order of its times."""
    rng = random.Random(SEED)
    levels = {name: rng.betavariate(1.6, 2.6) for name in sorted({row["group"] for row in groups})}
    rows: list[Row] = []
    at = START
    for number in range(REQUESTS):
        asked = rng.choice(groups)
        at += timedelta(seconds=round(rng.expovariate(1 / 240)))
        level = levels[asked["group"]] + rng.gauss(0, 0.07)
        input_tokens = 640 + len(asked["text"]) // 4
        rows.append(
            {
                "id": f"a{number + 1:04d}",
                "timestamp": at.isoformat().replace("+00:00", "Z"),
                "task": "help",
                "messages": [{"role": "user", "content": asked["text"]}],
                "outcomes": [answer(rng, model, level, input_tokens) for model in MODELS],
            }
        )
    return rows


def main() -> None:
    """Write the log."""
    here = Path(__file__).parent
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else here
    lines = (here / "groups.jsonl").read_text("utf-8").splitlines()
    rows = make_rows([json.loads(line) for line in lines])
    text = "".join(
        json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows
    )
    (folder / "answers.jsonl").write_text(text, "utf-8")
    print(f"{len(rows)} requests")


if __name__ == "__main__":
    main()
