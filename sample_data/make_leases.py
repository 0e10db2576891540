"""Make two logs about leases: questions on a whole lease, and on passages that a search found.

In `documents.jsonl` the lease stands in the system prompt, and whoever reads it asks several
questions. In `passages.jsonl` each question comes with eight clauses, of which one answers it.
Texts are those of `leases.toml`; facts, times and answers follow from one seed, so that the same
script makes the same bytes:

    python sample_data/make_leases.py [FOLDER]
"""

from __future__ import annotations

import random
import sys
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from make_requests import MODELS, count_tokens, time_answer, write_line

HERE = Path(__file__).parent
TEXTS: dict[str, Any] = tomllib.loads((HERE / "leases.toml").read_text("utf-8"))
SEED = 20261115
START = datetime(2026, 11, 9, 8, tzinfo=UTC)
READERS, PASSAGE_QUESTIONS, PASSAGES = 7, 64, 8

Row = dict[str, Any]


@dataclass(frozen=True)
class Lease:
    """A lease: where the rooms are, and what stands in its clauses."""

    place: str
    facts: Row

    def write_clause(self, number: int) -> str:
        """One clause with its number and title."""
        clause = TEXTS["clause"][number]
        return f"Clause {number + 1}. {clause['title']}. {clause['text'].format(**self.facts)}"

    def write(self) -> str:
        """The whole lease."""
        clauses = [self.write_clause(number) for number in range(len(TEXTS["clause"]))]
        return "\n\n".join([f"LEASE of {self.place}", *clauses])


def invent_lease(rng: random.Random, number: int) -> Lease:
    """A lease with facts of its own; no two leases share the facts that are asked for."""
    ranges = {
        "years": 2,
        "late": 30,
        "letter": 40,
        "back": 21,
        "heat": 90,
        "guest": 9,
        "consent": 12,
        "dog": 6,
        "small": 70,
        "start": 5,
        "wear": 4,
        "cellar": 3,
        "play": 50,
        "lock": 120,
        "access": 20,
        "cover": 400,
        "park": 35,
        "bulky": 2,
        "leave": 6,
        "paint": 3,
    }
    step = {"late": 4, "heat": 7, "small": 6, "play": 9, "lock": 15, "cover": 50, "park": 3}
    facts: Row = {name: low + number * step.get(name, 1) for name, low in ranges.items()}
    facts |= {
        "month": rng.choice(("March", "May", "August", "October")),
        "rent": 10 * rng.randint(71, 149),
        "due": rng.choice(("first", "third", "fifth")),
        "grace": rng.choice(("tenth", "twelfth")),
        "rise": rng.randint(2, 5),
        "deposit": 100 * rng.randint(11, 29),
        "bill": rng.choice(("April", "June", "September")),
        "people": rng.randint(2, 5),
        "pet": 10 * rng.randint(16, 30),
        "smallyear": 10 * rng.randint(24, 40),
        "notice": rng.randint(10, 14),
        "quiet": rng.choice((20, 21, 22)),
        "keys": rng.randint(2, 4),
        "space": rng.randint(101, 140),
    }
    return Lease(f"{rng.randint(3, 88)} {TEXTS['streets'][number]}", facts)


def ask(rng: random.Random, lease: Lease, number: int) -> tuple[str, str]:
    """A question on a clause, and the words of the clause that answer it."""
    clause = TEXTS["clause"][number]
    question = rng.choice(clause["ask"]).format(place=lease.place)
    return question, clause["answer"].format(**lease.facts)


def answer(rng: random.Random, name: str, messages: list[Row], reference: str) -> Row:
    """What a model answers, right nine times in ten, without any prompt cache."""
    model = MODELS[name]
    right = rng.random() < 0.9
    response = "The text does not answer the question."
    if right:
        response = f"The lease says: {reference}."
    total = sum(count_tokens(message["content"], model) + 4 for message in messages) + 3
    usage = {"input_tokens": total, "cache_read_tokens": 0}
    usage["output_tokens"] = count_tokens(response, model) + 2
    first_ms, last_ms = time_answer(rng, model, usage)
    row: Row = {"model": name, "provider": model.provider, "service_tier": "standard"}
    row |= {"messages": messages, "response": response, "usage": usage}
    row |= {"ttft_ms": first_ms, "latency_ms": last_ms, "quality": float(right)}
    return row | {"reference": reference}


def head_row(at: datetime, name: str, session: str, task: str) -> Row:
    """What a line begins with."""
    stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "id": name,
        "timestamp": stamp,
        "session": session,
        "tenant": "quay-homes",
        "task": task,
    }


def read_leases(rng: random.Random, leases: list[Lease]) -> list[Row]:
    """Questions on whole leases: a reader asks four, minutes apart, and the model is Opus."""
    rows: list[Row] = []
    for reader in range(READERS):
        lease = leases[reader % len(leases)]
        at = START + timedelta(hours=11 * reader, seconds=rng.randint(0, 7200))
        system = f"{TEXTS['system']}\n\n{lease.write()}"
        for number in rng.sample(range(len(TEXTS["clause"])), 4):
            question, reference = ask(rng, lease, number)
            messages = [
                {"role": "system", "content": system},
                {"role": "user", "content": question},
            ]
            row = head_row(at, f"d{len(rows) + 1:03}", f"reader-{reader}", "lease")
            rows.append(row | answer(rng, "claude-opus-5", messages, reference))
            at += timedelta(milliseconds=round(1000 * min(20 + rng.expovariate(1 / 140), 900)))
    return rows


def search_leases(rng: random.Random, leases: list[Lease]) -> list[Row]:
    """Questions on passages: the clause that answers, its namesakes, and others of the lease."""
    rows: list[Row] = []
    for asked in range(PASSAGE_QUESTIONS):
        lease = rng.choice(leases)
        clauses = range(len(TEXTS["clause"]))
        number = rng.choice(clauses)
        others = rng.sample([one for one in leases if one is not lease], 2)
        same = rng.sample([one for one in clauses if one != number], PASSAGES - 1 - len(others))
        found = [(lease, number), *((one, number) for one in others), *((lease, n) for n in same)]
        rng.shuffle(found)
        passages = [f"[{one.place}] {one.write_clause(clause)}" for one, clause in found]
        question, reference = ask(rng, lease, number)
        messages = [
            {"role": "system", "content": TEXTS["system"]},
            {"role": "user", "content": "\n\n".join([*passages, f"Question: {question}"])},
        ]
        at = START + timedelta(seconds=4100 * asked + rng.randint(0, 3600))
        row = head_row(at, f"p{asked + 1:03}", f"search-{asked}", "search")
        rows.append(row | answer(rng, "gpt-5.4", messages, reference))
    return rows


def main(folder: Path) -> None:
    """Write both logs."""
    rng = random.Random(SEED)
    leases = [invent_lease(rng, number) for number in range(len(TEXTS["streets"]))]
    for name, rows in (
        ("documents.jsonl", read_leases(rng, leases)),
        ("passages.jsonl", search_leases(rng, leases)),
    ):
        text = "".join(f"{write_line(row)}\n" for row in rows)
        (folder / name).write_text(text, "utf-8", newline="\n")
        print(f"{name}: {len(rows)} lines, {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
