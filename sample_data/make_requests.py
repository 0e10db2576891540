"""Make the sample log: seven days of a few invented companies and their language models.

`drafts.py` says what was asked; this script answers it, counts tokens, lets the providers' prompt
caches hit or miss, and adds the flaws that real logs have. Everything follows from one seed, so
that the same script makes the same bytes:

    python sample_data/make_requests.py [FOLDER]
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

from drafts import TEXTS, UNKNOWN_MODEL, Draft, draft_all, is_korean

SEED = 20261028
EVALUATED = ("gemini-2.5-flash", "gpt-5.4-mini", "claude-opus-5")

Row = dict[str, Any]
Cache = dict[tuple[str, str], tuple[int, float, float]]
Prefixes = list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Model:
    """A model as this log plays it: skill in [0, 1], its tokenizer's and its clock's habits."""

    provider: str
    skill: float
    word_tokens: float
    hangul_tokens: float
    first_token_ms: float
    output_token_ms: float
    cache_min_tokens: int
    cache_life_s: float


MODELS = {
    "gemini-2.5-flash": Model("google", 0.62, 1.0, 0.65, 290, 4.6, 2048, 600),
    "gpt-5.4-mini": Model("openai", 0.70, 1.0, 0.72, 340, 5.9, 1024, 600),
    "claude-haiku-4-5": Model("anthropic", 0.74, 1.12, 1.2, 410, 6.8, 4096, 300),
    "gpt-5.4": Model("openai", 0.86, 1.0, 0.72, 620, 13.5, 1024, 600),
    "claude-opus-5": Model("anthropic", 0.93, 1.12, 1.2, 880, 17.0, 512, 300),
    UNKNOWN_MODEL: Model("self-hosted", 0.55, 1.1, 1.4, 150, 9.0, 10**9, 0),
}


def count_tokens(text: str, model: Model) -> int:
    """About as many tokens as the model's tokenizer would make of a text."""
    hangul = words = run = 0
    for letter in text + " ":
        if letter.isascii() and letter.isalnum():
            run += 1
            continue
        words += (run + 8) // 9
        run = 0
        if "가" <= letter <= "힣":
            hangul += 1
        elif not letter.isspace():
            words += 1
    return round(words * model.word_tokens + hangul * model.hangul_tokens)


def measure_prefixes(draft: Draft, model: Model) -> Prefixes:
    """For each message: the prompt up to and with it, and that prompt's tokens."""
    known = json.dumps(draft.tools, ensure_ascii=False) if draft.tools else ""
    tokens = count_tokens(known, model)
    prefixes: Prefixes = []
    for message in draft.messages:
        known += json.dumps(message, ensure_ascii=False)
        calls = message.get("tool_calls")
        tokens += count_tokens(message["content"] + (json.dumps(calls) if calls else ""), model)
        tokens += 4
        prefixes.append((known, tokens))
    return prefixes


def read_cache(cache: Cache, name: str, prefixes: Prefixes, now_s: float) -> int:
    """Tokens of the longest prefix that is still in a model's cache; a use renews an entry."""
    read = 0
    for text, _ in prefixes:
        tokens, until_s, life_s = cache.get((name, text), (0, 0.0, 0.0))
        if now_s <= until_s:
            cache[name, text] = (tokens, now_s + life_s, life_s)
            read = tokens
    return read


def write_cache(cache: Cache, name: str, marked: Prefixes, now_s: float, life_s: float) -> int:
    """Remember prefixes that are long enough; give back the tokens of the longest."""
    kept = [item for item in marked if item[1] >= MODELS[name].cache_min_tokens]
    for text, tokens in kept:
        cache[name, text] = (tokens, now_s + life_s, life_s)
    return max((tokens for _, tokens in kept), default=0)


