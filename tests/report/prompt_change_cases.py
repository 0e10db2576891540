"""A change of prompts priced the slow way: token by token, request by request, in decimals."""

import json
from datetime import datetime
from decimal import Decimal

import tiktoken

UNIT, LEAST, LIFE_S, MOST_LIFE_S = 128, 1024, 300, 3600
RATES = {"fresh": Decimal("0.75"), "read": Decimal("0.075"), "output": Decimal("4.5")}
"""USD per million tokens of gpt-5.4-mini."""


def seconds(row):
    return datetime.fromisoformat(row["timestamp"]).timestamp()


def tokens_of(text):
    return tiktoken.get_encoding("o200k_base").encode_ordinary(text)


def spell(message):
    """A message as the simulated cache compares it."""
    rest = {name: value for name, value in message.items() if name != "role"}
    body = json.dumps(rest, sort_keys=True, ensure_ascii=False)
    return f"<|im_start|>{message['role']}\n{body}<|im_end|>\n"


def price(rows):
    """Dollars, input tokens and read tokens of requests to one model of one tenant."""
    usd, total, read = zip(*price_each(rows), strict=True)
    return sum(usd), sum(total), sum(read)


def price_each(rows):
    """The same of each request."""
    held = {}
    for row in rows:
        now = seconds(row)
        tokens = [token for message in row["messages"] for token in tokens_of(spell(message))]
        prefixes = [tuple(tokens[:end]) for end in range(UNIT, len(tokens) + 1, UNIT)]
        matched = 0
        for prefix in prefixes:
            written, used = held.get(prefix, (-1e12, -1e12))
            if now - used > LIFE_S or now - written > MOST_LIFE_S:
                break
            matched = len(prefix)
        for prefix in prefixes:
            written = held[prefix][0] if len(prefix) <= matched else now
            held[prefix] = (written, now)
        matched = matched if matched >= LEAST else 0
        logged = row["usage"]["input_tokens"]
        read = (matched * logged + len(tokens) // 2) // len(tokens)
        usd = RATES["fresh"] * (logged - read) + RATES["read"] * read
        usd += RATES["output"] * row["usage"]["output_tokens"]
        yield usd / 1_000_000, logged, read


def change(row, text):
    """A request with another system prompt."""
    old = row["messages"][0]["content"]
    grown = len(tokens_of(text)) - len(tokens_of(old))
    usage = {**row["usage"], "input_tokens": row["usage"]["input_tokens"] + grown}
    messages = [{"role": "system", "content": text}, *row["messages"][1:]]
    return {**row, "messages": messages, "usage": usage}
