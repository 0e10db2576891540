"""The index of the semantic cache: search, one look-up, a cold start, a million entries.

    python benchmarks/semantic_index.py [--peers FOLDER] [--rounds 5] [--only search,million]

Faiss (`faiss-cpu`) and GPTCache (`gptcache`, `sqlalchemy`) are taken from the folder of `--peers`
if they are not installed: `pip install --target FOLDER faiss-cpu gptcache sqlalchemy`. What is
not found is left out.
"""

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from measure import report, run

from frugalctl.levers.semantic_cache.index import (
    IndexSettings,
    IndexWriter,
    find_nearest,
    open_index,
)

DIMENSION = 384
K = 8
TILE_ROWS = 8192
SCOPE = "0" * 32
PIECE = 10_000


def main() -> None:
    """Run what is asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", help="a folder with faiss and gptcache")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="search,lookup,cold,million,graph")
    parser.add_argument("--dtype", default="float32", choices=["float32", "int8"])
    parser.add_argument("--build", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--query", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peers:
        sys.path.append(options.peers)
    if options.build:
        return build(Path(options.build[0]), int(options.build[1]), options.dtype)
    if options.query:
        return query(Path(options.query))
    parts = {
        "search": lambda: measure_search(options.rounds),
        "lookup": lambda: measure_lookup(options.rounds),
        "cold": lambda: measure_cold(options.rounds),
        "million": lambda: measure_million(options.dtype),
        "graph": lambda: measure_graph(options.rounds),
    }
    for name in options.only.split(","):
        parts[name]()
    return None


def make_vectors(count: int, seed: int, near: Any = None) -> Any:
    """Directions that lie in bundles, as those of questions do; or near to given ones."""
    rng = np.random.default_rng(seed)
    if near is None:
        centres = np.random.default_rng(7).standard_normal((2000, DIMENSION), dtype=np.float32)
        near = centres[rng.integers(0, len(centres), count)]
    vectors = near + 0.7 * rng.standard_normal((count, DIMENSION), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def measure_in_turns(functions: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median seconds of each, called one after the other so that noise meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def multiply_bare(queries: Any, vectors: Any) -> Any:
    """The nearest row of each query by a tiled product and argmax, and nothing else."""
    rows = np.zeros(len(queries), dtype=np.int64)
    best = np.full(len(queries), -np.inf, dtype=np.float32)
    each = np.arange(len(queries))
    for start in range(0, len(vectors), TILE_ROWS):
        scores = queries @ vectors[start : start + TILE_ROWS].T
        top = scores.argmax(axis=1)
        found = scores[each, top]
        better = found > best
        best[better] = found[better]
        rows[better] = top[better] + start
    return rows


def measure_search(rounds: int) -> None:
    """256 queries over 100k vectors against the bare product and faiss."""
    vectors, queries = make_vectors(100_000, 0), make_vectors(256, 1)
    functions: dict[str, Callable[[], Any]] = {
        "bare": lambda: multiply_bare(queries, vectors),
        "ours": lambda: find_nearest(queries, vectors, K, tile_rows=TILE_ROWS),
    }
    if importlib.util.find_spec("faiss"):
        import faiss

        flat: Any = faiss.IndexFlatIP(DIMENSION)
        flat.add(vectors)
        functions["faiss"] = lambda: flat.search(queries, K)
    assert (find_nearest(queries, vectors, 1)[0][:, 0] == multiply_bare(queries, vectors)).all()
    seconds = measure_in_turns(functions, rounds)
    rows = [
        ("bare tiled product, argmax", f"{seconds['bare']:.3f} s", ""),
        (f"find_nearest, k={K}", f"{seconds['ours']:.3f} s", ""),
        ("  of the bare product", f"{seconds['ours'] / seconds['bare']:.2f}x", "at most 1.2x"),
    ]
    if "faiss" in seconds:
        rows += [
            (f"faiss flat, k={K}", f"{seconds['faiss']:.3f} s", ""),
            ("  of faiss flat", f"{seconds['ours'] / seconds['faiss']:.2f}x", "below 1x"),
        ]
    report(f"256 queries, 100k x {DIMENSION} float32", rows)


def make_questions(count: int, seed: int = 0) -> list[str]:
    """Different questions."""
    rng = np.random.default_rng(seed)
    verbs = ["reset", "change", "delete", "export", "share", "print", "install", "find", "sell"]
    things = ["password", "invoice", "account", "laptop", "photo", "ticket", "server", "recipe"]
    places = ["at home", "on my phone", "in Paris", "for a friend", "at work", "on Linux"]
    lists = [rng.choice(words, count) for words in (verbs, things, places)]
    return [
        f"how do i {verb} the {thing} number {number} {place}"
        for number, (verb, thing, place) in enumerate(zip(*lists, strict=True))
    ]


def make_table(texts: list[str]) -> pa.Table:
    """Entries for these texts."""
    return pa.table(
        {
            "text": texts,
            "key": texts,
            "response": [f"the answer to: {text}. " * 4 for text in texts],
            "scope": [SCOPE] * len(texts),
        }
    )


def make_index(
    path: Path, count: int, embedder: Any = None, dtype: str = "float32", graph: bool = False
) -> None:
    """Build an index with a writer, in pieces."""
    settings = IndexSettings(
        embedder="static",
        fingerprint="benchmark",
        dimension=embedder.dimension if embedder else DIMENSION,
        normalizer="none",
        dtype=dtype,
    )
    with IndexWriter(path, settings, graph=graph) as writer:
        for start in range(0, count, PIECE):
            texts = make_questions(min(PIECE, count - start), start)
            texts = [f"{start} {text}" for text in texts]
            vectors = (
                embedder.encode(texts).vectors if embedder else make_vectors(len(texts), start)
            )
            writer.write(make_table(texts), vectors)


def measure_lookup(rounds: int) -> None:
    """One question on an open index of 20k entries: embed, search, answer; against GPTCache."""
    from frugalctl.embed import load_embedder

    embedder = load_embedder("static")
    asked = [f"{text} please" for text in make_questions(200, 0)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "idx"
        make_index(path, 20_000, embedder)
        index = open_index(path)
        rows = index.find_scope(SCOPE)
        assert rows is not None

        def ask_ours(text: str) -> str | None:
            index.find_keys(SCOPE, [text])
            found, cosines = index.search(embedder.encode([text]).vectors, rows, 1)
            return index.responses(found[0])[0] if cosines[0, 0] > 0.8 else None

        functions = {"ours": lambda: [ask_ours(text) for text in asked]}
        if importlib.util.find_spec("gptcache"):
            ask_theirs = fill_gptcache(Path(folder) / "gptcache", embedder, index)
            functions["gptcache"] = lambda: [ask_theirs(text) for text in asked]
            answered = sum(a == b for a, b in zip(*(f() for f in functions.values()), strict=True))
            print(f"equal answers: {answered} of {len(asked)}")
        seconds = measure_in_turns(functions, rounds)
    ours_ms = seconds["ours"] / len(asked) * 1000
    lines = [("embed, search, answer", f"{ours_ms:.2f} ms", "")]
    if "gptcache" in seconds:
        theirs_ms = seconds["gptcache"] / len(asked) * 1000
        lines += [
            ("GPTCache get, faiss and sqlite", f"{theirs_ms:.2f} ms", ""),
            ("  faster by", f"{theirs_ms / ours_ms:.1f}x", "at least 5x"),
        ]
    report(f"one question, 20k entries x {embedder.dimension} float32", lines)


def fill_gptcache(folder: Path, embedder: Any, index: Any) -> Callable[[str], str | None]:
    """A GPTCache with the entries of the index; how it is asked.

    Faiss gets one thread, as our own single queries do: more make it slower.
    """
    import faiss
    from gptcache import Cache, Config
    from gptcache.adapter.api import get
    from gptcache.manager import CacheBase, VectorBase, get_data_manager
    from gptcache.processor.pre import get_prompt
    from gptcache.similarity_evaluation import SearchDistanceEvaluation

    faiss.omp_set_num_threads(1)
    folder.mkdir()
    manager = get_data_manager(
        CacheBase("sqlite", sql_url=f"sqlite:///{folder / 'cache.db'}"),
        VectorBase("faiss", dimension=embedder.dimension, index_path=str(folder / "faiss")),
        max_size=10**6,
    )
    cache = Cache()
    cache.init(
        pre_embedding_func=get_prompt,
        embedding_func=lambda text, **_: embedder.encode([text]).vectors[0],
        data_manager=manager,
        similarity_evaluation=SearchDistanceEvaluation(),
        config=Config(similarity_threshold=0.8),
    )
    table = index.read_table(["text", "response"])
    texts, responses = (table.column(name).to_pylist() for name in ("text", "response"))
    cache.import_data(questions=texts, answers=responses)
    # at the end of the process it would write itself into a folder that is gone by then
    manager.close = lambda: None
    return lambda text: get(text, cache_obj=cache)


def measure_graph(rounds: int) -> None:
    """The graph of a large scope against the exact search: recall, time, size."""
    if not importlib.util.find_spec("usearch"):
        return
    queries = make_vectors(200, 6)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "idx"
        start = time.perf_counter()
        make_index(path, 50_000, graph=True)
        seconds = time.perf_counter() - start
        exact, near = open_index(path), open_index(path, graph=True)
        rows = exact.find_scope(SCOPE)
        assert rows is not None
        pairs = zip(
            exact.search(queries, rows, K)[0], near.search(queries, rows, K)[0], strict=True
        )
        recall = np.mean([len(set(a) & set(b)) / K for a, b in pairs])
        times = measure_in_turns(
            {
                name: lambda index=index: [index.search(query[None], rows, K) for query in queries]
                for name, index in (("exact", exact), ("graph", near))
            },
            rounds,
        )
        size = (path / "graph.usearch").stat().st_size / 2**20
    report(
        f"graph of 50k x {DIMENSION}",
        [
            ("build, all", f"{seconds:.0f} s", ""),
            ("size", f"{size:.0f} MB", ""),
            (f"recall of the {K} nearest", f"{recall:.3f}", ""),
            ("one question, exact", f"{times['exact'] / len(queries) * 1000:.2f} ms", ""),
            ("one question, graph", f"{times['graph'] / len(queries) * 1000:.2f} ms", ""),
        ],
    )


def build(path: Path, count: int, dtype: str) -> None:
    """In a process of its own: build."""
    make_index(path, count, dtype=dtype)


def query(path: Path) -> None:
    """In a process of its own: open, one question, a batch."""
    index = open_index(path)
    rows = index.find_scope(SCOPE)
    assert rows is not None
    for queries in (make_vectors(1, 5), make_vectors(256, 6)):
        found, _ = index.search(queries, rows, K)
        assert len(index.responses(found[0])) == K


def measure_cold(rounds: int) -> None:
    """A process that opens an index of 100k entries and asks; the import alone beside it."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "idx")
        make_index(Path(path), 100_000)
        ask = (
            "from frugalctl.levers.semantic_cache.index import *\nimport numpy as np\n"
            f"i = open_index({path!r})\nq = np.zeros((1, {DIMENSION}), np.float32)\nq[0, 0] = 1\n"
            f"r, c = i.search(q, i.find_scope({SCOPE!r}), 8)\ni.entry(int(r[0, 0]))"
        )
        load = "import numpy, frugalctl.levers.semantic_cache.index"
        times = measure_in_turns(
            {
                "ask": lambda: run([sys.executable, "-c", ask]),
                "load": lambda: run([sys.executable, "-c", load]),
            },
            rounds,
        )
    report(
        f"100k entries x {DIMENSION} float32, cold",
        [
            ("open, check all, one question", f"{times['ask']:.2f} s", "CLI below 1 s"),
            ("  of which importing", f"{times['load']:.2f} s", ""),
        ],
    )


def measure_million(dtype: str) -> None:
    """Build and query a million entries, each in its own process."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "idx"
        me = [sys.executable, __file__, "--dtype", dtype]
        built = run([*me, "--build", str(path), "1000000"])
        asked = run([*me, "--query", str(path)])
    report(
        f"1M entries x {DIMENSION} {dtype}",
        [
            ("build", f"{built.seconds:.0f} s", ""),
            ("  peak", f"{built.megabytes:,.0f} MB", "at most 3,000 MB"),
            ("open, 257 questions", f"{asked.seconds:.1f} s", ""),
            ("  peak", f"{asked.megabytes:,.0f} MB", "at most 3,000 MB"),
        ],
    )


if __name__ == "__main__":
    main()