def count_usage(rng: random.Random, cache: Cache, draft: Draft, output_tokens: int) -> Row:
    """Usage of an observed request, with cached tokens by the rules of its provider.

    OpenAI and Gemini cache every prefix above their minimum by themselves, OpenAI in steps of
    128 tokens, Gemini without a guarantee. Anthropic caches only up to breakpoints: here after
    the system prompt (for an hour if there are tools) and, in conversations, after the last
    message.
    """
    model, now_s = MODELS[draft.model], draft.at.timestamp()
    prefixes = measure_prefixes(draft, model)
    total = prefixes[-1][1] + 3
    read = read_cache(cache, draft.model, prefixes, now_s)
    usage: Row = {"input_tokens": total, "cache_read_tokens": read}
    if model.provider == "anthropic":
        long_s = 3600 if draft.tools else model.cache_life_s
        system = write_cache(cache, draft.model, prefixes[:1], now_s, long_s)
        end = system
        if draft.level is None:
            end = write_cache(cache, draft.model, prefixes[1:], now_s, model.cache_life_s)
        first, second = max(0, system - read), max(0, end - max(system, read))
        usage["cache_write_tokens"] = second if draft.tools else first + second
        usage["cache_write_1h_tokens"] = first if draft.tools else 0
    else:
        write_cache(cache, draft.model, prefixes, now_s, model.cache_life_s)
        if model.provider == "openai":
            usage["cache_read_tokens"] = read // 128 * 128
        elif rng.random() < 0.2:
            usage["cache_read_tokens"] = 0
    usage["output_tokens"] = output_tokens
    usage["reasoning_tokens"] = draft.reasoning_tokens
    return usage


def judge(rng: random.Random, draft: Draft, skill: float, luck: float) -> tuple[float, float]:
    """How good an answer is, in [0, 1], and how sure the model seems (a mean log-probability)."""
    assert draft.level is not None
    margin = 9 * (skill - draft.level) + luck + rng.gauss(0, 0.8)
    good = 1 / (1 + exp(-margin))
    graded = draft.task in ("summarise", "code")
    quality = round(4 * good) / 4 if graded else float(margin > 0)
    confidence = -0.02 - 0.6 / (1 + exp(0.8 * margin + rng.gauss(0, 0.9)))
    return quality, round(confidence, 3)


