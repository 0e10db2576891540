"""Logs with texts to compress, and what their replay must give, call by call."""

import json
from bisect import bisect_right
from itertools import accumulate

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st
from prompt_cache_cases import GPT, SONNET, ask, replay_file, say, use
from replay_cases import write_jsonl

from frugalctl.levers.cascade import CascadePolicy
from frugalctl.levers.compress.pipeline import compress_prompt
from frugalctl.levers.compress.prompt import build_prompt
from frugalctl.levers.compress.settings import CompressSettings
from frugalctl.levers.prompt_cache import parse_cache_spec
from frugalctl.prices import Calls, load_book, price_calls
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import ReplayOptions, replaying

HALF = CompressSettings(rate=0.5)
SAFE = CompressSettings(tiers=("lossless", "structural"))
WHITE = CompressSettings(tiers=("lossless",))
TOPICS = ("harbour", "violin", "glacier", "bakery", "railway", "orchard")
RECORDS = [{"id": at, "name": f"crate {at}", "weight": at * 7} for at in range(12)]


def document(topic, number=0):
    facts = [f"The {topic} has item {at + number} of the {topic} list." for at in range(6)]
    return f"Document: {topic}\n" + " ".join(facts)


def question(*topics, asked="violin"):
    texts = "\n\n".join(document(topic) for topic in topics)
    return say("user", f"{texts}\n\nQuestion: What is item 3 of the {asked} list?")


RULES = say("system", "You answer from the documents alone, in one sentence, and you cite them.")
WIDE = say("user", json.dumps(RECORDS, indent=4))


def make_options(compress=HALF, cache=None, cascade=None, reuse=None, ms=None, **options):
    recipe = Recipe(
        "tried",
        cascade=None if cascade is None else CascadePolicy(*cascade),
        prompt_cache=None if cache is None else parse_cache_spec(cache),
        semantic_cache=reuse,
        compress=compress,
        compress_ms_per_1k_tokens=ms,
    )
    return ReplayOptions(recipe=recipe, **options)


def replay_rows(folder, rows, *arguments, **options):
    path = write_jsonl(folder / "log.jsonl", rows)
    return json.loads(replay_file(path, make_options(*arguments, **options))[0])


def read_notes(folder, rows, *arguments, **options):
    path = write_jsonl(folder / "log.jsonl", rows)
    with replaying([path], make_options(*arguments, **options)) as run:
        list(run.batches)
        return run.remarks


def shorten(messages, tried):
    prompt = build_prompt(messages, patterns=tried.protect)
    return compress_prompt(prompt, tried, strict=False).value


def without_lossy(tried):
    tiers = tuple(tier for tier in tried.tiers if tier != "lossy")
    return CompressSettings(tiers=tiers)


def sizes(messages, tools, model="gpt-5.4-mini"):
    """Tokens of the tools and of each message, by the project's own counter."""
    from frugalctl.tokens import count_messages

    fixed = count_messages([], tools, model)
    return [fixed, *(count_messages([one], None, model) - 3 for one in messages)]


class Slow:
    """What compression makes of the usage of each request, one by one and in plain Python."""

    def __init__(self, rows, tried):
        self.tried = tried
        self.after = [shorten(row["messages"], tried) for row in rows]
        self.seen = {}
        for row, after in zip(rows, self.after, strict=True):
            safe = shorten(row["messages"], without_lossy(tried))
            for old, new, plain in zip(row["messages"], after, safe, strict=True):
                outcomes = self.seen.setdefault(json.dumps(old), [])
                outcomes.append((json.dumps(new), new != plain))

    def is_shared(self, message):
        outcomes = self.seen[json.dumps(message)]
        one = len({text for text, _ in outcomes}) == 1
        return one and (len(outcomes) > 1 or not outcomes[0][1])

    def shrink(self, row, after):
        """Disjoint input tokens: fresh, read, write, write for an hour."""
        usage, tools = row["usage"], row.get("tools")
        old, new = sizes(row["messages"], tools), sizes(after, tools)
        total = usage["input_tokens"]
        read, write, write_1h = (
            usage.get(name, 0)
            for name in ("cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens")
        )
        left = total if old == new else round(total * sum(new) / sum(old))
        prefix = old[0]
        for message, size in zip(row["messages"], old[1:], strict=True):
            if not self.is_shared(message):
                break
            prefix += size
        starts, moved = [0, *accumulate(old)], [0, *accumulate(new)]
        scale = total / sum(old)

        def place(tokens):
            if tokens >= total:
                return left
            at = min(bisect_right(starts, tokens / scale), len(old)) - 1
            share = (tokens / scale - starts[at]) / old[at]
            return min(left, round((moved[at] + share * new[at]) * scale))

        ends = [place(read), place(read + write_1h), place(read + write_1h + write)]
        kept = place(min(read, prefix * scale))
        tokens = [kept, ends[2] - ends[1], ends[1] - ends[0]]
        return [left - sum(tokens), *tokens]


