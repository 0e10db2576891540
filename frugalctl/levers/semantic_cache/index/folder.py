"""One writer at a time, and a folder that changes as a whole or not at all.

A writer holds the lock beside the folder (`.NAME.lock`), writes a new folder beside it
(`.NAME.tmp-*`) and exchanges the two in one step. Where the system has no such step, the old
folder is set aside as `.NAME.old` first; who finds it without a folder of that name puts it
back, or reads it. What a killed writer leaves behind, the next one removes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from frugalctl.errors import InputError, OutputError
from frugalctl.levers.semantic_cache.index.manifest import ENTRIES, MANIFEST, NAMES, VECTORS

_AT_FDCWD = {"linux": -100, "darwin": -2}
_EXCHANGE = 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP)


@contextmanager
def locking(path: Path, wait_s: float) -> Generator[None]:
    """Hold the lock of the index' writers.

    Args:
        path: the index.
        wait_s: how long to wait for another writer, in seconds.

    Raises:
        OutputError: another process writes the index, or its folder cannot be written.
    """
    import filelock

    if not path.parent.is_dir():
        raise OutputError("cannot be written: no such folder", where=str(path.parent))
    lock = filelock.FileLock(path.parent / f".{path.name}.lock", timeout=wait_s)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise OutputError(
            "is being written by another process", where=str(path), hint="try again, or wait longer"
        ) from None
    except OSError as error:
        raise OutputError(f"cannot be written: {error.strerror}", where=str(path)) from None
    try:
        recover(path)
        yield
    finally:
        lock.release()


@contextmanager
def replacing_folder(path: Path) -> Generator[Path]:
    """A new folder that takes the place of the index if the block succeeds.

    The caller holds the lock. On any error the new folder is removed and the index left as it was.

    Raises:
        OutputError: what stands there is no index, or the disk does not take the new one.
    """
    check_target(path)
    new = path.parent / f".{path.name}.tmp-{secrets.token_hex(8)}"
    try:
        new.mkdir()
        yield new
        for file in new.iterdir():
            _sync(file)
        _sync(new)
        _swap(new, path)
    except OSError as error:
        raise OutputError(
            f"cannot be written: {error.strerror or error}", where=str(path)
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def follow(path: str | Path) -> Path:
    """The folder itself, where the user names a link to it."""
    return Path(os.path.realpath(path))


def set_aside(path: Path) -> Path:
    """Where the old folder lies between two renames."""
    return path.parent / f".{path.name}.old"


def check_target(path: Path) -> None:
    """Refuse to replace what is not an index.

    Raises:
        OutputError: it is a file, or a folder with anything but the files of an index.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputError("is a file, not an index", where=str(path))
    names = {file.name for file in path.iterdir()}
    if foreign := names - NAMES:
        raise OutputError(
            f"holds what is no part of an index: {min(foreign)!r}",
            where=str(path),
            hint="name another folder; this one is not replaced",
        )
    if names and not (MANIFEST in names and names & {ENTRIES, VECTORS}):
        raise OutputError(
            "is neither empty nor an index",
            where=str(path),
            hint="name another folder; this one is not replaced",
        )


def recover(path: Path) -> None:
    """Undo what a killed writer left; the caller holds the lock."""
    old = set_aside(path)
    if old.is_dir():
        if path.exists():
            shutil.rmtree(old)
        else:
            old.rename(path)
    for left in path.parent.glob(f".{_escape(path.name)}.tmp-*"):
        shutil.rmtree(left, ignore_errors=True)


def _escape(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _swap(new: Path, path: Path) -> None:
    """Put the new folder in the place of the old one, which is removed."""
    if not path.exists():
        new.rename(path)
    elif not exchange(new, path):
        old = set_aside(path)
        path.rename(old)
        new.rename(path)
        _sync(path.parent)
        shutil.rmtree(old)
    _sync(path.parent)


def exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system cannot.

    Linux: renameat2 with RENAME_EXCHANGE; macOS: renameatx_np with RENAME_SWAP.
    """
    if sys.platform not in _AT_FDCWD:
        return False
    name = "renameat2" if sys.platform == "linux" else "renameatx_np"
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is None:
        return False
    here = _AT_FDCWD[sys.platform]
    if not function(here, os.fsencode(one), here, os.fsencode(other), ctypes.c_uint(_EXCHANGE)):
        return True
    code = ctypes.get_errno()
    if code in _CANNOT:
        return False
    raise OSError(code, os.strerror(code), str(other))


def _sync(path: Path) -> None:
    """Have the disk hold it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refuse_missing(path: Path) -> None:
    """Refuse to change an index that is not there.

    Raises:
        InputError: there is none.
    """
    if not path.is_dir():
        raise InputError("no such index", where=str(path), hint="build it: frugalctl cache build")
