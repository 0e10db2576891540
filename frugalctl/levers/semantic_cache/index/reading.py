"""Open the files of an index: whole, checked, and from one folder."""

from __future__ import annotations

import errno
import mmap
import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import xxhash

from frugalctl.errors import InputError
from frugalctl.levers.semantic_cache.index.folder import set_aside
from frugalctl.levers.semantic_cache.index.manifest import (
    GRAPH,
    MANIFEST,
    MOST_MANIFEST_BYTES,
    REBUILD,
    USAGE,
    FileSum,
    Manifest,
    decode_manifest,
)

_TRIES = 100
_CHUNK_BYTES = 1 << 22
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


@dataclass(frozen=True, slots=True)
class Files:
    """The open files of an index, checked against its manifest.

    Attributes:
        manifest: what they are.
        maps: the mapped bytes of each file by its name.
        usage: the bytes of `usage.log`.
    """

    manifest: Manifest
    maps: dict[str, Any]
    usage: bytes


class _Swapped(Exception):
    """The folder was replaced while it was opened."""


def open_files(path: Path, *, graph: bool = False) -> Files:
    """Open an index without a lock.

    The folder is opened once, and its files relative to it, so that all are of one writing; a
    folder that a writer replaced in between is opened anew.

    Args:
        path: the folder.
        graph: whether to map the graph of neighbours too, if there is one.

    Raises:
        InputError: a file is missing, a link, cut off, or not as the manifest says.
    """
    for _ in range(_TRIES):
        try:
            folder = _open_folder(path)
        except _Swapped:
            continue
        try:
            return _open_in(folder, path, graph)
        except _Swapped:
            continue
        finally:
            os.close(folder)
    raise InputError("is replaced faster than it can be read", where=str(path))


def _open_folder(path: Path) -> int:
    for place in (path, set_aside(path)):
        try:
            return os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(f"cannot be opened: {error.strerror}", where=str(path)) from None
    if path.exists():
        raise _Swapped
    raise InputError("no such index", where=str(path), hint="build it: frugalctl cache build")


def _open_in(folder: int, path: Path, graph: bool) -> Files:
    where = str(path)
    with ExitStack() as stack:

        def open_file(name: str) -> BinaryIO:
            return stack.enter_context(os.fdopen(_open_file(folder, name, path), "rb"))

        data = open_file(MANIFEST).read(MOST_MANIFEST_BYTES + 1)
        if len(data) > MOST_MANIFEST_BYTES:
            raise InputError(f"{MANIFEST}: is too large for one", where=where, hint=REBUILD)
        manifest = decode_manifest(data, where)
        expected = {name: s for name, s in manifest.files.items() if graph or name != GRAPH}
        # all are open before any is read: a writer may remove them meanwhile
        files = {name: open_file(name) for name in expected}
        usage = _read_usage(folder, path)
        maps = {name: _map(files[name].fileno(), name, s, where) for name, s in expected.items()}
        return Files(manifest, maps, usage)


def _open_file(folder: int, name: str, path: Path) -> int:
    where = str(path)
    try:
        handle = os.open(name, _FLAGS, dir_fd=folder)
    except FileNotFoundError:
        if _is_replaced(folder, path):
            raise _Swapped from None
        raise InputError(f"{name}: is missing", where=where, hint=REBUILD) from None
    except OSError as error:
        is_link = error.errno in (errno.ELOOP, errno.EMLINK)
        what = "is a link, which is not followed" if is_link else error.strerror
        raise InputError(f"{name}: {what}", where=where, hint=REBUILD) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError(f"{name}: is no file", where=where, hint=REBUILD)
    return handle


def _is_replaced(folder: int, path: Path) -> bool:
    ours = os.fstat(folder)
    for place in (path, set_aside(path)):
        try:
            theirs = place.stat()
        except OSError:
            continue
        return (ours.st_dev, ours.st_ino) != (theirs.st_dev, theirs.st_ino)
    return True


def _read_usage(folder: int, path: Path) -> bytes:
    if USAGE not in os.listdir(folder):  # noqa: PTH208 (a path would leave the open folder)
        if _is_replaced(folder, path):
            raise _Swapped
        return b""
    with os.fdopen(_open_file(folder, USAGE, path), "rb") as file:
        return file.read()


def _map(handle: int, name: str, expected: FileSum, where: str) -> Any:
    """The file's bytes, mapped, once they are found to be as the manifest says."""
    size = os.fstat(handle).st_size
    if size != expected.size_bytes:
        raise InputError(
            f"{name}: has {size:,} bytes, not {expected.size_bytes:,}", where=where, hint=REBUILD
        )
    if hash_file(handle) != expected.xxh3_128:
        raise InputError(f"{name}: its checksum differs", where=where, hint=REBUILD)
    if not size:
        raise InputError(f"{name}: is empty", where=where, hint=REBUILD)
    return mmap.mmap(handle, 0, access=mmap.ACCESS_READ)


def hash_file(handle: int) -> str:
    """The xxh3-128 of an open file, read in pieces so that it takes no room."""
    digest = xxhash.xxh3_128()
    buffer = bytearray(_CHUNK_BYTES)
    view = memoryview(buffer)
    offset = 0
    while count := os.preadv(handle, [buffer], offset):
        digest.update(view[:count])
        offset += count
    return digest.hexdigest()
