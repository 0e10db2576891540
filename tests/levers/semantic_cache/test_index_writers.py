"""Writers that die, that meet, and systems that cannot exchange two folders in one step."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from index_makers import MADE_WITH, keys, make, settings

from frugalctl.errors import OutputError
from frugalctl.levers.semantic_cache.index import (
    IndexWriter,
    add_entries,
    build_index,
    folder,
    open_index,
    prune_index,
    record_hits,
)

FAULTS = Path(__file__).parents[3] / "benchmarks" / "index_faults.py"


def test_killed_writers_leave_the_old_or_the_new_index():
    command = [sys.executable, str(FAULTS), "--kills", "2", "--additions", "3"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2 kills: the index opened" in done.stdout


@pytest.mark.parametrize(
    "write",
    [
        lambda path: build_index(path, *make(keys(2)), settings()),
        lambda path: add_entries(path, *make(keys(2)), **MADE_WITH),
        prune_index,
        lambda path: record_hits(path, [0], 1),
        lambda path: IndexWriter(path, settings()).__enter__(),
    ],
)
def test_a_second_writer_is_told_so(tmp_path, write):
    build_index(tmp_path / "idx", *make(keys(3)), settings())
    with IndexWriter(tmp_path / "idx", settings()) as writer:
        with pytest.raises(OutputError, match="is being written by another process"):
            write(tmp_path / "idx")
        assert len(open_index(tmp_path / "idx")) == 3
        writer.write(*make(keys(5)))
    assert len(open_index(tmp_path / "idx")) == 5


def test_what_killed_writers_left_is_removed_by_the_next(tmp_path):
    build_index(tmp_path / "a[1]", *make(keys(3)), settings())
    for name in (".a[1].tmp-0123", ".b.tmp-0123", ".a1.tmp-0123"):
        (tmp_path / name).mkdir()
    record_hits(tmp_path / "a[1]", [0], 1)
    assert not (tmp_path / ".a[1].tmp-0123").exists()
    assert (tmp_path / ".b.tmp-0123").exists() and (tmp_path / ".a1.tmp-0123").exists()


def test_two_folders_are_exchanged_in_one_step_on_linux(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not folder.exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this file system cannot exchange folders")
    assert (tmp_path / "a" / "b").exists() and (tmp_path / "b" / "a").exists()
    with pytest.raises(FileNotFoundError):
        folder.exchange(tmp_path / "a", tmp_path / "none")


def test_without_exchange_the_old_folder_is_set_aside_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "exchange", lambda one, other: False)
    path, old = tmp_path / "idx", tmp_path / ".idx.old"
    build_index(path, *make(keys(3)), settings())
    add_entries(path, *make(keys(5)), **MADE_WITH)
    assert len(open_index(path)) == 5 and not old.exists()

    path.rename(old)  # killed between the two renames
    assert len(open_index(path)) == 5
    record_hits(path, [0], 1)
    assert len(open_index(path)) == 5 and not old.exists()

    old.mkdir()  # killed before the old one was removed
    assert prune_index(path, entry_ids=[3]).remaining == 4
    assert not old.exists()


def test_without_exchange_a_failed_swap_puts_the_old_folder_back(tmp_path, monkeypatch):
    path = tmp_path / "idx"
    build_index(path, *make(keys(3)), settings())
    monkeypatch.setattr(folder, "exchange", lambda one, other: False)
    rename = Path.rename

    def fail(self, target):
        if self.name.startswith(".idx.tmp-"):
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OutputError, match="Permission denied"):
        add_entries(path, *make(keys(5)), **MADE_WITH)
    monkeypatch.undo()
    assert len(open_index(path)) == 3
    assert prune_index(path).remaining == 3


def test_a_folder_replaced_while_it_is_opened_is_opened_anew(tmp_path, monkeypatch):
    path = tmp_path / "idx"
    build_index(path, *make(keys(3)), settings())
    opened = os.open
    swaps = []

    def swap_before_vectors(name, *arguments, **options):
        if name == "vectors.npy" and "dir_fd" in options and len(swaps) < 2:
            swaps.append(name)
            build_index(path, *make(keys(10 + len(swaps))), settings())
        return opened(name, *arguments, **options)

    monkeypatch.setattr(os, "open", swap_before_vectors)
    assert len(open_index(path)) == 12 and len(swaps) == 2


def test_an_unwritable_folder_is_an_error(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("frugalctl.levers.semantic_cache.index.folder._sync", refuse)
    with pytest.raises(OutputError, match="No space left on device"):
        build_index(tmp_path / "idx", *make(keys(3)), settings())
    assert not (tmp_path / "idx").exists()
    assert [file.name for file in tmp_path.iterdir()] == [".idx.lock"]
