"""The quality the bundled embedder is bundled for, on the shared data."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from frugalctl.embed import load_embedder

SHARED = Path(__file__).parents[3] / "shared" / "data" / "semcache"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")


def read(name):
    with gzip.open(SHARED / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_same_questions_are_nearer_than_others():
    from sklearn.metrics import roc_auc_score

    pairs = read("qqp_pairs")
    embedder = load_embedder()
    a, b = (embedder.encode([pair[side] for pair in pairs]).vectors for side in "ab")
    assert roc_auc_score([pair["same"] for pair in pairs], (a * b).sum(axis=1)) >= 0.78


def test_nearest_utterance_has_the_same_intent():
    rows = read("clinc")
    train, ask = ([row for row in rows if row["split"] == part] for part in ("train", "val"))
    embedder = load_embedder()
    index, queries = (
        embedder.encode([row["text"] for row in part]).vectors for part in (train, ask)
    )
    nearest = [train[row]["intent"] for row in (queries @ index.T).argmax(axis=1)]
    right = [intent == row["intent"] for intent, row in zip(nearest, ask, strict=True)]
    assert np.mean(right) >= 0.85


@pytest.mark.parametrize(("name", "floor"), [("static", 0.92), ("lexical", 0.92)])
def test_nearest_korean_question_is_a_paraphrase(name, floor):
    """Raw character TF-IDF (2 to 4 letters within words) reaches 0.834."""
    rows = read("parakqc_ko")
    groups = np.array([row["group"] for row in rows])
    vectors = load_embedder(name).encode([row["text"] for row in rows]).vectors
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    assert np.mean(groups[scores.argmax(axis=1)] == groups) >= floor
