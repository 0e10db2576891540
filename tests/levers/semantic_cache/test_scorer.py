import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scorer_pairs import embed, make_pairs

from frugalctl.errors import InputError, OutputError, UsageError
from frugalctl.levers.semantic_cache.scorer import load_scorer
from frugalctl.levers.semantic_cache.scorer_files import read_scorer, save_scorer
from frugalctl.levers.semantic_cache.scorer_training import train_scorer


def score_pairs(scorer, a, b):
    return scorer.score(a, b, embed(a), embed(b))


def train(n=400, seed=0, fingerprint="test-embedder"):
    a, b, same, groups = make_pairs(n, seed)
    return train_scorer(
        a, b, same, embed(a), embed(b), groups=groups, seed=1, embedder_fingerprint=fingerprint
    )


@pytest.fixture(scope="module")
def scorer():
    return train()


@pytest.fixture
def saved(scorer, tmp_path):
    path = str(tmp_path / "s.npz")
    save_scorer(scorer, path)
    return path


def test_it_tells_apart_what_cosine_cannot(scorer):
    from sklearn.metrics import roc_auc_score

    a, b, same, _ = make_pairs(600, 7)
    scores = score_pairs(scorer, a, b)
    cosine = score_pairs(load_scorer("cosine", "any"), a, b)
    assert roc_auc_score(same, scores) > 0.97 > roc_auc_score(same, cosine) + 0.02
    assert abs(scores.mean() - same.mean()) < 0.05


WORDS = st.sampled_from("how do I reset my invoice Paris 12 not C++ C 요금 \udc80".split())
TEXTS = st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=20)


@given(pairs=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6))
def test_scores_are_probabilities_that_know_no_order_and_no_company(scorer, pairs):
    a, b = map(list, zip(*pairs, strict=True))
    scores = score_pairs(scorer, a, b)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.array_equal(scores, score_pairs(scorer, b, a))
    assert scores.tolist() == [score_pairs(scorer, [x], [y])[0] for x, y in pairs]


def test_no_pairs(scorer):
    assert scorer.score([], [], embed([]), embed([])).shape == (0,)


def test_more_pairs_than_are_scored_at_once(scorer):
    a, b, _, _ = make_pairs(50, 3)
    scores = score_pairs(scorer, a * 50, b * 50)
    assert np.array_equal(scores, np.tile(scores[:50], 50))


def test_cosine_is_the_dot_product():
    a, b, _, _ = make_pairs(20, 0)
    expected = [float(np.dot(x, y)) for x, y in zip(embed(a), embed(b), strict=True)]
    assert score_pairs(load_scorer("cosine", "any"), a, b) == pytest.approx(expected, abs=1e-6)


def test_the_same_seed_makes_the_same_file(scorer, saved, tmp_path):
    again = str(tmp_path / "again.npz")
    save_scorer(train(), again)
    assert Path(saved).read_bytes() == Path(again).read_bytes()
    assert train(seed=5).name != scorer.name


def test_a_saved_scorer_scores_the_same(scorer, saved):
    a, b, _, _ = make_pairs(200, 9)
    loaded = load_scorer(saved, "test-embedder")
    assert loaded.name == scorer.name
    assert np.array_equal(score_pairs(loaded, a, b), score_pairs(scorer, a, b))


def test_vectors_of_another_embedder_are_refused(saved):
    with pytest.raises(InputError, match="of the embedder test-embedder, not of other"):
        load_scorer(saved, "other")
    loaded = load_scorer(saved, "test-embedder")
    with pytest.raises(InputError, match="16 components, not of 8"):
        loaded.score(["a"], ["b"], embed(["a"], 8), embed(["b"], 8))