def word_answer(draft: Draft, quality: float) -> str:
    """The good answer, its first half, or a shrug."""
    if quality >= 0.75:
        return draft.answer
    if draft.task == "extract":
        return draft.answer.replace('"callback": true', '"callback": null').replace(
            '"callback": false', '"callback": true'
        )
    if quality > 0.25:
        return draft.answer[: len(draft.answer) // 2].rsplit(" ", 1)[0]
    return TEXTS["shrug"]["korean" if is_korean(draft.answer) else "english"]


def time_answer(rng: random.Random, model: Model, usage: Row) -> tuple[int, int]:
    """Milliseconds to the first token and to the last; cached input is read quickly."""
    fresh = usage["input_tokens"] - usage.get("cache_read_tokens", 0)
    thinking_ms = usage.get("reasoning_tokens", 0) * model.output_token_ms
    first_ms = (model.first_token_ms + 0.05 * fresh + thinking_ms) * rng.lognormvariate(0, 0.2)
    written = usage["output_tokens"] - usage.get("reasoning_tokens", 0)
    rest_ms = written * model.output_token_ms * rng.uniform(0.85, 1.3)
    return round(first_ms), round(first_ms + rest_ms)


def evaluate(rng: random.Random, draft: Draft, observed: Row, luck: float) -> list[Row]:
    """What three models answer to the same request, without any prompt cache.

    The observed model's answer is the observed one.
    """
    outcomes: list[Row] = []
    for name in EVALUATED:
        if name == draft.model:
            kept = ("model", "provider", "response", "usage", "latency_ms", "quality", "confidence")
            outcomes.append({key: observed[key] for key in kept if key in observed})
            continue
        model = MODELS[name]
        quality, confidence = judge(rng, draft, model.skill, luck)
        response = word_answer(draft, quality)
        usage = {
            "input_tokens": measure_prefixes(draft, model)[-1][1] + 3,
            "output_tokens": count_tokens(response, model) + draft.reasoning_tokens,
            "reasoning_tokens": draft.reasoning_tokens,
        }
        outcome: Row = {"model": name, "provider": model.provider, "response": response}
        outcome |= {"usage": usage, "latency_ms": time_answer(rng, model, usage)[1]}
        outcomes.append(outcome | {"quality": quality, "confidence": confidence})
    return outcomes


def answer(rng: random.Random, cache: Cache, draft: Draft, number: int) -> Row:
    """One line of the log."""
    model = MODELS[draft.model]
    at = draft.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    row: Row = {"id": f"r{number:04}", "timestamp": at, "session": draft.session}
    row |= {"tenant": draft.tenant, "task": draft.task, "model": draft.model}
    row |= {"provider": model.provider, "service_tier": draft.tier, "messages": draft.messages}
    row |= {"tools": draft.tools} if draft.tools else {}
    luck, quality, confidence = rng.gauss(0, 1.2), None, None
    if draft.level is not None:
        quality, confidence = judge(rng, draft, model.skill, luck)
    row["response"] = draft.answer if quality is None else word_answer(draft, quality)
    output_tokens = count_tokens(row["response"], model) + draft.reasoning_tokens + 2
    row["usage"] = count_usage(rng, cache, draft, output_tokens)
    if draft.tier != "batch":
        row["ttft_ms"], row["latency_ms"] = time_answer(rng, model, row["usage"])
    row |= {"reference": draft.reference, "quality": quality, "confidence": confidence}
    row = {key: value for key, value in row.items() if value is not None}
    if draft.level is not None and rng.random() < 0.93:
        row["outcomes"] = evaluate(rng, draft, row, luck)
    return row


def add_flaws(rows: list[Row]) -> None:
    """What a real log lacks here and there; README.md lists it. Every line stays valid."""
    chats = [row for row in rows if row["task"] == "chat"]
    for row in chats[4::9]:
        del row["usage"]
    own = [row for row in rows if row["model"] == UNKNOWN_MODEL]
    for row in own[1::2]:
        row["cost_usd"] = 0.00002
    evaluated = [row for row in rows if "outcomes" in row]
    for row in evaluated[17::45]:
        row["outcomes"] = row["outcomes"][:-1]
    for row in evaluated[11::60]:
        row["outcomes"][0]["confidence"] = None
    for row in evaluated[29::40]:
        row.pop("quality", None)
    for row in rows[50::80]:
        row.pop("latency_ms", None)
    rows[137]["trace_id"] = "6f1d0c52"


def break_lines(row: Row) -> list[str]:
    """A log of six lines, of which four are bad; the README and the tests show the errors."""
    plain: Row = {"id": "b1", "timestamp": row["timestamp"], "model": row["model"]}
    plain["usage"] = {"input_tokens": 1200, "cache_read_tokens": 1024, "output_tokens": 150}
    negative = {**plain, "id": "b3", "usage": {"input_tokens": 1200, "output_tokens": -150}}
    cached = {**plain, "id": "b4", "usage": {**plain["usage"], "cache_read_tokens": 2048}}
    lines = [write_line(item) for item in (plain, plain, negative, cached, plain, plain)]
    lines[1] = lines[1].replace("b1", "b2")[:-30]
    lines[5] = lines[5].replace("b1", "b6")
    return lines


def write_line(row: Row) -> str:
    """A row as one line of JSON."""
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def main(folder: Path) -> None:
    """Write both logs."""
    rng = random.Random(SEED)
    cache: Cache = {}
    drafts = draft_all(rng)
    rows = [answer(rng, cache, draft, number) for number, draft in enumerate(drafts, 1)]
    add_flaws(rows)
    for name, lines in (
        ("requests.jsonl", [write_line(row) for row in rows]),
        ("broken.jsonl", break_lines(rows[-1])),
    ):
        (folder / name).write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
        print(f"{name}: {len(lines)} lines")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
