"""Whatever happened to the files, opening says so, names the file, and does nothing else."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import xxhash
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from index_makers import keys, make, settings

from frugalctl.errors import InputError, OutputError
from frugalctl.levers.semantic_cache.index import build_index, open_index, record_hits
from frugalctl.levers.semantic_cache.index.manifest import (
    MOST_MANIFEST_BYTES,
    decode_manifest,
    encode_manifest,
)

SEALED = ("manifest.json", "entries.parquet", "vectors.npy")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    path = tmp_path_factory.mktemp("built") / "idx"
    build_index(path, *make(keys(40)), settings())
    record_hits(path, [1, 2, 3], 77)
    return path


@pytest.fixture
def idx(built, tmp_path):
    shutil.copytree(built, tmp_path / "idx")
    return tmp_path / "idx"


def seal(path, **changes):
    """Change a manifest and make its checksums right again, as one who means harm would."""
    manifest = decode_manifest((path / "manifest.json").read_bytes(), "")
    text = encode_manifest(manifest).decode()
    data = json.loads(text) | changes
    for name in ("entries.parquet", "vectors.npy"):
        file = path / name
        if "files" not in changes and file.is_file():
            body = file.read_bytes()
            data["files"][name] = {
                "size_bytes": len(body),
                "xxh3_128": xxhash.xxh3_128_hexdigest(body),
            }
    data["checksum"] = "0" * 32
    blank = json.dumps(data)
    checksum = xxhash.xxh3_128_hexdigest(blank.encode())
    (path / "manifest.json").write_text(blank.replace("0" * 32, checksum, 1))


@hypothesis_settings(max_examples=300)
@given(
    name=st.sampled_from([*SEALED, "usage.log"]),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_any_flipped_bit_is_found_and_its_file_named(built, name, place, bit):
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copytree(built, Path(folder) / "idx")
        data = bytearray((path / name).read_bytes())
        data[int(place * len(data))] ^= 1 << bit
        (path / name).write_bytes(data)
        with pytest.raises(InputError, match=f"idx: {name}: ") as caught:
            open_index(path)
        assert caught.value.hint


@hypothesis_settings(max_examples=100)
@given(name=st.sampled_from(SEALED), place=st.floats(0, 1, exclude_max=True))
def test_any_cut_is_found_and_its_file_named(built, name, place):
    with tempfile.TemporaryDirectory() as folder:
        path = shutil.copytree(built, Path(folder) / "idx")
        os.truncate(path / name, int(place * (path / name).stat().st_size))
        with pytest.raises(InputError, match=f"idx: {name}: "):
            open_index(path)


@pytest.mark.parametrize("name", SEALED)
def test_a_missing_file_is_named(idx, name):
    (idx / name).unlink()
    with pytest.raises(InputError, match=f"{name}: is missing"):
        open_index(idx)


@pytest.mark.parametrize("name", [*SEALED, "usage.log"])
@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_only_files_in_the_folder_are_read(idx, tmp_path, name, kind):
    (idx / name).rename(tmp_path / "elsewhere")
    if kind == "link":
        (idx / name).symlink_to(tmp_path / "elsewhere")
    elif kind == "folder":
        (idx / name).mkdir()
    else:
        os.mkfifo(idx / name)
    with pytest.raises(InputError, match=f"{name}: is a link|{name}: is no file"):
        open_index(idx)


def test_a_link_to_the_folder_is_the_users_own(idx, tmp_path):
    (tmp_path / "link").symlink_to(idx)
    assert len(open_index(tmp_path / "link")) == 40
    build_index(tmp_path / "link", *make(keys(3)), settings())
    assert (tmp_path / "link").is_symlink() and len(open_index(idx)) == 3


def test_a_torn_record_at_the_end_is_dropped(idx):
    whole = (idx / "usage.log").read_bytes()
    (idx / "usage.log").write_bytes(whole[:-5])
    assert open_index(idx).hits.sum() == 2
    record_hits(idx, [7], 99)
    assert open_index(idx).hits.nonzero()[0].tolist() == [1, 2, 7]


@pytest.mark.parametrize(
    "changes",
    [
        {"entries": 10**12},
        {"entries": 2**70},
        {"entries": -1},
        {"entries": "40"},
        {"entries": 41},
        {"entries": 39},
        {"entries": 0},
        {"scopes": 2},
        {"dimension": 0},
        {"dimension": 7},
        {"dimension": 10**9},
        {"dtype": "object"},
        {"dtype": "int8"},
        {"next_id": None},
        {"newest_us": 2**63},
        {"settings": 3},
        {"embedder": ["static"]},
        {"format": "something else"},
        {"schema_version": 2},
        {"extra": 1},
        {"files": {}},
        {"files": {"vectors.npy": {"size_bytes": 1, "xxh3_128": "0" * 32}}},
        {"files": {"../secret": {"size_bytes": 1, "xxh3_128": "0" * 32}}},
        {"files": {"/etc/passwd": {"size_bytes": 1, "xxh3_128": "0" * 32}}},
    ],
)
def test_a_hostile_manifest_is_an_error_and_nothing_else(idx, changes):
    seal(idx)
    open_index(idx)
    seal(idx, **changes)
    with pytest.raises(InputError):
        open_index(idx)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[" * 100_000,
        b'{"settings": ' + b'{"a":' * 50_000,
        b"\xff\xfe",
        b" " * (MOST_MANIFEST_BYTES + 1),
        b"null",
    ],
)
def test_what_is_no_manifest_is_named(idx, data):
    (idx / "manifest.json").write_bytes(data)
    with pytest.raises(InputError, match=r"manifest\.json: "):
        open_index(idx)


class Trap:
    def __reduce__(self):
        return os.abort, ()


def save_pickled(path):
    np.save(path, np.array([Trap()] * 40, dtype=object), allow_pickle=True)


def save_header(text):
    def save(path):
        header = text.encode() + b" " * (118 - len(text)) + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)

    return save


@pytest.mark.parametrize(
    "save",
    [
        save_pickled,
        lambda path: np.save(path, np.zeros((40, 8))),
        lambda path: np.save(path, np.zeros((8, 40), np.float32)),
        lambda path: np.save(path, np.asfortranarray(np.zeros((40, 8), np.float32))),
        lambda path: np.save(path, np.zeros((40, 8), ">f4")),
        lambda path: np.save(path, np.zeros(40, np.dtype([("a", "<f4", (8,))]))),
        lambda path: path.write_bytes(b"no matrix at all"),
        save_header("__import__('os').abort()"),
        save_header("{'descr': '<f4', 'fortran_order': False, 'shape': (40, 8), }"),
        save_header("{'descr': '|O', 'fortran_order': False, 'shape': (40, 8), }"),
        save_header("{'descr': '<f4', 'fortran_order': False, 'shape': (-40, -8), }"),
        save_header("(" * 100),
    ],
)
def test_a_hostile_matrix_is_an_error_and_nothing_else(idx, save):
    save(idx / "vectors.npy")
    seal(idx)
    with pytest.raises(InputError, match=r"vectors\.npy: "):
        open_index(idx)


def change_table(table, kind):
    if kind == "fewer rows":
        return table[:39]
    if kind == "other columns":
        return table.drop_columns(["hits"])
    if kind == "unsorted":
        scopes = table.column("scope").to_pylist()
        scopes[:2] = ["f" * 32, "0" * 32]
    elif kind == "short scope":
        scopes = ["ab"] * 40
    else:
        scopes = [None] * 40
    return table.set_column(table.column_names.index("scope"), "scope", [scopes])


@pytest.mark.parametrize(
    "kind", ["fewer rows", "other columns", "unsorted", "short scope", "no scope"]
)
def test_a_hostile_table_is_an_error_and_nothing_else(idx, kind):
    file = idx / "entries.parquet"
    pq.write_table(change_table(pq.read_table(file), kind), file, store_schema=False)
    seal(idx)
    with pytest.raises(InputError, match=r"entries\.parquet: "):
        open_index(idx)


def test_a_damaged_table_with_right_checksums_is_an_error_and_nothing_else(idx):
    body = (idx / "entries.parquet").read_bytes()
    for place in range(0, len(body), 101):
        data = bytearray(body)
        data[place : place + 8] = b"\xff" * 8
        (idx / "entries.parquet").write_bytes(data)
        seal(idx)
        try:
            open_index(idx).read_table()
        except InputError:
            continue


@pytest.mark.parametrize("names", [["notes.txt"], ["manifest.json", "notes.txt"], ["vectors.npy"]])
def test_a_folder_that_is_no_index_is_never_replaced(tmp_path, names):
    (tmp_path / "idx").mkdir()
    for name in names:
        (tmp_path / "idx" / name).write_text("mine")
    with pytest.raises(OutputError, match="index"):
        build_index(tmp_path / "idx", *make(keys(3)), settings())
    assert sorted(file.name for file in (tmp_path / "idx").iterdir()) == sorted(names)


def test_a_file_or_a_missing_place_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for path in (tmp_path / "file", tmp_path / "none" / "idx"):
        with pytest.raises(OutputError):
            build_index(path, *make(keys(3)), settings())
    for path in (tmp_path / "file", tmp_path / "none"):
        with pytest.raises(InputError):
            open_index(path)


def test_an_empty_folder_is_filled_and_a_damaged_index_replaced(idx, tmp_path):
    (tmp_path / "empty").mkdir()
    (idx / "manifest.json").write_bytes(b"")
    for path in (tmp_path / "empty", idx):
        build_index(path, *make(keys(3)), settings())
        assert len(open_index(path)) == 3
