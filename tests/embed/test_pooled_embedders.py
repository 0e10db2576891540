"""The bundled and the lexical embedder."""

import unicodedata
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from frugalctl.embed import load_embedder
from frugalctl.embed.ngrams import draw_signs, hash_words, weigh_ngrams
from frugalctl.embed.pooled import count_letters, cut_chunks
from frugalctl.embed.static import SPELLING_SHARE
from frugalctl.embed.words import split_words

BUNDLED = {name: load_embedder(name) for name in ("static", "lexical")}
ALPHABETS = st.sampled_from(
    "abcxyz0189 ?!.,#'-éßÅ가나다해줘요메일ㅋ東京語гдеश्कمن🙂\ud800\x00\n\u0301"
)
VERBS, NOUNS = ("reset", "unfold", "pay"), ("password", "Regenschirm", "영수증")
TEXTS = st.lists(st.text(ALPHABETS, max_size=30), max_size=8)


@pytest.fixture(params=list(BUNDLED))
def embedder(request):
    return BUNDLED[request.param]


def spell(word, dimension):
    vector = np.zeros(dimension)
    for ngram, weight in weigh_ngrams(word):
        vector += weight * draw_signs([ngram], dimension)[0].astype(float) / dimension**0.5
    return vector


def encode_plainly(embedder, text):
    """One text, word by word, in double precision: what `encode` is to give."""
    known = getattr(embedder, "_known", None)
    sums = {True: np.zeros(embedder.dimension), False: np.zeros(embedder.dimension)}
    letters = {True: 0.0, False: 0.0}
    for word in split_words(text):
        knows = known is not None and known.knows(word)
        letters[knows] += count_letters(word)
        if knows:
            rows = known.split(word)
            pieces = sum(known._vectors[r].astype(float) * float(known._scales[r]) for r in rows)
            if len(rows) > 1:
                spelling = spell(word, embedder.dimension)
                spelling *= np.linalg.norm(pieces) / np.linalg.norm(spelling)
                pieces = (1 - SPELLING_SHARE) ** 0.5 * pieces + SPELLING_SHARE**0.5 * spelling
            sums[True] += pieces
        else:
            sums[False] += spell(word, embedder.dimension)
    total = sum(letters.values())
    share = letters[False] / total if total else 0.0
    parts = {k: v / (np.linalg.norm(v) or 1) for k, v in sums.items()}
    if not sums[False].any():
        return parts[True]
    if not sums[True].any():
        return parts[False]
    mixed = (1 - share) ** 0.5 * parts[True] + share**0.5 * parts[False]
    return mixed / (np.linalg.norm(mixed) or 1)


@given(TEXTS)
def test_vectors_are_those_of_the_plain_reference(texts):
    for embedder in BUNDLED.values():
        vectors = embedder.encode(texts).vectors
        assert vectors.shape == (len(texts), embedder.dimension)
        for text, vector in zip(texts, vectors, strict=True):
            assert vector == pytest.approx(encode_plainly(embedder, text), abs=2e-5)


@given(TEXTS, st.randoms())
def test_neither_company_nor_order_nor_history_changes_a_vector(texts, rng):
    for name, embedder in BUNDLED.items():
        together = embedder.encode(texts).vectors
        order = list(range(len(texts)))
        rng.shuffle(order)
        shuffled = embedder.encode([texts[row] for row in order]).vectors
        fresh = load_embedder(name) if len(texts) == 1 else embedder
        alone = [fresh.encode([text]).vectors[0] for text in texts]
        assert all(np.array_equal(together[row], alone[row]) for row in range(len(texts)))
        assert np.array_equal(shuffled, together[order])


@given(st.text(ALPHABETS, max_size=40))
def test_canonically_equal_texts_have_equal_vectors(text):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD")]
    for embedder in BUNDLED.values():
        composed, decomposed = embedder.encode(forms).vectors
        assert np.array_equal(composed, decomposed)


@given(st.text(max_size=60))
def test_any_text_has_a_finite_vector_of_length_one_or_none_at_all(text):
    for embedder in BUNDLED.values():
        encoded = embedder.encode([text])
        length = float(np.linalg.norm(encoded.vectors[0]))
        assert length == pytest.approx(1, abs=1e-5) or (length == 0 and not split_words(text))
        assert not encoded.truncated.any()
        assert encoded.cost_usd == 0


def test_no_texts_and_empty_texts(embedder):
    assert embedder.encode([]).vectors.shape == (0, embedder.dimension)
    encoded = embedder.encode(["", " \t\n", "\x00\x1f"])
    assert not encoded.vectors.any()
    assert encoded.vectors.dtype == np.float32


def test_a_long_text_is_read_to_its_end(embedder):
    long = "reset the password " * 60_000
    vectors = embedder.encode([long, long + "of the moon " * 60_000, "x" * 1_000_000]).vectors
    assert float(vectors[0] @ vectors[1]) < 0.97
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)


