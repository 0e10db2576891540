"""The learned pair scorer: what it adds to cosine, how fast it is, how little data it needs.

    python benchmarks/pair_scorer.py [--data ../shared/data/semcache] [--embedders static,minilm]
        [--vectors FOLDER]

QQP pairs are split in two by connected component; one half trains, the other is measured. Bars:
AUC 0.85 with `static`, 0.89 with `minilm`; 6,000 pairs a second on one core. On half of CLINC's
intents, as a cache does it, each text is answered by the best-scored of its 8 nearest: by the
scorer of QQP, which has never seen such text, and by one learned from mined pairs of the other
half. `--vectors` keeps the vectors between runs.
"""

import argparse
import gzip
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import report

BARS = {"static": 0.85, "minilm": 0.89}
SEED = 0
CANDIDATES = 8


def read_rows(path: Path):
    """The rows of a gzipped JSONL file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def embed_texts(embedder, texts, folder):
    """Vectors of texts, kept in the folder if one is given."""
    import xxhash

    key = xxhash.xxh3_64_hexdigest("\0".join((embedder.fingerprint, *texts)).encode())
    kept = Path(folder, f"{key}.npy") if folder else None
    if kept is not None and kept.exists():
        return np.load(kept)
    vectors = embedder.encode(texts).vectors
    if kept is not None:
        np.save(kept, vectors)
    return vectors


def find_components(a, b, n):
    """int64[n]: the connected component of each text."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = coo_matrix((np.ones(len(a)), (a, b)), shape=(n, n))
    return connected_components(edges, directed=False)[1]


def measure_hit_rate(scores, same, bound):
    """The highest share of pairs that hit while wrong-of-hits is within the bound."""
    order = np.argsort(-scores, kind="stable")
    hits = np.arange(1, len(order) + 1)
    last = np.append(np.diff(scores[order]) != 0, True)
    within = last & (np.cumsum(~same[order]) <= bound * hits)
    return hits[within].max(initial=0) / len(order)


def measure_calibration_error(scores, same):
    """Expected calibration error over ten bins of equal width."""
    bins = np.minimum((scores * 10).astype(int), 9)
    gaps = [
        abs(scores[bins == i].mean() - same[bins == i].mean()) * (bins == i).mean()
        for i in np.unique(bins)
    ]
    return float(sum(gaps))


class Pairs:
    """Labelled pairs over distinct texts, with their vectors and components."""

    def __init__(self, texts, vectors, left, right, same, groups):
        self.texts, self.vectors, self.left, self.right = texts, vectors, left, right
        self.same, self.groups = same, groups

    def take(self, rows):
        """These pairs only."""
        parts = (self.left[rows], self.right[rows], self.same[rows], self.groups[rows])
        return Pairs(self.texts, self.vectors, *parts)

    def unpack(self):
        """Texts and vectors of both sides."""
        a, b = ([self.texts[i] for i in side] for side in (self.left, self.right))
        return a, b, self.vectors[self.left], self.vectors[self.right]

    def split(self, share=0.5):
        """Two parts without a common group."""
        names = np.unique(self.groups)
        chosen = np.random.default_rng(SEED).permutation(names)[: round(len(names) * share)]
        inside = np.isin(self.groups, chosen)
        return self.take(np.flatnonzero(inside)), self.take(np.flatnonzero(~inside))


def read_qqp(folder, embedder, kept):
    """QQP as pairs whose group is their component."""
    rows = read_rows(folder / "qqp_pairs.jsonl.gz")
    texts = list(dict.fromkeys(text for row in rows for text in (row["a"], row["b"])))
    number = {text: i for i, text in enumerate(texts)}
    left, right = (np.array([number[row[side]] for row in rows]) for side in "ab")
    same = np.array([bool(row["same"]) for row in rows])
    groups = find_components(left, right, len(texts))[left]
    return Pairs(texts, embed_texts(embedder, texts, kept), left, right, same, groups)


