import json
import tempfile

import numpy as np
import pyarrow as pa
import pytest

from frugalctl.embed import Encoded
from frugalctl.levers.semantic_cache.collect import POOR, TOO_LONG, Collected, collect_entries
from frugalctl.levers.semantic_cache.describe import describe_index
from frugalctl.levers.semantic_cache.index import (
    INPUT_SCHEMA,
    IndexSettings,
    build_index,
    open_index,
    record_hits,
)
from frugalctl.levers.semantic_cache.questions import NO_RESPONSE, read_questions
from frugalctl.levers.semantic_cache.scope import ScopeParts, digest_scope
from frugalctl.levers.semantic_cache.settings import SemanticCacheSettings
from frugalctl.log.read import ReadOptions, read_log
from frugalctl.log.stream import Source


class Cutter:
    """Reads three letters of a text; says what each text costs, if it knows."""

    spec, fingerprint, dimension = "cutter", "cutter-1", 2

    def __init__(self, price=0.0):
        self.price, self.seen = price, []

    def encode(self, texts):
        self.seen += texts
        vectors = np.tile(np.array([0.6, 0.8], dtype=np.float32), (len(texts), 1))
        cost = None if self.price is None else self.price * len(texts)
        return Encoded(vectors, np.array([len(text) > 3 for text in texts], dtype=np.bool_), cost)


class Plain:
    name = "plain-1"

    def make_keys(self, texts):
        return [text.lower() for text in texts]

    def reduce(self, texts):
        return [text.strip("!") for text in texts]


def read(*rows):
    lines = []
    for text, more in rows:
        messages = [{"role": "system", "content": "S"}, {"role": "user", "content": text}]
        lines.append(json.dumps({"model": "m", "messages": messages, "response": "r", **more}))
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.write("\n".join(lines))
        file.flush()
        source = Source(file.name, "log.jsonl")
        return read_questions(read_log([source], ReadOptions(estimate=False)))


def collect(*rows, embedder=None, **options):
    collected = Collected()
    table, vectors = collect_entries(
        read(*rows),
        embedder or Cutter(),
        Plain(),
        collected,
        settings=SemanticCacheSettings(**options),
    )
    return table, vectors, collected


def test_an_entry_holds_what_the_log_says():
    more = {
        "id": "r1",
        "tenant": "acme",
        "task": "faq",
        "timestamp": "2026-10-01T00:00:00Z",
        "latency_ms": 1500,
        "cost_usd": 0.25,
        "quality": 0.5,
    }
    table, vectors, _ = collect(("Hi!", more))
    assert table.schema.names == [name for name in INPUT_SCHEMA.names if name in table.schema.names]
    (entry,) = table.to_pylist()
    assert entry["text"] == "Hi!" and entry["key"] == "hi!" and entry["response"] == "r"
    assert (entry["source_id"], entry["task"], entry["tenant"]) == ("r1", "faq", "acme")
    assert entry["tags"] == ["tenant:acme", "model:m", "faq"]
    assert entry["created"].isoformat() == "2026-10-01T00:00:01.500000+00:00"
    assert (entry["cost_usd"], entry["latency_ms"], entry["quality"]) == (0.25, 1500, 0.5)
    parts = {name: entry[name] for name in ("tenant", "model", "system", "tools", "sampling")}
    assert entry["scope"] == digest_scope(ScopeParts(**parts, history=entry["history"]))
    assert vectors.tolist() == [[np.float32(0.6), np.float32(0.8)]]


def test_what_is_not_known_stays_unknown():
    (entry,) = collect(("a", {}))[0].to_pylist()
    for name in ("tenant", "task", "created", "cost_usd", "latency_ms", "quality", "source_id"):
        assert entry[name] is None


def test_every_request_is_taken_or_counted():
    rows = [
        ("a", {"quality": 0.4}),
        ("b", {"quality": 0.5}),
        ("c", {}),
        ("long", {}),
        ("d", {"response": None}),
        ("e", {"messages": None, "usage": {"input_tokens": 1}}),
    ]
    table, vectors, collected = collect(*rows, min_quality=0.5)
    assert table.column("text").to_pylist() == ["b", "c"] and len(vectors) == 2
    left = {reason: count for reason, count in collected.left_out.items() if count}
    assert left == {POOR: 1, TOO_LONG: 1, NO_RESPONSE: 1, "no messages": 1}
    assert collected.requests == 6 == collected.entries + sum(left.values())


def test_what_is_embedded_is_the_reduced_text_of_what_is_kept():
    embedder = Cutter()
    collect(("ab!!", {}), ("no", {"response": ""}), embedder=embedder)
    assert embedder.seen == ["ab"]


@pytest.mark.parametrize(("price", "total"), [(0.0, 0.0), (0.25, 0.75), (None, None)])
def test_the_cost_of_embedding_adds_up_or_is_unknown(price, total):
    collected = Collected()
    for rows in ((("a", {}), ("b", {})), (("c", {}),)):
        settings = SemanticCacheSettings()
        collect_entries(read(*rows), Cutter(price), Plain(), collected, settings=settings)
    assert collected.embedding_usd == total


def test_a_long_text_is_found_by_its_exact_key_only():
    table, vectors, _ = collect(("a" * 3, {}), ("b" * 2, {}), max_chars=2)
    assert table.column("text").to_pylist() == ["aaa", "bb"]
    assert vectors.any(axis=1).tolist() == [False, True]


def test_an_empty_piece_is_an_empty_table():
    table, vectors, _ = collect(("a", {"response": None}))
    assert table.num_rows == 0 and vectors.shape == (0, 2)
    assert all(table.schema.field(name) == INPUT_SCHEMA.field(name) for name in table.column_names)


def test_the_description_counts_names_and_uses(tmp_path):
    rows = [("a", {"tenant": "x"}), ("b", {"tenant": "x", "task": "t"}), ("c", {})]
    table, vectors, _ = collect(*rows)
    settings = IndexSettings(
        embedder="cutter", fingerprint="cutter-1", dimension=2, normalizer="plain-1"
    )
    build_index(tmp_path / "idx", pa.table(table), vectors, settings)
    used = open_index(tmp_path / "idx").read_table(["text", "entry_id"]).to_pylist()
    of_b = next(row["entry_id"] for row in used if row["text"] == "b")
    record_hits(tmp_path / "idx", [of_b, of_b], 7)
    facts = describe_index(open_index(tmp_path / "idx"))
    assert facts["tenants"] == {"x": 2, "": 1}
    assert facts["names"] == {"tenants": 1, "models": 1, "tasks": 1}
    assert (facts["oldest"], facts["newest"], facts["hits"]) == (None, None, 2)
    assert facts["most_used"] == [{"entry_id": of_b, "hits": 2, "text": "b"}]
