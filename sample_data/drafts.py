"""What was asked in the sample log: one function a tenant, from the texts in `texts.toml`."""

from __future__ import annotations

import json
import random
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

TEXTS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("texts.toml").read_text("utf-8"))
START = datetime(2026, 10, 28, tzinfo=UTC)
DAYS = 7
UNKNOWN_MODEL = "orchid-7b-internal"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Draft:
    """A request before it is answered: what was asked, when, and what a good answer is.

    `level` is how hard it is in [0, 1]; conversations have none, because they were not
    evaluated. `reference` is a known right answer.
    """

    at: datetime
    tenant: str
    task: str
    model: str
    session: str | None
    messages: list[Row]
    answer: str
    level: float | None = None
    reference: str | None = None
    tier: str = "standard"
    tools: list[Row] = field(default_factory=list[Row])
    reasoning_tokens: int = 0


def is_korean(text: str) -> bool:
    """Whether at least one character in five is Hangul."""
    return 5 * sum("가" <= letter <= "힣" for letter in text) > len(text)


def say(role: str, content: str) -> Row:
    """One message."""
    return {"role": role, "content": content}


def prompt(system: str, ask: str) -> list[Row]:
    """A conversation that begins."""
    return [say("system", system.strip()), say("user", ask)]


def moment(rng: random.Random, day: int, first_hour: int = 0, last_hour: int = 14) -> datetime:
    """Some moment of a day, in UTC: the working day of Seoul and the morning of London."""
    seconds = rng.uniform(first_hour * 3600, last_hour * 3600)
    return START + timedelta(days=day, milliseconds=round(seconds * 1000))


def later(rng: random.Random, at: datetime, low_s: float, high_s: float) -> datetime:
    """A moment some seconds after another."""
    return at + timedelta(milliseconds=round(rng.uniform(low_s, high_s) * 1000))