def test_memory_of_words_is_bounded_and_forgetting_changes_nothing(embedder, monkeypatch):
    monkeypatch.setattr("frugalctl.embed.pooled.KEPT_WORDS", 500)
    before = embedder.encode(["how do I reset my password?"]).vectors
    for start in range(0, 4000, 400):
        embedder.encode([" ".join(f"w{number}" for number in range(start, start + 400))])
        assert len(embedder._rows) <= 500 + 400
    assert np.array_equal(embedder.encode(["how do I reset my password?"]).vectors, before)


def test_threads_share_an_embedder():
    fresh = load_embedder("static")
    texts = [
        f"how do i {verb} the {noun}{row}" for row in range(60) for verb in VERBS for noun in NOUNS
    ]
    with ThreadPoolExecutor(8) as pool:
        parts = pool.map(fresh.encode, [texts[start::16] for start in range(16)])
    for start, part in enumerate(parts):
        assert np.array_equal(part.vectors, BUNDLED["static"].encode(texts[start::16]).vectors)


def test_every_ascii_sign_and_ending_is_a_piece():
    signs = "".join(map(chr, range(0x21, 0x7F)))
    vectors = BUNDLED["static"].encode([*signs, *(f"zq{sign}{sign}j" for sign in signs)]).vectors
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_chunks_hold_every_text_once_and_in_order():
    texts = ["a" * size for size in (0, 200_000, 5, 7, 140_000)] + ["b"] * 3000
    chunks = list(cut_chunks(texts))
    assert [text for chunk in chunks for text in chunk] == texts
    assert max(map(len, chunks)) <= 1024


@pytest.mark.parametrize(
    ("near", "far"),
    [
        (("how do I reset my password?", "how can I change my password"), "what is the capital?"),
        (("where can I buy a cheap car", "which shop sells cars"), "who wrote this poem"),
        (("비밀번호를 어떻게 바꾸나요?", "비밀번호 바꾸는 법"), "내일 서울 날씨 알려줘"),
        (("Как сбросить пароль?", "сброс пароля"), "Какая завтра погода?"),
        (("如何重置密码", "怎么重置我的密码"), "明天天气怎么样"),
        (("¿Cómo restablezco mi contraseña?", "restablecer contraseñas"), "¿cuál es el horario?"),
        (("Wie storniere ich die Bestellung?", "Bestellung stornieren"), "Wo ist mein Paket?"),
        (("API 호출이 실패합니다", "API 호출 실패"), "환불은 어떻게 하나요"),
    ],
)
def test_static_puts_the_same_matter_nearer(near, far):
    a, b, c = BUNDLED["static"].encode([*near, far]).vectors
    assert float(a @ b) > float(a @ c) + 0.1


def test_static_compares_unknown_scripts_no_worse_than_their_ngrams():
    """A wholly foreign text is its n-grams, at the same dimension."""
    text = "비밀번호를 어떻게 바꾸나요"
    plain = hash_words(split_words(text), BUNDLED["static"].dimension).sum(axis=0)
    vector = BUNDLED["static"].encode([text]).vectors[0]
    assert vector == pytest.approx(plain / np.linalg.norm(plain), abs=1e-5)


def test_signs_are_even_and_independent():
    signs = draw_signs([f"n{number}" for number in range(400)], 256)
    assert set(np.unique(signs)) == {-1.0, 1.0}
    products = signs @ signs.T / 256
    off = products[~np.eye(400, dtype=bool)]
    assert abs(off.mean()) < 0.01
    assert off.std() == pytest.approx(256**-0.5, rel=0.05)


def test_hashed_similarity_is_that_of_the_weighted_counts():
    words = ["비밀번호를", "비밀번호가", "날씨는"]
    counts = [dict[str, float]() for _ in words]
    for word, count in zip(words, counts, strict=True):
        for ngram, weight in weigh_ngrams(word):
            count[ngram] = count.get(ngram, 0) + weight
    vectors = hash_words(words, 128 * 64)
    for a, x in zip(counts, vectors, strict=True):
        for b, y in zip(counts, vectors, strict=True):
            exact = sum(a[ngram] * b.get(ngram, 0) for ngram in a)
            assert float(x @ y) == pytest.approx(exact, abs=0.15)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("How's C++?", ["how", "'", "s", "c", "+", "+", "?"]),
        ("Café CAFE\u0301", ["cafe", "cafe"]),
        ("API를 씀", ["api", "를", "씀"]),
        ("Łódź ﬁne Ａ１", ["lodz", "fine", "a1"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("a\x00b\ud800", ["a", "b", "\ud800"]),
        ("👍👎", ["👍", "👎"]),
        ("x" * 130, ["x" * 64, "x" * 64, "xx"]),
    ],
)
def test_words_are_split_by_script(text, words):
    assert split_words(text) == words
