"""Hosted embedders, with a litellm that answers from here."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from frugalctl.embed import hosted, load_embedder
from frugalctl.errors import FrugalError, InputError


class FakeLitellm:
    """Vectors of (length, 1), given in reverse; counts its calls."""

    def __init__(self, price_usd=0.25, fails="", width=2):
        self.calls = []
        self.price_usd, self.fails, self.width = price_usd, fails, width

    def embedding(self, model, input):
        self.calls.append((model, list(input)))
        if self.fails:
            raise ValueError(self.fails)
        data = [
            {"index": row, "embedding": [float(len(text)), *[1.0] * (self.width - 1)]}
            for row, text in enumerate(input)
        ]
        return {"data": data[::-1]}

    def completion_cost(self, completion_response, model, call_type):
        if self.price_usd is None:
            raise ValueError("not in the map")
        return self.price_usd


@pytest.fixture
def fake(monkeypatch):
    module = FakeLitellm()
    monkeypatch.setitem(sys.modules, "litellm", module)
    return module


def test_vectors_keep_the_order_and_have_length_one(fake):
    encoded = load_embedder("litellm:openai/small").encode(["aaa", " ", "a"])
    assert encoded.vectors == pytest.approx(
        np.array([[3 / 10**0.5, 1 / 10**0.5], [0, 0], [0.5**0.5, 0.5**0.5]])
    )
    assert fake.calls == [("openai/small", ["aaa", "a"])]
    assert encoded.cost_usd == 0.25
    assert not encoded.truncated.any()


def test_texts_go_in_batches_and_costs_add_up(fake):
    encoded = load_embedder("litellm:m").encode(["x" * size for size in range(1, 131)])
    assert [len(texts) for _, texts in fake.calls] == [64, 64, 2]
    assert encoded.cost_usd == 0.75
    assert np.argsort(encoded.vectors[:, 0]).tolist() == list(range(130))


def test_an_unknown_price_is_unknown(fake):
    fake.price_usd = None
    assert load_embedder("litellm:m").encode(["a"]).cost_usd is None


def test_nothing_asked_costs_nothing(fake):
    encoded = load_embedder("litellm:m").encode([])
    assert encoded.vectors.shape == (0, 2)
    assert encoded.cost_usd == 0


def test_fingerprint_is_name_and_dimension(fake):
    first = load_embedder("litellm:m")
    fake.width = 3
    second = load_embedder("litellm:m")
    fake.width = 2
    assert first.fingerprint == "litellm:m:2"
    fake.width = 3
    assert second.fingerprint == "litellm:m:3"


def test_the_providers_message_is_passed_on(fake):
    fake.fails = "401: no such key"
    with pytest.raises(FrugalError, match="litellm:m failed: 401: no such key"):
        load_embedder("litellm:m").encode(["a"])


def test_vectors_of_another_length_are_refused(fake):
    embedder = load_embedder("litellm:m")
    embedder.encode(["a"])
    fake.width = 3
    with pytest.raises(InputError, match="more than one length"):
        embedder.encode(["a"])


def test_a_missing_vector_is_refused(fake, monkeypatch):
    monkeypatch.setattr(fake, "embedding", lambda model, input: {"data": []})
    with pytest.raises(InputError, match="0 vectors for 1 texts"):
        load_embedder("litellm:m").encode(["a"])


def test_half_a_surrogate_pair_is_replaced(fake):
    load_embedder("litellm:m").encode(["a\ud800"])
    assert fake.calls == [("m", ["a?"])]


def test_the_price_map_of_the_package_is_asked_for(fake, monkeypatch):
    environment = dict[str, str]()
    monkeypatch.setattr(hosted, "os", SimpleNamespace(environ=environment))
    hosted.load_hosted("m")
    assert environment["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