def draft_questions(rng: random.Random, section: str, visits: int) -> list[Draft]:
    """Visitors with one to three questions each: of a shop (Opus) or a bank (GPT).

    The bank puts the time at the head of its system prompt, so that no two requests begin alike.
    """
    entries: list[Row] = TEXTS[section]["faq"]
    shop = section == "shop"
    drafts: list[Draft] = []
    for visit in range(visits):
        at = moment(rng, visit * DAYS // visits)
        for _ in range(rng.choice((1, 1, 2, 3))):
            entry = entries[min(int(rng.expovariate(0.16)), len(entries) - 1)]
            ask = rng.choice(entry["ask"])
            answer = entry["answer"] if is_korean(ask) else entry.get("answer_en", entry["answer"])
            head = "" if shop else f"Current time: {at:%Y-%m-%dT%H:%M:%SZ}\n"
            drafts.append(
                Draft(
                    at=at,
                    tenant="hanok-market" if shop else "birch-lane-bank",
                    task="faq",
                    model="claude-opus-5" if shop else "gpt-5.4",
                    session=f"{section}-{visit:03}",
                    messages=prompt(head + TEXTS[section]["system"], ask),
                    answer=answer,
                    level=entry["level"],
                    reference=answer,
                )
            )
            at = later(rng, at, 40, 200)
    return drafts


def draft_meetings(rng: random.Random, count: int) -> list[Draft]:
    """Minutes to summarise with GPT; those of the evening go through the batch tier."""
    drafts: list[Draft] = []
    for number in range(count):
        korean = rng.random() < 0.35
        minutes, decided = invent_minutes(rng, korean=korean)
        batch = rng.random() < 0.4
        drafts.append(
            Draft(
                at=moment(rng, number * DAYS // count, *((18, 20) if batch else (0, 12))),
                tenant="atlas-notes",
                task="summarise",
                model="gpt-5.4",
                session=None,
                messages=prompt(TEXTS["meetings"]["system"], minutes),
                answer=" ".join(decided),
                level=0.25 + 0.1 * len(decided) + 0.1 * korean + rng.uniform(0, 0.15),
                tier="batch" if batch else "standard",
            )
        )
    return drafts


def invent_minutes(rng: random.Random, *, korean: bool) -> tuple[str, list[str]]:
    """The minutes of a meeting on one to three topics, and the decisions in them."""
    names = TEXTS["names"]
    topics = [t for t in TEXTS["meetings"]["topic"] if t.get("korean", False) == korean]
    people = rng.sample(names["korean" if korean else "english"], 4)
    days = names["weekday_korean" if korean else "weekday"]
    lines: list[str] = []
    decided: list[str] = []
    for topic in rng.sample(topics, rng.choice((1, 2, 2, 3))):
        lines += [f"{rng.choice(people)}: {line}" for line in topic["talk"]]
        decided.append(topic["decision"].format(who=people[0], day=rng.choice(days)) + ".")
        lines.append(f"{people[0]}: {decided[-1]}")
    return "\n".join(lines), decided


def draft_parcels(rng: random.Random, count: int) -> list[Draft]:
    """Mails of a parcel service, from which Gemini extracts JSON; a few went to an own model."""
    drafts: list[Draft] = []
    for number in range(count):
        mail = rng.choice(TEXTS["parcels"]["mail"])
        text, answer = fill_mail(rng, mail)
        drafts.append(
            Draft(
                at=moment(rng, number * DAYS // count),
                tenant="kite-parcels",
                task="extract",
                model=UNKNOWN_MODEL if number % 11 == 5 else "gemini-2.5-flash",
                session=None,
                messages=prompt(TEXTS["parcels"]["system"], text),
                answer=answer,
                level=mail["level"],
                reference=answer,
                tier="batch" if number % 4 == 0 else "standard",
            )
        )
    return drafts


def fill_mail(rng: random.Random, mail: Row) -> tuple[str, str]:
    """A customer's mail, and what it says as JSON."""
    korean = is_korean(mail["text"])
    day = rng.randint(1, 30)
    items = rng.randint(2, 9)
    code = f"KP{rng.randint(10**7, 10**8 - 1)}"
    who = rng.choice(TEXTS["names"]["korean" if korean else "english"])
    date = f"10월 {day}일" if korean else f"{day} October"
    text = mail["text"].format(code=code, items=items, who=who, day=date)
    facts = {"parcel": code, "reason": mail["reason"], "date": f"2026-10-{day:02}"}
    return text, json.dumps({**facts, "items": items, "callback": mail["callback"]})


def draft_code(rng: random.Random, count: int) -> list[Draft]:
    """Single questions of programmers, with some reasoning before the answer."""
    drafts: list[Draft] = []
    for number in range(count):
        question = TEXTS["code"]["question"][number % len(TEXTS["code"]["question"])]
        drafts.append(
            Draft(
                at=moment(rng, number * DAYS // count, 1, 11),
                tenant="atlas-notes",
                task="code",
                model="gpt-5.4",
                session=None,
                messages=prompt(TEXTS["code"]["system"], question["ask"]),
                answer=question["answer"],
                level=question["level"],
                reasoning_tokens=rng.randint(80, 600),
            )
        )
    return drafts


def draft_agent(rng: random.Random, sessions: int) -> list[Draft]:
    """An agent with tools on Opus: each step sends the whole conversation again."""
    tools = [describe_tool(line) for line in TEXTS["agent"]["tools"]]
    drafts: list[Draft] = []
    for number in range(sessions):
        job = rng.choice(TEXTS["agent"]["job"])
        at = moment(rng, number * DAYS // sessions, 5, 13)
        messages = prompt(TEXTS["agent"]["system"], job["ask"])
        for step, line in enumerate([*job["steps"], job["answer"]]):
            content, *call = line.split("|")
            drafts.append(
                Draft(
                    at=at,
                    tenant="harbour-stays",
                    task="agent",
                    model="claude-opus-5",
                    session=f"agent-{number:02}",
                    messages=messages,
                    answer=content,
                    tools=tools,
                    reasoning_tokens=rng.randint(0, 250),
                )
            )
            if call:
                messages = messages + use_tool(rng, f"call_{number:02}_{step}", content, *call)
            at = later(rng, at, 9, 70)
    return drafts


def use_tool(rng: random.Random, call_id: str, content: str, name: str, of: str) -> list[Row]:
    """An assistant's message with a tool call, and the tool's answer."""
    function = {"name": name, "arguments": json.dumps({"of": of})}
    call = {"id": call_id, "type": "function", "function": function}
    return [
        {**say("assistant", content), "tool_calls": [call]},
        {**say("tool", invent_result(rng, name, of)), "tool_call_id": call_id},
    ]


def describe_tool(line: str) -> Row:
    """A tool definition from "name: what it does.|parameter,parameter"."""
    head, names = line.split("|")
    name, description = head.split(": ", 1)
    properties = {key: {"type": "string"} for key in names.split(",")}
    parameters = {"type": "object", "properties": properties, "required": names.split(",")}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


def invent_result(rng: random.Random, tool: str, argument: str) -> str:
    """What a tool gives back: log lines, a file, a patch report or a test run."""
    if tool == "search_logs":
        return "\n".join(
            f"06:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}.{rng.randint(0, 999):03} "
            f"{argument} worker-{rng.randint(1, 4)} booking={rng.randint(10**5, 10**6 - 1)} "
            f"status={rng.choice(('sent', 'sent', 'retry', 'refused'))} ms={rng.randint(8, 900)}"
            for _ in range(rng.randint(14, 26))
        )
    if tool == "read_file":
        names = rng.sample(("load", "claim", "send", "retry", "close", "check", "store"), 5)
        return "\n\n".join(
            f"def {name}(job, store):\n    row = store.get(job.id)\n"
            f"    if row is None or row.tries > {rng.randint(1, 6)}:\n        return None\n"
            f"    store.set(job.id, state='{name}', tries=row.tries + 1)\n    return row"
            for name in names
        )
    if tool == "write_patch":
        return f"1 file changed: {argument}, {rng.randint(4, 19)} lines added, 6 removed"
    return f"{rng.randint(20, 90)} passed in {rng.uniform(2, 19):.1f}s"


def draft_chats(rng: random.Random, sessions: int) -> list[Draft]:
    """Language lessons on GPT mini, which outgrow the shortest cacheable prefix on the way."""
    talks = [talk["turns"] for talk in TEXTS["chat"]["talk"]]
    drafts: list[Draft] = []
    for number in range(sessions):
        at = moment(rng, number * DAYS // sessions, 9, 14)
        messages = [say("system", TEXTS["chat"]["system"].strip())]
        for ask, answer in talks[number % len(talks)] + talks[(number + 1) % len(talks)]:
            messages = [*messages, say("user", ask)]
            session = f"chat-{number:02}"
            drafts.append(
                Draft(at, "lumen-study", "chat", "gpt-5.4-mini", session, messages, answer)
            )
            messages = [*messages, say("assistant", answer)]
            at = later(rng, at, 25, 160)
    return drafts


def draft_manuals(rng: random.Random, sessions: int) -> list[Draft]:
    """Questions about a long manual, by turns on Haiku and on Gemini, whose minimum is lower."""
    texts = TEXTS["manual"]
    drafts: list[Draft] = []
    for number in range(sessions):
        haiku = number % 2 == 0
        facts = [invent_facts(rng, texts["parts"], place) for place in range(72 if haiku else 36)]
        manual = "\n".join(
            texts["sections"][place % 2].format(**fact) for place, fact in enumerate(facts)
        )
        system = say("system", f"{texts['system']}\n\n{manual}")
        at = moment(rng, number * DAYS // sessions, 2, 13)
        messages = [system]
        for _ in range(4):
            ask, answer = rng.choice(texts["questions"])
            fact = facts[2 * rng.randrange(len(facts) // 2)]
            messages = [*messages, say("user", ask.format(**fact))]
            model = "claude-haiku-4-5" if haiku else "gemini-2.5-flash"
            answer = answer.format(**fact)
            drafts.append(
                Draft(at, "tin-drum-repair", "manual", model, f"manual-{number}", messages, answer)
            )
            messages = [*messages, say("assistant", answer)]
            at = later(rng, at, 20, 240)
    return drafts


def invent_facts(rng: random.Random, parts: list[str], place: int) -> Row:
    """The numbers of one section of a manual."""
    part = parts[place // 2 % len(parts)]
    return {
        "n": f"{place // 8 + 1}.{place % 8 + 1}",
        "part": part,
        "Part": part.capitalize(),
        "model": f"TD-{rng.randint(200, 900)}",
        "months": rng.randint(2, 24),
        "code": rng.randint(10, 99),
        "minutes": rng.randint(3, 45),
        "side": rng.choice(("left", "right", "rear", "lower")),
        "screws": rng.randint(2, 8),
        "size": rng.randint(2, 14),
    }


def draft_all(rng: random.Random) -> list[Draft]:
    """Everything that was asked in the week, in order of time."""
    drafts = [
        *draft_questions(rng, "shop", 72),
        *draft_questions(rng, "bank", 36),
        *draft_meetings(rng, 42),
        *draft_parcels(rng, 44),
        *draft_code(rng, 28),
        *draft_agent(rng, 10),
        *draft_chats(rng, 4),
        *draft_manuals(rng, 6),
    ]
    return sorted(drafts, key=lambda draft: draft.at)
