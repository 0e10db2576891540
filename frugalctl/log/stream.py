"""Bytes in: files and stdin, plain or compressed, cut into blocks of whole lines."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Protocol, cast

import pyarrow as pa

from frugalctl.errors import BadLine, InputError

BLOCK_BYTES = 4 << 20
MAX_LINE_BYTES = 256 << 20
STDIN = "-"
_BOM = b"\xef\xbb\xbf"
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_PARQUET_MAGIC = b"PAR1"


class Readable(Protocol):
    """What we need of an open input."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; empty at the end."""
        ...

    def close(self) -> None:
        """Give the handle back."""
        ...


class Hash(Protocol):
    """What we need of a `hashlib` object."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """Whole lines of one input; only the last line may lack its newline.

    Attributes:
        data: the bytes, after decompression.
        first_line: the number of the first line, from 1.
    """

    data: bytes
    first_line: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where a log is, and what to call it.

    Attributes:
        path: a file, or "-" for stdin.
        name: for messages.
    """

    path: str
    name: str


def source_of(path: str) -> Source:
    """The source of a path as the user gave it."""
    return Source(path, "<stdin>" if path == STDIN else path)


@contextmanager
def rereadable(sources: Sequence[Source]) -> Iterator[list[Source]]:
    """The same sources, with stdin copied to a temporary file so that it can be read twice."""
    with tempfile.TemporaryDirectory(prefix="frugalctl-") as folder:
        copies: list[Source] = []
        for source in sources:
            if source.path == STDIN:
                copy = Path(folder) / "stdin"
                with copy.open("wb") as file:
                    shutil.copyfileobj(sys.stdin.buffer, file, BLOCK_BYTES)
                source = Source(str(copy), source.name)
            copies.append(source)
        yield copies


def open_input(source: Source) -> tuple[Readable, str]:
    """Open a file or stdin, decompressing by content.

    Returns:
        The stream and its kind: "parquet" or "text".

    Raises:
        InputError: the path is missing, a directory, or not readable.
    """
    raw = _open_raw(source)
    head = raw.peek(len(_PARQUET_MAGIC))
    if head.startswith(_PARQUET_MAGIC):
        return raw, "parquet"
    codec = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if codec is None:
        return raw, "text"
    return cast(Readable, pa.CompressedInputStream(pa.PythonFile(raw, "r"), codec)), "text"


def _open_raw(source: Source) -> BufferedReader:
    if source.path == STDIN:
        return cast(BufferedReader, sys.stdin.buffer)
    file = Path(source.path)
    if file.is_dir():
        raise InputError("is a directory", where=source.name, hint="name the files in it")
    try:
        return file.open("rb")
    except FileNotFoundError:
        raise InputError("no such file", where=source.name) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=source.name) from None


def spool(stream: Readable) -> Readable:
    """A seekable copy of a stream, in a temporary file that vanishes when it is closed."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - handed to the caller
    while chunk := stream.read(BLOCK_BYTES):
        file.write(chunk)
    file.seek(0)
    return cast(Readable, file)


def read_blocks(stream: Readable, source: str, digest: Hash | None = None) -> Iterator[Block]:
    """Cut a stream into blocks of whole lines of about `BLOCK_BYTES`.

    Args:
        stream: the open, decompressed input.
        source: its name, for messages.
        digest: is fed every byte (after decompression).

    Raises:
        BadLine: a line is longer than `MAX_LINE_BYTES`.
        InputError: the compressed stream is broken.
    """
    line = 1
    pending: list[bytes] = []
    pending_bytes = 0
    for chunk in _chunks(stream, source, line):
        if digest is not None:
            digest.update(chunk)
        cut = chunk.rfind(b"\n") + 1
        if cut:
            data = b"".join((*pending, chunk[:cut]))
            pending, pending_bytes = [], 0
            yield Block(_without_bom(data, line), line)
            line += data.count(b"\n")
        if cut < len(chunk):
            pending.append(chunk[cut:])
            pending_bytes += len(chunk) - cut
        if pending_bytes > MAX_LINE_BYTES:
            raise BadLine(
                f"the line is longer than {MAX_LINE_BYTES >> 20} MB", source=source, line=line
            )
    if pending:
        yield Block(_without_bom(b"".join(pending), line), line)


def _without_bom(data: bytes, line: int) -> bytes:
    return data.removeprefix(_BOM) if line == 1 else data


def _chunks(stream: Readable, source: str, line: int) -> Iterator[bytes]:
    while True:
        try:
            chunk = stream.read(BLOCK_BYTES)
        except OSError as error:
            raise InputError(
                f"cannot be decompressed: {error}",
                where=source,
                hint="the file is truncated or damaged; nothing after the break was used",
            ) from None
        if not chunk:
            return
        yield chunk
