import builtins
import warnings

import numpy as np
import pytest

from frugalctl.errors import InputError, MissingExtraError
from frugalctl.levers.semantic_cache.scorer import load_scorer

VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] how do i reset my password invoice".split()
VECTORS = np.zeros((2, 4), np.float32)


def make_model(folder, n_labels):
    """A tiny cross-encoder with random weights."""
    pytest.importorskip("sentence_transformers", reason="the extra embed is not installed")
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    (folder / "words.txt").write_text("\n".join(VOCABULARY))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
        num_labels=n_labels,
        initializer_range=1.0,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    BertTokenizer(str(folder / "words.txt")).save_pretrained(folder)
    return str(folder)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_local_model_scores_both_orders(tmp_path):
    path = make_model(tmp_path, 1)
    scorer = load_scorer(f"cross-encoder:{path}", "any")
    a, b = ["how do i reset my password", "invoice"], ["reset password", "how do i"]
    scores = scorer.score(a, b, VECTORS, VECTORS)
    assert scores.dtype == np.float64
    assert ((scores > 0) & (scores < 1)).all()
    assert scores[0] != scores[1]
    assert scorer.score(b, a, VECTORS, VECTORS) == pytest.approx(scores, abs=1e-6)
    one = [float(scorer.model.predict([pair])[0]) for pair in ((a[0], b[0]), (b[0], a[0]))]
    assert scores[0] == pytest.approx(sum(one) / 2, abs=1e-6)
    assert scorer.score([], [], VECTORS[:0], VECTORS[:0]).shape == (0,)
    assert scorer.name == load_scorer(f"cross-encoder:{path}", "other").name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_classifier_is_refused(tmp_path):
    path = make_model(tmp_path, 3)
    with pytest.raises(InputError, match="has 3 outputs"):
        load_scorer(f"cross-encoder:{path}", "any")


def test_only_local_folders(tmp_path):
    with pytest.raises(InputError, match="is not the folder of a model"):
        load_scorer("cross-encoder:someone/some-model", "any")
    (tmp_path / "config.json").write_text("{}")
    pytest.importorskip("sentence_transformers", reason="the extra embed is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(InputError, match="no cross-encoder"):
            load_scorer(f"cross-encoder:{tmp_path}", "any")


def test_without_the_extra(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "sentence_transformers":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError) as caught:
        load_scorer(f"cross-encoder:{tmp_path}", "any")
    assert "frugalctl[embed]" in caught.value.hint
