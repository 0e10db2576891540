"""Logs whose prompts are known to the token, and their replay under a prompt cache."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
from replay_cases import write_jsonl

from frugalctl.levers.cascade import CascadePolicy
from frugalctl.levers.prompt_cache import parse_cache_spec
from frugalctl.levers.prompt_cache.read import read_prompts
from frugalctl.log.schema import SCHEMA, LogBatch
from frugalctl.replay.ledger import writing_ledger
from frugalctl.replay.recipe import Recipe
from frugalctl.replay.run import ReplayOptions, replaying
from frugalctl.report.encode import render_json
from frugalctl.report.summary import summarise

SONNET, GPT, FLASH = "claude-sonnet-4-5", "gpt-4o", "gemini-3.8-flash"
OUTPUT_TOKENS = 70
NINE_O_CLOCK = int(datetime(2026, 10, 5, 9, tzinfo=UTC).timestamp())


def say(role, text):
    return {"role": role, "content": text}


RULES = say("system", " ".join(f"rule {number}" for number in range(2500)))
FIRST = [RULES, say("user", "Hello")]
SECOND = [*FIRST, say("assistant", "Hi! Go on."), say("user", "Why is that?")]


def count(messages, model):
    """How many tokens a prompt takes up to the end of each message."""
    row = {"messages": json.dumps(messages), "model": model}
    columns = {field.name: pa.array([row.get(field.name)], field.type) for field in SCHEMA}
    prompts = read_prompts([LogBatch(pa.RecordBatch.from_pydict(columns), "one", [1])])
    return prompts.texts.measure(prompts.segments).cumsum().tolist()


def ask(time, messages, model, **fields):
    """A request that was logged without any cache; `time` is text or seconds since nine."""
    if isinstance(time, int):
        time += NINE_O_CLOCK
    row = {"timestamp": time, "messages": messages, "model": model}
    if model is not None:
        row["usage"] = use(messages, model)
    return row | fields


def use(messages, model):
    return {"input_tokens": count(messages, model)[-1], "output_tokens": OUTPUT_TOKENS}


def make_options(spec, *, cascade=None, **options):
    policy = None if cascade is None else CascadePolicy(*cascade)
    cache = None if spec is None else parse_cache_spec(spec)
    return ReplayOptions(recipe=Recipe("tried", policy, cache), **options)


def replay_file(path, options, ledger=None):
    """The report as JSON text, and the notes on the cache; the ledger is kept if asked for."""
    with ExitStack() as stack:
        writer = stack.enter_context(writing_ledger(ledger)) if ledger else None
        run = stack.enter_context(replaying([path], options))

        def keep(batch):
            if writer:
                writer.write(batch)
            return batch

        def finish():
            meta = run.finish()
            if writer:
                writer.finish(meta)
            return meta

        text = render_json(summarise(map(keep, run.batches), finish))
    return text, () if run.cache is None else run.cache.notes


def replay_rows(folder, rows, spec, **options):
    """The report of rows under a cache, and the notes on it."""
    path = write_jsonl(folder / "log.jsonl", rows)
    text, notes = replay_file(path, make_options(spec, **options))
    return json.loads(text), notes


def cost(*parts):
    """Dollars of (tokens, dollars per million) pairs, as the report rounds them."""
    return float(sum(tokens * Decimal(price) for tokens, price in parts) / 1_000_000)


def steps(tokens, step=128):
    return tokens - tokens % step


def usd_of(report, side="recipe"):
    return report[side]["cost_usd"]


def check_tokens(report):
    """The cache's own sums are those of the recipe, and its shares are shares."""
    cache, tokens = report["prompt_cache"], report["recipe"]["tokens"]
    assert cache["read_tokens"] == tokens["cache_read"]
    assert cache["write_tokens"] == tokens["cache_write"] + tokens["cache_write_1h"]
    assert cache["fresh_tokens"] == tokens["fresh_input"]
    shares = [cache[f"{name}_share"] for name in ("read", "write", "fresh")]
    assert sum(shares) == pytest.approx(1, abs=1e-12)
    for bound in (cache["bounds"] or {}).values():
        assert set(bound) == {"read_share", "write_share", "fresh_share", "relative_input_cost"}
