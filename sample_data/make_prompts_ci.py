"""Make the log that goes with `prompts-ci/`: a bicycle shop's customers, answered with version 1.

Everything follows from one seed, so that the same script makes the same bytes:

    python sample_data/make_prompts_ci.py [FOLDER]
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from make_requests import MODELS, count_tokens, time_answer, write_line

HERE = Path(__file__).parent
SEED = 20261109
START = datetime(2026, 11, 9, 8, 40, tzinfo=UTC)
DAYS, CUSTOMERS_A_DAY, LULL_S = 5, 9, 260
MODEL, STEP_TOKENS, LEAST_TOKENS, LIFE = "gpt-5.4-mini", 128, 1024, timedelta(minutes=5)

TALKS = (
    (
        (
            "Can you change a tube while I wait?",
            "Yes, if you bring the bicycle before 16, a tyre or a tube is changed while you wait."
            " After that we keep it until the next working day, and the workshop will ring you.",
        ),
        (
            "And what about the brakes?",
            "Work on brakes takes two working days. If a brake failed while you were riding, "
            "please do not ride the bicycle any further and ring the workshop at once.",
        ),
    ),
    (
        (
            "What does a touring bicycle cost for six days?",
            "A touring bicycle costs 22 a day for the first three days and 11 for each further "
            "day, so six days cost 99. A helmet, a lock and lights are part of the hire.",
        ),
        (
            "And the deposit?",
            "A deposit of 80 is held on your card and released within three working days of the "
            "return. You need a passport or an identity card; a driving licence is not enough.",
        ),
        (
            "What if I bring it back after closing?",
            "Then one more day is charged, unless you ring us before. The shop closes at 18, and "
            "at 14 on Saturday.",
        ),
    ),
    (
        (
            "My battery holds no charge after a year. Is that covered?",
            "Batteries carry a warranty of two years or 500 charges, whichever comes first, and "
            "you need the receipt. We take the battery in and send it to the maker, who decides "
            "about it.",
        ),
    ),
    (
        (
            "I want to send back a helmet.",
            "You can send it back within 30 days if its seal is unbroken and it was not used. The"
            " refund goes to your card within five working days of the helmet being checked.",
        ),
        (
            "Who pays for the parcel?",
            "You pay for the parcel of a return. Nothing else is charged for clothing and helmets.",
        ),
    ),
    (
        (
            "Do you deliver a bicycle to my house?",
            "Yes, we send bicycles ready to ride for 45, or you collect yours in the shop. To "
            "islands we deliver only by arrangement, and not to post boxes.",
        ),
    ),
    (
        (
            "My repair is finished. How long do you keep it?",
            "A bicycle that is ready is kept for ten days without a charge. From the eleventh day"
            " it costs 2 a day.",
        ),
        (
            "I am away for two weeks.",
            "Then four days are charged, which is 8. Somebody else may collect the bicycle for "
            "you if you tell the workshop the name before.",
        ),
    ),
)
NAMES = ("Ada", "Bram", "Chidi", "Dunja", "Emre", "Freya", "Goran", "Hana", "Ilse", "Jun", "Kofi")

Row = dict[str, Any]


def talk(rng: random.Random, template: str, at: datetime, number: int) -> list[Row]:
    """The requests of one customer, a minute or two apart, each with the whole conversation."""
    customer = f"{rng.choice(NAMES)} {rng.choice('ABCDEFGHKLMNPRSTW')}."
    messages = [{"role": "system", "content": template.replace("{customer}", customer).strip()}]
    rows: list[Row] = []
    for question, response in rng.choice(TALKS):
        messages.append({"role": "user", "content": question})
        stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        row: Row = {"id": f"s{number}-{len(rows) + 1}", "timestamp": stamp}
        row |= {"session": f"customer-{number}", "tenant": "harrow-lane", "task": "support"}
        row |= {"model": MODEL, "provider": "openai", "service_tier": "standard"}
        rows.append(row | {"messages": list(messages), "response": response})
        messages.append({"role": "assistant", "content": response})
        at += timedelta(milliseconds=rng.randint(35_000, 150_000))
    return rows


def add_usage(rng: random.Random, rows: list[Row], fixed: str) -> None:
    """Count tokens; what a request shares with one just before is read from the cache."""
    model = MODELS[MODEL]
    fixed_tokens = count_tokens(fixed, model)
    known: dict[str, int] = {}
    last: datetime | None = None
    for row in rows:
        total = sum(count_tokens(message["content"], model) + 4 for message in row["messages"]) + 3
        at = datetime.fromisoformat(row["timestamp"])
        shared = fixed_tokens if last is not None and at - last <= LIFE else 0
        shared = max(shared, known.get(row["session"], 0))
        read = shared - shared % STEP_TOKENS if shared >= LEAST_TOKENS else 0
        known[row["session"]], last = total, at
        usage: Row = {"input_tokens": total, "cache_read_tokens": read}
        usage["output_tokens"] = count_tokens(row["response"], model) + 2
        first_ms, last_ms = time_answer(rng, model, usage)
        quality = float(rng.random() < 0.93)
        row |= {"usage": usage, "ttft_ms": first_ms, "latency_ms": last_ms, "quality": quality}


def main(folder: Path) -> None:
    """Write the log."""
    rng = random.Random(SEED)
    template = (HERE / "prompts-ci" / "v1" / "support.md").read_text("utf-8")
    rows: list[Row] = []
    for day in range(DAYS):
        for customer in range(CUSTOMERS_A_DAY):
            at = START + timedelta(days=day, seconds=LULL_S * customer + rng.randint(0, LULL_S))
            rows += talk(rng, template, at, day * CUSTOMERS_A_DAY + customer + 1)
    rows.sort(key=lambda row: row["timestamp"])
    add_usage(rng, rows, template.partition("{customer}")[0])
    text = "".join(f"{write_line(row)}\n" for row in rows)
    target = folder / "prompts-ci"
    target.mkdir(exist_ok=True)
    (target / "log.jsonl").write_text(text, "utf-8", newline="\n")
    print(f"prompts-ci/log.jsonl: {len(rows)} lines, {len(text.encode()):,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
