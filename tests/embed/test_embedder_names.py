"""Embedders by name, and bundled files that are broken."""

import shutil
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from frugalctl.embed import base, load_embedder
from frugalctl.embed.static import DATA, MANIFEST, SCALES, TOKENS, VECTORS, load_static
from frugalctl.errors import InputError, UsageError

FILES = (MANIFEST, VECTORS, SCALES, TOKENS)


@pytest.fixture
def copied(tmp_path):
    for name in FILES:
        shutil.copy(DATA / name, tmp_path / name)
    return tmp_path


def test_default_is_static_and_names_itself():
    embedder = load_embedder()
    assert (embedder.spec, embedder.dimension) == ("static", 256)
    assert embedder.fingerprint == load_static().fingerprint
    assert embedder.fingerprint != load_embedder("lexical").fingerprint


def test_bundled_files_are_at_most_8_mb():
    assert sum(path.stat().st_size for path in DATA.iterdir()) <= 8_000_000


@pytest.mark.parametrize("name", (VECTORS, SCALES, TOKENS))
@pytest.mark.parametrize("place", (0, 40, -1))
def test_a_flipped_bit_is_named(copied, name, place):
    data = bytearray((copied / name).read_bytes())
    data[place] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(InputError, match=name):
        load_static(copied)


@pytest.mark.parametrize("name", FILES)
def test_missing_and_cut_files_are_named(copied, name):
    data = (copied / name).read_bytes()
    (copied / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError):
        load_static(copied)
    (copied / name).unlink()
    with pytest.raises(InputError, match=name):
        load_static(copied)


def test_other_weights_have_another_fingerprint(copied):
    import json

    import xxhash

    manifest = json.loads((copied / MANIFEST).read_text())
    tokens = (copied / TOKENS).read_text() + "x"
    (copied / TOKENS).write_text(tokens)
    manifest["xxh3_64"][TOKENS] = xxhash.xxh3_64_hexdigest(tokens.encode())
    (copied / MANIFEST).write_text(json.dumps(manifest))
    assert load_static(copied).fingerprint != load_static().fingerprint


@pytest.mark.parametrize(
    "spec", ("", "statik", "sentence-transformers/all-mpnet-base-v2", "litellm:")
)
def test_unknown_names_are_refused_without_the_network(spec):
    with pytest.raises(UsageError, match="no embedder") as caught:
        load_embedder(spec)
    assert "lexical" in caught.value.hint


def test_an_entry_point_adds_an_embedder(monkeypatch):
    point = EntryPoint("mine", "frugalctl.embed.lexical:load_lexical", base.ENTRY_POINTS)
    points = EntryPoints([point])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda **asked: points.select(**asked))
    assert load_embedder("mine").spec == "lexical"
