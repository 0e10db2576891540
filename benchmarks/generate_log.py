"""Write a canonical JSONL log of any size: about 450 bytes a request, seeded.

python benchmarks/generate_log.py 1000000 /tmp/log.jsonl
"""

import argparse
import json
import random
from pathlib import Path

MODELS = ("gpt-5.4-mini", "gpt-4o", "claude-opus-5", "claude-haiku-4-5", "gemini-2.5-flash")
TASKS = ("faq", "code", "summary", "extraction")
WORDS = tuple(
    "invoice refund window order deliver late card account reset password table report "
    "quarter margin forecast meeting note action owner deadline summary list compare".split()
)


def make_request(number: int, rng: random.Random) -> dict[str, object]:
    """One request of a log in which sessions of seven requests follow each other."""
    input_tokens = rng.randint(50, 4000)
    second = number // 4
    return {
        "id": f"r{number}",
        "timestamp": (
            f"2026-10-{1 + second // 86_400 % 28:02d}T{second // 3600 % 24:02d}:"
            f"{second // 60 % 60:02d}:{second % 60:02d}.{number % 1000:03d}Z"
        ),
        "session": f"s{number // 7}",
        "tenant": f"t{number % 13}",
        "task": rng.choice(TASKS),
        "model": rng.choice(MODELS),
        "messages": [{"role": "user", "content": " ".join(rng.choices(WORDS, k=14))}],
        "response": " ".join(rng.choices(WORDS, k=6)),
        "usage": {
            "input_tokens": input_tokens,
            "cache_read_tokens": rng.choice((0, 0, input_tokens // 2)),
            "output_tokens": rng.randint(1, 500),
        },
        "latency_ms": round(rng.lognormvariate(6.5, 0.6), 3),
        "ttft_ms": 210,
        "quality": float(rng.random() < 0.8),
    }


def write_log(path: Path, requests: int, seed: int = 0) -> None:
    """Write the log."""
    rng = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for number in range(requests):
            file.write(json.dumps(make_request(number, rng)) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", type=int)
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()
    write_log(arguments.path, arguments.requests)