def test_scoring_does_not_import_sklearn(saved):
    code = f"""
import sys, numpy as np
from frugalctl.levers.semantic_cache.scorer import load_scorer
v = np.ones((1, 16), np.float32) / 4
load_scorer({saved!r}, "test-embedder").score(["a b"], ["a c"], v, v)
print([name for name in ("sklearn", "scipy", "torch", "pandas") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_no_text_of_the_pairs_is_in_the_file(saved):
    with zipfile.ZipFile(saved) as archive:
        content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"password" not in content


@pytest.mark.parametrize("spec", ["", "cosin", "model.pkl", "cross_encoder:x"])
def test_unknown_scorers(spec):
    with pytest.raises(UsageError, match="unknown scorer"):
        load_scorer(spec, "any")


def test_missing_file_and_unwritable_target(scorer, tmp_path):
    with pytest.raises(InputError, match="no.npz: is not a pair scorer .*No such file"):
        load_scorer(str(tmp_path / "no.npz"), "any")
    with pytest.raises(OutputError):
        save_scorer(scorer, str(tmp_path / "no" / "s.npz"))


def rewrite(path, change):
    """Change the arrays of a scorer's file; the description's digest stays as it was."""
    with np.load(path) as archive:
        arrays = {name: archive[name].copy() for name in archive.files}
    change(arrays)
    np.savez(path, allow_pickle=True, **arrays)


def set_meta(key, value):
    def change(arrays):
        meta = json.loads(arrays["meta"].tobytes())
        meta[key] = value
        arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)

    return change


def set_value(name, index, value):
    return lambda arrays: arrays[name].__setitem__(index, value)


def set_array(name, make):
    return lambda arrays: arrays.__setitem__(name, make(arrays[name]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_meta("schema_version", 9), "schema_version is 9, not 1"),
        (set_meta("feature_version", 9), "feature_version is 9"),
        (set_meta("embedder_fingerprint", "other"), "checksum"),
        (set_meta("embedder_fingerprint", 5), "not of type str"),
        (set_meta("dimension", "x"), "not of type int"),
        (set_meta("tree_base", float("nan")), "tree_base"),
        (set_array("meta", lambda x: x[:-1]), "delimiter"),
        (set_value("tree_features", (0, 0), 200), "features that are not there"),
        (set_value("tree_thresholds", (0, 0), np.nan), "not finite"),
        (set_value("tree_leaves", (0, 0), np.inf), "not finite"),
        (set_value("word_weights", 3, 0.5), "checksum"),
        (set_array("idf", lambda x: x[:-1]), "idf has shape"),
        (set_array("idf", lambda x: x.astype(np.float64)), "not of type <f4"),
        (set_array("idf", lambda x: np.array([{}], object)), "not of type <f4|allow_pickle"),
        (set_array("tree_leaves", lambda x: x[:, :-1]), "has shape"),
        (set_array("tree_leaves", lambda x: x[:0]), "no shape that trees have"),
        (set_array("tree_leaves", lambda x: x.ravel()), "no shape that trees have"),
        (set_array("tree_features", lambda x: x[:-1]), "tree_features has shape"),
        (lambda arrays: arrays.pop("idf"), "other arrays"),
        (lambda arrays: arrays.update(more=np.zeros(3)), "other arrays"),
    ],
)
def test_hostile_files_are_refused_by_name(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(InputError, match=message) as caught:
        read_scorer(saved)
    assert caught.value.where == saved


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (b"(131072,), }       ", b"(9999999999999,), }", "idf has not the size that it claims"),
        (b"(131072,), }", b"(131072,),(}", "idf has no header"),
        (b"'shape'", b"'shapx'", "idf has no header"),
        (b"<f4", b"|O8", "idf is not of type <f4"),
        (b"NUMPY\x01", b"NUMPY\x03", "idf has no header"),
    ],
)
def test_hostile_headers_are_refused_before_anything_is_allocated(saved, before, after, message):
    with zipfile.ZipFile(saved) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["idf.npy"] = content["idf.npy"].replace(before, after, 1)
    with zipfile.ZipFile(saved, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    with pytest.raises(InputError, match=message):
        read_scorer(saved)


@given(data=st.data())
def test_damaged_bytes_are_detected(scorer, tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damage") / "s.npz"
    save_scorer(scorer, str(path))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[at:]
    path.write_bytes(content)
    try:
        assert read_scorer(str(path)).name == scorer.name
    except InputError as error:
        assert error.where == str(path)
