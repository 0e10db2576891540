"""Small logs with every gap that a log may have, and recipes of random levers."""

from hypothesis import strategies as st
from replay_cases import MODELS, write_jsonl

from frugalctl.replay.recipe import parse_recipe

GAPS = (None, "a", "한국어")
RULES = "You answer for the harbour office. Berths are let by the day, moorings by the month."
SYSTEMS = {"rules": RULES, "long rules": RULES * 80}
QUESTIONS = (
    "What does a berth cost for one day?",
    "what does a berth  cost for one day",
    "What does a mooring cost for one month?",
    "When does the fuel dock open on Sundays?",
    "The tide table says 04:10.\n\n\nThe tide table says 04:10.\n\n\nWhen is high water?",
)
ANSWERS = ("40 a day.", "At seven.", "", None)

_unit = st.none() | st.integers(0, 8).map(lambda n: n / 8)
_ms = st.none() | st.integers(0, 40_000).map(lambda n: n / 8)
_usd = st.none() | st.integers(0, 10**12).map(lambda picos: picos / 10**12)
_counts = st.tuples(*[st.integers(0, 4000)] * 5)


def _usage(counts):
    fresh, read, write, output, reasoning = counts
    return {
        "input_tokens": fresh + read + write,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "output_tokens": output + reasoning,
        "reasoning_tokens": reasoning,
    }


@st.composite
def _answers(draw, model, full=False):
    return {
        "model": model,
        "usage": _usage(draw(_counts)),
        "latency_ms": draw(_ms),
        "cost_usd": draw(_usd),
        "quality": 0.5 if full else draw(_unit),
        "confidence": draw(_unit),
        "response": draw(st.sampled_from(ANSWERS[:2] if full else ANSWERS)),
    }


@st.composite
def _rows(draw, at, alike):
    """A request; the first one has everything that a recipe may need."""
    full = at == 0
    observed = "gpt-4o" if full else draw(st.sampled_from(("gpt-4o", None, *MODELS)))
    others = MODELS if full or alike else draw(st.lists(st.sampled_from(MODELS), unique=True))
    row = draw(_answers(observed, full)) if observed else {}
    row["outcomes"] = [draw(_answers(model, full)) for model in others]
    if not observed and not others:
        row = draw(_answers(None)) | {"outcomes": None}
    texts = QUESTIONS[:2] if alike else QUESTIONS if full else (*QUESTIONS, None, "")
    messages = [{"role": "user", "content": draw(st.sampled_from(texts))}]
    system = "long rules" if alike else draw(st.sampled_from((None, "rules")))
    if system:
        messages.insert(0, {"role": "system", "content": system})
    if observed and not full and draw(st.booleans()):
        row["usage"] = None
    elif row["outcomes"] and not full and not draw(st.integers(0, 4)):
        messages = None
    minute = draw(st.none() | st.integers(0, 6))
    labels = {name: draw(st.sampled_from(GAPS)) for name in ("session", "task")}
    return (
        row
        | labels
        | {
            "id": f"r{at}",
            "timestamp": None if minute is None else 1_790_812_680 + 60 * minute,
            "messages": messages,
            "tenant": "a" if alike else draw(st.sampled_from(GAPS)),
        }
    )


@st.composite
def logs(draw):
    """Requests around midnight, the first of them complete; in half of the logs much alike."""
    alike = draw(st.booleans())
    return [draw(_rows(at, alike)) for at in range(draw(st.integers(1, 9)))]


def write_log(path, rows):
    """Write a log, with the system prompts in the place of their names."""

    def spell(messages):
        return [
            message | {"content": SYSTEMS.get(message["content"], message["content"])}
            for message in messages
        ]

    return write_jsonl(
        path, [row | {"messages": row["messages"] and spell(row["messages"])} for row in rows]
    )


_MODELS_ORDER = st.permutations(MODELS).flatmap(
    lambda names: st.integers(1, len(names)).map(lambda count: list(names[:count]))
)
_SEMANTIC = st.fixed_dictionaries(
    {"embedder": st.just("lexical"), "threshold": st.sampled_from((0.5, 0.9))},
    optional={
        "scope": st.sampled_from(([], ["tenant"], ["model", "system"])),
        "lookup_ms": st.sampled_from((0.0, 2.5)),
        "max_entries": st.integers(1, 3),
        "ttl": st.just("2m"),
        "min_quality": st.just(0.5),
    },
)
_COMPRESS = st.fixed_dictionaries(
    {"embedder": st.just("none")},
    optional={
        "ms_per_1k_tokens": st.just(7),
        "tiers": st.sampled_from((["lossless"], ["lossless", "structural"])),
    },
) | st.sampled_from(
    (
        {"embedder": "none", "rate": 0.3},
        {"embedder": "none", "rate": 0.8, "auto": True},
        {"embedder": "none", "target_tokens": 20},
    )
)
_PROMPT_CACHE = st.sampled_from(
    (
        {"kind": "openai"},
        {"kind": "blocks", "unit": 16},
        {"kind": "anthropic", "mode": "1h"},
        {"kind": "gemini-explicit", "model": "gemini-2.5-flash"},
        {"kind": "blocks", "unit": 16, "ttl": 300},
        {"kind": "vllm", "tenants": "shared"},
    )
)


@st.composite
def _cascades(draw):
    models = draw(_MODELS_ORDER)
    thresholds = [draw(st.sampled_from((0.25, 0.75))) for _ in models[1:]]
    fees = draw(st.sampled_from(({}, {"score_usd": 0.00031, "score_ms": 3})))
    return {"models": models, "thresholds": thresholds} | fees


@st.composite
def recipes(draw):
    """A recipe with a random set of levers, each with random settings."""
    tables = {
        "semantic_cache": _SEMANTIC,
        "cascade": _cascades(),
        "compress": _COMPRESS,
        "prompt_cache": _PROMPT_CACHE,
    }
    chosen = {name: draw(table) for name, table in tables.items() if draw(st.booleans())}
    return parse_recipe(chosen, "tried")
