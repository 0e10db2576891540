"""What an index says of itself, read as if whoever wrote it meant harm."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import xxhash
from msgspec import Meta

from frugalctl.errors import InputError

SCHEMA_VERSION = 1
FORMAT = "frugalctl semantic cache"
MANIFEST = "manifest.json"
ENTRIES = "entries.parquet"
VECTORS = "vectors.npy"
USAGE = "usage.log"
GRAPH = "graph.usearch"
NAMES = frozenset({MANIFEST, ENTRIES, VECTORS, USAGE, GRAPH})
REBUILD = "restore it, or rebuild it with `frugalctl cache build`"
MOST_MANIFEST_BYTES = 1 << 20

DtypeName = Literal["float32", "int8"]
_Digest = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
_Name = Annotated[str, Meta(max_length=4096)]
_Count = Annotated[int, Meta(ge=0, le=1 << 40)]
_NO_DIGEST = "0" * 32


class IndexSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the vectors and keys of an index were made with.

    Attributes:
        embedder: as the user named it.
        fingerprint: of the embedder; other vectors than its are refused.
        dimension: components of a vector.
        normalizer: the name of what made the keys and the embedded text.
        dtype: how vectors are stored, "float32" or "int8".
        settings: the recipe's table `[semantic_cache]` that it was built with.
    """

    embedder: _Name
    fingerprint: _Name
    dimension: Annotated[int, Meta(ge=1, le=65536)]
    normalizer: _Name
    dtype: DtypeName = "float32"
    settings: dict[str, Any] = {}


class FileSum(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The size in bytes and the xxh3-128 of a file."""

    size_bytes: Annotated[int, Meta(ge=0, le=1 << 50)]
    xxh3_128: _Digest


class Manifest(IndexSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an index says of itself.

    Attributes:
        entries: rows of the table and of the matrix.
        scopes: distinct scopes.
        next_id: the id of the next entry.
        newest_us: the last time at which an entry was made or used; None if no time is known.
        files: the other files but `usage.log`, which grows.
        format: marks the file as ours.
        schema_version: of the folder's layout.
        checksum: xxh3-128 of this file with zeros in its place.
    """

    checksum: _Digest = _NO_DIGEST
    format: Literal["frugalctl semantic cache"] = FORMAT
    schema_version: Annotated[int, Meta(ge=1, le=1 << 30)] = SCHEMA_VERSION
    entries: _Count
    scopes: _Count
    next_id: Annotated[int, Meta(ge=0, le=1 << 62)]
    newest_us: Annotated[int, Meta(ge=-(1 << 62), le=1 << 62)] | None = None
    files: dict[Literal["entries.parquet", "vectors.npy", "graph.usearch"], FileSum]


def encode_manifest(manifest: Manifest) -> bytes:
    """Its JSON, with its checksum inside.

    Raises:
        InputError: it would be larger than what `decode_manifest` is given to read.
    """
    blank = msgspec.json.encode(msgspec.structs.replace(manifest, checksum=_NO_DIGEST))
    text = msgspec.json.format(blank, indent=2) + b"\n"
    if len(text) > MOST_MANIFEST_BYTES:
        raise InputError(
            f"the settings take {len(text):,} bytes, more than an index can remember",
            hint=f"keep the lists of [normalize] below {MOST_MANIFEST_BYTES:,} bytes",
        )
    return text.replace(_NO_DIGEST.encode(), xxhash.xxh3_128_hexdigest(text).encode(), 1)


def decode_manifest(data: bytes, where: str) -> Manifest:
    """Read a manifest.

    Args:
        data: the file's bytes.
        where: its name for errors.

    Raises:
        InputError: it is damaged, of a later version, or says what cannot be.
    """
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise InputError(
            f"{MANIFEST}: is damaged or no manifest: {error}", where=where, hint=REBUILD
        ) from None
    if manifest.schema_version != SCHEMA_VERSION:
        raise InputError(
            f"{MANIFEST}: schema version {manifest.schema_version} is not the "
            f"{SCHEMA_VERSION} that this version of frugalctl reads",
            where=where,
            hint="rebuild it with `frugalctl cache build`",
        )
    blank = data.replace(manifest.checksum.encode(), _NO_DIGEST.encode(), 1)
    if xxhash.xxh3_128_hexdigest(blank) != manifest.checksum:
        raise InputError(f"{MANIFEST}: its checksum differs", where=where, hint=REBUILD)
    if missing := {ENTRIES, VECTORS} - set(manifest.files):
        raise InputError(f"{MANIFEST}: does not name {min(missing)}", where=where, hint=REBUILD)
    return manifest