def split_clinc(folder, embedder, kept):
    """Texts, intents and vectors of half of CLINC's intents, and of the other half."""
    rows = [row for row in read_rows(folder / "clinc.jsonl.gz") if row["intent"] != "oos"]
    texts = [row["text"] for row in rows]
    intents = np.array([row["intent"] for row in rows])
    vectors = embed_texts(embedder, texts, kept)
    names = np.unique(intents)
    chosen = np.random.default_rng(SEED).permutation(names)[: len(names) // 2]
    for inside in (True, False):
        keep = np.flatnonzero(np.isin(intents, chosen) == inside)
        yield [texts[i] for i in keep], intents[keep], vectors[keep]


def mine(texts, intents, vectors):
    """Pairs to train on; a pair's group is the intent of its first text."""
    from frugalctl.levers.semantic_cache.scorer_mining import mine_pairs

    mined = mine_pairs(texts, intents.tolist(), vectors, CANDIDATES)
    return Pairs(texts, vectors, *mined, intents[mined[0]])


def answer_nearest(name, scorer, texts, intents, vectors):
    """Rows of how often the best of the candidates is right, by cosine and by the scorer."""
    from frugalctl.levers.semantic_cache.index.search import find_nearest
    from frugalctl.levers.semantic_cache.scorer import CosineScorer

    near, _ = find_nearest(vectors, vectors, CANDIDATES + 1)
    own = near == np.arange(len(near))[:, None]
    own[:, -1] |= ~own.any(axis=1)
    near = near[~own].reshape(-1, CANDIDATES)
    query = np.repeat(np.arange(len(near)), CANDIDATES)
    pairs = Pairs(texts, vectors, query, near.ravel(), None, None).unpack()
    figures = []
    for chosen in (CosineScorer(), scorer):
        scores = chosen.score(*pairs).reshape(near.shape)
        best = near[np.arange(len(near)), scores.argmax(axis=1)]
        right = intents[best] == intents
        rates = [measure_hit_rate(scores.max(axis=1), right, bound) for bound in (0.02, 0.05)]
        figures.append((right.mean(), *rates))
    labels = ("right", "hit rate at 2% wrong-of-hits", "hit rate at 5% wrong-of-hits")
    for label, cosine, learned in zip(labels, *figures, strict=True):
        yield f"{name}: {label}", f"{cosine:.3f} -> {learned:.3f}", ""


def train(pairs, embedder):
    """A scorer, and the seconds that it took."""
    from frugalctl.levers.semantic_cache.scorer_training import train_scorer

    a, b, a_vectors, b_vectors = pairs.unpack()
    start = time.perf_counter()
    scorer = train_scorer(
        a,
        b,
        pairs.same,
        a_vectors,
        b_vectors,
        groups=pairs.groups.tolist(),
        seed=SEED,
        embedder_fingerprint=embedder.fingerprint,
    )
    return scorer, time.perf_counter() - start


def compare(name, scorer, test, bar=""):
    """Rows of AUC and hit rates, cosine against the learned scorer."""
    from sklearn.metrics import roc_auc_score

    from frugalctl.levers.semantic_cache.scorer import CosineScorer

    cosine, learned = CosineScorer().score(*test.unpack()), scorer.score(*test.unpack())
    aucs = [roc_auc_score(test.same, scores) for scores in (cosine, learned)]
    yield f"{name}: AUC, cosine -> learned", f"{aucs[0]:.3f} -> {aucs[1]:.3f}", bar
    for bound in (0.02, 0.05):
        rates = [measure_hit_rate(scores, test.same, bound) for scores in (cosine, learned)]
        label = f"{name}: hit rate at {bound:.0%} wrong-of-hits"
        yield label, f"{rates[0]:.3f} -> {rates[1]:.3f}", ""
    error = measure_calibration_error(learned, test.same)
    yield f"{name}: calibration error of the learned score", f"{error:.3f}", ""


def measure_costs(scorer, test, seconds):
    """Rows of speed, training time and file size."""
    from frugalctl.levers.semantic_cache.scorer_files import save_scorer

    arguments = test.unpack()
    times = []
    for _ in range(3):
        start = time.process_time()
        scorer.score(*arguments)
        times.append(time.process_time() - start)
    yield "pairs a second, one core", f"{len(test.same) / min(times):,.0f}", ">= 6,000"
    yield "training time", f"{seconds:.1f} s", ""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scorer.npz")
        save_scorer(scorer, str(path))
        yield "file size", f"{path.stat().st_size / 1e6:.2f} MB", ""


def measure_embedder(spec, data, kept):
    """All rows of one embedder."""
    from frugalctl.embed.base import load_embedder

    embedder = load_embedder(spec)
    pairs = read_qqp(data, embedder, kept)
    half, test = pairs.split()
    scorer, seconds = train(half, embedder)
    bar = f">= {BARS[spec]}" if spec in BARS else ""
    yield from compare(f"QQP, {len(half.same):,} pairs", scorer, test, bar)
    yield from measure_costs(scorer, test, seconds)
    for n in (500, 2000, 5000):
        few, _ = half.split(n / len(half.same))
        yield from compare(f"QQP, {len(few.same):,} pairs", train(few, embedder)[0], test)
    learned, held = split_clinc(data, embedder, kept)
    yield from answer_nearest("CLINC by the scorer of QQP", scorer, *held)
    yield from answer_nearest("CLINC by its own", train(mine(*learned), embedder)[0], *held)


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data/semcache"))
    parser.add_argument("--embedders", default="static,minilm")
    parser.add_argument("--vectors", help="a folder that keeps vectors between runs")
    options = parser.parse_args()
    if not options.data.is_dir():
        sys.exit(f"{options.data} is not there: name the folder with --data")
    for spec in options.embedders.split(","):
        report(
            f"Pair scorer on {spec}", list(measure_embedder(spec, options.data, options.vectors))
        )


if __name__ == "__main__":
    main()