def price(row, tokens, as_of="2026-10-05"):
    names = ("fresh_input", "cache_read", "cache_write", "cache_write_1h", "output")
    values = [*tokens, row["usage"]["output_tokens"]]
    calls = Calls(
        model=pa.array([row["model"]]),
        provider=None,
        service_tier=pa.array([row.get("service_tier")], pa.string()),
        region=None,
        timestamp_us=np.array([int(row["timestamp"] * 1e6)], dtype=np.int64),
        tokens={name: np.array([value]) for name, value in zip(names, values, strict=True)},
    )
    return float(price_calls(load_book(), calls).total_usd[0])


@st.composite
def rows_of_text(draw):
    messages = draw(st.sampled_from(([RULES], [RULES, WIDE], [WIDE, RULES], [])))
    for _ in range(draw(st.integers(1, 2))):
        topics = draw(st.lists(st.sampled_from(TOPICS), min_size=1, max_size=4))
        messages = [*messages, question(*topics, asked=draw(st.sampled_from(TOPICS)))]
        messages = [*messages, say("assistant", "It is item 3.")][: draw(st.integers(1, 9))]
    parts = draw(st.tuples(*[st.sampled_from((0, 0, 7, 400))] * 3))
    row = {
        "timestamp": draw(st.integers(1_790_000_000, 1_790_900_000)),
        "model": draw(st.sampled_from((GPT, SONNET))),
        "service_tier": draw(st.sampled_from((None, "batch"))),
        "messages": messages,
        "quality": draw(st.sampled_from((None, 0.5, 1.0))),
        "latency_ms": 100.0,
        "usage": {
            "input_tokens": sum(parts) + draw(st.integers(1, 3000)),
            "cache_read_tokens": parts[0],
            "cache_write_tokens": parts[1],
            "cache_write_1h_tokens": parts[2],
            "output_tokens": 11,
        },
    }
    if draw(st.booleans()):
        row["tools"] = [{"type": "function", "function": {"name": "weigh", "parameters": {}}}]
    return row


def chat(at, *messages, read=0, **fields):
    row = ask(at, list(messages), SONNET, id=f"r{at}")
    row["usage"] = row["usage"] | {"cache_read_tokens": min(read, row["usage"]["input_tokens"])}
    return row | fields


def outcome(model, messages, confidence):
    return {
        "model": model,
        "usage": use(messages, model),
        "confidence": confidence,
        "quality": 1.0,
        "response": "Crate 3.",
        "latency_ms": 10.0,
    }


def layered():
    """Requests that every lever has something to do with; the last repeats the first."""
    rows = []
    for at, topics in enumerate((TOPICS[:3], TOPICS[1:5], TOPICS[2:], TOPICS[:3])):
        messages = [RULES, question(*topics)]
        outcomes = [outcome("gpt-4o-mini", messages, at - 2), outcome(GPT, messages, 1.0)]
        rows.append(ask(at * 30, messages, None, id=f"r{at}", outcomes=outcomes))
    return rows


CASCADE = (("gpt-4o-mini", GPT), (0.0,))
