"""Bytes in: files and stdin, plain or compressed, cut into blocks of whole lines."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pyarrow as pa

from frugalctl.errors import BadLine, InputError, UsageError

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


class Digest(Protocol):
    """What we need of a hash."""

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
    """A log on disk, and what to call it in messages."""

    path: str
    name: str


@contextmanager
def on_disk(paths: Sequence[str]) -> Generator[list[Source]]:
    """The sources of these paths, with stdin ("-") and pipes copied to temporary files.

    So every log can be read more than once, by more than one reader, in bounded memory.

    Raises:
        UsageError: stdin is given twice, or a name is empty.
    """
    if "" in paths:
        raise UsageError("the name of a file is empty")
    if list(paths).count(STDIN) > 1:
        raise UsageError("stdin (-) is given twice")
    with ExitStack() as stack:
        yield [_settle(path, stack) for path in paths]


def _settle(path: str, stack: ExitStack) -> Source:
    if path == STDIN:
        return Source(_spool(sys.stdin.buffer, stack), "<stdin>")
    try:
        if Path(path).is_fifo():
            with Path(path).open("rb") as pipe:
                return Source(_spool(pipe, stack), path)
    except OSError:
        pass  # `open_input` says what is wrong
    return Source(path, path)


def _spool(stream: BinaryIO, stack: ExitStack) -> str:
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="frugalctl-"))
    copy = Path(folder) / "log"
    with copy.open("wb") as file:
        shutil.copyfileobj(stream, file, BLOCK_BYTES)
    return str(copy)


def hash_source(source: Source, digest: Digest) -> None:
    """Feed the bytes of a file, as they are on disk, to a digest."""
    with Path(source.path).open("rb", buffering=0) as file:
        while chunk := file.read(BLOCK_BYTES):
            digest.update(chunk)


def open_input(source: Source) -> tuple[Readable, str]:
    """Open a file, decompressing by content.

    Returns:
        The stream and its kind: "parquet", or how the text is compressed: "none", "gzip" or
        "zstd".

    Raises:
        InputError: the path is missing, a directory, or not readable.
    """
    raw = _open_raw(source)
    head = raw.peek(len(_PARQUET_MAGIC))
    if head.startswith(_PARQUET_MAGIC):
        return raw, "parquet"
    codec = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if codec is None:
        return raw, "none"
    return cast(Readable, pa.CompressedInputStream(pa.PythonFile(raw, "r"), codec)), codec


def _open_raw(source: Source) -> BufferedReader:
    try:
        return Path(source.path).open("rb")
    except IsADirectoryError:
        raise InputError("is a directory", where=source.name, hint="name the files in it") from None
    except FileNotFoundError:
        raise InputError("no such file", where=source.name) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=source.name) from None


def read_blocks(stream: Readable, source: str) -> Iterator[Block]:
    """Cut a stream into blocks of whole lines of about `BLOCK_BYTES`.

    Args:
        stream: the open, decompressed input.
        source: its name, for messages.

    Raises:
        BadLine: a line is longer than `MAX_LINE_BYTES`.
        InputError: the compressed stream is broken.
    """
    line = 1
    pending: list[bytes] = []
    pending_bytes = 0
    for chunk in _chunks(stream, source):
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


def _chunks(stream: Readable, source: str) -> Iterator[bytes]:
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
