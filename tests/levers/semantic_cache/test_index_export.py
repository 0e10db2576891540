"""Exports as the tools read them that they are meant for."""

import json

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from index_makers import DIMENSION, make, scope, settings, vectors

from frugalctl.errors import OutputError, UsageError
from frugalctl.levers.semantic_cache.index import (
    build_index,
    export_index,
    open_index,
    record_hits,
)

ROWS = [
    {"key": "reset my password", "tenant": "a", "created": 1_500_000, "tags": ["faq"]},
    {"key": "reset my password", "tenant": "b", "cost_usd": 0.25},
    {"key": "비밀번호 재설정\r\n", "tenant": "a"},
]


@pytest.fixture(params=["float32", "int8"])
def index(tmp_path, request):
    build_index(tmp_path / "idx", *make(ROWS), settings(request.param))
    record_hits(tmp_path / "idx", [0, 0], 2_500_000)
    return open_index(tmp_path / "idx")


def test_duckdb_finds_the_nearest_in_the_parquet(index, tmp_path):
    target = str(tmp_path / "out.parquet")
    assert export_index(index, target, "parquet") == [target]
    query = vectors(["reset my password?"])[0].tolist()
    sql = (
        f"SELECT text, tenant, hits, array_cosine_similarity(vector::FLOAT[{DIMENSION}], "
        f"?::FLOAT[{DIMENSION}]) AS cosine FROM read_parquet(?) ORDER BY cosine DESC, tenant"
    )
    found = duckdb.execute(sql, [query, target]).fetchall()
    assert [row[:3] for row in found[:2]] == [
        ("reset my password?", "a", 2),
        ("reset my password?", "b", 0),
    ]
    assert found[0][3] == pytest.approx(1, abs=1e-4) and found[2][3] < 0.9


def test_the_vector_column_is_a_matrix_for_faiss_and_lancedb(index, tmp_path):
    target = str(tmp_path / "out.parquet")
    export_index(index, target, "parquet")
    column = pq.read_table(target).column("vector").combine_chunks()
    assert str(column.type) == f"fixed_size_list<element: float>[{DIMENSION}]"
    matrix = column.flatten().to_numpy().reshape(-1, DIMENSION)
    expected = vectors(pq.read_table(target).column("text").to_pylist())
    np.testing.assert_allclose(matrix, expected, atol=0.01)
    np.testing.assert_allclose(np.linalg.norm(matrix, axis=1), 1, atol=1e-6)


def test_faiss_searches_the_matrix(index, tmp_path):
    faiss = pytest.importorskip("faiss")
    export_index(index, str(tmp_path / "out.parquet"), "parquet")
    column = pq.read_table(tmp_path / "out.parquet").column("vector").combine_chunks()
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(column.flatten().to_numpy().reshape(-1, DIMENSION))
    queries = vectors(["비밀번호 재설정\r\n?"])
    _, rows = flat.search(queries, 1)
    assert index.texts(rows[0]) == ["비밀번호 재설정\r\n?"]


def test_jsonl_has_one_entry_a_line(index, tmp_path):
    target = str(tmp_path / "out.jsonl")
    export_index(index, target, "jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert {row["text"] for row in rows} == {"reset my password?", "비밀번호 재설정\r\n?"}
    (first,) = [row for row in rows if row["entry_id"] == 0]
    assert (first["created"], first["cost_usd"]) == ("1970-01-01T00:00:01.500000Z", None)
    assert len(first["vector"]) == DIMENSION and first["hits"] == 2


def read_commands(data):
    """Commands in Redis' protocol, taken apart by hand."""
    commands, at = [], 0
    while at < len(data):
        end = data.index(b"\r\n", at)
        count, at, words = int(data[at + 1 : end]), end + 2, []
        for _ in range(count):
            end = data.index(b"\r\n", at)
            size, at = int(data[at + 1 : end]), end + 2
            words.append(data[at : at + size])
            assert data[at + size : at + size + 2] == b"\r\n"
            at += size + 2
        commands.append(words)
    return commands


def test_redis_gets_what_a_semantic_cache_stores(index, tmp_path):
    files = export_index(index, str(tmp_path / "out.resp"), "redis")
    assert files == [str(tmp_path / "out.resp"), str(tmp_path / "out.schema.yaml")]
    commands = read_commands((tmp_path / "out.resp").read_bytes())
    assert len(commands) == 3 and len({words[1] for words in commands}) == 3
    stored = [dict(zip(words[2::2], words[3::2], strict=True)) for words in commands]
    for words, fields in zip(commands, stored, strict=True):
        assert words[0] == b"HSET" and words[1] == b"llmcache:" + fields[b"entry_id"]
        vector = np.frombuffer(fields[b"prompt_vector"], dtype="<f4")
        np.testing.assert_allclose(vector, vectors([fields[b"prompt"].decode()])[0], atol=0.01)
    assert {fields[b"scope"].decode() for fields in stored} == {scope("a"), scope("b")}
    (first,) = [fields for fields in stored if fields[b"inserted_at"] == b"1.5"]
    assert json.loads(first[b"metadata"]) == {"tags": ["faq"], "hits": 2}


def test_redisvl_accepts_schema_and_records(index, tmp_path):
    pytest.importorskip("redisvl", reason="redisvl is not installed")
    from redisvl.extensions.cache.llm.schema import (
        CacheEntry,
        CacheHit,
        SemanticCacheIndexSchema,
    )
    from redisvl.schema import IndexSchema
    from redisvl.schema.validation import SchemaModelGenerator

    export_index(index, str(tmp_path / "out.resp"), "redis")
    schema = IndexSchema.from_yaml(str(tmp_path / "out.schema.yaml"))
    own = SemanticCacheIndexSchema.from_params("llmcache", "llmcache", DIMENSION, "float32")
    own.add_field({"name": "scope", "type": "tag"})
    assert schema.to_dict() == own.to_dict()
    model = SchemaModelGenerator.get_model_for_schema(schema)
    for words in read_commands((tmp_path / "out.resp").read_bytes()):
        fields = {
            name.decode(): value if name == b"prompt_vector" else value.decode()
            for name, value in zip(words[2::2], words[3::2], strict=True)
        }
        numbers = {name: float(fields[name]) for name in ("inserted_at", "updated_at")}
        model.model_validate(fields | numbers)
        entry = CacheEntry(
            prompt=fields["prompt"],
            response=fields["response"],
            prompt_vector=np.frombuffer(fields["prompt_vector"], "<f4").tolist(),
            filters={"scope": fields["scope"]},
            metadata=json.loads(fields["metadata"]),
            **numbers,
        )
        theirs = entry.to_dict("float32")
        assert json.loads(theirs.pop("metadata")) == json.loads(fields.pop("metadata"))
        assert theirs == fields | numbers
        del fields["prompt_vector"]
        assert CacheHit(**fields, vector_distance=0.1).response == fields["response"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "redis"])
def test_an_empty_index_is_exported(tmp_path, kind):
    table, matrix = make(ROWS)
    build_index(tmp_path / "idx", table[:0], matrix[:0], settings())
    export_index(open_index(tmp_path / "idx"), str(tmp_path / "out"), kind)
    assert (tmp_path / "out").exists()


def test_an_unknown_form_and_an_unwritable_target_are_refused(index, tmp_path):
    with pytest.raises(UsageError, match="csv"):
        export_index(index, str(tmp_path / "out"), "csv")
    with pytest.raises(OutputError):
        export_index(index, str(tmp_path / "none" / "out"), "parquet")
